// Command bench measures the paths that makerguard's performance targets name, each beside
// what it is compared with: both in one run, by turns, so that a machine that drifts or
// is busy slows both alike. It prints a line for each row and a table in Markdown.
//
// Before a row is measured both sides are asked questions with known answers, good and
// bad, and while it is measured each answer is checked: a fast wrong answer ends the
// program. A missed target does not; the table tells.
//
// It is a module of its own so that what it compares with is no dependency of makerguard.
//
//	go run . -benchtime 1s -run inspect -out ../docs/evidence/bench.md
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == helloCommand {
		exit(serveHello())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// rows are what is measured, in the order of the table.
func rows() []row {
	var all []row
	for _, group := range [][]row{
		tokenRows(), accessRows(), envelopeRows(), inspectRows(), middlewareRows(), gatewayRows(), signInRows(), footprintRows(),
	} {
		all = append(all, group...)
	}
	return all
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	benchtime := flags.Duration("benchtime", time.Second, "how long each side of a row is measured")
	pattern := flags.String("run", "", "measure only the rows whose path matches this regular expression")
	out := flags.String("out", "", "write the table to this file too, with the machine and the commit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("reading -run: %w", err)
	}
	b, err := newBinary()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove()) }()

	var results []result
	for _, r := range rows() {
		if !selected.MatchString(r.path) {
			continue
		}
		res, err := measureRow(ctx, r, *benchtime, b)
		if err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
		fmt.Fprintln(stderr, res)
		results = append(results, res)
	}
	table := markdown(results)
	fmt.Fprintf(stdout, "\n%s", table)
	if *out == "" {
		return nil
	}
	head, err := heading(ctx, "go run . "+strings.Join(args, " "))
	if err != nil {
		return err
	}
	return os.WriteFile(*out, []byte(head+table), 0o644) //nolint:gosec // a report, for everybody to read
}

// measureRow gives each row a laboratory of its own and clears it up.
func measureRow(ctx context.Context, r row, benchtime time.Duration, b *binary) (res result, err error) {
	l := &lab{ctx: ctx, benchtime: benchtime, binary: b}
	defer func() { err = errors.Join(err, l.close()) }()
	return r.measure(l, r)
}
