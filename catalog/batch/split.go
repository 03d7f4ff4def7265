package batch

import (
	"bytes"
	"errors"
	"io"
)

// chunkSize is how much of a file one worker takes at a time.
const chunkSize = 256 << 10

// splitter cuts a file into chunks of whole rows. It decides only where rows end; what they hold
// the workers read.
type splitter struct {
	r     io.Reader
	comma byte // between cells; 0 for NDJSON, whose rows end with the line
	buf   []byte
	start int // of what is not given out
	end   int // of what is read
	err   error
	size  int           // of a chunk, about
	spare func() []byte // a buffer to use again, or nil
}

// piece is what the splitter cuts off: whole rows, or one row that cannot be read.
type piece struct {
	data   []byte
	broken string // why the row cannot be read; "" for whole rows
	lines  int64  // of a broken row
	bytes  int64  // of the file
	buf    []byte // what data lies in, to be used again
}

const (
	rowTooLong = "the row is longer than 1 MiB: shorten it"
	openQuote  = `a cell begins with a quotation mark that nothing ends: end the cell with one, and write those inside twice`
)

// next gives the next piece, or io.EOF or the reader's error.
func (s *splitter) next() (piece, error) {
	for want := s.size; ; want = min(2*want, MaxRow) {
		for s.err == nil && s.end-s.start < want {
			s.fill(want)
		}
		atEnd := errors.Is(s.err, io.EOF)
		whole, open := s.boundary()
		switch {
		case whole > s.start:
			return s.cut(whole), nil
		case s.err != nil && !atEnd:
			return piece{}, s.err
		case s.end == s.start:
			return piece{}, s.err
		case atEnd && !open && s.end-s.start <= MaxRow:
			return s.cut(s.end), nil // the last line has no end
		case atEnd || want == MaxRow:
			return s.broken(open)
		}
	}
}

// fill reads more, making room for want bytes first.
func (s *splitter) fill(want int) {
	if s.end == len(s.buf) {
		to := s.buf
		if len(s.buf) < want {
			to = make([]byte, want)
		}
		s.end = copy(to, s.buf[s.start:s.end])
		s.start, s.buf = 0, to
	}
	for range 100 {
		var n int
		n, s.err = s.r.Read(s.buf[s.end:])
		s.end += n
		if n > 0 || s.err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

// cut gives out everything up to to. The buffer belongs to a worker then, so that the splitter
// goes on in another.
func (s *splitter) cut(to int) piece {
	p := piece{data: s.buf[s.start:to], bytes: int64(to - s.start), buf: s.buf}
	rest := s.buf[to:s.end]
	next := s.spare()
	if len(next) < max(s.size, len(rest)) {
		next = make([]byte, max(s.size, len(rest)))
	}
	s.end = copy(next, rest)
	s.start, s.buf = 0, next
	return p
}

// broken gives out the line that begins a row without an end, and goes on behind it. Of a line
// that is too long itself, it reads the rest.
func (s *splitter) broken(open bool) (piece, error) {
	p := piece{broken: rowTooLong, lines: 1}
	if open {
		p.broken = openQuote
	}
	for {
		if i := bytes.IndexByte(s.buf[s.start:s.end], '\n'); i >= 0 {
			p.bytes += int64(i + 1)
			s.start += i + 1
			return p, nil
		}
		p.bytes += int64(s.end - s.start)
		s.start, s.end = 0, 0
		if s.err != nil {
			if errors.Is(s.err, io.EOF) {
				return p, nil
			}
			return piece{}, s.err
		}
		n, err := s.r.Read(s.buf)
		s.end, s.err = n, err
	}
}

// boundary finds the end of the last whole row, s.start if there is none. open reports that the
// row after it has a quoted cell that has not ended.
func (s *splitter) boundary() (whole int, open bool) {
	b := s.buf[s.start:s.end]
	if s.comma == 0 || bytes.IndexByte(b, '"') < 0 {
		return s.start + bytes.LastIndexByte(b, '\n') + 1, false
	}
	n, open := lastRow(b, s.comma)
	return s.start + n, open
}

// lastRow finds the end of the last whole row of CSV. A quotation mark opens a cell at its beginning only, and
// after a mistake in quoting the next line is a new row, both as encoding/csv has it.
func lastRow(b []byte, comma byte) (whole int, open bool) {
	for i := 0; i < len(b); { // i is at the beginning of a cell
		if b[i] != '"' {
			n := cellEnd(b[i:], comma)
			if n < 0 {
				return whole, false
			}
			i += n
			if b[i] == '"' { // a mark within a bare cell
				n := bytes.IndexByte(b[i:], '\n')
				if n < 0 {
					return whole, false
				}
				i += n
			}
		} else {
			n, ended := quotedEnd(b[i:])
			if !ended {
				return whole, true
			}
			i += n
			// Behind the cell comes another, or the line's end; all else is a mistake.
			if i < len(b) && b[i] != comma && b[i] != '\n' {
				n := bytes.IndexByte(b[i:], '\n')
				if n < 0 {
					return whole, false
				}
				i += n
			}
		}
		if i < len(b) && b[i] == '\n' {
			whole = i + 1
		}
		i++
	}
	return whole, false
}

// cellEnd finds what ends a bare cell: a comma, a line end, or a mark that must not be there.
func cellEnd(b []byte, comma byte) int {
	for i, c := range b {
		if c == comma || c == '\n' || c == '"' {
			return i
		}
	}
	return -1
}

// quotedEnd finds the place behind the mark that ends a quoted cell.
func quotedEnd(b []byte) (n int, ended bool) {
	for n = 1; ; {
		i := bytes.IndexByte(b[n:], '"')
		if i < 0 {
			return 0, false
		}
		n += i + 1
		if n == len(b) || b[n] != '"' {
			return n, true
		}
		n++
	}
}
