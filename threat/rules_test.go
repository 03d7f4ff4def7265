package threat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/threat"
)

func finding(rule, input string, score int) makerguard.Finding {
	return makerguard.Finding{Rule: rule, Input: input, Location: makerguard.InJSON, Score: score}
}

// The order in which settings count, narrowest first: each mode wins over all those after it.
//
// goal: V2.2.1
func TestRulebook_TheNarrowestModeCounts(t *testing.T) {
	const route = "POST /api/products/17"
	type level struct {
		mine bool
		makerguard.RuleMode
	}
	var levels []level
	for _, mine := range []bool{true, false} {
		for _, pattern := range []string{"POST /api/products/17", "/api/products/17", "POST /api/products/{id}", "/api/products/{id}", "/api/", "/", ""} {
			for _, rule := range []string{"sqli.tautology", "sqli.*", "*"} {
				levels = append(levels, level{mine, makerguard.RuleMode{Rule: rule, Route: pattern}})
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(levels).Draw(t, "order")
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(levels)-1), 0, 8, rapid.ID).Draw(t, "chosen")
		narrowest := len(levels)
		for _, i := range chosen {
			narrowest = min(narrowest, i)
		}
		var installation, own makerguard.RuleSet
		for _, l := range order {
			i := slices.Index(levels, l)
			if !slices.Contains(chosen, i) {
				continue
			}
			l.Mode = makerguard.ModeBlock
			if i == narrowest {
				l.Mode = makerguard.ModeMonitor
			}
			if l.mine {
				own.Modes = append(own.Modes, l.RuleMode)
			} else {
				installation.Modes = append(installation.Modes, l.RuleMode)
			}
		}
		j := threat.NewRulebook(installation, own, 1).Judge(testTime, route, []makerguard.Finding{finding("sqli.tautology", "q", 5)})
		if watched := len(j.Watched) == 1; watched != (len(chosen) > 0) || len(j.Blocking)+len(j.Watched) != 1 {
			t.Fatalf("own %v, installation %v: blocking %v, watched %v", own.Modes, installation.Modes, j.Blocking, j.Watched)
		}
	})
}

