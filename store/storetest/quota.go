package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

// counter is a counter that nobody else uses.
func (e *env) counter() makerguard.CounterKey {
	return makerguard.CounterKey{
		ManufacturerID: tenant(), Meter: makerguard.APICalls,
		Start: time.Date(e.now.Year(), e.now.Month(), 1, 0, 0, 0, 0, time.UTC),
	}
}

func (e *env) lease(r makerguard.LeaseRequest) makerguard.LeaseResult {
	e.Helper()
	if r.Now.IsZero() {
		r.Now = e.now
	}
	if r.TTL == 0 {
		r.TTL = 10 * time.Second
	}
	res, err := e.s.Lease(e.ctx(), r)
	e.ok("Lease", err)
	return res
}

func (e *env) counts(now time.Time, keys ...makerguard.CounterKey) []makerguard.Count {
	e.Helper()
	counts, err := e.s.Counts(e.ctx(), keys, now)
	e.ok("Counts", err)
	return counts
}

func testLease(e *env) {
	e.run("Settles", func(e *env) {
		k := e.counter()
		for _, step := range []struct {
			name string
			req  makerguard.LeaseRequest
			want makerguard.LeaseResult
		}{
			{"grants what is wanted", makerguard.LeaseRequest{Node: "a", Need: 1, Want: 40}, makerguard.LeaseResult{Granted: 40, Taken: 40}},
			{"to another node too", makerguard.LeaseRequest{Node: "b", Need: 1, Want: 40}, makerguard.LeaseResult{Granted: 40, Taken: 80}},
			{"but only what is left", makerguard.LeaseRequest{Node: "a", Need: 1, Want: 40}, makerguard.LeaseResult{Granted: 20, Taken: 100}},
			{"refuses when nothing is", makerguard.LeaseRequest{Node: "b", Need: 1, Want: 40}, makerguard.LeaseResult{Taken: 100}},
			{"gives nothing to who needs none", makerguard.LeaseRequest{Node: "b", Need: 0, Want: 40}, makerguard.LeaseResult{Taken: 100}},
			{"counts what was spent", makerguard.LeaseRequest{Node: "a", Spent: 30}, makerguard.LeaseResult{Taken: 100, Spent: 30}},
			{"takes back what was not", makerguard.LeaseRequest{Node: "a", Spent: 5, Return: 25}, makerguard.LeaseResult{Taken: 75, Spent: 35}},
			{"and refuses when less is left than is needed", makerguard.LeaseRequest{Node: "a", Need: 26, Want: 30}, makerguard.LeaseResult{Taken: 75, Spent: 35}},
			{"grants just what is needed", makerguard.LeaseRequest{Node: "a", Need: 25, Want: 30}, makerguard.LeaseResult{Granted: 25, Taken: 100, Spent: 35}},
			{"settles before it grants", makerguard.LeaseRequest{Node: "b", Spent: 10, Return: 30, Need: 30, Want: 30}, makerguard.LeaseResult{Granted: 30, Taken: 100, Spent: 45}},
		} {
			step.req.CounterKey, step.req.Limit = k, 100
			e.same(step.name, e.lease(step.req), step.want)
		}
		e.same("Counts", e.counts(e.now, k), []makerguard.Count{{Taken: 100, Spent: 45}})
	})
	e.run("Unlimited", func(e *env) {
		k := e.counter()
		for i := range int64(3) {
			got := e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: makerguard.Unlimited, Need: 1_000_000, Want: 1_000_000})
			e.same("Lease", got, makerguard.LeaseResult{Granted: 1_000_000, Taken: (i + 1) * 1_000_000})
		}
	})
	e.run("LimitLowered", func(e *env) {
		k := e.counter()
		e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Need: 1, Want: 50})
		for _, need := range []int64{0, 1} {
			got := e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 10, Need: need, Want: 5})
			e.same("Lease past the limit", got, makerguard.LeaseResult{Taken: 50})
		}
		got := e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 0, Spent: 1, Return: 49})
		e.same("Lease that gives back", got, makerguard.LeaseResult{Taken: 1, Spent: 1})
	})
	e.run("Expiry", func(e *env) {
		const ttl = 10 * time.Second
		k := e.counter()
		ask := func(node string, now time.Time, r makerguard.LeaseRequest) makerguard.LeaseResult {
			r.CounterKey, r.Node, r.Limit, r.Now, r.TTL = k, node, 100, now, ttl
			return e.lease(r)
		}
		ask("a", e.now, makerguard.LeaseRequest{Need: 1, Want: 60})
		end := e.now.Add(ttl)
		e.same("at the end of its time", e.counts(end, k), []makerguard.Count{{Taken: 60}})
		e.same("just after it", e.counts(end.Add(tick), k), []makerguard.Count{{Taken: 60, Spent: 60}})
		e.same("another node sees it held", ask("b", end, makerguard.LeaseRequest{Need: 1, Want: 10}), makerguard.LeaseResult{Granted: 10, Taken: 70})
		e.same("then spent", ask("b", end.Add(tick), makerguard.LeaseRequest{}), makerguard.LeaseResult{Taken: 70, Spent: 60})
		e.same("what comes too late changes nothing",
			ask("a", end.Add(tick), makerguard.LeaseRequest{Spent: 20, Return: 40}), makerguard.LeaseResult{Taken: 70, Spent: 60})
		e.same("and it can lease again",
			ask("a", end.Add(tick), makerguard.LeaseRequest{Need: 1, Want: 50}), makerguard.LeaseResult{Granted: 30, Taken: 100, Spent: 60})
	})
	e.run("AWordKeepsItAlive", func(e *env) {
		const ttl = 10 * time.Second
		k := e.counter()
		e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Need: 1, Want: 60, TTL: ttl})
		later := e.now.Add(ttl)
		e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Spent: 1, Now: later, TTL: ttl})
		e.same("Counts", e.counts(later.Add(ttl), k), []makerguard.Count{{Taken: 60, Spent: 1}})
	})
	e.run("ForeignBlocks", func(e *env) {
		k := e.counter()
		e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Need: 1, Want: 60})
		got := e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "b", Limit: 100, Return: 60})
		e.same("Lease that returns what it does not hold", got, makerguard.LeaseResult{Taken: 60})
	})
}

