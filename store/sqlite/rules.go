package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/makerguard/makerguard"
)

// RuleSet implements threat.Store.
func (s *Store) RuleSet(ctx context.Context, mfr makerguard.ManufacturerID) (makerguard.RuleSet, error) {
	rs := makerguard.RuleSet{ManufacturerID: mfr}
	err := s.read.row(ctx, `SELECT version, modes, exclusions, updated_at, updated_by FROM rule_sets WHERE manufacturer_id = ?`, mfr).
		Scan(&rs.Version, intoList[makerguard.RuleMode]{&rs.Modes}, intoList[makerguard.Exclusion]{&rs.Exclusions}, intoTime{&rs.UpdatedAt}, &rs.UpdatedBy)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return makerguard.RuleSet{}, storeError("reading the rules' settings", err)
	}
	return rs, nil
}

// PutRuleSet implements threat.Store.
func (s *Store) PutRuleSet(ctx context.Context, rs makerguard.RuleSet) error {
	const doing = "storing the rules' settings"
	modes, err := jsonList(rs.Modes)
	if err != nil {
		return storeError(doing, err)
	}
	exclusions := slices.Clone(rs.Exclusions)
	for i := range exclusions {
		exclusions[i].CreatedAt = exclusions[i].CreatedAt.UTC()
	}
	listed, err := jsonList(exclusions)
	if err != nil {
		return storeError(doing, err)
	}
	return s.write(ctx, doing, func(t tx) error {
		if err := t.must(conflict(changedMeanwhile), `INSERT INTO rule_sets (manufacturer_id, version, modes, exclusions, updated_at, updated_by)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?2 = 1 + COALESCE((SELECT version FROM rule_sets WHERE manufacturer_id = ?1), 0)
			ON CONFLICT (manufacturer_id) DO UPDATE SET version = ?2, modes = ?3, exclusions = ?4, updated_at = ?5, updated_by = ?6`,
			rs.ManufacturerID, rs.Version, modes, listed, micros(rs.UpdatedAt), rs.UpdatedBy); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: rs.ManufacturerID})
	})
}
