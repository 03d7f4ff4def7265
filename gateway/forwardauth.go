package gateway

import (
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/problem"
)

// identityHeaders are set on every answer that lets a request through, empty where there
// is nothing to say: a proxy that copies them to the upstream then always overwrites
// what the client may have sent under these names.
var identityHeaders = []string{
	"X-Makerguard-Manufacturer", "X-Makerguard-Member", "X-Makerguard-Session",
	"X-Makerguard-Tier", "X-Makerguard-Role", "X-Makerguard-Identity",
}

// ForwardAuth answers the question a proxy asks before it passes a request on: 200 with
// identity headers, or the problem that the client is to get. The request asked about
// is told in X-Forwarded-Method and X-Forwarded-Uri, its credential in Authorization.
// Only trusted proxies may ask, since anybody else could make up the rest.
func ForwardAuth(g *Gateway) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := g.ask(r)
		client := makerguard.ClientFrom(r.Context())
		if err != nil {
			middleware.LogFailure(r.Context(), g.cfg.Logger, err)
			problem.Write(w, err, client.RequestID)
			return
		}
		h := w.Header()
		for _, name := range identityHeaders {
			h[name] = []string{""}
		}
		if p := v.Principal; p != nil {
			identity, err := g.cfg.Identifier.Identity(p)
			if err != nil {
				middleware.LogFailure(r.Context(), g.cfg.Logger, err)
				problem.Write(w, err, client.RequestID)
				return
			}
			for i, value := range [...]string{string(p.ManufacturerID), string(p.MemberID), string(p.SessionID), string(p.Tier), string(p.Role), identity} {
				h[identityHeaders[i]][0] = value
			}
		}
		middleware.SetRateLimit(h, g.cfg.Gate.Now(), v.Allowances...)
		w.WriteHeader(http.StatusOK)
	})
}

// ask reads the question out of the proxy's headers and decides it.
func (g *Gateway) ask(r *http.Request) (Verdict, error) {
	if !g.cfg.Proxies.Peer(r) {
		return Verdict{}, &makerguard.Error{
			Code:    makerguard.InsufficientPermissions,
			Message: "only trusted proxies may ask; start makerguard with --trusted-proxies and the network of this one",
		}
	}
	method, err := single(r.Header, "X-Forwarded-Method")
	if err != nil {
		return Verdict{}, err
	}
	target, err := single(r.Header, "X-Forwarded-Uri")
	if err != nil {
		return Verdict{}, err
	}
	return g.Decide(r.Context(), Request{Method: method, Target: target, Header: r.Header})
}

// single gives a header that must be there exactly once; of two copies one could be the
// client's.
func single(h http.Header, name string) (string, error) {
	v := h[name]
	if len(v) != 1 || v[0] == "" {
		return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "forward-auth needs the header " + name + " exactly once; set it in the proxy"}
	}
	return v[0], nil
}
