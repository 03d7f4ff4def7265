package mongo

import (
	"context"
	"hash/maphash"
)

// turns lets one goroutine of this process at a time insert what may be there once. The
// server's unique index decides, among processes too; but FerretDB (2.7) may answer many who
// want the same value at once only after seconds, with a deadlock that it had to find first.
type turns struct {
	seed  maphash.Seed
	taken [64]chan struct{} // by hash of the value
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.taken {
		t.taken[i] = make(chan struct{}, 1)
	}
	return t
}

// do calls fn when nobody else is at the same value, or fails when ctx ends.
func (t *turns) do(ctx context.Context, value string, fn func() error) error {
	turn := t.taken[maphash.String(t.seed, value)%uint64(len(t.taken))]
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	return fn()
}
