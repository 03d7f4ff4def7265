package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// maxThreats is the most that Threats lists at once.
	maxThreats = 200
	// afterEveryID sorts behind every identifier: no encoded character is greater.
	afterEveryID = "\U0010FFFF"
)

const threatColumns = `manufacturer_id, id, member_id, session_id, ip, user_agent, request_id, detected_at,
	type, severity, rule, description, input, location, evidence, score`

// AppendThreats implements threat.Store.
func (s *Store) AppendThreats(ctx context.Context, ts []makerguard.Threat) error {
	if len(ts) == 0 {
		return nil
	}
	ts = slices.Clone(ts)
	return s.write(ctx, "appending to the threat history", func(t tx) error {
		for i := range ts {
			e := &ts[i]
			if _, err := t.exec(`INSERT INTO threats (`+threatColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ManufacturerID, e.ID, e.MemberID, e.SessionID, e.IP, e.UserAgent, e.RequestID, micros(e.DetectedAt),
				e.Type, e.Severity, e.Rule, e.Description, e.Input, e.Location, e.Evidence, e.Score); err != nil {
				return err
			}
		}
		return nil
	})
}

// Threats implements threat.Store. Entries are ordered by id, which is the order in
// which they were made.
func (s *Store) Threats(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error) {
	if f.ManufacturerID == "" && !f.AllTenants {
		return nil, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "Name the manufacturer whose history is asked for."}
	}
	before := f.Before
	if before == "" {
		before = afterEveryID
	}
	const rest = `id < ?1 AND (?2 = '' OR type = ?2) AND (?3 = '' OR severity = ?3) AND detected_at >= ?4 ORDER BY id DESC LIMIT ?5`
	query := `SELECT ` + threatColumns + ` FROM threats WHERE manufacturer_id = ?6 AND ` + rest
	args := []any{before, f.Type, f.Severity, micros(f.Since), min(max(f.Limit, 0), maxThreats), f.ManufacturerID}
	if f.AllTenants {
		query, args = `SELECT `+threatColumns+` FROM threats WHERE `+rest, args[:5]
	}
	var list []makerguard.Threat
	err := s.read.rows(ctx, func(row scanner) error {
		var e makerguard.Threat
		err := row.Scan(&e.ManufacturerID, &e.ID, &e.MemberID, &e.SessionID, &e.IP, &e.UserAgent, &e.RequestID, intoTime{&e.DetectedAt},
			&e.Type, &e.Severity, &e.Rule, &e.Description, &e.Input, &e.Location, &e.Evidence, &e.Score)
		list = append(list, e)
		return err
	}, query, args...)
	return list, storeError("listing the threat history", err)
}

// CountThreats implements threat.Store.
func (s *Store) CountThreats(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) (map[makerguard.Severity]int, error) {
	counts := make(map[makerguard.Severity]int)
	err := s.read.rows(ctx, func(row scanner) error {
		var severity makerguard.Severity
		err := row.Scan(&severity)
		counts[severity]++
		return err
	}, `SELECT severity FROM threats WHERE manufacturer_id = ? AND detected_at >= ?`, mfr, micros(since))
	if err != nil {
		return nil, storeError("counting threats", err)
	}
	return counts, nil
}
