package threat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

// newRuleFor is how long a rule that an upgrade brought only watches.
const newRuleFor = 7 * 24 * time.Hour

// Rulebook says what becomes of the findings of one manufacturer: the installation's settings
// and the manufacturer's own. It is immutable and safe for concurrent use.
//
// Of all modes that fit a finding the narrowest counts: one of the manufacturer before one of
// the installation; of these, one for a route before one for everywhere, and of two routes
// the narrower, as http.ServeMux has it; of these, one for the rule before one for
// its class, and that before one for all. Where none fits, the rule blocks. A rule that is new
// to the installation only watches for seven days where it would block, unless a mode that
// fits names it.
//
// A path that two parsers could read differently fits no exclusion, and of the modes for routes
// each that blocks.
type Rulebook struct {
	installation, own *settings // own is nil where there is no manufacturer
	threshold         int
}

// NewRulebook returns the Rulebook of settings that CheckRuleSet has nothing against, for a
// Detector of that paranoia level.
func NewRulebook(installation, own makerguard.RuleSet, paranoia int) *Rulebook {
	return &Rulebook{compileRules(installation), compileRules(own), threshold(paranoia)}
}

// threshold is the anomaly score from which on an input is an attack.
func threshold(paranoia int) int { return 6 - max(paranoia, 1) }

// Judgement is what becomes of the findings in one request.
type Judgement struct {
	Blocking []makerguard.Finding // the request is refused for these
	Watched  []makerguard.Finding // these are only noted
	Excluded int                  // how many an exclusion overlooks
}

// Judge decides about the findings in a request to a route, given as method and path. A
// request is refused for the findings in an input whose rules block, if they
// reach the detector's threshold without the others. It reuses fs and does not allocate if
// that is empty.
func (b *Rulebook) Judge(now time.Time, to string, fs []makerguard.Finding) Judgement {
	if len(fs) == 0 {
		return Judgement{}
	}
	r := splitRoute(to)
	var j Judgement
	modes := map[string]makerguard.Mode{} // there are few rules, and a body can have many findings
	for _, f := range fs {
		mode, known := modes[f.Rule]
		if !known {
			mode = b.mode(f.Rule, r, now)
			modes[f.Rule] = mode
		}
		switch {
		case mode == makerguard.ModeOff:
		case b.installation.excludes(&f, r) || b.own.excludes(&f, r):
			j.Excluded++
		case mode == makerguard.ModeMonitor:
			j.Watched = append(j.Watched, f)
		default:
			j.Blocking = append(fs[:len(j.Blocking)], f)
		}
	}
	j.weigh(b.threshold)
	return j
}

// place is one input of a request.
type place struct {
	input    string
	location makerguard.Location
}

// weigh moves the findings that would block to those watched where the score of what is left
// of their input's findings is under the threshold.
func (j *Judgement) weigh(threshold int) {
	scores := map[place]int{}
	for _, f := range j.Blocking {
		scores[place{f.Input, f.Location}] += f.Score
	}
	blocking := j.Blocking[:0]
	for _, f := range j.Blocking {
		if scores[place{f.Input, f.Location}] < threshold {
			j.Watched = append(j.Watched, f)
		} else {
			blocking = append(blocking, f)
		}
	}
	j.Blocking = blocking
}

// Mode gives what a rule does everywhere but on routes with a mode of their own, and whose
// setting says so.
func (b *Rulebook) Mode(rule string, now time.Time) (makerguard.Mode, ModeSource) {
	r := &route{}
	mode := b.mode(rule, r, now)
	switch m, found := b.own.find(rule, r); {
	case found && m.mode == mode:
		return mode, FromManufacturer
	case found:
		return mode, FromNewness
	}
	switch m, found := b.installation.find(rule, r); {
	case found && m.mode == mode:
		return mode, FromInstallation
	case mode != makerguard.ModeBlock:
		return mode, FromNewness
	}
	return mode, FromDefault
}

// ModeSource says where a mode comes from.
type ModeSource string

// The sources.
const (
	FromDefault      ModeSource = "default"      // nobody set any
	FromNewness      ModeSource = "new"          // the rule is new to the installation
	FromInstallation ModeSource = "installation" // the installation's settings
	FromManufacturer ModeSource = "manufacturer" // the manufacturer's own
)

func (b *Rulebook) mode(rule string, r *route, now time.Time) makerguard.Mode {
	m, found := b.own.find(rule, r)
	if !found {
		m, found = b.installation.find(rule, r)
	}
	if !found {
		m = ruleMode{mode: makerguard.ModeBlock}
	}
	if m.mode == makerguard.ModeBlock && m.rule != rule && b.installation.isNew(rule, now) {
		return makerguard.ModeMonitor
	}
	return m.mode
}

// settings are a RuleSet, made ready to be asked.
type settings struct {
	set        makerguard.RuleSet
	modes      []ruleMode // the narrowest first
	exclusions map[overlooked][]*routePattern
	known      map[string]time.Time // the installation's rules; empty: all are
}

type ruleMode struct {
	rule    string
	pattern *routePattern // nil is everywhere
	mode    makerguard.Mode
}

// overlooked is what an exclusion is about, but for the route.
type overlooked struct{ rule, field string }

