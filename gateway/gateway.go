// Package gateway stands in front of an application in any language and answers for
// each request to it what the policy's routes say: who may make it, what it counts
// against, whether it is inspected. ForwardAuth puts that answer at the service of
// nginx, Caddy, Traefik and other proxies.
//
// Requests whose path two parsers could read differently are refused before any rule is
// looked at. What no rule matches is denied, unless the policy says otherwise. It
// sees only what the proxy tells of a request: bodies are not inspected by forward-auth.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
)

// Identifier signs who a request was let through for.
type Identifier interface {
	// Identity gives a token that says who p is, short-lived and made out to the
	// upstream.
	Identity(p *makerguard.Principal) (string, error)
}

// Config is what a Gateway is made of. All fields are required but Limits and Logger.
type Config struct {
	Authenticator middleware.Authenticator
	Gate          *middleware.Gate // decides by its Access's policy, whose routes are followed
	Inspection    *middleware.Inspection
	Identifier    Identifier
	Proxies       middleware.Proxies // who may ask forward-auth
	Observe       func(abuse.Event)  // told of what was let through; nil for nobody
	Limits        *middleware.Limits // on rates; nil: none
	Logger        *slog.Logger
}

// Gateway answers for requests to an application. It is safe for concurrent use.
type Gateway struct {
	cfg   Config
	table atomic.Pointer[table]
}

// New returns a Gateway.
func New(cfg Config) *Gateway {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Gateway{cfg: cfg}
}

// Request is a request to the application, as the proxy in front of it tells.
type Request struct {
	Method string
	Target string // path and query as they stood in the request line
	Header http.Header
}

// Verdict is a request that may go on.
type Verdict struct {
	Principal  *makerguard.Principal // nil on a public route
	Allowances []middleware.Allowance
	// Hold is the request's part in limits, to be left when the request has ended.
	Hold middleware.Hold
}

// Decide answers for a request: a Verdict, or the error that answers its sender. Uses are
// counted when it returns.
func (g *Gateway) Decide(ctx context.Context, r Request) (Verdict, error) {
	var hold middleware.Hold
	passed := false
	defer func() {
		if !passed {
			hold.Leave()
		}
	}()
	v, err := g.decide(ctx, r, &hold)
	if err != nil {
		return Verdict{}, err
	}
	passed, v.Hold = true, hold
	return v, nil
}

func (g *Gateway) decide(ctx context.Context, r Request, hold *middleware.Hold) (Verdict, error) {
	if err := g.cfg.Limits.Address(ctx, hold); err != nil {
		return Verdict{}, err
	}
	if err := CheckTarget(r.Target); err != nil {
		return Verdict{}, err
	}
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return Verdict{}, &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the request target is not a path and query"}
	}
	table, err := g.routes()
	if err != nil {
		return Verdict{}, err
	}
	route, err := table.match(r.Method, u)
	if err != nil {
		return Verdict{}, err
	}
	early, late := rbac.Split(route.Rates)
	if err := g.cfg.Limits.Route(ctx, hold, early); err != nil {
		return Verdict{}, err
	}
	var p *makerguard.Principal
	if route.Public {
		if err := g.cfg.Limits.Route(ctx, hold, late); err != nil {
			return Verdict{}, err
		}
	} else {
		tok, err := middleware.Bearer(r.Header)
		if err != nil {
			return Verdict{}, err
		}
		if tok == "" {
			return Verdict{}, &makerguard.Error{Code: makerguard.AuthenticationRequired, Message: "send an access token in the header Authorization: Bearer"}
		}
		if p, err = g.cfg.Authenticator.Authenticate(ctx, tok); err != nil {
			return Verdict{}, err
		}
		if err := g.cfg.Limits.Caller(ctx, hold, p, late); err != nil {
			return Verdict{}, err
		}
		if route.denied {
			return Verdict{}, &makerguard.Error{
				Code: makerguard.InsufficientPermissions, Message: "no rule of the policy allows this route",
				Details: map[string]any{"rule": "default"},
			}
		}
	}
	if err := g.inspect(ctx, p, route, r.Method, u, r.Header); err != nil {
		return Verdict{}, err
	}
	if route.Public {
		return Verdict{}, nil
	}
	demand := middleware.Demand{Permission: route.Permission, StepUp: route.StepUp}
	if route.Meter != "" {
		demand.Meters = []makerguard.Meter{route.Meter}
	}
	pass, err := g.cfg.Gate.Admit(ctx, p, demand)
	if err != nil {
		return Verdict{}, err
	}
	pass.Done(true)
	if e, ok := middleware.Admitted(ctx, p, r.Method, u.Path, demand.Meters); ok && g.cfg.Observe != nil {
		g.cfg.Observe(e)
	}
	return Verdict{Principal: p, Allowances: pass.Allowances()}, nil
}

func (g *Gateway) inspect(ctx context.Context, p *makerguard.Principal, route *route, method string, u *url.URL, h http.Header) error {
	if route.Inspect == rbac.InspectOff {
		return nil
	}
	in := *g.cfg.Inspection
	in.Monitor = in.Monitor || route.Inspect == rbac.InspectMonitor
	if found := in.Head(nil, u.Path, u.RawQuery, h); len(found) > 0 {
		return in.Refuse(ctx, p, method+" "+u.EscapedPath(), found)
	}
	return nil
}

// route is a rule, or the default where denied or nothing else is set.
type route struct {
	rbac.Route
	denied bool
}

// table is a policy's routes, compiled. The patterns and their precedence are those of
// http.ServeMux; its handlers only carry the rules.
type table struct {
	policy *rbac.Policy
	mux    *http.ServeMux
	other  *route // what has no rule
}

type carrier struct{ route *route }

func (*carrier) ServeHTTP(http.ResponseWriter, *http.Request) {}

// routes gives the table of the policy in force, compiling it when that has changed.
func (g *Gateway) routes() (*table, error) {
	policy := g.cfg.Gate.Access.Policy()
	if t := g.table.Load(); t != nil && t.policy == policy {
		return t, nil
	}
	t, err := compile(policy)
	if err != nil {
		return nil, err
	}
	g.table.Store(t)
	return t, nil
}

// CheckRoutes reports whether two of a policy's routes match the same requests with
// neither the more specific, so that nobody could say which decides. Ask it before a policy
// is put in force.
func CheckRoutes(p *rbac.Policy) error {
	_, err := compile(p)
	return err
}

func compile(policy *rbac.Policy) (t *table, err error) {
	t = &table{policy: policy, mux: http.NewServeMux(), other: &route{
		Route:  rbac.Route{Permission: rbac.Authenticated, Inspect: rbac.InspectBlock},
		denied: policy.Default() != rbac.DefaultAllow,
	}}
	defer func() {
		if p := recover(); p != nil { // how http.ServeMux refuses a pattern
			err = &makerguard.Error{Code: makerguard.ValidationFailed, Message: "the policy's routes conflict", Err: fmt.Errorf("compiling routes: %v", p)}
		}
	}()
	for _, r := range policy.Routes() {
		t.mux.Handle(r.Match, &carrier{&route{Route: r}})
	}
	return t, nil
}

func (t *table) match(method string, u *url.URL) (*route, error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return nil, &makerguard.Error{Code: makerguard.MethodNotAllowed, Message: "the method is none that rules are written for"}
	}
	h, pattern := t.mux.Handler(&http.Request{Method: method, URL: u, Host: u.Host})
	if c, ok := h.(*carrier); ok && pattern != "" {
		return c.route, nil
	}
	return t.other, nil
}
