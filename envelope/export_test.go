package envelope

import (
	"testing"

	"github.com/makerguard/makerguard"
)

// WrapNewKey makes the wrapped bytes of a row that a rotation of system keys would add.
func WrapNewKey(t testing.TB, kek KEK, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32) []byte {
	t.Helper()
	base, err := newBaseKey()
	if err != nil {
		t.Fatalf("newBaseKey() = %v", err)
	}
	wrapped, err := wrap(t.Context(), kek, base, mfr, purpose, version)
	if err != nil {
		t.Fatalf("wrap() = %v", err)
	}
	return wrapped
}
