package server

import (
	"net/http"

	"github.com/makerguard/makerguard"
)

func (s *Server) systemRoutes() {
	tag := "system"
	s.plain(operation{method: "GET", path: "/.well-known/jwks.json", media: "application/jwk-set+json", tag: tag, summary: "The keys that tokens are signed with (RFC 7517)", access: anyone}, s.serveJWKS)
	s.plain(operation{method: "GET", path: "/openapi.json", media: "application/json", tag: tag, summary: "This API as an OpenAPI document", access: anyone}, s.serveSpec)
	s.plain(operation{method: "GET", path: "/docs", media: "text/html", tag: tag, summary: "This API for people", access: anyone}, s.serveDocs)
	s.plain(operation{method: "GET", path: "/docs/docs.css", media: "text/css", tag: tag, summary: "The style of that page", access: anyone}, s.serveDocsStyle)
	s.plain(operation{method: "GET", path: "/healthz", media: "application/json", tag: tag, summary: "Whether the process lives", access: anyone}, s.serveHealth)
	s.plain(operation{method: "GET", path: "/readyz", media: "application/json", tag: tag, summary: "Whether the store answers", access: anyone}, s.serveReady)
	s.plain(operation{method: "GET", path: "/metrics", media: "text/plain", tag: tag, summary: "Prometheus metrics", access: with(makerguard.ViewMetrics)}, s.metrics.handler.ServeHTTP)
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, "ok")
}

// serveReady answers 503 while the store is away, so that a balancer sends nobody here.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	if err := s.guard.Ready(r.Context()); err != nil {
		writeStatus(w, http.StatusServiceUnavailable, "unavailable")
		return
	}
	writeStatus(w, http.StatusOK, "ok")
}

func writeStatus(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"status":"` + text + `"}` + "\n"))
}

// AdminHandler serves metrics and health to everybody, for a listener that only
// operators reach.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	return mux
}
