package guard

import (
	"context"
	"sync"
	"time"
)

// readTimeout bounds one reading of something that changed.
const readTimeout = 5 * time.Second

// refresher reads again what other nodes changed. The feed must not wait for the store, so
// it only says what is to be read; this does it in the background, until it succeeds.
type refresher struct {
	wake chan struct{}

	mu      sync.Mutex
	pending map[string]func(context.Context) error // by what they read, so that each waits once
}

func newRefresher() *refresher {
	return &refresher{wake: make(chan struct{}, 1), pending: map[string]func(context.Context) error{}}
}

// request has read called soon. Requests of one name that wait are one.
func (r *refresher) request(name string, read func(context.Context) error) {
	r.mu.Lock()
	r.pending[name] = read
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run serves requests until ctx ends; failed is told of readings that will be tried again.
func (r *refresher) run(ctx context.Context, failed func(name string, err error)) error {
	const retry = 500 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		}
		r.mu.Lock()
		todo := r.pending
		r.pending = map[string]func(context.Context) error{}
		r.mu.Unlock()
		for name, read := range todo {
			if err := r.read(ctx, read); err != nil && ctx.Err() == nil {
				failed(name, err)
				time.AfterFunc(retry, func() { r.request(name, read) })
			}
		}
	}
}

func (r *refresher) read(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return read(ctx)
}
