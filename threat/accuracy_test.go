package threat_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/eval"
)

const (
	overallFloor   = 98.0 // recall in percent
	classFloor     = 95.0 // of each class
	falsePositives = 0.1  // at most, in percent
)

// TestDetector_Accuracy measures recall and false positives on the labelled development set,
// which is not part of the repository. MAKERGUARD_THREATDATA names its file; otherwise
// it is looked for in shared/threatdata beside the repository.
func TestDetector_Accuracy(t *testing.T) {
	name := os.Getenv("MAKERGUARD_THREATDATA")
	if name == "" {
		name = filepath.Join("..", "..", "shared", "threatdata", "dev.jsonl")
	}
	f, err := os.Open(name)
	if err != nil {
		t.Skipf("no development set: %v; set MAKERGUARD_THREATDATA to its path", err)
	}
	defer f.Close()
	samples, err := eval.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	r := eval.Measure(samples, eval.Judge(newDetector(t)), nil)
	for label, c := range r.Labels {
		t.Logf("%-10s %6d rows  found %6.2f %%  as their class %6.2f %%", label, c.Rows, c.Rate(), c.ClassRate())
		if c.Rate() < classFloor {
			t.Errorf("recall of %s = %.2f %%, want at least %.2f %%", label, c.Rate(), classFloor)
		}
	}
	t.Logf("recall %.2f %% of %d, false positives %.3f %% of %d, mean %v", r.Attacks.Rate(), r.Attacks.Rows, r.Clean.Rate(), r.Clean.Rows, r.Mean)
	if rate := r.Attacks.Rate(); rate < overallFloor {
		t.Errorf("recall = %.2f %%, want at least %.2f %%", rate, overallFloor)
	}
	if rate := r.Clean.Rate(); rate > falsePositives {
		for _, c := range r.FalsePositives {
			t.Logf("false positive: %q: %v", c.Input, c.Rules)
		}
		t.Errorf("false positives = %.3f %%, want at most %.3f %%", rate, falsePositives)
	}
}

// A detector of another paranoia level agrees on what is certain.
func TestDetector_ParanoiaLowersTheThreshold(t *testing.T) {
	found := func(paranoia int, v string) bool {
		d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: paranoia})
		if err != nil {
			t.Fatal(err)
		}
		return len(d.Inspect(nil, threat.Input{Value: v, Location: makerguard.InText})) > 0
	}
	for _, c := range []struct {
		value string
		want  [3]bool // at levels 1, 2, 3
	}{
		{"oak frame", [3]bool{}},
		{"x' OR 1=1 --", [3]bool{true, true, true}},
		{"The manual says that users are kept in /etc/passwd as lines", [3]bool{false, false, true}},
	} {
		for i, want := range c.want {
			if got := found(i+1, c.value); got != want {
				t.Errorf("level %d on %q: found = %v, want %v", i+1, c.value, got, want)
			}
		}
	}
}

func TestNewDetector_RefusesOtherLevels(t *testing.T) {
	for _, p := range []int{-1, 4} {
		if _, err := threat.NewDetector(threat.DetectorConfig{Paranoia: p}); err == nil {
			t.Errorf("NewDetector with paranoia %d gives no error", p)
		}
	}
}
