package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// keepJobs is how long a job is kept after it finished, for who asks what became of it.
const keepJobs = 30 * 24 * time.Hour

// jobDoc is one job.
type jobDoc struct {
	ID             makerguard.JobID          `bson:"_id"`
	Kind           makerguard.JobKind        `bson:"kind"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"` // "" is the installation
	State          makerguard.JobState       `bson:"state"`
	Done           int64                     `bson:"done"`
	Total          int64                     `bson:"total"`
	Error          string                    `bson:"error"`
	Node           string                    `bson:"node"`
	LeaseUntil     time.Time                 `bson:"lease_until"`
	CreatedAt      time.Time                 `bson:"created_at"`
	UpdatedAt      time.Time                 `bson:"updated_at"`
}

func fromJobDoc(d *jobDoc) makerguard.Job { return makerguard.Job(*d) }

// CreateJob implements job.Store. That one of a kind runs at a time is what a partial
// unique index is for.
func (s *Store) CreateJob(ctx context.Context, j makerguard.Job) error {
	return storeError("creating a job", s.turns.do(ctx, string(j.Kind)+"/"+string(j.ManufacturerID), func() error {
		return untilDone(ctx, "creating a job", func() (bool, error) {
			_, err := s.collection(jobs).InsertOne(ctx, jobDoc(j))
			if duplicate(err) {
				err = conflict("Such a job is under way already: wait for it.")
			}
			return err == nil, err
		})
	}))
}

// Job implements job.Store.
func (s *Store) Job(ctx context.Context, id makerguard.JobID) (makerguard.Job, error) {
	var d jobDoc
	if err := s.collection(jobs).FindOne(ctx, bson.M{"_id": id}).Decode(&d); err != nil {
		return makerguard.Job{}, storeError("reading a job", found(err, "There is no such job."))
	}
	return fromJobDoc(&d), nil
}

// ClaimJob implements job.Store.
func (s *Store) ClaimJob(ctx context.Context, node string, now, until time.Time) (makerguard.Job, error) {
	var d jobDoc
	err := s.collection(jobs).FindOneAndUpdate(ctx,
		bson.M{"state": makerguard.JobRunning, "lease_until": bson.M{"$lt": now}},
		bson.M{"$set": bson.M{"node": node, "lease_until": until}},
		options.FindOneAndUpdate().SetSort(by("created_at", "_id")).SetReturnDocument(options.After)).Decode(&d)
	if err != nil {
		return makerguard.Job{}, storeError("claiming a job", found(err, "No job waits for somebody."))
	}
	return fromJobDoc(&d), nil
}

// SaveJob implements job.Store. A job that has ended is held by nobody.
func (s *Store) SaveJob(ctx context.Context, j makerguard.Job) error {
	set := bson.M{
		"state": j.State, "done": j.Done, "total": j.Total, "error": valid(j.Error), "lease_until": j.LeaseUntil, "updated_at": j.UpdatedAt,
	}
	if j.State != makerguard.JobRunning {
		set["remove_at"] = j.UpdatedAt.Add(keepJobs)
	}
	res, err := s.collection(jobs).UpdateOne(ctx, bson.M{"_id": j.ID, "node": j.Node, "state": makerguard.JobRunning}, bson.M{"$set": set})
	if err == nil && res.MatchedCount == 0 {
		return conflict("The job has ended or somebody else works on it.")
	}
	return storeError("saving a job", err)
}
