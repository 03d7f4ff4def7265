package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

const (
	// queueSize is how many intents may wait; more wait in their callers.
	queueSize = 1024
	// maxBatch is how many intents one commit carries, so that none waits long for the others.
	maxBatch = 256
)

// tx is the writer's transaction as an intent sees it. An intent that was started runs
// to its end, whatever becomes of its caller's context.
type tx struct{ on *statements }

func (t tx) row(query string, args ...any) scanner {
	return t.on.row(context.Background(), query, args...)
}

func (t tx) exec(query string, args ...any) (int64, error) {
	return t.on.exec(context.Background(), query, args...)
}

// must runs a statement that is to change something, and returns refused if it did not.
func (t tx) must(refused error, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err == nil && n == 0 {
		return refused
	}
	return err
}

// The states of an intent.
const (
	waiting   int32 = iota
	started         // the writer has it
	abandoned       // its caller has gone, so the writer must not touch it
)

// intent is one atomic change that waits for the writer.
type intent struct {
	run   func(tx) error
	state atomic.Int32
	err   error         // set before done is closed
	done  chan struct{} // closed when the intent is committed or has failed
}

// writer owns the one connection that writes. Its goroutine takes all intents that
// wait, runs each in a savepoint of one transaction, commits, and only then answers:
// many callers share one sync of the disk, and none hears of success before it.
type writer struct {
	db      *sql.DB
	conn    *sql.Conn
	on      *statements
	logger  *slog.Logger
	queue   chan *intent
	stopped chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // held for reading while sending on queue, for writing to close it
	closed bool

	changes, commits atomic.Int64 // so far
}

func newWriter(db *sql.DB, conn *sql.Conn, logger *slog.Logger) *writer {
	w := &writer{
		db: db, conn: conn, on: newStatements(conn), logger: logger,
		queue: make(chan *intent, queueSize), stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do queues run and waits until it is committed or has failed. If ctx ends before the
// writer has started it, it is not run at all.
func (w *writer) do(ctx context.Context, run func(tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	it := &intent{run: run, done: make(chan struct{})}
	if err := w.enqueue(ctx, it); err != nil {
		return err
	}
	select {
	case <-it.done:
	case <-ctx.Done():
		if it.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		<-it.done // under way: the caller must learn how it ended
	}
	return it.err
}

func (w *writer) enqueue(ctx context.Context, it *intent) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return sql.ErrConnDone
	}
	select {
	case w.queue <- it:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close lets the writer finish what is queued, and releases its connection.
func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		<-w.stopped
		return nil
	}
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.stopped
	w.on.close() // SQLite keeps a connection open that has statements
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) loop() {
	defer close(w.stopped)
	batch := make([]*intent, 0, maxBatch)
	for first := range w.queue {
		batch = w.collect(append(batch[:0], first))
		if err := w.transact(batch); err != nil {
			// Nothing of the batch was stored. Intents that failed by themselves are told the
			// same, for what they saw may have been what others of the batch wrote.
			w.logger.Error("a commit failed", slog.Int("intents", len(batch)), slog.Any("error", err))
			err = unavailable("committing", err)
			for _, it := range batch {
				it.err = err
			}
		}
		for _, it := range batch {
			close(it.done)
		}
		clear(batch)
	}
}

// collect adds the intents that wait to batch, and leaves out those whose callers have gone.
func (w *writer) collect(batch []*intent) []*intent {
	for len(batch) < maxBatch {
		select {
		case it, ok := <-w.queue:
			if !ok {
				return start(batch)
			}
			batch = append(batch, it)
		default:
			return start(batch)
		}
	}
	return start(batch)
}

// start keeps the intents that now belong to the writer.
func start(batch []*intent) []*intent {
	kept := batch[:0]
	for _, it := range batch {
		if it.state.CompareAndSwap(waiting, started) {
			kept = append(kept, it)
		}
	}
	return kept
}

// transact runs the batch in one transaction. An intent that fails is undone alone. An
// error means that nothing of the batch was stored.
func (w *writer) transact(batch []*intent) (err error) {
	if len(batch) == 0 {
		return nil
	}
	t := tx{w.on}
	// IMMEDIATE takes the write lock at once, waiting for other processes; a lock that is
	// taken later could not be waited for.
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// SQLite may have rolled back by itself, so that this fails: either way no
			// transaction is left open.
			_, _ = t.exec(`ROLLBACK`)
		}
	}()
	for _, it := range batch {
		if _, err := t.exec(`SAVEPOINT intent`); err != nil {
			return err
		}
		it.err = it.run(t)
		if it.err != nil {
			if _, err := t.exec(`ROLLBACK TO intent`); err != nil {
				return errors.Join(it.err, err)
			}
		}
		if _, err := t.exec(`RELEASE intent`); err != nil {
			return err
		}
	}
	_, err = t.exec(`COMMIT`)
	w.changes.Add(int64(len(batch)))
	w.commits.Add(1)
	return err
}

// write runs one atomic change and returns its error with a code.
func (s *Store) write(ctx context.Context, doing string, run func(tx) error) error {
	return storeError(doing, s.writer.do(ctx, run))
}
