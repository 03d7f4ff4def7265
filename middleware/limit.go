package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/ratelimit"
	"github.com/makerguard/makerguard/rbac"
)

// LimitsConfig is what Limits need.
type LimitsConfig struct {
	Access *rbac.Authorizer // whose policy has the limits; required
	Store  ratelimit.Store  // counts exact limits
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // nil discards
	// Refused, if set, is told whose request a limit refused, such as "member 10/s": at the
	// first refusal, and then once a minute for as long as refusals go on. p is nil where
	// nobody was authenticated yet. It must not block.
	Refused func(ctx context.Context, limit string, p *makerguard.Principal, c makerguard.Client)
}

// Limits hold requests to the rates of the policy in force. A changed policy counts from the
// next request on, and what was used of a limit that it left as it was stays used. Limits
// are safe for concurrent use; a nil one limits nothing.
//
// Addresses are asked before anything else is done, callers once they are known and before
// units of a meter are set aside: what a limit refuses costs nothing of the month. A
// request that is refused for want of a permission does use up its rate, or asking for what
// one may not have would be without limit.
type Limits struct {
	cfg LimitsConfig
	// Addresses have room of their own: outsiders can use as many as they like.
	addresses, callers *ratelimit.Limiter
	inFlight           ratelimit.InFlight
}

// NewLimits returns Limits.
func NewLimits(cfg LimitsConfig) (*Limits, error) {
	if cfg.Access == nil {
		return nil, errors.New("middleware: LimitsConfig.Access is required")
	}
	addresses, err := ratelimit.New(ratelimit.Config{Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	callers, err := ratelimit.New(ratelimit.Config{Store: cfg.Store, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	return &Limits{cfg: cfg, addresses: addresses, callers: callers}, nil
}

// Hold is a request's part in the limits it was asked for. Its zero value has none. It is not
// safe for concurrent use.
type Hold struct {
	slots    []ratelimit.Slot
	tightest Burst
}

// Leave ends the request's part in limits on requests under way. It must be called when the
// request has ended, however it ended.
func (h *Hold) Leave() {
	for i := range h.slots {
		h.slots[i].Leave()
	}
}

// Burst tells how the limit stands that leaves the least.
func (h *Hold) Burst() Burst { return h.tightest }

// Addresses asks the limits per address and hands a request that they let through to next; one
// that they refuse is answered 429 RateLimitExceeded. It must stand inside Edge, which knows
// the client's address, and outside of everything that costs more. free, if not nil, tells
// requests that are not asked about: probes, and forward-auth, which asks for the client itself.
func (l *Limits) Addresses(next http.Handler, free func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if free != nil && free(r) {
			next.ServeHTTP(w, r)
			return
		}
		var hold Hold
		defer hold.Leave()
		err := l.Address(r.Context(), &hold)
		l.serve(w, r, next, err, hold.tightest)
	})
}

// Callers does the same with the limits of whoever is signed in. It must stand inside
// Authenticate.
func (l *Limits) Callers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := makerguard.PrincipalFrom(r.Context())
		var hold Hold
		defer hold.Leave()
		err := l.Caller(r.Context(), &hold, p, nil)
		l.serve(w, r, next, err, hold.tightest)
	})
}

func (l *Limits) serve(w http.ResponseWriter, r *http.Request, next http.Handler, err error, tightest Burst) {
	if err != nil {
		fail(w, r, l.cfg.Logger, err)
		return
	}
	SetBurst(w.Header(), tightest)
	next.ServeHTTP(w, r)
}

// Address asks the limits per address that hold everywhere. Like Route and Caller it returns
// RateLimitExceeded if one refuses; the hold must be left in any case.
func (l *Limits) Address(ctx context.Context, hold *Hold) error {
	if l == nil {
		return nil
	}
	return l.ask(ctx, hold, nil, l.cfg.Access.Policy().AddressRates(), nil)
}

// Route asks limits of a route that need no caller.
func (l *Limits) Route(ctx context.Context, hold *Hold, rates []rbac.Rate) error {
	if l == nil {
		return nil
	}
	return l.ask(ctx, hold, nil, nil, rates)
}

// Caller asks the limits of p, those that hold everywhere and those of the route that p asks
// for. It returns StoreUnavailable if an exact limit cannot be counted.
func (l *Limits) Caller(ctx context.Context, hold *Hold, p *makerguard.Principal, route []rbac.Rate) error {
	if l == nil || p == nil { // who is nobody is stopped by what asks for somebody
		return nil
	}
	return l.ask(ctx, hold, p, l.cfg.Access.Policy().CallerRates(p.Tier), route)
}

