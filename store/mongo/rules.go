package mongo

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// ruleSetDoc is how the rules are set for one manufacturer or the installation.
type ruleSetDoc struct {
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Version        int64                     `bson:"version"`
	Modes          []ruleModeDoc             `bson:"modes"`
	Exclusions     []exclusionDoc            `bson:"exclusions"`
	Known          []knownRuleDoc            `bson:"known"`
	UpdatedAt      time.Time                 `bson:"updated_at"`
	UpdatedBy      makerguard.MemberID       `bson:"updated_by"`
}

type ruleModeDoc struct {
	Rule  string          `bson:"rule"`
	Route string          `bson:"route"`
	Mode  makerguard.Mode `bson:"mode"`
}

type exclusionDoc struct {
	ID        string              `bson:"id"`
	Rule      string              `bson:"rule"`
	Route     string              `bson:"route"`
	Field     string              `bson:"field"`
	Reason    string              `bson:"reason"`
	Event     makerguard.EventID  `bson:"event"`
	CreatedBy makerguard.MemberID `bson:"created_by"`
	CreatedAt time.Time           `bson:"created_at"`
}

type knownRuleDoc struct {
	Rule  string    `bson:"rule"`
	Since time.Time `bson:"since"`
}

func toRuleSetDoc(rs makerguard.RuleSet) ruleSetDoc {
	d := ruleSetDoc{
		ManufacturerID: rs.ManufacturerID, Version: rs.Version, UpdatedAt: rs.UpdatedAt, UpdatedBy: rs.UpdatedBy,
		Modes: make([]ruleModeDoc, len(rs.Modes)), Exclusions: make([]exclusionDoc, len(rs.Exclusions)), Known: make([]knownRuleDoc, len(rs.Known)),
	}
	for i, m := range rs.Modes {
		d.Modes[i] = ruleModeDoc(m)
	}
	for i, e := range rs.Exclusions {
		d.Exclusions[i] = exclusionDoc(e)
	}
	for i, k := range rs.Known {
		d.Known[i] = knownRuleDoc(k)
	}
	return d
}

func fromRuleSetDoc(d ruleSetDoc) makerguard.RuleSet {
	rs := makerguard.RuleSet{ManufacturerID: d.ManufacturerID, Version: d.Version, UpdatedAt: d.UpdatedAt, UpdatedBy: d.UpdatedBy}
	for _, m := range d.Modes {
		rs.Modes = append(rs.Modes, makerguard.RuleMode(m))
	}
	for _, e := range d.Exclusions {
		rs.Exclusions = append(rs.Exclusions, makerguard.Exclusion(e))
	}
	for _, k := range d.Known {
		rs.Known = append(rs.Known, makerguard.KnownRule(k))
	}
	return rs
}

// RuleSet implements threat.Store.
func (s *Store) RuleSet(ctx context.Context, mfr makerguard.ManufacturerID) (makerguard.RuleSet, error) {
	d := ruleSetDoc{ManufacturerID: mfr}
	if err := s.setting(ctx, rulesPrefix+string(mfr), &d); err != nil {
		return makerguard.RuleSet{}, storeError("reading the rules' settings", err)
	}
	return fromRuleSetDoc(d), nil
}

// PutRuleSet implements threat.Store.
func (s *Store) PutRuleSet(ctx context.Context, rs makerguard.RuleSet) error {
	return storeError("storing the rules' settings", s.putSetting(ctx, rulesPrefix+string(rs.ManufacturerID), rs.Version, toRuleSetDoc(rs)))
}
