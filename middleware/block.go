package middleware

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/makerguard/makerguard"
)

// BlockList tells who is blocked. *abuse.Service is one.
type BlockList interface {
	// CheckAddress returns SecurityThreatDetected if requests from an address are refused.
	CheckAddress(ip string) error
	// CheckPrincipal returns SecurityThreatDetected if requests of p are refused.
	CheckPrincipal(p *makerguard.Principal) error
	// ObserveUse notes that p's credential was used from an address.
	ObserveUse(p *makerguard.Principal, ip string)
}

// Blocks refuses requests from blocked addresses, before anything else is done for them. It must
// stand inside Edge, which knows the client's address.
type Blocks struct {
	List   BlockList
	Logger *slog.Logger
	// Free, if set, tells requests that are answered in any case, such as probes.
	Free func(*http.Request) bool
}

// Handler answers requests from blocked addresses 403 SecurityThreatDetected and hands
// the others to next.
func (b Blocks) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.List.CheckAddress(makerguard.ClientFrom(r.Context()).IP); err != nil && (b.Free == nil || !b.Free(r)) {
			fail(w, r, b.Logger, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Screened is an Authenticator that refuses members and manufacturers that are blocked.
type Screened struct {
	Authenticator
	List BlockList
}

// Authenticate does what the Authenticator does; of who is blocked it returns
// SecurityThreatDetected.
func (s Screened) Authenticate(ctx context.Context, token string) (*makerguard.Principal, error) {
	p, err := s.Authenticator.Authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := s.List.CheckPrincipal(p); err != nil {
		return nil, err
	}
	s.List.ObserveUse(p, makerguard.ClientFrom(ctx).IP)
	return p, nil
}
