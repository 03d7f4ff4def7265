package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const maker makerguard.ManufacturerID = "mfr_1"

var (
	start = time.Date(2030, 1, 2, 3, 4, 5, 678_912_345, time.UTC)
	key   = bytes.Repeat([]byte{7}, 32)
)

// openStore gives a real store, and its database for those who mean it ill.
func openStore(t *testing.T) (*sqlite.Store, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "makerguard.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), store.Close()); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return store, db
}

func newLog(t testing.TB, store audit.Store) *audit.Log {
	t.Helper()
	l, err := audit.New(audit.Config{Store: store, Key: key, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return l
}

func someEntry() makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ManufacturerID: maker, Action: audit.SessionCreated, Outcome: audit.Success, ActorKind: audit.ActorMember, ActorID: "mbr_1",
		Target: "ses_1", IP: "192.0.2.1", RequestID: "req_1", Detail: "pwd",
	}
}

func record(t testing.TB, l *audit.Log, n int) {
	t.Helper()
	for range n {
		if err := l.Record(t.Context(), someEntry()); err != nil {
			t.Fatalf("Record: %v", err)
		}
	}
}

func entries(t *testing.T, l *audit.Log, mfr makerguard.ManufacturerID) []makerguard.AuditEntry {
	t.Helper()
	got, err := l.Entries(t.Context(), makerguard.AuditFilter{ManufacturerID: mfr})
	if err != nil {
		t.Fatalf("Entries: %v", err)
	}
	return got
}

// goal: V16.2.1 V16.2.2
func TestRecord_KeepsWhoDidWhatWhenAndWhere(t *testing.T) {
	store, _ := openStore(t)
	l := newLog(t, store)
	first, second := someEntry(), someEntry()
	second.Action, second.Outcome = audit.SessionEnded, audit.Denied
	for _, e := range []makerguard.AuditEntry{first, second} {
		// What Record decides cannot be given.
		e.ID, e.Seq, e.At, e.Hash = "evt_mine", 99, start.Add(-time.Hour), []byte("mine")
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatalf("Record: %v", err)
		}
	}
	got := entries(t, l, maker)
	first.Seq, second.Seq = 1, 2
	want := []makerguard.AuditEntry{second, first}
	for i := range want {
		want[i].At = start.Truncate(time.Millisecond)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(makerguard.AuditEntry{}, "ID", "Hash")); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	for _, e := range got {
		if !strings.HasPrefix(string(e.ID), "evt_") || len(e.Hash) != 32 || e.At.Location() != time.UTC {
			t.Errorf("entry %d has id %q, a hash of %d bytes and a time in %v", e.Seq, e.ID, len(e.Hash), e.At.Location())
		}
	}
	if got[0].ID == got[1].ID || bytes.Equal(got[0].Hash, got[1].Hash) {
		t.Error("two entries have the same id or hash")
	}
}

// goal: V8.2.2
func TestEntries_AreOnesOwn(t *testing.T) {
	store, _ := openStore(t)
	l := newLog(t, store)
	record(t, l, 3)
	e := someEntry()
	e.ManufacturerID = "mfr_2"
	if err := l.Record(t.Context(), e); err != nil {
		t.Fatalf("Record: %v", err)
	}
	if got := entries(t, l, "mfr_2"); len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("Entries of the second tenant = %+v, want one with number 1", got)
	}
	if got := entries(t, l, ""); len(got) != 0 {
		t.Errorf("Entries of no tenant = %+v, want none", got)
	}
}

func TestEntries_Pages(t *testing.T) {
	store, _ := openStore(t)
	l := newLog(t, store)
	record(t, l, 5)
	var got []int64
	for before := int64(0); ; {
		page, err := l.Entries(t.Context(), makerguard.AuditFilter{ManufacturerID: maker, Before: before, Limit: 2})
		if err != nil {
			t.Fatalf("Entries: %v", err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			got = append(got, e.Seq)
		}
		before = page[len(page)-1].Seq
	}
	if diff := cmp.Diff([]int64{5, 4, 3, 2, 1}, got); diff != "" {
		t.Errorf("numbers over all pages (-want +got):\n%s", diff)
	}
	for _, limit := range []int{-1, 1001} {
		if _, err := l.Entries(t.Context(), makerguard.AuditFilter{ManufacturerID: maker, Limit: limit}); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Entries with limit %d = %v, want VALIDATION_FAILED", limit, err)
		}
	}
}

