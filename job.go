package makerguard

import "time"

// JobKind says what a job does.
type JobKind string

// The kinds of jobs.
const (
	JobRotateSigning JobKind = "rotate_signing" // a new signing key: published, active, the old one retiring
)

// JobState is where a job is in its life. The zero value is unusable.
type JobState string

// The states of a job.
const (
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobFailed  JobState = "failed"
)

// Job is work that outlives a request, and the process it was started in: any node
// goes on with it when the one that held it says nothing more.
type Job struct {
	ID             JobID
	Kind           JobKind
	ManufacturerID ManufacturerID // what it works on; "" is the installation
	State          JobState
	Done, Total    int64  // steps; Total may grow while it runs
	Error          string // why it failed, safe to show
	Node           string // who works on it
	LeaseUntil     time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}
