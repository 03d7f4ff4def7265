package storetest

import (
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

func testTakeRate(e *env) {
	const (
		interval = 100 * time.Millisecond
		burst    = 5
	)
	take := func(key string, amount int64, after time.Duration) makerguard.RateResult {
		e.Helper()
		res, err := e.s.TakeRate(e.ctx(), makerguard.RateRequest{Key: key, Interval: interval, Burst: burst, Amount: amount, Now: e.now.Add(after)})
		e.ok("TakeRate", err)
		return res
	}
	allowed := func(remaining int64) makerguard.RateResult {
		return makerguard.RateResult{Allowed: true, Remaining: remaining}
	}
	refused := func(remaining int64, after time.Duration) makerguard.RateResult {
		return makerguard.RateResult{Remaining: remaining, RetryAfter: after}
	}
	key := id.New("rate")
	for _, step := range []struct {
		name   string
		amount int64
		after  time.Duration
		want   makerguard.RateResult
	}{
		{"the first", 1, 0, allowed(4)},
		{"two at once", 2, 0, allowed(2)},
		{"more than there are", 3, 0, refused(2, interval)},
		{"a whole burst", burst, 0, refused(2, 3*interval)},
		{"all there are", 2, 0, allowed(0)},
		{"one too many", 1, 0, refused(0, interval)},
		{"a little later", 1, interval - tick, refused(0, tick)},
		{"when one is there again", 1, interval, allowed(0)},
		{"as refusals cost nothing, the next", 1, 2 * interval, allowed(0)},
		{"after two and a half", 1, 4*interval + interval/2, allowed(1)},
		{"the half counts", 2, 5 * interval, allowed(0)},
		{"after a long pause, no more than a burst", 1, 100 * interval, allowed(4)},
		{"the rest of it", 4, 100 * interval, allowed(0)},
		{"from a node whose clock is behind", 1, 99 * interval, refused(0, 2*interval)},
		{"a whole burst when it is whole", burst, 105 * interval, allowed(0)},
		{"just before that again", burst, 110*interval - tick, refused(4, tick)},
	} {
		e.same(step.name, take(key, step.amount, step.after), step.want)
	}
	e.same("another key", take(key+"x", 1, 0), allowed(4))

	// goal: V2.3.2 V15.4.2
	e.run("Race", func(e *env) {
		const limit = 40
		key := id.New("rate")
		var n atomic.Int64
		e.exactly(crowd, race(crowd, func(int) error {
			res, err := e.s.TakeRate(e.ctx(), makerguard.RateRequest{Key: key, Interval: time.Second, Burst: limit, Amount: 1, Now: e.now})
			if res.Allowed {
				n.Add(1)
			}
			return err
		}), "")
		if n.Load() != limit {
			e.Errorf("%d of %d were allowed, want %d", n.Load(), crowd, limit)
		}
	})
}
