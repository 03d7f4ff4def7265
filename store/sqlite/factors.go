package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

// MemberByEmail implements auth.Store.
func (s *Store) MemberByEmail(ctx context.Context, emailKey string) (makerguard.Member, makerguard.Manufacturer, error) {
	return s.memberWithManufacturer(ctx, `SELECT `+memberColumns+`, `+manufacturerColumns+`
		FROM members m JOIN manufacturers f ON f.id = m.manufacturer_id WHERE m.email_key = ?`, emailKey)
}

// MemberByID implements auth.Store.
func (s *Store) MemberByID(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, makerguard.Manufacturer, error) {
	return s.memberWithManufacturer(ctx, `SELECT `+memberColumns+`, `+manufacturerColumns+`
		FROM members m JOIN manufacturers f ON f.id = m.manufacturer_id WHERE m.manufacturer_id = ? AND m.id = ?`, mfr, id)
}

func (s *Store) memberWithManufacturer(ctx context.Context, query string, args ...any) (makerguard.Member, makerguard.Manufacturer, error) {
	var (
		r memberRow
		f makerguard.Manufacturer
	)
	err := s.read.row(ctx, query, args...).Scan(append(r.into(), manufacturerInto(&f)...)...)
	if err != nil {
		return makerguard.Member{}, makerguard.Manufacturer{}, storeError("reading a member", found(err, "There is no such member."))
	}
	return r.member(), f, nil
}

// updateMember runs an UPDATE that is to change one member. Where it changes none it
// returns refused if there is such a member, and NotFound if there is none.
func updateMember(t tx, mfr makerguard.ManufacturerID, id makerguard.MemberID, refused error, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err != nil || n == 1 {
		return err
	}
	var there makerguard.MemberID
	if err := t.row(`SELECT id FROM members WHERE manufacturer_id = ? AND id = ?`, mfr, id).Scan(&there); err != nil {
		return found(err, noMember)
	}
	return refused
}

// SetPassword implements auth.Store.
func (s *Store) SetPassword(ctx context.Context, p makerguard.PasswordUpdate) error {
	return s.write(ctx, "setting a password", func(t tx) error {
		refused := conflict("The password was changed meanwhile: sign in again.")
		if !p.EndSessions { // the same password, hashed anew
			return updateMember(t, p.ManufacturerID, p.MemberID, refused,
				`UPDATE members SET password_hash = ?, password_short = ?, updated_at = ?
				WHERE manufacturer_id = ? AND id = ? AND password_hash = ?`,
				p.New, p.Short, micros(p.Now), p.ManufacturerID, p.MemberID, p.Old)
		}
		if err := updateMember(t, p.ManufacturerID, p.MemberID, refused,
			`UPDATE members SET password_hash = ?1, password_short = ?2, password_changed_at = ?3, updated_at = ?3
			WHERE manufacturer_id = ?4 AND id = ?5 AND password_hash = ?6`,
			p.New, p.Short, micros(p.Now), p.ManufacturerID, p.MemberID, p.Old); err != nil {
			return err
		}
		return s.endForMember(t, p.ManufacturerID, p.MemberID, p.Except, "password_change", p.Now)
	})
}

// endForMember revokes a member's sessions but one because the member changed, and announces that.
func (s *Store) endForMember(t tx, mfr makerguard.ManufacturerID, id makerguard.MemberID, except makerguard.SessionID, reason string, now time.Time) error {
	if _, err := revokeOpen(t, mfr, id, except, reason, now); err != nil {
		return err
	}
	return s.announce(t, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: mfr, MemberID: id})
}

// VerifyEmail implements auth.Store.
func (s *Store) VerifyEmail(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, now time.Time) error {
	return s.write(ctx, "verifying an address", func(t tx) error {
		return updateMember(t, mfr, id, nil,
			`UPDATE members SET email_verified_at = COALESCE(email_verified_at, ?1), updated_at = ?1 WHERE manufacturer_id = ?2 AND id = ?3`,
			micros(now), mfr, id)
	})
}

