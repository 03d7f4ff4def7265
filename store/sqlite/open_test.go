package sqlite_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/sqlite"
)

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
