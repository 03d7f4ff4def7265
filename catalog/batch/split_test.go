package batch

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// records reads CSV as the workers do: a row, or "!" for one that cannot be read.
func records(t testing.TB, data []byte, comma byte) (rows []string) {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord = rune(comma), -1
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			rows = append(rows, "!")
			continue
		}
		rows = append(rows, strings.Join(cells, "\x00"))
	}
}

// FuzzSplit: cut into small pieces, a file has the same rows as read in one go, and no byte of it is
// lost. Only a quotation mark that nothing ends makes a difference: it spoils its own line.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		"", "\n", "a,b\nc,d\n", "\"a\nb\",c\n\"d\"\"e\",\"\"\n", "a\"b,c\n\"d\ne\"f\ng\n", "\"open\nx\n\"y\n", "a,\"b\",\"c\n\"\nd", "\r\n\"a\"\r\n,\"b\r\nc\"\r\n",
		strings.Repeat("some,\"quoted\ncell\",here\n", 20), strings.Repeat("x", 100) + "\n" + strings.Repeat("y,", 50),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const comma = ','
		s := &splitter{r: iotest.HalfReader(bytes.NewReader(data)), comma: comma, size: 16, spare: func() []byte { return nil }}
		var got []string
		broken, length := false, int64(0)
		for {
			p, err := s.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			broken = broken || p.broken != ""
			length += p.bytes
			got = append(got, records(t, p.data, comma)...)
		}
		if length != int64(len(data)) {
			t.Errorf("%d bytes came out of %d", length, len(data))
		}
		if want := records(t, data, comma); !broken && !slices.Equal(got, want) {
			t.Errorf("%q\ncut: %q\nwant %q", data, got, want)
		}
	})
}
