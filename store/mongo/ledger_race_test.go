package mongo_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

// goal: V15.4.2
func TestTakeRate_TwoStoresGiveExactlyTheBurst(t *testing.T) {
	nodes := twoNodes(t)
	for _, round := range []struct {
		after time.Duration
		want  int64
	}{{0, 50}, {3 * time.Second, 3}, {time.Hour, 50}} {
		var allowed atomic.Int64
		onBoth(t, nodes, func(s *mongo.Store, _, _ int) error {
			res, err := s.TakeRate(t.Context(), makerguard.RateRequest{Key: "k", Interval: time.Second, Burst: 50, Amount: 1, Now: ledgerNow.Add(round.after)})
			if res.Allowed {
				allowed.Add(1)
			}
			if err == nil && !res.Allowed && res.RetryAfter != time.Second {
				return fmt.Errorf("TakeRate = %+v, want to try again after a second", res)
			}
			return err
		})
		if allowed.Load() != round.want {
			t.Errorf("after %v %d units were given, want %d", round.after, allowed.Load(), round.want)
		}
	}
}

func TestAddPoints_TwoStoresLoseNone(t *testing.T) {
	nodes := twoNodes(t)
	onBoth(t, nodes, func(s *mongo.Store, _, worker int) error {
		// Half of them an hour earlier, when a point was worth half of what it is.
		now := ledgerNow.Add(-time.Duration(worker%2) * time.Hour)
		_, err := s.AddPoints(t.Context(), "k", 1, time.Hour, now)
		return err
	})
	score, err := nodes[0].AddPoints(t.Context(), "k", 0, time.Hour, ledgerNow)
	// Points that come late count as if they came with the newest, so between these.
	if err != nil || score < 1.5*workers-1e-9 || score > 2*workers+1e-9 {
		t.Errorf("the score is %v, %v, want %v to %v", score, err, 1.5*workers, 2*workers)
	}
	half, err := nodes[1].AddPoints(t.Context(), "k", 0, time.Hour, ledgerNow.Add(time.Hour))
	if err != nil || math.Abs(half-score/2) > 1e-9 {
		t.Errorf("an hour later it is %v, %v, want %v", half, err, score/2)
	}
}

// A score goes on for ever, and may change how fast it fades.
func TestAddPoints_MovesItsOrigin(t *testing.T) {
	s := newStore(t)
	now := ledgerNow.Add(-2000 * time.Second)
	add := func(points float64, halfLife time.Duration, want float64) {
		t.Helper()
		got, err := s.AddPoints(t.Context(), "k", points, halfLife, now)
		if err != nil || math.Abs(got-want) > 1e-9 {
			t.Fatalf("AddPoints = %v, %v, want %v", got, err, want)
		}
	}
	score := 0.0
	for range 10 {
		now = now.Add(100 * time.Second)
		score = score*math.Exp2(-100) + 3
		add(3, time.Second, score)
	}
	now = now.Add(20 * time.Second)
	add(0, 10*time.Second, score/4)
	now = now.Add(10 * time.Second)
	add(1, 10*time.Second, score/8+1)
}

// goal: V15.4.2
func TestPutBlock_OneOfASubjectStands(t *testing.T) {
	nodes := twoNodes(t)
	var (
		mu  sync.Mutex
		ids = make(map[string]int)
	)
	onBoth(t, nodes, func(s *mongo.Store, node, worker int) error {
		b, err := s.PutBlock(t.Context(), makerguard.Block{
			ID: fmt.Sprintf("blk_%d_%d", node, worker), Kind: makerguard.BlockAddress, Subject: "192.0.2.7",
			CreatedAt: ledgerNow, ExpiresAt: ledgerNow.Add(time.Duration(worker+1) * time.Minute),
		})
		mu.Lock()
		defer mu.Unlock()
		ids[b.ID]++
		return err
	})
	list, err := nodes[0].Blocks(t.Context(), ledgerNow, 10)
	if err != nil || len(list) != 1 || len(ids) != 1 || ids[list[0].ID] != 2*workers {
		t.Fatalf("Blocks = %+v, %v; calls returned %v, want one block for all", list, err, ids)
	}
	if want := ledgerNow.Add(workers * time.Minute); !list[0].ExpiresAt.Equal(want) {
		t.Errorf("it ends at %v, want the latest end asked for, %v", list[0].ExpiresAt, want)
	}
}

// goal: V15.4.2
func TestJobs_OneRunsAndOneNodeHasIt(t *testing.T) {
	nodes := twoNodes(t)
	var (
		mu               sync.Mutex
		created, claimed int
	)
	count := func(n *int, err error, code makerguard.Code) error {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			*n++
			return nil
		}
		if makerguard.CodeOf(err) == code {
			return nil
		}
		return err
	}
	onBoth(t, nodes, func(s *mongo.Store, node, worker int) error {
		err := s.CreateJob(t.Context(), makerguard.Job{
			ID: makerguard.JobID(fmt.Sprintf("job_%d_%d", node, worker)), Kind: makerguard.JobRotateSigning, State: makerguard.JobRunning,
			LeaseUntil: ledgerNow.Add(-time.Second), CreatedAt: ledgerNow, UpdatedAt: ledgerNow,
		})
		return count(&created, err, makerguard.Conflict)
	})
	onBoth(t, nodes, func(s *mongo.Store, node, worker int) error {
		_, err := s.ClaimJob(t.Context(), fmt.Sprint(node, worker), ledgerNow, ledgerNow.Add(time.Minute))
		return count(&claimed, err, makerguard.NotFound)
	})
	if created != 1 || claimed != 1 {
		t.Errorf("%d jobs were created and %d claims succeeded, want 1 and 1", created, claimed)
	}
}
