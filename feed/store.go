package feed

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps the changes that every node must see.
type Store interface {
	// Changes returns what was announced after the cursor, and the cursor to go on
	// from. The empty cursor gives no changes and the feed's present end. A change may come
	// more than once; none that was acknowledged is left out.
	Changes(ctx context.Context, after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor, error)
}
