// Package job runs work that outlives a request and the process it began in. A job is
// stored before it runs; a node works on it under a lease that it renews, and when it stops
// doing so, for instance because it was killed, another node goes on. So a handler
// may be run again from its beginning at any time, by any node, and must look at what
// is done already; never do two nodes work on one job while both can reach the store.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// Handler does the work of one kind of job. It reports steps as they are done; an error of
// report means that the job is another node's now, and ends the work. A handler's
// StoreUnavailable or end of context leaves the job to be gone on with; any other error
// fails it, and the error's safe message is kept.
type Handler func(ctx context.Context, j makerguard.Job, report Report) error

// Report stores how far a job is.
type Report func(done, total int64) error

// Config says what a Runner works with.
type Config struct {
	Store    Store                          // required
	Node     string                         // required: this process, unlike any other
	Handlers map[makerguard.JobKind]Handler // required
	Lease    time.Duration                  // after it without a word a job is another node's. Default 15 s
	Poll     time.Duration                  // how often is looked for jobs that others left. Default 2 s
	Now      func() time.Time               // nil means time.Now
	Logger   *slog.Logger                   // nil discards
}

// Runner starts jobs and works on them, one at a time. It is safe for concurrent use.
type Runner struct {
	c    Config
	wake chan struct{}
}

// New checks the configuration.
func New(c Config) (*Runner, error) {
	if c.Store == nil || c.Node == "" || len(c.Handlers) == 0 {
		return nil, errors.New("jobs: a store, the node's name and handlers are needed")
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{c: c, wake: make(chan struct{}, 1)}, nil
}

// Start stores a job, which this node or another begins at once. Conflict if one of the
// same kind for the same manufacturer ("" is the installation) is running already.
func (r *Runner) Start(ctx context.Context, kind makerguard.JobKind, mfr makerguard.ManufacturerID) (makerguard.Job, error) {
	if r.c.Handlers[kind] == nil {
		return makerguard.Job{}, fmt.Errorf("starting a job: nobody handles %q", kind)
	}
	now := r.c.Now().UTC()
	j := makerguard.Job{
		ID: makerguard.JobID(id.New("job")), Kind: kind, ManufacturerID: mfr, State: makerguard.JobRunning,
		LeaseUntil: now.Add(-time.Millisecond), CreatedAt: now, UpdatedAt: now,
	}
	if err := r.c.Store.CreateJob(ctx, j); err != nil {
		if errors.Is(err, makerguard.Conflict) {
			return makerguard.Job{}, &makerguard.Error{
				Code: makerguard.Conflict, Message: "A job of this kind is running already. Wait until it has ended.", Err: err,
			}
		}
		return makerguard.Job{}, fmt.Errorf("starting a job: %w", err)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return j, nil
}

// Job returns NotFound if there is none.
func (r *Runner) Job(ctx context.Context, id makerguard.JobID) (makerguard.Job, error) {
	return r.c.Store.Job(ctx, id)
}

// Run works on jobs until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	tick := time.NewTicker(r.c.Poll)
	defer tick.Stop()
	for {
		if worked := r.next(ctx); worked {
			continue // perhaps there are more
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// next works on one job, if there is one that nobody works on.
func (r *Runner) next(ctx context.Context) bool {
	now := r.c.Now().UTC()
	j, err := r.c.Store.ClaimJob(ctx, r.c.Node, now, now.Add(r.c.Lease))
	if err != nil {
		if !errors.Is(err, makerguard.NotFound) && ctx.Err() == nil {
			r.c.Logger.WarnContext(ctx, "looking for jobs", "error", err)
		}
		return false
	}
	err = r.work(ctx, j)
	if err != nil && ctx.Err() == nil {
		r.c.Logger.ErrorContext(ctx, "job left", "job", j.ID, "kind", j.Kind, "error", err)
	}
	return err == nil
}

// work runs a job's handler and stores how it ended. Its error means that the job did not end here.
func (r *Runner) work(ctx context.Context, j makerguard.Job) error {
	handler := r.c.Handlers[j.Kind]
	if handler == nil { // a newer version's: not ours to fail
		return fmt.Errorf("no handler for jobs of kind %q", j.Kind)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	held := &held{r: r, j: j}
	stop := held.keep(ctx, cancel)
	err := handler(ctx, j, func(done, total int64) error {
		return held.save(ctx, func(j *makerguard.Job) { j.Done, j.Total = done, total })
	})
	stop()
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err == nil:
		return held.save(ctx, func(j *makerguard.Job) { j.State, j.Done = makerguard.JobDone, j.Total })
	case errors.Is(err, makerguard.StoreUnavailable), errors.Is(err, makerguard.KeyUnavailable):
		return errors.Join(err, held.release(ctx))
	}
	r.c.Logger.ErrorContext(ctx, "job failed", "job", j.ID, "kind", j.Kind, "error", err)
	return held.save(ctx, func(j *makerguard.Job) { j.State, j.Error = makerguard.JobFailed, message(err) })
}

// message is what may be shown of an error.
func message(err error) string {
	if e, ok := errors.AsType[*makerguard.Error](err); ok {
		return e.Message
	}
	return "an internal error; the log of the node that ran the job has the cause"
}

// held is a job that this node works on.
type held struct {
	r  *Runner
	mu sync.Mutex
	j  makerguard.Job
}

// save stores a change and renews the lease.
func (h *held) save(ctx context.Context, change func(*makerguard.Job)) error {
	return h.saveFor(ctx, h.r.c.Lease, change)
}

// release gives the job up, so that whoever looks for jobs next goes on with it.
func (h *held) release(ctx context.Context) error {
	return h.saveFor(ctx, -time.Millisecond, func(*makerguard.Job) {})
}

func (h *held) saveFor(ctx context.Context, lease time.Duration, change func(*makerguard.Job)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.j
	change(&next)
	next.UpdatedAt = h.r.c.Now().UTC()
	next.LeaseUntil = next.UpdatedAt.Add(lease)
	if err := h.r.c.Store.SaveJob(ctx, next); err != nil {
		return fmt.Errorf("saving job %s: %w", h.j.ID, err)
	}
	h.j = next
	return nil
}

// keep renews the lease in the background, and ends the work when another node has taken the
// job, or when the lease may have run out unseen.
func (h *held) keep(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(h.r.c.Lease / 4)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := h.save(ctx, func(*makerguard.Job) {})
			if errors.Is(err, makerguard.Conflict) || err != nil && h.expired() {
				cancel(err)
				return
			}
		}
	})
	return func() { close(done); work.Wait() }
}

func (h *held) expired() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.r.c.Now().Before(h.j.LeaseUntil)
}
