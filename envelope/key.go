package envelope

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"

	"github.com/makerguard/makerguard"
)

// The inputs that a key's pseudo-random function turns into the keys in use. They are
// part of the format: changing one makes what was sealed unreadable.
const (
	labelEncryption = "makerguard/envelope/v1/encryption"
	labelCommitment = "makerguard/envelope/v1/commitment"
	labelSystem     = "makerguard/envelope/v1/system/" // and the purpose
)

// baseKey is one version of a key as it is stored: a Tink keyset with one HKDF-SHA-256
// pseudo-random function of 256 bits. It never protects data itself; what does
// is derived from it under a label.
type baseKey struct{ handle *keyset.Handle }

func newBaseKey() (baseKey, error) {
	handle, err := keyset.NewHandle(prf.HKDFSHA256PRFKeyTemplate())
	if err != nil {
		return baseKey{}, fmt.Errorf("making a key: %w", err)
	}
	return baseKey{handle}, nil
}

// derive returns 32 bytes that are as good as random to whoever lacks the key.
func (k baseKey) derive(label string) ([]byte, error) {
	set, err := prf.NewPRFSet(k.handle)
	if err != nil {
		return nil, fmt.Errorf("using a key: %w", err)
	}
	out, err := set.ComputePrimaryPRF([]byte(label), 32)
	if err != nil {
		return nil, fmt.Errorf("deriving from a key: %w", err)
	}
	return out, nil
}

// wrap encrypts k under the root key, bound to its identity.
func wrap(ctx context.Context, kek KEK, k baseKey, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32) ([]byte, error) {
	var out bytes.Buffer
	err := k.handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&out), &kekAEAD{kek: kek}, wrapContext(mfr, purpose, version))
	if err != nil {
		return nil, &makerguard.Error{
			Code:    makerguard.KeyUnavailable,
			Message: "the root key cannot encrypt a new key: check that its source can be reached, then try again",
			Err:     err,
		}
	}
	return out.Bytes(), nil
}

// unwrap reverses wrap with what the row says about itself. It returns KeyUnavailable, with a
// message that tells a root key out of reach, a wrong one and a damaged row apart.
func unwrap(ctx context.Context, kek KEK, row makerguard.WrappedKey) (baseKey, error) {
	adapter := &kekAEAD{kek: kek}
	ad := wrapContext(row.ManufacturerID, row.Purpose, row.Version)
	handle, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(row.Wrapped)), adapter, ad)
	if err == nil {
		return baseKey{handle}, nil
	}
	unavailable := &makerguard.Error{Code: makerguard.KeyUnavailable}
	switch {
	case makerguard.CodeOf(adapter.err) == makerguard.KeyUnavailable || ctx.Err() != nil:
		unavailable.Message = "the root key cannot be reached: check its source, then try again"
	case row.KEKID != kek.ID():
		unavailable.Message = "the root key differs from the one the data was made with: use that one again"
	default:
		unavailable.Message = "a stored key is damaged: restore the store from a backup"
	}
	unavailable.Err = fmt.Errorf("unwrapping %s key %d of %q, wrapped by %s, with %s: %w",
		row.Purpose, row.Version, row.ManufacturerID, row.KEKID, kek.ID(), err)
	return baseKey{}, unavailable
}

// wrapContext is the associated data of a wrapped key: a row moved to another
// manufacturer, purpose or version does not unwrap.
func wrapContext(mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32) []byte {
	ad := appendString(nil, "makerguard/envelope/v1/wrapped-key")
	ad = appendString(ad, string(mfr))
	ad = appendString(ad, string(purpose))
	return binary.BigEndian.AppendUint32(ad, version)
}

// appendString appends s behind its length in 8 bytes, so no two lists of strings give
// the same bytes.
func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// kekAEAD is a KEK as Tink wants it. It keeps the KEK's error, whose type Tink drops.
type kekAEAD struct {
	kek KEK
	err error
}

func (a *kekAEAD) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	out, err := a.kek.Wrap(ctx, plaintext, associatedData)
	a.err = err
	return out, err
}

func (a *kekAEAD) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	out, err := a.kek.Unwrap(ctx, ciphertext, associatedData)
	a.err = err
	return out, err
}

// SystemKey is one version of a key of the installation. It prints without Material.
type SystemKey struct {
	Version   uint32
	State     makerguard.KeyState // published, active or retiring
	CreatedAt time.Time
	StateAt   time.Time // when State was reached
	Material  []byte    // 32 bytes: a seed for Ed25519, a key for HMAC
}

// Format prints version and state, whatever the verb.
func (k SystemKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.describe()) }

// LogValue implements slog.LogValuer.
func (k SystemKey) LogValue() slog.Value { return slog.StringValue(k.describe()) }

// MarshalText implements encoding.TextMarshaler, and so JSON's and YAML's encoding.
func (k SystemKey) MarshalText() ([]byte, error) { return []byte(k.describe()), nil }

func (k SystemKey) describe() string {
	return fmt.Sprintf("key version %d, %s, [redacted]", k.Version, string(k.State))
}
