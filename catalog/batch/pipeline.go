package batch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard/catalog"
)

// pipeline is one run: a splitter cuts the file, workers check the pieces, and the
// collector puts what they found back in order. What is in flight is bounded, and so is
// memory: two pieces for each worker.
type pipeline struct {
	config   Config
	counts   map[countKey]*RuleCount
	seen     *seen
	progress Progress
	inError  int64
	row      int64 // of the next piece's first row
	line     int64
}

type countKey struct {
	rule     string
	severity catalog.Severity
}

// job is a piece on its way.
type job struct {
	piece
	err  error // the splitter's, after which there is no other job
	done chan result
}

func (p *pipeline) run(ctx context.Context, r io.Reader) error {
	free := make(chan []byte, 2*p.config.Workers+1)
	split := &splitter{r: r, size: chunkSize, spare: func() []byte {
		select {
		case b := <-free:
			return b
		default:
			return nil
		}
	}}
	file, err := p.open(split)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan *job)
	order := make(chan *job, 2*p.config.Workers)
	// Not in the group: a Read may wait for ever.
	go func() {
		defer close(jobs)
		for {
			j := &job{done: make(chan result, 1)}
			j.piece, j.err = split.next()
			select {
			case order <- j:
			case <-ctx.Done():
				return
			}
			if j.err != nil {
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return
			}
		}
	}()
	seed := maphash.MakeSeed()
	for range p.config.Workers {
		group.Go(func() error {
			w := &worker{config: &p.config, file: file, doc: newRow(p.config.Kind, file.columns), seed: seed}
			for {
				select {
				case j, more := <-jobs:
					if !more {
						return nil
					}
					j.done <- w.check(j.piece)
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	group.Go(func() error { return p.collect(ctx, order, file, free) })
	return group.Wait()
}

// open reads a CSV's header.
func (p *pipeline) open(s *splitter) (*layout, error) {
	for s.err == nil && s.end-s.start < chunkSize && bytes.IndexByte(s.buf[s.start:s.end], '\n') < 0 {
		s.fill(chunkSize)
	}
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return nil, fmt.Errorf("reading the file: %w", s.err)
	}
	head := s.buf[s.start:s.end]
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return nil, malformed("the file is in UTF-16: save it as CSV UTF-8")
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(head, bom) {
		s.start += len(bom)
		head = head[len(bom):]
		p.progress.Bytes += int64(len(bom))
	}
	if p.config.Format != CSV {
		return &layout{}, nil
	}
	line, _, whole := bytes.Cut(head, []byte("\n"))
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return nil, malformed("the file's first row must name the columns: sku,gtin,frame.size")
	case !whole && !errors.Is(s.err, io.EOF):
		return nil, malformed("the file's first row is too long to name columns")
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

// collect takes the results in the order of the file.
func (p *pipeline) collect(ctx context.Context, order <-chan *job, file *layout, free chan<- []byte) error {
	for {
		var j *job
		select {
		case j = <-order:
		case <-ctx.Done():
			return ctx.Err()
		}
		if errors.Is(j.err, io.EOF) {
			return nil
		}
		if j.err != nil {
			return fmt.Errorf("reading the file: %w", j.err)
		}
		var res result
		select {
		case res = <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if j.buf != nil {
			select {
			case free <- j.buf:
			default:
			}
		}
		if p.seen != nil {
			p.unique(&res, file)
		}
		for i := range res.problems {
			problem := &res.problems[i]
			problem.Row += p.row + 1
			problem.Line += p.line + 1
			p.count(problem)
			if p.config.Problem != nil {
				if err := p.config.Problem(*problem); err != nil {
					return err
				}
			}
		}
		p.row += res.height
		p.line += res.lines
		p.inError += res.rowsInError
		p.progress.Rows += res.rows
		p.progress.Bytes += j.bytes
		if p.config.Progress != nil {
			p.config.Progress(p.progress)
		}
	}
}

func (p *pipeline) count(problem *Problem) {
	key := countKey{problem.Rule, problem.Severity}
	c := p.counts[key]
	if c == nil {
		c = &RuleCount{Rule: problem.Rule, Severity: problem.Severity, FirstRow: problem.Row, Message: problem.Message}
		p.counts[key] = c
	}
	c.Count++
}

func (p *pipeline) summary() Summary {
	s := Summary{Rows: p.progress.Rows, RowsInError: p.inError, Rules: []RuleCount{}}
	for _, c := range p.counts {
		if c.Severity == catalog.SeverityError {
			s.Errors += c.Count
		} else {
			s.Warnings += c.Count
		}
		s.Rules = append(s.Rules, *c)
	}
	slices.SortFunc(s.Rules, func(a, b RuleCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Rule, b.Rule), cmp.Compare(a.Severity, b.Severity))
	})
	if p.seen != nil {
		s.UniqueUntil = p.seen.until
	}
	return s
}
