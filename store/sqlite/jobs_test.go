package sqlite_test

import (
	"errors"
	"testing"

	"github.com/makerguard/makerguard"
)

// A node that was slow cannot bring a job back to life that has ended.
func TestSaveJob_AJobThatEndedIsHeldByNobody(t *testing.T) {
	s := openAt(t, tempPath(t))
	j := makerguard.Job{ID: "job_1", Kind: makerguard.JobRotateSigning, State: makerguard.JobRunning, Node: "a", CreatedAt: now, UpdatedAt: now}
	if err := s.CreateJob(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	late := j
	j.State = makerguard.JobFailed
	if err := s.SaveJob(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveJob(t.Context(), late); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("SaveJob = %v, want %s", err, makerguard.Conflict)
	}
	if got, err := s.Job(t.Context(), j.ID); err != nil || got.State != makerguard.JobFailed {
		t.Errorf("Job = %+v, %v, want that it failed", got, err)
	}
}
