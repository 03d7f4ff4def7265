package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

// live is what a node knows of one session. It is immutable but for the atomics, so
// readers need no lock.
type live struct {
	id        makerguard.SessionID
	principal *makerguard.Principal
	ended     error         // why the session is no more, or nil
	expires   int64         // Unix time in ns
	idle      time.Duration // how long it may be unused

	lastSeen atomic.Int64 // Unix time in ns
	flushed  int64        // the value of lastSeen that the store has; guarded by liveSessions.mu
	// stale is set once and for all when something about the session may have changed. Whoever
	// holds a stale one asks liveSessions again.
	stale atomic.Bool
}

// check returns SESSION_REVOKED or SESSION_EXPIRED if the session is over at a Unix time in ns.
func (l *live) check(at int64) error {
	switch {
	case l.ended != nil:
		return l.ended
	case at >= l.expires || at-l.lastSeen.Load() > int64(l.idle):
		return sessionExpired()
	}
	return nil
}

// touch notes that the session was used. It is exact to a second, which spares the
// cache line of a busy session.
func (l *live) touch(now int64) {
	if seen := l.lastSeen.Load(); now-seen > int64(time.Second) {
		l.lastSeen.CompareAndSwap(seen, now)
	}
}

// liveSessions remembers sessions until a change concerns them. Its lock is never held
// while the store is asked, and never taken on the warm path.
//
// What keeps a stale session out: an entry is dropped, and marked for those who hold it, by
// every change that concerns it. A read from the store that was under way when such a
// change came is not remembered, and its waiters read again. And nothing read while
// the feed was not fresh is remembered, as changes before the feed's first reading would be
// missed.
type liveSessions struct {
	most int

	mu             sync.Mutex
	byID           map[makerguard.SessionID]*live
	byManufacturer map[makerguard.ManufacturerID]map[makerguard.SessionID]*live
	loads          map[makerguard.SessionID]*load
	// unflushed holds when sessions were last seen that are not remembered any more.
	unflushed map[makerguard.SessionID]time.Time

	loaded  atomic.Uint64 // reads from the store
	dropped atomic.Uint64 // entries dropped because of a change
}

// sessionKey names a session and whose it is.
type sessionKey struct {
	id     makerguard.SessionID
	mfr    makerguard.ManufacturerID
	member makerguard.MemberID
}

// load is one reading of a session, shared by all who want it meanwhile.
type load struct {
	sessionKey
	done   chan struct{}
	result *live
	err    error
	stale  bool // a change came while it was under way; guarded by liveSessions.mu
}

func newLiveSessions(most int) *liveSessions {
	return &liveSessions{
		most:           most,
		byID:           map[makerguard.SessionID]*live{},
		byManufacturer: map[makerguard.ManufacturerID]map[makerguard.SessionID]*live{},
		loads:          map[makerguard.SessionID]*load{},
		unflushed:      map[makerguard.SessionID]time.Time{},
	}
}

// get returns the session, remembered if trusted, else as fetch reads it. What it reads
// is remembered only if trusted.
func (c *liveSessions) get(ctx context.Context, key sessionKey, trusted bool, fetch func(context.Context, sessionKey) (*live, error)) (*live, error) {
	for {
		c.mu.Lock()
		if l := c.byID[key.id]; l != nil && trusted {
			c.mu.Unlock()
			return l, nil
		}
		ld := c.loads[key.id]
		if ld == nil {
			ld = &load{sessionKey: key, done: make(chan struct{})}
			c.loads[key.id] = ld
			// The reading goes on for the others when the first to want it leaves.
			go c.load(context.WithoutCancel(ctx), ld, trusted, fetch)
		}
		c.mu.Unlock()
		select {
		case <-ld.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the session: %w", ctx.Err())
		}
		if ld.err != nil {
			return nil, ld.err
		}
		if !ld.stale { // no longer written once done is closed
			return ld.result, nil
		}
	}
}

func (c *liveSessions) load(ctx context.Context, ld *load, trusted bool, fetch func(context.Context, sessionKey) (*live, error)) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c.loaded.Add(1)
	l, err := fetch(ctx, ld.sessionKey)

	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(ld.done)
	ld.result, ld.err = l, err
	if c.loads[ld.id] == ld {
		delete(c.loads, ld.id)
	}
	if err != nil {
		return
	}
	l.flushed = l.lastSeen.Load()
	if seen, ok := c.lastSeen(ld.id); ok {
		l.lastSeen.Store(max(l.flushed, seen.UnixNano()))
	}
	if ld.stale || !trusted {
		l.stale.Store(true)
		return
	}
	if old := c.byID[l.id]; old != nil {
		c.forget(old)
	}
	if len(c.byID) >= c.most {
		c.forget(c.leastUsed())
	}
	c.byID[l.id] = l
	ofManufacturer := c.byManufacturer[ld.mfr]
	if ofManufacturer == nil {
		ofManufacturer = map[makerguard.SessionID]*live{}
		c.byManufacturer[ld.mfr] = ofManufacturer
	}
	ofManufacturer[l.id] = l
	delete(c.unflushed, l.id)
}

