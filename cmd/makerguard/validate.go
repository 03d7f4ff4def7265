package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/catalog/batch"
	"github.com/makerguard/makerguard/guard"
)

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// exitCode is the exit code for an error: its own if it has one, else 1.
func exitCode(err error) int {
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return 1
}

// unusable marks an error that is not about the data: a CI job must not take it for a finding.
func unusable(err error) error { return exitError{err, 2} }

// validateOptions are the flags of validate.
type validateOptions struct {
	format, kind, errors string
	strict, unique, json bool
	policy, tier         string
	priceCaps            map[string]int64
}

func validateCommand() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a file of products or companies by the business rules",
		Long: `Check a file of products or companies by the business rules: CSV with a header, or NDJSON with one
JSON object a line. FILE - is standard input. Files of any length stream in constant memory.

The columns of a CSV are named as the members of the JSON document, with dots between the levels:
` + columnList(batch.Products) + `
and with --kind company:
` + columnList(batch.Companies) + `

The exit code is 0 if the file is clean, 1 if it has errors (with --strict, also for warnings), and 2 if it
could not be checked: a wrong flag, a file that cannot be read, a column that is not known.`,
		Example: `  makerguard validate products.csv
  makerguard validate products.csv --errors errors.csv --unique
  makerguard validate products.csv --policy policy.yaml --tier free
  makerguard validate companies.ndjson --kind company --strict --json
  zcat products.csv.gz | makerguard validate - --format csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return unusable(err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return validate(cmd, args[0], o) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return unusable(err) })
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "csv or ndjson (default by the file's name)")
	f.StringVar(&o.kind, "kind", string(batch.Products), "what the rows are: product or company")
	f.StringVar(&o.errors, "errors", "", "write each problem to this CSV, for a spreadsheet")
	f.BoolVar(&o.strict, "strict", false, "exit with 1 for warnings too")
	f.BoolVar(&o.unique, "unique", false, "also find SKUs and GTINs that stand twice; needs up to 360 MiB of memory")
	f.StringVar(&o.policy, "policy", "", "the policy file whose caps on prices hold; needs --tier")
	f.StringVar(&o.tier, "tier", "", "the manufacturer's tier in that policy: free, professional or enterprise")
	f.StringToInt64Var(&o.priceCaps, "price-cap", nil, "without a policy file: highest price by currency, in minor units, as EUR=500000,JPY=800000")
	f.BoolVar(&o.json, "json", false, "print the summary as JSON")
	return cmd
}

// columnList is the names of the columns, a few a line.
func columnList(kind batch.Kind) string {
	names := slices.DeleteFunc(batch.Columns(kind), func(c string) bool {
		return strings.HasPrefix(c, "images.") && !strings.HasPrefix(c, "images.0.")
	})
	if kind == batch.Products {
		names = append(names, "images.1.name ... images.9.content_type")
	}
	var b strings.Builder
	for line := range strings.Lines(text.WrapSoft(strings.Join(names, " "), 96)) {
		b.WriteString("  " + strings.TrimRight(line, " \n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func validate(cmd *cobra.Command, name string, o validateOptions) (err error) {
	c, err := o.config(name)
	if err != nil {
		return unusable(err)
	}
	in, size, err := openInput(cmd, name)
	if err != nil {
		return unusable(err)
	}
	defer in.Close() //nolint:errcheck // only read
	if o.errors != "" {
		out, cannot := createErrors(o.errors, in)
		if cannot != nil {
			return unusable(cannot)
		}
		c.Problem = out.Write
		defer func() {
			// More serious than what was found, which is not all in the file then.
			if lost := out.Close(); lost != nil {
				err = unusable(errors.Join(lost, err))
			}
		}()
	}
	bar := bytesBar(cmd.ErrOrStderr(), size)
	c.Progress = bar.update
	s, err := batch.Run(cmd.Context(), in, c)
	bar.finish()
	if err != nil {
		return unusable(fmt.Errorf("%s: %w", name, err))
	}
	if err := printSummary(cmd.OutOrStdout(), s, o.json); err != nil {
		return unusable(err)
	}
	switch {
	case s.Errors > 0:
		return fmt.Errorf("%s: %d of %d rows have errors", name, s.RowsInError, s.Rows)
	case o.strict && s.Warnings > 0:
		return fmt.Errorf("%s: %d warnings, which --strict does not allow", name, s.Warnings)
	}
	return nil
}

// config makes sense of the flags.
func (o validateOptions) config(name string) (batch.Config, error) {
	c := batch.Config{Unique: o.unique}
	format := o.format
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	}
	switch format {
	case "csv":
		c.Format = batch.CSV
	case "ndjson", "jsonl":
		c.Format = batch.NDJSON
	default:
		return c, errors.New("the format cannot be told from the file's name: give --format csv or --format ndjson")
	}
	switch c.Kind = batch.Kind(o.kind); c.Kind {
	case batch.Products, batch.Companies:
	default:
		return c, fmt.Errorf("--kind is product or company, not %q", o.kind)
	}
	caps, err := o.caps()
	c.Validator.PriceCaps = caps
	return c, err
}

// caps are the caps on prices: those of a policy's tier, or for who has no policy file, which
// manufacturers have not, those given one by one.
func (o validateOptions) caps() (map[string]int64, error) {
	switch {
	case o.policy == "" && o.tier != "":
		return nil, errors.New("--tier needs the policy that says what it means: give --policy FILE")
	case o.policy != "" && len(o.priceCaps) > 0:
		return nil, errors.New("--policy and --price-cap exclude each other: the policy says which caps hold")
	case o.policy != "":
		tier := makerguard.Tier(o.tier)
		if !slices.Contains(makerguard.Tiers(), tier) {
			return nil, fmt.Errorf("--tier is free, professional or enterprise, not %q", o.tier)
		}
		policy, err := guard.ReadPolicy(o.policy)
		if err != nil {
			return nil, err
		}
		return policy.PriceCaps(tier), nil
	}
	caps := make(map[string]int64, len(o.priceCaps))
	for currency, most := range o.priceCaps {
		code := strings.ToUpper(currency)
		switch _, twice := caps[code]; {
		case !catalog.Currency(code):
			return nil, fmt.Errorf("--price-cap: %q is not the code of a currency in use (ISO 4217)", currency)
		case twice:
			return nil, fmt.Errorf("--price-cap: %s is given twice", code)
		case most < 0:
			return nil, fmt.Errorf("--price-cap: the cap of %s is less than 0", code)
		}
		caps[code] = most
	}
	return caps, nil
}

// openInput opens the file, and tells its length if it has one, else -1.
func openInput(cmd *cobra.Command, name string) (in io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the file: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, errors.Join(fmt.Errorf("opening the file: %w", err), f.Close())
	case info.IsDir():
		return nil, 0, errors.Join(fmt.Errorf("%s is a directory", name), f.Close())
	case !info.Mode().IsRegular():
		return f, -1, nil
	}
	return f, info.Size(), nil
}

// errorsOutput is the file that problems are written to.
type errorsOutput struct {
	*batch.ErrorFile
	file *os.File
}

// createErrors makes the file, unless it is the one that is read.
func createErrors(name string, in io.Reader) (*errorsOutput, error) {
	if f, ok := in.(*os.File); ok {
		was, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("opening the file: %w", err)
		}
		if is, err := os.Stat(name); err == nil && os.SameFile(was, is) {
			return nil, errors.New("--errors names the file that is checked: give it another name")
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("making the file for errors: %w", err)
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the file for errors: %w", err)
	}
	w, err := batch.NewErrorFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &errorsOutput{w, f}, nil
}

func (o *errorsOutput) Close() error { return errors.Join(o.Flush(), o.file.Close()) }

// progressBar shows how much of a file is checked; nil shows nothing.
type progressBar struct {
	bar   *progressbar.ProgressBar
	start time.Time
	shown time.Time
}

// bytesBar gives a bar on w if that is a terminal. size is -1 where it is not known.
func bytesBar(w io.Writer, size int64) *progressBar {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progressBar{start: time.Now(), bar: progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetDescription("checking"), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish())}
}

// update moves the bar. What cannot be drawn is no reason to stop.
func (p *progressBar) update(at batch.Progress) {
	if p == nil {
		return
	}
	if now := time.Now(); now.Sub(p.shown) > 200*time.Millisecond {
		p.shown = now
		p.bar.Describe(fmt.Sprintf("%d rows, %.0f rows/s", at.Rows, float64(at.Rows)/now.Sub(p.start).Seconds()))
	}
	_ = p.bar.Set64(at.Bytes)
}

func (p *progressBar) finish() {
	if p != nil {
		_ = p.bar.Finish()
	}
}

func printSummary(w io.Writer, s batch.Summary, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	var b strings.Builder
	if len(s.Rules) > 0 {
		t := table.NewWriter()
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"rule", "severity", "count", "first row", "first message"})
		for _, r := range s.Rules {
			t.AppendRow(table.Row{r.Rule, r.Severity, r.Count, r.FirstRow, r.Message})
		}
		t.SetColumnConfigs([]table.ColumnConfig{{Name: "first message", WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
		b.WriteString(t.Render() + "\n")
	}
	fmt.Fprintf(&b, "%d rows, %d with errors: %d errors, %d warnings (%d rows/s)\n", s.Rows, s.RowsInError, s.Errors, s.Warnings, s.RowsPerSecond)
	if s.UniqueUntil > 0 {
		fmt.Fprintf(&b, "SKUs and GTINs were compared up to row %d only: split the file to compare the rest\n", s.UniqueUntil)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
