package sqlite

import (
	"context"
	"maps"
	"slices"
)

// Exec runs one statement in the writer's transaction.
type Exec func(query string, args ...any) error

// Write runs fn as an intent.
func (s *Store) Write(ctx context.Context, fn func(Exec) error) error {
	return s.write(ctx, "testing", func(t tx) error {
		return fn(func(query string, args ...any) error {
			_, err := t.exec(query, args...)
			return err
		})
	})
}

// Queued tells how many intents wait for the writer.
func (s *Store) Queued() int { return len(s.writer.queue) }

// Number reads one number on the writer's connection.
func (s *Store) Number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.write(ctx, "testing", func(t tx) error { return t.row(query, args...).Scan(&n) })
	return n, err
}

// Queries lists the statements that were prepared so far.
func (s *Store) Queries() []string {
	var list []string
	for _, on := range []*statements{s.read, s.writer.on} {
		on.mu.RLock()
		list = slices.AppendSeq(list, maps.Keys(on.prepared))
		on.mu.RUnlock()
	}
	return list
}

// Plan tells how SQLite runs a query.
func (s *Store) Plan(ctx context.Context, query string) ([]string, error) {
	var plan []string
	err := s.read.rows(ctx, func(row scanner) error {
		var (
			id, parent, unused int
			step               string
		)
		err := row.Scan(&id, &parent, &unused, &step)
		plan = append(plan, step)
		return err
	}, `EXPLAIN QUERY PLAN `+query, make([]any, 32)...)
	return plan, err
}

// WhenFailing is storeError.
var WhenFailing = storeError

// Alter runs statements on the writer's connection, outside of any transaction.
func (s *Store) Alter(ctx context.Context, queries ...string) error {
	for _, q := range queries {
		if _, err := s.writer.conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
