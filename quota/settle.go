package quota

import (
	"context"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// settleEvery is the pause between two rounds of Run.
	settleEvery = time.Second
	// settleAtOnce is how many counters a round settles at the same time: a store
	// commits many requests together that come together.
	settleAtOnce = 16
	// forgetAfter is how many rounds a counter without units stays in memory, where it
	// knows that its limit is used up.
	forgetAfter = 60
	// giveUpAfter is how long after its month a counter waits for its last reservations.
	// Then it is dropped, and the store counts them as spent.
	giveUpAfter = time.Hour
)

// Run settles once a second until ctx ends, and then returns nil. It does not give the
// blocks back at its end; Close does.
func (m *Meters) Run(ctx context.Context) error {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := m.Settle(ctx)
		if failed := err != nil && ctx.Err() == nil; failed != m.away.Swap(failed) {
			if failed {
				m.cfg.Logger.WarnContext(ctx, "usage cannot be reported to the store; blocks in hand go on being used", "error", err)
			} else {
				m.cfg.Logger.InfoContext(ctx, "usage is reported to the store again")
			}
		}
	}
}

// Settle does one round of what Run does each second: it reports the units used, returns
// blocks that nobody drew on since the round before or whose month is over, keeps the others
// alive, and forgets counters long unused. It returns the first error of the
// store and leaves the rest to the next round.
func (m *Meters) Settle(ctx context.Context) error {
	return m.each(m.live(), func(c *counter) error { return m.settle(ctx, c) })
}

// Close reports all use and returns all blocks. Reservations must have ended before:
// what is still reserved counts as spent. After it Reserve returns Overloaded.
func (m *Meters) Close(ctx context.Context) error {
	// Counters are begun under their shard's lock, which live takes too: so it sees
	// every counter that was begun before closed was set.
	m.closed.Store(true)
	return m.each(m.live(), func(c *counter) error {
		if err := c.acquire(ctx); err != nil {
			return err
		}
		defer c.yield()
		err := m.report(ctx, c, c.close())
		m.drop(c)
		return err
	})
}

// report tells the store what c has to tell and returns unused units, which must be out
// of c.free. It needs c's turn.
func (m *Meters) report(ctx context.Context, c *counter, unused int64) error {
	stale := c.block > 0 && m.cfg.Now().Sub(c.spoke) >= m.cfg.LeaseTTL/3
	if c.done.Load() == 0 && unused == 0 && !stale {
		return nil
	}
	_, err := m.ask(ctx, c, makerguard.LeaseRequest{Limit: makerguard.Unlimited, Return: unused})
	return err
}

// each calls do for all counters, several at a time, until one fails.
func (m *Meters) each(counters []*counter, do func(*counter) error) error {
	var (
		wg   sync.WaitGroup
		once sync.Once
		err  error
		stop = make(chan struct{})
		room = make(chan struct{}, settleAtOnce)
	)
spread:
	for _, c := range counters {
		select {
		case <-stop:
			break spread
		case room <- struct{}{}:
		}
		wg.Go(func() {
			defer func() { <-room }()
			if e := do(c); e != nil {
				once.Do(func() { err = e; close(stop) })
			}
		})
	}
	wg.Wait()
	return err
}

func (m *Meters) settle(ctx context.Context, c *counter) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.yield()
	now := m.cfg.Now()
	if c.done.Load() > 0 || c.free.Load() != c.seen {
		c.idle = 0
	} else {
		c.idle++
	}
	var unused int64
	switch {
	case !now.Before(c.period.End) || c.retired() || c.idle >= forgetAfter:
		unused = c.close()
	case c.idle > 0:
		unused = c.free.Swap(0)
	}
	if err := m.report(ctx, c, unused); err != nil {
		return err
	}
	c.seen = c.free.Load()
	if c.retired() && (c.block <= 0 || now.Sub(c.period.End) > giveUpAfter) {
		m.drop(c)
	}
	return nil
}