// ask asks two lists, each in its order, as one; of limits alike the route's comes first, which
// is the narrower.
func (l *Limits) ask(ctx context.Context, hold *Hold, p *makerguard.Principal, general, route []rbac.Rate) error {
	if len(general)+len(route) == 0 {
		return nil
	}
	client := makerguard.ClientFrom(ctx)
	for len(general)+len(route) > 0 {
		var r *rbac.Rate
		if len(route) == 0 || len(general) > 0 && general[0].Compare(route[0]) < 0 {
			r, general = &general[0], general[1:]
		} else {
			r, route = &route[0], route[1:]
		}
		if err := l.askOne(ctx, hold, r, p, client); err != nil {
			return err
		}
	}
	return nil
}

// askOne asks one limit.
func (l *Limits) askOne(ctx context.Context, hold *Hold, r *rbac.Rate, p *makerguard.Principal, client makerguard.Client) error {
	var room [2][keyRoom]byte
	subject, group, ok := appendKeys(room[0][:0], room[1][:0], r, p, client.IP)
	if !ok {
		return nil
	}
	limiter := l.callers
	if r.Per == rbac.PerAddress {
		limiter = l.addresses
	}
	var burst Burst
	var wait time.Duration
	if r.Concurrent > 0 {
		slot, ok := l.inFlight.Enter(subject, r.Concurrent)
		if ok {
			hold.slots = append(hold.slots, slot)
			return nil
		}
		burst, wait = Burst{Name: atOnceNames[r.Per], Quota: r.Concurrent, Concurrent: true}, retryConcurrent
	} else {
		res, err := take(ctx, limiter, r, subject, group)
		if err != nil {
			return err
		}
		burst, wait = burstOf(r, res), res.RetryAfter
		if res.Allowed {
			if hold.tightest.Name == "" || burst.tighter(hold.tightest) {
				hold.tightest = burst
			}
			return nil
		}
	}
	if l.cfg.Refused != nil {
		subject = append(subject, " refused"...)
		if limiter.Take(subject, group, ratelimit.Rate{Interval: time.Minute, Burst: 1}).Allowed {
			l.cfg.Refused(ctx, nameOf(r), p, client)
		}
	}
	return refuse(r, burst, wait)
}

func take(ctx context.Context, limiter *ratelimit.Limiter, r *rbac.Rate, subject, group []byte) (makerguard.RateResult, error) {
	rate := ratelimit.Rate{Interval: r.Interval, Burst: r.Burst}
	if r.Exact {
		return limiter.TakeExact(ctx, subject, rate)
	}
	return limiter.Take(subject, group, rate), nil
}

func burstOf(r *rbac.Rate, res makerguard.RateResult) Burst {
	return Burst{
		Name: burstNames[r.Per], Quota: r.Burst, Remaining: res.Remaining, Window: time.Duration(r.Burst) * r.Interval,
		Reset: time.Duration(r.Burst-res.Remaining) * r.Interval,
	}
}

// keyRoom is enough for a key of usual ids.
const keyRoom = 128

// appendKeys appends whose units a limit counts and the wider circle that ratelimit.Limiter
// asks for, which is nil if there is none; ok is false if the limit does not hold for p. Keys
// begin with the limit's ID, so that limits never share a count.
func appendKeys(subject, group []byte, r *rbac.Rate, p *makerguard.Principal, ip string) (_, _ []byte, ok bool) {
	subject = append(append(subject, r.ID...), ':')
	switch r.Per {
	case rbac.PerAddress:
		subject, group = appendAddress(subject, append(append(group, r.ID...), '/'), ip)
		return subject, group, true
	case rbac.PerRoute:
		return subject, nil, true
	case rbac.PerManufacturer:
		return append(subject, p.ManufacturerID...), nil, true
	case rbac.PerMember:
		subject = append(subject, p.ManufacturerID...)
		if p.Kind == makerguard.KindAPIKey {
			subject = appendAPIKey(subject, p)
		} else {
			subject = append(append(subject, '/'), p.MemberID...)
		}
	case rbac.PerKey:
		if p.Kind != makerguard.KindAPIKey {
			return nil, nil, false
		}
		subject = appendAPIKey(append(subject, p.ManufacturerID...), p)
	}
	return subject, append(append(append(group, r.ID...), '/'), p.ManufacturerID...), true
}

// appendAPIKey names an API key by all that may tell it from others of its manufacturer, and
// from members.
func appendAPIKey(dst []byte, p *makerguard.Principal) []byte {
	dst = append(append(dst, "//"...), p.MemberID...)
	return append(append(dst, '/'), p.SessionID...)
}

// appendAddress names an IPv4 address or the /64 of an IPv6 one, which is the least that a
// customer has, and as its circle the /16 or /32. What is no address counts as one with all
// others, so nobody gets past by being unknown.
func appendAddress(subject, group []byte, ip string) (_, _ []byte) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return subject, nil
	}
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return append(subject, b[:]...), append(group, b[:2]...)
	}
	b := a.As16()
	return append(subject, b[:8]...), append(group, b[:4]...)
}
