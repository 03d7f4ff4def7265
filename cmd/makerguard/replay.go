package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/threat"
)

// paranoiaSetting is serve's, without its flag: replay's own flag is the level to try.
var paranoiaSetting = setting{key: "detector.paranoia", def: "1"}

// replayOptions are the flags of detect replay.
type replayOptions struct {
	rules    string
	since    string
	paranoia int
	examples int
	json     bool
}

func replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [--rules FILE] [--paranoia N]",
		Short: "Try other rules on the kept history",
		Long: `Try a changed rule set on the kept threat history, and list what would change. Nothing is changed by it. It
works beside a running server.

FILE, in YAML or JSON, has the settings to try. What it leaves out stays as it is in force:

  modes:                          # instead of the installation's
    - {rule: "sqli.*", route: "POST /api/products", mode: monitor}
  exclusions:                     # instead of the installation's
    - {rule: xss.tag, route: "POST /notes/{id}", field: body/items/*/text}
  manufacturers:
    mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f:
      modes: []                   # instead of this manufacturer's own

The history has what was found, with at most 80 bytes of evidence, and not what was sent. So modes, exclusions
and a level that is lower or the same are judged exactly, for what was found at the time. What was off or
excluded then is not in the history. What a higher level or a new rule would find is looked for in the
evidence alone: those numbers are the least there would be.`,
		Example: `  makerguard detect replay --rules rules.yaml --since 168h
  makerguard detect replay --paranoia 2
  makerguard detect replay --rules rules.yaml --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return replay(cmd, o) },
	}
	addFlags(cmd, dataSettings)
	f := cmd.Flags()
	f.StringVar(&o.rules, "rules", "", "file with the settings to try (default those in force)")
	f.StringVar(&o.since, "since", "", "how far to go back: 168h, or 2026-11-01T00:00:00Z (default the whole history)")
	f.IntVar(&o.paranoia, "paranoia", 0, "paranoia level to try, 1 to 3 (default that of "+envName(paranoiaSetting.key)+", else 1)")
	f.IntVar(&o.examples, "examples", 3, "how many examples to show of each rule's changes")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func replay(cmd *cobra.Command, o replayOptions) (err error) {
	since, err := parseSince(o.since, time.Now())
	if err != nil {
		return err
	}
	var file ruleFile
	if o.rules != "" {
		if file, err = readRuleFile(o.rules); err != nil {
			return err
		}
	}
	k, err := loadConfig(cmd.Flags(), dataSettings, []setting{paranoiaSetting})
	if err != nil {
		return err
	}
	cfg, err := guardConfig(k, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if cfg.Paranoia, err = strconv.Atoi(k.String(paranoiaSetting.key)); err != nil {
		return fmt.Errorf("%s is no number", paranoiaSetting.key)
	}
	if o.paranoia == 0 {
		o.paranoia = cfg.Paranoia
	}
	cfg.Shared = true
	g, err := guard.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	report, err := replayHistory(cmd.Context(), g, file, since, o)
	if err != nil {
		return err
	}
	return printReplay(cmd.OutOrStdout(), report, o)
}

// replayHistory puts the history since a time before the rules in force and those of the file.
func replayHistory(ctx context.Context, g *guard.Guard, file ruleFile, since time.Time, o replayOptions) (threat.ReplayReport, error) {
	stored, err := g.Rules.Settings(ctx, "")
	if err != nil {
		return threat.ReplayReport{}, err
	}
	installation := file.change(stored)
	after := map[makerguard.ManufacturerID]*threat.Rulebook{}
	r, err := threat.NewReplay(threat.ReplayConfig{
		Paranoia: o.paranoia, Now: time.Now(), Examples: o.examples,
		Before: func(mfr makerguard.ManufacturerID) (*threat.Rulebook, error) { return g.Rules.Rulebook(ctx, mfr) },
		After: func(mfr makerguard.ManufacturerID) (*threat.Rulebook, error) {
			if b := after[mfr]; b != nil {
				return b, nil
			}
			var own makerguard.RuleSet
			if mfr != "" {
				rs, err := g.Rules.Settings(ctx, mfr)
				if err != nil {
					return nil, err
				}
				own = file.Manufacturers[mfr].change(rs)
			}
			after[mfr] = threat.NewRulebook(installation, own, o.paranoia)
			return after[mfr], nil
		},
	})
	if err != nil {
		return threat.ReplayReport{}, err
	}
	if err := g.Threats.Export(ctx, makerguard.ThreatFilter{AllTenants: true, Since: since}, r.Add); err != nil {
		return threat.ReplayReport{}, err
	}
	return r.Report()
}

// parseSince reads a time, or how long ago it was; zero for "".
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("--since %q is neither a duration such as 168h nor a time such as 2026-11-01T00:00:00Z", s)
	}
	return t, nil
}

// ruleFile is a changed rule set.
type ruleFile struct {
	ruleSection   `yaml:",inline"`
	Manufacturers map[makerguard.ManufacturerID]ruleSection `yaml:"manufacturers"`
}

// ruleSection is the settings of one owner; what is nil stays as it is.
type ruleSection struct {
	Modes *[]struct {
		Rule  string          `yaml:"rule"`
		Route string          `yaml:"route"`
		Mode  makerguard.Mode `yaml:"mode"`
	} `yaml:"modes"`
	Exclusions *[]struct {
		Rule  string `yaml:"rule"`
		Route string `yaml:"route"`
		Field string `yaml:"field"`
	} `yaml:"exclusions"`
}

// maxRuleFile bounds a rule file in bytes: many times what the largest set needs.
const maxRuleFile = 4 << 20

func readRuleFile(name string) (ruleFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return ruleFile{}, fmt.Errorf("opening the rules: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return ruleFile{}, fmt.Errorf("reading the rules: %w", err)
	}
	if len(text) > maxRuleFile {
		return ruleFile{}, fmt.Errorf("%s is larger than %d bytes", name, maxRuleFile)
	}
	rules, err := parseRuleFile(text)
	if err != nil {
		return rules, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}

// parseRuleFile refuses what is unknown: a misspelt member would silently change nothing.
func parseRuleFile(text []byte) (ruleFile, error) {
	var file ruleFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("no rule set: %w", err)
	}
	if err := file.check("the installation"); err != nil {
		return file, err
	}
	for mfr, section := range file.Manufacturers {
		if err := section.check(string(mfr)); err != nil {
			return file, err
		}
	}
	return file, nil
}

// check reports what is wrong with the settings of an owner.
func (s ruleSection) check(owner string) error {
	err := threat.CheckRuleSet(s.change(makerguard.RuleSet{}))
	if e, ok := errors.AsType[*makerguard.Error](err); ok {
		e.Message = "the rules to try for " + owner + " are not valid"
	}
	return err
}

// change gives rs as the section would have it.
func (s ruleSection) change(rs makerguard.RuleSet) makerguard.RuleSet {
	if s.Modes != nil {
		rs.Modes = nil
		for _, m := range *s.Modes {
			rs.Modes = append(rs.Modes, makerguard.RuleMode(m))
		}
	}
	if s.Exclusions != nil {
		rs.Exclusions = nil
		for _, e := range *s.Exclusions {
			rs.Exclusions = append(rs.Exclusions, makerguard.Exclusion{Rule: e.Rule, Route: e.Route, Field: e.Field})
		}
	}
	return rs
}

func printReplay(w io.Writer, r threat.ReplayReport, o replayOptions) error {
	if o.json {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	var b strings.Builder
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"rule", "entries", "blocked then", "in force", "to try", "change"})
	for _, x := range r.Rules {
		change := ""
		if d := x.Blocking.After - x.Blocking.Before; d != 0 {
			change = fmt.Sprintf("%+d", d)
		}
		t.AppendRow(table.Row{x.Rule, x.Entries, x.Blocking.Then, x.Blocking.Before, x.Blocking.After, change})
	}
	if len(r.Rules) > 0 {
		b.WriteString(t.Render() + "\n\n")
	}
	fmt.Fprintf(&b, "%d requests with findings; refused then %d, with the rules in force %d, with those to try %d\n", r.Requests, r.Refused.Then, r.Refused.Before, r.Refused.After)
	if r.Skipped > 0 {
		fmt.Fprintf(&b, "%d entries passed over: behaviour, questions, or rules that are no more\n", r.Skipped)
	}
	for _, x := range r.Rules {
		printExamples(&b, "would block", x.Rule, x.Gained)
		printExamples(&b, "would no longer block", x.Rule, x.Lost)
	}
	for _, x := range r.Evidence {
		fmt.Fprintf(&b, "%s would speak of at least %d more, by their evidence\n", x.Rule, x.Entries)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printExamples(b *strings.Builder, what, rule string, examples []threat.ReplayExample) {
	for _, x := range examples {
		fmt.Fprintf(b, "%s %s: %s, %s in %s: %s\n", rule, what, x.Event, x.Input, x.Route, strconv.Quote(x.Evidence))
	}
}