func TestRulebook_Judge(t *testing.T) {
	monitor := func(rule, route string) makerguard.RuleMode {
		return makerguard.RuleMode{Rule: rule, Route: route, Mode: makerguard.ModeMonitor}
	}
	off := func(rule string) makerguard.RuleMode {
		return makerguard.RuleMode{Rule: rule, Mode: makerguard.ModeOff}
	}
	exclude := makerguard.Exclusion{Rule: "xss.tag", Route: "POST /notes/{id}", Field: "body/items/*/text"}
	for _, c := range []struct {
		name       string
		modes      []makerguard.RuleMode
		exclusions []makerguard.Exclusion
		paranoia   int
		route      string
		found      []makerguard.Finding
		blocking   int
		watched    int
		excluded   int
	}{
		{"nothing set", nil, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}, 1, 0, 0},
		{"nothing found", nil, nil, 1, "GET /", nil, 0, 0, 0},
		{"watched", []makerguard.RuleMode{monitor("xss.*", "")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}, 0, 1, 0},
		{"a class is no prefix", []makerguard.RuleMode{monitor("xs.*", "")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}, 1, 0, 0},
		{"off", []makerguard.RuleMode{off("xss.tag")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}, 0, 0, 0},
		{"another still blocks", []makerguard.RuleMode{off("xss.tag")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5), finding("sqli.union", "q", 5)}, 1, 0, 0},
		{"what is left is too little", []makerguard.RuleMode{monitor("xss.tag", "")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5), finding("sqli.condition", "q", 3)}, 0, 2, 0},
		{"what is left is enough at a higher level", []makerguard.RuleMode{monitor("xss.tag", "")}, nil, 3, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5), finding("sqli.condition", "q", 3)}, 1, 1, 0},
		{"each input for itself", []makerguard.RuleMode{off("xss.tag")}, nil, 1, "GET /", []makerguard.Finding{finding("xss.tag", "p", 5), finding("sqli.condition", "p", 3), finding("sqli.condition", "q", 3), finding("traversal.mention", "q", 3)}, 2, 1, 0},
		{"on its route", []makerguard.RuleMode{monitor("*", "POST /notes/")}, nil, 1, "POST /notes/17", []makerguard.Finding{finding("xss.tag", "q", 5)}, 0, 1, 0},
		{"on another route", []makerguard.RuleMode{monitor("*", "POST /notes/")}, nil, 1, "PUT /notes/17", []makerguard.Finding{finding("xss.tag", "q", 5)}, 1, 0, 0},
		{"excluded", nil, []makerguard.Exclusion{exclude}, 1, "POST /notes/17", []makerguard.Finding{finding("xss.tag", "body/items/4/text", 5)}, 0, 0, 1},
		{"another field", nil, []makerguard.Exclusion{exclude}, 1, "POST /notes/17", []makerguard.Finding{finding("xss.tag", "body/items/x/text", 5)}, 1, 0, 0},
		{"another rule", nil, []makerguard.Exclusion{exclude}, 1, "POST /notes/17", []makerguard.Finding{finding("xss.url", "body/items/4/text", 5)}, 1, 0, 0},
		{"another route", nil, []makerguard.Exclusion{exclude}, 1, "POST /notes/17/x", []makerguard.Finding{finding("xss.tag", "body/items/4/text", 5)}, 1, 0, 0},
		{"a path that can be read differently is not excluded", nil, []makerguard.Exclusion{exclude}, 1, "POST /notes/%2e%2e", []makerguard.Finding{finding("xss.tag", "body/items/4/text", 5)}, 1, 0, 0},
		{"nor off where a route blocks", []makerguard.RuleMode{off("*"), {Rule: "xss.*", Route: "/admin/", Mode: makerguard.ModeBlock}}, nil, 1, "POST //admin", []makerguard.Finding{finding("xss.tag", "q", 5), finding("sqli.union", "q", 5)}, 1, 0, 0},
	} {
		rs := makerguard.RuleSet{Modes: c.modes, Exclusions: c.exclusions}
		for _, mine := range []bool{false, true} {
			b := threat.NewRulebook(rs, makerguard.RuleSet{}, c.paranoia)
			if mine {
				b = threat.NewRulebook(makerguard.RuleSet{}, rs, c.paranoia)
			}
			j := b.Judge(testTime, c.route, slices.Clone(c.found))
			if len(j.Blocking) != c.blocking || len(j.Watched) != c.watched || j.Excluded != c.excluded {
				t.Errorf("%s (own: %v): blocking %v, watched %v, %d excluded, want %d, %d, %d", c.name, mine, j.Blocking, j.Watched, j.Excluded, c.blocking, c.watched, c.excluded)
			}
		}
	}
}

