package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard/guard"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with an installation, beside a running server too",
		Long: `doctor opens the store with the root key, as serve does, and checks that what it needs is there: the
database's integrity, its collections or tables, and every index. It prints what is wrong and what to do
about it, and exits with 1 if anything is.`,
		Example: `  makerguard doctor
  makerguard doctor --store "mongodb://db1/eyewear_ml?tls=true" --kek file:/etc/makerguard/root.json`,
		Args: cobra.NoArgs,
	}
	addFlags(cmd, dataSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := loadConfig(cmd.Flags(), dataSettings)
		if err != nil {
			return err
		}
		cfg, err := guardConfig(k, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), startTimeout)
		defer cancel()
		ailments, err := guard.Examine(ctx, cfg)
		if err != nil {
			return err
		}
		if len(ailments) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "healthy: the store answers, the root key fits, and nothing is missing")
			return nil
		}
		t := table.NewWriter()
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"what", "is wrong", "do this"})
		for _, a := range ailments {
			t.AppendRow(table.Row{a.Subject, a.Problem, a.Remedy})
		}
		fmt.Fprintln(cmd.OutOrStdout(), t.Render())
		if len(ailments) == 1 {
			return errors.New("one thing is wrong")
		}
		return fmt.Errorf("%d things are wrong", len(ailments))
	}
	return cmd
}
