package makerguard_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Every pattern is part of the program: it is compiled when the program starts, from its own text.
// Go matches in linear time (RE2), so what is left to fear is a pattern that somebody sends.
//
// goal: V1.2.9 V1.3.12
func TestPatterns_AreCompiledAtStart(t *testing.T) {
	// Functions that initialise a table at package level.
	atStart := map[string]bool{"catalog/vat.go:vatForm": true}
	patterns := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "bench" || d.Name() == "testdata" || d.Name() == "tools" || d.Name() == "test" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			name := ""
			if f, ok := decl.(*ast.FuncDecl); ok {
				name = f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, ok := sel.X.(*ast.Ident)
				if !ok || pkg.Name != "regexp" || !strings.Contains(sel.Sel.Name, "Compile") && sel.Sel.Name != "Match" && sel.Sel.Name != "MatchString" {
					return true
				}
				patterns++
				if name != "" && name != "init" && !atStart[filepath.ToSlash(path)+":"+name] {
					t.Errorf("%s: %s calls regexp.%s when it runs; compile the pattern at package level", files.Position(sel.Pos()), name, sel.Sel.Name)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if patterns == 0 {
		t.Error("no pattern was found; this test looks in the wrong place")
	}
}
