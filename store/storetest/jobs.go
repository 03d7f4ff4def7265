package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// job is a new job that is not stored yet, with everything set, held by node_1 for a minute.
func (e *env) job(mfr makerguard.ManufacturerID) makerguard.Job {
	return makerguard.Job{
		ID: makerguard.JobID(id.New("job")), Kind: makerguard.JobRotateSigning, ManufacturerID: mfr, State: makerguard.JobRunning,
		Done: 2, Total: 5, Error: "none yet", Node: "node_1", LeaseUntil: e.now.Add(time.Minute), CreatedAt: e.now, UpdatedAt: e.now.Add(tick),
	}
}

func (e *env) loadJob(id makerguard.JobID) makerguard.Job {
	e.Helper()
	j, err := e.s.Job(e.ctx(), id)
	e.ok("Job", err)
	return j
}

func testCreateJob(e *env) {
	a := tenant()
	j := e.job(a)
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), j))
	e.same("Job", e.loadJob(j.ID), j)

	second := e.job(a)
	e.fails("CreateJob while one is running", e.s.CreateJob(e.ctx(), second), makerguard.Conflict)
	_, err := e.s.Job(e.ctx(), second.ID)
	e.fails("the job refused", err, makerguard.NotFound)
	e.ok("CreateJob of another manufacturer", e.s.CreateJob(e.ctx(), e.job(tenant())))
	other := e.job(a)
	other.Kind = "another kind"
	e.ok("CreateJob of another kind", e.s.CreateJob(e.ctx(), other))

	for _, state := range []makerguard.JobState{makerguard.JobDone, makerguard.JobFailed} {
		j.State = state
		e.ok("SaveJob", e.s.SaveJob(e.ctx(), j))
		j = e.job(a)
		e.ok("CreateJob once the other is "+string(state), e.s.CreateJob(e.ctx(), j))
	}
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		a := tenant()
		e.exactly(1, race(crowd, func(int) error { return e.s.CreateJob(e.ctx(), e.job(a)) }), makerguard.Conflict)
	})
}

func testJob(e *env) {
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), e.job(tenant())))
	for _, id := range []makerguard.JobID{"job_none", ""} {
		_, err := e.s.Job(e.ctx(), id)
		e.fails("Job("+string(id)+")", err, makerguard.NotFound)
	}
	sparse := makerguard.Job{ID: makerguard.JobID(id.New("job")), ManufacturerID: tenant(), State: makerguard.JobRunning}
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), sparse))
	e.same("Job", e.loadJob(sparse.ID), sparse)
}

func testClaimJob(e *env) {
	until := e.now.Add(time.Hour)
	_, err := e.s.ClaimJob(e.ctx(), "node_2", e.now, until)
	e.fails("ClaimJob when there is none", err, makerguard.NotFound)

	waiting := func(age time.Duration, change func(*makerguard.Job)) makerguard.Job {
		e.Helper()
		j := e.job(tenant())
		j.CreatedAt, j.LeaseUntil = e.now.Add(-age), e.now.Add(-tick)
		change(&j)
		e.ok("CreateJob", e.s.CreateJob(e.ctx(), j))
		return j
	}
	held := waiting(9*tick, func(j *makerguard.Job) { j.LeaseUntil = e.now.Add(tick) })
	waiting(8*tick, func(j *makerguard.Job) { j.State = makerguard.JobDone })
	waiting(7*tick, func(j *makerguard.Job) { j.State = makerguard.JobFailed })
	third := waiting(tick, func(*makerguard.Job) {})
	first := waiting(3*tick, func(*makerguard.Job) {})
	second := waiting(2*tick, func(j *makerguard.Job) { j.LeaseUntil, j.Node = time.Time{}, "" })
	for _, want := range []makerguard.Job{first, second, third} {
		want.Node, want.LeaseUntil = "node_2", until
		got, err := e.s.ClaimJob(e.ctx(), "node_2", e.now, until)
		e.ok("ClaimJob", err)
		stored := e.loadJob(got.ID)
		got.UpdatedAt, stored.UpdatedAt = want.UpdatedAt, want.UpdatedAt // a claim may count as an update
		e.same("ClaimJob", got, want)
		e.same("Job", stored, want)
	}
	_, err = e.s.ClaimJob(e.ctx(), "node_3", e.now, until)
	e.fails("ClaimJob when all are held", err, makerguard.NotFound)
	e.same("the job held by another", e.loadJob(held.ID), held)

	e.run("WhoLostItCannotSave", func(e *env) {
		e.fails("SaveJob", e.s.SaveJob(e.ctx(), first), makerguard.Conflict)
		first.Node, first.State = "node_2", makerguard.JobDone
		e.ok("SaveJob of who holds it", e.s.SaveJob(e.ctx(), first))
		_, err := e.s.ClaimJob(e.ctx(), "node_3", until.Add(-tick), until)
		e.ok("ClaimJob of the one held for a moment", err)
		_, err = e.s.ClaimJob(e.ctx(), "node_3", until.Add(-tick), until)
		e.fails("ClaimJob of one that is done", err, makerguard.NotFound)
	})
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		const jobs = 8
		now := until.Add(time.Hour) // every lease has ended
		for range jobs - 3 {        // three are left from before
			waiting(0, func(*makerguard.Job) {})
		}
		claimed := make([]makerguard.JobID, crowd)
		e.exactly(jobs, race(crowd, func(i int) error {
			j, err := e.s.ClaimJob(e.ctx(), id.New("node"), now, now.Add(time.Hour))
			claimed[i] = j.ID
			return err
		}), makerguard.NotFound)
		slices.Sort(claimed)
		if n := len(slices.Compact(claimed)); n != jobs+1 { // and the empty id of who got none
			e.Errorf("%d different jobs were given out, want %d", n-1, jobs)
		}
	})
}

func testSaveJob(e *env) {
	j, other := e.job(tenant()), e.job(tenant())
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), j))
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), other))
	j.Done, j.Total, j.Error, j.LeaseUntil, j.UpdatedAt = 3, 9, strings.Repeat("why ", 100), e.now.Add(time.Hour), e.now.Add(time.Minute)
	e.ok("SaveJob", e.s.SaveJob(e.ctx(), j))
	e.same("Job", e.loadJob(j.ID), j)

	foreign := j
	foreign.Node, foreign.Done = "node_2", 4
	e.fails("SaveJob of who does not hold it", e.s.SaveJob(e.ctx(), foreign), makerguard.Conflict)
	e.same("Job", e.loadJob(j.ID), j)

	j.State, j.Error = makerguard.JobFailed, "The disk is full."
	e.ok("SaveJob", e.s.SaveJob(e.ctx(), j))
	e.same("Job", e.loadJob(j.ID), j)
	e.same("another job", e.loadJob(other.ID), other)
}
