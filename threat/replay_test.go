package threat_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// replay puts entries before an empty rule set and another.
func replay(t *testing.T, after makerguard.RuleSet, before, paranoia int, entries ...makerguard.Threat) threat.ReplayReport {
	t.Helper()
	r, err := threat.NewReplay(threat.ReplayConfig{
		Before: func(makerguard.ManufacturerID) (*threat.Rulebook, error) {
			return threat.NewRulebook(makerguard.RuleSet{}, makerguard.RuleSet{}, before), nil
		},
		After: func(mfr makerguard.ManufacturerID) (*threat.Rulebook, error) {
			if mfr == "mfr_other" {
				return threat.NewRulebook(makerguard.RuleSet{}, makerguard.RuleSet{}, paranoia), nil
			}
			return threat.NewRulebook(makerguard.RuleSet{}, after, paranoia), nil
		},
		Paranoia: paranoia, Now: testTime, Examples: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	report, err := r.Report()
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func entry(id, request, rule, input string, score int, blocked bool) makerguard.Threat {
	return makerguard.Threat{
		ID: makerguard.EventID(id), ManufacturerID: "mfr_1", RequestID: request, Route: "POST /notes/17", Blocked: blocked,
		Finding: finding(rule, input, score),
	}
}

func TestReplay_ListsWhatWouldChange(t *testing.T) {
	other := entry("evt_4", "req_3", "xss.event", "body/text", 5, true)
	other.ManufacturerID = "mfr_other"
	off := []makerguard.RuleMode{{Rule: "xss.event", Route: "POST /notes/", Mode: makerguard.ModeMonitor}}
	got := replay(t, makerguard.RuleSet{Modes: off}, 1, 1,
		entry("evt_1", "req_1", "xss.event", "body/text", 5, true),
		entry("evt_2", "req_2", "xss.event", "body/text", 5, true), // of another request, between those of the first
		entry("evt_3", "req_1", "sqli.union", "body/name", 5, true),
		other,
		entry("evt_5", "req_4", "sqli.union", "body/name", 5, false), // a route of the policy only watches
	)
	want := threat.ReplayReport{
		Requests: 4, Refused: threat.RefusedCount{Then: 3, Before: 4, After: 3},
		Rules: []threat.RuleReplay{
			{Rule: "sqli.union", Entries: 2, Blocking: threat.RefusedCount{Then: 1, Before: 2, After: 2}, Gained: []threat.ReplayExample{}, Lost: []threat.ReplayExample{}},
			{
				Rule: "xss.event", Entries: 3, Blocking: threat.RefusedCount{Then: 3, Before: 3, After: 1}, Gained: []threat.ReplayExample{},
				Lost: []threat.ReplayExample{{Event: "evt_1", ManufacturerID: "mfr_1", Route: "POST /notes/17", Input: "body/text"}},
			},
		},
		Evidence: []threat.EvidenceReplay{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestReplay_Exclusion(t *testing.T) {
	exclusion := makerguard.Exclusion{Rule: "xss.event", Route: "POST /notes/{id}", Field: "body/items/*/text"}
	got := replay(t, makerguard.RuleSet{Exclusions: []makerguard.Exclusion{exclusion}}, 1, 1,
		entry("evt_1", "req_1", "xss.event", "body/items/2/text", 5, true),
		entry("evt_2", "req_2", "xss.event", "body/title", 5, true),
	)
	if got.Refused != (threat.RefusedCount{Then: 2, Before: 2, After: 1}) {
		t.Errorf("refused %+v, want one less after", got.Refused)
	}
}

func TestReplay_Paranoia(t *testing.T) {
	lower := replay(t, makerguard.RuleSet{}, 2, 1,
		entry("evt_1", "req_1", "sqli.comment", "q", 5, true),                                                               // speaks from level 2 on
		entry("evt_2", "req_2", "traversal.mention", "q", 3, true), entry("evt_3", "req_2", "sqli.condition", "q", 3, true), // 6 is enough at level 1
		entry("evt_4", "req_3", "xss.markup", "q", 4, true), // is not
	)
	if lower.Refused != (threat.RefusedCount{Then: 3, Before: 3, After: 1}) {
		t.Errorf("at a lower level refused %+v, want only the second", lower.Refused)
	}
	e := entry("evt_1", "req_1", "xss.url", "q", 5, true)
	e.Evidence = "' or 1=1 union select password from users"
	higher := replay(t, makerguard.RuleSet{}, 1, 3, e)
	found := false
	for _, x := range higher.Evidence {
		found = found || x.Rule == "sqli.tautology" && x.Entries == 1
	}
	if !found {
		t.Errorf("in the evidence: %v, want sqli.tautology once", higher.Evidence)
	}
}

func TestReplay_PassesOverWhatIsNoRequest(t *testing.T) {
	asked := entry("evt_2", "req_2", "xss.event", "q", 5, false)
	asked.Route = threat.InspectRoute
	behaviour := entry("evt_1", "req_1", "auth.refresh_reuse", "", 0, false)
	behaviour.Route = ""
	got := replay(t, makerguard.RuleSet{}, 1, 1, behaviour, asked, entry("evt_3", "req_3", "xss.gone", "q", 5, true))
	if got.Skipped != 3 || got.Requests != 0 || len(got.Rules) != 0 {
		t.Errorf("report %+v, want everything passed over", got)
	}
}

// However many requests there are, each is judged once and as a whole.
func TestReplay_ManyRequests(t *testing.T) {
	var entries []makerguard.Threat
	for i := range 2000 {
		request := fmt.Sprint("req_", i)
		entries = append(entries, entry(fmt.Sprint("evt_a", i), request, "traversal.mention", "q", 3, true), entry(fmt.Sprint("evt_b", i), request, "sqli.condition", "q", 3, true))
	}
	got := replay(t, makerguard.RuleSet{}, 1, 1, entries...)
	if got.Requests != 2000 || got.Refused != (threat.RefusedCount{Then: 2000, Before: 2000, After: 2000}) {
		t.Errorf("%d requests, refused %+v, want all of 2000", got.Requests, got.Refused)
	}
}

func TestReplay_TellsThatRulesCannotBeRead(t *testing.T) {
	away := errors.New("away")
	r, err := threat.NewReplay(threat.ReplayConfig{
		Before: func(makerguard.ManufacturerID) (*threat.Rulebook, error) { return nil, away },
		After:  func(makerguard.ManufacturerID) (*threat.Rulebook, error) { return nil, away },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(entry("evt_1", "req_1", "xss.event", "q", 5, true)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Report(); !errors.Is(err, away) {
		t.Errorf("Report = %v, want %v", err, away)
	}
	if _, err := threat.NewReplay(threat.ReplayConfig{Paranoia: 4}); err == nil {
		t.Error("NewReplay at level 4 gives no error")
	}
}
