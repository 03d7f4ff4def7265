package sqlite

import (
	"context"

	"github.com/makerguard/makerguard"
)

const noRecord = "The vault has no record of this name."

// PutRecord implements vault.Store.
func (s *Store) PutRecord(ctx context.Context, r makerguard.VaultRecord) (stored makerguard.VaultRecord, created bool, err error) {
	err = s.write(ctx, "storing a record", func(t tx) error {
		n, err := t.exec(`UPDATE vault_records SET sealed = ?, key_version = ?, updated_at = ?, updated_by = ? WHERE manufacturer_id = ? AND name = ?`,
			blob(r.Sealed), r.KeyVersion, micros(r.UpdatedAt), r.UpdatedBy, r.ManufacturerID, r.Name)
		if err != nil {
			return err
		}
		if created = n == 0; created {
			if _, err := t.exec(`INSERT INTO vault_records (manufacturer_id, name, sealed, key_version, created_at, updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				r.ManufacturerID, r.Name, blob(r.Sealed), r.KeyVersion, micros(r.CreatedAt), micros(r.UpdatedAt), r.UpdatedBy); err != nil {
				return err
			}
		}
		return t.row(recordQuery, r.ManufacturerID, r.Name).Scan(append(recordInto(&stored), &stored.Sealed)...)
	})
	if err != nil {
		return makerguard.VaultRecord{}, false, err
	}
	return stored, created, nil
}

const (
	recordColumns = `manufacturer_id, name, key_version, created_at, updated_at, updated_by`
	recordQuery   = `SELECT ` + recordColumns + `, sealed FROM vault_records WHERE manufacturer_id = ? AND name = ?`
)

func recordInto(r *makerguard.VaultRecord) []any {
	return []any{&r.ManufacturerID, &r.Name, &r.KeyVersion, intoTime{&r.CreatedAt}, intoTime{&r.UpdatedAt}, &r.UpdatedBy}
}

// Record implements vault.Store.
func (s *Store) Record(ctx context.Context, mfr makerguard.ManufacturerID, name string) (makerguard.VaultRecord, error) {
	var r makerguard.VaultRecord
	if err := s.read.row(ctx, recordQuery, mfr, name).Scan(append(recordInto(&r), &r.Sealed)...); err != nil {
		return makerguard.VaultRecord{}, storeError("reading a record", found(err, noRecord))
	}
	return r, nil
}

// DeleteRecord implements vault.Store.
func (s *Store) DeleteRecord(ctx context.Context, mfr makerguard.ManufacturerID, name string) error {
	return s.write(ctx, "deleting a record", func(t tx) error {
		return t.must(missing(noRecord), `DELETE FROM vault_records WHERE manufacturer_id = ? AND name = ?`, mfr, name)
	})
}

// Records implements vault.Store.
func (s *Store) Records(ctx context.Context, mfr makerguard.ManufacturerID, after string, limit int) ([]makerguard.VaultRecord, error) {
	all, err := list(ctx, s.read, recordInto, `SELECT `+recordColumns+` FROM vault_records WHERE manufacturer_id = ? AND name > ? ORDER BY name LIMIT ?`, mfr, after, max(limit, 0))
	return all, storeError("listing records", err)
}
