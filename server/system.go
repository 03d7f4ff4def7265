package server

import (
	"net/http"

	"github.com/makerguard/makerguard"
)

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

// serveMetrics serves the metrics to callers who may view them.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authorize(r, with(makerguard.ViewMetrics)); err != nil {
		s.fail(w, r, err)
		return
	}
	s.metrics.handler.ServeHTTP(w, r)
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
