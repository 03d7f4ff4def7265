// Command makerguard is the security foundation under a marketplace's manufacturer side:
// one binary that signs manufacturers in, decides what they may do and how much of it,
// keeps their data sealed and inspects what they send.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // manufacturers' time zones, on machines that have none

	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard"
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that deferred calls happen.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// execute runs one command line: 0 if it worked, else the error's exit code with
// the reason on stderr.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "makerguard",
		Short: "Sign-in, access and quotas, encryption and threat detection for manufacturers",
		Long: `makerguard is the security foundation under a marketplace's manufacturer side.

Without any configuration it listens on 127.0.0.1:8080 and keeps everything in ./data.`,
		Example: `  makerguard serve                    start with everything default
  makerguard serve --demo             with a manufacturer of each tier to play with
  makerguard operator create --email you@example.com --password-stdin`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(), operatorCommand(), keysCommand(), doctorCommand(), detectCommand(), validateCommand(), imagesCommand(), blocksCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "makerguard: "+explain(err))
		return exitCode(err)
	}
	return 0
}

// explain gives an error to the person at the command line: what to do first, then
// each cause below it.
func explain(err error) string {
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok {
		return err.Error()
	}
	text := e.Message
	if text == "" {
		text = string(e.Code)
	}
	for _, f := range e.Fields {
		text += "\n  " + f.Message
		if f.Pointer != "" {
			text += " (" + f.Pointer + ")"
		}
	}
	if e.Err != nil {
		text += "\n  cause: " + e.Err.Error()
	}
	return text
}

// version is the module's version, or the commit a working copy was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && (v == "" || v == "(devel)") {
			v = s.Value[:12]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}
