package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	noManufacturer = "There is no such manufacturer."
	noMember       = "The manufacturer has no such member."
)

const manufacturerColumns = `f.id, f.company_name, f.country, f.tier, f.status, f.status_reason, f.time_zone, f.anchor_day, f.created_at, f.updated_at`

// manufacturerInto lists where manufacturerColumns go.
func manufacturerInto(m *makerguard.Manufacturer) []any {
	return []any{
		&m.ID, &m.CompanyName, &m.Country, &m.Tier, &m.Status, &m.StatusReason, &m.TimeZone, &m.AnchorDay,
		intoTime{&m.CreatedAt},
		intoTime{&m.UpdatedAt},
	}
}

const memberColumns = `m.manufacturer_id, m.id, m.email, m.email_key, m.name, m.role, m.grants, m.status,
	m.password_hash, m.password_short, m.password_changed_at, m.email_verified_at,
	m.totp_seed, m.totp_confirmed_at, m.totp_last_step, m.pending_totp, m.recovery_codes, m.created_at, m.updated_at`

// memberRow is a member on its way out of the database.
type memberRow struct {
	makerguard.Member
	totp makerguard.TOTPFactor
}

// into lists where memberColumns go.
func (r *memberRow) into() []any {
	return []any{
		&r.ManufacturerID, &r.ID, &r.Email, &r.EmailKey, &r.Name, &r.Role,
		intoList[makerguard.Permission]{&r.Grants},
		&r.Status,
		&r.PasswordHash, &r.PasswordShort,
		intoTime{&r.PasswordChangedAt},
		intoTime{&r.EmailVerifiedAt},
		&r.totp.SealedSeed,
		intoTime{&r.totp.ConfirmedAt},
		&r.totp.LastStep, &r.PendingTOTP,
		intoList[[]byte]{&r.RecoveryCodes},
		intoTime{&r.CreatedAt},
		intoTime{&r.UpdatedAt},
	}
}

func (r *memberRow) member() makerguard.Member {
	if r.totp.SealedSeed != nil {
		r.TOTP = &r.totp
	}
	return r.Member
}

// CreateManufacturer implements account.Store.
func (s *Store) CreateManufacturer(ctx context.Context, m makerguard.Manufacturer, owner makerguard.Member) error {
	owner.ManufacturerID = m.ID
	err := s.write(ctx, "creating a manufacturer", func(t tx) error {
		created, err := insertManufacturer(t, m)
		if err != nil {
			return err
		}
		if !created {
			return &makerguard.Error{Code: makerguard.Conflict}
		}
		return insertMember(t, owner)
	})
	return conflictAs(err, "This manufacturer or e-mail address is registered already.")
}

// EnsureManufacturer implements account.Store.
func (s *Store) EnsureManufacturer(ctx context.Context, m makerguard.Manufacturer) error {
	return s.write(ctx, "ensuring a manufacturer", func(t tx) error {
		_, err := insertManufacturer(t, m)
		return err
	})
}