// No setting makes findings that were not there, loses one without an exclusion or a mode
// that is off, or has a request refused that nothing would have had refused.
func TestRulebook_PartsWhatWasFound(t *testing.T) {
	rules := []string{"sqli.union", "sqli.condition", "xss.tag", "xss.markup", "traversal.mention"}
	modes := rapid.Custom(func(t *rapid.T) makerguard.RuleMode {
		return makerguard.RuleMode{
			Rule:  rapid.SampledFrom(append([]string{"*", "xss.*"}, rules...)).Draw(t, "rule"),
			Route: rapid.SampledFrom([]string{"", "/", "POST /a", "/b"}).Draw(t, "route"),
			Mode:  rapid.SampledFrom([]makerguard.Mode{makerguard.ModeBlock, makerguard.ModeMonitor}).Draw(t, "mode"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var fs []makerguard.Finding
		for i, rule := range rapid.SliceOfN(rapid.SampledFrom(rules), 0, 6).Draw(t, "rules") {
			f := finding(rule, rapid.SampledFrom([]string{"p", "q"}).Draw(t, "input"), rapid.IntRange(1, 5).Draw(t, "score"))
			f.Offset = i
			fs = append(fs, f)
		}
		rs := makerguard.RuleSet{Modes: rapid.SliceOfN(modes, 0, 4).Draw(t, "modes")}
		j := threat.NewRulebook(rs, makerguard.RuleSet{}, 1).Judge(testTime, rapid.SampledFrom([]string{"POST /a", "GET /b", "GET //"}).Draw(t, "route"), slices.Clone(fs))
		got := slices.Concat(j.Blocking, j.Watched)
		slices.SortFunc(got, func(a, b makerguard.Finding) int { return a.Offset - b.Offset })
		if diff := cmp.Diff(fs, got); len(fs) > 0 && diff != "" {
			t.Fatalf("what was found and what came of it differ (-found +judged):\n%s", diff)
		}
	})
}

func TestRulebook_NewRulesOnlyWatchAtFirst(t *testing.T) {
	since := testTime.Add(-time.Hour)
	known := []makerguard.KnownRule{{Rule: "xss.tag"}, {Rule: "sqli.union", Since: since}}
	for _, c := range []struct {
		name  string
		known []makerguard.KnownRule
		modes []makerguard.RuleMode
		rule  string
		at    time.Time
		want  makerguard.Mode
		from  threat.ModeSource
	}{
		{"known from the beginning", known, nil, "xss.tag", testTime, makerguard.ModeBlock, threat.FromDefault},
		{"new", known, nil, "sqli.union", testTime, makerguard.ModeMonitor, threat.FromNewness},
		{"not met: another node was upgraded first", known, nil, "sqli.order", testTime, makerguard.ModeMonitor, threat.FromNewness},
		{"seven days later", known, nil, "sqli.union", since.Add(7 * 24 * time.Hour), makerguard.ModeBlock, threat.FromDefault},
		{"before the first start", nil, nil, "sqli.union", testTime, makerguard.ModeBlock, threat.FromDefault},
		{"its class was set to block", known, []makerguard.RuleMode{{Rule: "sqli.*", Mode: makerguard.ModeBlock}}, "sqli.union", testTime, makerguard.ModeMonitor, threat.FromNewness},
		{"it was set to block", known, []makerguard.RuleMode{{Rule: "sqli.union", Mode: makerguard.ModeBlock}}, "sqli.union", testTime, makerguard.ModeBlock, threat.FromInstallation},
		{"all were set off", known, []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeOff}}, "sqli.union", testTime, makerguard.ModeOff, threat.FromInstallation},
	} {
		mode, from := threat.NewRulebook(makerguard.RuleSet{Known: c.known, Modes: c.modes}, makerguard.RuleSet{}, 1).Mode(c.rule, c.at)
		if mode != c.want || from != c.from {
			t.Errorf("%s: Mode(%s) = %s, %s, want %s, %s", c.name, c.rule, mode, from, c.want, c.from)
		}
	}
	own := makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "xss.*", Mode: makerguard.ModeMonitor}}}
	if mode, from := threat.NewRulebook(makerguard.RuleSet{}, own, 1).Mode("xss.tag", testTime); mode != makerguard.ModeMonitor || from != threat.FromManufacturer {
		t.Errorf("the manufacturer's own: Mode = %s, %s, want monitor, manufacturer", mode, from)
	}
}

func TestCheckRuleSet(t *testing.T) {
	block := makerguard.ModeBlock
	for _, c := range []struct {
		name    string
		rs      makerguard.RuleSet
		pointer string // of the first fault
	}{
		{"empty", makerguard.RuleSet{}, ""},
		{"all kinds", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "*", Mode: block}, {Rule: "sqli.*", Route: "/a/{x}", Mode: block}, {Rule: "sqli.union", Mode: block}}}, ""},
		{"unknown rule", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "sqli.unoin", Mode: block}}}, "/modes/0/rule"},
		{"unknown class", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "sql.*", Mode: block}}}, "/modes/0/rule"},
		{"unknown mode", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "*"}}}, "/modes/0/mode"},
		{"no route", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "*", Route: "products", Mode: block}}}, "/modes/0/route"},
		{"twice", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "*", Route: "/a/{x}", Mode: block}, {Rule: "*", Route: "/a/{y}", Mode: block}}}, "/modes/1"},
		{"the rest and the path itself differ", makerguard.RuleSet{Modes: []makerguard.RuleMode{{Rule: "*", Route: "/a/", Mode: block}, {Rule: "*", Route: "/a/{$}", Mode: block}}}, ""},
		{"too many modes", makerguard.RuleSet{Modes: make([]makerguard.RuleMode, 501)}, "/modes"},
		{"too many exclusions", makerguard.RuleSet{Exclusions: make([]makerguard.Exclusion, 501)}, "/exclusions"},
		{"exclusion of a class", makerguard.RuleSet{Exclusions: []makerguard.Exclusion{{Rule: "sqli.*", Route: "/a", Field: "q"}}}, "/exclusions/0/rule"},
		{"exclusion of nothing", makerguard.RuleSet{Exclusions: []makerguard.Exclusion{{Rule: "sqli.union", Route: "/a"}}}, "/exclusions/0/field"},
		{"exclusion everywhere", makerguard.RuleSet{Exclusions: []makerguard.Exclusion{{Rule: "sqli.union", Field: "q"}}}, "/exclusions/0/route"},
	} {
		err := threat.CheckRuleSet(c.rs)
		if c.pointer == "" {
			if err != nil {
				t.Errorf("%s: %v, want no error", c.name, err)
			}
			continue
		}
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != makerguard.ValidationFailed || len(e.Fields) == 0 || e.Fields[0].Pointer != c.pointer {
			t.Errorf("%s: %v, want VALIDATION_FAILED at %s", c.name, err, c.pointer)
		}
	}
}

