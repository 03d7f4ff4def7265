package abuse

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

const (
	// HalfLife is how long it takes for a subject's points to halve.
	HalfLife = 10 * time.Minute
	// Threshold is how many points lead to a block.
	Threshold = 200

	// queueSize is how many events may wait for the worker; one more is dropped.
	queueSize = 1024
	// batchSize is how many of them are added up before points are written.
	batchSize = 256
	// maxSubjects bounds what is remembered of subjects and of each scenario's keys.
	maxSubjects = 2048
	// storeTimeout bounds each question to the store.
	storeTimeout = 5 * time.Second
)

// points that a threat adds to its address, member and manufacturer.
func points(s makerguard.Severity) float64 {
	switch s {
	case makerguard.SeverityCritical:
		return 20
	case makerguard.SeverityHigh:
		return 10
	case makerguard.SeverityMedium:
		return 3
	case makerguard.SeverityLow:
		return 1
	}
	return 0
}

// History is where firings are written. *threat.Log is one.
type History interface {
	RecordThreat(ctx context.Context, t makerguard.Threat) error
}

// Config says what a Service works with and whom it blocks.
type Config struct {
	// Store, Audit and Threats are required.
	Store   Store
	Audit   audit.Recorder
	Threats History
	// Block lists the kinds of subjects that are blocked automatically; for others, and for
	// addresses of private networks, a block is only proposed, as an entry of the threat
	// history. Default: addresses. Whoever is signed in can be talked to.
	Block []makerguard.BlockKind
	// Spare tells addresses that are never blocked automatically, such as trusted proxies.
	// Loopback addresses never are.
	Spare func(netip.Addr) bool
	// Scenarios are what is looked for. Default Scenarios().
	Scenarios []Scenario
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told of blocks and of what keeps them from being made. Default none.
	Logger *slog.Logger
}

// Service watches, blocks and tells who is blocked. It is safe for concurrent use.
type Service struct {
	cfg Config

	queue   chan item
	wake    chan struct{} // the blocks in the store may have changed
	active  atomic.Pointer[active]
	loading sync.Mutex
	uses    useFilter

	// The worker's own.
	engine   *Engine
	tallies  *table[tally]
	requests *table[float64] // points given for a request
	proposed *table[time.Time]

	dropped, fired, blocked, proposals atomic.Int64
}

// item is one thing to look at: a threat, or else an event. Events are many, so they go by value.
type item struct {
	threat *makerguard.Threat
	event  Event
}

// New checks the configuration and reports everything wrong with it. Nobody is blocked before
// Load or Run.
func New(c Config) (*Service, error) {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("abuse: Config.Store is missing"))
	}
	if c.Audit == nil {
		errs = append(errs, errors.New("abuse: Config.Audit is missing"))
	}
	if c.Threats == nil {
		errs = append(errs, errors.New("abuse: Config.Threats is missing"))
	}
	if c.Block == nil {
		c.Block = []makerguard.BlockKind{makerguard.BlockAddress}
	}
	for _, k := range c.Block {
		if !known(k) {
			errs = append(errs, fmt.Errorf("abuse: %q is no kind of block; use address, member or manufacturer", k))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.Spare == nil {
		c.Spare = func(netip.Addr) bool { return false }
	}
	if c.Scenarios == nil {
		c.Scenarios = Scenarios()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: c, queue: make(chan item, queueSize), wake: make(chan struct{}, 1),
		engine: NewEngine(c.Scenarios, maxSubjects), tallies: newTable[tally](maxSubjects), requests: newTable[float64](maxSubjects), proposed: newTable[time.Time](maxSubjects),
	}
	s.uses.seed = maphash.MakeSeed()
	s.active.Store(&active{})
	return s, nil
}

func known(k makerguard.BlockKind) bool {
	return k == makerguard.BlockAddress || k == makerguard.BlockMember || k == makerguard.BlockManufacturer
}

// ObserveThreat adds points for an entry of the threat history. It returns at once: what
// comes faster than it can be looked at is dropped. Findings that refused no request add
// none: those of rules that only watch, and of operations that are asked whether something is an
// attack, since asking is none.
func (s *Service) ObserveThreat(_ context.Context, t makerguard.Threat) {
	if t.Route != "" && !t.Blocked || ours(t.Rule) || points(t.Severity) == 0 {
		return
	}
	s.enqueue(item{threat: &t})
}

// Observe shows an event to the scenarios. It returns at once, as ObserveThreat does.
func (s *Service) Observe(e Event) {
	s.enqueue(item{event: e})
}

// ObserveUse notes that p's credential was used from an address. It costs next to nothing
// where that is the same as last time.
func (s *Service) ObserveUse(p *makerguard.Principal, address string) {
	credential := string(p.SessionID)
	if credential == "" {
		credential = string(p.MemberID)
	}
	if credential == "" || !s.uses.changed(credential, address) {
		return
	}
	s.Observe(Event{
		Kind: Used, At: s.cfg.Now(), Address: address, ManufacturerID: p.ManufacturerID, MemberID: p.MemberID, Credential: credential,
	})
}

func (s *Service) enqueue(i item) {
	select {
	case s.queue <- i:
	default:
		s.dropped.Add(1)
	}
}

// Stats counts what happened on this node since it started.
type Stats struct {
	Dropped   int64 // events and threats that led to no points: too many at once, or the store was away
	Fired     int64 // firings of scenarios
	Blocked   int64 // automatic blocks
	Proposals int64 // blocks proposed
	Active    int   // blocks in force, as this node knows them
}

// Stats tells what happened on this node, for metrics.
func (s *Service) Stats() Stats {
	return Stats{
		Dropped: s.dropped.Load(), Fired: s.fired.Load(), Blocked: s.blocked.Load(), Proposals: s.proposals.Load(),
		Active: s.active.Load().count(s.cfg.Now()),
	}
}

// Run looks at what was observed and keeps the blocks in force up to date until ctx ends. It
// returns ctx's error. It must be called once.
func (s *Service) Run(ctx context.Context) error {
	var follow sync.WaitGroup
	follow.Go(func() { s.follow(ctx) }) // apart from the rest, which may wait for the store
	defer follow.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case i := <-s.queue:
			s.work(ctx, i)
		}
	}
}

// useFilter remembers where credentials were used last, by hash. Two credentials that share a
// slot only push each other out.
type useFilter struct {
	seed  maphash.Seed
	slots [4096]atomic.Uint64
}

// changed reports whether the address is another than last time, and remembers it.
func (f *useFilter) changed(credential, address string) bool {
	c := maphash.String(f.seed, credential)
	use := c*31 + maphash.String(f.seed, address)
	slot := &f.slots[c%uint64(len(f.slots))]
	if slot.Load() == use {
		return false
	}
	slot.Store(use)
	return true
}
