package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// pool bounds how many passwords are hashed at once, and how many callers wait for it,
// throttling included. The workers are a semaphore rather than goroutines, so that a
// caller whose context ends frees its place at once and not when its turn would come.
type pool struct {
	workers chan struct{}
	most    int64 // callers inside
	inside  atomic.Int64
	hashed  atomic.Uint64
}

// overloadedRetry is long enough for some of a full queue to be worked off.
const overloadedRetry = 2 * time.Second

func newPool(workers, queue int) *pool {
	return &pool{workers: make(chan struct{}, workers), most: int64(workers) + int64(queue)}
}

// place is a caller's right to have work done by and by.
type place struct{ pool *pool }

// enter returns OVERLOADED when all places are taken. leave must be called once.
func (p *pool) enter() (place, error) {
	for {
		n := p.inside.Load()
		if n >= p.most {
			return place{}, overloaded(nil)
		}
		if p.inside.CompareAndSwap(n, n+1) {
			return place{pool: p}, nil
		}
	}
}

func (p place) leave() { p.pool.inside.Add(-1) }

// work waits for a worker and runs f, unless ctx ends first.
func (p place) work(ctx context.Context, f func()) error {
	select {
	case p.pool.workers <- struct{}{}:
		defer func() { <-p.pool.workers }()
	case <-ctx.Done():
	}
	// Where both were possible, select picked at random.
	if err := ctx.Err(); err != nil {
		return overloaded(fmt.Errorf("waiting to hash a password: %w", err))
	}
	p.pool.hashed.Add(1)
	f()
	return nil
}
