package envelope

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps wrapped keys.
type Store interface {
	// AddKey stores a new version and announces KeysChanged. Conflict if that version of
	// the purpose exists for the manufacturer already, so of two nodes that rotate at
	// once one succeeds.
	AddKey(ctx context.Context, k makerguard.WrappedKey) error
	// SetKeyState moves a version from one state to another and announces KeysChanged.
	// The wrapped bytes of one that is destroyed are removed. Only k.ManufacturerID, Purpose,
	// Version and State (the new one) are looked at. Conflict if it is not in the state from,
	// NotFound if there is no such version.
	SetKeyState(ctx context.Context, k makerguard.WrappedKey, from makerguard.KeyState, now time.Time) error
	// Keys lists all versions of a purpose, oldest first; none is not an error.
	Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error)
}
