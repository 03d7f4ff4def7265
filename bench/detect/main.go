// Command detect compares threat detectors on one labelled set, in one run: makerguard at
// its three paranoia levels, libinjection, and Coraza with the OWASP Core Rule Set 4 at
// levels 1 and 2. It prints a report in Markdown: recall, false positives, times, recall per
// class, and how long a large body of JSON takes.
//
// The set is a file as `makerguard detect eval` reads it. Coraza needs a millisecond or two a
// sample; -sample takes every n-th row only, the same for everybody.
//
//	go run ./detect -out ../docs/evidence/detection.md samples.jsonl
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard/threat/eval"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "detect: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("detect", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sample := flags.Int("sample", 1, "use every n-th row only")
	out := flags.String("out", "", "write the report to this file too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *sample < 1 {
		return errors.New("give one labelled file; -sample is at least 1")
	}
	f, err := os.Open(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("opening the labelled set: %w", err)
	}
	samples, err := eval.Read(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	samples = everyNth(samples, *sample)
	all, err := judges()
	if err != nil {
		return err
	}
	before := load()
	var results []result
	for _, j := range all {
		fmt.Fprintf(stderr, "%s ...\n", j.name)
		r := eval.Measure(samples, j.judge, nil)
		results = append(results, result{j.name, r, large(j)})
	}
	text := report(ctx, results, len(samples), *sample, before)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil { //nolint:gosec // a document for everybody
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	_, err = io.WriteString(stdout, text)
	return err
}

func everyNth(samples []eval.Sample, n int) []eval.Sample {
	var list []eval.Sample
	for i := 0; i < len(samples); i += n {
		list = append(list, samples[i])
	}
	return list
}

// result is what one detector reached.
type result struct {
	name string
	*eval.Report
	large time.Duration
}

// large says how long j takes for a clean JSON body of 128 KiB: the shortest of three runs.
func large(j judge) time.Duration {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := 0; b.Len() < 128<<10-200; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"harbour-%d.jpg","size":"52[]18-145","alt":"Acetate frame, tortoise (front %d), with spring hinges & case; 100%% hand-made"}`, i, i)
	}
	b.WriteString(`]}`)
	s := eval.Sample{Input: b.String(), Context: "json body"}
	least := time.Duration(1<<63 - 1)
	for range 3 {
		start := time.Now()
		j.judge(s)
		least = min(least, time.Since(start))
	}
	return least
}

func report(ctx context.Context, results []result, rows, sample int, loadBefore string) string {
	var b strings.Builder
	b.WriteString("# Detection on a labelled set, compared\n\nPrinted by `go run ./detect")
	if sample > 1 {
		fmt.Fprintf(&b, " -sample %d", sample)
	}
	b.WriteString(" FILE` in `bench`: every detector judges the same rows in the same run, one after another. The set is made\nof public lists of attacks and of clean text and is not part of this repository; [how detection works](../detection.md) says what to make of it.\n\n")
	fmt.Fprintf(&b, "- commit: %s\n- date: %s\n- machine: %s, %d cores, %s/%s, %s; load average at the start and the end: %s, %s\n- rows: %d\n\n", commit(ctx), time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), loadBefore, load(), rows)
	b.WriteString("| detector | recall | false positives | mean time | 99th percentile | 128 KiB of JSON |\n|---|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %.2f %% | %.3f %% | %v | %v | %v |\n", r.name, r.Attacks.Rate(), r.Clean.Rate(), short(r.Mean), short(r.P99), short(r.large))
	}
	b.WriteString("\nRecall per label, in percent:\n\n| label | rows |")
	for _, r := range results {
		b.WriteString(" " + r.name + " |")
	}
	b.WriteString("\n|---|--:|" + strings.Repeat("--:|", len(results)) + "\n")
	for _, l := range slices.Sorted(maps.Keys(results[0].Labels)) {
		fmt.Fprintf(&b, "| %s | %d |", l, results[0].Labels[l].Rows)
		for _, r := range results {
			fmt.Fprintf(&b, " %.2f |", r.Labels[l].Rate())
		}
		b.WriteString("\n")
	}
	b.WriteString("\nFalse positives per source of clean text, in percent:\n\n| source | rows |")
	for _, r := range results {
		b.WriteString(" " + r.name + " |")
	}
	b.WriteString("\n|---|--:|" + strings.Repeat("--:|", len(results)) + "\n")
	for _, source := range slices.Sorted(maps.Keys(results[0].Sources)) {
		c := results[0].Sources[source][eval.Benign]
		if c.Rows == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %d |", source, c.Rows)
		for _, r := range results {
			fmt.Fprintf(&b, " %.2f |", r.Sources[source][eval.Benign].Rate())
		}
		b.WriteString("\n")
	}
	return b.String()
}

// short rounds a time to three digits.
func short(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// commit is the one that is checked out, with a plus if files differ from it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		info, _ := debug.ReadBuildInfo()
		return cmp.Or(info.Main.Version, "unknown")
	}
	id := strings.TrimSpace(string(out))
	if dirty, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output(); err == nil && len(dirty) > 0 {
		id += "+ (with changes)"
	}
	return id
}

// load is the load average of the last minute: who shares the machine slows everybody down.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(data), " ")
	return minute
}

// processor is the name of the CPU, as Linux gives it.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "unknown"
}