func testSpend(e *env) {
	spend := func(e *env, r makerguard.SpendRequest) makerguard.SpendResult {
		e.Helper()
		if r.Now.IsZero() {
			r.Now = e.now
		}
		if r.KeepUntil.IsZero() {
			r.KeepUntil = e.now.Add(24 * time.Hour)
		}
		res, err := e.s.Spend(e.ctx(), r)
		e.ok("Spend", err)
		return res
	}
	e.run("OK", func(e *env) {
		k := e.counter()
		for _, step := range []struct {
			amount int64
			want   makerguard.SpendResult
		}{
			{6, makerguard.SpendResult{Spent: true, Used: 6}},
			{5, makerguard.SpendResult{Used: 6}},
			{4, makerguard.SpendResult{Spent: true, Used: 10}},
			{1, makerguard.SpendResult{Used: 10}},
		} {
			got := spend(e, makerguard.SpendRequest{CounterKey: k, Limit: 10, Amount: step.amount})
			e.same(fmt.Sprintf("Spend(%d)", step.amount), got, step.want)
		}
		e.same("Counts", e.counts(e.now, k), []makerguard.Count{{Taken: 10, Spent: 10}})
		e.same("Spend of a meter the tier does not have",
			spend(e, makerguard.SpendRequest{CounterKey: e.counter(), Limit: 0, Amount: 1}), makerguard.SpendResult{})
		e.same("Spend without limit",
			spend(e, makerguard.SpendRequest{CounterKey: k, Limit: makerguard.Unlimited, Amount: 1000}), makerguard.SpendResult{Spent: true, Used: 1010})
	})
	e.run("HeldUnitsAreTaken", func(e *env) {
		k := e.counter()
		e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 10, Need: 1, Want: 8})
		e.same("Spend of more than is left", spend(e, makerguard.SpendRequest{CounterKey: k, Limit: 10, Amount: 3}), makerguard.SpendResult{Used: 8})
		e.same("Spend", spend(e, makerguard.SpendRequest{CounterKey: k, Limit: 10, Amount: 2}), makerguard.SpendResult{Spent: true, Used: 10})
	})
	e.run("Idempotency", func(e *env) {
		k := e.counter()
		keep := e.now.Add(time.Hour)
		req := makerguard.SpendRequest{CounterKey: k, Limit: 10, Amount: 3, Idempotency: "key", Fingerprint: []byte("one"), KeepUntil: keep}
		e.same("the first", spend(e, req), makerguard.SpendResult{Spent: true, Used: 3})
		e.same("another key", spend(e, makerguard.SpendRequest{CounterKey: k, Limit: 10, Amount: 2, Idempotency: "Key", Fingerprint: []byte("one")}),
			makerguard.SpendResult{Spent: true, Used: 5})
		e.same("the first again", spend(e, req), makerguard.SpendResult{Spent: true, Used: 3, Replayed: true})

		other := req
		other.Fingerprint = []byte("two")
		other.Now = e.now
		_, err := e.s.Spend(e.ctx(), other)
		e.fails("Spend with a key used for another request", err, makerguard.IdempotencyMismatch)

		foreign := req
		foreign.ManufacturerID, foreign.Fingerprint = tenant(), []byte("three")
		e.same("another manufacturer's key", spend(e, foreign), makerguard.SpendResult{Spent: true, Used: 3})

		req.Now = keep.Add(-tick)
		e.same("just before it is forgotten", spend(e, req), makerguard.SpendResult{Spent: true, Used: 3, Replayed: true})
		req.Now, req.KeepUntil, req.Fingerprint = keep.Add(tick), keep.Add(time.Hour), []byte("four")
		e.same("just after it", spend(e, req), makerguard.SpendResult{Spent: true, Used: 8})
		e.same("Counts", e.counts(e.now, k), []makerguard.Count{{Taken: 8, Spent: 8}})
	})
	e.run("ARefusalIsNotRemembered", func(e *env) {
		k := e.counter()
		req := makerguard.SpendRequest{CounterKey: k, Limit: 2, Amount: 3, Idempotency: "key", Fingerprint: []byte("one")}
		e.same("refused", spend(e, req), makerguard.SpendResult{})
		req.Limit = 3
		e.same("once there is room", spend(e, req), makerguard.SpendResult{Spent: true, Used: 3})
	})
	// goal: V2.3.2
	e.run("RaceWithOneKey", func(e *env) {
		k := e.counter()
		var first atomic.Int32
		e.exactly(rivals, race(rivals, func(int) error {
			res, err := e.s.Spend(e.ctx(), makerguard.SpendRequest{
				CounterKey: k, Limit: 100, Amount: 7, Idempotency: "key", Fingerprint: []byte("one"), Now: e.now, KeepUntil: e.now.Add(time.Hour),
			})
			if err == nil && !res.Replayed {
				first.Add(1)
			}
			if err == nil && (!res.Spent || res.Used != 7) {
				e.Errorf("Spend = %+v, want the first result for all", res)
			}
			return err
		}), "")
		if first.Load() != 1 {
			e.Errorf("%d were not replays, want 1", first.Load())
		}
		e.same("Counts", e.counts(e.now, k), []makerguard.Count{{Taken: 7, Spent: 7}})
	})
}

