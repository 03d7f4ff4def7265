package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
)

func blocksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "blocks",
		Short: "See who is blocked, and lift blocks",
		Long: `Blocks are made automatically when too much that looks like an attack comes from one place, and by
operators. These commands work beside a running server, and so also for operators whose own address is
blocked.`,
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the blocks in force, newest first",
		Example: `  makerguard blocks list`,
		Args:    cobra.NoArgs,
	}
	addFlags(list, dataSettings)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return withData(cmd, func(g *guard.Guard) error {
			bs, err := g.Defense.Abuse.Blocks(cmd.Context())
			if err != nil {
				return err
			}
			if len(bs) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nobody is blocked")
				return nil
			}
			t := table.NewWriter()
			t.SetStyle(table.StyleLight)
			t.AppendHeader(table.Row{"id", "kind", "subject", "until", "why"})
			for _, b := range bs {
				t.AppendRow(table.Row{b.ID, b.Kind, b.Subject, b.ExpiresAt.UTC().Format(time.RFC3339), b.Reason})
			}
			fmt.Fprintln(cmd.OutOrStdout(), t.Render())
			return nil
		})
	}
	lift := &cobra.Command{
		Use:     "lift ID --reason WHY",
		Short:   "Lift a block; it does not come back by itself for an hour",
		Example: `  makerguard blocks lift blk_0198... --reason "our own penetration test"`,
		Args:    cobra.ExactArgs(1),
	}
	addFlags(lift, dataSettings)
	reason := lift.Flags().String("reason", "", "why, for the audit record")
	lift.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(*reason) == "" {
			return errors.New("--reason is missing: the audit record keeps it")
		}
		return withData(cmd, func(g *guard.Guard) error {
			if err := g.Defense.Abuse.Lift(cmd.Context(), nil, args[0], *reason, makerguard.Client{}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "lifted %s\n", args[0])
			return nil
		})
	}
	cmd.AddCommand(list, lift)
	return cmd
}

// withData runs f on the data that a command's flags name, beside a running server.
func withData(cmd *cobra.Command, f func(*guard.Guard) error) (err error) {
	k, err := loadConfig(cmd.Flags(), dataSettings)
	if err != nil {
		return err
	}
	cfg, err := guardConfig(k, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cfg.Shared = true
	g, err := guard.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	return f(g)
}

// blockKinds reads who is to be blocked automatically, separated by commas; "none" is nobody.
func blockKinds(list string) []makerguard.BlockKind {
	kinds := []makerguard.BlockKind{}
	for kind := range strings.SplitSeq(list, ",") {
		if kind = strings.TrimSpace(kind); kind != "" && kind != "none" {
			kinds = append(kinds, makerguard.BlockKind(kind))
		}
	}
	return kinds
}
