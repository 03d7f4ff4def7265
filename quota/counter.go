package quota

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// A node leases at most minBlock units ahead of need, little enough for a crash to cost
	// little; but twice as many as the time before, up to maxBlock, while blocks last less
	// than quickly, so that a store request stays rare however fast units are used. Once
	// they last longer than slowly it is minBlock again.
	minBlock = 256
	maxBlock = 1 << 15
	quickly  = 10 * time.Millisecond
	slowly   = 100 * time.Millisecond
	// When half of a block of at least aheadFrom units is used, the next is fetched in the
	// background, so that callers wait for the store only near the limit.
	aheadFrom = 64
	// blockShare: a block is at most this part of what is left, so that near the limit
	// nodes ask for one unit at a time and none holds back what another could use.
	blockShare = 16
	// storeTimeout bounds a request for a block, which does not end with the caller's
	// context: its answer must not be lost.
	storeTimeout = 5 * time.Second
)

// errRetired says that a counter went out of use in the meantime.
var errRetired = errors.New("counter retired")

// counter is one meter of one manufacturer in one month, with the block of units
// that this node holds of it.
//
// The units of the block are free (may be handed out), in flight (reserved), or done (used and
// not yet reported). Reserve moves units from free to in flight, Commit on to
// done, Release back to free, each in one atomic step, so the hot path takes no lock.
// How many are in flight is not kept: it is block - free - done.
type counter struct {
	key       makerguard.CounterKey
	period    makerguard.Period // never changes
	zone      string
	anchorDay int
	settle    func(amount int64, used bool) // c.ended, bound once

	free  atomic.Int64 // shut or a little more when retired: then nothing can be taken
	done  atomic.Int64
	taken atomic.Int64 // by all nodes, as the store last said
	spent atomic.Int64 // by all nodes, as the store last said; never falls
	begun atomic.Int64 // requests for a block so far

	low     atomic.Int64 // with fewer free units than this the next block is fetched; 0 is never
	filling atomic.Bool  // that is under way

	// turn holds one token, and whoever has it may ask the store and read or write what
	// is below. A channel rather than a mutex, so that who waits can give up.
	turn    chan struct{}
	block   int64
	known   bool      // the store has been asked
	size    int64     // of the last block that was leased ahead of need
	leased  time.Time // when
	spoke   time.Time // when the store last heard of this block
	refused refusal   // the last refusal
	seen    int64     // free at the last round of Settle
	idle    int       // rounds of Settle without any use
}

// shut is free's base when nothing can be taken any more.
const shut = math.MinInt64 / 2

// refusal is what the store refused, and as which request. Who waited since before that
// request began, and needs as much, is refused with it.
type refusal struct {
	request, need, limit int64
}

func newCounter(a makerguard.MeterAccount, meter makerguard.Meter, p makerguard.Period) *counter {
	c := &counter{
		key:    makerguard.CounterKey{ManufacturerID: a.ManufacturerID, Meter: meter, Start: p.Start},
		period: p, zone: a.TimeZone, anchorDay: a.AnchorDay,
		turn: make(chan struct{}, 1),
	}
	c.settle = c.ended
	return c
}

// holds reports whether c is in use and now lies in its month as a counts months.
func (c *counter) holds(a makerguard.MeterAccount, now time.Time) bool {
	return !c.retired() && now.Before(c.period.End) && !now.Before(c.period.Start) && c.zone == a.TimeZone && c.anchorDay == a.AnchorDay
}

// take moves amount units from free to in flight. It fails if there are not so many, or
// if use is over limit already, which a lowered limit brings about.
func (c *counter) take(amount, limit int64) (remaining int64, ok bool) {
	for {
		free := c.free.Load()
		if free < amount {
			return 0, false
		}
		remaining = makerguard.Unlimited
		if limit != makerguard.Unlimited {
			if remaining = limit - (c.taken.Load() - (free - amount)); remaining < 0 {
				return 0, false
			}
		}
		if c.free.CompareAndSwap(free, free-amount) {
			return remaining, true
		}
	}
}

// ended is how a reservation ends.
func (c *counter) ended(amount int64, used bool) {
	if used {
		c.done.Add(amount)
	} else {
		c.free.Add(amount)
	}
}

// unused is how many units of the block are neither used nor reserved.
func (c *counter) unused() int64 { return unusedOf(c.free.Load()) }

// close puts c out of use and takes out what is unused. It needs the turn.
func (c *counter) close() (unused int64) { return unusedOf(c.free.Swap(shut)) }

func unusedOf(free int64) int64 {
	if free < 0 {
		return free - shut
	}
	return free
}

func (c *counter) retired() bool { return c.free.Load() < 0 }

// acquire waits for the turn to ask the store.
func (c *counter) acquire(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the counter of %s: %w", c.key.Meter, ctx.Err())
	}
}

func (c *counter) yield() { <-c.turn }

// ahead says how many units to lease at now, when need are needed. Until the store has
// said how much of limit is taken it is no more than that.
func (c *counter) ahead(now time.Time, need, limit int64) int64 {
	if !c.known {
		return need
	}
	switch lasted := now.Sub(c.leased); {
	case lasted < quickly:
		c.size = min(max(2*c.size, minBlock), maxBlock)
	case lasted > slowly || c.size == 0:
		c.size = minBlock
	}
	c.leased = now
	if limit == makerguard.Unlimited {
		return max(need, c.size)
	}
	return max(need, min((limit-c.taken.Load())/blockShare, c.size))
}

