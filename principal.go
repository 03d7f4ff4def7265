package makerguard

import (
	"context"
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

type principalKey struct{}

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

type clientKey struct{}

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