// ruleStore keeps rule sets and events in memory.
type ruleStore struct {
	threat.Store // what a test does not expect to be called
	mu           sync.Mutex
	sets         map[makerguard.ManufacturerID]makerguard.RuleSet
	events       map[makerguard.EventID]makerguard.Threat
	lose         int // how many writes somebody else is faster at
	err          error
}

func newRuleStore() *ruleStore {
	return &ruleStore{sets: map[makerguard.ManufacturerID]makerguard.RuleSet{}, events: map[makerguard.EventID]makerguard.Threat{}}
}

func (s *ruleStore) RuleSet(_ context.Context, mfr makerguard.ManufacturerID) (makerguard.RuleSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := s.sets[mfr]
	rs.ManufacturerID = mfr
	return rs, s.err
}

func (s *ruleStore) PutRuleSet(_ context.Context, rs makerguard.RuleSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lose > 0 {
		s.lose--
		was := s.sets[rs.ManufacturerID]
		was.Version++
		s.sets[rs.ManufacturerID] = was
	}
	if s.sets[rs.ManufacturerID].Version != rs.Version-1 {
		return &makerguard.Error{Code: makerguard.Conflict}
	}
	s.sets[rs.ManufacturerID] = rs
	return s.err
}

func (s *ruleStore) Threat(_ context.Context, mfr makerguard.ManufacturerID, id makerguard.EventID) (makerguard.Threat, error) {
	t, ok := s.events[id]
	if !ok || mfr != makerguard.PlatformID && t.ManufacturerID != mfr {
		return t, &makerguard.Error{Code: makerguard.NotFound}
	}
	return t, s.err
}

// recorder is an audit record, or one that cannot be written.
type recorder struct {
	mu      sync.Mutex
	entries []makerguard.AuditEntry
	err     error
}

func (r *recorder) Record(_ context.Context, e makerguard.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, e)
	return r.err
}

