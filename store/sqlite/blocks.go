package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

const blockColumns = `id, kind, subject, manufacturer_id, scenario, reason, points, created_at, expires_at, lifted_at, lifted_by, lift_reason`

// blockInto lists where blockColumns go.
func blockInto(b *makerguard.Block) []any {
	return []any{
		&b.ID, &b.Kind, &b.Subject, &b.ManufacturerID, &b.Scenario, &b.Reason, &b.Points,
		intoTime{&b.CreatedAt},
		intoTime{&b.ExpiresAt},
		intoTime{&b.LiftedAt},
		&b.LiftedBy, &b.LiftReason,
	}
}

// PutBlock implements abuse.Store.
func (s *Store) PutBlock(ctx context.Context, b makerguard.Block) (makerguard.Block, error) {
	var stands makerguard.Block
	err := s.write(ctx, "blocking", func(t tx) error {
		err := t.row(`UPDATE blocks SET expires_at = max(expires_at, ?1)
			WHERE kind = ?2 AND subject = ?3 AND lifted_at IS NULL AND expires_at > ?4
			RETURNING `+blockColumns, micros(b.ExpiresAt), b.Kind, b.Subject, micros(b.CreatedAt)).Scan(blockInto(&stands)...)
		if errors.Is(err, sql.ErrNoRows) {
			err = t.row(`INSERT INTO blocks (`+blockColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING `+blockColumns,
				b.ID, b.Kind, b.Subject, b.ManufacturerID, b.Scenario, b.Reason, b.Points,
				micros(b.CreatedAt), micros(b.ExpiresAt), optMicros(b.LiftedAt), b.LiftedBy, b.LiftReason).Scan(blockInto(&stands)...)
		}
		if err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.BlocksChanged})
	})
	if err != nil {
		return makerguard.Block{}, err
	}
	return stands, nil
}

// Blocks implements abuse.Store. It reads all blocks in force, whatever the limit, but
// none that has ended.
func (s *Store) Blocks(ctx context.Context, now time.Time, limit int) ([]makerguard.Block, error) {
	all, err := list(ctx, s.read, blockInto, `SELECT `+blockColumns+` FROM blocks WHERE lifted_at IS NULL AND expires_at > ?`, micros(now))
	if err != nil {
		return nil, storeError("listing blocks", err)
	}
	slices.SortFunc(all, func(a, b makerguard.Block) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return all[:min(max(limit, 0), len(all))], nil
}

// LiftBlock implements abuse.Store.
func (s *Store) LiftBlock(ctx context.Context, id string, by makerguard.MemberID, reason string, now time.Time) error {
	return s.write(ctx, "lifting a block", func(t tx) error {
		if err := t.must(missing("There is no such block in force."),
			`UPDATE blocks SET lifted_at = ?1, lifted_by = ?2, lift_reason = ?3 WHERE id = ?4 AND lifted_at IS NULL AND expires_at > ?1`,
			micros(now), by, reason, id); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.BlocksChanged})
	})
}
