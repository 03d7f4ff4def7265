package integration

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// step is a command of the tour and what the tour says it prints.
type step struct{ command, output string }

var steps = regexp.MustCompile("(?s)```sh\n(.*?)```\n\n```(?:json|text)\n(.*?)```")

// Every command of docs/tour.md prints what the document shows, in one shell, as a reader
// runs them.
func TestTour_PrintsWhatItShows(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("the tour needs %s: %v", tool, err)
			}
			t.Skipf("the tour needs %s: %v", tool, err)
		}
	}
	doc, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	var tour []step
	for _, m := range steps.FindAllStringSubmatch(string(doc), -1) {
		tour = append(tour, step{m[1], m[2]})
	}
	if shown := strings.Count(string(doc), "```sh"); len(tour) != shown || shown < 10 {
		t.Fatalf("%d of the tour's %d commands are followed by their output", len(tour), shown)
	}
	s := start(t, "", "--demo")

	// One script, so that variables live on; a mark after each command parts the output.
	const mark = "-- next step --"
	var script strings.Builder
	script.WriteString("set -u\nURL=" + s.url + "\n")
	for _, st := range tour {
		script.WriteString(st.command + "echo '" + mark + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the tour's commands end with %v", err)
	}
	printed := strings.Split(string(out), mark+"\n")
	for i, st := range tour {
		if i >= len(printed) {
			t.Fatalf("the commands stopped before step %d", i+1)
		}
		if printed[i] != st.output {
			t.Errorf("step %d:\n%s\nprinted:\n%s\nthe tour shows:\n%s", i+1, st.command, printed[i], st.output)
		}
	}
}
