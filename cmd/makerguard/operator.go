package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
)

func operatorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Manage the operators of this installation",
	}
	cmd.AddCommand(operatorCreateCommand())
	return cmd
}

func operatorCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --email EMAIL --password-stdin",
		Short: "Create an operator with a second factor",
		Long: `Create an operator: a member of the built-in platform tenant, who manages manufacturers.

It works before the first serve and beside a running one. Operators must have a second factor, so
one is enrolled at once: put the otpauth:// line into an authenticator app (or, as a QR code:
qrencode -t ansiutf8) and keep the recovery codes. Both are shown only now.`,
		Example: `  printf '%s' "$PASSWORD" | makerguard operator create --email you@example.com --password-stdin`,
		Args:    cobra.NoArgs,
	}
	addFlags(cmd, dataSettings)
	email := cmd.Flags().String("email", "", "address the operator signs in with")
	fromStdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if *email == "" {
			return errors.New("--email is missing")
		}
		if !*fromStdin {
			return errors.New("give the password on standard input, with --password-stdin: flags can be read by others on this machine")
		}
		password, err := readPassword(cmd.InOrStdin())
		if err != nil {
			return err
		}
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
		m, err := g.Accounts.CreateOperator(cmd.Context(), *email, password)
		if err != nil {
			return err
		}
		enrolment, codes, err := g.Auth.ProvisionTOTP(cmd.Context(), m)
		if err != nil {
			return fmt.Errorf("the operator %s was created, but without a second factor; sign in to enrol one: %w", m.Email, err)
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "operator %s created (%s)\n\n%s\n\nrecovery codes, each good for one sign-in:\n", m.Email, m.ID, string(enrolment.URI))
		for _, c := range codes {
			fmt.Fprintf(out, "  %s\n", string(c))
		}
		return nil
	}
	return cmd
}

// maxPassword is one byte more than a password may have, so that a longer one is seen
// as such. A line break at the end is the shell's, not the password's.
const maxPassword = 1025

func readPassword(r io.Reader) (makerguard.Secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPassword+2))
	if err != nil {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", errors.New("standard input holds no password")
	}
	return makerguard.Secret(text), nil
}
