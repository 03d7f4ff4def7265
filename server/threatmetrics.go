package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/threat"
)

// threatMetrics are what was found in requests, and what followed from it.
func threatMetrics(g *guard.Guard) []prometheus.Collector {
	counter := func(name, help string, value func(abuse.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(g.Defense.Abuse.Stats())) })
	}
	return []prometheus.Collector{
		history{g.Threats, prometheus.NewDesc("makerguard_threats_total", "Entries of the threat history written, by class of attack and whether the request was refused.", []string{"type", "blocked"}, nil)},
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "makerguard_findings_excluded_total", Help: "Findings that exclusions made this process overlook."},
			func() float64 { return float64(g.Rules.Excluded()) }),
		counter("makerguard_abuse_scenarios_total", "Abuse scenarios that fired.", func(s abuse.Stats) int64 { return s.Fired }),
		counter("makerguard_abuse_blocks_total", "Blocks made automatically.", func(s abuse.Stats) int64 { return s.Blocked }),
		counter("makerguard_abuse_proposals_total", "Blocks proposed to operators.", func(s abuse.Stats) int64 { return s.Proposals }),
		counter("makerguard_abuse_dropped_total", "Events and threats that led to no points: too many at once, or the store was away.", func(s abuse.Stats) int64 { return s.Dropped }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "makerguard_blocks_active", Help: "Blocks in force, as this node knows them."},
			func() float64 { return float64(g.Defense.Abuse.Stats().Active) }),
	}
}

// history counts what the threat history was told.
type history struct {
	log  *threat.Log
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (h history) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect implements prometheus.Collector.
func (h history) Collect(ch chan<- prometheus.Metric) {
	for k, n := range h.log.Counts() {
		ch <- prometheus.MustNewConstMetric(h.desc, prometheus.CounterValue, float64(n), string(k.Type), strconv.FormatBool(k.Blocked))
	}
}
