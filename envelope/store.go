package envelope

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps wrapped keys.
type Store interface {
	// AddKey stores a new version and announces KeysChanged. Conflict if that version of
	// the purpose exists for the manufacturer already, so of two nodes that rotate at
	// once one succeeds.
	AddKey(ctx context.Context, k makerguard.WrappedKey) error
	// Keys lists all versions of a purpose, oldest first; none is not an error.
	Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error)
}
