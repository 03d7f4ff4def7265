package threat_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/makerguard/makerguard/threat"
)

var updateRules = flag.Bool("update", false, "write the table of rules in docs/detection.md")

// The table of rules in the documentation is the catalogue.
func TestRules_AreDocumented(t *testing.T) {
	const name = "../docs/detection.md"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-update -->\n", "<!-- end of rules -->"
	head, rest, ok := strings.Cut(string(data), begin)
	table, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table of rules", name)
	}
	var b strings.Builder
	b.WriteString("| rule | class | severity | level | score | why |\n| --- | --- | --- | --: | --: | --- |\n")
	for _, r := range threat.Rules() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %d | %d | %s |\n", r.ID, r.Type, r.Severity, r.Paranoia, r.Score, r.Description)
	}
	if *updateRules {
		if err := os.WriteFile(name, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), table); diff != "" {
		t.Errorf("the table of rules in %s is not the catalogue; run this test with -update (-catalogue +document):\n%s", name, diff)
	}
}
