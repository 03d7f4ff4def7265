package threat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat/upload"
)

// A rule that is missing from the catalogue could be spoken but neither listed nor switched.
func TestRules_ListEveryRuleOfTheSource(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	listed := map[string]bool{}
	for _, r := range Rules() {
		listed[r.ID] = true
	}
	written := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) < 2 {
				return true
			}
			if name, ok := lit.Type.(*ast.Ident); !ok || name.Name != "rule" {
				return true
			}
			id := strings.Trim(lit.Elts[1].(*ast.BasicLit).Value, `"`)
			written++
			if !listed[id] {
				t.Errorf("rule %s of %s is not in the catalogue", id, fset.Position(lit.Pos()))
			}
			return true
		})
	}
	written += len(upload.Rules()) // whose own tests hold them to be complete
	if written != len(listed) {
		t.Errorf("the source has %d rules, Rules() %d different ones", written, len(listed))
	}
}

func TestRules_AreComplete(t *testing.T) {
	severities := map[makerguard.Severity]bool{makerguard.SeverityLow: true, makerguard.SeverityMedium: true, makerguard.SeverityHigh: true, makerguard.SeverityCritical: true}
	before := ""
	classes, levels := map[makerguard.ThreatType]bool{}, map[int]int{}
	for _, r := range Rules() {
		if r.ID <= before {
			t.Errorf("rule %q stands behind %q, want them sorted and different", r.ID, before)
		}
		before = r.ID
		classes[r.Type] = true
		levels[r.Paranoia]++
		if !strings.Contains(r.ID, ".") || !severities[r.Severity] || r.Paranoia < 1 || r.Paranoia > 3 || r.Score < 1 || r.Score > certain || !strings.HasSuffix(r.Description, ".") {
			t.Errorf("rule lacks something: %+v", r)
		}
	}
	if len(classes) != int(voices) {
		t.Errorf("rules are of %d classes, want %d", len(classes), voices)
	}
	for level := 1; level <= 3; level++ {
		if levels[level] == 0 {
			t.Errorf("no rule is of level %d", level)
		}
	}
}
