package batch_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/catalog/batch"
)

func TestErrorFile_OpensInASpreadsheetAndHoldsNoFormula(t *testing.T) {
	var b bytes.Buffer
	f, err := batch.NewErrorFile(&b)
	if err != nil {
		t.Fatal(err)
	}
	file := "name,sku,rx.sphere\n\"a\nb\",\"=HYPERLINK(\"\"http://x.example\"\",\"\"a\"\")\",-2.10\n,@SUM(1),\n,\"\tx;y\",\n"
	summary, _ := run(t, strings.NewReader(file), batch.Config{Format: batch.CSV})
	if _, err := batch.Run(t.Context(), strings.NewReader(file), batch.Config{Format: batch.CSV, Problem: f.Write}); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(b.String(), "\ufeff")
	if !ok || !strings.Contains(text, "\r\n") {
		t.Errorf("no byte order mark or no CRLF: %q", b.String())
	}
	got, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != int(summary.Errors+summary.Warnings)+1 {
		t.Errorf("%d rows, want one for each of %d problems and a header", len(got), summary.Errors)
	}
	var values [][]string
	for _, row := range got {
		values = append(values, []string{row[0], row[1], row[2], row[3], row[5], row[6]})
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("the cell %q could be a formula", cell)
			}
		}
	}
	want := [][]string{
		{"row", "line", "column", "rule", "value", "expected"},
		{"2", "2", "sku", "upload", "'=HYPERLINK(\"http://x.example\",\"a\")", ""},
		{"2", "2", "rx.sphere", "rx", "'-2.10", "'-2.00"},
		{"3", "4", "sku", "upload", "'@SUM(1)", ""},
		{"4", "5", "sku", "upload", "'\tx;y", ""},
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

type failing struct{}

var errFull = errors.New("no space left")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestErrorFile_TellsThatItCannotBeWritten(t *testing.T) {
	f, err := batch.NewErrorFile(failing{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if err = f.Write(batch.Problem{Problem: catalog.Problem{Message: "wrong"}}); err != nil {
			break
		}
	}
	if !errors.Is(err, errFull) || !errors.Is(f.Flush(), errFull) {
		t.Errorf("Write = %v, Flush = %v, want the disk's error", err, f.Flush())
	}
}
