package batch

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/makerguard/makerguard/catalog"
)

// ErrorFile writes problems as a CSV that a spreadsheet opens as it is: UTF-8 with a byte order
// mark, CRLF, and cells that could be taken for formulas made text by catalog.SafeCell.
type ErrorFile struct {
	buf   *bufio.Writer
	w     *csv.Writer
	cells [9]string
}

// NewErrorFile writes the header: row, line, column, rule, severity, value, expected, message and
// source.
func NewErrorFile(w io.Writer) (*ErrorFile, error) {
	buf := bufio.NewWriterSize(w, 64<<10)
	f := &ErrorFile{buf: buf, w: csv.NewWriter(buf)}
	f.w.UseCRLF = true
	if _, err := buf.WriteString("\ufeff"); err != nil {
		return nil, fmt.Errorf("writing the problems: %w", err)
	}
	f.cells = [...]string{"row", "line", "column", "rule", "severity", "value", "expected", "message", "source"}
	return f, f.flushed(f.w.Write(f.cells[:]))
}

// Write adds a problem.
func (f *ErrorFile) Write(p Problem) error {
	f.cells = [...]string{
		strconv.FormatInt(p.Row, 10), strconv.FormatInt(p.Line, 10), catalog.SafeCell(p.Column), p.Rule, string(p.Severity),
		catalog.SafeCell(p.Value), catalog.SafeCell(p.Expected), catalog.SafeCell(p.Message), p.Source,
	}
	return f.flushed(f.w.Write(f.cells[:]))
}

// Flush writes out what is still kept back.
func (f *ErrorFile) Flush() error {
	f.w.Flush()
	if err := f.w.Error(); err != nil {
		return f.flushed(err)
	}
	return f.flushed(f.buf.Flush())
}

func (f *ErrorFile) flushed(err error) error {
	if err != nil {
		return fmt.Errorf("writing the problems: %w", err)
	}
	return nil
}