// SetPendingTOTP implements auth.Store.
func (s *Store) SetPendingTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, sealed []byte, now time.Time) error {
	return s.write(ctx, "starting a factor", func(t tx) error {
		return updateMember(t, mfr, id,
			conflict("A one-time-code generator is enrolled already: remove it first."),
			`UPDATE members SET pending_totp = ?, updated_at = ? WHERE manufacturer_id = ? AND id = ? AND totp_seed IS NULL`,
			blob(sealed), micros(now), mfr, id)
	})
}

// ConfirmTOTP implements auth.Store.
func (s *Store) ConfirmTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, pending []byte, step int64, recovery [][]byte, now time.Time) error {
	codes, err := jsonList(recovery)
	if err != nil {
		return storeError("confirming a factor", err)
	}
	return s.write(ctx, "confirming a factor", func(t tx) error {
		if err := updateMember(t, mfr, id,
			conflict("This enrolment is not pending any more: start again."),
			`UPDATE members SET totp_seed = pending_totp, totp_confirmed_at = ?1, totp_last_step = ?2, pending_totp = NULL, recovery_codes = ?3, updated_at = ?1
			WHERE manufacturer_id = ?4 AND id = ?5 AND pending_totp = ?6`,
			micros(now), step, codes, mfr, id, blob(pending)); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: mfr, MemberID: id})
	})
}

// RemoveTOTP implements auth.Store.
func (s *Store) RemoveTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, except makerguard.SessionID, now time.Time) error {
	return s.write(ctx, "removing a factor", func(t tx) error {
		if err := t.must(missing("No one-time-code generator is enrolled."),
			`UPDATE members SET totp_seed = NULL, totp_confirmed_at = NULL, totp_last_step = 0, recovery_codes = '`+emptyList+`', updated_at = ?
			WHERE manufacturer_id = ? AND id = ? AND totp_seed IS NOT NULL`, micros(now), mfr, id); err != nil {
			return err
		}
		return s.endForMember(t, mfr, id, except, "factor_reset", now)
	})
}

// ConsumeTOTPStep implements auth.Store.
func (s *Store) ConsumeTOTPStep(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, step int64) error {
	return s.write(ctx, "using a one-time code", func(t tx) error {
		return updateMember(t, mfr, id,
			&makerguard.Error{Code: makerguard.MFAInvalid, Message: "The code was used already: wait for the next one."},
			`UPDATE members SET totp_last_step = ?1 WHERE manufacturer_id = ?2 AND id = ?3 AND totp_seed IS NOT NULL AND totp_last_step < ?1`,
			step, mfr, id)
	})
}

