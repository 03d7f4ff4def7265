package sqlite

import (
	"context"

	"github.com/makerguard/makerguard"
)

// AddKey implements envelope.Store.
func (s *Store) AddKey(ctx context.Context, k makerguard.WrappedKey) error {
	err := s.write(ctx, "adding a key", func(t tx) error {
		if _, err := t.exec(`INSERT INTO wrapped_keys (manufacturer_id, purpose, version, state, kek_id, wrapped, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			k.ManufacturerID, k.Purpose, k.Version, k.State, k.KEKID, blob(k.Wrapped), micros(k.CreatedAt)); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: k.ManufacturerID})
	})
	return conflictAs(err, "This version of the key exists already.")
}

// Keys implements envelope.Store.
func (s *Store) Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error) {
	var list []makerguard.WrappedKey
	err := s.read.rows(ctx, func(row scanner) error {
		var k makerguard.WrappedKey
		err := row.Scan(&k.ManufacturerID, &k.Purpose, &k.Version, &k.State, &k.KEKID, &k.Wrapped, intoTime{&k.CreatedAt})
		list = append(list, k)
		return err
	}, `SELECT manufacturer_id, purpose, version, state, kek_id, wrapped, created_at FROM wrapped_keys
		WHERE manufacturer_id = ? AND purpose = ? ORDER BY version`, mfr, purpose)
	return list, storeError("reading keys", err)
}
