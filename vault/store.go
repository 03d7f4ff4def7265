package vault

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps sealed records.
type Store interface {
	// PutRecord stores r, replacing one of the same name but for its CreatedAt. It
	// returns the record as stored and whether it is new.
	PutRecord(ctx context.Context, r makerguard.VaultRecord) (stored makerguard.VaultRecord, created bool, err error)
	// Record returns NotFound if the manufacturer has none of this name.
	Record(ctx context.Context, mfr makerguard.ManufacturerID, name string) (makerguard.VaultRecord, error)
	// DeleteRecord returns NotFound if the manufacturer has none of this name.
	DeleteRecord(ctx context.Context, mfr makerguard.ManufacturerID, name string) error
	// Records lists at most limit records with names after the given one, in order of
	// name, without their sealed bytes.
	Records(ctx context.Context, mfr makerguard.ManufacturerID, after string, limit int) ([]makerguard.VaultRecord, error)
}
