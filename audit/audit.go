// Package audit keeps, for each tenant, a record of what was done that can be added to
// but not changed unseen.
//
// Each entry carries a keyed hash (HMAC-SHA-256) over itself and the hash before it. Verify
// recomputes the chain and so promises to find an entry that was edited, removed, moved
// or added by somebody without the key, such as one who can write to the database.
// Entries cut off the end are found by the head, which the store keeps apart from the
// entries, and by the newest head that this process saw.
//
// It does not defend against somebody who holds the key, and it cannot tell a database
// that was set back as a whole, head and entries, before this process started: ship
// entries off the machine for that. Records hold no secrets; that is for those who
// write them to see to.
//
//	log, err := audit.New(audit.Config{Store: store, Key: key})
//	...
//	err = log.Record(ctx, makerguard.AuditEntry{
//		ManufacturerID: mfr, Action: audit.SessionCreated, Outcome: audit.Success,
//		ActorKind: audit.ActorMember, ActorID: string(member), Target: string(session),
//	})
//	if err != nil {
//		return err // no entry, no operation
//	}
package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// The outcomes of an action.
const (
	Success = "success"
	Failure = "failure" // it was tried and did not work: a wrong password
	Denied  = "denied"  // it was not allowed
)

// The kinds of actors.
const (
	ActorMember    = string(makerguard.KindMember)
	ActorAPIKey    = string(makerguard.KindAPIKey)
	ActorSystem    = "system"    // makerguard itself, or somebody at its command line
	ActorAnonymous = "anonymous" // nobody who is known
)

const (
	minKeySize = 32 // bytes
	hashSize   = 32

	// maxHeads is how many tenants' heads are remembered. One more costs a read.
	maxHeads = 10_000

	// maxTries is how often an entry is linked anew when other nodes were faster.
	maxTries = 32

	defaultPage = 100
	maxPage     = 1000
)

// Recorder is what packages need that write to the record.
type Recorder interface {
	// Record adds e; see Log.Record.
	Record(ctx context.Context, e makerguard.AuditEntry) error
}

// Config says where a Log keeps its entries and how it chains them.
type Config struct {
	// Store keeps the entries. It is required.
	Store Store
	// Key keys the chain's hashes: at least 32 random bytes, and the same for ever.
	Key []byte
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Log writes and checks the record. It is safe for concurrent use. Entries of one
// tenant are written one after the other; tenants do not wait for each other.
type Log struct {
	store Store
	key   []byte
	now   func() time.Time

	mu    sync.Mutex // guards the map alone; never held while the store works
	heads map[makerguard.ManufacturerID]*head
}

// head is the end of one tenant's chain as this process last saw it.
type head struct {
	turn  chan struct{} // holds one value while somebody writes; guards the rest
	known bool          // seq and hash are the store's, as far as we know
	seq   int64
	hash  []byte
}

// New checks the configuration and reports everything wrong with it.
func New(c Config) (*Log, error) {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("the audit log has no store"))
	}
	if len(c.Key) < minKeySize {
		errs = append(errs, fmt.Errorf("the audit key has %d bytes, want at least %d", len(c.Key), minKeySize))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Log{store: c.Store, key: slices.Clone(c.Key), now: c.Now, heads: make(map[makerguard.ManufacturerID]*head)}, nil
}