// goal: V16.1.1
func TestRecord_RefusesWhatTheCatalogueDoesNotKnow(t *testing.T) {
	store := &sink{}
	l := newLog(t, store)
	for name, change := range map[string]func(*makerguard.AuditEntry){
		"unknown action":  func(e *makerguard.AuditEntry) { e.Action = "session.borrowed" },
		"no action":       func(e *makerguard.AuditEntry) { e.Action = "" },
		"unknown outcome": func(e *makerguard.AuditEntry) { e.Outcome = "maybe" },
		"no outcome":      func(e *makerguard.AuditEntry) { e.Outcome = "" },
		"unknown actor":   func(e *makerguard.AuditEntry) { e.ActorKind = "cat" },
		"no actor":        func(e *makerguard.AuditEntry) { e.ActorKind = "" },
		"no manufacturer": func(e *makerguard.AuditEntry) { e.ManufacturerID = "" },
	} {
		e := someEntry()
		change(&e)
		if err := l.Record(t.Context(), e); makerguard.CodeOf(err) != makerguard.Internal {
			t.Errorf("%s: Record = %v, want an internal error", name, err)
		}
	}
	if len(store.got) != 0 {
		t.Errorf("%d refused entries were stored", len(store.got))
	}
}

// sink takes every entry and remembers it, for tests that are about the entry alone.
type sink struct{ got []makerguard.AuditEntry }

func (s *sink) AuditHead(context.Context, makerguard.ManufacturerID) (int64, []byte, error) {
	return 0, nil, nil
}

func (s *sink) AppendAudit(_ context.Context, e makerguard.AuditEntry) error {
	s.got = append(s.got, e)
	return nil
}

func (s *sink) AuditEntries(context.Context, makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	return nil, nil
}

// goal: V16.4.1
func TestRecord_NeutralisesTexts(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "O'Brien & Söhne, 東京 (50 %)", "O'Brien & Söhne, 東京 (50 %)"},
		{"line ends", "a\r\nevt_2 session.created success", `a\u000d\u000aevt_2 session.created success`},
		{"tab and NUL", "a\tb\x00c", `a\u0009b\u0000c`},
		{"ANSI", "\x1b[2Jgone\x1b]0;title\a", `\u001b[2Jgone\u001b]0;title\u0007`},
		{"C1 controls", "\u009b31mred", `\u009b31mred`},
		{"bidi override", "user\u202egnp.exe", `user\u202egnp.exe`},
		{"bidi isolate", "\u2066a\u2069", `\u2066a\u2069`},
		{"invisible", "ad\u200bmin\ufeff\u00ad", `ad\u200bmin\ufeff\u00ad`},
		{"line separators", "a\u2028b\u2029c\u0085d", `a\u2028b\u2029c\u0085d`},
		{"odd spaces", "a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"not UTF-8", "a\xffb\xc3", `a\xffb\xc3`},
		{"a real replacement character", "a\ufffd", "a\ufffd"},
		{"spelt out by the sender", `a\u202eb\n`, `a\\u202eb\\n`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &sink{}
			e := someEntry()
			e.ActorID, e.Target, e.IP, e.RequestID, e.Detail = tt.in, tt.in, tt.in, tt.in, tt.in
			if err := newLog(t, store).Record(t.Context(), e); err != nil {
				t.Fatalf("Record: %v", err)
			}
			for _, got := range []string{store.got[0].ActorID, store.got[0].Target, store.got[0].IP, store.got[0].RequestID, store.got[0].Detail} {
				if got != tt.want {
					t.Errorf("Record(%q) stored %q, want %q", tt.in, got, tt.want)
				}
			}
		})
	}
}

