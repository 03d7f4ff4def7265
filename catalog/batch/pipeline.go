package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

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
