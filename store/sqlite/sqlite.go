// Package sqlite is the embedded backend: store.Store in one SQLite file, without cgo.
//
// It promises that what a method acknowledged is there after kill -9 and after a power
// cut (write-ahead log, synced before every answer), that every method is one
// transaction, and that any number of processes may use one file at once. Writes go
// through one goroutine that commits all that wait in one transaction, so the cost of a
// sync is shared; readers never wait for it. Statements are fixed texts with bound
// parameters, prepared once.
//
// It does not encrypt: what must not be read from a stolen file is sealed before it
// comes here. It does not defend against somebody who can write the file, and a file
// on a network share may lose what it acknowledged.
//
//	s, err := sqlite.Open(ctx, sqlite.Config{Path: "data/makerguard.db"})
//	...
//	defer s.Close()
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"github.com/makerguard/makerguard"
)

// minReaders is how many connections read at once, at least: enough that one long list
// does not hold up the short look-ups on a small machine.
const minReaders = 4

// Config says where the store is.
type Config struct {
	// Path is the database file, such as DATA/makerguard.db. It is required. A file that is
	// not there is made, readable by its owner only, as is its directory.
	Path string
	// Logger is told of commits that failed and of what was wrong with the file. Default none.
	Logger *slog.Logger
	// Now is the clock by which old entries of the change feed are removed. Default time.Now.
	Now func() time.Time
}

// Store keeps everything in one SQLite file. Its methods are safe for concurrent use,
// by several processes too.
type Store struct {
	logger  *slog.Logger
	now     func() time.Time
	readers *sql.DB
	read    *statements
	writer  *writer
}

// Stats is what a Store did since it was opened.
type Stats struct {
	Queries int64 // run by readers
	Changes int64 // atomic changes, refused ones too
	Commits int64 // transactions, each with one sync of the disk, that carried them
}

// Stats tells what the store did so far.
func (s *Store) Stats() Stats {
	return Stats{Queries: s.read.ran.Load(), Changes: s.writer.changes.Load(), Commits: s.writer.commits.Load()}
}

// Open opens the store, brings its schema up to date and returns it ready for use. It
// returns StoreUnavailable if the file or its directory cannot be made, read or
// written, and Conflict if a newer version of makerguard wrote it; messages say what to do.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Path == "" {
		return nil, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The store has no path: name its database file."}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("finding the store: %w", err)
	}
	if err := createFile(ctx, path, c.Logger); err != nil {
		return nil, err
	}

	// journal_mode writes to the file, so a failure here says whether it can be used.
	db, err := openDB(path, "journal_mode(WAL)", "cache_size(-8192)")
	if err != nil {
		return nil, openError(path, err)
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(openError(path, err), db.Close())
	}
	if err := migrate(ctx, conn); err != nil {
		return nil, errors.Join(openError(path, err), conn.Close(), db.Close())
	}

	readers, err := openDB(path, "query_only(1)")
	if err != nil {
		return nil, errors.Join(openError(path, err), conn.Close(), db.Close())
	}
	n := max(minReaders, runtime.GOMAXPROCS(0))
	readers.SetMaxOpenConns(n)
	readers.SetMaxIdleConns(n)
	return &Store{
		logger:  c.Logger,
		now:     c.Now,
		readers: readers,
		read:    newStatements(readers),
		writer:  newWriter(db, conn, c.Logger),
	}, nil
}

// openDB prepares a pool of connections to the file at path, each set up with what all
// have in common and the pragmas given.
func openDB(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{
		// Mistakes in SQL and tampering through it are errors, not accommodated.
		"_dqs":       {"0"},
		"_defensive": {"1"},
		"_pragma": append([]string{
			"busy_timeout(5000)", // another process may be writing
			"synchronous(FULL)",  // sync the log at each commit
			"foreign_keys(1)",
			"trusted_schema(0)",
			"temp_store(MEMORY)",
			"journal_size_limit(67108864)", // bytes the log keeps after a burst
		}, pragmas...),
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// createFile makes an empty database file that only its owner can read, before SQLite
// would make it with the permissions the umask leaves. An existing file is never
// opened here: closing it would drop the locks SQLite holds on it in this process.
func createFile(ctx context.Context, path string, logger *slog.Logger) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return openError(path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(path)
		if err != nil {
			return openError(path, err)
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			logger.WarnContext(ctx, "the store's file could be read by other users; taking that away", slog.String("path", path))
			if err := os.Chmod(path, 0o600); err != nil {
				return openError(path, err)
			}
		}
		return nil
	}
	if err != nil {
		return openError(path, err)
	}
	if err := f.Close(); err != nil {
		return openError(path, err)
	}
	// The file's name must survive a power cut as its contents do.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncDir(d); err != nil {
			return openError(path, err)
		}
	}
	return nil
}

// syncDir makes the names in a directory durable where the system can do that. A
// directory that may not be read is not ours, so what leads to us in it is not new.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// Ping returns StoreUnavailable if the store does not answer.
func (s *Store) Ping(ctx context.Context) error {
	var version int
	return storeError("reading the schema version", s.read.row(ctx, `PRAGMA user_version`).Scan(&version))
}

// Close waits for the writes under way and releases the file. Methods called later
// return StoreUnavailable; a second Close does nothing. The writer's connection is the
// last to close, so that SQLite moves the write-ahead log into the database file, unless
// another process has it open.
func (s *Store) Close() error {
	s.read.close()
	return errors.Join(s.readers.Close(), s.writer.close())
}
