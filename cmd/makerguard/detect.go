package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/eval"
)

func detectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "detect",
		Short: "Try the threat detector",
	}
	cmd.AddCommand(evalCommand(), replayCommand())
	return cmd
}

// evalOptions are the flags of detect eval.
type evalOptions struct {
	paranoia  int
	json      bool
	misses    bool
	minRecall float64
	maxFalse  float64
}

func evalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval FILE",
		Short: "Measure recall and false positives on a labelled set",
		Long: `Measure recall and false positives on a labelled set: a file with one JSON object a line.

  input    the text, as the application would see it
  label    "benign", or the class of attack: sqli, xss, nosqli, cmdi, codei, traversal, rfi, ssrf, ssti, ssi,
           ldap, xxe, crlf, log4shell, proto, deserialization, or a threat type of the API
  context  where it stood: "query param" (the default), "query string", "json body", "form field",
           "free text", "html", "header", "cookie", "path", "file name"
  source   where the sample came from; the table has a part for each

With --min-recall or --max-fp the exit code is 1 if the set is judged worse than that.`,
		Example: `  makerguard detect eval samples.jsonl
  makerguard detect eval --paranoia 2 --misses samples.jsonl
  makerguard detect eval --min-recall 98 --max-fp 0.1 samples.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return evaluate(cmd, args[0], o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.paranoia, "paranoia", 1, "paranoia level, 1 to 3")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	f.BoolVar(&o.misses, "misses", false, "list the attacks that were missed")
	f.Float64Var(&o.minRecall, "min-recall", 0, "least recall over all attacks, in percent")
	f.Float64Var(&o.maxFalse, "max-fp", 100, "most false positives on clean samples, in percent")
	return cmd
}

func evaluate(cmd *cobra.Command, name string, o evalOptions) error {
	d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: o.paranoia})
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening the labelled set: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	samples, err := eval.Read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	bar := progress(cmd.ErrOrStderr(), len(samples))
	report := eval.Measure(samples, eval.Judge(d), func() {
		if bar != nil {
			_ = bar.Add(1) // a bar that cannot be drawn is no reason to stop
		}
	})
	if bar != nil {
		_ = bar.Finish()
	}
	if err := printReport(cmd.OutOrStdout(), report, o); err != nil {
		return err
	}
	if rate := report.Attacks.Rate(); report.Attacks.Rows > 0 && rate < o.minRecall {
		err = fmt.Errorf("recall is %.2f %%, less than the %g %% asked for", rate, o.minRecall)
	}
	if rate := report.Clean.Rate(); rate > o.maxFalse {
		err = errors.Join(err, fmt.Errorf("false positives are %.3f %%, more than the %g %% allowed", rate, o.maxFalse))
	}
	return err
}

// progress returns a bar on w if it is a terminal, else nil.
func progress(w io.Writer, n int) *progressbar.ProgressBar {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("inspecting"),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

func printReport(w io.Writer, r *eval.Report, o evalOptions) error {
	if o.json {
		out := struct {
			Paranoia int `json:"paranoia"`
			*eval.Report
			Misses []eval.Case `json:"misses,omitempty"`
		}{Paranoia: o.paranoia, Report: r}
		if o.misses {
			out.Misses = r.Misses
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", labelTable(r), sourceTable(r))
	fmt.Fprintf(&b, "paranoia %d: recall %.2f %% of %d attacks, false positives %.3f %% of %d clean samples\n",
		o.paranoia, r.Attacks.Rate(), r.Attacks.Rows, r.Clean.Rate(), r.Clean.Rows)
	fmt.Fprintf(&b, "time per sample: mean %v, median %v, 99th percentile %v, most %v\n", r.Mean, r.P50, r.P99, r.Max)
	for _, c := range r.FalsePositives {
		fmt.Fprintf(&b, "false positive (%s, %s): %s: %s\n", c.Source, c.Context, strings.Join(c.Rules, " "), strconv.Quote(c.Input))
	}
	if o.misses {
		for _, c := range r.Misses {
			fmt.Fprintf(&b, "missed %s (%s, %s): %s\n", c.Label, c.Source, c.Context, strconv.Quote(c.Input))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
