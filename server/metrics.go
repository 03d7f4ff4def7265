package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
)

// metrics are the server's Prometheus metrics. No label holds a tenant, a person or a
// path, so that their number is bounded and they tell nothing about anybody.
type metrics struct {
	requests *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics(g *guard.Guard, store *StoreMetrics) *metrics {
	reg := prometheus.NewRegistry()
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "makerguard_http_request_duration_seconds", Help: "Time to answer, by route and status.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5},
		}, []string{"method", "route", "status"}),
		handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
	}
	reg.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range authMetrics(g.Auth) {
		reg.MustRegister(c)
	}
	reg.MustRegister(embeddedMetrics(g)...)
	reg.MustRegister(threatMetrics(g)...)
	if store != nil {
		reg.MustRegister(store.collectors()...)
	}
	return m
}

// authMetrics are what sign-in and the session cache are doing.
func authMetrics(a *auth.Service) []prometheus.Collector {
	gauge := func(name, help string, value func(auth.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(a.Stats()) })
	}
	counter := func(name, help string, value func(auth.Stats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(a.Stats()) })
	}
	return []prometheus.Collector{
		counter("makerguard_password_hashes_total", "Passwords hashed, to set or to check one.", func(s auth.Stats) float64 { return float64(s.Hashes) }),
		gauge("makerguard_password_hashes_inflight", "Callers that hash a password or wait for it.", func(s auth.Stats) float64 { return float64(s.Hashing) }),
		gauge("makerguard_tokens_cached", "Access tokens whose signature is remembered as good.", func(s auth.Stats) float64 { return float64(s.Tokens) }),
		gauge("makerguard_sessions_cached", "Sessions kept ready.", func(s auth.Stats) float64 { return float64(s.Sessions) }),
		counter("makerguard_sessions_loaded_total", "Sessions read from the store.", func(s auth.Stats) float64 { return float64(s.SessionsLoaded) }),
		counter("makerguard_sessions_dropped_total", "Sessions forgotten because of a change.", func(s auth.Stats) float64 { return float64(s.SessionsDropped) }),
	}
}

// ObserveRequest implements middleware.Observer.
func (m *metrics) ObserveRequest(method, pattern string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other"
	}
	if pattern == "/" || pattern == "" {
		pattern = "unmatched"
	}
	m.requests.WithLabelValues(method, pattern, strconv.Itoa(status)).Observe(took.Seconds())
}