// compileRules leaves out routes that cannot be read; what CheckRuleSet passes has none.
func compileRules(rs makerguard.RuleSet) *settings {
	s := &settings{set: rs, exclusions: map[overlooked][]*routePattern{}, known: map[string]time.Time{}}
	for _, m := range rs.Modes {
		c := ruleMode{rule: m.Rule, mode: m.Mode}
		if m.Route != "" {
			p, err := parseRoute(m.Route)
			if err != nil {
				continue
			}
			c.pattern = p
		}
		s.modes = append(s.modes, c)
	}
	slices.SortStableFunc(s.modes, compareModes)
	for _, e := range rs.Exclusions {
		if p, err := parseRoute(e.Route); err == nil {
			key := overlooked{e.Rule, e.Field}
			s.exclusions[key] = append(s.exclusions[key], p)
		}
	}
	for _, k := range rs.Known {
		s.known[k.Rule] = k.Since
	}
	return s
}

func compareModes(a, b ruleMode) int {
	switch {
	case a.pattern != nil && b.pattern != nil:
		if c := compareRoutes(a.pattern, b.pattern); c != 0 {
			return c
		}
	case a.pattern != nil:
		return -1
	case b.pattern != nil:
		return 1
	}
	return cmp.Compare(breadth(a.rule), breadth(b.rule))
}

// breadth ranks a mode's rules: one, a class, all.
func breadth(rule string) int {
	switch {
	case rule == "*":
		return 2
	case strings.HasSuffix(rule, ".*"):
		return 1
	}
	return 0
}

// names reports whether the rules of a mode include one.
func names(rules, rule string) bool {
	if rules == "*" || rules == rule {
		return true
	}
	class, found := strings.CutSuffix(rules, "*")
	return found && strings.HasSuffix(class, ".") && strings.HasPrefix(rule, class)
}

// find gives the narrowest mode that fits; r is nil for a path that cannot be told.
func (s *settings) find(rule string, r *route) (ruleMode, bool) {
	if s == nil {
		return ruleMode{}, false
	}
	for _, m := range s.modes {
		fits := m.pattern == nil
		if !fits && r == nil {
			fits = m.mode == makerguard.ModeBlock
		} else if !fits {
			fits = m.pattern.matches(r)
		}
		if fits && names(m.rule, rule) {
			return m, true
		}
	}
	return ruleMode{}, false
}

func (s *settings) excludes(f *makerguard.Finding, r *route) bool {
	if s == nil || r == nil || len(s.exclusions) == 0 {
		return false
	}
	for _, p := range s.exclusions[overlooked{f.Rule, anyIndex(f.Input)}] {
		if p.matches(r) {
			return true
		}
	}
	return false
}

// isNew reports whether a rule came to the installation less than newRuleFor ago. One it has not
// met at all is another node's that was upgraded first.
func (s *settings) isNew(rule string, now time.Time) bool {
	if s == nil || len(s.known) == 0 {
		return false
	}
	since, met := s.known[rule]
	return !met || now.Before(since.Add(newRuleFor))
}

// The largest sets that are stored.
const (
	maxModes      = 500
	maxExclusions = 500
)

// CheckRuleSet reports everything wrong with modes and exclusions, as VALIDATION_FAILED: rules
// that are not in the catalogue, modes and routes that are none, two modes for the same, more
// than 500 of either.
func CheckRuleSet(rs makerguard.RuleSet) error {
	var fields []makerguard.FieldError
	add := func(pointer, message string) {
		fields = append(fields, makerguard.FieldError{Pointer: pointer, Message: message})
	}
	rules := Rules()
	if len(rs.Modes) > maxModes {
		add("/modes", fmt.Sprintf("Use at most %d modes.", maxModes))
	}
	if len(rs.Exclusions) > maxExclusions {
		add("/exclusions", fmt.Sprintf("Use at most %d exclusions.", maxExclusions))
	}
	if fields != nil {
		return invalidRules(fields)
	}
	seen := map[string]bool{}
	for i, m := range rs.Modes {
		at := fmt.Sprintf("/modes/%d", i)
		if !slices.ContainsFunc(rules, func(r Rule) bool { return names(m.Rule, r.ID) }) {
			add(at+"/rule", `There is no such rule. Use the id of one, "sqli.*" for a class, or "*".`)
		}
		switch m.Mode {
		case makerguard.ModeBlock, makerguard.ModeMonitor, makerguard.ModeOff:
		default:
			add(at+"/mode", "Use block, monitor or off.")
		}
		key := m.Rule
		if m.Route != "" {
			p, err := parseRoute(m.Route)
			if err != nil {
				add(at+"/route", "This is no route: "+err.Error()+".")
				continue
			}
			key += " " + p.String()
		}
		if seen[key] {
			add(at, "There is another mode for the same rule and route.")
		}
		seen[key] = true
	}
	for i, e := range rs.Exclusions {
		at := fmt.Sprintf("/exclusions/%d", i)
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.ID == e.Rule }) {
			add(at+"/rule", "There is no such rule.")
		}
		if _, err := parseRoute(e.Route); err != nil {
			add(at+"/route", "This is no route: "+err.Error()+".")
		}
		if e.Field == "" || len(e.Field) > maxInputName {
			add(at+"/field", fmt.Sprintf("Name the input, with at most %d bytes.", maxInputName))
		}
	}
	return invalidRules(fields)
}

func invalidRules(fields []makerguard.FieldError) error {
	if fields == nil {
		return nil
	}
	return &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The rules' settings are not valid; see the fields.", Fields: fields}
}
