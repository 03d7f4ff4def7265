package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tour in the documentation works, word for word: every command is run, and every
// output is what the page shows.
func TestTour(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI must have %s", tool)
			}
			t.Skipf("the tour needs %s", tool)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "tour.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := tourSteps(t, string(page))
	s := start(t, "", "--demo")

	// The page's authenticator app, which few machines have.
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, code6(t, strings.TrimPrefix(r.URL.Path, "/"), 0))
	}))
	defer app.Close()
	bin := t.TempDir()
	write(t, filepath.Join(bin, "oathtool"), "#!/bin/sh\n"+`exec curl -s `+app.URL+`/"$3"`+"\n", 0o700)

	// One shell for all, so that variables and functions go from step to step.
	const mark = "--- end of step ---"
	var script strings.Builder
	script.WriteString("set -uo pipefail\n")
	for _, st := range steps {
		script.WriteString(st.commands + "\necho '" + mark + "'\n")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "-c", script.String())
	bash.Env = append(environment(), "MAKERGUARD="+s.url, "DATA="+s.data, "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := bash.CombinedOutput()
	if err != nil {
		t.Errorf("bash: %v", err)
	}
	outputs := strings.Split(string(out), mark+"\n")
	for i, st := range steps {
		if i >= len(outputs) {
			t.Fatalf("the shell ended before step %d:\n%s", i+1, out)
		}
		if got := strings.TrimSpace(outputs[i]); got != st.output {
			t.Errorf("step %d:\n%s\nprints\n%s\nthe page shows\n%s", i+1, st.commands, got, st.output)
		}
	}
	if len(steps) < 12 {
		t.Errorf("%d steps found in the page: it was read wrongly", len(steps))
	}
}

type tourStep struct{ commands, output string }

// tourSteps gives the page's blocks of commands, each with the block that follows it.
func tourSteps(t *testing.T, page string) []tourStep {
	t.Helper()
	var steps []tourStep
	for i, rest := range strings.Split(page, "\n```sh\n") {
		if i == 0 {
			continue
		}
		commands, rest, ok := strings.Cut(rest, "\n```\n")
		if !ok {
			t.Fatalf("block %d of commands has no end", i)
		}
		_, rest, ok = strings.Cut(rest, "```json\n")
		output, _, closed := strings.Cut(rest, "\n```")
		if !ok || !closed {
			t.Fatalf("the commands\n%s\nhave no output below them", commands)
		}
		steps = append(steps, tourStep{commands, output})
	}
	return steps
}
