package threat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// LogConfig configures a Log.
type LogConfig struct {
	Store Store            // required
	Now   func() time.Time // nil means time.Now
	// Retention is how long an entry is kept. Default 90 days; less than a day is refused.
	Retention time.Duration
	// Observe is told of each entry once it is stored. It must return at once. Default none.
	Observe func(context.Context, makerguard.Threat)
}

const (
	defaultRetention = 90 * 24 * time.Hour
	minRetention     = 24 * time.Hour
)

// Log is the threat history. It is safe for concurrent use.
type Log struct {
	store     Store
	now       func() time.Time
	retention time.Duration
	observe   func(context.Context, makerguard.Threat)

	mu     sync.Mutex
	counts map[Kind]int64 // guarded by mu
}

// Kind is what the entries of a history are counted by.
type Kind struct {
	Type    makerguard.ThreatType
	Blocked bool
}

// Counts tells how many entries of each kind this process has stored, for metrics. The map is the
// caller's.
func (l *Log) Counts() map[Kind]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// NewLog returns a Log over c.Store.
func NewLog(c LogConfig) (*Log, error) {
	if c.Store == nil {
		return nil, errors.New("threat log: no store")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Retention == 0 {
		c.Retention = defaultRetention
	}
	if c.Retention < minRetention {
		return nil, fmt.Errorf("threat log: a retention of %v is less than a day", c.Retention)
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, makerguard.Threat) {}
	}
	return &Log{store: c.Store, now: c.Now, retention: c.Retention, observe: c.Observe, counts: map[Kind]int64{}}, nil
}

// The routes of operations by which a caller asks whether something is an attack. What is found
// there was somebody else's, perhaps, and nothing was refused: it says nothing against the caller.
const (
	InspectRoute  = "POST /v1/security/inspect"
	ValidateRoute = "POST /v1/catalog/validate"
)

// asked reports whether entries of a route stand for a question.
func asked(route string) bool { return route == InspectRoute || route == ValidateRoute }

// Sighting is a request in which something was found.
type Sighting struct {
	Principal *makerguard.Principal // nil: nobody was authenticated
	Client    makerguard.Client
	Route     string               // method and path
	Blocked   []makerguard.Finding // those the request was refused for
	Watched   []makerguard.Finding // those that were only noted
}

// maxSighting is how many findings of one request are stored. A body can be made to hold
// tens of thousands, and the history is not to be filled by a few requests.
const maxSighting = 100

// Record stores what was found in a request, with who sent it, and returns an entry for each
// finding: those blocked, then those watched. Of more than 100 findings it stores the
// first 100 and the first of each rule; the others' entries have no ID. It stores nothing
// for no findings. When it returns an error, some may be stored.
func (l *Log) Record(ctx context.Context, s Sighting) ([]makerguard.Threat, error) {
	n := len(s.Blocked) + len(s.Watched)
	if n == 0 {
		return nil, nil
	}
	all := make([]makerguard.Threat, 0, n)
	stored := make([]makerguard.Threat, 0, min(n, maxSighting))
	rules := map[string]bool{}
	add := func(f *makerguard.Finding, blocked bool) {
		t := makerguard.Threat{
			IP: s.Client.IP, UserAgent: s.Client.UserAgent, RequestID: s.Client.RequestID,
			Route: s.Route, Blocked: blocked, Finding: *f,
		}
		if p := s.Principal; p != nil {
			t.ManufacturerID, t.MemberID, t.SessionID = p.ManufacturerID, p.MemberID, p.SessionID
		}
		keep := len(stored) < maxSighting || !rules[f.Rule]
		if keep {
			rules[f.Rule] = true
			t.ID = newEventID()
		}
		l.complete(&t)
		if keep {
			stored = append(stored, t)
		}
		all = append(all, t)
	}
	for i := range s.Blocked {
		add(&s.Blocked[i], true)
	}
	for i := range s.Watched {
		add(&s.Watched[i], false)
	}
	if err := l.append(ctx, stored); err != nil {
		return nil, err
	}
	return all, nil
}

// RecordThreat stores one entry, such as behaviour that package auth noticed. It fills
// ID and DetectedAt when they are zero.
func (l *Log) RecordThreat(ctx context.Context, t makerguard.Threat) error {
	if t.ID == "" {
		t.ID = newEventID()
	}
	l.complete(&t)
	return l.append(ctx, []makerguard.Threat{t})
}

func (l *Log) append(ctx context.Context, ts []makerguard.Threat) error {
	if err := l.store.AppendThreats(ctx, ts); err != nil {
		return fmt.Errorf("appending to the threat history: %w", err)
	}
	l.mu.Lock()
	for i := range ts {
		l.counts[Kind{ts[i].Type, ts[i].Blocked}]++
	}
	l.mu.Unlock()
	for _, t := range ts {
		l.observe(ctx, t)
	}
	return nil
}

func newEventID() makerguard.EventID { return makerguard.EventID(id.New("evt")) }

// The longest texts an entry keeps, in bytes. They come from the client, so a log
// without bounds would be a way to fill the store.
const (
	maxInputName = 256
	maxUserAgent = 256
	maxRoute     = 256
	maxShortText = 128
)

// complete fills in the time, and bounds and masks what came from the client.
func (l *Log) complete(t *makerguard.Threat) {
	if t.DetectedAt.IsZero() {
		t.DetectedAt = l.now()
	}
	t.DetectedAt = t.DetectedAt.UTC()
	t.Evidence = clean(maskEvidence(clean(t.Evidence, maxEvidence)), maxEvidence)
	t.Input = clean(mask(clean(t.Input, maxInputName)), maxInputName)
	t.Route = clean(mask(clean(t.Route, maxRoute)), maxRoute)
	t.UserAgent = clean(mask(clean(t.UserAgent, maxUserAgent)), maxUserAgent)
	t.IP = clean(t.IP, maxShortText)
	t.RequestID = clean(t.RequestID, maxShortText)
}
