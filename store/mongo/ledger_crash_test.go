package mongo_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

var errDied = errors.New("the process died here")

// dying returns a function for Store.StopAt that stops at one step.
func dying(at string) func(string) error {
	return func(step string) error {
		if step == at {
			return errDied
		}
		return nil
	}
}

// afterCrash opens uri, has fn run into its death at step, and opens it anew.
func afterCrash(t *testing.T, step string, fn func(*mongo.Store) error) *mongo.Store {
	t.Helper()
	uri := newURI(t)
	s := openStore(t, mongo.Config{URI: uri})
	s.StopAt(dying(step))
	if err := fn(s); !errors.Is(err, errDied) {
		t.Fatalf("it returned %v, want to have died at %s", err, step)
	}
	return openStore(t, mongo.Config{URI: uri})
}

// goal: V2.3.3
func TestSpend_CountsOnceWhereverItsWriterDies(t *testing.T) {
	s, k := newStore(t), usage(makerguard.APICalls)
	r := makerguard.SpendRequest{
		CounterKey: k, Limit: 10, Amount: 7, Idempotency: "key", Fingerprint: []byte("one"), Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
	}
	other, month := r, r
	other.Fingerprint = []byte("two")
	month.Start = k.Start.AddDate(0, 1, 0)
	for _, test := range []struct {
		name string
		step string
		used bool // the counter has been used before
		try  makerguard.SpendRequest
		want makerguard.SpendResult
		code makerguard.Code
	}{
		{"before it is counted", "spend.claimed", false, r, makerguard.SpendResult{Spent: true, Used: 7}, ""},
		{"before it is counted, in a counter in use", "spend.claimed", true, r, makerguard.SpendResult{Spent: true, Used: 9}, ""},
		{"before it is counted, then another request", "spend.claimed", false, other, makerguard.SpendResult{Spent: true, Used: 7}, ""},
		{"before it is counted, then another request, in a counter in use", "spend.claimed", true, other, makerguard.SpendResult{Spent: true, Used: 9}, ""},
		{"before it is counted, then another month", "spend.claimed", false, month, makerguard.SpendResult{Spent: true, Used: 7}, ""},
		{"after it is counted", "spend.counted", false, r, makerguard.SpendResult{Spent: true, Used: 7, Replayed: true}, ""},
		{"after it is counted, in a counter in use", "spend.counted", true, r, makerguard.SpendResult{Spent: true, Used: 9, Replayed: true}, ""},
		{"after it is counted, then another request", "spend.counted", false, other, makerguard.SpendResult{}, makerguard.IdempotencyMismatch},
		{"after it is counted, then another month", "spend.counted", false, month, makerguard.SpendResult{Spent: true, Used: 7, Replayed: true}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			mfr := makerguard.ManufacturerID("mfr_" + test.name)
			first, try, units := r, test.try, int64(7)
			first.ManufacturerID, try.ManufacturerID = mfr, mfr
			if test.used {
				units += 2
				before := makerguard.SpendRequest{CounterKey: first.CounterKey, Limit: 10, Amount: 2, Now: ledgerNow}
				if _, err := s.Spend(t.Context(), before); err != nil {
					t.Fatal(err)
				}
			}
			s.StopAt(dying(test.step))
			if _, err := s.Spend(t.Context(), first); !errors.Is(err, errDied) {
				t.Fatalf("Spend = %v, want to have died at %s", err, test.step)
			}
			s.StopAt(nil)
			got, err := s.Spend(t.Context(), try)
			if got != test.want || makerguard.CodeOf(err) != test.code {
				t.Errorf("Spend = %+v, %v, want %+v, %q", got, err, test.want, test.code)
			}
			counts, err := s.Counts(t.Context(), []makerguard.CounterKey{
				{ManufacturerID: mfr, Meter: k.Meter, Start: k.Start},
				{ManufacturerID: mfr, Meter: k.Meter, Start: month.Start},
			}, ledgerNow)
			if err != nil || counts[0].Spent+counts[1].Spent != units {
				t.Errorf("Counts = %+v, %v, want %d units in all", counts, err, units)
			}
			if test.code == "" {
				again, err := s.Spend(t.Context(), try)
				if want := (makerguard.SpendResult{Spent: true, Used: test.want.Used, Replayed: true}); err != nil || again != want {
					t.Errorf("Spend again = %+v, %v, want %+v", again, err, want)
				}
			}
		})
	}
}

// Many ask for the same few things at once and die at any step, until each has an answer.
//
// goal: V2.3.2 V2.3.3
func TestSpend_CountsOnceAmongManyThatDie(t *testing.T) {
	nodes, k := twoNodes(t), usage(makerguard.APICalls)
	const keys, amount = 40, 3
	var died, firsts atomic.Int64
	for _, s := range nodes {
		s.StopAt(func(string) error {
			if rand.IntN(3) == 0 {
				died.Add(1)
				return errDied
			}
			return nil
		})
	}
	onBoth(t, nodes, func(s *mongo.Store, _, worker int) error {
		for i := range keys / 4 {
			r := makerguard.SpendRequest{
				CounterKey: k, Limit: keys * amount, Amount: amount, Idempotency: fmt.Sprint((i + worker) % keys), Fingerprint: []byte("one"),
				Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
			}
			for {
				res, err := s.Spend(t.Context(), r)
				if errors.Is(err, errDied) {
					continue
				}
				if err != nil || !res.Spent {
					return fmt.Errorf("Spend = %+v, %v, want it spent", res, err)
				}
				if !res.Replayed {
					firsts.Add(1)
				}
				break
			}
		}
		return nil
	})
	if firsts.Load() > keys {
		t.Errorf("%d calls say that they spent, want at most %d", firsts.Load(), keys)
	}
	wantCount(t, nodes[0], k, ledgerNow, makerguard.Count{Taken: keys * amount, Spent: keys * amount})
	t.Logf("%d calls died, %d told that they spent, %d units were counted", died.Load(), firsts.Load(), keys*amount)
}

