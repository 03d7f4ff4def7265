package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

// Demand is what a request needs to be let through.
type Demand struct {
	Permission makerguard.Permission // rbac.Authenticated lets any caller pass
	Meters     []makerguard.Meter    // one unit of each; the API call itself is counted besides
	// StepUp, if positive, is how long ago the caller may have proved who they are.
	StepUp time.Duration
}

// Gate lets requests through as the policy allows and counts them.
type Gate struct {
	Access *rbac.Authorizer
	Now    func() time.Time
	Logger *slog.Logger
	// Denied, if set, is told of every refusal for want of a permission.
	Denied func(ctx context.Context, p *makerguard.Principal, target string)
}

// maxMeters is how many meters one request can draw on: its own and API calls.
const maxMeters = 5

// Pass is a request that was let through, with the units set aside for it.
type Pass struct {
	held  [maxMeters]makerguard.Reservation
	state [maxMeters]Allowance
	n     int
	at    time.Time // when it was decided
}

// Admit decides whether p may do what d demands and sets the units aside. The error
// answers the caller: AuthenticationRequired, StepUpRequired,
// InsufficientPermissions, UsageLimitExceeded or what kept the store from answering.
func (g *Gate) Admit(ctx context.Context, p *makerguard.Principal, d Demand) (Pass, error) {
	var pass Pass
	if p == nil {
		return pass, &makerguard.Error{Code: makerguard.AuthenticationRequired, Message: "send an access token in the header Authorization: Bearer"}
	}
	now := g.Now()
	pass.at = now
	if d.StepUp > 0 && now.Sub(p.AuthTime) > d.StepUp {
		return pass, &makerguard.Error{
			Code: makerguard.StepUpRequired, Message: "this needs a recent sign-in; prove who you are at /v1/auth/step-up",
			Details: map[string]any{"max_age": int64(d.StepUp / time.Second)},
		}
	}
	var err error
	for _, m := range d.Meters {
		if m == makerguard.APICalls {
			continue // counted below, once
		}
		if err = pass.take(ctx, g.Access, p, d.Permission, m); err != nil {
			break
		}
	}
	if err == nil {
		err = pass.take(ctx, g.Access, p, d.Permission, makerguard.APICalls)
	}
	if err != nil {
		pass.release()
		if g.Denied != nil && makerguard.CodeOf(err) == makerguard.InsufficientPermissions {
			g.Denied(ctx, p, string(d.Permission))
		}
		return Pass{}, err
	}
	return pass, nil
}

func (p *Pass) take(ctx context.Context, a *rbac.Authorizer, pr *makerguard.Principal, perm makerguard.Permission, m makerguard.Meter) error {
	d, r, err := a.Acquire(ctx, pr, perm, m, 1)
	if err != nil {
		return err
	}
	p.held[p.n] = r
	p.state[p.n] = Allowance{Meter: m, Limit: d.Limit, Remaining: d.Remaining, Period: r.Period()}
	p.n++
	return nil
}

// Allowances tells how the meters stand.
func (p *Pass) Allowances() []Allowance { return p.state[:p.n] }

// Done ends the reservations. The API call counts in any case, it was let through;
// the units of other meters count only if what they were for was done.
func (p *Pass) Done(done bool) {
	last := p.n - 1
	if last < 0 {
		return
	}
	p.held[last].Commit()
	for i := range last {
		if done {
			p.held[i].Commit()
		} else {
			p.held[i].Release()
		}
	}
}

func (p *Pass) release() {
	for i := range p.n {
		p.held[i].Release()
	}
}

// Require lets requests through to next only as d demands. Units of its meters are given
// back unless the answer is below 400.
func (g *Gate) Require(d Demand, next http.Handler) http.Handler {
	if len(d.Meters) >= maxMeters {
		panic("middleware: a route can draw on at most 4 meters")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := makerguard.PrincipalFrom(r.Context())
		pass, err := g.Admit(r.Context(), p, d)
		if err != nil {
			fail(w, r, g.Logger, err)
			return
		}
		SetRateLimit(w.Header(), pass.at, pass.Allowances()...)
		rec := record(w)
		finished := false
		defer func() { pass.Done(finished && rec.status < http.StatusBadRequest) }()
		next.ServeHTTP(rec, r)
		finished = true
	})
}
