package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
)

func (s *Server) oauthRoutes() {
	tag := "tokens"
	handle(s, operation{method: "POST", path: "/v1/auth/introspect", tag: tag, summary: "What a token stands for (RFC 7662)", access: with(makerguard.IntrospectTokens)}, s.introspect)
	handle(s, operation{method: "POST", path: "/v1/auth/revoke", tag: tag, summary: "End the session of a token you hold (RFC 7009)", status: http.StatusOK, access: anyone}, s.revoke)
}

// form is a body in the form encoding that both RFCs ask for.
type form struct {
	RawBody []byte `contentType:"application/x-www-form-urlencoded"`
}

// token gives the parameter both operations have.
func (f *form) token() (string, error) {
	values, err := url.ParseQuery(string(f.RawBody))
	if err != nil {
		return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the body is not form-encoded", Err: err}
	}
	for name, v := range values {
		if len(v) > 1 { // RFC 6749 section 3.2: parameters are not repeated
			return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the parameter " + printable(name) + " occurs more than once"}
		}
	}
	tok := values.Get("token")
	if tok == "" {
		return "", &makerguard.Error{Code: makerguard.ValidationFailed, Message: "the parameter token is missing"}
	}
	return tok, nil
}

func printable(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}

func (s *Server) introspect(ctx context.Context, c call, in *form) (*body[api.IntrospectionResponse], error) {
	tok, err := in.token()
	if err != nil {
		return nil, err
	}
	i, err := s.guard.Auth.Introspect(ctx, c.principal, tok)
	if err != nil {
		return nil, err
	}
	if !i.Active {
		return &body[api.IntrospectionResponse]{}, nil
	}
	return &body[api.IntrospectionResponse]{api.IntrospectionResponse{
		Active: true, TokenType: i.TokenType, Issuer: i.Issuer, Subject: string(i.Subject), Audience: i.Audience, ClientID: i.ClientID,
		ExpiresAt: unix(i.Expires), IssuedAt: unix(i.IssuedAt), NotBefore: unix(i.NotBefore), TokenID: i.TokenID,
		Session: string(i.SessionID), Manufacturer: string(i.ManufacturerID), Tier: string(i.Tier), Role: string(i.Role), AMR: i.AMR,
	}}, nil
}

func (s *Server) revoke(ctx context.Context, c call, in *form) (*none, error) {
	tok, err := in.token()
	if err != nil {
		return nil, err
	}
	return nil, s.guard.Auth.RevokeToken(ctx, tok, c.client)
}

func (s *Server) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"] = []string{"application/jwk-set+json"}
	h["Cache-Control"] = []string{"public, max-age=60"}
	_, _ = w.Write(s.guard.Tokens.JWKS())
}

// unix gives t in seconds, 0 for the zero time, which is left out.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
