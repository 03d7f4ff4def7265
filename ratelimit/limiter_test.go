package ratelimit_test

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/ratelimit"
)

// stopwatch is a clock that tests move.
type stopwatch struct{ ns atomic.Int64 }

func newStopwatch() *stopwatch {
	w := new(stopwatch)
	w.ns.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return w
}

func (w *stopwatch) Now() time.Time          { return time.Unix(0, w.ns.Load()) }
func (w *stopwatch) advance(d time.Duration) { w.ns.Add(int64(d)) }

func newLimiter(t testing.TB, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func TestNew_RefusesNegativeKeys(t *testing.T) {
	if _, err := ratelimit.New(ratelimit.Config{Keys: -1}); err == nil {
		t.Error("New with negative Keys = nil error, want one")
	}
}

func TestTake(t *testing.T) {
	watch := newStopwatch()
	l := newLimiter(t, ratelimit.Config{Now: watch.Now})
	rate := ratelimit.Rate{Interval: 100 * time.Millisecond, Burst: 3}
	for _, step := range []struct {
		name  string
		after time.Duration
		want  makerguard.RateResult
	}{
		{"the first", 0, makerguard.RateResult{Allowed: true, Remaining: 2}},
		{"the second", 0, makerguard.RateResult{Allowed: true, Remaining: 1}},
		{"the last of the burst", 0, makerguard.RateResult{Allowed: true}},
		{"one too many", 0, makerguard.RateResult{RetryAfter: 100 * time.Millisecond}},
		{"refusals cost nothing", 40 * time.Millisecond, makerguard.RateResult{RetryAfter: 60 * time.Millisecond}},
		{"just before", 60*time.Millisecond - 1, makerguard.RateResult{RetryAfter: 1}},
		{"when it was said", 1, makerguard.RateResult{Allowed: true}},
		{"after a long pause no more than a burst", time.Hour, makerguard.RateResult{Allowed: true, Remaining: 2}},
	} {
		watch.advance(step.after)
		if got := l.Take([]byte("k"), nil, rate); got != step.want {
			t.Errorf("%s: Take = %+v, want %+v", step.name, got, step.want)
		}
	}
	if got := l.Take([]byte("other"), nil, rate); got.Remaining != 2 {
		t.Errorf("Take of another key = %+v, want a burst of its own", got)
	}
}

func TestTake_GivesNothingForARateThatIsNone(t *testing.T) {
	l := newLimiter(t, ratelimit.Config{})
	for _, r := range []ratelimit.Rate{
		{},
		{Interval: time.Second},
		{Burst: 1},
		{Interval: -1, Burst: 1},
		{Interval: time.Second, Burst: -1},
		{Interval: 200 * 365 * 24 * time.Hour, Burst: 1},
		{Interval: time.Hour, Burst: 1 << 62},
	} {
		if got := l.Take([]byte("k"), nil, r); got != (makerguard.RateResult{}) {
			t.Errorf("Take(%+v) = %+v, want nothing given", r, got)
		}
	}
}

// bucket is the simplest model of a rate: credit in time, up to a burst.
type bucket struct{ credit, span, interval time.Duration }

func (b *bucket) take(passed time.Duration) makerguard.RateResult {
	b.credit = min(b.credit+passed, b.span)
	if b.credit < b.interval {
		return makerguard.RateResult{RetryAfter: b.interval - b.credit}
	}
	b.credit -= b.interval
	return makerguard.RateResult{Allowed: true, Remaining: int64(b.credit / b.interval)}
}

// Whatever the pauses, the limiter answers as the model does; no window holds more than a
// burst and what comes back meanwhile; and what is refused is given after the wait.
func TestTake_MatchesTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := ratelimit.Rate{
			Interval: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "interval")),
			Burst:    rapid.Int64Range(1, 20).Draw(t, "burst"),
		}
		watch := newStopwatch()
		l, err := ratelimit.New(ratelimit.Config{Now: watch.Now, Keys: 1})
		if err != nil {
			t.Fatal(err)
		}
		span := rate.Interval * time.Duration(rate.Burst)
		model := bucket{credit: span, span: span, interval: rate.Interval}
		pause := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(rate.Interval)), rapid.Int64Range(0, int64(2*span)))
		var allowed []time.Duration // when, since the start
		var at time.Duration
		for range rapid.IntRange(1, 100).Draw(t, "takes") {
			passed := time.Duration(pause.Draw(t, "pause"))
			watch.advance(passed)
			at += passed
			got := l.Take([]byte("k"), nil, rate)
			if want := model.take(passed); got != want {
				t.Fatalf("at %v: Take = %+v, want %+v", at, got, want)
			}
			if got.Allowed {
				allowed = append(allowed, at)
				for i, from := range allowed {
					if most := rate.Burst + int64((at-from)/rate.Interval); int64(len(allowed)-i) > most {
						t.Fatalf("%d given from %v to %v, want at most %d", len(allowed)-i, from, at, most)
					}
				}
				continue
			}
			watch.advance(got.RetryAfter)
			at += got.RetryAfter
			if again := l.Take([]byte("k"), nil, rate); !again.Allowed {
				t.Fatalf("after the wait of %v: Take = %+v, want it allowed", got.RetryAfter, again)
			}
			model.take(got.RetryAfter)
			allowed = append(allowed, at)
		}
	})
}