// testLeaseAndSpend has a crowd take units of one counter in both ways until it
// refuses them: together they get the limit, no unit more or less.
//
// goal: V2.3.2 V15.4.2 V15.4.3
func testLeaseAndSpend(e *env) {
	const (
		nodes = 8
		limit = 1000
	)
	k := e.counter()
	var used atomic.Int64
	errs := race(crowd, func(i int) error {
		if i%2 == 0 {
			for {
				res, err := e.s.Spend(e.ctx(), makerguard.SpendRequest{CounterKey: k, Limit: limit, Amount: 1, Now: e.now})
				if err != nil || !res.Spent {
					return err
				}
				if res.Used > limit {
					return fmt.Errorf("%d used, want at most %d", res.Used, limit)
				}
				used.Add(1)
			}
		}
		r := makerguard.LeaseRequest{CounterKey: k, Node: fmt.Sprintf("node-%d", i%nodes), Limit: limit, Need: 1, Want: 7, Now: e.now, TTL: time.Minute}
		for {
			res, err := e.s.Lease(e.ctx(), r)
			if err != nil {
				return err
			}
			if res.Taken > limit || res.Spent > res.Taken {
				return fmt.Errorf("%d taken and %d spent, want at most %d", res.Taken, res.Spent, limit)
			}
			if res.Granted == 0 {
				return nil
			}
			// One unit in seven goes back unused.
			r.Return = res.Granted / 7
			r.Spent = res.Granted - r.Return
			used.Add(r.Spent)
		}
	})
	if err := errors.Join(errs...); err != nil {
		e.Fatal(err)
	}
	// A worker may have been refused while others held units that they then gave back.
	for {
		res, err := e.s.Spend(e.ctx(), makerguard.SpendRequest{CounterKey: k, Limit: limit, Amount: 1, Now: e.now})
		e.ok("Spend", err)
		if !res.Spent {
			break
		}
		used.Add(1)
	}
	if used.Load() != limit {
		e.Errorf("%d units were handed out, want %d", used.Load(), limit)
	}
	e.same("Counts", e.counts(e.now, k), []makerguard.Count{{Taken: limit, Spent: limit}})
}

func testCounts(e *env) {
	k := e.counter()
	meter, month, foreign := k, k, k
	meter.Meter = makerguard.MLRequests
	month.Start = k.Start.AddDate(0, 1, 0)
	foreign.ManufacturerID = tenant()
	e.same("Counts of none", e.counts(e.now), []makerguard.Count(nil))
	e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Need: 1, Want: 10})
	e.lease(makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 100, Spent: 4})
	_, err := e.s.Spend(e.ctx(), makerguard.SpendRequest{CounterKey: month, Limit: 5, Amount: 5, Now: e.now})
	e.ok("Spend", err)
	e.same("Counts", e.counts(e.now, foreign, k, meter, month, k), []makerguard.Count{
		{}, {Taken: 10, Spent: 4}, {}, {Taken: 5, Spent: 5}, {Taken: 10, Spent: 4},
	})
}
