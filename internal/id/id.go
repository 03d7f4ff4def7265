// Package id makes the identifiers of everything makerguard stores.
package id

import (
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// New returns prefix, "_" and the 32 hexadecimal digits of a UUIDv7 (RFC 9562), so
// that ids sort by time of creation. It panics only if the system has no
// randomness left, when nothing safe could be done.
func New(prefix string) string {
	u, err := uuid.NewV7()
	if err != nil {
		panic(fmt.Sprintf("making an id: %v", err))
	}
	b := make([]byte, 0, 48)
	b = append(append(b, prefix...), '_')
	return string(hex.AppendEncode(b, u[:]))
}
