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
	err := s.read.row(ctx, `SELECT version, modes, exclusions, known, updated_at, updated_by FROM rule_sets WHERE manufacturer_id = ?`, mfr).
		Scan(&rs.Version, intoList[makerguard.RuleMode]{&rs.Modes}, intoList[makerguard.Exclusion]{&rs.Exclusions},
			intoList[makerguard.KnownRule]{&rs.Known}, intoTime{&rs.UpdatedAt}, &rs.UpdatedBy)
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
	known := slices.Clone(rs.Known)
	for i := range known {
		known[i].Since = known[i].Since.UTC()
	}
	met, err := jsonList(known)
	if err != nil {
		return storeError(doing, err)
	}
	return s.write(ctx, doing, func(t tx) error {
		if err := t.must(conflict(changedMeanwhile), `INSERT INTO rule_sets (manufacturer_id, version, modes, exclusions, known, updated_at, updated_by)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?2 = 1 + COALESCE((SELECT version FROM rule_sets WHERE manufacturer_id = ?1), 0)
			ON CONFLICT (manufacturer_id) DO UPDATE SET version = ?2, modes = ?3, exclusions = ?4, known = ?5, updated_at = ?6, updated_by = ?7`,
			rs.ManufacturerID, rs.Version, modes, listed, met, micros(rs.UpdatedAt), rs.UpdatedBy); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: rs.ManufacturerID})
	})
}
