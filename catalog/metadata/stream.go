package metadata

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/makerguard/makerguard"
)

// window is how much of a file can be looked at before it is copied or dropped. The longest
// segment of a JPEG fits.
const window = 64 << 10

// errCutOff is the end of the file where more is needed.
var errCutOff = errors.New("unexpected end of the file")

// source counts and bounds what is read.
type source struct {
	r        io.Reader
	n, limit int64
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	switch {
	case s.n > s.limit:
		return 0, &makerguard.Error{Code: makerguard.PayloadTooLarge, Message: fmt.Sprintf("the file is longer than %d bytes: make it smaller", s.limit)}
	case errors.Is(err, io.ErrUnexpectedEOF): // of a body that ended before its length
		return n, fmt.Errorf("reading the image: %w: %w", errCutOff, err)
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("reading the image: %w", err)
	}
	return n, err
}

// sink counts what is written.
type sink struct {
	w io.Writer
	n int64
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.n += int64(n)
	if err != nil {
		return n, fmt.Errorf("writing the image: %w", err)
	}
	return n, nil
}

// file is an image on its way from one to the other.
type file struct {
	in      *bufio.Reader
	at      int64 // where the next byte of in stands
	out     *bufio.Writer
	removed map[Kind]bool
}

// head shows up to n bytes that come next; fewer only at the end of the file.
func (f *file) head(n int) ([]byte, error) {
	b, err := f.in.Peek(min(n, window))
	if err == io.EOF { // source passes it on unwrapped
		err = nil
	}
	return b, err
}

// next takes n bytes, at most a window, which are valid until the file is read again.
func (f *file) next(n int) ([]byte, error) {
	b, err := f.head(n)
	if err != nil {
		return nil, err
	}
	if len(b) < n {
		return nil, errCutOff
	}
	f.skipBuffered(n)
	return b, nil
}

// ready shows what is in the buffer, at least a byte.
func (f *file) ready() ([]byte, error) {
	b, err := f.head(1)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errCutOff
	}
	return f.head(f.in.Buffered())
}

// skipBuffered drops bytes that were looked at.
func (f *file) skipBuffered(n int) {
	_, _ = f.in.Discard(n) // cannot fail: they are in the buffer
	f.at += int64(n)
}

// each hands the next n bytes to use, a piece at a time.
func (f *file) each(n int64, use func([]byte) error) error {
	for n > 0 {
		b, err := f.ready()
		if err != nil {
			return err
		}
		b = b[:min(n, int64(len(b)))]
		if err := use(b); err != nil {
			return err
		}
		f.skipBuffered(len(b))
		n -= int64(len(b))
	}
	return nil
}

// copy passes the next n bytes on.
func (f *file) copy(n int64) error { return f.each(n, f.write) }

// skip drops the next n bytes.
func (f *file) skip(n int64) error { return f.each(n, func([]byte) error { return nil }) }

func (f *file) write(b []byte) error {
	_, err := f.out.Write(b)
	return err
}

// end drops what stands behind the image and sends what is still held.
func (f *file) end() error {
	n, err := io.Copy(io.Discard, f.in)
	if err != nil {
		return err
	}
	if n > 0 {
		f.remove(Trailing)
	}
	return f.out.Flush()
}
