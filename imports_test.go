package makerguard_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/makerguard/makerguard"

// mayImport says which packages of ours each package may import, besides the root, which
// every package may. Arrows point downwards: vocabulary, domain, stores, edge, binary.
var mayImport = map[string]string{
	"":                    "",
	"internal/id":         "",
	"internal/imagefile":  "",
	"internal/strictjson": "",

	// Domain. Sideways needs are small interfaces, joined in guard.
	"abuse":            "audit internal/id",
	"audit":            "internal/id",
	"account":          "audit internal/id",
	"auth":             "auth/token auth/totp audit internal/id",
	"auth/token":       "",
	"auth/totp":        "",
	"catalog":          "internal/imagefile",
	"catalog/batch":    "catalog internal/strictjson",
	"catalog/metadata": "internal/imagefile",
	"envelope":         "audit",
	"feed":             "",
	"job":              "internal/id",
	"mail":             "internal/id",
	"quota":            "internal/id",
	"ratelimit":        "",
	"rbac":             "",
	"score":            "",
	"threat":           "audit internal/id threat/upload",
	"threat/upload":    "internal/imagefile",
	"threat/eval":      "threat",
	"vault":            "audit internal/strictjson",

	// Stores: the union of the domain's interfaces, and backends that know only the root.
	"store":           "abuse account audit auth envelope feed job quota ratelimit rbac score threat vault",
	"store/mongo":     "internal/id",
	"store/sqlite":    "",
	"store/storetest": "store internal/id",

	// Edge: net/http is allowed from here on.
	"api":        "",
	"problem":    "",
	"middleware": "abuse problem ratelimit rbac threat threat/upload internal/id",
	"gateway":    "abuse middleware problem rbac",
	"guard": "abuse account audit auth auth/token catalog envelope feed gateway internal/id job mail middleware quota rbac score " +
		"store store/mongo store/sqlite threat vault",
	"server":          "abuse account api auth catalog catalog/metadata envelope gateway guard internal/strictjson middleware problem rbac store/sqlite threat",
	"test/faultproxy": "",
	"test/mongotest":  "",

	"makerguardtest": "auth guard middleware server",
	"cmd/makerguard": "account catalog catalog/batch catalog/metadata envelope guard middleware server threat threat/eval",
}

// edge are the packages that may speak HTTP.
var edge = []string{"problem", "middleware", "gateway", "guard", "server", "makerguardtest", "cmd/makerguard"}

// TestImports pins who may import whom. A new arrow is a decision: add it here.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath       string
			Imports, GoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) == 0 { // tests only
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("package %s is not in the table: decide what it may import", name)
			continue
		}
		seen[name] = true
		for _, imp := range p.Imports {
			checkImport(t, name, strings.Fields(allowed), imp)
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("the table has %s, which does not exist", name)
		}
	}
}

func checkImport(t *testing.T, name string, allowed []string, imp string) {
	t.Helper()
	ours, isOurs := strings.CutPrefix(imp, module)
	ours = strings.TrimPrefix(ours, "/")
	switch {
	case isOurs && ours != "" && !slices.Contains(allowed, ours):
		t.Errorf("%s imports %s, which the table does not allow", name, ours)
	case name == "" && strings.Contains(imp, "."):
		t.Errorf("the root imports %s; it may import the standard library alone", imp)
	case imp == "net/http" && !slices.Contains(edge, name):
		t.Errorf("%s imports net/http, which is the edge's", name)
	case imp == "flag" && name != "cmd/makerguard":
		t.Errorf("%s imports flag, which is the command's", name)
	case imp == "unsafe" || imp == "C" || imp == "encoding/xml" || imp == "math/rand" || imp == "math/rand/v2":
		t.Errorf("%s imports %s, which nothing of ours may", name, imp) // goal: V1.4.1 V1.5.1 V11.5.1
	case imp == "os/exec":
		t.Errorf("%s imports os/exec: no processes are started", name) // goal: V1.2.5
	case (imp == "crypto/md5" || imp == "crypto/sha1") && name != "auth/totp":
		t.Errorf("%s imports %s; only one-time codes may (RFC 6238)", name, imp) // goal: V11.4.1
	}
}