// ConsumeRecoveryCode implements auth.Store.
func (s *Store) ConsumeRecoveryCode(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, hash []byte, now time.Time) error {
	return s.write(ctx, "using a recovery code", func(t tx) error {
		var codes [][]byte
		if err := t.row(`SELECT recovery_codes FROM members WHERE manufacturer_id = ? AND id = ?`, mfr, id).Scan(intoList[[]byte]{&codes}); err != nil {
			return found(err, noMember)
		}
		// These are hashes of random codes, so how long a comparison takes tells nothing.
		i := slices.IndexFunc(codes, func(c []byte) bool { return bytes.Equal(c, hash) })
		if i < 0 {
			return &makerguard.Error{Code: makerguard.MFAInvalid, Message: "The recovery code is wrong or was used already."}
		}
		left, err := jsonList(slices.Delete(codes, i, i+1))
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE members SET recovery_codes = ?, updated_at = ? WHERE manufacturer_id = ? AND id = ?`, left, micros(now), mfr, id)
		return err
	})
}

const challengeColumns = `token_hash, purpose, manufacturer_id, member_id, ip, user_agent, device, tries_left, created_at, expires_at`

func challengeInto(c *makerguard.Challenge) []any {
	return []any{
		&c.TokenHash, &c.Purpose, &c.ManufacturerID, &c.MemberID, &c.IP, &c.UserAgent, &c.Device, &c.TriesLeft,
		intoTime{&c.CreatedAt},
		intoTime{&c.ExpiresAt},
	}
}

const noChallenge = "There is no such sign-in under way: start again."

// CreateChallenge implements auth.Store.
func (s *Store) CreateChallenge(ctx context.Context, c makerguard.Challenge) error {
	return s.write(ctx, "creating a challenge", func(t tx) error {
		_, err := t.exec(`INSERT INTO challenges (`+challengeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			blob(c.TokenHash), c.Purpose, c.ManufacturerID, c.MemberID, c.IP, c.UserAgent, c.Device, c.TriesLeft, micros(c.CreatedAt), micros(c.ExpiresAt))
		return err
	})
}

// Challenge implements auth.Store.
func (s *Store) Challenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error) {
	var c makerguard.Challenge
	err := s.read.row(ctx, `SELECT `+challengeColumns+` FROM challenges WHERE token_hash = ? AND expires_at > ?`,
		blob(tokenHash), micros(now)).Scan(challengeInto(&c)...)
	if err != nil {
		return makerguard.Challenge{}, storeError("reading a challenge", found(err, noChallenge))
	}
	return c, nil
}

// TryChallenge implements auth.Store.
func (s *Store) TryChallenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error) {
	var c makerguard.Challenge
	err := s.write(ctx, "trying a challenge", func(t tx) error {
		return found(t.row(`UPDATE challenges SET tries_left = tries_left - 1 WHERE token_hash = ? AND expires_at > ? AND tries_left > 0
			RETURNING `+challengeColumns, blob(tokenHash), micros(now)).Scan(challengeInto(&c)...), noChallenge)
	})
	if err != nil {
		return makerguard.Challenge{}, err
	}
	return c, nil
}

// ConsumeChallenge implements auth.Store.
func (s *Store) ConsumeChallenge(ctx context.Context, tokenHash []byte) error {
	return s.write(ctx, "consuming a challenge", func(t tx) error {
		return t.must(missing(noChallenge), `DELETE FROM challenges WHERE token_hash = ?`, blob(tokenHash))
	})
}

// BumpCounter implements auth.Store.
func (s *Store) BumpCounter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error) {
	var c makerguard.Counter
	err := s.write(ctx, "counting", func(t tx) error {
		// Clocks of processes differ a little; the newest event decides when the count goes stale.
		return t.row(`INSERT INTO counters (key, count, last_at, stale_at) VALUES (?1, 1, ?2, ?2 + ?3)
			ON CONFLICT (key) DO UPDATE SET
				count = CASE WHEN last_at + ?3 < ?2 THEN 1 ELSE count + 1 END,
				last_at = max(last_at, ?2),
				stale_at = max(stale_at, ?2 + ?3)
			RETURNING count, last_at`, key, micros(now), window.Microseconds()).Scan(&c.Count, intoTime{&c.LastAt})
	})
	if err != nil {
		return makerguard.Counter{}, err
	}
	return c, nil
}

// Counter implements auth.Store.
func (s *Store) Counter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error) {
	var c makerguard.Counter
	err := s.read.row(ctx, `SELECT count, last_at FROM counters WHERE key = ? AND last_at >= ?`, key, micros(now.Add(-window))).Scan(&c.Count, intoTime{&c.LastAt})
	if errors.Is(err, sql.ErrNoRows) {
		return makerguard.Counter{}, nil
	}
	return c, storeError("reading a counter", err)
}

// ResetCounter implements auth.Store.
func (s *Store) ResetCounter(ctx context.Context, key string) error {
	return s.write(ctx, "resetting a counter", func(t tx) error {
		_, err := t.exec(`DELETE FROM counters WHERE key = ?`, key)
		return err
	})
}