func newRulebooks(t testing.TB, s threat.Store, r audit.Recorder) *threat.Rulebooks {
	t.Helper()
	b, err := threat.NewRulebooks(threat.RulebooksConfig{Store: s, Audit: r, Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	operator = &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op"}
	client   = makerguard.Client{IP: "192.0.2.9", RequestID: "req_9"}
)

func TestNewRulebooks_ReportsEverythingWrong(t *testing.T) {
	_, err := threat.NewRulebooks(threat.RulebooksConfig{Paranoia: 4})
	for _, want := range []string{"no store", "no audit record", "paranoia level 4"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRulebooks({}) = %v, want it to say %q", err, want)
		}
	}
}

// goal: V8.2.1 V16.2.1
func TestRulebooks_ChangesAreTheOperatorsAndAudited(t *testing.T) {
	s, r := newRuleStore(), &recorder{}
	s.events["evt_1"] = makerguard.Threat{ID: "evt_1", ManufacturerID: "mfr_1", Route: "POST /products", Finding: finding("xss.tag", "body/name", 5)}
	b := newRulebooks(t, s, r)
	modes := []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeOff}}
	for _, actor := range []*makerguard.Principal{nil, {Kind: makerguard.KindMember, ManufacturerID: "mfr_1", Role: makerguard.RoleOwner}} {
		if _, err := b.SetModes(t.Context(), actor, "mfr_1", 0, modes, client); !errors.Is(err, makerguard.InsufficientPermissions) {
			t.Errorf("SetModes by %v = %v, want INSUFFICIENT_PERMISSIONS", actor, err)
		}
		if _, err := b.Exclude(t.Context(), actor, "evt_1", false, "a name", client); !errors.Is(err, makerguard.InsufficientPermissions) {
			t.Errorf("Exclude by %v = %v, want INSUFFICIENT_PERMISSIONS", actor, err)
		}
		if err := b.RemoveExclusion(t.Context(), actor, "mfr_1", "exc_1", client); !errors.Is(err, makerguard.InsufficientPermissions) {
			t.Errorf("RemoveExclusion by %v = %v, want INSUFFICIENT_PERMISSIONS", actor, err)
		}
	}
	if len(s.sets) > 0 || len(r.entries) > 0 {
		t.Fatalf("settings %v, audit record %v, want none", s.sets, r.entries)
	}
	if _, err := b.SetModes(t.Context(), operator, "mfr_1", 0, modes, client); err != nil {
		t.Fatal(err)
	}
	e, err := b.Exclude(t.Context(), operator, "evt_1", true, "a name", client)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveExclusion(t.Context(), operator, "", e.ID, client); err != nil {
		t.Fatal(err)
	}
	want := []makerguard.AuditEntry{
		{ManufacturerID: "mfr_1", Action: audit.RulesChanged, Target: "mfr_1", Detail: "version 1, 1 modes"},
		{ManufacturerID: makerguard.PlatformID, Action: audit.ExclusionCreated, Target: e.ID, Detail: "xss.tag in body/name of POST /products: a name"},
		{ManufacturerID: makerguard.PlatformID, Action: audit.ExclusionRemoved, Target: e.ID, Detail: "xss.tag in body/name of POST /products"},
	}
	for i := range want {
		want[i].Outcome, want[i].ActorKind, want[i].ActorID, want[i].IP, want[i].RequestID = audit.Success, "member", "mbr_op", client.IP, client.RequestID
	}
	if diff := cmp.Diff(want, r.entries); diff != "" {
		t.Errorf("audit record (-want +got):\n%s", diff)
	}
}

// goal: V16.3.3 — no audit entry, no change.
func TestRulebooks_WithoutAnAuditEntryNothingChanges(t *testing.T) {
	s, r := newRuleStore(), &recorder{err: makerguard.StoreUnavailable}
	s.events["evt_1"] = makerguard.Threat{ID: "evt_1", ManufacturerID: "mfr_1", Route: "POST /products", Finding: finding("xss.tag", "body/name", 5)}
	b := newRulebooks(t, s, r)
	if _, err := b.SetModes(t.Context(), operator, "", 0, nil, client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("SetModes = %v, want STORE_UNAVAILABLE", err)
	}
	if _, err := b.Exclude(t.Context(), operator, "evt_1", false, "a name", client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Exclude = %v, want STORE_UNAVAILABLE", err)
	}
	if len(s.sets) > 0 {
		t.Errorf("settings %v, want none", s.sets)
	}
}

func TestRulebooks_SetModes(t *testing.T) {
	s := newRuleStore()
	b := newRulebooks(t, s, &recorder{})
	modes := []makerguard.RuleMode{{Rule: "xss.*", Mode: makerguard.ModeMonitor}}
	rs, err := b.SetModes(t.Context(), operator, "mfr_1", 0, modes, client)
	if err != nil {
		t.Fatal(err)
	}
	want := makerguard.RuleSet{ManufacturerID: "mfr_1", Version: 1, Modes: modes, UpdatedAt: testTime.UTC(), UpdatedBy: "mbr_op"}
	if diff := cmp.Diff(want, rs); diff != "" {
		t.Errorf("SetModes (-want +got):\n%s", diff)
	}
	if _, err := b.SetModes(t.Context(), operator, "mfr_1", 0, nil, client); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("SetModes over a later version = %v, want CONFLICT", err)
	}
	s.lose = 1
	if _, err := b.SetModes(t.Context(), operator, "mfr_1", 1, nil, client); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("SetModes when somebody is faster = %v, want CONFLICT", err)
	}
	if _, err := b.SetModes(t.Context(), operator, "mfr_1", 2, []makerguard.RuleMode{{Rule: "x"}}, client); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("SetModes of an unknown rule = %v, want VALIDATION_FAILED", err)
	}
}

