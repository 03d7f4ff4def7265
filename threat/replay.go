package threat

import (
	"cmp"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

// Replay puts entries of the history before two sets of rules and tells what would have come
// of them: with the settings in force, and with those that are to be tried. It is exact for modes,
// exclusions, routes and levels of paranoia that are lower or the same, as far as findings
// are in the history. It cannot know of inputs in which nothing was found, nor of what was
// off or excluded at the time. At a higher level it only sees what new rules find in the 80
// bytes of evidence that were kept, so that their numbers are a lower bound.
type Replay struct {
	c        ReplayConfig
	detector *Detector
	rules    map[string]Rule
	open     map[string]*replayed // requests of which more entries may come
	order    []*replayed          // the same, the one opened first in front
	report   ReplayReport
	counts   map[string]*RuleReplay
	found    map[string]int
}

// ReplayConfig says what a Replay compares. Both functions are required and give the Rulebook of
// a manufacturer, or of the installation alone for "".
type ReplayConfig struct {
	Before, After func(makerguard.ManufacturerID) (*Rulebook, error)
	Paranoia      int       // to try; 0 is 1
	Now           time.Time // decides which rules are new
	Examples      int       // how many are kept for each change of a rule; 0 is none
}

// ReplayReport is what a Replay found.
type ReplayReport struct {
	Requests int          `json:"requests"` // with findings in the history
	Refused  RefusedCount `json:"refused"`
	Skipped  int          `json:"skipped"` // entries of behaviour, questions and rules that are no more
	Rules    []RuleReplay `json:"rules"`   // those that spoke, by id
	// Evidence says how many entries' evidence each rule speaks of that had not spoken of
	// the request: because of a higher level, or because it is new.
	Evidence []EvidenceReplay `json:"evidence"`
}

// RefusedCount is how many requests were refused: as it was, and as the rules before and after
// the change would have it. What was let through by a route of the policy that only
// watches is in Before, not in Then.
type RefusedCount struct {
	Then   int `json:"then"`
	Before int `json:"before"`
	After  int `json:"after"`
}

// RuleReplay is what became of a rule's entries.
type RuleReplay struct {
	Rule     string          `json:"rule"`
	Entries  int             `json:"entries"`
	Blocking RefusedCount    `json:"blocking"` // entries that a request was refused for
	Gained   []ReplayExample `json:"gained"`   // would block and did not
	Lost     []ReplayExample `json:"lost"`     // blocked and would not
}

// ReplayExample is an entry that would come out differently.
type ReplayExample struct {
	Event          makerguard.EventID        `json:"event"`
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer_id,omitempty"`
	Route          string                    `json:"route"`
	Input          string                    `json:"input"`
	Evidence       string                    `json:"evidence"`
}

// EvidenceReplay is what a rule finds in the evidence that was kept.
type EvidenceReplay struct {
	Rule    string `json:"rule"`
	Entries int    `json:"entries"`
}

// replayed is a request with the entries seen so far.
type replayed struct {
	key     string
	entries []makerguard.Threat
}

// maxOpen is how many requests are kept open for further entries. Entries of one request are
// stored together; only those of requests made at the same moment stand between them.
const maxOpen = 256

// NewReplay returns a Replay. It fails only on a paranoia level out of range.
func NewReplay(c ReplayConfig) (*Replay, error) {
	d, err := NewDetector(DetectorConfig{Paranoia: c.Paranoia})
	if err != nil {
		return nil, err
	}
	r := &Replay{
		c: c, detector: d, rules: map[string]Rule{}, open: map[string]*replayed{},
		counts: map[string]*RuleReplay{}, found: map[string]int{},
	}
	for _, rule := range Rules() {
		r.rules[rule.ID] = rule
	}
	return r, nil
}

// Add takes an entry of the history. Entries come in the history's order.
func (r *Replay) Add(t makerguard.Threat) error {
	if _, known := r.rules[t.Rule]; !known || t.Route == "" || asked(t.Route) {
		r.report.Skipped++
		return nil
	}
	key := t.RequestID
	if key == "" {
		key = string(t.ID)
	}
	q := r.open[key]
	if q == nil {
		if len(r.order) == maxOpen {
			if err := r.judge(r.order[0]); err != nil {
				return err
			}
			delete(r.open, r.order[0].key)
			r.order = slices.Delete(r.order, 0, 1)
		}
		q = &replayed{key: key}
		r.open[key], r.order = q, append(r.order, q)
	}
	q.entries = append(q.entries, t)
	return nil
}

// Report judges what is left and returns what was found. Nothing may be added afterwards.
func (r *Replay) Report() (ReplayReport, error) {
	for _, q := range r.order {
		if err := r.judge(q); err != nil {
			return ReplayReport{}, err
		}
	}
	r.order, r.open = nil, nil
	r.report.Rules, r.report.Evidence = []RuleReplay{}, []EvidenceReplay{}
	for _, c := range r.counts {
		r.report.Rules = append(r.report.Rules, *c)
	}
	slices.SortFunc(r.report.Rules, func(a, b RuleReplay) int { return cmp.Compare(a.Rule, b.Rule) })
	for rule, n := range r.found {
		r.report.Evidence = append(r.report.Evidence, EvidenceReplay{rule, n})
	}
	slices.SortFunc(r.report.Evidence, func(a, b EvidenceReplay) int { return cmp.Compare(a.Rule, b.Rule) })
	return r.report, nil
}

// judge compares what becomes of one request's entries.
func (r *Replay) judge(q *replayed) error {
	before, err := r.c.Before(q.entries[0].ManufacturerID)
	if err != nil {
		return err
	}
	after, err := r.c.After(q.entries[0].ManufacturerID)
	if err != nil {
		return err
	}
	blockedBefore := r.blocking(before, q, 3)
	blockedAfter := r.blocking(after, q, max(r.c.Paranoia, 1))
	then := false
	for i := range q.entries {
		t := &q.entries[i]
		c := r.counts[t.Rule]
		if c == nil {
			c = &RuleReplay{Rule: t.Rule, Gained: []ReplayExample{}, Lost: []ReplayExample{}}
			r.counts[t.Rule] = c
		}
		c.Entries++
		then = then || t.Blocked
		c.Blocking.add(t.Blocked, blockedBefore[i], blockedAfter[i])
		example := ReplayExample{t.ID, t.ManufacturerID, t.Route, t.Input, t.Evidence}
		switch {
		case blockedAfter[i] && !blockedBefore[i] && len(c.Gained) < r.c.Examples:
			c.Gained = append(c.Gained, example)
		case blockedBefore[i] && !blockedAfter[i] && len(c.Lost) < r.c.Examples:
			c.Lost = append(c.Lost, example)
		}
	}
	r.report.Requests++
	r.report.Refused.add(then, len(blockedBefore) > 0, len(blockedAfter) > 0)
	r.inspect(q)
	return nil
}

func (c *RefusedCount) add(then, before, after bool) {
	for _, x := range []struct {
		counts bool
		n      *int
	}{{then, &c.Then}, {before, &c.Before}, {after, &c.After}} {
		if x.counts {
			*x.n++
		}
	}
}

// blocking tells which of a request's entries a Rulebook has it refused for, if only rules up
// to a level speak.
func (r *Replay) blocking(b *Rulebook, q *replayed, paranoia int) map[int]bool {
	var fs []makerguard.Finding
	for i, t := range q.entries {
		if r.rules[t.Rule].Paranoia > paranoia {
			continue
		}
		f := t.Finding
		f.Offset = i // the entry it is
		fs = append(fs, f)
	}
	blocked := map[int]bool{}
	for _, f := range b.Judge(r.c.Now, q.entries[0].Route, fs).Blocking {
		blocked[f.Offset] = true
	}
	return blocked
}

// inspect counts the rules that speak of the evidence and did not speak of the request.
func (r *Replay) inspect(q *replayed) {
	for _, t := range q.entries {
		for _, f := range r.detector.Inspect(nil, Input{Name: t.Input, Value: t.Evidence, Location: t.Location}) {
			if !slices.ContainsFunc(q.entries, func(t makerguard.Threat) bool { return t.Rule == f.Rule }) {
				r.found[f.Rule]++
			}
		}
	}
}
