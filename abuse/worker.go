package abuse

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/internal/id"
)

// The rules under which this package writes to the history. They never add points: who
// caused them has got them already.
const (
	rulePrefix = "abuse."
	// RuleProposed is the rule of a block that was only proposed. The entry's Input is the
	// kind of subject, its Score the points.
	RuleProposed = rulePrefix + "block_proposed"
)

func ours(rule string) bool { return strings.HasPrefix(rule, rulePrefix) }

const (
	// The first block takes shortest, each further one twice as long, up to longest.
	shortest = 10 * time.Minute
	longest  = 24 * time.Hour
	// strikeLife is how long it takes until a former block counts half.
	strikeLife = 7 * 24 * time.Hour
	// pardonLife is for how long a lifted subject is not blocked again automatically.
	pardonLife = time.Hour
	// proposeEvery is the pause between two proposals about one subject.
	proposeEvery = time.Hour
)

// subject is who gets points. It is blocked as a whole.
type subject struct {
	kind makerguard.BlockKind
	id   string
}

func (s subject) key() string { return string(s.kind) + ":" + s.id }

// work looks at an item and at those that wait behind it. Their points are added up first, so
// that a flood costs few writes.
func (s *Service) work(ctx context.Context, first item) {
	added := map[subject]float64{}
	seen := map[subject]int{} // what is lost if the points cannot be written
	add := func(sub subject, p float64) {
		added[sub] += p
		seen[sub]++
	}
	s.look(ctx, first, add)
	for range batchSize - 1 {
		select {
		case i := <-s.queue:
			s.look(ctx, i, add)
			continue
		default:
		}
		break
	}
	for sub, p := range added {
		if err := s.judge(ctx, sub, p); err != nil && ctx.Err() == nil {
			s.dropped.Add(int64(seen[sub]))
			s.cfg.Logger.Warn("points were not counted", "subject", sub.key(), "error", err)
		}
	}
}

func (s *Service) look(ctx context.Context, i item, add func(subject, float64)) {
	if i.threat != nil {
		s.lookAt(i.threat, add)
		return
	}
	for _, f := range s.engine.Observe(i.event) {
		s.fired.Add(1)
		s.record(ctx, f)
		sub := f.Scenario.subject(f.Event)
		if !s.concerns(sub) {
			continue
		}
		s.tallies.at(sub.key()).firing(f)
		if f.Scenario.Points == 0 {
			s.propose(ctx, sub, 0, s.cfg.Now())
			continue
		}
		add(sub, f.Scenario.Points)
	}
}

// lookAt adds the points of a threat. Of one request the worst finding counts alone: a long text
// about attacks has hundreds, and is one mistake if it is one.
func (s *Service) lookAt(t *makerguard.Threat, add func(subject, float64)) {
	p, first := points(t.Severity), true
	if t.RequestID != "" {
		given := s.requests.at(t.RequestID)
		first = *given == 0
		p -= *given
		*given = max(*given, points(t.Severity))
	}
	if p <= 0 {
		return
	}
	for _, sub := range s.subjectsOf(t) {
		if first {
			s.tallies.at(sub.key()).threat(t)
		}
		add(sub, p)
	}
}

func (s *Service) subjectsOf(t *makerguard.Threat) []subject {
	all := []subject{
		{makerguard.BlockAddress, AddressKey(t.IP)},
		{makerguard.BlockManufacturer, string(t.ManufacturerID)},
		{makerguard.BlockMember, string(t.MemberID)},
	}
	if t.ManufacturerID == makerguard.PlatformID {
		all = all[:1] // operators are not blocked
	}
	return slices.DeleteFunc(all, func(sub subject) bool { return !s.concerns(sub) })
}

// concerns reports whether a subject can get points at all.
func (s *Service) concerns(sub subject) bool {
	switch {
	case sub.id == "":
		return false
	case sub.kind == makerguard.BlockAddress:
		p, ok := subjectPrefix(sub.id)
		return ok && !s.spared(p)
	case sub.kind == makerguard.BlockManufacturer:
		return sub.id != string(makerguard.PlatformID)
	}
	return true
}

// spared reports whether blocking an address would hurt everybody.
func (s *Service) spared(p netip.Prefix) bool {
	return p.Addr().IsLoopback() || p.Contains(netip.IPv6Loopback()) || s.cfg.Spare(p.Addr())
}

