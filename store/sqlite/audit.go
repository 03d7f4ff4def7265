package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/makerguard/makerguard"
)

// maxAuditEntries is the most that AuditEntries lists at once.
const maxAuditEntries = 1000

const auditColumns = `manufacturer_id, seq, id, at, action, outcome, actor_kind, actor_id, target, ip, request_id, detail, hash`

// auditInto lists where auditColumns go.
func auditInto(e *makerguard.AuditEntry) []any {
	return []any{
		&e.ManufacturerID, &e.Seq, &e.ID,
		intoTime{&e.At},
		&e.Action, &e.Outcome, &e.ActorKind, &e.ActorID, &e.Target, &e.IP, &e.RequestID, &e.Detail, &e.Hash,
	}
}

// AuditHead implements audit.Store.
func (s *Store) AuditHead(ctx context.Context, mfr makerguard.ManufacturerID) (seq int64, hash []byte, err error) {
	err = s.read.row(ctx, `SELECT seq, hash FROM audit_heads WHERE manufacturer_id = ?`, mfr).Scan(&seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, storeError("reading the head of an audit chain", err)
	}
	return seq, hash, nil
}

// AppendAudit implements audit.Store.
func (s *Store) AppendAudit(ctx context.Context, e makerguard.AuditEntry) error {
	return s.write(ctx, "appending to an audit chain", func(t tx) error {
		// The first entry makes the head, every other finds its predecessor there.
		move := `UPDATE audit_heads SET seq = ?2, hash = ?3 WHERE manufacturer_id = ?1 AND seq = ?2 - 1`
		if e.Seq == 1 {
			move = `INSERT INTO audit_heads (manufacturer_id, seq, hash) VALUES (?1, ?2, ?3) ON CONFLICT (manufacturer_id) DO NOTHING`
		}
		if err := t.must(conflict("Another entry was written first: try again."), move, e.ManufacturerID, e.Seq, blob(e.Hash)); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO audit_entries (`+auditColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.ManufacturerID, e.Seq, e.ID, micros(e.At), e.Action, e.Outcome, e.ActorKind, e.ActorID, e.Target, e.IP, e.RequestID, e.Detail, blob(e.Hash))
		return err
	})
}

// AuditEntries implements audit.Store.
func (s *Store) AuditEntries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	before := f.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	all, err := list(ctx, s.read, auditInto, `SELECT `+auditColumns+`
		FROM audit_entries WHERE manufacturer_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`,
		f.ManufacturerID, before, min(max(f.Limit, 0), maxAuditEntries))
	return all, storeError("listing an audit chain", err)
}
