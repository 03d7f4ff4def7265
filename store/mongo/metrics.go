package mongo

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// scope names this package in traces.
const scope = "github.com/makerguard/makerguard/store/mongo"

// Observer is told what the store does, for metrics. Its methods are called on the way of
// every operation, from many goroutines at once: they must be quick.
type Observer interface {
	// Command is told of every command that the server answered or that failed: its name
	// ("find"), its collection ("" if it has none), how long it took and whether it
	// failed. A refused write, such as a duplicate, has not failed.
	Command(name, collection string, d time.Duration, failed bool)
	// Pool is told how many connections are open and how many of them in use, whenever
	// that changes.
	Pool(open, inUse int)
	// Wait is told how long an operation waited for a connection, and whether in vain.
	Wait(d time.Duration, failed bool)
}

// monitors ties the driver's events to the observer, the tracer and the circuit.
type monitors struct {
	observer Observer
	tracer   trace.Tracer
	database string
	circuit  *circuit
	watch    func(*event.CommandStartedEvent)
}

func (m monitors) attach(opts *options.ClientOptions) {
	commands := &commandMonitor{monitors: m, running: map[int64]runningCommand{}}
	opts.SetMonitor(&event.CommandMonitor{
		Started: commands.started,
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			commands.finished(&e.CommandFinishedEvent, nil)
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			commands.finished(&e.CommandFinishedEvent, e.Failure)
		},
	})
	opts.SetServerMonitor(&event.ServerMonitor{TopologyDescriptionChanged: m.circuit.watch})
	if m.observer != nil {
		opts.SetPoolMonitor(&event.PoolMonitor{Event: (&poolMonitor{observer: m.observer}).event})
	}
}

// commandMonitor keeps what is known of a command until it ends.
type commandMonitor struct {
	monitors

	mu      sync.Mutex
	running map[int64]runningCommand // by request id, which is unique in the process
}

type runningCommand struct {
	collection string
	span       trace.Span
}

// started begins a span as OpenTelemetry's conventions for databases have it. Of the command
// it takes the name and the collection, never values.
func (m *commandMonitor) started(ctx context.Context, e *event.CommandStartedEvent) {
	if m.watch != nil {
		m.watch(e)
	}
	collection := collectionOf(e)
	name := e.CommandName
	attributes := append(make([]attribute.KeyValue, 0, 5),
		attribute.String("db.system.name", "mongodb"),
		attribute.String("db.namespace", e.DatabaseName),
		attribute.String("db.operation.name", e.CommandName),
	)
	if collection != "" {
		name += " " + collection
		attributes = append(attributes, attribute.String("db.collection.name", collection))
	}
	_, span := m.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	m.mu.Lock()
	m.running[e.RequestID] = runningCommand{collection: collection, span: span}
	m.mu.Unlock()
}

func (m *commandMonitor) finished(e *event.CommandFinishedEvent, failure error) {
	m.mu.Lock()
	r, ok := m.running[e.RequestID]
	delete(m.running, e.RequestID)
	m.mu.Unlock()
	if !ok {
		return
	}
	if failure != nil {
		r.span.SetStatus(codes.Error, "")
		r.span.SetAttributes(attribute.String("error.type", errorType(failure)))
	}
	r.span.End()
	if m.observer != nil {
		m.observer.Command(e.CommandName, r.collection, e.Duration, failure != nil)
	}
}

// collectionOf gives the collection a command is about: the value of its first field, or
// for getMore that of its own.
func collectionOf(e *event.CommandStartedEvent) string {
	field := e.CommandName
	if field == "getMore" {
		field = "collection"
	}
	name, _ := e.Command.Lookup(field).StringValueOK()
	return name
}

// errorType is a short name of what went wrong, of which there are not many.
func errorType(err error) string {
	if de, ok := errors.AsType[driver.Error](err); ok && de.Name != "" {
		return de.Name
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case mongo.IsTimeout(err):
		return "timeout"
	case mongo.IsNetworkError(err), noServer(err), noAnswer(err):
		return "network"
	}
	return "_OTHER"
}

// poolMonitor counts connections over all servers.
type poolMonitor struct {
	observer Observer

	mu          sync.Mutex
	open, inUse int
}

func (m *poolMonitor) event(e *event.PoolEvent) {
	var open, inUse int
	switch e.Type {
	case event.ConnectionCreated:
		open = 1
	case event.ConnectionClosed:
		open = -1
	case event.ConnectionCheckedOut:
		inUse = 1
		m.observer.Wait(e.Duration, false)
	case event.ConnectionCheckedIn:
		inUse = -1
	case event.ConnectionCheckOutFailed:
		m.observer.Wait(e.Duration, true)
		return
	default:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open += open
	m.inUse += inUse
	m.observer.Pool(m.open, m.inUse)
}
