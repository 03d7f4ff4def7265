package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// relation is how a target compares the two sides.
type relation int

const (
	timesFaster    relation = iota // ours is at least so many times as fast
	timesAsLong                    // ours takes at most so many times as long
	microsMore                     // ours takes at most so many microseconds more
	timesPerSecond                 // ours does at least so many times as many a second
)

// anyAllocs is a target that does not limit allocations.
const anyAllocs = -1

// target is what a row is to reach.
type target struct {
	relation relation
	bound    float64
	allocs   int64  // at most so many for an operation, or anyAllocs
	text     string // for a row without another side: the target as it is shown
}

func (t target) String() string {
	var s string
	switch t.relation {
	case timesFaster:
		s = fmt.Sprintf("at least %g x as fast", t.bound)
	case timesAsLong:
		s = fmt.Sprintf("at most %g x as long", t.bound)
	case microsMore:
		s = fmt.Sprintf("at most %g us more", t.bound)
	case timesPerSecond:
		s = fmt.Sprintf("at least %g x as many", t.bound)
	}
	if t.text != "" {
		s = t.text
	}
	if t.allocs != anyAllocs {
		s += fmt.Sprintf(", at most %d allocs", t.allocs)
	}
	return s
}

// judge compares the sides round by round, as neighbours in time, and takes the median.
func (t target) judge(r row, ours, theirs sample) result {
	compared := make([]float64, len(ours.ns))
	for i := range ours.ns {
		switch t.relation {
		case timesFaster, timesPerSecond:
			compared[i] = theirs.ns[i] / ours.ns[i]
		case timesAsLong:
			compared[i] = ours.ns[i] / theirs.ns[i]
		case microsMore:
			compared[i] = (ours.ns[i] - theirs.ns[i]) / float64(time.Microsecond)
		}
	}
	got := median(compared)
	res := result{path: r.path, against: r.against + ": ", target: t.String()}
	switch t.relation {
	case timesFaster, timesPerSecond:
		res.met, res.ratio = got >= t.bound, fmt.Sprintf("%.4g x as fast", got)
	case timesAsLong:
		res.met, res.ratio = got <= t.bound, fmt.Sprintf("%.4g x as long", got)
	case microsMore:
		res.met, res.ratio = got <= t.bound, fmt.Sprintf("%.2f us more", got)
	}
	if t.relation == timesPerSecond {
		res.ratio = fmt.Sprintf("%.4g x as many", got)
		res.ours = fmt.Sprintf("%.0f/s", 1e9/ours.median())
		res.against += fmt.Sprintf("%.0f/s", 1e9/theirs.median())
		return res
	}
	res.ours = perOperation(ours)
	res.against += perOperation(theirs)
	if t.allocs != anyAllocs && ours.allocs > t.allocs {
		res.met = false
	}
	return res
}

func perOperation(s sample) string {
	ns := s.median()
	if ns < 100 {
		return fmt.Sprintf("%.1f ns, %d allocs", ns, s.allocs)
	}
	return fmt.Sprintf("%.0f ns, %d allocs", ns, s.allocs)
}

// result is a row with what was measured.
type result struct {
	path, ours, against, ratio, target string
	met                                bool
}

func (r result) String() string {
	return fmt.Sprintf("%-38s %s | %s | %s | target %s | %s", r.path, r.ours, r.against, r.ratio, r.target, r.verdict())
}

func (r result) verdict() string {
	if r.met {
		return "met"
	}
	return "MISSED"
}

// markdown gives the table.
func markdown(rs []result) string {
	var b strings.Builder
	b.WriteString("| path | ours | against | ratio | target | met |\n|---|---|---|---|---|---|\n")
	for _, r := range rs {
		met := "yes"
		if !r.met {
			met = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.path, r.ours, r.against, r.ratio, r.target, met)
	}
	return b.String()
}

// heading says what was measured, where, and how.
func heading(ctx context.Context, command string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	commit, err := output(ctx, root, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := output(ctx, root, "git", "status", "--porcelain", "--untracked-files=all", "--", ".", ":!docs/evidence")
	if err != nil {
		return "", err
	}
	if changes != "" {
		commit += ", with changes that were not committed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance beside what is comparable\n\nWritten by `%s` in `bench/`. ", command)
	b.WriteString(`Both sides of a row are measured in one run, by turns; an operation's time is the median
of ` + fmt.Sprint(rounds) + ` rounds, the ratio the median of the rounds' ratios. Answers are checked before and while they are measured. Rows that run
one operation at a time have one core for everything, garbage collection included. Where the target is a rate, more is better.

`)
	fmt.Fprintf(&b, "- commit: %s\n- date: %s\n- machine: %s, %d cores, %s/%s\n- Go: %s\n- compared with: %s\n\n",
		commit, time.Now().UTC().Format(time.RFC3339), processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), competitors())
	return b.String(), nil
}

// output runs a command and gives what it printed, without the last line break.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// processor names the CPU where the system tells it.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// competitors lists the modules compared with, in the versions built in.
func competitors() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var names []string
	for _, dep := range info.Deps {
		if slices.Contains([]string{
			"github.com/casbin/casbin/v2", "github.com/corazawaf/coraza/v3", "github.com/corazawaf/coraza-coreruleset/v4",
			"github.com/corazawaf/libinjection-go", "github.com/golang-jwt/jwt/v5", "golang.org/x/crypto",
		}, dep.Path) {
			names = append(names, dep.Path+" "+dep.Version)
		}
	}
	return strings.Join(names, ", ")
}
