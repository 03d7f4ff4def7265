package sqlite

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// AddKey implements envelope.Store.
func (s *Store) AddKey(ctx context.Context, k makerguard.WrappedKey) error {
	err := s.write(ctx, "adding a key", func(t tx) error {
		if _, err := t.exec(`INSERT INTO wrapped_keys (manufacturer_id, purpose, version, state, kek_id, wrapped, created_at, state_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ManufacturerID, k.Purpose, k.Version, k.State, k.KEKID, blob(k.Wrapped), micros(k.CreatedAt), micros(k.StateAt)); err != nil {
			return err
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: k.ManufacturerID})
	})
	return conflictAs(err, "This version of the key exists already.")
}

// SetKeyState implements envelope.Store. A version that is destroyed loses its wrapped
// bytes in the same step.
func (s *Store) SetKeyState(ctx context.Context, k makerguard.WrappedKey, from makerguard.KeyState, now time.Time) error {
	return s.write(ctx, "changing a key's state", func(t tx) error {
		n, err := t.exec(`UPDATE wrapped_keys SET state = ?1, state_at = ?2, wrapped = CASE WHEN ?1 = ?3 THEN x'' ELSE wrapped END
			WHERE manufacturer_id = ?4 AND purpose = ?5 AND version = ?6 AND state = ?7`,
			k.State, micros(now), makerguard.KeyDestroyed, k.ManufacturerID, k.Purpose, k.Version, from)
		if err != nil {
			return err
		}
		if n == 0 {
			var there uint32
			err := t.row(`SELECT version FROM wrapped_keys WHERE manufacturer_id = ? AND purpose = ? AND version = ?`, k.ManufacturerID, k.Purpose, k.Version).Scan(&there)
			if err != nil {
				return found(err, "There is no such version of the key.")
			}
			return conflict("The key's state was changed meanwhile.")
		}
		return s.announce(t, makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: k.ManufacturerID})
	})
}

// Keys implements envelope.Store.
func (s *Store) Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error) {
	all, err := list(ctx, s.read, func(k *makerguard.WrappedKey) []any {
		return []any{&k.ManufacturerID, &k.Purpose, &k.Version, &k.State, &k.KEKID, &k.Wrapped, intoTime{&k.CreatedAt}, intoTime{&k.StateAt}}
	}, `SELECT manufacturer_id, purpose, version, state, kek_id, wrapped, created_at, state_at FROM wrapped_keys
		WHERE manufacturer_id = ? AND purpose = ? ORDER BY version`, mfr, purpose)
	return all, storeError("reading keys", err)
}
