package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/makerguard/makerguard"
)

// StopAt has s stop with an error at a step between two writes, as if the process had died
// there. The empty name stops nowhere.
func (s *Store) StopAt(stop func(step string) error) { s.step = stop }

// Database is what s keeps its documents in.
func (s *Store) Database() *mongo.Database { return s.db }

// Overlap is how far the feed looks back.
func (s *Store) Overlap() time.Duration { return s.overlap() }

// Watching is c with a watch over every command.
func (c Config) Watching(watch func(*event.CommandStartedEvent)) Config {
	c.watch = watch
	return c
}

// WhenFailing is storeError.
var WhenFailing = storeError

// WhenCreating is createError.
var WhenCreating = createError

// Collections lists the names of all collections.
func Collections() []string {
	var names []string
	for _, c := range schema() {
		names = append(names, c.name)
	}
	return names
}

// ClientOptions is clientOptions.
var ClientOptions = clientOptions

// DatabaseOf is databaseOf.
var DatabaseOf = databaseOf

// CursorRoundTrip parses a cursor and writes it down again.
func CursorRoundTrip(c makerguard.Cursor) (makerguard.Cursor, bool) {
	p, ok := parseCursor(c)
	if !ok {
		return "", false
	}
	return p.cursor(), true
}

// Circuit is a circuit for tests, by a clock of their own.
type Circuit struct{ c *circuit }

// NewCircuit makes a closed one.
func NewCircuit(now func() time.Time) Circuit { return Circuit{newCircuit(now)} }

// Seen tells it what the driver sees.
func (c Circuit) Seen(yes bool) { c.c.seen(yes) }

// Do runs op through it.
func (c Circuit) Do(ctx context.Context, op func() error) error {
	_, err := guarded(ctx, time.Hour, c.c, func(context.Context) (struct{}, error) { return struct{}{}, op() })
	return err
}

// Turns gives a function that runs fn in its turn among those with the same value.
func Turns() func(ctx context.Context, value string, fn func() error) error { return newTurns().do }
