package server

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/store/sqlite"
)

// StoreMetrics counts what a MongoDB store does. It is made before the store, as its
// guard.Config.StoreObserver, and shown by the Server that it is given to.
type StoreMetrics struct {
	commands   *prometheus.HistogramVec
	failed     *prometheus.CounterVec
	waits      prometheus.Histogram
	open, used atomic.Int64
	gauges     []prometheus.Collector
}

// NewStoreMetrics returns metrics that nothing was counted in yet.
func NewStoreMetrics() *StoreMetrics {
	labels := []string{"command", "collection"} // both from the program, so their number is bounded
	m := &StoreMetrics{
		commands: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "makerguard_store_command_duration_seconds", Help: "Time the database took to answer, by command and collection.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, labels),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "makerguard_store_command_failures_total", Help: "Commands that the database did not answer, or not with success.",
		}, labels),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "makerguard_store_pool_wait_seconds", Help: "Time that operations waited for a connection.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 5},
		}),
	}
	gauge := func(name, help string, value *atomic.Int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value.Load()) })
	}
	m.gauges = []prometheus.Collector{
		gauge("makerguard_store_connections_open", "Connections to the database.", &m.open),
		gauge("makerguard_store_connections_in_use", "Connections to the database on which an operation is under way.", &m.used),
	}
	return m
}

// Command implements mongo.Observer.
func (m *StoreMetrics) Command(name, collection string, d time.Duration, failed bool) {
	m.commands.WithLabelValues(name, collection).Observe(d.Seconds())
	if failed {
		m.failed.WithLabelValues(name, collection).Inc()
	}
}

// Pool implements mongo.Observer.
func (m *StoreMetrics) Pool(open, inUse int) {
	m.open.Store(int64(open))
	m.used.Store(int64(inUse))
}

// Wait implements mongo.Observer.
func (m *StoreMetrics) Wait(d time.Duration, _ bool) { m.waits.Observe(d.Seconds()) }

// embeddedMetrics are what the embedded store does; none if there is another one.
func embeddedMetrics(g *guard.Guard) []prometheus.Collector {
	if _, ok := g.EmbeddedStats(); !ok {
		return nil
	}
	counter := func(name, help string, value func(sqlite.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			s, _ := g.EmbeddedStats()
			return float64(value(s))
		})
	}
	return []prometheus.Collector{
		counter("makerguard_store_queries_total", "Queries run by readers.", func(s sqlite.Stats) int64 { return s.Queries }),
		counter("makerguard_store_changes_total", "Atomic changes, refused ones too.", func(s sqlite.Stats) int64 { return s.Changes }),
		counter("makerguard_store_commits_total", "Transactions, each with one sync of the disk, that carried the changes.", func(s sqlite.Stats) int64 { return s.Commits }),
	}
}

func (m *StoreMetrics) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{m.commands, m.failed, m.waits}, m.gauges...)
}
