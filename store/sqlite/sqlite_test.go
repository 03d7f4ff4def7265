package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/store/sqlite"
	"github.com/makerguard/makerguard/store/storetest"
)

var _ store.Store = (*sqlite.Store)(nil)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role, os.Getenv(childPath)))
	}
	goleak.VerifyTestMain(m)
}

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "data", "makerguard.db") }

func openAt(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	return openWith(t, sqlite.Config{Path: path})
}

func openWith(t testing.TB, c sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// raw opens the file past the store.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestStore runs the conformance suite, then looks at how SQLite runs every statement
// the suite made it prepare: each must find its rows by an index.
func TestStore(t *testing.T) {
	var stores []*sqlite.Store
	storetest.Run(t, func(t *testing.T) store.Store {
		s := openAt(t, tempPath(t))
		stores = append(stores, s)
		return s
	})
	t.Run("Plans", func(t *testing.T) {
		queries := make(map[string]bool)
		for _, s := range stores {
			for _, q := range s.Queries() {
				queries[q] = !strings.Contains(q, "pragma_") // the doctor looks at everything
			}
		}
		if len(queries) == 0 {
			t.Skip("the suite was left out, so there is nothing to look at")
		}
		s := openAt(t, tempPath(t))
		steps := 0
		for _, q := range slices.Sorted(maps.Keys(queries)) {
			if !queries[q] {
				continue
			}
			plan, err := s.Plan(t.Context(), q)
			if err != nil {
				t.Errorf("explaining %s: %v", q, err)
			}
			for _, step := range plan {
				steps++
				if strings.HasPrefix(step, "SCAN") && step != "SCAN CONSTANT ROW" || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") {
					t.Errorf("%s\nis run with %q, want an index search", q, step)
				}
			}
		}
		if len(queries) < 100 || steps < 100 {
			t.Errorf("only %d statements with %d steps were looked at", len(queries), steps)
		}
		t.Logf("%d statements, %d steps, none scans a table", len(queries), steps)
	})
}

var now = time.Now().UTC().Truncate(time.Millisecond)

func record(name string) makerguard.VaultRecord {
	return makerguard.VaultRecord{ManufacturerID: "mfr_a", Name: name, Sealed: []byte("sealed"), CreatedAt: now, UpdatedAt: now}
}

func put(t *testing.T, s *sqlite.Store, name string) {
	t.Helper()
	if _, _, err := s.PutRecord(t.Context(), record(name)); err != nil {
		t.Fatalf("PutRecord(%q): %v", name, err)
	}
}

func wantRecords(t *testing.T, s *sqlite.Store, want ...string) {
	t.Helper()
	list, err := s.Records(t.Context(), "mfr_a", "", 1000)
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Records = %q, want %q", got, want)
	}
}

// wantUnavailable checks for StoreUnavailable and for what the message advises.
func wantUnavailable(t *testing.T, err error, advice string) {
	t.Helper()
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.StoreUnavailable || !strings.Contains(e.Message, advice) {
		t.Errorf("error = %v, want %s with %q in its message", err, makerguard.StoreUnavailable, advice)
	}
}

func TestErrors_SayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		err    error
		advice string
	}{
		{&fs.PathError{Op: "open", Path: "p", Err: syscall.ENOSPC}, "disk is full"},
		{&fs.PathError{Op: "open", Path: "p", Err: syscall.EROFS}, "writable"},
		{&fs.PathError{Op: "open", Path: "p", Err: syscall.EACCES}, "writable"},
		{&fs.PathError{Op: "open", Path: "p", Err: syscall.ENOTDIR}, "cannot be opened"},
		{context.DeadlineExceeded, "Try again"},
		{sql.ErrConnDone, "closed"},
	} {
		err := sqlite.WhenFailing("testing", fmt.Errorf("wrapped: %w", test.err))
		wantUnavailable(t, err, test.advice)
		if !errors.Is(err, test.err) {
			t.Errorf("%v lost its cause %v", err, test.err)
		}
	}
	if err := sqlite.WhenFailing("testing", errors.New("unforeseen")); makerguard.CodeOf(err) != makerguard.Internal {
		t.Errorf("an unforeseen error became %v, want %s", err, makerguard.Internal)
	}
	s := openAt(t, tempPath(t))
	if err := s.Write(t.Context(), func(exec sqlite.Exec) error { return exec(`PRAGMA query_only = 1`) }); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.PutRecord(t.Context(), record("one"))
	wantUnavailable(t, err, "writable")
}