// Record adds e to the end of its tenant's chain. It sets ID, Seq, At (now, whole
// milliseconds) and Hash, cuts texts that are too long, and spells out characters that
// could forge a line or hide something on a screen. When it returns nil the entry is
// stored.
//
// It returns Overloaded if other nodes write to the chain faster than this one can
// link to it, StoreUnavailable if the store cannot be reached, a *ChainError if the
// store has lost entries that this process wrote, and Internal for an action that is not in
// the Catalogue, an unknown outcome or kind of actor, or no ManufacturerID. What
// the entry is about must not happen then.
func (l *Log) Record(ctx context.Context, e makerguard.AuditEntry) error {
	if err := check(&e); err != nil {
		return fmt.Errorf("recording %q: %w", e.Action, err)
	}
	neutralise(&e)
	e.ID = makerguard.EventID(id.New("evt"))
	h := l.head(e.ManufacturerID)
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return fmt.Errorf("recording %q: %w", e.Action, ctx.Err())
	}
	for try := range maxTries {
		if err := pause(ctx, try); err != nil {
			return fmt.Errorf("recording %q: %w", e.Action, err)
		}
		if err := l.load(ctx, e.ManufacturerID, h); err != nil {
			return fmt.Errorf("recording %q: %w", e.Action, err)
		}
		e.Seq = h.seq + 1
		e.At = l.now().UTC().Truncate(time.Millisecond)
		e.Hash = l.link(h.hash, &e)
		err := l.store.AppendAudit(ctx, e)
		if err == nil {
			h.seq, h.hash = e.Seq, e.Hash
			return nil
		}
		// Whatever went wrong, the entry may be stored or another node's may be.
		h.known = false
		if !errors.Is(err, makerguard.Conflict) {
			return fmt.Errorf("recording %q: %w", e.Action, err)
		}
	}
	return &makerguard.Error{
		Code: makerguard.Overloaded, Message: "Too much is happening on this account at once. Try again in a moment.", RetryAfter: time.Second,
		Err: fmt.Errorf("recording %q: lost the race for the end of the chain %d times", e.Action, maxTries),
	}
}

// pause waits before a try. The node that wrote last knows the end of the chain and so wins the
// next race too; who loses again and again steps aside until its burst is over: 1 ms at
// first, then twice as long each time up to 100 ms, about two seconds in all.
func pause(ctx context.Context, try int) error {
	const atOnce, longest = 8, 100 * time.Millisecond
	if try < atOnce {
		return nil
	}
	timer := time.NewTimer(min(time.Millisecond<<(try-atOnce), longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// head gives the remembered head of a tenant. Where too many are remembered, any one
// is forgotten; if it is in use, its writers may meet a Conflict, which they
// handle.
func (l *Log) head(mfr makerguard.ManufacturerID) *head {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.heads[mfr]
	if !ok {
		if len(l.heads) >= maxHeads {
			for k := range l.heads {
				delete(l.heads, k)
				break
			}
		}
		h = &head{turn: make(chan struct{}, 1)}
		l.heads[mfr] = h
	}
	return h
}

// load reads the head from the store unless it is known. The caller has the turn.
func (l *Log) load(ctx context.Context, mfr makerguard.ManufacturerID, h *head) error {
	if h.known {
		return nil
	}
	seq, hash, err := l.store.AuditHead(ctx, mfr)
	if err != nil {
		return fmt.Errorf("reading the end of the chain: %w", err)
	}
	if seq < h.seq {
		return &ChainError{ManufacturerID: mfr, Seq: seq + 1, Fault: Truncated}
	}
	if seq == h.seq && !bytes.Equal(hash, h.hash) {
		return &ChainError{ManufacturerID: mfr, Seq: seq, Fault: Altered}
	}
	h.seq, h.hash, h.known = seq, hash, true
	return nil
}

// Entries lists a tenant's entries, newest first: 100 if Limit is 0. It returns
// ValidationFailed for a limit that is negative or over 1000, and StoreUnavailable if the store
// cannot be reached.
func (l *Log) Entries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	if f.Limit == 0 {
		f.Limit = defaultPage
	}
	if f.Limit < 0 || f.Limit > maxPage {
		return nil, &makerguard.Error{
			Code: makerguard.ValidationFailed, Message: "The limit is out of range.",
			Fields: []makerguard.FieldError{{Pointer: "/limit", Message: fmt.Sprintf("Give a number from 1 to %d.", maxPage)}},
		}
	}
	entries, err := l.store.AuditEntries(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("listing audit entries: %w", err)
	}
	return entries, nil
}

// check refuses what only a mistake in a caller can bring.
func check(e *makerguard.AuditEntry) error {
	switch {
	case e.ManufacturerID == "":
		return errors.New("the entry names no manufacturer")
	case !catalogued(e.Action):
		return errors.New("the action is not in the catalogue")
	case e.Outcome != Success && e.Outcome != Failure && e.Outcome != Denied:
		return fmt.Errorf("the outcome %q is unknown", e.Outcome)
	case e.ActorKind != ActorMember && e.ActorKind != ActorAPIKey && e.ActorKind != ActorSystem && e.ActorKind != ActorAnonymous:
		return fmt.Errorf("the kind of actor %q is unknown", e.ActorKind)
	}
	return nil
}