// A change holds for the next request here at once, and elsewhere once it is announced.
func TestRulebooks_ChangesHoldAtOnce(t *testing.T) {
	s := newRuleStore()
	here, there := newRulebooks(t, s, &recorder{}), newRulebooks(t, s, &recorder{})
	blocks := func(b *threat.Rulebooks, mfr makerguard.ManufacturerID) bool {
		blocking, _ := b.Judge(t.Context(), mfr, "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)})
		return len(blocking) > 0
	}
	if !blocks(here, "mfr_1") || !blocks(there, "mfr_1") || !blocks(here, "") {
		t.Fatal("nothing is set, and nothing blocks")
	}
	if _, err := here.SetModes(t.Context(), operator, "mfr_1", 0, []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeMonitor}}, client); err != nil {
		t.Fatal(err)
	}
	if blocks(here, "mfr_1") || !blocks(here, "mfr_2") || !blocks(here, "") {
		t.Error("mfr_1 is still blocked, or another no more")
	}
	there.Apply(makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: "mfr_1"})
	if !blocks(there, "mfr_1") {
		t.Error("another change dropped the settings")
	}
	there.Apply(makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: "mfr_1"})
	if blocks(there, "mfr_1") {
		t.Error("an announced change is not seen")
	}
	if _, err := here.SetModes(t.Context(), operator, "", 0, []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeOff}}, client); err != nil {
		t.Fatal(err)
	}
	if blocks(here, "mfr_2") || blocks(here, "") {
		t.Error("the installation's settings do not hold for all")
	}
}

// goal: V16.5.3
func TestRulebooks_WhenSettingsCannotBeReadEverythingBlocks(t *testing.T) {
	s := newRuleStore()
	s.sets[""] = makerguard.RuleSet{Version: 1, Modes: []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeOff}}}
	b := newRulebooks(t, s, &recorder{})
	s.err = makerguard.StoreUnavailable
	if blocking, _ := b.Judge(t.Context(), "mfr_1", "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}); len(blocking) != 1 {
		t.Errorf("Judge with the store away: blocking %v, want the finding", blocking)
	}
	s.err = nil
	if blocking, _ := b.Judge(t.Context(), "mfr_1", "GET /", []makerguard.Finding{finding("xss.tag", "q", 5)}); len(blocking) != 0 {
		t.Errorf("Judge with the store back: blocking %v, want none", blocking)
	}
}

func TestRulebooks_Learn(t *testing.T) {
	s := newRuleStore()
	b := newRulebooks(t, s, &recorder{})
	if err := b.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	rs := s.sets[""]
	if len(rs.Known) != len(threat.Rules()) || rs.Version != 1 {
		t.Fatalf("version %d knows %d rules, want 1 and %d", rs.Version, len(rs.Known), len(threat.Rules()))
	}
	for _, k := range rs.Known {
		if !k.Since.IsZero() {
			t.Errorf("%s is new in a new installation", k.Rule)
		}
	}
	if err := b.Learn(t.Context()); err != nil || s.sets[""].Version != 1 {
		t.Errorf("Learn again: %v, version %d, want nothing done", err, s.sets[""].Version)
	}
	// An upgrade brings one more rule.
	rs.Known = slices.DeleteFunc(slices.Clone(rs.Known), func(k makerguard.KnownRule) bool { return k.Rule == "xss.tag" })
	s.sets[""] = rs
	s.lose = 1 // and another node is at it too
	if err := b.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.sets[""].Known, func(k makerguard.KnownRule) bool { return k.Rule == "xss.tag" })
	if i < 0 || !s.sets[""].Known[i].Since.Equal(testTime) {
		t.Errorf("the new rule is not known since now: %v", s.sets[""].Known)
	}
	blocking, watched := b.Judge(t.Context(), "", "GET /", []makerguard.Finding{finding("xss.tag", "q", 5), finding("xss.url", "p", 5)})
	if len(blocking) != 1 || blocking[0].Rule != "xss.url" || len(watched) != 1 {
		t.Errorf("Judge: blocking %v, watched %v, want the new rule watched", blocking, watched)
	}
}

