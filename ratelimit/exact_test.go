package ratelimit_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/ratelimit"
	"github.com/makerguard/makerguard/store/sqlite"
)

// ledger is a store for one key that counts how often it is asked.
type ledger struct {
	asked  int
	answer makerguard.RateResult
	err    error
	last   makerguard.RateRequest
}

func (s *ledger) TakeRate(_ context.Context, r makerguard.RateRequest) (makerguard.RateResult, error) {
	s.asked++
	s.last = r
	return s.answer, s.err
}

func TestTakeExact_AsksTheStore(t *testing.T) {
	watch := newStopwatch()
	store := &ledger{answer: makerguard.RateResult{Allowed: true, Remaining: 4}}
	l := newLimiter(t, ratelimit.Config{Store: store, Now: watch.Now})
	rate := ratelimit.Rate{Interval: time.Second, Burst: 5}
	res, err := l.TakeExact(t.Context(), []byte("k"), rate)
	if err != nil || res != store.answer {
		t.Errorf("TakeExact = %+v, %v, want the store's answer", res, err)
	}
	want := makerguard.RateRequest{Key: "k", Interval: time.Second, Burst: 5, Amount: 1, Now: watch.Now()}
	if store.last != want {
		t.Errorf("the store was asked %+v, want %+v", store.last, want)
	}
}

// goal: V2.3.2 — two nodes over one store give a burst once and a rate once; each for itself
// gives them once each, which is the bound stated for Take.
func TestTwoNodes(t *testing.T) {
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "makerguard.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	watch := newStopwatch()
	cfg := ratelimit.Config{Store: store, Now: watch.Now}
	nodes := [2]*ratelimit.Limiter{newLimiter(t, cfg), newLimiter(t, cfg)}
	rate := ratelimit.Rate{Interval: time.Second, Burst: 20}
	for name, tc := range map[string]struct {
		take func(l *ratelimit.Limiter) (makerguard.RateResult, error)
		want int64
	}{
		"exact": {func(l *ratelimit.Limiter) (makerguard.RateResult, error) {
			return l.TakeExact(t.Context(), []byte("exact"), rate)
		}, 25},
		"local": {func(l *ratelimit.Limiter) (makerguard.RateResult, error) {
			return l.Take([]byte("local"), nil, rate), nil
		}, 50},
	} {
		var given atomic.Int64
		for range 6 { // the burst, then five seconds
			var work sync.WaitGroup
			for i := range 64 {
				work.Go(func() {
					res, err := tc.take(nodes[i%2])
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if res.Allowed {
						given.Add(1)
					}
				})
			}
			work.Wait()
			watch.advance(time.Second)
		}
		if n := given.Load(); n != tc.want {
			t.Errorf("%s: two nodes gave %d in five seconds at 1 a second after a burst of 20, want %d", name, n, tc.want)
		}
	}
}

// A refusal holds for its wait: however often somebody tries, the store is asked once.
func TestTakeExact_AttackersDoNotReachTheStore(t *testing.T) {
	watch := newStopwatch()
	store := &ledger{answer: makerguard.RateResult{RetryAfter: 10 * time.Second}}
	l := newLimiter(t, ratelimit.Config{Store: store, Now: watch.Now})
	rate := ratelimit.Rate{Interval: 10 * time.Second, Burst: 5}
	for i := range 1000 {
		res, err := l.TakeExact(t.Context(), []byte("k"), rate)
		if left := 10*time.Second - time.Duration(i)*time.Millisecond; err != nil || res != (makerguard.RateResult{RetryAfter: left}) {
			t.Fatalf("TakeExact = %+v, %v, want a wait of %v", res, err, left)
		}
		watch.advance(time.Millisecond)
	}
	if store.asked != 1 {
		t.Errorf("the store was asked %d times, want once", store.asked)
	}
	watch.advance(9 * time.Second)
	store.answer = makerguard.RateResult{Allowed: true}
	if res, err := l.TakeExact(t.Context(), []byte("k"), rate); err != nil || !res.Allowed || store.asked != 2 {
		t.Errorf("after the wait: %+v, %v, store asked %d times, want it asked and allowed", res, err, store.asked)
	}
}

// goal: V16.5.2 — a store that is away gives nothing.
func TestTakeExact_FailsClosed(t *testing.T) {
	away := &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "away"}
	for name, store := range map[string]ratelimit.Store{"away": &ledger{err: away}, "none": nil} {
		l := newLimiter(t, ratelimit.Config{Store: store})
		res, err := l.TakeExact(t.Context(), []byte("k"), ratelimit.Rate{Interval: time.Second, Burst: 1})
		if !errors.Is(err, makerguard.StoreUnavailable) || res.Allowed {
			t.Errorf("store %s: TakeExact = %+v, %v, want STORE_UNAVAILABLE", name, res, err)
		}
	}
}
