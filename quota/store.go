package quota

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps the counters. Each method is atomic on one counter.
type Store interface {
	// Lease first moves r.Spent units of the node's block to spent and gives r.Return
	// units back, then, if at least r.Need units are left under r.Limit, grants as
	// many of r.Want as are left. Blocks of nodes that said nothing for longer than
	// their TTL count as spent. Spent + held never exceeds the limit.
	Lease(ctx context.Context, r makerguard.LeaseRequest) (makerguard.LeaseResult, error)
	// Spend spends r.Amount units if so many are left under r.Limit. With an
	// idempotency key, the key and the count are written in one step: a key that was
	// used with the same fingerprint gives the first result again, one used with
	// another returns IdempotencyMismatch. A refusal is not remembered.
	Spend(ctx context.Context, r makerguard.SpendRequest) (makerguard.SpendResult, error)
	// Counts gives how the counters named stand at now; absent ones are zero.
	Counts(ctx context.Context, keys []makerguard.CounterKey, now time.Time) ([]makerguard.Count, error)
}
