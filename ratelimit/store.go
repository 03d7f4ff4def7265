package ratelimit

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps the limits that must be exact over all nodes.
type Store interface {
	// TakeRate takes r.Amount units if they can be had at r.Now, else changes nothing. Each
	// call is atomic on its key. A key whose burst is whole again may be forgotten.
	TakeRate(ctx context.Context, r makerguard.RateRequest) (makerguard.RateResult, error)
}
