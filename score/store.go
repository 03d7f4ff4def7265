package score

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps what scores are computed from and what they were. Methods are atomic and
// return StoreUnavailable when the store cannot be reached.
type Store interface {
	// AddPoints adds points to a count that halves every halfLife and returns the count after
	// it. Adding 0 reads it.
	AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error)

	// PutScore stores a day's score, replacing one stored before.
	PutScore(ctx context.Context, p makerguard.ScorePoint) error
	// Scores lists a manufacturer's scores from since on, oldest first.
	Scores(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) ([]makerguard.ScorePoint, error)
}
