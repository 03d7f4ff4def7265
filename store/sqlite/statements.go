package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
)

// scanner is a row, of one or of many.
type scanner interface {
	Scan(dest ...any) error
}

// scanFunc is a query for one row that runs when it is scanned.
type scanFunc func(dest ...any) error

func (f scanFunc) Scan(dest ...any) error { return f(dest...) }

// preparer is a pool of connections or one of them.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// statements runs SQL through statements that are prepared at first use and kept. Texts
// are constants of this package, so there are only so many. It is safe for concurrent use.
type statements struct {
	db preparer

	mu       sync.RWMutex
	prepared map[string]*sql.Stmt

	inUse  sync.RWMutex // held for reading while a statement runs
	closed bool

	ran atomic.Int64 // statements run so far
}

func newStatements(db preparer) *statements {
	return &statements{db: db, prepared: make(map[string]*sql.Stmt)}
}

// close waits for the statements that run and releases all; later ones fail with
// sql.ErrConnDone.
func (s *statements) close() {
	s.inUse.Lock()
	defer s.inUse.Unlock()
	s.closed = true
	for _, st := range s.prepared {
		_ = st.Close() // it wrote nothing that could be lost
	}
}

// use runs fn with the prepared query.
func (s *statements) use(ctx context.Context, query string, fn func(*sql.Stmt) error) error {
	s.inUse.RLock()
	defer s.inUse.RUnlock()
	if s.closed {
		return sql.ErrConnDone
	}
	st, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	s.ran.Add(1)
	return fn(st)
}

func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.RLock()
	st, ok := s.prepared[query]
	s.mu.RUnlock()
	if ok {
		return st, nil
	}
	st, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.prepared[query]; ok {
		return other, st.Close() //nolint:sqlclosecheck // another caller prepared it first
	}
	s.prepared[query] = st
	return st, nil
}

// row gives the one row of a query; Scan returns sql.ErrNoRows if there is none.
func (s *statements) row(ctx context.Context, query string, args ...any) scanner {
	return scanFunc(func(dest ...any) error {
		return s.use(ctx, query, func(st *sql.Stmt) error {
			return st.QueryRowContext(ctx, args...).Scan(dest...)
		})
	})
}

// rows runs a query and calls each for every row.
func (s *statements) rows(ctx context.Context, each func(scanner) error, query string, args ...any) error {
	return s.use(ctx, query, func(st *sql.Stmt) error {
		rows, err := st.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := each(rows); err != nil {
				return errors.Join(err, rows.Close()) //nolint:sqlclosecheck // the error of closing matters too
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	})
}

// list runs a query and returns its rows, each scanned to where into says.
func list[T any](ctx context.Context, on *statements, into func(*T) []any, query string, args ...any) ([]T, error) {
	var all []T
	err := on.rows(ctx, func(row scanner) error {
		var v T
		err := row.Scan(into(&v)...)
		all = append(all, v)
		return err
	}, query, args...)
	return all, err
}

// itself is where a row of one column goes.
func itself[T any](v *T) []any { return []any{v} }

// exec runs a statement and returns how many rows it changed.
func (s *statements) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = s.use(ctx, query, func(st *sql.Stmt) error {
		res, err := st.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		changed, err = res.RowsAffected()
		return err
	})
	return changed, err
}