func insertManufacturer(t tx, m makerguard.Manufacturer) (created bool, err error) {
	n, err := t.exec(`INSERT INTO manufacturers (id, company_name, folded_name, country, tier, status, status_reason, time_zone, anchor_day, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.CompanyName, strings.ToLower(m.CompanyName), m.Country, m.Tier, m.Status, m.StatusReason, m.TimeZone, m.AnchorDay,
		micros(m.CreatedAt), micros(m.UpdatedAt))
	return n == 1, err
}

func insertMember(t tx, m makerguard.Member) error {
	grants, err := jsonList(m.Grants)
	if err != nil {
		return err
	}
	codes, err := jsonList(m.RecoveryCodes)
	if err != nil {
		return err
	}
	var totp makerguard.TOTPFactor
	if m.TOTP != nil {
		totp = *m.TOTP
	}
	_, err = t.exec(`INSERT INTO members (manufacturer_id, id, email, email_key, name, role, grants, status,
			password_hash, password_short, password_changed_at, email_verified_at,
			totp_seed, totp_confirmed_at, totp_last_step, pending_totp, recovery_codes, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ManufacturerID, m.ID, m.Email, m.EmailKey, m.Name, m.Role, grants, m.Status,
		m.PasswordHash, m.PasswordShort, optMicros(m.PasswordChangedAt), optMicros(m.EmailVerifiedAt),
		totp.SealedSeed, optMicros(totp.ConfirmedAt), totp.LastStep, m.PendingTOTP, codes,
		micros(m.CreatedAt), micros(m.UpdatedAt))
	return err
}

// conflictAs gives a Conflict a message for the caller.
func conflictAs(err error, message string) error {
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.Conflict {
		return err
	}
	return &makerguard.Error{Code: makerguard.Conflict, Message: message, Err: e.Err}
}

// CreateMember implements account.Store.
func (s *Store) CreateMember(ctx context.Context, m makerguard.Member, limit int64) error {
	err := s.write(ctx, "creating a member", func(t tx) error {
		var id makerguard.ManufacturerID
		if err := t.row(`SELECT id FROM manufacturers WHERE id = ?`, m.ManufacturerID).Scan(&id); err != nil {
			return found(err, noManufacturer)
		}
		var members int64
		if err := t.row(`SELECT COUNT(*) FROM members WHERE manufacturer_id = ?`, m.ManufacturerID).Scan(&members); err != nil {
			return err
		}
		if limit >= 0 && members >= limit {
			return &makerguard.Error{
				Code:    makerguard.EntitlementExceeded,
				Message: "The tier allows no more members: remove one or change to a higher tier.",
				Details: map[string]any{"limit": limit},
			}
		}
		return insertMember(t, m)
	})
	return conflictAs(err, "This e-mail address is registered already.")
}

// Manufacturer implements account.Store.
func (s *Store) Manufacturer(ctx context.Context, id makerguard.ManufacturerID) (makerguard.Manufacturer, error) {
	var m makerguard.Manufacturer
	err := s.read.row(ctx, `SELECT `+manufacturerColumns+` FROM manufacturers f WHERE f.id = ?`, id).Scan(manufacturerInto(&m)...)
	if err != nil {
		return makerguard.Manufacturer{}, storeError("reading a manufacturer", found(err, noManufacturer))
	}
	return m, nil
}

// Manufacturers implements account.Store. A search reads every manufacturer after the
// given one until limit are found.
func (s *Store) Manufacturers(ctx context.Context, q string, after makerguard.ManufacturerID, limit int) ([]makerguard.Manufacturer, error) {
	all, err := list(ctx, s.read, manufacturerInto, `SELECT `+manufacturerColumns+` FROM manufacturers f
		WHERE f.id > ?1 AND f.id <> ?2 AND (instr(f.folded_name, ?3) > 0 OR instr(lower(f.id), ?3) > 0)
		ORDER BY f.id LIMIT ?4`, after, makerguard.PlatformID, strings.ToLower(q), max(limit, 0))
	return all, storeError("listing manufacturers", err)
}

// Member implements account.Store.
func (s *Store) Member(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, error) {
	var r memberRow
	err := s.read.row(ctx, `SELECT `+memberColumns+` FROM members m WHERE m.manufacturer_id = ? AND m.id = ?`, mfr, id).Scan(r.into()...)
	if err != nil {
		return makerguard.Member{}, storeError("reading a member", found(err, noMember))
	}
	return r.member(), nil
}

// Members implements account.Store.
func (s *Store) Members(ctx context.Context, mfr makerguard.ManufacturerID) ([]makerguard.Member, error) {
	var all []makerguard.Member
	err := s.read.rows(ctx, func(row scanner) error {
		var r memberRow
		err := row.Scan(r.into()...)
		all = append(all, r.member())
		return err
	}, `SELECT `+memberColumns+` FROM members m WHERE m.manufacturer_id = ? ORDER BY m.id`, mfr)
	return all, storeError("listing members", err)
}

// SetRole implements account.Store.
func (s *Store) SetRole(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, role makerguard.Role, now time.Time) error {
	return s.write(ctx, "setting a role", func(t tx) error {
		if err := updateMember(t, mfr, id,
			conflict("A manufacturer needs an owner: make somebody else owner first."),
			`UPDATE members SET role = ?1, updated_at = ?2 WHERE manufacturer_id = ?3 AND id = ?4
				AND (?1 = ?5 OR EXISTS (SELECT 1 FROM members o WHERE o.manufacturer_id = ?3 AND o.id <> ?4 AND o.role = ?5))`,
			role, micros(now), mfr, id, makerguard.RoleOwner); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: mfr, MemberID: id})
	})
}

// SetTier implements account.Store.
func (s *Store) SetTier(ctx context.Context, id makerguard.ManufacturerID, tier makerguard.Tier, now time.Time) error {
	return s.write(ctx, "setting a tier", func(t tx) error {
		if err := t.must(missing(noManufacturer), `UPDATE manufacturers SET tier = ?, updated_at = ? WHERE id = ?`, tier, micros(now), id); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: id})
	})
}

// SetStatus implements account.Store.
func (s *Store) SetStatus(ctx context.Context, id makerguard.ManufacturerID, status makerguard.Status, reason string, now time.Time) error {
	return s.write(ctx, "setting a status", func(t tx) error {
		if err := t.must(missing(noManufacturer), `UPDATE manufacturers SET status = ?, status_reason = ?, updated_at = ? WHERE id = ?`,
			status, reason, micros(now), id); err != nil {
			return err
		}
		if status != makerguard.StatusActive {
			if _, err := t.exec(`UPDATE sessions SET revoked_at = ?, revoke_reason = 'suspension' WHERE manufacturer_id = ? AND revoked_at IS NULL`,
				micros(now), id); err != nil {
				return err
			}
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: id})
	})
}
