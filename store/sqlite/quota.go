package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/makerguard/makerguard"
)

// count is how a counter stands: spent units, units in the nodes' blocks, and how many
// of those in blocks have expired and so count as spent.
type count struct{ spent, held, expired int64 }

func (c count) taken() int64 { return c.spent + c.held }

// left is how many of the units wanted may still be taken.
func (c count) left(limit, wanted int64) int64 {
	if limit == makerguard.Unlimited {
		limit = math.MaxInt64 // what can be counted
	}
	return min(max(limit-c.taken(), 0), wanted)
}

const countQuery = `SELECT
	COALESCE((SELECT spent FROM usage_counts WHERE manufacturer_id = ?1 AND meter = ?2 AND start = ?3), 0),
	COALESCE((SELECT SUM(held) FROM usage_leases WHERE manufacturer_id = ?1 AND meter = ?2 AND start = ?3), 0),
	COALESCE((SELECT SUM(held) FROM usage_leases WHERE manufacturer_id = ?1 AND meter = ?2 AND start = ?3 AND expires_at < ?4), 0)`

func (c *count) scan(row scanner) error { return row.Scan(&c.spent, &c.held, &c.expired) }

func addSpent(t tx, k makerguard.CounterKey, units int64) error {
	if units == 0 {
		return nil
	}
	_, err := t.exec(`INSERT INTO usage_counts (manufacturer_id, meter, start, spent) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (manufacturer_id, meter, start) DO UPDATE SET spent = spent + ?4`, k.ManufacturerID, k.Meter, micros(k.Start), units)
	return err
}

// Lease implements quota.Store. Units reported as spent or returned beyond what the node
// still holds are ignored: its block has expired and was counted as spent then.
func (s *Store) Lease(ctx context.Context, r makerguard.LeaseRequest) (makerguard.LeaseResult, error) {
	if r.Need < 0 || r.Want < r.Need || r.Spent < 0 || r.Return < 0 || r.Limit < makerguard.Unlimited {
		return makerguard.LeaseResult{}, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "A lease has a negative number of units, or wants fewer than it needs."}
	}
	var res makerguard.LeaseResult
	err := s.write(ctx, "leasing units", func(t tx) error {
		key := []any{r.ManufacturerID, r.Meter, micros(r.Start)}

		var c count
		if err := c.scan(t.row(countQuery, append(key, micros(r.Now))...)); err != nil {
			return err
		}
		if c.expired > 0 {
			if _, err := t.exec(`DELETE FROM usage_leases WHERE manufacturer_id = ? AND meter = ? AND start = ? AND expires_at < ?`, append(key, micros(r.Now))...); err != nil {
				return err
			}
		}
		var own int64
		err := t.row(`SELECT held FROM usage_leases WHERE manufacturer_id = ? AND meter = ? AND start = ? AND node = ?`, append(key, r.Node)...).Scan(&own)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}

		spent := min(r.Spent, own)
		returned := min(r.Return, own-spent)
		newlySpent := c.expired + spent
		c = count{spent: c.spent + newlySpent, held: c.held - newlySpent - returned}
		if left := c.left(r.Limit, r.Want); left >= r.Need {
			res.Granted = min(r.Want, left)
		}
		c.held += res.Granted
		own += res.Granted - spent - returned

		if err := addSpent(t, r.CounterKey, newlySpent); err != nil {
			return err
		}
		if own > 0 {
			_, err = t.exec(`INSERT INTO usage_leases (manufacturer_id, meter, start, node, held, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
				ON CONFLICT (manufacturer_id, meter, start, node) DO UPDATE SET held = ?5, expires_at = ?6`,
				append(key, r.Node, own, micros(r.Now.Add(r.TTL)))...)
		} else {
			_, err = t.exec(`DELETE FROM usage_leases WHERE manufacturer_id = ? AND meter = ? AND start = ? AND node = ?`, append(key, r.Node)...)
		}
		res.Taken, res.Spent = c.taken(), c.spent
		return err
	})
	if err != nil {
		return makerguard.LeaseResult{}, err
	}
	return res, nil
}

// Spend implements quota.Store. An idempotency key belongs to a manufacturer's meter,
// whatever the period.
func (s *Store) Spend(ctx context.Context, r makerguard.SpendRequest) (makerguard.SpendResult, error) {
	if r.Amount < 1 || r.Limit < makerguard.Unlimited {
		return makerguard.SpendResult{}, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The amount must be at least 1."}
	}
	var res makerguard.SpendResult
	err := s.write(ctx, "spending units", func(t tx) error {
		if r.Idempotency != "" {
			var fingerprint []byte
			err := t.row(`SELECT fingerprint, used FROM usage_keys WHERE manufacturer_id = ? AND meter = ? AND key = ? AND keep_until > ?`,
				r.ManufacturerID, r.Meter, r.Idempotency, micros(r.Now)).Scan(&fingerprint, &res.Used)
			if err == nil {
				if !bytes.Equal(fingerprint, r.Fingerprint) {
					return &makerguard.Error{Code: makerguard.IdempotencyMismatch, Message: "The idempotency key was used for another request: use a new one."}
				}
				res.Spent, res.Replayed = true, true
				return nil
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		var c count
		if err := c.scan(t.row(countQuery, r.ManufacturerID, r.Meter, micros(r.Start), micros(r.Now))); err != nil {
			return err
		}
		if c.left(r.Limit, r.Amount) < r.Amount {
			res.Used = c.taken()
			return nil
		}
		if err := addSpent(t, r.CounterKey, r.Amount); err != nil {
			return err
		}
		res.Spent, res.Used = true, c.taken()+r.Amount
		if r.Idempotency == "" {
			return nil
		}
		_, err := t.exec(`INSERT INTO usage_keys (manufacturer_id, meter, key, fingerprint, used, keep_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (manufacturer_id, meter, key) DO UPDATE SET fingerprint = ?4, used = ?5, keep_until = ?6`,
			r.ManufacturerID, r.Meter, r.Idempotency, blob(r.Fingerprint), res.Used, micros(r.KeepUntil))
		return err
	})
	if err != nil {
		return makerguard.SpendResult{}, err
	}
	return res, nil
}

// Counts implements quota.Store.
func (s *Store) Counts(ctx context.Context, keys []makerguard.CounterKey, now time.Time) ([]makerguard.Count, error) {
	counts := make([]makerguard.Count, len(keys))
	for i, k := range keys {
		var c count
		if err := c.scan(s.read.row(ctx, countQuery, k.ManufacturerID, k.Meter, micros(k.Start), micros(now))); err != nil {
			return nil, storeError("reading counters", err)
		}
		counts[i] = makerguard.Count{Taken: c.taken(), Spent: c.spent + c.expired}
	}
	return counts, nil
}
