package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

const noSession = "There is no such session."

const sessionColumns = `s.id, s.manufacturer_id, s.member_id, s.created_at, s.last_seen_at, s.expires_at, s.auth_time, s.amr, s.ip, s.user_agent,
	s.refresh_seed, s.refresh_generation, s.rotated_at, s.revoked_at, s.revoke_reason`

// sessionInto lists where sessionColumns go.
func sessionInto(s *makerguard.Session) []any {
	return []any{
		&s.ID, &s.ManufacturerID, &s.MemberID,
		intoTime{&s.CreatedAt},
		intoTime{&s.LastSeenAt},
		intoTime{&s.ExpiresAt},
		intoTime{&s.AuthTime},
		intoList[string]{&s.AMR},
		&s.IP, &s.UserAgent,
		&s.RefreshSeed, &s.RefreshGeneration,
		intoTime{&s.RotatedAt},
		intoTime{&s.RevokedAt},
		&s.RevokeReason,
	}
}

// CreateSession implements auth.Store. The new session is never the one that the limit
// ends; a negative limit is none.
func (s *Store) CreateSession(ctx context.Context, n makerguard.Session, limit int64, now time.Time) error {
	amr, err := jsonList(n.AMR)
	if err != nil {
		return storeError("creating a session", err)
	}
	return s.write(ctx, "creating a session", func(t tx) error {
		if _, err := t.exec(`INSERT INTO sessions (id, manufacturer_id, member_id, created_at, last_seen_at, expires_at, auth_time, amr, ip, user_agent,
				refresh_seed, refresh_generation, rotated_at, revoked_at, revoke_reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			n.ID, n.ManufacturerID, n.MemberID, micros(n.CreatedAt), micros(n.LastSeenAt), micros(n.ExpiresAt), micros(n.AuthTime), amr, n.IP, n.UserAgent,
			blob(n.RefreshSeed), n.RefreshGeneration, optMicros(n.RotatedAt), optMicros(n.RevokedAt), n.RevokeReason); err != nil {
			return err
		}
		if limit < 0 {
			return nil
		}
		ended, err := sessionIDs(t, `UPDATE sessions SET revoked_at = ?1, revoke_reason = 'session_limit' WHERE id IN (
				SELECT id FROM sessions WHERE manufacturer_id = ?2 AND member_id = ?3 AND id <> ?4 AND revoked_at IS NULL AND expires_at > ?1
				ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?5)
			RETURNING id`, micros(now), n.ManufacturerID, n.MemberID, n.ID, max(limit-1, 0))
		if err != nil {
			return err
		}
		return s.announceEnded(t, n.ManufacturerID, n.MemberID, ended)
	})
}

func sessionIDs(t tx, query string, args ...any) ([]makerguard.SessionID, error) {
	return list(context.Background(), t.on, itself[makerguard.SessionID], query, args...)
}

// revokeOpen ends the live sessions of a member but one.
func revokeOpen(t tx, mfr makerguard.ManufacturerID, member makerguard.MemberID, except makerguard.SessionID, reason string, now time.Time) ([]makerguard.SessionID, error) {
	return sessionIDs(t, `UPDATE sessions SET revoked_at = ?1, revoke_reason = ?2
		WHERE manufacturer_id = ?3 AND member_id = ?4 AND id <> ?5 AND revoked_at IS NULL AND expires_at > ?1
		RETURNING id`, micros(now), reason, mfr, member, except)
}

func (s *Store) announceEnded(t tx, mfr makerguard.ManufacturerID, member makerguard.MemberID, ids []makerguard.SessionID) error {
	for _, id := range ids {
		if err := s.announce(t, makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: mfr, MemberID: member, SessionID: id}); err != nil {
			return err
		}
	}
	return nil
}

// LoadSession implements auth.Store.
func (s *Store) LoadSession(ctx context.Context, id makerguard.SessionID) (makerguard.Session, makerguard.Member, makerguard.Manufacturer, error) {
	var (
		ses makerguard.Session
		r   memberRow
		f   makerguard.Manufacturer
	)
	err := s.read.row(ctx, `SELECT `+sessionColumns+`, `+memberColumns+`, `+manufacturerColumns+`
		FROM sessions s
		JOIN members m ON m.manufacturer_id = s.manufacturer_id AND m.id = s.member_id
		JOIN manufacturers f ON f.id = s.manufacturer_id
		WHERE s.id = ?`, id).Scan(slices.Concat(sessionInto(&ses), r.into(), manufacturerInto(&f))...)
	if err != nil {
		return makerguard.Session{}, makerguard.Member{}, makerguard.Manufacturer{}, storeError("reading a session", found(err, noSession))
	}
	return ses, r.member(), f, nil
}

// Sessions implements auth.Store.
func (s *Store) Sessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, now time.Time) ([]makerguard.Session, error) {
	all, err := list(ctx, s.read, sessionInto, `SELECT `+sessionColumns+` FROM sessions s
		WHERE s.manufacturer_id = ? AND s.member_id = ? AND s.revoked_at IS NULL AND s.expires_at > ?
		ORDER BY s.created_at DESC, s.id DESC`, mfr, member, micros(now))
	return all, storeError("listing sessions", err)
}

// AdvanceRefresh implements auth.Store. A session past its absolute limit is refused
// like a revoked one.
func (s *Store) AdvanceRefresh(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.SessionID, from uint32, now time.Time) (makerguard.Session, error) {
	var (
		ses      makerguard.Session
		advanced bool
	)
	err := s.write(ctx, "advancing a refresh generation", func(t tx) error {
		n, err := t.exec(`UPDATE sessions SET refresh_generation = refresh_generation + 1, rotated_at = ?1, last_seen_at = ?1
			WHERE manufacturer_id = ?2 AND id = ?3 AND refresh_generation = ?4 AND revoked_at IS NULL AND expires_at > ?1`, micros(now), mfr, id, from)
		if err != nil {
			return err
		}
		advanced = n == 1
		return found(t.row(`SELECT `+sessionColumns+` FROM sessions s WHERE s.manufacturer_id = ? AND s.id = ?`, mfr, id).
			Scan(sessionInto(&ses)...), noSession)
	})
	if err != nil {
		return makerguard.Session{}, err
	}
	if !advanced {
		return ses, conflict("The session has moved on or ended.")
	}
	return ses, nil
}

// TouchSessions implements auth.Store.
func (s *Store) TouchSessions(ctx context.Context, seen map[makerguard.SessionID]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	seen = maps.Clone(seen) // the caller may go on with his before the writer comes to it
	return s.write(ctx, "touching sessions", func(t tx) error {
		for id, at := range seen {
			if _, err := t.exec(`UPDATE sessions SET last_seen_at = ?1 WHERE id = ?2 AND last_seen_at < ?1`, micros(at), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// RevokeSession implements auth.Store.
func (s *Store) RevokeSession(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, id makerguard.SessionID, reason string, now time.Time) error {
	return s.write(ctx, "revoking a session", func(t tx) error {
		var revokedAt sql.NullInt64
		if err := t.row(`SELECT revoked_at FROM sessions WHERE manufacturer_id = ? AND id = ? AND member_id = ?`, mfr, id, member).Scan(&revokedAt); err != nil {
			return found(err, noSession)
		}
		if revokedAt.Valid {
			return nil
		}
		if _, err := t.exec(`UPDATE sessions SET revoked_at = ?, revoke_reason = ? WHERE manufacturer_id = ? AND id = ?`, micros(now), reason, mfr, id); err != nil {
			return err
		}
		return s.announceEnded(t, mfr, member, []makerguard.SessionID{id})
	})
}

// RevokeSessions implements auth.Store.
func (s *Store) RevokeSessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, except makerguard.SessionID, reason string, now time.Time) (int, error) {
	var ended []makerguard.SessionID
	err := s.write(ctx, "revoking sessions", func(t tx) (err error) {
		if ended, err = revokeOpen(t, mfr, member, except, reason, now); err != nil {
			return err
		}
		return s.announceEnded(t, mfr, member, ended)
	})
	if err != nil {
		return 0, err
	}
	return len(ended), nil
}
