package envelope_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
)

// The inventory in the package comment lists exactly the keys that the code knows, with all
// that has to be said of each.
//
// goal: V11.1.1 V11.1.2
func TestInventory_ListsEveryKey(t *testing.T) {
	fset := token.NewFileSet()
	doc, err := parser.ParseFile(fset, "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatalf("ParseFile() = %v", err)
	}
	listed := make(map[string]bool)
	for line := range strings.Lines(doc.Doc.Text()) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				t.Errorf("cell %d of %q is empty", i, line)
			}
		}
		if len(cells) != 7 {
			t.Errorf("%q has %d cells, want 7", line, len(cells))
		}
		if cells[0] != "key" {
			listed[cells[0]] = true
		}
	}

	known := map[string]bool{"root": true}
	root, err := parser.ParseFile(fset, "../key.go", nil, 0)
	if err != nil {
		t.Fatalf("ParseFile() = %v", err)
	}
	ast.Inspect(root, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "KeyPurpose" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatalf("Unquote() = %v", err)
			}
			known[value] = true
		}
		return true
	})
	if diff := cmp.Diff(slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(listed))); diff != "" {
		t.Errorf("keys in the code and in the inventory differ (-code +inventory):\n%s", diff)
	}

	// Each of them can be had.
	ring := newRing(t, newStore(t), newKEK(t))
	for purpose := range known {
		if purpose == "root" || purpose == string(makerguard.KeyData) {
			continue
		}
		if _, err := ring.SystemKey(t.Context(), makerguard.KeyPurpose(purpose)); err != nil {
			t.Errorf("SystemKey(%q) = %v", purpose, err)
		}
	}
}
