package sqlite

import (
	"context"
	"time"
)

const (
	// expireChunk is how many rows of a kind one transaction of DeleteExpired removes, and
	// expireChunks how many such transactions a call makes, so that others can write in
	// between and a call ends.
	expireChunk  = 500
	expireChunks = 20

	// keepChanges is how long the change feed goes back. A node whose cursor is older is
	// told that everything changed.
	keepChanges = time.Hour
	keepBlocks  = 90 * 24 * time.Hour // after they ended, for who looks into them
	keepJobs    = 30 * 24 * time.Hour // after they finished, for who asks what became of them
)

// DeleteExpired implements auth.Store. It also removes idempotency keys, rate limits
// whose burst is whole, points that have faded, blocks and jobs that ended long ago and
// old entries of the change feed. A call removes at most 10,000 rows of a kind.
func (s *Store) DeleteExpired(ctx context.Context, now, keepSessionsSince time.Time) error {
	blocksBefore := micros(now.Add(-keepBlocks))
	for range expireChunks {
		more := false
		err := s.write(ctx, "deleting what has expired", func(t tx) error {
			for _, d := range []struct {
				query string
				arg   int64
			}{
				{`DELETE FROM challenges WHERE token_hash IN (SELECT token_hash FROM challenges WHERE expires_at <= ? LIMIT ?)`, micros(now)},
				{`DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE stale_at < ? LIMIT ?)`, micros(now)},
				{`DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE revoked_at < ? LIMIT ?)`, micros(keepSessionsSince)},
				{`DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at < ? LIMIT ?)`, micros(keepSessionsSince)},
				{`DELETE FROM usage_keys WHERE rowid IN (SELECT rowid FROM usage_keys WHERE keep_until <= ? LIMIT ?)`, micros(now)},
				{`DELETE FROM rates WHERE key IN (SELECT key FROM rates WHERE full_at <= ? LIMIT ?)`, now.UnixNano()},
				{`DELETE FROM points WHERE key IN (SELECT key FROM points WHERE spent_at <= ? LIMIT ?)`, micros(now)},
				{`DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE lifted_at IS NULL AND expires_at < ? LIMIT ?)`, blocksBefore},
				{`DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE lifted_at < ? LIMIT ?)`, blocksBefore},
				{`DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state <> 'running' AND updated_at < ? LIMIT ?)`, micros(now.Add(-keepJobs))},
				// The newest entry stays: it tells where the feed ends.
				{`DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE announced_at < ? AND seq < (SELECT MAX(seq) FROM changes) LIMIT ?)`, micros(s.now().Add(-keepChanges))},
			} {
				n, err := t.exec(d.query, d.arg, expireChunk)
				if err != nil {
					return err
				}
				more = more || n == expireChunk
			}
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}
