package job

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps jobs.
type Store interface {
	// CreateJob stores a job. Conflict if one of the same kind and manufacturer is
	// running already.
	CreateJob(ctx context.Context, j makerguard.Job) error
	// Job returns NotFound if there is none.
	Job(ctx context.Context, id makerguard.JobID) (makerguard.Job, error)
	// ClaimJob gives node a running job whose lease ended before now, the oldest first,
	// leased until the time given. NotFound if there is none; of two nodes that ask for the
	// same job one gets it.
	ClaimJob(ctx context.Context, node string, now, until time.Time) (makerguard.Job, error)
	// SaveJob stores the progress, state and lease of a job. Conflict if j.Node does not hold it
	// any more.
	SaveJob(ctx context.Context, j makerguard.Job) error
}
