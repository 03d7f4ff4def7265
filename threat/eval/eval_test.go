package eval_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/eval"
)

const set = `{"input":"1' or 1=1--","label":"sqli","context":"query param","source":"a"}
{"input":"O'Brien & Sons","label":"benign","context":"free text","source":"a"}

{"input":"oak","label":"xss","source":"b"}
{"input":"<script>1</script>","label":"benign","context":"form field","source":"b"}
{"input":"{\"q\":{\"$ne\":1}}","label":"nosql_injection","context":"json body","source":"b"}
`

func TestRead(t *testing.T) {
	samples, err := eval.Read(strings.NewReader(set))
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 5 || samples[0].Input != "1' or 1=1--" || samples[2].Context != "" {
		t.Errorf("Read = %+v, want the five samples of the set", samples)
	}
	for _, bad := range []string{
		"", "\n", "{", `{"input":"x","label":"sqlinjection"}`, `{"input":"x","label":"xss","context":"somewhere"}`, `{"input":1,"label":"xss"}`, `["x"]`,
	} {
		if _, err := eval.Read(strings.NewReader(bad)); err == nil {
			t.Errorf("Read(%q) gives no error", bad)
		}
	}
	if _, err := eval.Read(strings.NewReader(set + "{")); err == nil || !strings.Contains(err.Error(), "line 7") {
		t.Errorf("Read of a set with a broken line 7 = %v, want the line named", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(set)
	f.Add(`{"input":"x","label":"xss","context":"path"}`)
	f.Fuzz(func(t *testing.T, s string) {
		samples, err := eval.Read(strings.NewReader(s))
		if (err == nil) != (len(samples) > 0) {
			t.Errorf("Read(%q) = %d samples, %v", s, len(samples), err)
		}
	})
}

func TestClass(t *testing.T) {
	for label, want := range map[string]makerguard.ThreatType{
		"sqli": makerguard.SQLInjection, "log4shell": makerguard.JNDILookup, "path_traversal": makerguard.PathTraversal, "benign": "", "": "", "token_reuse": "",
	} {
		if got, ok := eval.Class(label); got != want || ok != (want != "") {
			t.Errorf("Class(%q) = %q, %v, want %q", label, got, ok, want)
		}
	}
}

// The place a sample stood in decides who reads it.
func TestInspect_AsItsContextSays(t *testing.T) {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		context, input string
		found          bool
	}{
		{"query string", "user[$ne]=1", true},
		{"query param", "user", false},
		{"json body", `{"$where":"1"}`, true},
		{"header", "a\nb", true},
		{"free text", "a\nb", false},
		{"html", "<style>p{color:red}</style>", false},
		{"form field", "<style>p{color:red}</style>", true},
		{"file name", "a/../b", true},
		{"path", "/etc/", false},
		{"cookie", "a\r\nb", true},
		{"", "' or 1=1--", true},
	} {
		if fs := eval.Inspect(d, eval.Sample{Input: c.input, Context: c.context}); (len(fs) > 0) != c.found {
			t.Errorf("Inspect(%q as %q) = %v, want found: %v", c.input, c.context, fs, c.found)
		}
	}
}

func TestMeasure_CountsByLabelAndSource(t *testing.T) {
	samples, err := eval.Read(strings.NewReader(set))
	if err != nil {
		t.Fatal(err)
	}
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	r := eval.Measure(samples, eval.Judge(d), func() { steps++ })
	want := &eval.Report{
		Attacks: eval.Count{Rows: 3, Found: 2, Class: 2}, Clean: eval.Count{Rows: 2, Found: 1},
		Labels: map[string]eval.Count{"sqli": {Rows: 1, Found: 1, Class: 1}, "xss": {Rows: 1}, "nosql_injection": {Rows: 1, Found: 1, Class: 1}},
		Sources: map[string]map[string]eval.Count{
			"a": {"sqli": {Rows: 1, Found: 1, Class: 1}, "benign": {Rows: 1}},
			"b": {"xss": {Rows: 1}, "benign": {Rows: 1, Found: 1}, "nosql_injection": {Rows: 1, Found: 1, Class: 1}},
		},
		FalsePositives: []eval.Case{{Sample: samples[3], Rules: []string{"xss.script"}}},
		Misses:         []eval.Case{{Sample: samples[2]}},
		Mean:           r.Mean, P50: r.P50, P99: r.P99, Max: r.Max,
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if steps != 5 || r.Mean <= 0 || r.P50 > r.P99 || r.P99 > r.Max {
		t.Errorf("%d steps, mean %v, median %v, 99th percentile %v, most %v", steps, r.Mean, r.P50, r.P99, r.Max)
	}
	if got := (eval.Count{Rows: 8, Found: 4, Class: 2}); got.Rate() != 50 || got.ClassRate() != 25 || (eval.Count{}).Rate() != 0 {
		t.Errorf("rates of %+v = %v and %v, want 50 and 25", got, got.Rate(), got.ClassRate())
	}
}
