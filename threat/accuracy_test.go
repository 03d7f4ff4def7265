package threat_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// labels maps the labels of the development set to the classes of the API.
var labels = map[string]makerguard.ThreatType{
	"sqli": makerguard.SQLInjection, "xss": makerguard.XSS, "nosqli": makerguard.NoSQLInjection, "cmdi": makerguard.CommandInjection,
	"codei": makerguard.CodeInjection, "traversal": makerguard.PathTraversal, "ssrf": makerguard.SSRF, "ssti": makerguard.TemplateInjection,
	"ssi": makerguard.SSIInjection, "xxe": makerguard.XXE, "ldap": makerguard.LDAPInjection, "crlf": makerguard.CRLFInjection,
	"log4shell": makerguard.JNDILookup, "proto": makerguard.PrototypePollute, "rfi": makerguard.FileInclusion,
}

// floors are the least recall per label in percent. Labels of a few dozen rows, and rfi, whose
// rows are mostly plain links, are held to less.
var floors = map[string]float64{
	"sqli": 97.5, "xss": 98.5, "nosqli": 98, "cmdi": 95, "codei": 98, "traversal": 99.5, "ssrf": 99, "ssti": 97.5,
	"ssi": 100, "xxe": 99, "ldap": 100, "crlf": 90, "log4shell": 100, "proto": 100, "rfi": 65,
}

const (
	overallFloor   = 98.0 // recall in percent
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

	type tally struct{ rows, found, classed int }
	d := newDetector(t)
	tallies := map[string]*tally{}
	var attacks, clean tally
	var spent time.Duration
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r struct{ Input, Label, Context string }
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		as := strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(r.Context, " param"), " body"), " string", "string")
		start := time.Now()
		fs := inspect(d, row{As: as, Input: r.Input})
		spent += time.Since(start)

		c := tallies[r.Label]
		if c == nil {
			c = &tally{}
			tallies[r.Label] = c
		}
		sum := &attacks
		if r.Label == "benign" {
			sum = &clean
			if len(fs) > 0 {
				t.Logf("false positive: %q: %v", r.Input, rules(fs))
			}
		}
		for _, n := range []*tally{c, sum} {
			n.rows++
			if len(fs) > 0 {
				n.found++
			}
			for _, f := range fs {
				if f.Type == labels[r.Label] {
					n.classed++
					break
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	percent := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	var names []string
	for l := range tallies {
		names = append(names, l)
	}
	sort.Strings(names)
	for _, l := range names {
		c := tallies[l]
		found := percent(c.found, c.rows)
		t.Logf("%-10s %6d rows  found %6.2f %%  as their class %6.2f %%", l, c.rows, found, percent(c.classed, c.rows))
		if floor, ok := floors[l]; ok && found < floor {
			t.Errorf("recall of %s = %.2f %%, want at least %.2f %%", l, found, floor)
		}
	}
	recall, alarms := percent(attacks.found, attacks.rows), percent(clean.found, clean.rows)
	t.Logf("recall %.2f %% of %d, false positives %.3f %% of %d, mean %v", recall, attacks.rows, alarms, clean.rows, spent/time.Duration(attacks.rows+clean.rows))
	if recall < overallFloor {
		t.Errorf("recall = %.2f %%, want at least %.2f %%", recall, overallFloor)
	}
	if alarms > falsePositives {
		t.Errorf("false positives = %.3f %%, want at most %.3f %%", alarms, falsePositives)
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