func TestRulebooks_ExcludeIsTheNarrowestThatHelps(t *testing.T) {
	s := newRuleStore()
	s.events["evt_1"] = makerguard.Threat{
		ID: "evt_1", ManufacturerID: "mfr_1", Route: "PUT /products/4711/notes", Finding: finding("xss.tag", "body/items/3/text", 5),
	}
	b := newRulebooks(t, s, &recorder{})
	e, err := b.Exclude(t.Context(), operator, "evt_1", false, " notes may have markup ", client)
	if err != nil {
		t.Fatal(err)
	}
	want := makerguard.Exclusion{
		ID: e.ID, Rule: "xss.tag", Route: "PUT /products/{id}/notes", Field: "body/items/*/text",
		Reason: "notes may have markup", Event: "evt_1", CreatedBy: "mbr_op", CreatedAt: testTime.UTC(),
	}
	if diff := cmp.Diff(want, e); diff != "" || !strings.HasPrefix(e.ID, "exc_") {
		t.Errorf("Exclude (-want +got):\n%s", diff)
	}
	again, err := b.Exclude(t.Context(), operator, "evt_1", false, "once more", client)
	if err != nil || again != e {
		t.Errorf("Exclude again = %v, %v, want the first", again, err)
	}
	for _, c := range []struct {
		mfr                makerguard.ManufacturerID
		rule, route, input string
		overlooked         bool
	}{
		{"mfr_1", "xss.tag", "PUT /products/4711/notes", "body/items/3/text", true},
		{"mfr_1", "xss.tag", "PUT /products/9/notes", "body/items/0/text", true},
		{"mfr_2", "xss.tag", "PUT /products/9/notes", "body/items/0/text", false},
		{"mfr_1", "xss.url", "PUT /products/9/notes", "body/items/0/text", false},
		{"mfr_1", "xss.tag", "POST /products/9/notes", "body/items/0/text", false},
		{"mfr_1", "xss.tag", "PUT /products/9/notes", "body/items/0/name", false},
	} {
		blocking, _ := b.Judge(t.Context(), c.mfr, c.route, []makerguard.Finding{finding(c.rule, c.input, 5)})
		if got := len(blocking) == 0; got != c.overlooked {
			t.Errorf("%+v: overlooked %v", c, got)
		}
	}
	if n := b.Excluded(); n != 2 {
		t.Errorf("Excluded() = %d, want 2", n)
	}
	if err := b.RemoveExclusion(t.Context(), operator, "mfr_1", e.ID, client); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveExclusion(t.Context(), operator, "mfr_1", e.ID, client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("RemoveExclusion again = %v, want NOT_FOUND", err)
	}
	if blocking, _ := b.Judge(t.Context(), "mfr_1", "PUT /products/9/notes", []makerguard.Finding{finding("xss.tag", "body/items/0/text", 5)}); len(blocking) != 1 {
		t.Error("a removed exclusion still holds")
	}
}

