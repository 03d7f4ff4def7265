package quota

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// maxAmount is the most units that one call may take.
const maxAmount = 1_000_000

// maxKeyLen bounds an idempotency key, in bytes.
const maxKeyLen = 255

// Config is what Meters need.
type Config struct {
	// Store keeps the counters. Required.
	Store Store
	// Node names this run of this process among all that share the store. It must
	// not be used again, not even by the same process after a restart, because
	// blocks are held under it. Default: a new random name.
	Node string
	// LeaseTTL is how long after its last word a node is given up and its block
	// counts as spent. Default 10 s, at least 5 s.
	LeaseTTL time.Duration
	// KeepKeys is how long an idempotency key is remembered. Default 24 h.
	KeepKeys time.Duration
	// MaxCounters bounds how many counters are held in memory, about 300 bytes each.
	// Past it a manufacturer that has no counter there is answered Overloaded; one is
	// dropped after a minute without use. Default 100,000.
	MaxCounters int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told when the store cannot be reached, once per outage. Default: discard.
	Logger *slog.Logger
}

// Meters counts uses. It is safe for concurrent use. Run must be running while it
// is in use, and Close ends it.
type Meters struct {
	cfg    Config
	seed   maphash.Seed
	shards [16]shard
	zones  sync.Map // IANA name -> *time.Location; bounded, since only real zones are kept
	count  atomic.Int64
	closed atomic.Bool

	mu      sync.Mutex
	retired map[*counter]struct{}       // out of use, not yet settled
	flights map[flightKey]chan struct{} // spending under way, by idempotency key

	away atomic.Bool // the last round of Settle failed
}

type shard struct {
	mu       sync.RWMutex
	counters map[slot]*counter
}

// slot is where the counter of the month under way is found.
type slot struct {
	manufacturer makerguard.ManufacturerID
	meter        makerguard.Meter
}

type flightKey struct {
	slot
	idempotency string
}

