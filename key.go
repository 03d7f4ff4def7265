package makerguard

import "time"

// KeyPurpose says what a wrapped key may be used for.
type KeyPurpose string

// The purposes of keys. All but KeyData belong to the installation and are stored
// under an empty ManufacturerID.
const (
	KeyData    KeyPurpose = "data"    // a manufacturer's data encryption key
	KeySigning KeyPurpose = "signing" // signs access tokens (Ed25519)
	KeyRefresh KeyPurpose = "refresh" // derives refresh tokens (HMAC-SHA-256)
	KeyPepper  KeyPurpose = "pepper"  // keyed last step of password hashing
	KeyDevice  KeyPurpose = "device"  // signs known-device tokens
	KeyAudit   KeyPurpose = "audit"   // keys the audit chain
)

// KeyState is where a key is in its life (NIST SP 800-57). The zero value is unusable.
type KeyState string

// The states of a key version.
const (
	KeyPublished KeyState = "published" // verifies already, protects nothing yet, so that everybody knows it in time
	KeyActive    KeyState = "active"    // the newest active version protects new data
	KeyRetiring  KeyState = "retiring"  // still opens or verifies, protects nothing new
	KeyDestroyed KeyState = "destroyed" // the wrapped bytes are gone; the row says that it was
)

// WrappedKey is one version of a key, encrypted under the root key. Purpose,
// ManufacturerID and Version are its identity and are bound into the wrapping.
type WrappedKey struct {
	ManufacturerID ManufacturerID // "" for keys of the installation
	Purpose        KeyPurpose
	Version        uint32 // counts up from 1
	State          KeyState
	KEKID          string // which root key wraps it
	Wrapped        []byte
	CreatedAt      time.Time
	StateAt        time.Time // when State was reached
}

// VaultRecord is a sealed business record.
type VaultRecord struct {
	ManufacturerID ManufacturerID
	Name           string
	Sealed         []byte
	KeyVersion     uint32
	CreatedAt      time.Time
	UpdatedAt      time.Time
	UpdatedBy      MemberID
}