// A key that was refused, and whose request stayed behind, is free for another request.
func TestSpend_RefusedKeyIsFree(t *testing.T) {
	k := usage(makerguard.APICalls)
	r := makerguard.SpendRequest{
		CounterKey: k, Limit: 10, Amount: 7, Idempotency: "key", Fingerprint: []byte("one"), Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
	}
	s := afterCrash(t, "spend.claimed", func(s *mongo.Store) error { _, err := s.Spend(t.Context(), r); return err })
	r.Limit = 5
	if got, err := s.Spend(t.Context(), r); err != nil || got.Spent {
		t.Fatalf("Spend = %+v, %v, want a refusal", got, err)
	}
	r.Amount, r.Fingerprint = 5, []byte("two")
	if got, err := s.Spend(t.Context(), r); err != nil || got != (makerguard.SpendResult{Spent: true, Used: 5}) {
		t.Errorf("Spend of another request = %+v, %v, want it to be spent", got, err)
	}
}

func auditEntry(seq int64) makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ID:             makerguard.EventID(fmt.Sprintf("evt_%d_%d", seq, rand.Int64())),
		ManufacturerID: "mfr_a", Seq: seq, At: ledgerNow, Action: "session.created", Hash: []byte{byte(seq)},
	}
}

// goal: V2.3.3
func TestAppendAudit_GoesOnWhereItsWriterDied(t *testing.T) {
	s := afterCrash(t, "audit.stored", func(s *mongo.Store) error { return s.AppendAudit(t.Context(), auditEntry(1)) })
	head := func(want int64) {
		t.Helper()
		seq, hash, err := s.AuditHead(t.Context(), "mfr_a")
		if err != nil || seq != want || len(hash) != 1 || hash[0] != byte(want) {
			t.Fatalf("AuditHead = %d, %x, %v, want %d and its hash", seq, hash, err, want)
		}
	}
	for seq := int64(1); seq <= 3; seq++ {
		if err := s.AppendAudit(t.Context(), auditEntry(seq)); makerguard.CodeOf(err) != makerguard.Conflict {
			t.Errorf("AppendAudit of entry %d once more = %v, want Conflict", seq, err)
		}
		if err := s.AppendAudit(t.Context(), auditEntry(seq+1)); makerguard.CodeOf(err) != makerguard.Conflict {
			t.Errorf("AppendAudit past the head = %v, want Conflict", err)
		}
		head(seq) // takes the entry in
		s.StopAt(dying("audit.stored"))
		if err := s.AppendAudit(t.Context(), auditEntry(seq+1)); !errors.Is(err, errDied) {
			t.Fatalf("AppendAudit = %v, want to have died", err)
		}
		s.StopAt(nil)
	}
	head(4)
	entries, err := s.AuditEntries(t.Context(), makerguard.AuditFilter{ManufacturerID: "mfr_a", Limit: 10})
	if err != nil || len(entries) != 4 {
		t.Fatalf("AuditEntries gave %d entries, %v, want 4", len(entries), err)
	}
	for i, e := range entries {
		if want := int64(4 - i); e.Seq != want {
			t.Errorf("entry %d has number %d, want %d", i, e.Seq, want)
		}
	}
}

// A writer is held up between its steps for so long that another finishes its request and
// the counter has forgotten it.
//
// goal: V2.3.2
func TestSpend_WriterHeldUpDoesNotCountAgain(t *testing.T) {
	nodes, k := twoNodes(t), usage(makerguard.APICalls)
	spend := func(s *mongo.Store, key string) makerguard.SpendResult {
		t.Helper()
		res, err := s.Spend(t.Context(), makerguard.SpendRequest{
			CounterKey: k, Limit: makerguard.Unlimited, Amount: 1, Idempotency: key, Fingerprint: []byte("one"), Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
		})
		if err != nil {
			t.Fatalf("Spend: %v", err)
		}
		return res
	}
	const others = 100
	spend(nodes[0], "first")
	nodes[0].StopAt(func(string) error {
		nodes[0].StopAt(nil)
		if got := spend(nodes[1], "key"); got != (makerguard.SpendResult{Spent: true, Used: 2}) {
			t.Errorf("Spend by who was not held up = %+v, want it to be spent", got)
		}
		for i := range others {
			spend(nodes[1], fmt.Sprint(i))
		}
		return nil
	})
	if got := spend(nodes[0], "key"); got != (makerguard.SpendResult{Spent: true, Used: 2, Replayed: true}) {
		t.Errorf("Spend by who was held up = %+v, want the other's result", got)
	}
	wantCount(t, nodes[0], k, ledgerNow, makerguard.Count{Taken: others + 2, Spent: others + 2})
}
