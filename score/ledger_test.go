package score_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/score"
	"github.com/makerguard/makerguard/store/sqlite"
)

// flaky is a store that fails while it is away.
type flaky struct {
	score.Store
	away bool
}

func (f *flaky) AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error) {
	if f.away {
		return 0, makerguard.StoreUnavailable
	}
	return f.Store.AddPoints(ctx, key, points, halfLife, now)
}

func newLedger(t *testing.T) (*score.Ledger, *flaky, *time.Time) {
	t.Helper()
	now := time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	store := &flaky{Store: s}
	l, err := score.New(score.Config{Store: store, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return l, store, &now
}

func read(t *testing.T, l *score.Ledger, mfr makerguard.ManufacturerID) score.Posture {
	t.Helper()
	var p score.Posture
	if err := l.Read(t.Context(), mfr, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func about(got, want float64) bool { return math.Abs(got-want) < 0.01 }

func TestLedger_CountsAndForgets(t *testing.T) {
	l, _, now := newLedger(t)
	for range 8 {
		l.SignInFailed("mfr_a")
		l.Validated("mfr_a", true)
	}
	l.Validated("mfr_a", false)
	l.SignInFailed("mfr_b")
	l.SignInFailed("") // an address without an account
	if p := read(t, l, "mfr_a"); !about(p.FailedSignIns, 8) || !about(p.ValidDocuments, 8) || !about(p.BadDocuments, 1) {
		t.Errorf("Read = %+v, want what was counted a moment ago", p)
	}
	*now = now.Add(7 * day)
	if p := read(t, l, "mfr_a"); !about(p.FailedSignIns, 4) {
		t.Errorf("after a week %v failed sign-ins count, want 4", p.FailedSignIns)
	}
	*now = now.Add(23 * day)
	if p := read(t, l, "mfr_a"); !about(p.ValidDocuments, 4) || !about(p.BadDocuments, 0.5) {
		t.Errorf("after a month %+v, want half of the documents", p)
	}
}

// While the store is away counts wait, and none is written twice.
func TestLedger_LosesNothingWhileTheStoreIsAway(t *testing.T) {
	l, store, _ := newLedger(t)
	store.away = true
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				l.SignInFailed("mfr_a")
				l.Validated("mfr_a", false)
			}
		})
	}
	wg.Wait()
	if err := l.Flush(t.Context()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Flush = %v, want STORE_UNAVAILABLE", err)
	}
	if err := l.Read(t.Context(), "mfr_a", new(score.Posture)); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Read = %v, want STORE_UNAVAILABLE", err)
	}
	store.away = false
	for range 2 {
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := read(t, l, "mfr_a"); !about(p.FailedSignIns, 100) || !about(p.BadDocuments, 100) {
			t.Errorf("Read = %+v, want 100 of each", p)
		}
	}
}

func TestLedger_WritesWhatIsLeftWhenItEnds(t *testing.T) {
	l, store, _ := newLedger(t)
	l.SignInFailed("mfr_a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want the context's error", err)
	}
	next, err := score.New(score.Config{Store: store, Now: func() time.Time { return time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	if p := read(t, next, "mfr_a"); !about(p.FailedSignIns, 1) {
		t.Errorf("the next process reads %v failed sign-ins, want 1", p.FailedSignIns)
	}
}

func TestLedger_HistoryHasOnePointADay(t *testing.T) {
	l, _, now := newLedger(t)
	first := now.UTC().Truncate(day)
	for _, score := range []int{70, 75, 80} {
		for _, s := range []int{score - 1, score} { // the last of a day counts
			if err := l.Keep(t.Context(), "mfr_a", s); err != nil {
				t.Fatal(err)
			}
		}
		*now = now.Add(day)
	}
	*now = now.Add(-day)
	for days, want := range map[int][]makerguard.ScorePoint{
		1: {{ManufacturerID: "mfr_a", Day: first.Add(2 * day), Score: 80}},
		2: {{ManufacturerID: "mfr_a", Day: first.Add(day), Score: 75}, {ManufacturerID: "mfr_a", Day: first.Add(2 * day), Score: 80}},
		400: {
			{ManufacturerID: "mfr_a", Day: first, Score: 70},
			{ManufacturerID: "mfr_a", Day: first.Add(day), Score: 75},
			{ManufacturerID: "mfr_a", Day: first.Add(2 * day), Score: 80},
		},
	} {
		got, err := l.History(t.Context(), "mfr_a", days)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("History(%d) differs (-want +got):\n%s", days, d)
		}
	}
	if got, err := l.History(t.Context(), "mfr_b", 90); err != nil || len(got) != 0 {
		t.Errorf("another manufacturer's history = %v, %v, want none", got, err)
	}
	for _, days := range []int{0, -1, 401} {
		if _, err := l.History(t.Context(), "mfr_a", days); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("History(%d) = %v, want VALIDATION_FAILED", days, err)
		}
	}
}
