package guard

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

// timekeeper is a store that several nodes share and whose clock is theirs. What depends on time
// (how long ago a refresh token was used, whether a token was issued in the future) is
// then the same on all nodes, however wrong the clocks of their machines are.
type timekeeper interface {
	// ServerTime returns the store's time, to a millisecond.
	ServerTime(ctx context.Context) (time.Time, error)
}

// clock is a machine's clock, corrected to a timekeeper's.
type clock struct {
	machine func() time.Time
	offset  atomic.Int64 // nanoseconds to add
}

// steady is the time of this machine, which runs on evenly when somebody sets its clock.
func steady() func() time.Time {
	start := time.Now()
	wall := start.Round(0)
	return func() time.Time { return wall.Add(time.Since(start)) }
}

// now is in whole microseconds, which is what stores keep: what is answered at once and
// what is read back later is then the same time.
func (c *clock) now() time.Time {
	t := c.machine()
	if offset := c.offset.Load(); offset != 0 {
		t = t.Add(time.Duration(offset))
	}
	return t.Truncate(time.Microsecond)
}

// syncEvery is the pause between comparisons with the store's clock, and syncTries how many
// answers are waited for: the quickest tells the time best.
const (
	syncEvery = 30 * time.Second
	syncTries = 3
)

// sync compares the clock with the store's and corrects it.
func (c *clock) sync(ctx context.Context, store timekeeper) error {
	best := time.Duration(-1)
	var offset time.Duration
	for range syncTries {
		before := c.machine()
		at, err := store.ServerTime(ctx)
		if err != nil {
			return fmt.Errorf("asking the store for the time: %w", err)
		}
		took := c.machine().Sub(before)
		if best < 0 || took < best {
			best, offset = took, at.Sub(before.Add(took/2))
		}
	}
	c.offset.Store(int64(offset))
	return nil
}

// maxQuietOffset is how far a machine's clock may be off before the operator is told.
const maxQuietOffset = time.Second

// keepTime corrects the clock again and again. While the store is away it runs on.
func (g *Guard) keepTime(store timekeeper) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			if err := g.sleep(ctx, syncEvery); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			_ = g.clock.sync(ctx, store) // the feed tells of a store that is away
			cancel()
		}
	}
}

// setClock takes the store's clock for this node's, if it has one.
func (g *Guard) setClock(ctx context.Context, store any) error {
	keeper, ok := store.(timekeeper)
	if !ok {
		return nil
	}
	if err := g.clock.sync(ctx, keeper); err != nil {
		return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "the database does not tell its time", Err: err}
	}
	if off := time.Duration(g.clock.offset.Load()); off.Abs() > maxQuietOffset {
		g.cfg.Logger.Warn("this machine's clock differs from the database's, whose time is used", "by", off)
	}
	return nil
}
