package abuse

import (
	"fmt"
	"time"

	"github.com/makerguard/makerguard"
)

// forgetAfter is when what a subject did no longer explains a block: after it, its points
// have fallen to an eighth.
const forgetAfter = 3 * HalfLife

// tally is what this node saw of a subject lately, for the reason of a block. The points
// themselves are the store's.
type tally struct {
	first, last time.Time
	total       int
	types       map[makerguard.ThreatType]int
	route       string // of the newest threat of the most frequent type
	scenario    string // the last that fired, if any
	reason      string // its words
	mfr         makerguard.ManufacturerID
	mixed       bool // threats of several manufacturers, or of nobody's and somebody's
}

func (t *tally) begin(at time.Time, mfr makerguard.ManufacturerID) {
	if t.last.IsZero() || at.Sub(t.last) > forgetAfter {
		*t = tally{first: at, types: map[makerguard.ThreatType]int{}, mfr: mfr}
	}
	t.mixed = t.mixed || t.mfr != mfr
	if at.After(t.last) {
		t.last = at
	}
}

func (t *tally) threat(th *makerguard.Threat) {
	t.begin(th.DetectedAt, th.ManufacturerID)
	t.total++
	t.types[th.Type]++
	if th.Type == t.mostFrequent() {
		t.route = th.Route
	}
}

func (t *tally) firing(f Firing) {
	t.begin(f.Event.At, f.Event.ManufacturerID)
	t.scenario, t.reason = f.Scenario.ID, f.Reason()
}

func (t *tally) mostFrequent() makerguard.ThreatType {
	var most makerguard.ThreatType
	for typ, n := range t.types {
		if n > t.types[most] || n == t.types[most] && typ < most {
			most = typ
		}
	}
	return most
}

// manufacturer is whose events led here, "" if they are nobody's or several's.
func (t *tally) manufacturer() makerguard.ManufacturerID {
	if t.mixed {
		return ""
	}
	return t.mfr
}

// byThreats is the scenario of a block that no scenario of events led to.
const byThreats = "threats"

// explain gives the scenario and the reason of a block: "14 SQL injection attempts on POST
// /api/products within 6 minutes."
func (t *tally) explain() (scenario, reason string) {
	if t.reason != "" {
		return t.scenario, t.reason
	}
	most := t.mostFrequent()
	n := t.types[most]
	reason = times(n, most)
	if t.route != "" {
		reason += " on " + printable(t.route, maxRoute)
	}
	if others := t.total - n; others > 0 {
		reason += fmt.Sprintf(" and %d of other kinds", others)
	}
	return byThreats, reason + " within " + spoken(t.last.Sub(t.first)) + "."
}