// However a clock jumps, no wait is negative or longer than an interval and what a slow
// caller may be late, and no more is given than a burst and what the clock's steps forward
// bring back.
func TestTake_ClockJumps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := ratelimit.Rate{Interval: 100 * time.Millisecond, Burst: rapid.Int64Range(1, 5).Draw(t, "burst")}
		watch := newStopwatch()
		l, err := ratelimit.New(ratelimit.Config{Now: watch.Now, Keys: 1})
		if err != nil {
			t.Fatal(err)
		}
		var forward time.Duration
		var given int64
		jump := rapid.OneOf(rapid.Int64Range(0, int64(time.Second)), rapid.Int64Range(-int64(time.Hour), int64(time.Hour)))
		for range rapid.IntRange(1, 50).Draw(t, "takes") {
			d := time.Duration(jump.Draw(t, "jump"))
			watch.advance(d)
			forward += max(d, 0)
			before := given
			for range rate.Burst + 2 {
				res := l.Take([]byte("k"), nil, rate)
				if res.RetryAfter < 0 || res.RetryAfter > rate.Interval+time.Second || res.Remaining < 0 {
					t.Fatalf("Take = %+v, want a wait of at most an interval", res)
				}
				if res.Allowed {
					given++
				}
			}
			if given-before > rate.Burst {
				t.Fatalf("%d given at once, want at most %d", given-before, rate.Burst)
			}
		}
		if most := rate.Burst + int64(forward/rate.Interval); given > most {
			t.Fatalf("%d given while the clock moved forward by %v, want at most %d", given, forward, most)
		}
	})
}

// A clock set back by a day makes nobody wait for a day.
func TestTake_ClockSetBackRefusesNobodyForLong(t *testing.T) {
	watch := newStopwatch()
	l := newLimiter(t, ratelimit.Config{Now: watch.Now})
	rate := ratelimit.Rate{Interval: time.Second, Burst: 2}
	for range 3 {
		l.Take([]byte("k"), nil, rate)
	}
	watch.advance(-24 * time.Hour)
	if res := l.Take([]byte("k"), nil, rate); res.Allowed || res.RetryAfter > 2*time.Second {
		t.Errorf("Take = %+v, want a wait of a second or two", res)
	}
	watch.advance(2 * time.Second)
	if res := l.Take([]byte("k"), nil, rate); !res.Allowed {
		t.Errorf("Take two seconds later = %+v, want it allowed", res)
	}
}

// goal: V2.3.2 — any number of callers at once get exactly the burst.
func TestTake_ConcurrentCallersGetExactlyTheBurst(t *testing.T) {
	watch := newStopwatch()
	l := newLimiter(t, ratelimit.Config{Now: watch.Now, Keys: 7})
	rate := ratelimit.Rate{Interval: time.Hour, Burst: 100}
	var given [3]atomic.Int64
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			for i := range 300 {
				if l.Take(key(i%3), nil, rate).Allowed {
					given[i%3].Add(1)
				}
			}
		})
	}
	work.Wait()
	for i := range given {
		if n := given[i].Load(); n != rate.Burst {
			t.Errorf("key %d was given %d, want exactly %d", i, n, rate.Burst)
		}
	}
}

// While slots change hands, many keys in the room of seven, no key gets more than its burst and
// what the clock brings back.
func TestTake_ChangingHandsGivesNobodyMore(t *testing.T) {
	watch := newStopwatch()
	l := newLimiter(t, ratelimit.Config{Now: watch.Now, Keys: 7})
	rate := ratelimit.Rate{Interval: time.Millisecond, Burst: 2}
	const keys, rounds = 20, 2000
	var given [keys]atomic.Int64
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for i := range rounds {
				k := (i*7 + w) % keys
				if l.Take(key(k), nil, rate).Allowed {
					given[k].Add(1)
				}
				watch.advance(50 * time.Microsecond)
			}
		})
	}
	work.Wait()
	passed := 4 * rounds * 50 * time.Microsecond
	most := rate.Burst + int64(passed/rate.Interval)
	for k := range given {
		if n := given[k].Load(); n > most {
			t.Errorf("key %d was given %d, want at most %d", k, n, most)
		}
	}
}

// An attacker who uses up all room frees nobody from a limit and gets no more than the
// limit by new keys: newcomers of one group are limited as one.
//
// goal: V2.4.1
func TestTake_FullRoomLimitsByGroup(t *testing.T) {
	watch := newStopwatch()
	const room = 7 << 8
	l := newLimiter(t, ratelimit.Config{Now: watch.Now, Keys: room})
	rate := ratelimit.Rate{Interval: time.Hour, Burst: 2}
	limited := []byte("was limited before")
	for range 3 {
		l.Take(limited, []byte("its group"), rate)
	}
	given := 0
	const flood = 50_000
	for i := range flood {
		if l.Take(key(i), []byte("one network"), rate).Allowed {
			given++
		}
	}
	if most := room + 2; given > most {
		t.Errorf("%d of %d new keys were let through, want at most the %d there is room for and the group's 2", given, flood, most)
	}
	t.Logf("%d of %d new keys of one network let through, %d had room", given, flood, room)
	if res := l.Take(limited, []byte("its group"), rate); res.Allowed {
		t.Error("a limited key was freed by filling the room")
	}
	if res := l.Take([]byte("new, from elsewhere"), []byte("another network"), rate); !res.Allowed {
		t.Errorf("a newcomer of another group: %+v, want it allowed", res)
	}
	// With groups beyond number too, what is left is one bucket for each place.
	given = 0
	for i := range flood {
		if l.Take(key(flood+i), key(i), rate).Allowed {
			given++
		}
	}
	const groupRoom = 7 << 5
	if most := groupRoom + (groupRoom/7)*2; given > most {
		t.Errorf("%d of %d keys of new groups were let through, want at most %d", given, flood, most)
	}
	watch.advance(3 * time.Hour) // now every burst is whole and all room free
	for i := range 100 {
		if res := l.Take(key(2*flood+i), []byte("one network"), rate); !res.Allowed || res.Remaining != 1 {
			t.Fatalf("after the attack, a newcomer: %+v, want a bucket of its own", res)
		}
	}
}
