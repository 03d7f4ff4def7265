package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/makerguard/makerguard"
)

// Authenticator tells who a credential belongs to. *auth.Service is one.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*makerguard.Principal, error)
}

// Authenticate puts the principal of the request's bearer token into its context. A
// request without credential goes on as nobody's; Require stops it where that
// matters. One with a bad credential is answered 401 here and now.
func Authenticate(a Authenticator, logger *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tok, err := Bearer(r.Header)
			if err != nil {
				fail(w, r, logger, err)
				return
			}
			if tok == "" {
				next.ServeHTTP(w, r)
				return
			}
			p, err := a.Authenticate(r.Context(), tok)
			if err != nil {
				fail(w, r, logger, err)
				return
			}
			next.ServeHTTP(w, identify(r, p))
		})
	}
}

// identify gives the request with p as its caller. If nobody was known yet its visit is told,
// which saves a copy of the request.
func identify(r *http.Request, p *makerguard.Principal) *http.Request {
	ctx := r.Context()
	if _, known := makerguard.PrincipalFrom(ctx); !known {
		if v, ok := makerguard.VisitFrom(ctx); ok && v.Identify(p) {
			return r
		}
	}
	return r.WithContext(makerguard.WithPrincipal(ctx, p))
}

// Bearer gives the token of the Authorization header (RFC 6750), "" if there is none
// or it has another scheme, which is none of our business. Two Authorization headers are
// MalformedRequest: proxies differ in which they take.
func Bearer(h http.Header) (string, error) {
	v := h["Authorization"]
	if len(v) == 0 {
		return "", nil
	}
	if len(v) > 1 {
		return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the request has more than one Authorization header"}
	}
	scheme, tok, ok := strings.Cut(v[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.TrimSpace(tok), nil
}
