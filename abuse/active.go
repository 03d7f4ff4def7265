package abuse

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// maxActive bounds the blocks a node knows; of more, the newest count.
	maxActive = 10_000
	// reloadEvery is how old the known blocks can be if a change in the feed was missed.
	reloadEvery = 30 * time.Second
	// retryAfter is the pause after a failed reading.
	retryAfter = time.Second
)

// active is the blocks in force by subject, with when each ends. It is immutable.
type active struct {
	addresses     map[netip.Prefix]time.Time
	members       map[makerguard.MemberID]time.Time
	manufacturers map[makerguard.ManufacturerID]time.Time
}

func newActive(blocks []makerguard.Block) *active {
	a := &active{map[netip.Prefix]time.Time{}, map[makerguard.MemberID]time.Time{}, map[makerguard.ManufacturerID]time.Time{}}
	for _, b := range blocks {
		switch b.Kind {
		case makerguard.BlockAddress:
			if p, ok := subjectPrefix(b.Subject); ok {
				a.addresses[p] = b.ExpiresAt
			}
		case makerguard.BlockMember:
			a.members[makerguard.MemberID(b.Subject)] = b.ExpiresAt
		case makerguard.BlockManufacturer:
			a.manufacturers[makerguard.ManufacturerID(b.Subject)] = b.ExpiresAt
		}
	}
	return a
}

// until tells when a subject's block ends, the zero time if there is none.
func (a *active) until(sub subject) time.Time {
	switch sub.kind {
	case makerguard.BlockAddress:
		p, _ := subjectPrefix(sub.id)
		return a.addresses[p]
	case makerguard.BlockMember:
		return a.members[makerguard.MemberID(sub.id)]
	case makerguard.BlockManufacturer:
		return a.manufacturers[makerguard.ManufacturerID(sub.id)]
	}
	return time.Time{}
}

func (a *active) has(sub subject, now time.Time) bool { return a.until(sub).After(now) }

func (a *active) count(now time.Time) int {
	return running(a.addresses, now) + running(a.members, now) + running(a.manufacturers, now)
}

func running[K comparable](until map[K]time.Time, now time.Time) int {
	n := 0
	for _, t := range until {
		if t.After(now) {
			n++
		}
	}
	return n
}

// CheckAddress returns SecurityThreatDetected, with RetryAfter, if requests from an
// address are refused now. It says nothing of what led to it, which would help whoever
// did it.
func (s *Service) CheckAddress(ip string) error {
	a := s.active.Load()
	if len(a.addresses) == 0 {
		return nil
	}
	p, ok := prefixOf(ip)
	if !ok {
		return nil
	}
	return s.refusal(a.addresses[p], "your network")
}

// CheckPrincipal returns SecurityThreatDetected, with RetryAfter, if p or its manufacturer
// is blocked now. Operators never are.
func (s *Service) CheckPrincipal(p *makerguard.Principal) error {
	a := s.active.Load()
	if len(a.members) == 0 && len(a.manufacturers) == 0 || p.Operator() {
		return nil
	}
	if err := s.refusal(a.members[p.MemberID], "your account"); err != nil {
		return err
	}
	return s.refusal(a.manufacturers[p.ManufacturerID], "your company's accounts")
}

func (s *Service) refusal(until time.Time, whose string) error {
	if until.IsZero() {
		return nil
	}
	left := until.Sub(s.cfg.Now())
	if left <= 0 {
		return nil
	}
	at := until.UTC().Truncate(time.Second)
	return &makerguard.Error{
		Code: makerguard.SecurityThreatDetected,
		Message: fmt.Sprintf("Requests from %s are refused until %s because of what was seen before. If that is a mistake, ask the operator to lift the block.",
			whose, at.Format("2006-01-02 15:04:05 UTC")),
		RetryAfter: left,
		Details:    map[string]any{"until": at},
	}
}

// Apply brings the blocks up to date with a change that was read from the feed. It does
// not wait.
func (s *Service) Apply(c makerguard.Change) {
	if c.Kind == makerguard.BlocksChanged {
		s.wakeUp()
	}
}

func (s *Service) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it will be read once more anyway
	}
}

// Load reads the blocks in force. Until it succeeds again, those known go on.
func (s *Service) Load(ctx context.Context) error {
	s.loading.Lock() // what was read later is in force later
	defer s.loading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	blocks, err := s.cfg.Store.Blocks(ctx, s.cfg.Now(), maxActive)
	if err != nil {
		return fmt.Errorf("reading the blocks in force: %w", err)
	}
	s.active.Store(newActive(blocks))
	return nil
}

// follow reads the blocks at first, when they changed and now and then, until ctx ends.
func (s *Service) follow(ctx context.Context) {
	failing := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		err := s.Load(ctx)
		switch {
		case err == nil:
			failing = false
			timer.Reset(reloadEvery)
		case ctx.Err() != nil:
			return
		default:
			if !failing {
				s.cfg.Logger.Warn("blocks cannot be read; those known go on", "error", err)
			}
			failing = true
			timer.Reset(retryAfter)
		}
	}
}