// leastUsed gives the one of a few entries, picked by chance, that was not used for the
// longest time. c.mu is held.
func (c *liveSessions) leastUsed() *live {
	const sample = 8
	var oldest *live
	n := 0
	for _, l := range c.byID {
		if oldest == nil || l.lastSeen.Load() < oldest.lastSeen.Load() {
			oldest = l
		}
		if n++; n == sample {
			break
		}
	}
	return oldest
}

// forget drops an entry and marks it for those who hold it. c.mu is held.
func (c *liveSessions) forget(l *live) {
	l.stale.Store(true)
	if seen := l.lastSeen.Load(); seen > l.flushed && l.ended == nil {
		c.unflushed[l.id] = time.Unix(0, seen).UTC()
	}
	delete(c.byID, l.id)
	ofManufacturer := c.byManufacturer[l.principal.ManufacturerID]
	delete(ofManufacturer, l.id)
	if len(ofManufacturer) == 0 {
		delete(c.byManufacturer, l.principal.ManufacturerID)
	}
}

// apply drops exactly the sessions that a change concerns.
func (c *liveSessions) apply(change makerguard.Change) {
	concerns := func(k sessionKey) bool {
		switch change.Kind {
		case makerguard.SessionEnded:
			return k.id == change.SessionID
		case makerguard.MemberChanged:
			return k.mfr == change.ManufacturerID && k.member == change.MemberID
		case makerguard.ManufacturerChanged:
			return k.mfr == change.ManufacturerID
		case makerguard.KeysChanged, makerguard.PolicyChanged, makerguard.RulesChanged, makerguard.BlocksChanged:
			return false
		}
		return true // of a kind this version does not know
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, ld := range c.loads {
		if concerns(ld.sessionKey) {
			ld.stale = true
			delete(c.loads, id)
		}
	}
	for id, l := range c.candidates(change) {
		if concerns(sessionKey{id: id, mfr: l.principal.ManufacturerID, member: l.principal.MemberID}) {
			c.forget(l)
			c.dropped.Add(1)
		}
	}
}

// candidates gives the sessions a change may concern. c.mu is held.
func (c *liveSessions) candidates(change makerguard.Change) map[makerguard.SessionID]*live {
	switch change.Kind {
	case makerguard.SessionEnded:
		if l := c.byID[change.SessionID]; l != nil {
			return map[makerguard.SessionID]*live{l.id: l}
		}
		return nil
	case makerguard.MemberChanged, makerguard.ManufacturerChanged:
		return c.byManufacturer[change.ManufacturerID]
	case makerguard.KeysChanged, makerguard.PolicyChanged, makerguard.RulesChanged, makerguard.BlocksChanged:
		return nil
	}
	return c.byID
}

// seen tells when a session was last used on this node, if it is known.
func (c *liveSessions) seen(id makerguard.SessionID) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastSeen(id)
}

// lastSeen is seen with c.mu held.
func (c *liveSessions) lastSeen(id makerguard.SessionID) (time.Time, bool) {
	if l := c.byID[id]; l != nil {
		return time.Unix(0, l.lastSeen.Load()).UTC(), true
	}
	at, ok := c.unflushed[id]
	return at, ok
}

// flush hands write when each session was last used, if that is news.
func (c *liveSessions) flush(write func(map[makerguard.SessionID]time.Time) error) error {
	c.mu.Lock()
	news := c.unflushed
	c.unflushed = map[makerguard.SessionID]time.Time{}
	for id, l := range c.byID {
		if at := l.lastSeen.Load(); at > l.flushed && l.ended == nil {
			news[id] = time.Unix(0, at).UTC()
			l.flushed = at
		}
	}
	c.mu.Unlock()
	if len(news) == 0 {
		return nil
	}
	err := write(news)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range news {
		if newer, ok := c.unflushed[id]; !ok || newer.Before(at) {
			c.unflushed[id] = at
		}
	}
	return err
}

func (c *liveSessions) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID)
}

// fetch reads a session from the store.
func (s *Service) fetch(ctx context.Context, key sessionKey) (*live, error) {
	sess, m, mfr, err := s.store.LoadSession(ctx, key.id)
	switch {
	case errors.Is(err, makerguard.NotFound):
		// It was ours, so it ended so long ago that it has been removed.
		return &live{id: key.id, ended: sessionRevoked(), principal: &makerguard.Principal{
			ManufacturerID: key.mfr, MemberID: key.member, SessionID: key.id,
		}}, nil
	case err != nil:
		return nil, fmt.Errorf("reading session %s: %w", key.id, err)
	case sess.ManufacturerID != key.mfr || sess.MemberID != key.member:
		return nil, tokenInvalid(errors.New("its session is somebody else's"))
	}
	l := &live{
		id: sess.ID,
		principal: &makerguard.Principal{
			Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: m.ID, SessionID: sess.ID,
			Email: m.Email, Tier: mfr.Tier, Role: m.Role, Grants: m.Grants, AMR: sess.AMR, AuthTime: sess.AuthTime,
			TimeZone: mfr.TimeZone, AnchorDay: mfr.AnchorDay,
		},
		expires: sess.ExpiresAt.UnixNano(),
		idle:    s.idleLimit(mfr.Tier),
	}
	l.lastSeen.Store(sess.LastSeenAt.UnixNano())
	if !sess.RevokedAt.IsZero() || m.Status != makerguard.StatusActive || mfr.Status != makerguard.StatusActive {
		l.ended = sessionRevoked()
	}
	return l, nil
}
