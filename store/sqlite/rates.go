package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/makerguard/makerguard"
)

// TakeRate implements ratelimit.Store. It returns ValidationFailed for a request out of
// its ranges, or whose burst takes more than a hundred years to come back.
//
// A key is kept as the time at which its burst is whole again, the theoretical arrival
// time of ITU-T I.371 annex A. Each unit puts it off by an interval, and it may never be
// further away than a whole burst takes.
func (s *Store) TakeRate(ctx context.Context, r makerguard.RateRequest) (makerguard.RateResult, error) {
	const longest = 100 * 365 * 24 * time.Hour
	if r.Interval <= 0 || r.Burst < 1 || r.Burst > int64(longest/r.Interval) || r.Amount < 1 || r.Amount > r.Burst {
		return makerguard.RateResult{}, &makerguard.Error{
			Code:    makerguard.ValidationFailed,
			Message: "A rate limit needs an interval and a burst, and can give 1 unit to a whole burst.",
		}
	}
	var (
		now    = r.Now.UnixNano()
		cost   = r.Amount * int64(r.Interval)
		span   = r.Burst * int64(r.Interval)
		fullAt int64
		res    makerguard.RateResult
	)
	err := s.write(ctx, "taking units of a rate limit", func(t tx) error {
		err := t.row(`INSERT INTO rates (key, full_at) VALUES (?1, ?2 + ?3)
			ON CONFLICT (key) DO UPDATE SET full_at = max(full_at, ?2) + ?3 WHERE max(full_at, ?2) + ?3 <= ?2 + ?4
			RETURNING full_at`, r.Key, now, cost, span).Scan(&fullAt)
		res.Allowed = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			err = t.row(`SELECT full_at FROM rates WHERE key = ?`, r.Key).Scan(&fullAt)
		}
		return err
	})
	if err != nil {
		return makerguard.RateResult{}, err
	}
	left := span - (fullAt - now) // of the burst, in time
	res.Remaining = max(left/int64(r.Interval), 0)
	if !res.Allowed {
		res.RetryAfter = time.Duration(cost - left)
	}
	return res, nil
}
