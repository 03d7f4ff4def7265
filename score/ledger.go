package score

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// flushEvery is how long counts are kept in memory. A process that is killed loses them.
	flushEvery = 5 * time.Second
	// maxPending bounds the manufacturers whose counts wait while the store is away.
	maxPending = 10_000
	// storeTimeout bounds one question to the store.
	storeTimeout = 5 * time.Second
	// maxHistory is how far back scores can be asked for.
	maxHistory = 400 * day
)

// Config says where a Ledger keeps its counts.
type Config struct {
	// Store is required.
	Store Store
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told when counts cannot be written. Default none.
	Logger *slog.Logger
}

// Ledger counts what no other record has for the score, and keeps the scores of past days. It is
// safe for concurrent use. Counting takes no time: counts are written together, every 5 s.
type Ledger struct {
	store  Store
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	pending map[makerguard.ManufacturerID]tally
}

// What is counted, and how long it takes until it counts half.
const (
	failedSignIn = iota
	validDocument
	badDocument
	counters
)

var counter = [counters]struct {
	name     string
	halfLife time.Duration
}{
	failedSignIn:  {"sign_ins_failed", 7 * day},
	validDocument: {"documents_valid", 30 * day},
	badDocument:   {"documents_bad", 30 * day},
}

// tally is what has been counted for a manufacturer and not been written yet.
type tally [counters]float64

// New returns a Ledger over c.Store.
func New(c Config) (*Ledger, error) {
	if c.Store == nil {
		return nil, errors.New("score: Config.Store is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ledger{store: c.Store, now: c.Now, logger: c.Logger, pending: map[makerguard.ManufacturerID]tally{}}, nil
}

// SignInFailed counts a failed sign-in to one of a manufacturer's members.
func (l *Ledger) SignInFailed(mfr makerguard.ManufacturerID) {
	l.count(mfr, tally{failedSignIn: 1})
}

// Validated counts a document that a manufacturer had checked against the business rules.
func (l *Ledger) Validated(mfr makerguard.ManufacturerID, valid bool) {
	if valid {
		l.count(mfr, tally{validDocument: 1})
	} else {
		l.count(mfr, tally{badDocument: 1})
	}
}

func (l *Ledger) count(mfr makerguard.ManufacturerID, add tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.pending[mfr]
	if mfr == "" || !ok && len(l.pending) >= maxPending {
		return
	}
	for i := range t {
		t[i] += add[i]
	}
	l.pending[mfr] = t
}

// Read fills the parts of p that the ledger counts, with everything counted on this
// node until now.
func (l *Ledger) Read(ctx context.Context, mfr makerguard.ManufacturerID, p *Posture) error {
	l.mu.Lock()
	t := l.pending[mfr]
	delete(l.pending, mfr)
	l.mu.Unlock()
	var totals tally
	for i := range counter {
		var err error
		if totals[i], err = l.write(ctx, mfr, i, &t); err != nil {
			l.count(mfr, t) // what was not written waits for the next time
			return fmt.Errorf("reading what the score counts: %w", err)
		}
	}
	p.FailedSignIns, p.ValidDocuments, p.BadDocuments = totals[failedSignIn], totals[validDocument], totals[badDocument]
	return nil
}

// write adds one of t's counts to the store's, sets it to zero and returns the total.
func (l *Ledger) write(ctx context.Context, mfr makerguard.ManufacturerID, i int, t *tally) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	total, err := l.store.AddPoints(ctx, "score:"+counter[i].name+":"+string(mfr), t[i], counter[i].halfLife, l.now())
	if err == nil {
		t[i] = 0
	}
	return total, err
}

// Flush writes what is pending. What cannot be written waits for the next time.
func (l *Ledger) Flush(ctx context.Context) error {
	l.mu.Lock()
	all := l.pending
	l.pending = map[makerguard.ManufacturerID]tally{}
	l.mu.Unlock()
	var failed error
	for mfr, t := range all {
		for i := range t {
			if t[i] == 0 || failed != nil {
				continue
			}
			if _, err := l.write(ctx, mfr, i, &t); err != nil {
				failed = fmt.Errorf("writing what the score counts: %w", err)
			}
		}
		if t != (tally{}) {
			l.count(mfr, t)
		}
	}
	return failed
}

// Run writes counts every 5 s until ctx ends, and those left once more. It returns ctx's error.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			return errors.Join(ctx.Err(), l.Flush(last))
		case <-tick.C:
			err := l.Flush(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				l.logger.Warn("the score's counts wait in memory", "error", err)
			}
			failing = err != nil
		}
	}
}

// Keep stores a score as today's.
func (l *Ledger) Keep(ctx context.Context, mfr makerguard.ManufacturerID, score int) error {
	p := makerguard.ScorePoint{ManufacturerID: mfr, Day: l.today(), Score: score}
	if err := l.store.PutScore(ctx, p); err != nil {
		return fmt.Errorf("storing a score: %w", err)
	}
	return nil
}

// History gives the scores of a manufacturer's last days, today included, oldest first. Days
// without a score are left out. It returns ValidationFailed for less than 1 or more than 400 days.
func (l *Ledger) History(ctx context.Context, mfr makerguard.ManufacturerID, days int) ([]makerguard.ScorePoint, error) {
	if days < 1 || days > int(maxHistory/day) {
		return nil, &makerguard.Error{
			Code: makerguard.ValidationFailed, Message: "The number of days is out of range.",
			Fields: []makerguard.FieldError{{Pointer: "/days", Message: fmt.Sprintf("Use a number from 1 to %d.", int(maxHistory/day))}},
		}
	}
	ps, err := l.store.Scores(ctx, mfr, l.today().Add(-time.Duration(days-1)*day))
	if err != nil {
		return nil, fmt.Errorf("reading former scores: %w", err)
	}
	return ps, nil
}

func (l *Ledger) today() time.Time { return l.now().UTC().Truncate(day) }
