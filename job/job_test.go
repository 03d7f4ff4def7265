package job_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/job"
	"github.com/makerguard/makerguard/store/sqlite"
)

const kind = makerguard.JobRotateSigning

func newStore(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jobs.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// run starts a node that works on jobs with h until the test or stop ends it.
func run(t *testing.T, s job.Store, node string, h job.Handler) (r *job.Runner, stop func()) {
	t.Helper()
	r, err := job.New(job.Config{
		Store: s, Node: node, Handlers: map[makerguard.JobKind]job.Handler{kind: h},
		Lease: 400 * time.Millisecond, Poll: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = r.Run(ctx) })
	stop = func() { cancel(); work.Wait() }
	t.Cleanup(stop)
	return r, stop
}

func start(t *testing.T, r *job.Runner) makerguard.JobID {
	t.Helper()
	j, err := r.Start(t.Context(), kind, "")
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return j.ID
}

// ended waits for a job's end and gives it.
func ended(t *testing.T, r *job.Runner, id makerguard.JobID) makerguard.Job {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		j, err := r.Job(t.Context(), id)
		if err != nil {
			t.Fatalf("Job: %v", err)
		}
		if j.State != makerguard.JobRunning {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %+v did not end", j)
		}
	}
}

func TestRun_DoesTheWorkAndTellsHowFarItIs(t *testing.T) {
	r, _ := run(t, newStore(t), "node_a", func(_ context.Context, _ makerguard.Job, report job.Report) error {
		return errors.Join(report(1, 3), report(2, 3))
	})
	if j := ended(t, r, start(t, r)); j.State != makerguard.JobDone || j.Done != 3 || j.Total != 3 || j.Error != "" {
		t.Errorf("job %+v, want done, 3 of 3", j)
	}
}

func TestRun_KeepsTheSafeMessageOfAFailure(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&makerguard.Error{Code: makerguard.Conflict, Message: "Somebody else rotates.", Err: errors.New("secret detail")}, "Somebody else rotates."},
		{errors.New("secret detail"), "an internal error; the log of the node that ran the job has the cause"},
	} {
		r, _ := run(t, newStore(t), "node_a", func(context.Context, makerguard.Job, job.Report) error { return test.err })
		if j := ended(t, r, start(t, r)); j.State != makerguard.JobFailed || j.Error != test.want {
			t.Errorf("after %v the job is %+v, want failed with %q", test.err, j, test.want)
		}
	}
}

func TestStart_RefusesASecondOfAKind(t *testing.T) {
	release := make(chan struct{})
	r, _ := run(t, newStore(t), "node_a", func(context.Context, makerguard.Job, job.Report) error { <-release; return nil })
	id := start(t, r)
	if _, err := r.Start(t.Context(), kind, ""); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("Start of a second one = %v, want CONFLICT", err)
	}
	if _, err := r.Start(t.Context(), "no_such_kind", ""); err == nil {
		t.Error("Start of a kind that nobody handles gave no error")
	}
	close(release)
	ended(t, r, id)
	start(t, r)
}

// TestRun_AnotherNodeGoesOn stops a node in the middle of a job, as kill -9 would: it says nothing
// more, and its lease runs out.
func TestRun_AnotherNodeGoesOn(t *testing.T) {
	s := newStore(t)
	began := make(chan struct{})
	a, stop := run(t, s, "node_a", func(ctx context.Context, _ makerguard.Job, report job.Report) error {
		if err := report(1, 2); err != nil {
			return err
		}
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	id := start(t, a)
	<-began
	stop()
	b, _ := run(t, s, "node_b", func(_ context.Context, j makerguard.Job, report job.Report) error {
		if j.Done != 1 || j.Total != 2 {
			t.Errorf("the second node got %+v, want 1 of 2 done", j)
		}
		return report(2, 2)
	})
	if j := ended(t, b, id); j.State != makerguard.JobDone || j.Node != "node_b" {
		t.Errorf("job %+v, want done by node_b", j)
	}
}

// TestRun_NeverTwoAtOnce has four nodes wait for jobs that last longer than a lease.
func TestRun_NeverTwoAtOnce(t *testing.T) {
	s := newStore(t)
	var working, most atomic.Int32
	var last *job.Runner
	for _, node := range []string{"node_a", "node_b", "node_c", "node_d"} {
		last, _ = run(t, s, node, func(ctx context.Context, _ makerguard.Job, _ job.Report) error {
			if n := working.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer working.Add(-1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		})
	}
	if j := ended(t, last, start(t, last)); j.State != makerguard.JobDone {
		t.Errorf("job %+v, want done", j)
	}
	if most.Load() != 1 {
		t.Errorf("%d nodes worked at once, want 1", most.Load())
	}
}

// TestRun_LosesAJobThatIsAnothersNow takes the job away from a node that went on thinking.
func TestRun_LosesAJobThatIsAnothersNow(t *testing.T) {
	s := newStore(t)
	result := make(chan error, 1)
	r, _ := run(t, s, "node_a", func(ctx context.Context, j makerguard.Job, report job.Report) error {
		j.Node = "node_a"
		taken, err := s.ClaimJob(ctx, "node_b", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
		if err != nil || taken.ID != j.ID {
			result <- errors.Join(errors.New("the job could not be taken over"), err)
			return nil
		}
		<-ctx.Done()
		result <- report(1, 1)
		return nil
	})
	start(t, r)
	if err := <-result; err == nil {
		t.Error("a node saved a job that another holds")
	}
}

// TestRun_TriesAgainAfterAnOutage has the store, as the handler sees it, away for a moment.
func TestRun_TriesAgainAfterAnOutage(t *testing.T) {
	var tries atomic.Int32
	r, _ := run(t, newStore(t), "node_a", func(_ context.Context, _ makerguard.Job, report job.Report) error {
		if tries.Add(1) < 3 {
			return makerguard.StoreUnavailable
		}
		return report(1, 1)
	})
	if j := ended(t, r, start(t, r)); j.State != makerguard.JobDone || tries.Load() != 3 {
		t.Errorf("job %+v after %d tries, want done after 3", j, tries.Load())
	}
}
