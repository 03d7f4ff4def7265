package mongo_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

// tally is an Observer that keeps what it is told.
type tally struct {
	mu          sync.Mutex
	commands    []string
	failed      int
	open, inUse int
	maxInUse    int
	waits       int
}

func (o *tally) Command(name, collection string, _ time.Duration, failed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.commands = append(o.commands, strings.TrimSpace(name+" "+collection))
	if failed {
		o.failed++
	}
}

func (o *tally) Pool(open, inUse int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open, o.inUse, o.maxInUse = open, inUse, max(o.maxInUse, inUse)
}

func (o *tally) Wait(time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits++
}

func (o *tally) list() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(slices.Values(o.commands))
}

// of lists the commands that fn runs.
func (o *tally) of(fn func()) []string {
	o.mu.Lock()
	o.commands = nil
	o.mu.Unlock()
	fn()
	return o.list()
}

func TestObserver_IsToldOfCommandsAndConnections(t *testing.T) {
	var seen tally
	s, err := mongo.Open(t.Context(), mongo.Config{URI: newURI(t), Observer: &seen})
	if err != nil {
		t.Fatal(err)
	}
	got := seen.of(func() { _, _ = s.Manufacturer(t.Context(), "mfr_none") })
	if want := []string{"find manufacturers"}; !slices.Equal(got, want) {
		t.Errorf("commands = %q, want %q", got, want)
	}
	seen.mu.Lock()
	if seen.open < 1 || seen.maxInUse < 1 || seen.inUse != 0 || seen.waits == 0 {
		t.Errorf("%d connections open, %d in use, at most %d, %d waits; want some open, none in use now, some before", seen.open, seen.inUse, seen.maxInUse, seen.waits)
	}
	seen.mu.Unlock()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.open != 0 || seen.failed != 0 {
		t.Errorf("%d connections open after Close and %d commands failed, want 0 and 0", seen.open, seen.failed)
	}
}

// goal: V16.2.5
func TestTraces_NameTheCommandAndHoldNoValues(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	s := openStore(t, mongo.Config{URI: newURI(t), TracerProvider: provider})
	spans.Reset()

	ctx, parent := provider.Tracer("test").Start(t.Context(), "request")
	_, _, err := s.MemberByEmail(ctx, "ana@example.com")
	parent.End()
	if makerguard.CodeOf(err) != makerguard.NotFound {
		t.Fatalf("MemberByEmail: %v", err)
	}
	list := spans.GetSpans()
	if len(list) != 2 {
		t.Fatalf("%d spans, want the request's and one of a command", len(list))
	}
	span := list[0]
	if span.Name != "aggregate manufacturer_members" || span.Parent.SpanID() != parent.SpanContext().SpanID() {
		t.Errorf("span %q with parent %v, want the command's, within the request", span.Name, span.Parent.SpanID())
	}
	got := map[attribute.Key]string{}
	for _, a := range span.Attributes {
		got[a.Key] = a.Value.AsString()
		if strings.Contains(a.Value.AsString(), "ana@") {
			t.Errorf("attribute %s holds a value of the command: %q", a.Key, a.Value.AsString())
		}
	}
	for key, want := range map[attribute.Key]string{
		"db.system.name": "mongodb", "db.namespace": s.Database().Name(), "db.operation.name": "aggregate", "db.collection.name": "manufacturer_members",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
}

func TestTraces_TellWhatFailed(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	var seen tally
	s := openStore(t, mongo.Config{
		URI: newURI(t), TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), Observer: &seen,
	})
	spans.Reset()
	if err := s.Database().RunCommand(t.Context(), map[string]any{"noSuchCommand": 1}).Err(); err == nil {
		t.Fatal("the server knows noSuchCommand")
	}
	list := spans.GetSpans()
	if len(list) != 1 || list[0].Status.Code != codes.Error || seen.failed != 1 {
		t.Fatalf("spans = %+v and %d commands failed, want one with an error", list, seen.failed)
	}
	if !slices.ContainsFunc(list[0].Attributes, func(a attribute.KeyValue) bool {
		return a.Key == "error.type" && a.Value.AsString() == "CommandNotFound"
	}) {
		t.Errorf("attributes = %v, want error.type CommandNotFound", list[0].Attributes)
	}
}