// takeLeased takes amount units after leasing what the block lacks. Of many callers at
// once, one asks the store and the others find what it brought, or share its
// refusal. It returns errRetired if c went out of use.
func (m *Meters) takeLeased(ctx context.Context, c *counter, amount, limit int64) (remaining int64, err error) {
	// Spent units never come back, so no store needs to be asked once they fill the limit.
	if limit != makerguard.Unlimited && c.spent.Load()+amount > limit {
		return m.refuse(c, limit)
	}
	before := c.begun.Load()
	if err := c.acquire(ctx); err != nil {
		return 0, err
	}
	defer c.yield()
	if c.retired() {
		return 0, errRetired
	}
	if remaining, ok := c.take(amount, limit); ok {
		return remaining, nil
	}

	// Set aside what is free, so that nobody takes it while the rest is fetched.
	mine, back := c.free.Swap(0), int64(0)
	if mine >= amount {
		// There was enough, but use is over a limit that was lowered. The store has to say.
		mine, back = 0, mine
	}
	need := amount - mine
	if back == 0 && c.refused.request > before && c.refused.limit == limit && need >= c.refused.need {
		c.free.Add(mine)
		return m.refuse(c, limit)
	}
	want := c.ahead(m.cfg.Now(), need, limit)
	granted, err := m.ask(ctx, c, makerguard.LeaseRequest{Limit: limit, Need: need, Want: want, Return: back})
	if err != nil {
		c.free.Add(mine)
		return 0, err
	}
	if granted < need {
		c.refused = refusal{request: c.begun.Load(), need: need, limit: limit}
		c.free.Add(mine)
		return m.refuse(c, limit)
	}
	c.watch(granted)
	free := c.free.Add(granted - need)
	if limit == makerguard.Unlimited {
		return makerguard.Unlimited, nil
	}
	return max(limit-(c.taken.Load()-free), 0), nil
}

// watch sets when the block after one of so many units is fetched.
func (c *counter) watch(units int64) {
	if units < aheadFrom {
		units = 0
	}
	c.low.Store(units / 2)
}

// fetchAhead leases the next block in the background, if half of this one is used. A failure
// is left to the caller who finds the block empty.
func (m *Meters) fetchAhead(c *counter, limit int64) {
	if c.free.Load() >= c.low.Load() || !c.filling.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.filling.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		if c.acquire(ctx) != nil {
			return
		}
		defer c.yield()
		if c.retired() || c.free.Load() >= c.low.Load() { // closed, or somebody was faster
			return
		}
		c.low.Store(0)
		want := c.ahead(m.cfg.Now(), 0, limit)
		if want < aheadFrom {
			return
		}
		granted, err := m.ask(ctx, c, makerguard.LeaseRequest{Limit: limit, Need: 1, Want: want})
		if err != nil {
			return
		}
		c.watch(granted)
		c.free.Add(granted)
	}()
}

func (m *Meters) refuse(c *counter, limit int64) (remaining int64, err error) {
	used := max(c.taken.Load(), c.spent.Load()) - c.unused()
	return max(limit-used, 0), limitExceeded(c.key.Meter, limit, used, c.period.End.Sub(m.cfg.Now()))
}

// ask sends r with what c has to report, and adds what is granted to the block; the caller
// decides who gets it. It must hold c's turn, and r.Return must be out of c.free.
//
// If the answer is lost, all that may have happened is assumed in the way that can only
// count too much: units returned are not offered again, units granted are not used. Units
// spent are reported again, which is harmless, since the store moves them within
// the block.
func (m *Meters) ask(ctx context.Context, c *counter, r makerguard.LeaseRequest) (granted int64, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	c.begun.Add(1)
	now := m.cfg.Now()
	r.CounterKey, r.Node, r.TTL, r.Now = c.key, m.cfg.Node, m.cfg.LeaseTTL, now
	r.Spent = c.done.Swap(0)
	c.block -= r.Return
	res, err := m.cfg.Store.Lease(ctx, r)
	if err != nil {
		c.done.Add(r.Spent)
		return 0, fmt.Errorf("leasing %s: %w", c.key.Meter, err)
	}
	c.block += res.Granted - r.Spent
	c.known, c.spoke = true, now
	// Before the units become free: so take sees too much use for a moment, never too little.
	c.taken.Store(res.Taken)
	c.spent.Store(max(c.spent.Load(), res.Spent))
	return res.Granted, nil
}

// giveBack returns c's free units to the store and reports whether there were any.
func (m *Meters) giveBack(ctx context.Context, c *counter) (bool, error) {
	if err := c.acquire(ctx); err != nil {
		return false, err
	}
	defer c.yield()
	if c.retired() {
		return false, nil
	}
	free := c.free.Swap(0)
	if free == 0 {
		return false, nil
	}
	_, err := m.ask(ctx, c, makerguard.LeaseRequest{Limit: makerguard.Unlimited, Return: free})
	return err == nil, err
}