func TestChanges_WhoSleptTooLongIsToldAll(t *testing.T) {
	at := now
	s := openWith(t, sqlite.Config{Path: tempPath(t), Now: func() time.Time { return at }})
	ctx := t.Context()
	for _, id := range []makerguard.ManufacturerID{"mfr_a", "mfr_b"} {
		if err := s.EnsureManufacturer(ctx, makerguard.Manufacturer{ID: id, CreatedAt: at, UpdatedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	_, virgin, err := s.Changes(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for version := range uint32(2) {
		if err := s.AddKey(ctx, makerguard.WrappedKey{Version: version + 1, CreatedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutRuleSet(ctx, makerguard.RuleSet{ManufacturerID: "mfr_a", Version: 1, UpdatedAt: at}); err != nil {
		t.Fatal(err)
	}
	first, second, third := makerguard.Cursor("1"), makerguard.Cursor("2"), makerguard.Cursor("3")
	keys := makerguard.Change{Kind: makerguard.KeysChanged}
	rules := makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: "mfr_a"}
	all := []makerguard.Change{
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_a"},
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_b"},
		keys,
		rules,
		{Kind: makerguard.PolicyChanged},
		{Kind: makerguard.BlocksChanged},
	}
	check := func(what string, after makerguard.Cursor, want []makerguard.Change) {
		t.Helper()
		got, next, err := s.Changes(ctx, after)
		if err != nil || !slices.Equal(got, want) || next != third {
			t.Errorf("%s: Changes(%q) = %+v, %q, %v, want %+v, %q", what, after, got, next, err, want, third)
		}
	}
	check("before", virgin, []makerguard.Change{keys, keys, rules})

	at = at.Add(time.Hour) // the entries are just as old as the feed goes back
	if err := s.DeleteExpired(ctx, at, at.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("at the border", virgin, []makerguard.Change{keys, keys, rules})

	at = at.Add(time.Millisecond)
	if err := s.DeleteExpired(ctx, at, at.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("from the start, which is gone", virgin, all)
	check("from an entry that is gone", first, all)
	check("from another that is gone", second, all)
	check("from the newest, which stays", third, nil)
	check("from the future, for the file was replaced", "99", all)

	for _, bad := range []makerguard.Cursor{"x", "-1", "1.5", "9999999999999999999999"} {
		if _, _, err := s.Changes(ctx, bad); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Changes(%q) = %v, want %s", bad, err, makerguard.ValidationFailed)
		}
	}
}

// A request repeated over the turn of the month is the same request.
func TestSpend_AKeyHoldsOverTheTurnOfThePeriod(t *testing.T) {
	s := openAt(t, tempPath(t))
	k := makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: makerguard.APICalls, Start: now}
	for _, replayed := range []bool{false, true} {
		got, err := s.Spend(t.Context(), makerguard.SpendRequest{CounterKey: k, Limit: 9, Amount: 2, Idempotency: "key", Now: now, KeepUntil: now.Add(time.Hour)})
		if want := (makerguard.SpendResult{Spent: true, Used: 2, Replayed: replayed}); err != nil || got != want {
			t.Errorf("Spend = %+v, %v, want %+v", got, err, want)
		}
		k.Start = k.Start.AddDate(0, 1, 0)
	}
}

// A database file that is copied after a graceful stop is whole, without its log.
func TestClose_LeavesOneWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "makerguard.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	m := makerguard.Manufacturer{ID: "mfr_1", CompanyName: "Lunettes", Tier: makerguard.TierFree, Status: makerguard.StatusActive}
	if err := s.EnsureManufacturer(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Manufacturer(t.Context(), m.ID); err != nil { // a reader is open now
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of the write-ahead log = %v, want none left", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(whole, []byte("Lunettes")) {
		t.Error("the database file lacks what was stored")
	}
}
