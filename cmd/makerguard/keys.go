package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard/envelope"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Manage root keys",
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "init FILE",
		Short: "Make a root key file, readable by its owner only",
		Long: `Make a root key file. A file that exists is never overwritten.

Give it to serve with --kek file:FILE, or its content in base64 with --kek env:NAME. Whoever has this file
and the database can read everything; without this file nobody can.`,
		Example: `  makerguard keys init /etc/makerguard/root.json
  makerguard serve --kek file:/etc/makerguard/root.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := envelope.GenerateKEK()
			if err != nil {
				return fmt.Errorf("making a root key: %w", err)
			}
			if err := envelope.WriteKEKFile(args[0], content); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "made the root key %s; keep a copy of it apart from the data\n", args[0])
			return nil
		},
	})
	return cmd
}