func TestRulebooks_ExcludeRefuses(t *testing.T) {
	event := func(mfr makerguard.ManufacturerID, route, rule, input string) makerguard.Threat {
		return makerguard.Threat{ID: "evt_1", ManufacturerID: mfr, Route: route, Finding: finding(rule, input, 5)}
	}
	good := event("mfr_1", "POST /a", "xss.tag", "q")
	for _, c := range []struct {
		name       string
		event      makerguard.Threat
		everywhere bool
		reason     string
		want       makerguard.Code
	}{
		{"no reason", good, false, " ", makerguard.ValidationFailed},
		{"a long reason", good, false, strings.Repeat("é", 501), makerguard.ValidationFailed},
		{"a reason of two lines", good, false, "a\nb", makerguard.ValidationFailed},
		{"another event", makerguard.Threat{ID: "evt_2"}, false, "why", makerguard.NotFound},
		{"nobody's event", event("", "POST /a", "xss.tag", "q"), false, "why", makerguard.ValidationFailed},
		{"nobody's event, for all", event("", "POST /a", "xss.tag", "q"), true, "why", ""},
		{"behaviour", event("mfr_1", "", "auth.refresh_reuse", ""), false, "why", makerguard.ValidationFailed},
		{"a question", event("mfr_1", threat.InspectRoute, "xss.tag", "q"), false, "why", makerguard.ValidationFailed},
		{"a rule of old", event("mfr_1", "POST /a", "xss.gone", "q"), false, "why", makerguard.ValidationFailed},
		{"a path that can be read differently", event("mfr_1", "POST /a//b", "xss.tag", "q"), false, "why", makerguard.ValidationFailed},
		{"a masked field", event("mfr_1", "POST /a", "xss.tag", "body/***@maker.example"), false, "why", makerguard.ValidationFailed},
		{"a field that was cut off", event("mfr_1", "POST /a", "xss.tag", strings.Repeat("a", 255)), false, "why", makerguard.ValidationFailed},
		{"a route that was cut off", event("mfr_1", "POST /"+strings.Repeat("a", 250), "xss.tag", "q"), false, "why", makerguard.ValidationFailed},
	} {
		s := newRuleStore()
		s.events[c.event.ID] = c.event
		_, err := newRulebooks(t, s, &recorder{}).Exclude(t.Context(), operator, "evt_1", c.everywhere, c.reason, client)
		if got := makerguard.CodeOf(err); got != c.want {
			t.Errorf("%s: %v, want code %q", c.name, err, c.want)
		}
	}
	full := newRuleStore()
	full.events["evt_1"] = good
	rs := makerguard.RuleSet{Version: 1}
	for i := range 500 {
		rs.Exclusions = append(rs.Exclusions, makerguard.Exclusion{ID: fmt.Sprint(i), Rule: "xss.tag", Route: "POST /b", Field: fmt.Sprint(i)})
	}
	full.sets["mfr_1"] = rs
	if _, err := newRulebooks(t, full, &recorder{}).Exclude(t.Context(), operator, "evt_1", false, "why", client); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("the 501st exclusion: %v, want CONFLICT", err)
	}
}

// Of several operators at once, none undoes what another did.
func TestRulebooks_ConcurrentExclusionsAllStay(t *testing.T) {
	s := newRuleStore()
	const n = 4
	for i := range n {
		id := makerguard.EventID(fmt.Sprint("evt_", i))
		s.events[id] = makerguard.Threat{ID: id, ManufacturerID: "mfr_1", Route: "POST /a", Finding: finding("xss.tag", fmt.Sprint("q", i), 5)}
	}
	b := newRulebooks(t, s, &recorder{})
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			if _, err := b.Exclude(t.Context(), operator, makerguard.EventID(fmt.Sprint("evt_", i)), false, "why", client); err != nil {
				t.Errorf("Exclude: %v", err)
			}
		})
	}
	work.Wait()
	if got := len(s.sets["mfr_1"].Exclusions); got != n {
		t.Errorf("%d exclusions, want %d", got, n)
	}
}

func TestRulebooks_JudgeWithoutFindingsDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newRulebooks(t, newRuleStore(), &recorder{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { b.Judge(ctx, "mfr_1", "GET /", nil) }); n != 0 {
		t.Errorf("Judge(nothing) allocates %v times, want 0", n)
	}
}

func BenchmarkRulebooks_Judge(b *testing.B) {
	s := newRuleStore()
	rs := makerguard.RuleSet{Version: 1}
	for i := range 500 {
		rs.Modes = append(rs.Modes, makerguard.RuleMode{Rule: "xss.*", Route: fmt.Sprintf("POST /a/%d", i), Mode: makerguard.ModeMonitor})
		rs.Exclusions = append(rs.Exclusions, makerguard.Exclusion{ID: fmt.Sprint(i), Rule: "xss.tag", Route: "POST /b", Field: fmt.Sprint(i)})
	}
	s.sets[""], s.sets["mfr_1"] = rs, rs
	books := newRulebooks(b, s, &recorder{})
	one := []makerguard.Finding{finding("xss.tag", "body/items/3/text", 5)}
	many := make([]makerguard.Finding, 10_000)
	for i := range many {
		many[i] = finding("xss.tag", fmt.Sprintf("body/items/%d/text", i), 5)
	}
	for name, fs := range map[string][]makerguard.Finding{"one finding": one, "10000 findings": many} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				books.Judge(b.Context(), "mfr_1", "POST /c", slices.Clone(fs))
			}
		})
	}
}
