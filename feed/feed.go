// Package feed brings what other nodes did to this one: it reads the store's change
// feed at short intervals and hands each change to the caches that must drop something.
//
// It promises that every change acknowledged by the store after Start is handed to every
// subscriber at least once, in the feed's order, and that Fresh tells when that
// promise cannot be kept in time: a node that has not read the feed for MaxAge must
// stop trusting what it remembers. It promises no more speed than that of the store, and
// it does not protect from a store that withholds changes and says that there are none.
//
//	f, err := feed.New(feed.Config{Store: store})
//	...
//	f.Subscribe(sessions.Apply)
//	err = f.Start(ctx) // before anything is read into a cache
//	...
//	go f.Run(ctx)
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	defaultInterval = 250 * time.Millisecond
	defaultMaxAge   = 5 * time.Second

	// triesPerMaxAge is how many reads that hang fit in before Fresh turns false.
	triesPerMaxAge = 5
)

// Config says what a Feed reads and how often.
type Config struct {
	// Store is the feed to read. It is required.
	Store Store
	// Interval is the pause between two reads. Default 250 ms.
	Interval time.Duration
	// MaxAge is how long after a read Fresh still holds. A read that takes longer
	// than a fifth of it is given up. Default 5 s.
	MaxAge time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told when the feed cannot be read and when it can be again. Default none.
	Logger *slog.Logger
}

// Feed follows the change feed of one store. Its methods are safe for concurrent use.
type Feed struct {
	store    Store
	interval time.Duration
	maxAge   time.Duration
	now      func() time.Time
	logger   *slog.Logger

	reading sync.Mutex // one read at a time; guards the two below
	cursor  makerguard.Cursor
	failing bool

	mu          sync.Mutex
	subscribers []func(makerguard.Change)

	readAt atomic.Pointer[time.Time] // when the last good read began; nil before the first
}

// New checks the configuration and reports everything wrong with it.
func New(c Config) (*Feed, error) {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("the feed has no store"))
	}
	if c.Interval < 0 {
		errs = append(errs, fmt.Errorf("the feed's interval is %v, want more than 0", c.Interval))
	}
	if c.MaxAge <= c.Interval {
		errs = append(errs, fmt.Errorf("the feed's maximum age is %v, want more than the interval of %v", c.MaxAge, c.Interval))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Feed{store: c.Store, interval: c.Interval, maxAge: c.MaxAge, now: c.Now, logger: c.Logger}, nil
}

// Subscribe has fn called for every change read from now on, by one goroutine at a
// time and after the functions subscribed before it. While fn runs no change is read, so
// it must not wait.
func (f *Feed) Subscribe(fn func(makerguard.Change)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Never in place: a reader may be going through the slice it took.
	f.subscribers = append(slices.Clone(f.subscribers), fn)
}

// Start finds the feed's present end, after which Run reads. What is read from the
// store once Start has returned is either up to date or corrected by a change. It
// returns StoreUnavailable if the store does not answer, and may be called again then.
func (f *Feed) Start(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.cursor != "" {
		return nil
	}
	return f.read(ctx)
}

// Run reads the feed until ctx ends, first doing what Start does if that was not done.
// A read that fails is logged and tried again. Run returns ctx's error.
func (f *Feed) Run(ctx context.Context) error {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.reading.Lock()
		f.report(ctx, f.read(ctx))
		f.reading.Unlock()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return ctx.Err()
}

// Fresh reports whether everything announced until MaxAge before now has been handed
// out. It takes no lock.
func (f *Feed) Fresh(now time.Time) bool {
	at := f.readAt.Load()
	return at != nil && now.Sub(*at) <= f.maxAge
}

// read reads once and hands out what came. The caller holds reading.
func (f *Feed) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.maxAge/triesPerMaxAge)
	defer cancel()
	// What is announced while the store answers may be missing from the answer, so
	// the answer is as old as the question.
	began := f.now()
	changes, next, err := f.store.Changes(ctx, f.cursor)
	if err != nil {
		return fmt.Errorf("reading the change feed: %w", err)
	}
	if next == "" {
		// From here everything announced until the next read would be passed over.
		return errors.New("reading the change feed: the store gave no place to go on from")
	}
	f.mu.Lock()
	subscribers := f.subscribers
	f.mu.Unlock()
	for _, c := range changes {
		for _, fn := range subscribers {
			fn(c)
		}
	}
	f.cursor = next
	f.readAt.Store(&began)
	return nil
}

// report logs the first of a row of failures, and its end.
func (f *Feed) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil: // stopped, which is no failure
	case err != nil && !f.failing:
		f.failing = true
		f.logger.LogAttrs(ctx, slog.LevelWarn, "the change feed cannot be read", slog.Any("error", err))
	case err == nil && f.failing:
		f.failing = false
		f.logger.LogAttrs(ctx, slog.LevelInfo, "the change feed is read again")
	}
}
