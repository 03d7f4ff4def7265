package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// TestCatalogue_HasEveryAction compares the catalogue with the constants in its file.
//
// goal: V16.1.1 V16.2.3
func TestCatalogue_HasEveryAction(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "catalogue.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return true
		}
		for _, spec := range decl.Specs {
			for _, v := range spec.(*ast.ValueSpec).Values {
				s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				constants = append(constants, s)
			}
		}
		return false
	})
	if len(constants) < 20 {
		t.Fatalf("found %d constants, want the actions", len(constants))
	}
	var listed []string
	for _, e := range audit.Catalogue() {
		listed = append(listed, e.Action)
	}
	slices.Sort(constants)
	slices.Sort(listed)
	if !slices.Equal(constants, listed) {
		t.Errorf("the catalogue has %q, the constants are %q", listed, constants)
	}
	if dup := slices.Compact(slices.Clone(listed)); len(dup) != len(listed) {
		t.Errorf("an action is listed twice in %q", listed)
	}
}

func TestCatalogue_SaysWhatEachActionMeans(t *testing.T) {
	name := regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)
	severities := []makerguard.Severity{makerguard.SeverityLow, makerguard.SeverityMedium, makerguard.SeverityHigh, makerguard.SeverityCritical}
	for _, e := range audit.Catalogue() {
		if !name.MatchString(e.Action) || e.Meaning == "" || !slices.Contains(severities, e.Severity) {
			t.Errorf("catalogue has %+v, want a dotted name, a meaning and a known severity", e)
		}
	}
}

func TestCatalogue_CannotBeChanged(t *testing.T) {
	clear(audit.Catalogue())
	if err := newLog(t, &sink{}).Record(t.Context(), someEntry()); err != nil {
		t.Errorf("Record after a caller changed its copy: %v", err)
	}
}
