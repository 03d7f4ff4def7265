package makerguard

import (
	"context"
	"sync/atomic"
	"time"
)

// PrincipalKind tells what sort of caller a principal is, so that a machine can
// never be taken for a person with the same id.
type PrincipalKind string

// The kinds of principals.
const (
	KindMember PrincipalKind = "member"
	KindAPIKey PrincipalKind = "api_key"
)

// Principal is who makes a request, as live as the session cache: tier, role and
// grants are those of now, not those written in the token. It is immutable and
// shared between requests.
type Principal struct {
	Kind           PrincipalKind
	ManufacturerID ManufacturerID
	MemberID       MemberID
	SessionID      SessionID
	Email          string
	Tier           Tier
	Role           Role
	Grants         []Permission
	AMR            []string
	AuthTime       time.Time
	// TimeZone and AnchorDay are the manufacturer's: they say when the month of its
	// meters begins.
	TimeZone  string
	AnchorDay int
}

// Operator reports whether p is a member of the platform tenant.
func (p *Principal) Operator() bool { return p.ManufacturerID == PlatformID }

// MeterAccount is whose meters p's uses count on.
func (p *Principal) MeterAccount() MeterAccount {
	return MeterAccount{ManufacturerID: p.ManufacturerID, TimeZone: p.TimeZone, AnchorDay: p.AnchorDay}
}

// Client is where a request comes from, as far as the trusted proxies can tell.
type Client struct {
	IP        string // without port
	UserAgent string
	RequestID string
}

type (
	principalKey struct{}
	clientKey    struct{}
	visitKey     struct{}
)

// WithPrincipal returns a context that carries p. Only middleware calls it.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who makes the request of ctx; false if nobody was
// authenticated.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}

// WithClient returns a context that carries c. Only middleware calls it.
func WithClient(ctx context.Context, c *Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// ClientFrom returns where the request of ctx comes from; the zero Client if
// it is unknown.
func ClientFrom(ctx context.Context) Client {
	if c, ok := ctx.Value(clientKey{}).(*Client); ok {
		return *c
	}
	return Client{}
}

// Visit is the context of a request, from where it comes in on: it carries the client and, once
// it is known who that is, the principal, without another copy of the request. Only
// middleware makes one. It must not be copied.
type Visit struct {
	context.Context
	Client    Client
	principal atomic.Pointer[Principal]
}

// VisitFrom returns the visit that ctx is or was derived from; false if there is none.
func VisitFrom(ctx context.Context) (*Visit, bool) {
	v, ok := ctx.Value(visitKey{}).(*Visit)
	return v, ok
}

// Identify says who makes the request, and reports whether that was unknown: who it is can be
// said once. It must be called before the request is handed to what asks for the principal.
func (v *Visit) Identify(p *Principal) bool { return v.principal.CompareAndSwap(nil, p) }

// Value gives what ClientFrom, PrincipalFrom and VisitFrom ask for, and else what the context of
// which it is a visit has.
func (v *Visit) Value(key any) any {
	switch key.(type) {
	case clientKey:
		return &v.Client
	case principalKey:
		if p := v.principal.Load(); p != nil {
			return p
		}
	case visitKey:
		return v
	}
	return v.Context.Value(key)
}