// record writes a firing to the history.
func (s *Service) record(ctx context.Context, f Firing) {
	s.tell(ctx, makerguard.Threat{
		ManufacturerID: f.Event.ManufacturerID, MemberID: f.Event.MemberID, IP: f.Event.Address, DetectedAt: f.Event.At,
		Finding: makerguard.Finding{
			Type: f.Scenario.Type, Severity: f.Scenario.Severity, Rule: rulePrefix + f.Scenario.ID, Description: f.Reason(),
		},
	})
}

func (s *Service) tell(ctx context.Context, t makerguard.Threat) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := s.cfg.Threats.RecordThreat(ctx, t); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("abuse was not written to the history", "rule", t.Rule, "error", err)
	}
}

// judge adds points to a subject, and blocks it if it has too many.
func (s *Service) judge(ctx context.Context, sub subject, p float64) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := s.cfg.Now()
	total, err := s.cfg.Store.AddPoints(ctx, "abuse:"+sub.key(), p, HalfLife, now)
	// A float's last digit must not decide whether ten times twenty are two hundred.
	if err != nil || total < Threshold-0.5 || s.active.Load().has(sub, now) {
		return err
	}
	pardon, err := s.cfg.Store.AddPoints(ctx, pardonKey(sub), 0, pardonLife, now)
	if err != nil || pardon > 0.5 { // 1 at the time of the lift
		return err
	}
	if !slices.Contains(s.cfg.Block, sub.kind) || private(sub) {
		s.propose(ctx, sub, total, now)
		return nil
	}
	return s.block(ctx, sub, total, now)
}

// private reports whether a subject is an address of a private network (RFC 1918, RFC 4193) or a link.
// Behind one is often a proxy or a container's gateway that nobody declared, and blocking
// it would let one attacker shut out everybody.
func private(sub subject) bool {
	p, _ := subjectPrefix(sub.id)
	return sub.kind == makerguard.BlockAddress && (p.Addr().IsPrivate() || p.Addr().IsLinkLocalUnicast())
}

func pardonKey(sub subject) string { return "pardon:" + sub.key() }

func (s *Service) block(ctx context.Context, sub subject, total float64, now time.Time) error {
	strikes, err := s.cfg.Store.AddPoints(ctx, "strikes:"+sub.key(), 0, strikeLife, now)
	if err != nil {
		return err
	}
	t := s.tallies.at(sub.key())
	b := makerguard.Block{
		ID: id.New("blk"), Kind: sub.kind, Subject: sub.id, ManufacturerID: t.manufacturer(), Points: total,
		CreatedAt: now, ExpiresAt: now.Add(sentence(strikes)),
	}
	b.Scenario, b.Reason = t.explain()
	stands, err := s.cfg.Store.PutBlock(ctx, b)
	if err != nil {
		return err
	}
	if err := s.Load(ctx); err != nil {
		s.wakeUp() // it is tried again
	}
	if stands.ID != b.ID {
		return nil // another node was faster
	}
	s.blocked.Add(1)
	s.cfg.Logger.Warn("blocked", "kind", b.Kind, "subject", b.Subject, "until", b.ExpiresAt, "reason", b.Reason)
	_, err = s.cfg.Store.AddPoints(ctx, "strikes:"+sub.key(), 1, strikeLife, now)
	// The block stands even if this fails: it protects, and takes nothing from anybody for long.
	return errors.Join(err, s.cfg.Audit.Record(ctx, entryOf(b, audit.BlockImposed, b.Reason, nil, makerguard.Client{})))
}

// sentence is how long a block takes after so many former ones, which fade.
func sentence(strikes float64) time.Duration {
	doublings := min(max(math.Round(strikes), 0), 16)
	return min(shortest<<int(doublings), longest)
}

func (s *Service) propose(ctx context.Context, sub subject, total float64, now time.Time) {
	last := s.proposed.at(sub.key())
	if now.Sub(*last) < proposeEvery {
		return
	}
	*last = now
	s.proposals.Add(1)
	t := s.tallies.at(sub.key())
	_, reason := t.explain()
	entry := makerguard.Threat{
		ManufacturerID: t.manufacturer(), DetectedAt: now,
		Finding: makerguard.Finding{
			Type: makerguard.RateAbuse, Severity: makerguard.SeverityLow, Rule: RuleProposed, Input: string(sub.kind),
			Description: "Would be blocked: " + reason, Score: int(total),
		},
	}
	switch sub.kind {
	case makerguard.BlockManufacturer:
		entry.ManufacturerID = makerguard.ManufacturerID(sub.id)
	case makerguard.BlockMember:
		entry.MemberID = makerguard.MemberID(sub.id)
	case makerguard.BlockAddress:
		entry.IP = sub.id
	}
	s.tell(ctx, entry)
}
