package abuse

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps points and blocks. Methods are atomic, return the codes named and
// StoreUnavailable when the store cannot be reached, and record a makerguard.Change
// where they say "announces".
type Store interface {
	// AddPoints adds points to a score that halves every halfLife and returns the score after
	// it. Adding 0 reads it.
	AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error)

	// PutBlock stores b unless one of the same kind and subject is in force at b.CreatedAt;
	// that one is then prolonged to b.ExpiresAt, if it would end before, and
	// keeps its id. It returns the block as it stands and announces BlocksChanged.
	PutBlock(ctx context.Context, b makerguard.Block) (makerguard.Block, error)
	// Blocks lists the blocks in force at now, newest first, at most limit.
	Blocks(ctx context.Context, now time.Time, limit int) ([]makerguard.Block, error)
	// LiftBlock ends a block and announces BlocksChanged. NotFound if there is no such
	// block in force at now.
	LiftBlock(ctx context.Context, id string, by makerguard.MemberID, reason string, now time.Time) error
}
