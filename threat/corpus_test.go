package threat_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// row is one line of a corpus in testdata.
type row struct {
	Type  makerguard.ThreatType `json:"type"`
	As    string                `json:"as"` // where the input stands
	Input string                `json:"input"`
}

func readCorpus(t *testing.T, name string) []row {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%s line %d: %v", name, len(rows)+1, err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// inspect gives the detector a row as the place it stands in would.
func inspect(d *threat.Detector, r row) []makerguard.Finding {
	in := threat.Input{Name: "v", Value: r.Input}
	switch r.As {
	case "json":
		return d.InspectJSON(nil, threat.Input{Name: "body", Value: r.Input, Location: makerguard.InJSON})
	case "querystring":
		return d.InspectQuery(nil, r.Input)
	case "html":
		in.Location, in.Kind = makerguard.InForm, makerguard.KindHTML
	case "query":
		in.Location = makerguard.InQuery
	case "header":
		in.Location = makerguard.InHeader
	case "filename":
		in.Location = makerguard.InFilename
	case "form":
		in.Location = makerguard.InForm
	default:
		in.Location = makerguard.InText
	}
	return d.Inspect(nil, in)
}

// goal: V1.5.2
func TestDetector_FindsEveryAttackOfTheCorpus(t *testing.T) {
	d := newDetector(t)
	rows := readCorpus(t, "testdata/attacks.jsonl")
	classes := map[makerguard.ThreatType]int{}
	for _, r := range rows {
		classes[r.Type]++
		fs := inspect(d, r)
		found := false
		for _, f := range fs {
			found = found || f.Type == r.Type
		}
		if !found {
			t.Errorf("inspecting %q as %s = %v, want a finding of type %s", r.Input, r.As, rules(fs), r.Type)
		}
	}
	if len(rows) < 150 || len(classes) < 17 {
		t.Errorf("corpus has %d attacks of %d classes, want at least 150 of all 17", len(rows), len(classes))
	}
}

func TestDetector_PassesEveryCleanText(t *testing.T) {
	d := newDetector(t)
	rows := readCorpus(t, "testdata/clean.jsonl")
	for _, r := range rows {
		if fs := inspect(d, r); len(fs) > 0 {
			t.Errorf("inspecting %q as %s = %v, want nothing", r.Input, r.As, rules(fs))
		}
	}
	if len(rows) < 300 {
		t.Errorf("corpus has %d clean texts, want at least 300", len(rows))
	}
}

// rules names the rules of findings with their evidence.
func rules(fs []makerguard.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Rule+": "+f.Evidence)
	}
	return out
}
