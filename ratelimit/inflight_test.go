package ratelimit_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/makerguard/makerguard/ratelimit"
)

func TestInFlight(t *testing.T) {
	var f ratelimit.InFlight
	a, ok1 := f.Enter([]byte("k"), 2)
	b, ok2 := f.Enter([]byte("k"), 2)
	if _, ok := f.Enter([]byte("k"), 2); !ok1 || !ok2 || ok {
		t.Errorf("Enter three times = %v, %v, %v, want two let in", ok1, ok2, ok)
	}
	other, ok := f.Enter([]byte("other"), 2)
	if !ok {
		t.Error("another key was refused")
	}
	other.Leave()
	a.Leave()
	a.Leave() // counts once
	if _, ok := f.Enter([]byte("k"), 2); !ok {
		t.Error("Enter after one left = false, want true")
	}
	if _, ok := f.Enter([]byte("k"), 2); ok {
		t.Error("leaving twice made room for two")
	}
	b.Leave()
	new(ratelimit.Slot).Leave() // a request that was never counted
	if _, ok := f.Enter([]byte("k"), 0); ok {
		t.Error("Enter under a limit of 0 = true, want false")
	}
}

// goal: V15.4.2 — there are never more under way than the limit, and none is lost.
func TestInFlight_NeverMoreThanTheLimit(t *testing.T) {
	var f ratelimit.InFlight
	const limit = 3
	var now, most, entered atomic.Int64
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			for range 500 {
				s, ok := f.Enter([]byte("k"), limit)
				if !ok {
					continue
				}
				entered.Add(1)
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				s.Leave()
			}
		})
	}
	work.Wait()
	if most.Load() > limit || entered.Load() == 0 {
		t.Errorf("%d under way at once of %d, want at most %d", most.Load(), entered.Load(), limit)
	}
	for i := range limit {
		if _, ok := f.Enter([]byte("k"), limit); !ok {
			t.Fatalf("all have left, and still number %d was refused", i+1)
		}
	}
}

func BenchmarkInFlight(b *testing.B) {
	var f ratelimit.InFlight
	k := []byte("0123456789abcdef:mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f")
	b.ReportAllocs()
	for b.Loop() {
		s, _ := f.Enter(k, 10)
		s.Leave()
	}
}
