package audit_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

func TestVerify_PassesWhatWasRecorded(t *testing.T) {
	real, _ := openStore(t)
	for _, page := range []int{1, 2, 7, 1000} {
		store := &faulty{Store: real, page: page}
		l := newLog(t, store)
		for range 4 {
			if err := l.Verify(t.Context(), maker); err != nil {
				t.Errorf("Verify in pages of %d: %v", page, err)
			}
			record(t, l, 1)
		}
	}
}

func TestVerify_NeedsTheKey(t *testing.T) {
	store, _ := openStore(t)
	record(t, newLog(t, store), 3)
	l, err := audit.New(audit.Config{Store: store, Key: bytes.Repeat([]byte{8}, 32)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	wantFault(t, l.Verify(t.Context(), maker), 1, audit.Altered)
}

func wantFault(t *testing.T, err error, seq int64, fault audit.Fault) {
	t.Helper()
	got, ok := errors.AsType[*audit.ChainError](err)
	if want := (audit.ChainError{ManufacturerID: maker, Seq: seq, Fault: fault}); !ok || *got != want {
		t.Errorf("Verify = %v, want %v", err, &want)
	}
	if code := makerguard.CodeOf(err); code != makerguard.Internal {
		t.Errorf("the error has code %s, want %s", code, makerguard.Internal)
	}
}

// TestVerify_FindsTampering writes to the database behind the log's back.
//
// goal: V16.4.2
func TestVerify_FindsTampering(t *testing.T) {
	const n = 9 // entries of each of two tenants; pages have 4
	for _, tt := range []struct {
		name  string
		does  string
		seq   int64
		fault audit.Fault
	}{
		{"id", `UPDATE audit_entries SET id = 'evt_0' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"time", `UPDATE audit_entries SET at = at + 1000 WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"action", `UPDATE audit_entries SET action = 'vault.read' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"outcome", `UPDATE audit_entries SET outcome = 'denied' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"kind of actor", `UPDATE audit_entries SET actor_kind = 'system' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"actor", `UPDATE audit_entries SET actor_id = 'mbr_2' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"target", `UPDATE audit_entries SET target = '' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"address", `UPDATE audit_entries SET ip = '192.0.2.2' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"request id", `UPDATE audit_entries SET request_id = 'req_2' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"detail", `UPDATE audit_entries SET detail = 'otp' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"text moved to the next field", `UPDATE audit_entries SET ip = ip || request_id, request_id = '' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"hash", `UPDATE audit_entries SET hash = zeroblob(32) WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"hash emptied", `UPDATE audit_entries SET hash = x'' WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Altered},
		{"first entry", `UPDATE audit_entries SET detail = 'x' WHERE manufacturer_id = 'mfr_1' AND seq = 1`, 1, audit.Altered},
		{"last entry", `UPDATE audit_entries SET detail = 'x' WHERE manufacturer_id = 'mfr_1' AND seq = 9`, 9, audit.Altered},
		{"last entry's hash", `UPDATE audit_entries SET hash = zeroblob(32) WHERE manufacturer_id = 'mfr_1' AND seq = 9`, 9, audit.Altered},
		{"last entry's hash and head", `UPDATE audit_entries SET hash = zeroblob(32) WHERE manufacturer_id = 'mfr_1' AND seq = 9;
			UPDATE audit_heads SET hash = zeroblob(32) WHERE manufacturer_id = 'mfr_1'`, 9, audit.Altered},
		{"head's hash", `UPDATE audit_heads SET hash = zeroblob(32) WHERE manufacturer_id = 'mfr_1'`, 9, audit.Altered},
		{"two entries, the older is named", `UPDATE audit_entries SET detail = 'x' WHERE manufacturer_id = 'mfr_1' AND seq IN (3, 7)`, 3, audit.Altered},

		{"entry deleted", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 5`, 5, audit.Missing},
		{"first entry deleted", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 1`, 1, audit.Missing},
		{"first entries deleted", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq <= 5`, 1, audit.Missing},
		{"a page deleted", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq BETWEEN 2 AND 6`, 2, audit.Missing},
		{"entry deleted, newer moved up", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 5;
			UPDATE audit_entries SET seq = -seq + 1 WHERE manufacturer_id = 'mfr_1' AND seq > 5;
			UPDATE audit_entries SET seq = -seq WHERE manufacturer_id = 'mfr_1' AND seq < 0;
			UPDATE audit_heads SET seq = 8 WHERE manufacturer_id = 'mfr_1'`, 5, audit.Altered},

		{"two entries swapped", `UPDATE audit_entries SET seq = -1 WHERE manufacturer_id = 'mfr_1' AND seq = 4;
			UPDATE audit_entries SET seq = 4 WHERE manufacturer_id = 'mfr_1' AND seq = 6;
			UPDATE audit_entries SET seq = 6 WHERE manufacturer_id = 'mfr_1' AND seq = -1`, 4, audit.Altered},
		{"two contents swapped, hashes kept", `UPDATE audit_entries SET id = (SELECT id FROM audit_entries AS o WHERE o.manufacturer_id = 'mfr_1' AND o.seq = 10 - audit_entries.seq)
			WHERE manufacturer_id = 'mfr_1' AND seq IN (4, 6)`, 4, audit.Altered},
		{"another tenant's entry", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 5;
			UPDATE audit_entries SET manufacturer_id = 'mfr_1' WHERE manufacturer_id = 'mfr_2' AND seq = 5`, 5, audit.Altered},
		{"another tenant's chain", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1'; DELETE FROM audit_heads WHERE manufacturer_id = 'mfr_1';
			UPDATE audit_entries SET manufacturer_id = 'mfr_1' WHERE manufacturer_id = 'mfr_2';
			UPDATE audit_heads SET manufacturer_id = 'mfr_1' WHERE manufacturer_id = 'mfr_2'`, 1, audit.Altered},
		{"entry repeated under the next number", `INSERT INTO audit_entries (manufacturer_id, seq, id, at, action, outcome, actor_kind, actor_id, target, ip, request_id, detail, hash)
			SELECT manufacturer_id, 10, id, at, action, outcome, actor_kind, actor_id, target, ip, request_id, detail, hash FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 9;
			UPDATE audit_heads SET seq = 10 WHERE manufacturer_id = 'mfr_1'`, 10, audit.Altered},

		{"last entry cut off", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 9`, 9, audit.Truncated},
		{"last entries cut off", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq > 4`, 5, audit.Truncated},
		{"all entries deleted", `DELETE FROM audit_entries WHERE manufacturer_id = 'mfr_1'`, 1, audit.Truncated},
		{"cut off, and the head moved on", `UPDATE audit_heads SET seq = 12 WHERE manufacturer_id = 'mfr_1'`, 10, audit.Truncated},
		{"head moved back", `UPDATE audit_heads SET seq = 7 WHERE manufacturer_id = 'mfr_1'`, 7, audit.Altered},
		{"head moved back with its hash", `UPDATE audit_heads SET seq = 7, hash = (SELECT hash FROM audit_entries AS e WHERE e.manufacturer_id = 'mfr_1' AND e.seq = 7) WHERE manufacturer_id = 'mfr_1'`, 8, audit.Unexpected},
		{"head deleted", `DELETE FROM audit_heads WHERE manufacturer_id = 'mfr_1'`, 1, audit.Unexpected},
		{"entry before the first", `INSERT INTO audit_entries (manufacturer_id, seq, id, at, action, outcome, actor_kind, actor_id, target, ip, request_id, detail, hash)
			SELECT manufacturer_id, 0, id, at, action, outcome, actor_kind, actor_id, target, ip, request_id, detail, hash FROM audit_entries WHERE manufacturer_id = 'mfr_1' AND seq = 1`, 0, audit.Unexpected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			real, db := openStore(t)
			l := newLog(t, real)
			for _, mfr := range []makerguard.ManufacturerID{maker, "mfr_2"} {
				for range n {
					e := someEntry()
					e.ManufacturerID = mfr
					if err := l.Record(t.Context(), e); err != nil {
						t.Fatalf("Record: %v", err)
					}
				}
			}
			// As after a restart: with nothing but what is stored.
			fresh := newLog(t, &faulty{Store: real, page: 4})
			if err := fresh.Verify(t.Context(), maker); err != nil {
				t.Fatalf("Verify before: %v", err)
			}
			if _, err := db.ExecContext(t.Context(), tt.does); err != nil {
				t.Fatalf("tampering: %v", err)
			}
			wantFault(t, fresh.Verify(t.Context(), maker), tt.seq, tt.fault)
		})
	}
}

// TestVerify_FindsARollbackOfTheWholeChain sets entries and head back together, which
// leaves a good chain; a process that saw the newer head knows better.
//
// goal: V16.4.2
func TestVerify_FindsARollbackOfTheWholeChain(t *testing.T) {
	store, db := openStore(t)
	l := newLog(t, store)
	record(t, l, 9)
	const rollback = `DELETE FROM audit_entries WHERE seq > 6;
		UPDATE audit_heads SET seq = 6, hash = (SELECT hash FROM audit_entries WHERE seq = 6)`
	if _, err := db.ExecContext(t.Context(), rollback); err != nil {
		t.Fatalf("tampering: %v", err)
	}
	wantFault(t, l.Verify(t.Context(), maker), 7, audit.Truncated)
	// And it does not paper over the gap with new entries.
	for range 2 {
		wantFault(t, l.Record(t.Context(), someEntry()), 7, audit.Truncated)
	}

	// Somebody else, with the key, wrote on from there: another entry has the place of ours.
	other := newLog(t, store)
	record(t, other, 3)
	wantFault(t, l.Verify(t.Context(), maker), 9, audit.Altered)
	wantFault(t, l.Record(t.Context(), someEntry()), 9, audit.Altered)
}

func TestVerify_PassesWhileEntriesAreAdded(t *testing.T) {
	store, _ := openStore(t)
	l := newLog(t, store)
	record(t, l, 5)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 30 {
			if err := l.Record(t.Context(), someEntry()); err != nil {
				t.Errorf("Record: %v", err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for name, v := range map[string]*audit.Log{"the same": l, "another": newLog(t, store)} {
			if err := v.Verify(t.Context(), maker); err != nil {
				t.Errorf("Verify by %s log: %v", name, err)
			}
		}
	}
}

// TestVerify_TellsWhenItCannotTell has no failure to read pass for a good record.
//
// goal: V16.5.2
func TestVerify_TellsWhenItCannotTell(t *testing.T) {
	real, _ := openStore(t)
	record(t, newLog(t, real), 3)
	calls := 0
	store := &countdown{Store: real}
	for store.left = 0; ; store.left = calls {
		err := newLog(t, store).Verify(t.Context(), maker)
		if store.left >= 0 { // the store was never asked so often
			if err != nil {
				t.Errorf("Verify: %v", err)
			}
			break
		}
		if !errors.Is(err, makerguard.StoreUnavailable) {
			t.Errorf("Verify with a failure at call %d = %v, want STORE_UNAVAILABLE", calls, err)
		}
		calls++
	}
	if calls < 3 {
		t.Errorf("%d calls failed, want the head, the newest entry and the pages", calls)
	}
}

// countdown fails once, after so many calls as are left.
type countdown struct {
	audit.Store
	left int
}

func (s *countdown) next() error {
	s.left--
	if s.left == -1 {
		return unavailable()
	}
	return nil
}

func (s *countdown) AuditHead(ctx context.Context, mfr makerguard.ManufacturerID) (int64, []byte, error) {
	if err := s.next(); err != nil {
		return 0, nil, err
	}
	return s.Store.AuditHead(ctx, mfr)
}

func (s *countdown) AuditEntries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	if err := s.next(); err != nil {
		return nil, err
	}
	return s.Store.AuditEntries(ctx, f)
}

// stored is a store that has held entries for years.
type stored struct {
	sink
	entries []makerguard.AuditEntry // newest first
}

func (s *stored) AuditHead(context.Context, makerguard.ManufacturerID) (int64, []byte, error) {
	return s.entries[0].Seq, s.entries[0].Hash, nil
}

func (s *stored) AuditEntries(_ context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	return s.entries[:min(f.Limit, len(s.entries))], nil
}

// TestVerify_GoldenChain pins the encoding: what this version wrote must verify for ever.
func TestVerify_GoldenChain(t *testing.T) {
	entry := func(seq int64, id makerguard.EventID, hash string) makerguard.AuditEntry {
		e := someEntry()
		e.ID, e.Seq, e.At = id, seq, start.Add(time.Duration(seq)*time.Second).Truncate(time.Millisecond)
		var err error
		if e.Hash, err = hex.DecodeString(hash); err != nil {
			t.Fatal(err)
		}
		return e
	}
	l := newLog(t, &stored{entries: []makerguard.AuditEntry{
		entry(2, "evt_b", "504415bcc818771b25081342c41462944a1150dc403106e9ad4a92e6101629fc"),
		entry(1, "evt_a", "1cc3743aff851edb3a42916ca465fc93e5e2889d44facc8e86acc5d339ea431d"),
	}})
	if err := l.Verify(t.Context(), maker); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func ExampleChainError() {
	err := fmt.Errorf("verifying: %w", &audit.ChainError{ManufacturerID: "mfr_1", Seq: 7, Fault: audit.Missing})
	if e, ok := errors.AsType[*audit.ChainError](err); ok {
		fmt.Println(e.Seq, e.Fault)
	}
	// Output: 7 missing
}
