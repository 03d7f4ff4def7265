package sqlite_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
)

func TestQuota_RangesAreChecked(t *testing.T) {
	s := openAt(t, tempPath(t))
	const most = 1<<63 - 1
	k := makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: makerguard.APICalls, Start: now}
	for _, r := range []makerguard.SpendRequest{{Amount: 0, Limit: 5}, {Amount: -1, Limit: 5}, {Amount: 1, Limit: -2}} {
		r.CounterKey, r.Now = k, now
		if _, err := s.Spend(t.Context(), r); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Spend(%+v) = %v, want %s", r, err, makerguard.ValidationFailed)
		}
	}
	for _, r := range []makerguard.LeaseRequest{{Spent: -1}, {Return: -1}, {Need: -1}, {Need: 2, Want: 1}, {Limit: -2}} {
		r.CounterKey, r.Now = k, now
		if _, err := s.Lease(t.Context(), r); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Lease(%+v) = %v, want %s", r, err, makerguard.ValidationFailed)
		}
	}
	for _, want := range []bool{true, false} { // a count that would overflow is refused
		got, err := s.Spend(t.Context(), makerguard.SpendRequest{CounterKey: k, Limit: makerguard.Unlimited, Amount: most - 1, Now: now})
		if err != nil || got.Spent != want || got.Used != most-1 {
			t.Errorf("Spend = %+v, %v, want Spent %v", got, err, want)
		}
	}
	got, err := s.Lease(t.Context(), makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: makerguard.Unlimited, Need: 1, Want: most, Now: now})
	if want := (makerguard.LeaseResult{Granted: 1, Taken: most, Spent: most - 1}); err != nil || got != want {
		t.Errorf("Lease = %+v, %v, want %+v", got, err, want)
	}
}

func TestTakeRate_RangesAreChecked(t *testing.T) {
	s := openAt(t, tempPath(t))
	const century = 100 * 365 * 24 * time.Hour
	for _, r := range []makerguard.RateRequest{
		{Interval: 0, Burst: 1, Amount: 1},
		{Interval: -1, Burst: 1, Amount: 1},
		{Interval: 1, Burst: 0, Amount: 0},
		{Interval: 1, Burst: 1, Amount: 0},
		{Interval: 1, Burst: 1, Amount: -1},
		{Interval: 1, Burst: 1, Amount: 2},
		{Interval: time.Hour, Burst: math.MaxInt64, Amount: 1},
		{Interval: century + 1, Burst: 1, Amount: 1},
	} {
		r.Key, r.Now = "k", now
		if _, err := s.TakeRate(t.Context(), r); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("TakeRate(%+v) = %v, want %s", r, err, makerguard.ValidationFailed)
		}
	}
	// The longest there are: nothing overflows.
	for _, want := range []makerguard.RateResult{{Allowed: true}, {RetryAfter: century}} {
		got, err := s.TakeRate(t.Context(), makerguard.RateRequest{Key: "k", Interval: century, Burst: 1, Amount: 1, Now: now})
		if err != nil || got != want {
			t.Errorf("TakeRate = %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestAddPoints_RangesAreChecked(t *testing.T) {
	s := openAt(t, tempPath(t))
	for _, test := range []struct {
		points   float64
		halfLife time.Duration
	}{{1, 0}, {1, -1}, {math.NaN(), 1}, {math.Inf(1), 1}, {math.Inf(-1), 1}} {
		if _, err := s.AddPoints(t.Context(), "k", test.points, test.halfLife, now); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("AddPoints(%v, %v) = %v, want %s", test.points, test.halfLife, err, makerguard.ValidationFailed)
		}
	}
}
