package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// rounds is how often each side has its turn: so often that a disturbance of a good part of
// a second, which other programs cause, spoils few of them. Odd, so that the median is one of
// them.
const rounds = 41

// row is one line of the table.
type row struct {
	path    string // what is measured, in the words of the target
	against string // what it is compared with
	target  target
	measure func(*lab, row) (result, error)
}

// lab is what a row works with: where it may leave things, and what is to be undone or
// checked at its end.
type lab struct {
	ctx       context.Context //nolint:containedctx // a lab lives as long as one call
	benchtime time.Duration
	binary    *binary
	atEnd     []func() error
}

// finally has f called at the end of the row, the last one first.
func (l *lab) finally(f func() error) { l.atEnd = append(l.atEnd, f) }

func (l *lab) close() error {
	var errs []error
	for _, f := range slices.Backward(l.atEnd) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// tempDir makes a directory that is removed at the end of the row.
func (l *lab) tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "makerguard-bench-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	l.finally(func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// side is one of the two things that have their turns.
type side struct {
	// prepare, if set, makes what the next n operations use up. It is not measured.
	prepare func(n int) error
	// run does n operations, checks their answers, and returns an error for a wrong one.
	run func(n int) error
}

// spread is where a comparison may run.
type spread int

const (
	// oneCore leaves one core for everything, so that whoever makes garbage also pays
	// for its collection.
	oneCore spread = iota
	// allCores is for operations that run at once.
	allCores
)

// comparison gives the measure function of a row that has two sides. An operation is done
// in batches of at least least.
func comparison(where spread, least int, setup func(*lab) (ours, theirs side, err error)) func(*lab, row) (result, error) {
	return func(l *lab, r row) (result, error) {
		if where == oneCore {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		}
		ours, theirs, err := setup(l)
		if err != nil {
			return result{}, fmt.Errorf("setting up: %w", err)
		}
		a, b, err := byTurns(l, least, ours, theirs)
		if err != nil {
			return result{}, err
		}
		return r.target.judge(r, a, b), nil
	}
}

// sample is what one operation took, in each round.
type sample struct {
	ns     []float64
	allocs int64 // of an operation, in the round with the fewest
}

func (s sample) median() float64 { return median(s.ns) }

// median is for an odd number of values.
func median(v []float64) float64 {
	return slices.Sorted(slices.Values(v))[len(v)/2]
}

// byTurns measures both sides, for benchtime each, in rounds.
func byTurns(l *lab, least int, ours, theirs side) (a, b sample, err error) {
	turn := l.benchtime / rounds
	nOurs, err := calibrate(ours, least, turn)
	if err != nil {
		return a, b, fmt.Errorf("our side: %w", err)
	}
	nTheirs, err := calibrate(theirs, least, turn)
	if err != nil {
		return a, b, fmt.Errorf("the other side: %w", err)
	}
	for range rounds {
		if err := l.ctx.Err(); err != nil {
			return a, b, err
		}
		if err := a.add(ours, nOurs); err != nil {
			return a, b, fmt.Errorf("our side: %w", err)
		}
		if err := b.add(theirs, nTheirs); err != nil {
			return a, b, fmt.Errorf("the other side: %w", err)
		}
	}
	return a, b, nil
}

// calibrate finds how many operations fill a turn, and warms the side up by that.
func calibrate(s side, least int, turn time.Duration) (int, error) {
	for n := least; ; {
		took, _, err := s.timed(n)
		if err != nil {
			return 0, err
		}
		if took >= turn/2 {
			return max(least, int(float64(n)*float64(turn)/float64(took))), nil
		}
		n = min(100*n, int(float64(n)*float64(turn)/float64(max(took, time.Microsecond)))+1)
	}
}

func (s *sample) add(of side, n int) error {
	took, allocs, err := of.timed(n)
	if err != nil {
		return err
	}
	each := int64(allocs) / int64(n) // rounded down, as package testing does
	if len(s.ns) == 0 || each < s.allocs {
		s.allocs = each
	}
	s.ns = append(s.ns, float64(took.Nanoseconds())/float64(n))
	return nil
}

// timed does n operations on a heap that was just cleared, so that neither side collects
// the garbage of the other.
func (s side) timed(n int) (took time.Duration, allocs uint64, err error) {
	if s.prepare != nil {
		if err := s.prepare(n); err != nil {
			return 0, 0, fmt.Errorf("preparing: %w", err)
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err = s.run(n)
	took = time.Since(start)
	runtime.ReadMemStats(&after)
	return took, after.Mallocs - before.Mallocs, err
}

// each makes a side that does one thing again and again, where a call more or less does
// not matter.
func each(op func() error) side {
	return side{run: func(n int) error {
		for range n {
			if err := op(); err != nil {
				return err
			}
		}
		return nil
	}}
}
