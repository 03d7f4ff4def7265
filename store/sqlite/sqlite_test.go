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
	"runtime"
	"slices"
	"strings"
	"sync"
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
	queries := make(map[string]bool)
	storetest.Run(t, func(t *testing.T) store.Store {
		s := openAt(t, tempPath(t))
		t.Cleanup(func() {
			for _, q := range s.Queries() {
				queries[q] = true
			}
		})
		return s
	})
	t.Run("Plans", func(t *testing.T) {
		if len(queries) == 0 {
			t.Skip("the suite was left out, so there is nothing to look at")
		}
		s := openAt(t, tempPath(t))
		steps := 0
		for _, q := range slices.Sorted(maps.Keys(queries)) {
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
		if len(queries) < 60 || steps < 60 {
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

func TestOpen_KeepsWhatWasAcknowledged(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	put(t, s, "one")
	_, cursor, err := s.Changes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddKey(t.Context(), makerguard.WrappedKey{ManufacturerID: "mfr_a", Version: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	s = openAt(t, path)
	wantRecords(t, s, "one")
	// A cursor outlives the process, too.
	got, _, err := s.Changes(t.Context(), cursor)
	if want := []makerguard.Change{{Kind: makerguard.KeysChanged, ManufacturerID: "mfr_a"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Changes = %+v, %v, want %+v", got, err, want)
	}
}

func TestOpen_OnlyTheOwnerCanRead(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	put(t, s, "one")
	check := func(path string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
	check(filepath.Dir(path), 0o700)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		check(path+suffix, 0o600)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	put(t, openAt(t, path), "two")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		check(path+suffix, 0o600)
	}
}

func TestOpen_IsDurable(t *testing.T) {
	s := openAt(t, tempPath(t))
	for pragma, want := range map[string]int64{"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "trusted_schema": 0} {
		if got, err := s.Number(t.Context(), "PRAGMA "+pragma); got != want || err != nil {
			t.Errorf("PRAGMA %s = %d, %v, want %d", pragma, got, err, want)
		}
	}
}

func TestOpen_OddPaths(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "100%41", "ü", "a&b=c"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		put(t, openAt(t, path), "one")
		if _, err := os.Stat(path); err != nil {
			t.Errorf("Open(%q) did not make the file: %v", name, err)
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("file", "no directory")
	for _, test := range []struct {
		name, path string
		code       makerguard.Code
		message    string
	}{
		{"no path", "", makerguard.ValidationFailed, "name its database file"},
		{"a file where the directory should be", filepath.Join(dir, "file", "makerguard.db"), makerguard.StoreUnavailable, "cannot be opened"},
		{"a directory where the file should be", dir, makerguard.StoreUnavailable, "cannot be opened"},
		{"a file that is no database", file("garbage.db", strings.Repeat("not a database ", 100)), makerguard.StoreUnavailable, "no makerguard database"},
	} {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: test.path})
		if err == nil {
			t.Errorf("%s: Open succeeded", test.name)
			_ = s.Close()
			continue
		}
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != test.code || !strings.Contains(e.Message, test.message) {
			t.Errorf("%s: Open = %v, want %s with %q in its message", test.name, err, test.code, test.message)
		}
	}
}

func TestOpen_RefusesWhatItCannotWrite(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everything")
	}
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "makerguard.db")
	s := openAt(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path string }{
		{"a new file in a read-only directory", filepath.Join(dir, "other.db")},
		{"a file in a read-only directory", path},
	} {
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Run(test.name, func(t *testing.T) {
			_, err := sqlite.Open(t.Context(), sqlite.Config{Path: test.path})
			wantUnavailable(t, err, "cannot be")
		})
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_RefusesANewerSchema(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	put(t, s, "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if !errors.Is(err, makerguard.Conflict) || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("Open = %v, want Conflict that names the schema", err)
	}
	var version int
	if err := db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version); err != nil || version != 99 {
		t.Errorf("user_version = %d, %v, want the 99 it was", version, err)
	}
}

func TestOpen_ManyAtOnce(t *testing.T) {
	path := tempPath(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s := openAt(t, path)
			if _, _, err := s.PutRecord(t.Context(), record(fmt.Sprint(i))); err != nil {
				t.Errorf("PutRecord: %v", err)
			}
		})
	}
	wg.Wait()
	wantRecords(t, openAt(t, path), "0", "1", "2", "3", "4", "5")
}

// held makes the writer wait until the function returned is called, so that what is
// queued meanwhile is one batch.
func held(t *testing.T, s *sqlite.Store) (release func()) {
	t.Helper()
	started, gate := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Write(t.Context(), func(sqlite.Exec) error {
			close(started)
			<-gate
			return nil
		}); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
	<-started
	return func() {
		close(gate)
		wg.Wait()
	}
}

// batch runs the intents in one batch and returns their errors.
func batch(t *testing.T, s *sqlite.Store, intents ...func() error) []error {
	t.Helper()
	release := held(t, s)
	errs := make([]error, len(intents))
	var wg sync.WaitGroup
	for i, intent := range intents {
		wg.Go(func() { errs[i] = intent() })
		for s.Queued() <= i { // so that they keep their order
			runtime.Gosched()
		}
	}
	release()
	wg.Wait()
	return errs
}

func putting(ctx context.Context, s *sqlite.Store, name string) func() error {
	return func() error {
		_, _, err := s.PutRecord(ctx, record(name))
		return err
	}
}

func TestWrite_AFailureUndoesOnlyItself(t *testing.T) {
	s := openAt(t, tempPath(t))
	failure := errors.New("failed half-way")
	errs := batch(t, s,
		putting(t.Context(), s, "one"),
		func() error {
			return s.Write(t.Context(), func(exec sqlite.Exec) error {
				return errors.Join(exec(`DELETE FROM vault_records`), exec(`UPDATE audit_heads SET seq = 7`), failure)
			})
		},
		putting(t.Context(), s, "two"),
	)
	if errs[0] != nil || !errors.Is(errs[1], failure) || makerguard.CodeOf(errs[1]) != makerguard.Internal || errs[2] != nil {
		t.Errorf("errors = %v, want that of the second alone", errs)
	}
	wantRecords(t, s, "one", "two")
}

// What an intent saw in a batch that was not committed never was, so even its refusal
// must not be told.
func TestWrite_AFailedCommitAnswersUnavailableToAll(t *testing.T) {
	s := openAt(t, tempPath(t))
	put(t, s, "before")
	errs := batch(t, s,
		putting(t.Context(), s, "one"),
		func() error { return s.DeleteRecord(t.Context(), "mfr_a", "none") },
		func() error {
			return s.Write(t.Context(), func(exec sqlite.Exec) error { // a broken reference that COMMIT finds
				return errors.Join(exec(`PRAGMA defer_foreign_keys = 1`),
					exec(`INSERT INTO members (manufacturer_id, id, email, email_key, name, role, grants, status, password_hash, password_short, totp_last_step, recovery_codes, created_at, updated_at)
						VALUES ('none', 'm', '', 'k', '', '', '[]', '', '', 0, 0, '[]', 0, 0)`))
			})
		},
	)
	for _, err := range errs {
		wantUnavailable(t, err, "")
	}
	wantRecords(t, s, "before")
	put(t, s, "after")
	wantRecords(t, s, "after", "before")
}

func TestWrite_WhoLeftIsNotServed(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx, cancel := context.WithCancel(t.Context())
	release := held(t, s)
	done := make(chan error)
	go func() { done <- putting(ctx, s, "late")() }()
	for s.Queued() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("PutRecord = %v, want the context's error as StoreUnavailable", err)
	}
	release()
	put(t, s, "one")
	wantRecords(t, s, "one")
}

func TestClose_ServesWhoWaits(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	closed := make(chan error, 1)
	errs := batch(t, s, putting(t.Context(), s, "one"), putting(t.Context(), s, "two"))
	release := held(t, s)
	var wg sync.WaitGroup
	wg.Go(func() { errs = append(errs, putting(t.Context(), s, "three")()) })
	for s.Queued() == 0 {
		runtime.Gosched()
	}
	go func() { closed <- s.Close() }()
	release()
	wg.Wait()
	if err := errors.Join(append(errs, <-closed)...); err != nil {
		t.Errorf("errors = %v, want none", err)
	}
	wantRecords(t, openAt(t, path), "one", "three", "two")
}

func TestWrite_AFullDiskHeals(t *testing.T) {
	s := openAt(t, tempPath(t))
	put(t, s, "one")
	pages := func(query string) {
		t.Helper()
		if _, err := s.Number(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	pages(`PRAGMA max_page_count = 1`) // means: as many as there are
	big := record("big")
	big.Sealed = make([]byte, 1<<20)
	_, _, err := s.PutRecord(t.Context(), big)
	wantUnavailable(t, err, "disk is full")
	wantRecords(t, s, "one")
	pages(`PRAGMA max_page_count = 1000000`)
	put(t, s, "two")
	wantRecords(t, s, "one", "two")
}

func TestWrite_AnotherProcessWrites(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	put(t, s, "one")
	if _, err := s.Number(t.Context(), `PRAGMA busy_timeout = 1`); err != nil {
		t.Fatal(err)
	}
	other, err := raw(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`BEGIN IMMEDIATE`, `DELETE FROM vault_records`} {
		if _, err := other.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = s.PutRecord(t.Context(), record("two"))
	wantUnavailable(t, err, "busy")
	if e, ok := errors.AsType[*makerguard.Error](err); !ok || e.RetryAfter <= 0 {
		t.Errorf("error = %v, want one that says when to try again", err)
	}
	wantRecords(t, s, "one") // readers do not wait
	if _, err := other.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	put(t, s, "two")
	if err := other.Close(); err != nil {
		t.Fatal(err)
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
	for version := range uint32(3) {
		if err := s.AddKey(ctx, makerguard.WrappedKey{Version: version + 1, CreatedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := makerguard.Cursor("1"), makerguard.Cursor("2"), makerguard.Cursor("3")
	keys := makerguard.Change{Kind: makerguard.KeysChanged}
	all := []makerguard.Change{
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_a"},
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_b"},
		keys,
	}
	check := func(what string, after makerguard.Cursor, want []makerguard.Change) {
		t.Helper()
		got, next, err := s.Changes(ctx, after)
		if err != nil || !slices.Equal(got, want) || next != third {
			t.Errorf("%s: Changes(%q) = %+v, %q, %v, want %+v, %q", what, after, got, next, err, want, third)
		}
	}
	check("before", virgin, []makerguard.Change{keys, keys, keys})

	at = at.Add(time.Hour) // the entries are just as old as the feed goes back
	if err := s.DeleteExpired(ctx, at, at.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("at the border", virgin, []makerguard.Change{keys, keys, keys})

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

func TestDeleteExpired_IsBounded(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx := t.Context()
	if err := s.Write(ctx, func(exec sqlite.Exec) error {
		return exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10700)
			INSERT INTO challenges SELECT CAST(i AS BLOB), '', '', '', '', '', '', 0, 0, 0 FROM n`)
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{700, 0} {
		if err := s.DeleteExpired(ctx, now, now); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Number(ctx, `SELECT COUNT(*) FROM challenges`); got != want || err != nil {
			t.Errorf("%d challenges left, %v, want %d", got, err, want)
		}
	}
}

func TestDeleteExpired_ForgetsIdempotencyKeys(t *testing.T) {
	s := openAt(t, tempPath(t))
	ctx := t.Context()
	k := makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: makerguard.APICalls, Start: now}
	for key, until := range map[string]time.Time{"old": now, "new": now.Add(time.Millisecond)} {
		if _, err := s.Spend(ctx, makerguard.SpendRequest{CounterKey: k, Limit: 9, Amount: 1, Idempotency: key, Now: now.Add(-time.Hour), KeepUntil: until}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteExpired(ctx, now, now); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Number(ctx, `SELECT COUNT(*) FROM usage_keys WHERE key = 'new'`); got != 1 || err != nil {
		t.Errorf("%d live keys left, %v, want 1", got, err)
	}
	if got, err := s.Number(ctx, `SELECT COUNT(*) FROM usage_keys`); got != 1 || err != nil {
		t.Errorf("%d keys left, %v, want 1", got, err)
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

func TestQuota_RangesAreChecked(t *testing.T) {
	s := openAt(t, tempPath(t))
	const most = 1<<63 - 1
	k := makerguard.CounterKey{ManufacturerID: "mfr_a", Meter: makerguard.APICalls, Start: now}
	for _, r := range []makerguard.SpendRequest{{Amount: 0, Limit: 5}, {Amount: -1, Limit: 5}, {Amount: 1, Limit: -2}} {
		r.CounterKey, r.Now = k, now
		if _, err := s.Spend(t.Context(), r); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Spend(%+v) = %v, want %s", r, err, makerguard.ValidationFailed)
		}
	}
	for _, r := range []makerguard.LeaseRequest{{Spent: -1}, {Return: -1}, {Need: -1}, {Need: 2, Want: 1}, {Limit: -2}} {
		r.CounterKey, r.Now = k, now
		if _, err := s.Lease(t.Context(), r); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Lease(%+v) = %v, want %s", r, err, makerguard.ValidationFailed)
		}
	}
	for _, want := range []bool{true, false} { // a count that would overflow is refused
		got, err := s.Spend(t.Context(), makerguard.SpendRequest{CounterKey: k, Limit: makerguard.Unlimited, Amount: most - 1, Now: now})
		if err != nil || got.Spent != want || got.Used != most-1 {
			t.Errorf("Spend = %+v, %v, want Spent %v", got, err, want)
		}
	}
	got, err := s.Lease(t.Context(), makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: makerguard.Unlimited, Need: 1, Want: most, Now: now})
	if want := (makerguard.LeaseResult{Granted: 1, Taken: most, Spent: most - 1}); err != nil || got != want {
		t.Errorf("Lease = %+v, %v, want %+v", got, err, want)
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
