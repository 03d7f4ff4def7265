package abuse

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

// Firing is a scenario that recognised something.
type Firing struct {
	Scenario *Scenario
	Event    Event // the last one
	Count    int   // events that counted
	Within   time.Duration
}

// Reason says what happened, for a person.
func (f Firing) Reason() string {
	return fmt.Sprintf(f.Scenario.Reason, f.Count, spoken(f.Within))
}

// Engine pours events into the buckets of scenarios. It has no clock: time is what the
// events say. It keeps a bounded number of buckets for each scenario; the one longest
// untouched makes room for a new one. It is not safe for concurrent use.
type Engine struct {
	scenarios []Scenario
	buckets   []*table[bucket] // one for each scenario
	seed      maphash.Seed     // so that nobody can choose values that look alike
}

// NewEngine returns an Engine with at most keys buckets for each scenario.
func NewEngine(scenarios []Scenario, keys int) *Engine {
	e := &Engine{scenarios: scenarios, seed: maphash.MakeSeed()}
	for range scenarios {
		e.buckets = append(e.buckets, newTable[bucket](keys))
	}
	return e
}

// Observe pours an event into all scenarios and returns those that fire.
func (e *Engine) Observe(ev Event) []Firing {
	var fired []Firing
	for i := range e.scenarios {
		s := &e.scenarios[i]
		if ev.Kind != s.Kind && ev.Kind != s.Credit {
			continue
		}
		key := s.Key(ev)
		if key == "" {
			continue
		}
		b := e.buckets[i].at(key)
		b.leak(s, ev.At)
		if ev.Kind != s.Kind {
			b.credit, b.creditAt = min(b.credit+1, 2*(s.Capacity+1)), ev.At
			continue
		}
		var value uint64
		if s.Distinct != nil {
			if v := s.Distinct(ev); v != "" {
				value = maphash.String(e.seed, v) | 1
			}
		}
		if b.pour(s, ev.At, value) {
			fired = append(fired, Firing{Scenario: s, Event: ev, Count: b.count, Within: b.at.Sub(b.since)})
			e.buckets[i].drop(key)
		}
	}
	return fired
}

// bucket is the state of one key of one scenario.
type bucket struct {
	at    time.Time // of level
	level float64   // what has not leaked yet

	credit   int // events that may still count, where a scenario asks for it
	creditAt time.Time

	since time.Time // when it began to fill
	count int       // events that counted since
	seen  []uint64  // hashes of the values that counted since, oldest first
}

// leak lets time pass. An event that comes late finds the bucket as it is.
func (b *bucket) leak(s *Scenario, now time.Time) {
	if passed := now.Sub(b.at); !b.at.IsZero() && passed > 0 {
		b.level = max(b.level-float64(passed)/float64(s.Leak), 0)
	}
	if now.Sub(b.creditAt) > time.Duration(s.Capacity)*s.Leak {
		b.credit = 0
	}
	if now.After(b.at) {
		b.at = now
	}
	if b.level == 0 {
		b.count, b.seen = 0, b.seen[:0]
	}
}

// pour adds one event and reports whether the bucket overflows. A value of 0 is always new.
func (b *bucket) pour(s *Scenario, at time.Time, value uint64) bool {
	if s.Credit != "" {
		if b.credit < 1 {
			return false
		}
		b.credit--
	}
	if value != 0 {
		if slices.Contains(b.seen, value) {
			return false
		}
		// A slow stream of values may go on for ever; what is long gone may count again.
		if most := 2 * (s.Capacity + 1); len(b.seen) >= most {
			b.seen = slices.Delete(b.seen, 0, 1)
		}
		b.seen = append(b.seen, value)
	}
	if b.count == 0 || at.Before(b.since) {
		b.since = at
	}
	b.level++
	b.count++
	return b.level > float64(s.Capacity)
}
