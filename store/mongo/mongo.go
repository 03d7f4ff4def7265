// Package mongo is the store for when one machine is too small: a MongoDB, or a server that
// speaks its protocol, shared by as many nodes as there are.
//
// It asks for the atomicity of one document and for no more: no transactions of several
// documents, no change streams. What concerns several documents is written in an order
// in which a crash at any point leaves either nothing that is seen or something that the
// next call, or the next start, completes; each such order is told beside the method. What nodes must
// learn of each other stands in the changed document itself, so that no announcement
// can be lost (see feed.go).
//
// The server's clock, not the nodes', orders what must be ordered. Whoever can write to the
// database can do anything; give it users and TLS of its own.
//
//	s, err := mongo.Open(ctx, mongo.Config{URI: "mongodb://localhost:27017/eyewear_ml"})
//	...
//	defer s.Close()
package mongo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/makerguard/makerguard"
)

const (
	// DefaultURI is used if Config has none.
	DefaultURI makerguard.Secret = "mongodb://localhost:27017/"
	// DefaultDatabase is used if the URI's path names none.
	DefaultDatabase = "eyewear_ml"
)

// Config says which database to use.
type Config struct {
	// URI of the server, as its drivers take it: mongodb://user:password@host:27017/database?tls=true.
	// Default DefaultURI. Its options override the defaults of this package, but for
	// what would weaken its promises: writes and reads of the majority, on the primary, and
	// TLS to other machines, which only tls=false turns off. Its path names the database,
	// else DefaultDatabase.
	URI makerguard.Secret
	// Logger is told what an operator should know. Default none.
	Logger *slog.Logger
	// Now is the clock for repairs. Default time.Now.
	Now func() time.Time
	// Examine opens the database as it is, for Doctor: nothing is made or repaired.
	Examine bool
	// Observer is told of every command and of the connections. Default none.
	Observer Observer
	// TracerProvider gets a span for each command. Default is OpenTelemetry's global one.
	TracerProvider trace.TracerProvider

	watch func(*event.CommandStartedEvent) // sees every command; nil but in tests
}

// Store is a store.Store over MongoDB. It is safe for concurrent use.
type Store struct {
	client  *mongo.Client
	db      *mongo.Database
	logger  *slog.Logger
	now     func() time.Time
	timeout time.Duration // of one operation
	circuit *circuit
	turns   *turns
	close   func() error
	step    func(name string) error // stops between two writes; nil but in tests
}

const (
	// startTimeout is how long Open waits for a server.
	startTimeout = 10 * time.Second
	// ensureTimeout is how long Open waits for indexes over many documents.
	ensureTimeout = 30 * time.Minute
)

// Open connects to the database and makes sure that it has the collections, validators and
// indexes of this version, then completes what a crash left half done. When all is there it
// takes four round trips, so nodes start fast; any number of them may do it at once.
//
// It returns StoreUnavailable, within ten seconds, if the server cannot be reached or does not
// let the user in, ValidationFailed for a URI that cannot be used, and Conflict if an index has
// the right name and another definition. Messages say what to do and never hold the password.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.URI == "" {
		c.URI = DefaultURI
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	opts, err := clientOptions(c.URI)
	if err != nil {
		return nil, err
	}
	warnOfRisk(ctx, c.Logger, opts)
	database := databaseOf(c.URI)
	breaker := newCircuit(time.Now)
	monitors{
		observer: c.Observer,
		tracer:   c.TracerProvider.Tracer(scope),
		database: database,
		circuit:  breaker,
		watch:    c.watch,
	}.attach(opts)
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, startError(opts, err)
	}
	s := &Store{
		client: client, db: client.Database(database), logger: c.Logger, now: c.Now,
		timeout: *opts.Timeout, circuit: breaker, turns: newTurns(),
	}
	s.close = sync.OnceValue(s.disconnect)
	if err := s.prepare(ctx, c.Examine); err != nil {
		return nil, errors.Join(startError(opts, err), s.Close())
	}
	return s, nil
}

// prepare brings the database to where the methods need it, or only reaches it.
func (s *Store) prepare(ctx context.Context, examine bool) error {
	reach, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.client.Ping(reach, nil); err != nil {
		return storeError("reaching the server", err)
	}
	if examine {
		return nil
	}
	build, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	if err := s.ensure(build); err != nil {
		return err
	}
	return s.repair(ctx)
}

// collection gives a collection by the name that its schema declares.
func (s *Store) collection(name string) documents {
	return documents{Collection: s.db.Collection(name), timeout: s.timeout, circuit: s.circuit}
}

// run runs a command that no method of documents stands for.
func (s *Store) run(ctx context.Context, command bson.D) *mongo.SingleResult {
	return guardedOne(ctx, s.timeout, s.circuit, func(ctx context.Context) *mongo.SingleResult {
		return s.db.RunCommand(ctx, command)
	})
}

// at stands between two writes of one method, where the process may die.
func (s *Store) at(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// Ping returns StoreUnavailable if the server does not answer.
func (s *Store) Ping(ctx context.Context) error {
	_, err := guarded(ctx, s.timeout, s.circuit, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.client.Ping(ctx, nil)
	})
	return storeError("pinging", err)
}

// Close waits for what is under way, for ten seconds at most, and ends the connections.
// Methods called later return StoreUnavailable; a second Close does nothing.
func (s *Store) Close() error { return s.close() }

func (s *Store) disconnect() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return storeError("disconnecting", s.client.Disconnect(ctx))
}