// New returns Meters that hold no units yet.
func New(cfg Config) (*Meters, error) {
	var errs []error
	if cfg.Store == nil {
		errs = append(errs, errors.New("quota: Config.Store is required"))
	}
	if cfg.Node == "" {
		cfg.Node = id.New("node")
	}
	if cfg.LeaseTTL == 0 {
		cfg.LeaseTTL = 10 * time.Second
	}
	if cfg.LeaseTTL < 5*time.Second {
		errs = append(errs, errors.New("quota: Config.LeaseTTL must be at least 5 s"))
	}
	if cfg.KeepKeys == 0 {
		cfg.KeepKeys = 24 * time.Hour
	}
	if cfg.MaxCounters == 0 {
		cfg.MaxCounters = 100_000
	}
	if cfg.KeepKeys < 0 || cfg.MaxCounters < 0 {
		errs = append(errs, errors.New("quota: Config.KeepKeys and Config.MaxCounters cannot be negative"))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m := &Meters{cfg: cfg, seed: maphash.MakeSeed(), retired: make(map[*counter]struct{}), flights: make(map[flightKey]chan struct{})}
	for i := range m.shards {
		m.shards[i].counters = make(map[slot]*counter)
	}
	return m, nil
}

// Reserve sets amount units of a's meter aside under limit, which is a number of units
// a month or makerguard.Unlimited, and says how many the month then leaves
// (makerguard.Unlimited if there is no limit). The caller ends the reservation. Most
// calls are served from memory; the store is asked only for the next block.
//
// It returns UsageLimitExceeded, with RetryAfter until the month ends and the limit
// and use in Details, if fewer than amount units are left (remaining then says how
// many are); ValidationFailed for an amount outside 1 to 1,000,000 or an account without
// a real time zone or anchor day; Overloaded past Config.MaxCounters and after Close; and
// what the store returns if it is needed and fails.
func (m *Meters) Reserve(ctx context.Context, a makerguard.MeterAccount, meter makerguard.Meter, amount, limit int64) (r makerguard.Reservation, remaining int64, err error) {
	if err := checkAmount(amount, limit); err != nil {
		return makerguard.Reservation{}, 0, err
	}
	now := m.cfg.Now()
	for {
		c, err := m.counter(a, meter, now)
		if err != nil {
			return makerguard.Reservation{}, 0, err
		}
		remaining, ok := c.take(amount, limit)
		if ok {
			m.fetchAhead(c, limit)
		} else {
			remaining, err = m.takeLeased(ctx, c, amount, limit)
			if errors.Is(err, errRetired) {
				continue
			}
			if err != nil {
				return makerguard.Reservation{}, remaining, err
			}
		}
		return makerguard.NewReservation(&c.period, amount, c.settle), remaining, nil
	}
}

// Spend spends amount units of a's meter under limit, once for each idempotency key:
// the key and the count are written in one step, so that a request that is repeated,
// here or on another node, now or after a crash, is counted once. Without a
// key ("") it just spends. fingerprint is the SHA-256 of the request.
//
// It returns UsageLimitExceeded, ValidationFailed and Overloaded as Reserve does, and
// IdempotencyMismatch if the key was used for another request. With
// UsageLimitExceeded the result tells the units used; a refusal is not remembered.
func (m *Meters) Spend(ctx context.Context, a makerguard.MeterAccount, meter makerguard.Meter, amount, limit int64, idempotencyKey string, fingerprint []byte) (makerguard.SpendResult, error) {
	if err := checkAmount(amount, limit); err != nil {
		return makerguard.SpendResult{}, err
	}
	if len(idempotencyKey) > maxKeyLen {
		return makerguard.SpendResult{}, &makerguard.Error{
			Code: makerguard.ValidationFailed, Message: fmt.Sprintf("The idempotency key is longer than %d bytes.", maxKeyLen),
		}
	}
	if idempotencyKey != "" {
		land, err := m.board(ctx, flightKey{slot{a.ManufacturerID, meter}, idempotencyKey})
		if err != nil {
			return makerguard.SpendResult{}, err
		}
		defer land()
	}
	now := m.cfg.Now()
	period, err := m.PeriodAt(now, a.TimeZone, a.AnchorDay)
	if err != nil {
		return makerguard.SpendResult{}, err
	}
	req := makerguard.SpendRequest{
		CounterKey: makerguard.CounterKey{ManufacturerID: a.ManufacturerID, Meter: meter, Start: period.Start},
		Limit:      limit, Amount: amount, Idempotency: idempotencyKey, Fingerprint: fingerprint,
		Now: now, KeepUntil: now.Add(m.cfg.KeepKeys),
	}
	res, err := m.cfg.Store.Spend(ctx, req)
	if err != nil {
		return makerguard.SpendResult{}, fmt.Errorf("spending %s: %w", meter, err)
	}
	c := m.cached(req.CounterKey)
	if !res.Spent && c != nil {
		// What this node holds unused stands in the way of nobody but itself.
		returned, err := m.giveBack(ctx, c)
		if err != nil {
			return makerguard.SpendResult{}, err
		}
		if returned {
			if res, err = m.cfg.Store.Spend(ctx, req); err != nil {
				return makerguard.SpendResult{}, fmt.Errorf("spending %s: %w", meter, err)
			}
		}
	}
	if !res.Spent {
		return res, limitExceeded(meter, limit, res.Used, period.End.Sub(now))
	}
	if c != nil && !res.Replayed {
		c.taken.Add(amount)
	}
	return res, nil
}

// board waits until no other Spend with the same key is under way on this node, so
// that a request repeated in flight gets the first one's answer rather than a
// race. The function it returns lets the next one go.
func (m *Meters) board(ctx context.Context, k flightKey) (land func(), err error) {
	for {
		m.mu.Lock()
		first, busy := m.flights[k]
		if !busy {
			done := make(chan struct{})
			m.flights[k] = done
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				delete(m.flights, k)
				m.mu.Unlock()
				close(done)
			}, nil
		}
		m.mu.Unlock()
		select {
		case <-first:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the request with the same idempotency key: %w", ctx.Err())
		}
	}
}

// Usage gives the month under way and how many units of each meter are used or
// reserved in it. It is exact for a manufacturer whose requests come to this node; what other
// nodes hold unused counts too, until they give it back.
func (m *Meters) Usage(ctx context.Context, a makerguard.MeterAccount, meters []makerguard.Meter) (makerguard.Period, map[makerguard.Meter]int64, error) {
	now := m.cfg.Now()
	period, err := m.PeriodAt(now, a.TimeZone, a.AnchorDay)
	if err != nil {
		return makerguard.Period{}, nil, err
	}
	// Counters are held still while the store is read, so that no block moves from the
	// one side to the other unseen. Always in the same order, so that two readers
	// cannot wait for each other.
	meters = slices.Compact(slices.Sorted(slices.Values(meters)))
	keys := make([]makerguard.CounterKey, len(meters))
	counters := make([]*counter, len(meters))
	for i, meter := range meters {
		keys[i] = makerguard.CounterKey{ManufacturerID: a.ManufacturerID, Meter: meter, Start: period.Start}
		if c := m.cached(keys[i]); c != nil {
			if err := c.acquire(ctx); err != nil {
				return makerguard.Period{}, nil, err
			}
			defer c.yield()
			counters[i] = c
		}
	}
	counts, err := m.cfg.Store.Counts(ctx, keys, now)
	if err != nil {
		return makerguard.Period{}, nil, fmt.Errorf("reading counters: %w", err)
	}
	used := make(map[makerguard.Meter]int64, len(meters))
	for i, meter := range meters {
		used[meter] = counts[i].Taken
		if c := counters[i]; c != nil {
			used[meter] = max(counts[i].Taken-c.unused(), 0)
		}
	}
	return period, used, nil
}

