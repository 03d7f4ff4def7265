// Package server is makerguard's HTTP API (v1) over a guard.Guard: the route table,
// the OpenAPI document made from it, forward-auth, health and metrics.
//
// Every operation is a row with an access rule; one without a rule does not start.
// Errors leave as RFC 9457 problems and in no other way. What a caller may see or
// change is decided below, in package guard and the domain packages; here is only
// what is HTTP.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/gateway"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/problem"
)

// Config says what a Server serves.
type Config struct {
	Guard   *guard.Guard
	Store   *StoreMetrics // of the store under Guard; nil for none
	Version string        // of the binary, shown in the OpenAPI document
	Logger  *slog.Logger  // nil discards
	Now     func() time.Time
}

// Server is the HTTP API. It is safe for concurrent use and holds nothing that
// needs closing; the Guard is its owner's.
type Server struct {
	guard      *guard.Guard
	screen     middleware.Authenticator // refuses who is blocked
	logger     *slog.Logger
	version    string
	now        func() time.Time
	mux        *http.ServeMux
	api        huma.API
	metrics    *metrics
	operations []operation
	quiet      map[string]bool // patterns of plain routes
	document   func() (document, error)
	handler    http.Handler
}

// New builds the server. It fails only on a missing Guard; a wrong route table panics,
// since no configuration can cause it.
func New(cfg Config) (*Server, error) {
	if cfg.Guard == nil {
		return nil, errors.New("server: Config.Guard is missing")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	configureHuma()
	s := &Server{guard: cfg.Guard, screen: cfg.Guard.Defense.Screen(cfg.Guard.Auth), logger: cfg.Logger, version: cfg.Version, now: cfg.Now, mux: http.NewServeMux(), quiet: map[string]bool{}, metrics: newMetrics(cfg.Guard, cfg.Store)}
	hc := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "makerguard", Version: cfg.Version,
				Description: "Sign-in, access and quotas, encryption and threat detection for manufacturers.",
				License:     &huma.License{Name: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"}},
			},
		},
		// "json" is what huma looks up for application/problem+json.
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	s.api = humago.New(s.mux, hc)
	s.routes()
	for _, op := range s.operations {
		s.describeProblems(s.findOperation(op))
	}
	s.document = sync.OnceValues(s.render)
	edge := middleware.Edge{
		Proxies: cfg.Guard.Proxies, Logger: cfg.Logger, Observer: s.metrics, Now: cfg.Now,
		Quiet: func(r *http.Request) bool { return s.quiet[r.Pattern] },
	}
	s.handler = edge.Handler(s.common(s.guard.Defense.Blocks(probe).Handler(s.guard.Limits().Addresses(s.mux, unlimited))))
	return s, nil
}

// Handler is the whole API.
func (s *Server) Handler() http.Handler { return s.handler }

// routes is the route table. Related operations are declared beside their handlers.
func (s *Server) routes() {
	s.signInRoutes()
	s.sessionRoutes()
	s.factorRoutes()
	s.accountRoutes()
	s.accessRoutes()
	s.encryptionRoutes()
	s.securityRoutes()
	s.imageRoutes()
	s.scoreRoutes()
	s.blockRoutes()
	s.threatRoutes()
	s.ruleRoutes()
	s.memberRoutes()
	s.adminRoutes()
	s.keyRoutes()
	s.policyRoutes()
	s.oauthRoutes()
	s.gatewayRoutes()
	s.systemRoutes()
	s.mux.HandleFunc("/", s.serveNothing)
}

// unlimited tells what the rates of addresses do not concern here: probes, and forward-auth, which
// asks for the client's address itself.
func unlimited(r *http.Request) bool {
	path := r.URL.Path
	return path == "/healthz" || path == "/readyz" || path == "/v1/forward-auth" || strings.HasPrefix(path, "/v1/forward-auth/")
}

func (s *Server) gatewayRoutes() {
	for _, proxy := range []struct {
		path    string
		dialect gateway.Dialect
	}{{"", gateway.Forwarded}, {"/caddy", gateway.Forwarded}, {"/traefik", gateway.Forwarded}, {"/nginx", gateway.Nginx}} {
		// Who may pass is the policy's to say, and who may ask --trusted-proxies'.
		s.plain(operation{path: "/v1/forward-auth" + proxy.path, tag: "gateway", summary: "Whether a request to the application may pass, and whose it is", access: anyone},
			gateway.ForwardAuth(s.guard.Gateway(), proxy.dialect).ServeHTTP)
	}
}

// common is what every answer of the API has: no rendering as a page, no caching; and
// what no request may have: a path that two parsers could read differently.
func (s *Server) common(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Security-Policy"] = apiPolicy
		h["Cache-Control"] = noStore
		if err := gateway.CheckTarget(r.RequestURI); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(&charset{w}, r)
	})
}

// The values are shared by all answers; nobody may change them.
var (
	apiPolicy = []string{"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
	noStore   = []string{"no-store"}
)

// charset completes the content type that huma sets (OWASP ASVS 5 V4.1.1).
type charset struct{ http.ResponseWriter }

func (c *charset) WriteHeader(status int) {
	if h := c.Header(); len(h["Content-Type"]) == 1 && h["Content-Type"][0] == "application/json" {
		h["Content-Type"] = jsonType
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *charset) Unwrap() http.ResponseWriter { return c.ResponseWriter }

var jsonType = []string{"application/json; charset=utf-8"}

// methods are those a route may have.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// serveNothing answers what no route matched: 405 with Allow if another method would
// have matched, else 404.
func (s *Server) serveNothing(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range methods {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		s.fail(w, r, &makerguard.Error{Code: makerguard.NotFound, Message: "no operation has this path; /docs lists them all"})
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.fail(w, r, &makerguard.Error{Code: makerguard.MethodNotAllowed, Message: "this path takes " + strings.Join(allowed, ", ")})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.logFailure(r.Context(), err)
	middleware.SetRefusal(w.Header(), err)
	problem.Write(w, err, makerguard.ClientFrom(r.Context()).RequestID)
}

func (s *Server) logFailure(ctx context.Context, err error) {
	middleware.LogFailure(ctx, s.logger, err)
}
