package gateway

import (
	"net/http"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/problem"
)

// identityHeaders are set on every answer that lets a request through, empty where there
// is nothing to say: a proxy that copies them to the upstream then always overwrites
// what the client may have sent under these names.
var identityHeaders = [...]string{
	"X-Makerguard-Manufacturer", "X-Makerguard-Member", "X-Makerguard-Session",
	"X-Makerguard-Tier", "X-Makerguard-Role", "X-Makerguard-Identity",
}

// Dialect is how a proxy tells of the request it asks about: the names of the headers with
// its method and its target. Where there are two of either, any one will do, and both
// must agree: the one the proxy does not set could be the client's.
type Dialect struct{ methods, targets []string }

// The dialects.
var (
	// Forwarded is that of Caddy, Traefik and most others.
	Forwarded = Dialect{[]string{"X-Forwarded-Method"}, []string{"X-Forwarded-Uri"}}
	// Nginx is also that of the examples in nginx's documentation.
	Nginx = Dialect{[]string{"X-Forwarded-Method", "X-Original-Method"}, []string{"X-Forwarded-Uri", "X-Original-Uri"}}
)

// ForwardAuth answers the question a proxy asks before it passes a request on: 200 with
// identity headers, or the problem that the client is to get. The request asked about
// is told as the dialect has it, its credential in Authorization. Only trusted proxies
// may ask, since anybody else could make up the rest.
func ForwardAuth(g *Gateway, d Dialect) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := g.ask(r, d)
		defer v.Hold.Leave() // the request itself is out of sight from here on
		client := makerguard.ClientFrom(r.Context())
		if err != nil {
			middleware.LogFailure(r.Context(), g.cfg.Logger, err)
			middleware.SetRefusal(w.Header(), err)
			problem.Write(w, err, client.RequestID)
			return
		}
		var values [len(identityHeaders)]string
		if p := v.Principal; p != nil {
			identity, err := g.cfg.Identifier.Identity(p)
			if err != nil {
				middleware.LogFailure(r.Context(), g.cfg.Logger, err)
				problem.Write(w, err, client.RequestID)
				return
			}
			values = [...]string{string(p.ManufacturerID), string(p.MemberID), string(p.SessionID), string(p.Tier), string(p.Role), identity}
		}
		h := w.Header()
		for i, name := range identityHeaders {
			h[name] = []string{values[i]}
		}
		middleware.SetBurst(h, v.Hold.Burst())
		middleware.SetRateLimit(h, g.cfg.Gate.Now(), v.Allowances...)
		w.WriteHeader(http.StatusOK)
	})
}

// ask reads the question out of the proxy's headers and decides it.
func (g *Gateway) ask(r *http.Request, d Dialect) (Verdict, error) {
	if !g.cfg.Proxies.Peer(r) {
		return Verdict{}, &makerguard.Error{
			Code:    makerguard.InsufficientPermissions,
			Message: "only trusted proxies may ask; start makerguard with --trusted-proxies and the network of this one",
		}
	}
	method, err := single(r.Header, d.methods)
	if err != nil {
		return Verdict{}, err
	}
	target, err := single(r.Header, d.targets)
	if err != nil {
		return Verdict{}, err
	}
	return g.Decide(r.Context(), Request{Method: method, Target: target, Header: r.Header})
}

// single gives the one value of headers that mean the same; of two that differ, or two
// copies, one could be the client's.
func single(h http.Header, names []string) (string, error) {
	value := ""
	for _, name := range names {
		v := h[name]
		if len(v) == 0 {
			continue
		}
		if len(v) > 1 || v[0] == "" || value != "" && v[0] != value {
			return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "forward-auth needs one value of " + strings.Join(names, " or ") + "; set it in the proxy, over what the client sent"}
		}
		value = v[0]
	}
	if value == "" {
		return "", &makerguard.Error{Code: makerguard.MalformedRequest, Message: "forward-auth needs the header " + strings.Join(names, " or ") + "; set it in the proxy"}
	}
	return value, nil
}
