package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/threat"
)

// recorded gives a data directory whose history has two requests of mfr_1 and one of mfr_2, which were refused.
func recorded(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	g, err := guard.Open(t.Context(), guard.Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	for i, mfr := range []makerguard.ManufacturerID{"mfr_1", "mfr_1", "mfr_2"} {
		_, err := g.Threats.Record(t.Context(), threat.Sighting{
			Principal: &makerguard.Principal{ManufacturerID: mfr}, Client: makerguard.Client{RequestID: "req_" + string(rune('a'+i))}, Route: "POST /notes/17",
			Blocked: []makerguard.Finding{{Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.script", Input: "body/text", Location: makerguard.InJSON, Evidence: "<script>", Score: 5}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// runCommand gives what a command line prints, and its exit code.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReplay_ListsWhatWouldChange(t *testing.T) {
	data := recorded(t)
	for _, c := range []struct {
		name, rules string
		args        []string
		after       int
	}{
		{"nothing changed", "", nil, 3},
		{"for all", `modes: [{rule: "xss.*", route: "POST /notes/", mode: monitor}]`, nil, 0},
		{"JSON", `{"exclusions": [{"rule": "xss.script", "route": "POST /notes/{id}", "field": "body/text"}]}`, nil, 0},
		{"for one", "manufacturers:\n  mfr_2:\n    modes:\n      - {rule: xss.script, mode: \"off\"}\n", nil, 2},
		{"for all but one", "modes: [{rule: \"*\", mode: monitor}]\nmanufacturers: {mfr_2: {modes: [{rule: \"*\", mode: block}]}}", nil, 1},
		{"of the last hour", `modes: []`, []string{"--since", "1h"}, 3},
		{"at a higher level", "", []string{"--paranoia", "3"}, 3},
	} {
		args := append([]string{"detect", "replay", "--data", data, "--log-level", "error", "--json"}, c.args...)
		if c.rules != "" {
			args = append(args, "--rules", write(t, c.rules))
		}
		out, errs, code := runCommand(t, args...)
		var r threat.ReplayReport
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
			t.Fatalf("%s: exit %d, %q, %s", c.name, code, out, errs)
		}
		if r.Requests != 3 || r.Refused != (threat.RefusedCount{Then: 3, Before: 3, After: c.after}) {
			t.Errorf("%s: %d requests, refused %+v, want 3, 3, %d of 3", c.name, r.Requests, r.Refused, c.after)
		}
	}
	out, errs, code := runCommand(t, "detect", "replay", "--data", data, "--log-level", "error", "--rules", write(t, `modes: [{rule: "xss.*", mode: monitor}]`))
	for _, want := range []string{"xss.script", "-3", "refused then 3, with the rules in force 3, with those to try 0", `would no longer block: evt_`, `body/text in POST /notes/17: "<script>"`} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, output without %q:\n%s%s", code, want, out, errs)
		}
	}
}

// The rules in force are the stored ones.
func TestReplay_StartsFromTheRulesInForce(t *testing.T) {
	data := recorded(t)
	g, err := guard.Open(t.Context(), guard.Config{Data: data}) // and stays open, as a server's would
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op"}
	if _, err := g.Rules.SetModes(t.Context(), operator, "mfr_1", 0, []makerguard.RuleMode{{Rule: "*", Mode: makerguard.ModeMonitor}}, makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runCommand(t, "detect", "replay", "--data", data, "--log-level", "error")
	if want := "refused then 3, with the rules in force 1, with those to try 1"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("exit %d, output without %q:\n%s%s", code, want, out, errs)
	}
}

func TestReplay_RefusesWhatIsWrong(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		rules, want string
		args        []string
	}{
		{"mode: []", "field mode not found", nil},
		{`modes: [{rule: xss.nothing, mode: block}]`, "/modes/0/rule", nil},
		{`manufacturers: {mfr_1: {modes: [{rule: "*", mode: stop}]}}`, "for mfr_1 are not valid", nil},
		{"modes: {", "no rule set", nil},
		{"modes: []", "neither a duration", []string{"--since", "yesterday"}},
		{"modes: []", "paranoia level 4", []string{"--paranoia", "4"}},
	} {
		args := append([]string{"detect", "replay", "--data", data, "--log-level", "error", "--rules", write(t, c.rules)}, c.args...)
		if out, errs, code := runCommand(t, args...); code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s %v: exit %d, %q %q, want it to say %q", c.rules, c.args, code, out, errs, c.want)
		}
	}
	if out, errs, code := runCommand(t, "detect", "replay", "--data", data, "--rules", filepath.Join(data, "none")); code == 0 || !strings.Contains(errs, "opening the rules") {
		t.Errorf("no such file: exit %d, %q %q", code, out, errs)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"": {}, "24h": now.Add(-24 * time.Hour), "2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	if _, err := parseSince("-1h", now); err == nil {
		t.Error("parseSince(-1h) gives no error")
	}
}

func FuzzParseRuleFile(f *testing.F) {
	f.Add([]byte(`modes: [{rule: "xss.*", route: "POST /notes/", mode: monitor}]`))
	f.Add([]byte(`{"manufacturers": {"mfr_1": {"exclusions": [{"rule": "xss.tag", "route": "/a/{b}", "field": "q"}]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parseRuleFile(text)
		if err != nil {
			return
		}
		rs := file.change(makerguard.RuleSet{})
		if err := threat.CheckRuleSet(rs); err != nil {
			t.Errorf("%q was taken, and is not valid: %v", text, err)
		}
		threat.NewRulebook(rs, makerguard.RuleSet{}, 1).Judge(time.Now(), "POST /notes/1", []makerguard.Finding{{Rule: "xss.tag", Input: "q", Score: 5}})
	})
}
