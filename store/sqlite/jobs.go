package sqlite

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

const jobColumns = `id, kind, manufacturer_id, state, done, total, error, node, lease_until, created_at, updated_at`

// jobInto lists where jobColumns go.
func jobInto(j *makerguard.Job) []any {
	return []any{
		&j.ID, &j.Kind, &j.ManufacturerID, &j.State, &j.Done, &j.Total, &j.Error, &j.Node,
		intoTime{&j.LeaseUntil},
		intoTime{&j.CreatedAt},
		intoTime{&j.UpdatedAt},
	}
}

// CreateJob implements job.Store.
func (s *Store) CreateJob(ctx context.Context, j makerguard.Job) error {
	err := s.write(ctx, "creating a job", func(t tx) error {
		_, err := t.exec(`INSERT INTO jobs (`+jobColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			j.ID, j.Kind, j.ManufacturerID, j.State, j.Done, j.Total, j.Error, j.Node, micros(j.LeaseUntil), micros(j.CreatedAt), micros(j.UpdatedAt))
		return err
	})
	return conflictAs(err, "Such a job is under way already: wait for it.")
}

// Job implements job.Store.
func (s *Store) Job(ctx context.Context, id makerguard.JobID) (makerguard.Job, error) {
	var j makerguard.Job
	if err := s.read.row(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = ?`, id).Scan(jobInto(&j)...); err != nil {
		return makerguard.Job{}, storeError("reading a job", found(err, "There is no such job."))
	}
	return j, nil
}

// ClaimJob implements job.Store.
func (s *Store) ClaimJob(ctx context.Context, node string, now, until time.Time) (makerguard.Job, error) {
	var j makerguard.Job
	err := s.write(ctx, "claiming a job", func(t tx) error {
		return found(t.row(`UPDATE jobs SET node = ?, lease_until = ? WHERE id = (
				SELECT id FROM jobs WHERE state = 'running' AND lease_until < ? ORDER BY created_at, id LIMIT 1)
			RETURNING `+jobColumns, node, micros(until), micros(now)).Scan(jobInto(&j)...), "No job waits for somebody.")
	})
	if err != nil {
		return makerguard.Job{}, err
	}
	return j, nil
}

// SaveJob implements job.Store. A job that has ended is held by nobody.
func (s *Store) SaveJob(ctx context.Context, j makerguard.Job) error {
	return s.write(ctx, "saving a job", func(t tx) error {
		return t.must(conflict("The job has ended or somebody else works on it."), `UPDATE jobs SET state = ?, done = ?, total = ?, error = ?, lease_until = ?, updated_at = ?
			WHERE id = ? AND node = ? AND state = 'running'`,
			j.State, j.Done, j.Total, j.Error, micros(j.LeaseUntil), micros(j.UpdatedAt), j.ID, j.Node)
	})
}