// counter finds the counter of the month under way, or begins it.
func (m *Meters) counter(a makerguard.MeterAccount, meter makerguard.Meter, now time.Time) (*counter, error) {
	k := slot{a.ManufacturerID, meter}
	s := m.shard(k)
	s.mu.RLock()
	c := s.counters[k]
	s.mu.RUnlock()
	if c != nil && c.holds(a, now) {
		return c, nil
	}
	period, err := m.PeriodAt(now, a.TimeZone, a.AnchorDay)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.closed.Load() {
		return nil, &makerguard.Error{Code: makerguard.Overloaded, Message: "The server is stopping; try again.", RetryAfter: time.Second}
	}
	c = s.counters[k]
	switch {
	case c == nil:
		if m.count.Add(1) > int64(m.cfg.MaxCounters) {
			m.count.Add(-1)
			return nil, &makerguard.Error{Code: makerguard.Overloaded, Message: "Too many manufacturers are active at once; try again.", RetryAfter: time.Minute}
		}
	case c.holds(a, now):
		return c, nil
	default:
		m.retire(c)
	}
	c = newCounter(a, meter, period)
	s.counters[k] = c
	return c, nil
}

// cached gives the counter of key if this node has it.
func (m *Meters) cached(key makerguard.CounterKey) *counter {
	k := slot{key.ManufacturerID, key.Meter}
	s := m.shard(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.counters[k]; c != nil && c.key.Start.Equal(key.Start) {
		return c
	}
	return nil
}

func (m *Meters) shard(k slot) *shard {
	return &m.shards[maphash.String(m.seed, string(k.manufacturer))%uint64(len(m.shards))]
}

// retire keeps c, which is out of its shard, until its units are settled.
func (m *Meters) retire(c *counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retired[c] = struct{}{}
}

// live gives every counter, in use or retired.
func (m *Meters) live() []*counter {
	m.mu.Lock()
	all := slices.Collect(maps.Keys(m.retired))
	m.mu.Unlock()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		all = slices.AppendSeq(all, maps.Values(s.counters))
		s.mu.RUnlock()
	}
	return all
}

// drop forgets c, which has no units left.
func (m *Meters) drop(c *counter) {
	k := slot{c.key.ManufacturerID, c.key.Meter}
	s := m.shard(k)
	s.mu.Lock()
	if s.counters[k] == c {
		delete(s.counters, k)
		m.count.Add(-1)
	}
	s.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.retired, c)
}

// PeriodAt is the function PeriodAt, except that it reads each time zone's data only once.
func (m *Meters) PeriodAt(now time.Time, timeZone string, anchorDay int) (makerguard.Period, error) {
	loc, ok := m.zones.Load(timeZone)
	if !ok {
		l, err := location(timeZone)
		if err != nil {
			return makerguard.Period{}, err
		}
		loc, _ = m.zones.LoadOrStore(timeZone, l)
	}
	return periodIn(now, loc.(*time.Location), anchorDay)
}

func checkAmount(amount, limit int64) error {
	if amount < 1 || amount > maxAmount {
		return &makerguard.Error{Code: makerguard.ValidationFailed, Message: fmt.Sprintf("The amount must be 1 to %d.", maxAmount)}
	}
	if limit < makerguard.Unlimited {
		return fmt.Errorf("limit %d is negative", limit)
	}
	return nil
}

// limitExceeded answers the caller. A limit the amount can never fit has RetryAfter too:
// the next month is when the question is worth asking again.
func limitExceeded(meter makerguard.Meter, limit, used int64, retryAfter time.Duration) error {
	return &makerguard.Error{
		Code:       makerguard.UsageLimitExceeded,
		Message:    fmt.Sprintf("This month's limit of %d for %s leaves too little for this request.", limit, meter),
		RetryAfter: retryAfter,
		Details:    map[string]any{"meter": meter, "limit": limit, "used": used},
	}
}
