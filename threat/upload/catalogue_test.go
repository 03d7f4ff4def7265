package upload

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
)

// A rule that is missing from the catalogue could be spoken but neither listed nor switched.
func TestRules_ListEveryRuleOfTheSource(t *testing.T) {
	fset := gotoken.NewFileSet()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, r := range Rules() {
		listed[r.ID] = true
	}
	written := 0
	for _, name := range files {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) != 5 {
				return true
			}
			if name, ok := lit.Type.(*ast.Ident); !ok || name.Name != "rule" {
				return true
			}
			written++
			if id := strings.Trim(lit.Elts[0].(*ast.BasicLit).Value, `"`); !listed[id] {
				t.Errorf("rule %s of %s is not in the catalogue", id, fset.Position(lit.Pos()))
			}
			return true
		})
	}
	if written != len(listed) {
		t.Errorf("the source has %d rules, Rules() %d different ones", written, len(listed))
	}
}

// The manual tells of every rule.
func TestRules_AreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../../docs/uploads.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Rules() {
		if row := "| `" + r.ID + "` | " + string(r.Severity) + " | " + string(r.Type) + " |"; !strings.Contains(string(manual), row) {
			t.Errorf("docs/uploads.md has no row that begins %s", row)
		}
	}
}

func TestRules_AreComplete(t *testing.T) {
	severities := map[makerguard.Severity]bool{makerguard.SeverityLow: true, makerguard.SeverityMedium: true, makerguard.SeverityHigh: true, makerguard.SeverityCritical: true}
	before := ""
	for _, r := range Rules() {
		if r.ID <= before {
			t.Errorf("rule %q stands behind %q, want them sorted and different", r.ID, before)
		}
		before = r.ID
		if !strings.HasPrefix(r.ID, "upload.") || r.Type == "" || !severities[r.Severity] || r.Paranoia != 1 || r.Score < 1 || r.Score > certain || !strings.HasSuffix(r.Description, ".") {
			t.Errorf("rule lacks something: %+v", r)
		}
	}
}
