//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlite

import (
	"errors"

	"github.com/makerguard/makerguard"
)

// Lock cannot keep a second server away on this system and says so.
func Lock(string) (release func() error, err error) {
	return nil, &makerguard.Error{
		Code:    makerguard.Internal,
		Message: "On this system a data directory cannot be locked: keep the data in MongoDB.",
		Err:     errors.ErrUnsupported,
	}
}
