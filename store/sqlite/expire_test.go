package sqlite_test

import (
	"errors"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/sqlite"
)

func TestDeleteExpired_IsBounded(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx := t.Context()
	if err := s.Write(ctx, func(exec sqlite.Exec) error {
		return exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10700)
			INSERT INTO challenges SELECT CAST(i AS BLOB), '', '', '', '', '', '', 0, 0, 0 FROM n`)
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{700, 0} {
		if err := s.DeleteExpired(ctx, now, now); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Number(ctx, `SELECT COUNT(*) FROM challenges`); got != want || err != nil {
			t.Errorf("%d challenges left, %v, want %d", got, err, want)
		}
	}
}

func TestDeleteExpired_ForgetsIdempotencyKeys(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx := t.Context()
	k := makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: makerguard.APICalls, Start: now}
	for key, until := range map[string]time.Time{"old": now, "new": now.Add(time.Millisecond)} {
		if _, err := s.Spend(ctx, makerguard.SpendRequest{CounterKey: k, Limit: 9, Amount: 1, Idempotency: key, Now: now.Add(-time.Hour), KeepUntil: until}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteExpired(ctx, now, now); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Number(ctx, `SELECT COUNT(*) FROM usage_keys WHERE key = 'new'`); got != 1 || err != nil {
		t.Errorf("%d live keys left, %v, want 1", got, err)
	}
	if got, err := s.Number(ctx, `SELECT COUNT(*) FROM usage_keys`); got != 1 || err != nil {
		t.Errorf("%d keys left, %v, want 1", got, err)
	}
}

func TestDeleteExpired_ForgetsWhatIsSpent(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx := t.Context()
	const day = 24 * time.Hour
	job := func(id makerguard.JobID, state makerguard.JobState, updated time.Time) error {
		return s.CreateJob(ctx, makerguard.Job{ID: id, ManufacturerID: makerguard.ManufacturerID(id), State: state, CreatedAt: updated, UpdatedAt: updated})
	}
	block := func(id string, ends time.Time) error {
		_, err := s.PutBlock(ctx, makerguard.Block{ID: id, Subject: id, CreatedAt: now.AddDate(-1, 0, 0), ExpiresAt: ends})
		return err
	}
	lift := func(id string, at time.Time) error {
		return errors.Join(block(id, now.Add(day)), s.LiftBlock(ctx, id, "", "", at))
	}
	points := func(key string, n float64, halfLife time.Duration, at time.Time) error {
		_, err := s.AddPoints(ctx, key, n, halfLife, at)
		return err
	}
	rate := func(key string, fullAt time.Time) error {
		_, err := s.TakeRate(ctx, makerguard.RateRequest{Key: key, Interval: time.Second, Burst: 2, Amount: 2, Now: fullAt.Add(-2 * time.Second)})
		return err
	}
	for what, err := range map[string]error{
		"a job done long ago":        job("old 1", makerguard.JobDone, now.Add(-30*day-time.Millisecond)),
		"a job failed long ago":      job("old 2", makerguard.JobFailed, now.Add(-31*day)),
		"a job done of late":         job("new 1", makerguard.JobDone, now.Add(-30*day)),
		"a job that takes long":      job("new 2", makerguard.JobRunning, now.Add(-99*day)),
		"a block ended long ago":     block("old 1", now.Add(-90*day-time.Millisecond)),
		"a block lifted long ago":    lift("old 2", now.Add(-91*day)),
		"a block ended of late":      block("new 1", now.Add(-90*day)),
		"a block lifted of late":     lift("new 2", now.Add(-89*day)),
		"a block in force":           block("new 3", now.Add(day)),
		"points that have faded":     points("old 1", 2.56, time.Hour, now.Add(-8*time.Hour-time.Minute)), // 256 times spentPoints
		"points that never were":     points("old 2", 0.001, time.Hour, now),
		"points that fade slowly":    points("old 3", 1000, 365*day, now.Add(-365*day)),
		"points that have not":       points("new 1", 2.56, time.Hour, now.Add(-8*time.Hour+time.Minute)),
		"points that fade as slowly": points("new 2", 1000, 365*day, now.Add(-364*day)),
		"a burst that is whole":      rate("old 1", now),
		"a burst that is not":        rate("new 1", now.Add(time.Millisecond)),
	} {
		if err != nil {
			t.Fatalf("storing %s: %v", what, err)
		}
	}
	if err := s.DeleteExpired(ctx, now, now); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int64{
		`SELECT COUNT(*) FROM jobs WHERE id LIKE ?`:    2,
		`SELECT COUNT(*) FROM blocks WHERE id LIKE ?`:  3,
		`SELECT COUNT(*) FROM points WHERE key LIKE ?`: 2,
		`SELECT COUNT(*) FROM rates WHERE key LIKE ?`:  1,
	} {
		for like, want := range map[string]int64{"new%": want, "old%": 0} {
			if got, err := s.Number(ctx, query, like); got != want || err != nil {
				t.Errorf("%s (%q) = %d, %v, want %d", query, like, got, err, want)
			}
		}
	}
}
