package guard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/guard"
)

// Whoever copies an example of the document has a policy.
func TestReadPolicy_TakesEveryExampleOfTheDocument(t *testing.T) {
	doc, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(doc), "```yaml\n")[1:]
	for _, example := range examples {
		src, _, _ := strings.Cut(example, "```")
		if !strings.Contains(src, "version:") { // a part of a policy
			src = "version: 1\n" + src
		}
		file := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := guard.ReadPolicy(file); err != nil {
			t.Errorf("%v in\n%s", err, src)
		}
	}
	if len(examples) < 2 {
		t.Errorf("%d examples found, want at least 2", len(examples))
	}
}
