package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard/catalog/metadata"
)

// longestImage is far beyond what cameras make: only a WebP is held in memory.
const longestImage = 1 << 30

func imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Work on image files",
	}
	cmd.AddCommand(cleanCommand())
	return cmd
}

// cleanOptions are the flags of images clean.
type cleanOptions struct {
	output         string
	inPlace, check bool
}

func cleanCommand() *cobra.Command {
	var o cleanOptions
	cmd := &cobra.Command{
		Use:   "clean FILE...",
		Short: "Remove the metadata of images",
		Long: `Remove the metadata of JPEG, PNG, GIF and WebP images: where and with which camera a photo was taken, previews,
comments, the history of edits, and what stands behind the image's end. Pixels are copied as they are; colour
profiles, transparency, animation and orientation stay.

The result is NAME.clean.EXT beside each file. It replaces a file of that name. Files appear whole or not at all, and
a file that cannot be cleaned stays as it is.

The exit code is 0 if all went well, 1 with --check if something would be removed, and 2 if a file could not be
cleaned: it cannot be read, is malformed, or is of another kind. The other files are cleaned nevertheless.`,
		Example: `  makerguard images clean photo.jpg
  makerguard images clean --in-place photos/*.jpg
  makerguard images clean photo.jpg -o public/photo.jpg
  makerguard images clean --check photos/*`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
				return unusable(err)
			}
			switch {
			case o.output != "" && len(args) > 1:
				return unusable(errors.New("--output takes one file; without it each has its own"))
			case o.output != "" && o.inPlace, o.check && (o.inPlace || o.output != ""):
				return unusable(errors.New("give one of --output, --in-place and --check"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cleanImages(cmd, args, o) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return unusable(err) })
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write the result to this file")
	f.BoolVar(&o.inPlace, "in-place", false, "replace the files; those with nothing to remove are not touched")
	f.BoolVar(&o.check, "check", false, "only tell what would be removed")
	return cmd
}

func cleanImages(cmd *cobra.Command, names []string, o cleanOptions) error {
	bar := progress(cmd.ErrOrStderr(), len(names))
	if bar != nil {
		bar.Describe("cleaning")
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"file", "bytes before", "bytes after", "removed"})
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "removed", WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
	dirty := 0
	var failures []error
	for _, name := range names {
		if err := cmd.Context().Err(); err != nil { // interrupted: what is done is done
			failures = append(failures, err)
			break
		}
		report, err := cleanFile(name, o)
		if bar != nil {
			_ = bar.Add(1) // a bar that cannot be drawn is no reason to stop
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %s", name, explain(err)))
			continue
		}
		if len(report.Removed) > 0 {
			dirty++
		}
		removed := report.List()
		if removed == "" {
			removed = "-"
		}
		t.AppendRow(table.Row{name, report.Before, report.After, removed})
	}
	if bar != nil {
		_ = bar.Finish()
	}
	if t.Length() > 0 {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), t.Render()); err != nil {
			failures = append(failures, err)
		}
	}
	switch {
	case len(failures) > 0:
		return unusable(errors.Join(failures...))
	case o.check && dirty > 0:
		return fmt.Errorf("%d of %d images have metadata", dirty, len(names))
	}
	return nil
}

// cleanFile cleans one file as the options say.
func cleanFile(name string, o cleanOptions) (metadata.Report, error) {
	if o.inPlace { // of a link, the file that it leads to
		whole, err := filepath.EvalSymlinks(name)
		if err != nil {
			return metadata.Report{}, err
		}
		name = whole
	}
	in, err := os.Open(name)
	if err != nil {
		return metadata.Report{}, err
	}
	defer in.Close() //nolint:errcheck // only read
	limits := metadata.Limits{Bytes: longestImage}
	if o.check {
		return metadata.Strip(io.Discard, in, limits)
	}
	target := o.output
	switch {
	case o.inPlace:
		target = name
	case target == "":
		ext := filepath.Ext(name)
		target = strings.TrimSuffix(name, ext) + ".clean" + ext
	}
	return replaceImage(target, in, limits, o.inPlace)
}

// replaceImage writes what becomes of an image to a new file that takes the place of target once it is
// complete, with the mode of in. unlessSame leaves target alone if nothing was removed.
func replaceImage(target string, in *os.File, limits metadata.Limits, unlessSame bool) (report metadata.Report, err error) {
	info, err := in.Stat()
	if err != nil {
		return report, err
	}
	if !info.Mode().IsRegular() {
		return report, errors.New("this is not a file")
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), ".makerguard-*")
	if err != nil {
		return report, err
	}
	placed := false
	defer func() {
		if !placed {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	report, err = metadata.Strip(tmp, in, limits)
	if err == nil {
		err = errors.Join(tmp.Chmod(info.Mode().Perm()), tmp.Sync())
	}
	if err := errors.Join(err, tmp.Close()); err != nil || unlessSame && len(report.Removed) == 0 {
		return report, err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return report, err
	}
	placed = true
	return report, nil
}
