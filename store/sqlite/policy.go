package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/makerguard/makerguard"
)

// changedMeanwhile refuses a version that does not follow the one stored.
const changedMeanwhile = "Somebody else changed it meanwhile: read it again and repeat your change."

// Policy implements rbac.Store.
func (s *Store) Policy(ctx context.Context) (makerguard.PolicyDocument, error) {
	var p makerguard.PolicyDocument
	err := s.read.row(ctx, `SELECT version, source, updated_at, updated_by FROM policy WHERE one = 1`).
		Scan(&p.Version, &p.Source, intoTime{&p.UpdatedAt}, &p.UpdatedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return makerguard.PolicyDocument{}, nil
	}
	return p, storeError("reading the policy", err)
}

// PutPolicy implements rbac.Store.
func (s *Store) PutPolicy(ctx context.Context, p makerguard.PolicyDocument) error {
	return s.write(ctx, "storing the policy", func(t tx) error {
		if err := t.must(conflict(changedMeanwhile), `INSERT INTO policy (one, version, source, updated_at, updated_by)
			SELECT 1, ?1, ?2, ?3, ?4 WHERE ?1 = 1 + COALESCE((SELECT version FROM policy WHERE one = 1), 0)
			ON CONFLICT (one) DO UPDATE SET version = ?1, source = ?2, updated_at = ?3, updated_by = ?4`,
			p.Version, blob(p.Source), micros(p.UpdatedAt), p.UpdatedBy); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.PolicyChanged})
	})
}
