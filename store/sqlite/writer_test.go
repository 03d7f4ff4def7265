package sqlite_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/sqlite"
)

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