// goal: V16.4.1
func TestRecord_BoundsTexts(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringN(900, 1100, -1), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 1100), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(rt *rapid.T) {
		store := &sink{}
		e := someEntry()
		e.ActorID, e.Target, e.IP, e.RequestID, e.Detail = text.Draw(rt, "actor"), text.Draw(rt, "target"), text.Draw(rt, "ip"), text.Draw(rt, "request"), text.Draw(rt, "detail")
		if err := newLog(t, store).Record(t.Context(), e); err != nil {
			rt.Fatalf("Record: %v", err)
		}
		got := store.got[0]
		for _, f := range []struct {
			in, out string
			limit   int
		}{{e.ActorID, got.ActorID, 128}, {e.Target, got.Target, 256}, {e.IP, got.IP, 64}, {e.RequestID, got.RequestID, 128}, {e.Detail, got.Detail, 1024}} {
			if len(f.out) > f.limit || !utf8.ValidString(f.out) {
				rt.Fatalf("%q was stored as %q of %d bytes, want valid UTF-8 of at most %d", f.in, f.out, len(f.out), f.limit)
			}
			for _, r := range f.out {
				if !unicode.IsPrint(r) {
					rt.Fatalf("%q was stored as %q, which has %U", f.in, f.out, r)
				}
			}
			// An escape cut in two would read as another one.
			if cut, ok := strings.CutSuffix(f.out, "…"); ok && !strings.HasSuffix(f.in, "…") {
				if n := len(cut) - len(strings.TrimRight(cut, `\`)); n%2 != 0 {
					rt.Fatalf("%q was cut within an escape: %q", f.in, f.out)
				}
			}
		}
	})
}

// faulty stands before a real store and does what the test says.
type faulty struct {
	audit.Store
	head   func(makerguard.ManufacturerID) error
	before func(makerguard.AuditEntry) error // an error keeps the entry from the store
	after  func(makerguard.AuditEntry) error // an error is returned though it is stored
	page   int                               // the most entries listed at once, if not 0
}

func (s *faulty) AuditHead(ctx context.Context, mfr makerguard.ManufacturerID) (int64, []byte, error) {
	if s.head != nil {
		if err := s.head(mfr); err != nil {
			return 0, nil, err
		}
	}
	return s.Store.AuditHead(ctx, mfr)
}

func (s *faulty) AppendAudit(ctx context.Context, e makerguard.AuditEntry) error {
	if s.before != nil {
		if err := s.before(e); err != nil {
			return err
		}
	}
	if err := s.Store.AppendAudit(ctx, e); err != nil || s.after == nil {
		return err
	}
	return s.after(e)
}

func (s *faulty) AuditEntries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	if s.page > 0 {
		f.Limit = min(f.Limit, s.page)
	}
	return s.Store.AuditEntries(ctx, f)
}

func unavailable() error { return &makerguard.Error{Code: makerguard.StoreUnavailable} }

// goal: V16.5.2
func TestRecord_FailsWhenTheStoreDoes(t *testing.T) {
	real, _ := openStore(t)
	store := &faulty{Store: real}
	l := newLog(t, store)
	record(t, l, 1)

	store.before = func(makerguard.AuditEntry) error { return unavailable() }
	if err := l.Record(t.Context(), someEntry()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Record while the store is away = %v, want STORE_UNAVAILABLE", err)
	}
	// The head is not trusted after a failure, so reading it may fail too.
	store.head = func(makerguard.ManufacturerID) error { return unavailable() }
	if err := l.Record(t.Context(), someEntry()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Record while the head cannot be read = %v, want STORE_UNAVAILABLE", err)
	}
	store.before, store.head = nil, nil

	// An answer lost on its way: the entry is there, the caller was told otherwise.
	store.after = func(makerguard.AuditEntry) error { return unavailable() }
	if err := l.Record(t.Context(), someEntry()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Record whose answer is lost = %v, want STORE_UNAVAILABLE", err)
	}
	store.after = nil
	record(t, l, 1)
	if got := entries(t, l, maker); len(got) != 3 {
		t.Errorf("%d entries, want 3", len(got))
	}
	if err := l.Verify(t.Context(), maker); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestRecord_GivesUpWhenItAlwaysLosesTheRace(t *testing.T) {
	real, _ := openStore(t)
	tries := 0
	l := newLog(t, &faulty{Store: real, before: func(makerguard.AuditEntry) error {
		tries++
		return &makerguard.Error{Code: makerguard.Conflict}
	}})
	err := l.Record(t.Context(), someEntry())
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.Overloaded || e.RetryAfter <= 0 {
		t.Errorf("Record = %v, want OVERLOADED with a time to try again", err)
	}
	if tries < 2 || tries > 100 {
		t.Errorf("%d tries, want some but not many", tries)
	}
}

// TestRecord_NodesShareOneChain has several nodes, each with its own idea of the head, and many
// goroutines on each write to the same chains.
//
// goal: V15.4.1 V15.4.2
func TestRecord_NodesShareOneChain(t *testing.T) {
	store, _ := openStore(t)
	const nodes, writers, each = 3, 4, 5
	tenants := []makerguard.ManufacturerID{"mfr_1", "mfr_2"}
	var wg sync.WaitGroup
	for range nodes {
		l := newLog(t, store)
		for range writers {
			wg.Go(func() {
				for i := range each * len(tenants) {
					e := someEntry()
					e.ManufacturerID = tenants[i%len(tenants)]
					if err := l.Record(t.Context(), e); err != nil {
						t.Errorf("Record: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	l := newLog(t, store)
	for _, mfr := range tenants {
		got := entries(t, l, mfr)
		if len(got) != nodes*writers*each {
			t.Errorf("%s has %d entries, want %d", mfr, len(got), nodes*writers*each)
		}
		for i, e := range got {
			if want := int64(len(got) - i); e.Seq != want {
				t.Errorf("%s: entry %d from the end has number %d, want %d", mfr, i, e.Seq, want)
			}
		}
		if err := l.Verify(t.Context(), mfr); err != nil {
			t.Errorf("Verify: %v", err)
		}
	}
}

// TestRecord_TenantsDoNotWaitForOneAnother holds one tenant's write in the store while
// another's goes through, and has a third that waits for the first give up in time.
//
// goal: V15.4.3
func TestRecord_TenantsDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLog(t, &faulty{Store: &sink{}, before: func(e makerguard.AuditEntry) error {
			if e.ManufacturerID == maker {
				<-release
			}
			return nil
		}})
		held := make(chan error, 1)
		go func() { held <- l.Record(t.Context(), someEntry()) }()
		synctest.Wait() // now it is in the store

		other := someEntry()
		other.ManufacturerID = "mfr_2"
		if err := l.Record(t.Context(), other); err != nil { // a wait here would be a deadlock
			t.Errorf("Record for another tenant: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Record(ctx, someEntry()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Record behind one that hangs = %v, want %v", err, context.DeadlineExceeded)
		}
		if err := l.Verify(ctx, maker); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify behind one that hangs = %v, want %v", err, context.DeadlineExceeded)
		}
		close(release)
		if err := <-held; err != nil {
			t.Errorf("Record: %v", err)
		}
	})
}

func TestRecord_RemembersAtMostSoManyHeads(t *testing.T) {
	l := newLog(t, &sink{})
	for i := range audit.MaxRemembered + 100 {
		e := someEntry()
		e.ManufacturerID = makerguard.ManufacturerID(fmt.Sprintf("mfr_%d", i))
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatalf("Record: %v", err)
		}
	}
	if got := l.Remembered(); got != audit.MaxRemembered {
		t.Errorf("%d heads are remembered, want %d", got, audit.MaxRemembered)
	}
}

func TestNew_ReportsEverythingWrong(t *testing.T) {
	_, err := audit.New(audit.Config{Key: key[:31]})
	if err == nil {
		t.Fatal("New gave no error")
	}
	for _, want := range []string{"store", "key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want it to mention the %s", err, want)
		}
	}
}
