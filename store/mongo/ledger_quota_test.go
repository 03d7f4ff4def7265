package mongo_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

// workers is how many goroutines of each store want the same thing.
const workers = 64

var ledgerNow = time.Now().UTC().Truncate(time.Millisecond)

// twoNodes opens one empty database twice.
func twoNodes(t *testing.T) [2]*mongo.Store {
	t.Helper()
	uri := newURI(t)
	return [2]*mongo.Store{openStore(t, mongo.Config{URI: uri}), openStore(t, mongo.Config{URI: uri})}
}

// onBoth calls fn from many goroutines for each store at once.
func onBoth(t *testing.T, nodes [2]*mongo.Store, fn func(s *mongo.Store, node, worker int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 2*workers)
	for i := range errs {
		wg.Go(func() { errs[i] = fn(nodes[i%2], i%2, i/2) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func usage(meter makerguard.Meter) makerguard.CounterKey {
	return makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: meter, Start: ledgerNow.Truncate(24 * time.Hour)}
}

func wantCount(t *testing.T, s *mongo.Store, k makerguard.CounterKey, at time.Time, want makerguard.Count) {
	t.Helper()
	got, err := s.Counts(t.Context(), []makerguard.CounterKey{k}, at)
	if err != nil || got[0] != want {
		t.Errorf("Counts = %+v, %v, want %+v", got, err, want)
	}
}

// goal: V2.3.2 V15.4.2 V15.4.3
func TestLease_TwoStoresGiveExactlyTheLimit(t *testing.T) {
	nodes, k := twoNodes(t), usage(makerguard.APICalls)
	const limit = 1000
	var granted, spent [2]atomic.Int64
	begun := time.Now()
	onBoth(t, nodes, func(s *mongo.Store, node, _ int) error {
		r := makerguard.LeaseRequest{CounterKey: k, Node: fmt.Sprint(node), Limit: limit, Need: 1, Want: 3, Now: ledgerNow, TTL: time.Minute}
		for {
			res, err := s.Lease(t.Context(), r)
			if err != nil {
				return err
			}
			if res.Taken > limit || res.Spent > res.Taken {
				return fmt.Errorf("%d taken and %d spent, want at most %d", res.Taken, res.Spent, limit)
			}
			if res.Granted == 0 {
				return nil
			}
			granted[node].Add(res.Granted)
			spent[node].Add(res.Granted)
			r.Spent = res.Granted
		}
	})
	if n := granted[0].Load() + granted[1].Load(); n != limit {
		t.Errorf("%d units were granted, want %d", n, limit)
	}
	wantCount(t, nodes[0], k, ledgerNow, makerguard.Count{Taken: limit, Spent: limit})
	t.Logf("%d goroutines leased %d units in %v", 2*workers, limit, time.Since(begun).Round(time.Millisecond))
}

// goal: V2.3.2 V15.4.2 V15.4.3
func TestSpend_TwoStoresGiveExactlyTheLimit(t *testing.T) {
	for _, key := range []string{"", "key"} {
		t.Run("key "+key, func(t *testing.T) {
			nodes, k := twoNodes(t), usage(makerguard.APICalls)
			const limit = 1000
			var spent, n atomic.Int64
			begun := time.Now()
			onBoth(t, nodes, func(s *mongo.Store, _, _ int) error {
				for {
					r := makerguard.SpendRequest{CounterKey: k, Limit: limit, Amount: 1, Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour)}
					if key != "" {
						r.Idempotency, r.Amount = fmt.Sprint(key, n.Add(1)), 4
					}
					res, err := s.Spend(t.Context(), r)
					if err != nil {
						return err
					}
					if res.Used > limit {
						return fmt.Errorf("%d used, want at most %d", res.Used, limit)
					}
					if !res.Spent {
						return nil
					}
					spent.Add(r.Amount)
				}
			})
			if spent.Load() != limit {
				t.Errorf("%d units were spent, want %d", spent.Load(), limit)
			}
			wantCount(t, nodes[1], k, ledgerNow, makerguard.Count{Taken: limit, Spent: limit})
			t.Logf("%d goroutines spent %d units in %v", 2*workers, limit, time.Since(begun).Round(time.Millisecond))
		})
	}
}

// goal: V2.3.2
func TestSpend_ReplaysGiveTheFirstResult(t *testing.T) {
	nodes, k := twoNodes(t), usage(makerguard.MLRequests)
	r := makerguard.SpendRequest{
		CounterKey: k, Limit: 1000, Amount: 7, Idempotency: "order 17", Fingerprint: []byte("one"),
		Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
	}
	var firsts atomic.Int64
	results := make([]makerguard.SpendResult, 2*workers)
	onBoth(t, nodes, func(s *mongo.Store, node, worker int) error {
		if worker == workers/2 { // others use the counter meanwhile
			other := r
			other.Idempotency = ""
			_, err := s.Spend(t.Context(), other)
			return err
		}
		res, err := s.Spend(t.Context(), r)
		if err == nil && !res.Replayed {
			firsts.Add(1)
		}
		results[2*worker+node] = res
		return err
	})
	if firsts.Load() != 1 {
		t.Errorf("%d calls were not replays, want 1", firsts.Load())
	}
	replay, err := nodes[0].Spend(t.Context(), r)
	if err != nil || !replay.Replayed {
		t.Fatalf("Spend later = %+v, %v, want a replay", replay, err)
	}
	for i, res := range results {
		if i/2 != workers/2 && (!res.Spent || res.Used != replay.Used) {
			t.Errorf("call %d gave %+v, want %d used", i, res, replay.Used)
		}
	}
	wantCount(t, nodes[0], k, ledgerNow, makerguard.Count{Taken: 21, Spent: 21})
}

// Keys whose request is known to be done leave the counter again, and still hold.
func TestSpend_CounterDoesNotGrowWithKeys(t *testing.T) {
	s, k := newStore(t), usage(makerguard.APICalls)
	const n = 100
	request := func(i int) makerguard.SpendRequest {
		return makerguard.SpendRequest{
			CounterKey: k, Limit: n, Amount: 1, Idempotency: fmt.Sprint(i), Fingerprint: []byte{byte(i)}, Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
		}
	}
	for i := range n {
		if res, err := s.Spend(t.Context(), request(i)); err != nil || res.Used != int64(i)+1 {
			t.Fatalf("Spend %d = %+v, %v", i, res, err)
		}
	}
	var counter struct{ Counted []bson.M }
	if err := s.Database().Collection("usage_counters").FindOne(t.Context(), bson.M{}).Decode(&counter); err != nil {
		t.Fatal(err)
	}
	if len(counter.Counted) > 32 {
		t.Errorf("the counter notes %d operations, want at most 32", len(counter.Counted))
	}
	for i := range n {
		res, err := s.Spend(t.Context(), request(i))
		if want := (makerguard.SpendResult{Spent: true, Replayed: true, Used: int64(i) + 1}); err != nil || res != want {
			t.Errorf("Spend %d again = %+v, %v, want %+v", i, res, err, want)
		}
	}
	wantCount(t, s, k, ledgerNow, makerguard.Count{Taken: n, Spent: n})
}

// A process that is started over and over leaves a node behind each time.
func TestLease_CounterDoesNotGrowWithDeadNodes(t *testing.T) {
	s, k := newStore(t), usage(makerguard.APICalls)
	const n, ttl = 120, time.Second
	lease := func(node string, now time.Time) makerguard.LeaseResult {
		t.Helper()
		res, err := s.Lease(t.Context(), makerguard.LeaseRequest{CounterKey: k, Node: node, Limit: makerguard.Unlimited, Need: 1, Want: 2, Now: now, TTL: ttl})
		if err != nil {
			t.Fatalf("Lease: %v", err)
		}
		return res
	}
	for i := range n {
		lease(fmt.Sprint("dead-", i), ledgerNow)
	}
	later := ledgerNow.Add(ttl + time.Millisecond)
	want := makerguard.LeaseResult{Granted: 2, Taken: 2*n + 2, Spent: 2 * n}
	if got := lease("alive", later); got != want {
		t.Errorf("Lease after all died = %+v, want %+v", got, want)
	}
	var counter struct{ Blocks []bson.M }
	if err := s.Database().Collection("usage_counters").FindOne(t.Context(), bson.M{}).Decode(&counter); err != nil {
		t.Fatal(err)
	}
	if len(counter.Blocks) != 1 {
		t.Errorf("the counter has %d blocks, want 1", len(counter.Blocks))
	}
	wantCount(t, s, k, later, makerguard.Count{Taken: 2*n + 2, Spent: 2 * n})
}
