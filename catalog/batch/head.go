package batch

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// open reads a CSV's header.
func (p *pipeline) open(s *splitter) (*layout, error) {
	for s.err == nil && s.end-s.start < chunkSize && bytes.IndexByte(s.buf[s.start:s.end], '\n') < 0 {
		s.fill(chunkSize)
	}
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return nil, fmt.Errorf("reading the file: %w", s.err)
	}
	head := s.buf[s.start:s.end]
	if reason := notText(head); reason != "" {
		return nil, malformed(reason)
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(head, bom) {
		s.start += len(bom)
		head = head[len(bom):]
		p.progress.Bytes += int64(len(bom))
	}
	line, _, whole := bytes.Cut(head, []byte("\n"))
	if p.config.Format != CSV {
		if first := bytes.TrimSpace(line); len(first) > 0 && (first[0] == '[' || len(first) == 1 && first[0] == '{') {
			return nil, malformed("the file is one JSON value over several rows: NDJSON has one object a line, as `jq -c '.[]'` makes of an array and `jq -c .` of objects")
		}
		return &layout{}, nil
	}
	switch {
	case len(head) == 0:
		return nil, malformed("the file is empty: its first row must name the columns, as sku,gtin,frame.size")
	case len(bytes.TrimSpace(line)) == 0:
		return nil, malformed("the file's first row must name the columns: sku,gtin,frame.size")
	case !whole && !errors.Is(s.err, io.EOF):
		return nil, malformed("the file's first row is too long to name columns")
	case bytes.IndexByte(bytes.TrimRight(line, "\r"), '\r') >= 0:
		return nil, malformed("the file's lines end with a carriage return alone: save it as CSV UTF-8")
	case !utf8.Valid(line):
		return nil, malformed("the file is not in UTF-8: save it as CSV UTF-8")
	}
	// No column's name has any of these, so what the header has is what parts cells.
	comma := byte(',')
	if bytes.IndexByte(line, ',') < 0 {
		if i := bytes.IndexAny(line, ";\t"); i >= 0 {
			comma = line[i]
		}
	}
	s.comma = comma
	r := csv.NewReader(bytes.NewReader(line))
	r.Comma = rune(comma)
	names, err := r.Read()
	if err != nil {
		return nil, malformed("the quotation marks in the file's first row do not fit")
	}
	columns, err := header(p.config.Kind, names)
	if err != nil {
		return nil, err
	}
	n := min(len(line)+1, len(head))
	s.start += n
	p.progress.Bytes += int64(n)
	p.row, p.line = 1, 1
	return newLayout(rune(comma), names, columns), nil
}

// notText tells what a file is by how it begins, if it is not the text it is meant to be; "" for
// text.
func notText(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "the file is in UTF-16: save it as CSV UTF-8"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return "the file is a spreadsheet's own, or an archive: save the sheet as CSV UTF-8"
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "the file is compressed: hand on what gzip -dc makes of it"
	case bytes.IndexByte(head[:min(len(head), 512)], 0) >= 0:
		return "the file is in UTF-16, or no text at all: save it as CSV UTF-8"
	}
	return ""
}
