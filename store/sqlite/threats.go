package sqlite

import (
	"context"
	"slices"
	"strings"
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
	type, severity, rule, description, input, location, evidence, score, route, blocked, match_offset, match_length`

// threatInto lists where threatColumns go.
func threatInto(e *makerguard.Threat) []any {
	return []any{
		&e.ManufacturerID, &e.ID, &e.MemberID, &e.SessionID, &e.IP, &e.UserAgent, &e.RequestID,
		intoTime{&e.DetectedAt},
		&e.Type, &e.Severity, &e.Rule, &e.Description, &e.Input, &e.Location, &e.Evidence, &e.Score, &e.Route, &e.Blocked, &e.Offset, &e.Length,
	}
}

// AppendThreats implements threat.Store.
func (s *Store) AppendThreats(ctx context.Context, ts []makerguard.Threat) error {
	if len(ts) == 0 {
		return nil
	}
	ts = slices.Clone(ts)
	return s.write(ctx, "appending to the threat history", func(t tx) error {
		for i := range ts {
			e := &ts[i]
			if _, err := t.exec(`INSERT INTO threats (`+threatColumns+`, folded_input, folded_evidence)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ManufacturerID, e.ID, e.MemberID, e.SessionID, e.IP, e.UserAgent, e.RequestID, micros(e.DetectedAt),
				e.Type, e.Severity, e.Rule, e.Description, e.Input, e.Location, e.Evidence, e.Score,
				e.Route, e.Blocked, e.Offset, e.Length, strings.ToLower(e.Input), strings.ToLower(e.Evidence)); err != nil {
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
	const rest = `id < ?1 AND detected_at >= ?2 AND (?3 IS NULL OR detected_at < ?3)
		AND (?4 = '' OR type = ?4) AND (?5 = '' OR severity = ?5) AND (?6 = '' OR member_id = ?6) AND (?7 = '' OR rule = ?7)
		AND (?8 = '' OR ip = ?8) AND (?9 = '' OR request_id = ?9)
		AND (?10 = '' OR instr(folded_input, ?10) > 0 OR instr(folded_evidence, ?10) > 0)
		AND (?11 OR manufacturer_id = ?12) ORDER BY id DESC LIMIT ?13`
	// Each of these reads entries newest first. The narrowest is taken, for what the rest
	// does not match is read in vain.
	var query string
	switch {
	case f.RequestID != "":
		query = `SELECT ` + threatColumns + ` FROM threats INDEXED BY threats_request WHERE request_id = ?9 AND ` + rest
	case f.IP != "":
		query = `SELECT ` + threatColumns + ` FROM threats INDEXED BY threats_ip WHERE ip = ?8 AND ` + rest
	case f.AllTenants:
		query = `SELECT ` + threatColumns + ` FROM threats WHERE ` + rest
	default:
		query = `SELECT ` + threatColumns + ` FROM threats WHERE manufacturer_id = ?12 AND ` + rest
	}
	all, err := list(ctx, s.read, threatInto, query, before, micros(f.Since), optMicros(f.Until), f.Type, f.Severity, f.MemberID, f.Rule, f.IP, f.RequestID,
		strings.ToLower(f.Text), f.AllTenants, f.ManufacturerID, min(max(f.Limit, 0), maxThreats))
	return all, storeError("listing the threat history", err)
}

// Threat implements threat.Store.
func (s *Store) Threat(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.EventID) (makerguard.Threat, error) {
	var e makerguard.Threat
	err := s.read.row(ctx, `SELECT `+threatColumns+` FROM threats WHERE id = ?1 AND ?2 IN (manufacturer_id, ?3)`,
		id, mfr, makerguard.PlatformID).Scan(threatInto(&e)...)
	if err != nil {
		return makerguard.Threat{}, storeError("reading an entry of the threat history", found(err, "The history has no such entry."))
	}
	return e, nil
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

// DeleteThreats implements threat.Store.
func (s *Store) DeleteThreats(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := s.write(ctx, "deleting from the threat history", func(t tx) (err error) {
		n, err = t.exec(`DELETE FROM threats WHERE rowid IN (SELECT rowid FROM threats WHERE detected_at < ? ORDER BY detected_at LIMIT ?)`,
			micros(before), max(limit, 0))
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}
