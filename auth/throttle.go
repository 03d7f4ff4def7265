package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// How guessing is slowed down (SP 800-63B-4 section 3.2.2, ASVS 6.1.1 and 6.3.1). All of it is
// decided before a password is hashed, and alike for addresses that have no account.
//
//   - What is guessed at: each factor of each account has a counter of failures in a
//     row. After five the next guess has to wait, 1 s at first and twice as long each time up
//     to 15 minutes; after a hundred the factor is disabled until Unlock, or for a
//     password until it is changed. Success sets this counter back and no other.
//   - Who guesses: an address (an IPv4 address, or the /64 an IPv6 address is in) is refused after
//     30 failures in 15 minutes, and for 15 minutes if it failed on 20 accounts within 10.
//   - A device that signed in before has a counter of its own instead of those two, so
//     strangers cannot lock the owner out there. It opens one account only, and not without
//     the password.
//
// The counters are in the store and so hold for all nodes. Their keys are hashes, as what
// people type into the e-mail field is nothing to keep. Parallel guesses are counted
// exactly on one node (see gates); with n nodes, n times the guesses that are free can
// be under way before the first failure is counted.
const (
	freeFailures = 5
	maxFailures  = 100
	firstDelay   = time.Second
	maxDelay     = 15 * time.Minute
	// failureMemory is how long failures in a row are remembered after the last. It is
	// finite so that counters of addresses that do not exist go away at last.
	failureMemory = 365 * 24 * time.Hour

	addressFailures = 30
	addressWindow   = 15 * time.Minute
	sprayedAccounts = 20
	sprayWindow     = 10 * time.Minute
	sprayPenalty    = 15 * time.Minute

	signupWindow = time.Hour

	// bruteForce is after how many failures in a row the threat history is told.
	bruteForce = 10
)

// guess is one try at something that could be guessed.
type guess struct {
	counter string // of failures in a row
	subject string // whose account, hashed; "" where the address is not to be counted
	client  makerguard.Client
	member  makerguard.Member // zero if there is no such account
}

// attempt is a guess that may go on. Exactly one of its methods must be called.
type attempt struct {
	s        *Service
	g        guess
	failures int // in a row, before this one
	leave    []func()
}

// begin waits for parallel guesses where they could exceed a limit, and returns
// RATE_LIMIT_EXCEEDED if one is reached.
func (s *Service) begin(ctx context.Context, g guess) (*attempt, error) {
	a := &attempt{s: s, g: g}
	leave, err := s.gates.enter(ctx, g.counter, func() (free int, err error) {
		free, a.failures, err = s.roomForGuess(ctx, g.counter)
		return free, err
	})
	if err != nil {
		return nil, err
	}
	a.leave = append(a.leave, leave)
	if g.subject == "" {
		return a, nil
	}
	address := addressPrefix(g.client.IP)
	leave, err = s.gates.enter(ctx, counterKey("address", address), func() (int, error) {
		return s.roomForAddress(ctx, address)
	})
	if err != nil {
		a.abandon()
		return nil, err
	}
	a.leave = append(a.leave, leave)
	return a, nil
}

// abandon ends an attempt that came to no result.
func (a *attempt) abandon() {
	for _, leave := range a.leave {
		leave()
	}
}

// succeeded ends an attempt that was right.
func (a *attempt) succeeded(ctx context.Context) error {
	defer a.abandon()
	if a.failures == 0 {
		return nil
	}
	if err := a.s.store.ResetCounter(ctx, a.g.counter); err != nil {
		return fmt.Errorf("resetting failures: %w", err)
	}
	return nil
}

// failed ends an attempt that was wrong, and counts it.
func (a *attempt) failed(ctx context.Context) error {
	defer a.abandon()
	// A caller that hangs up is counted nevertheless.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	now := a.s.now()
	c, err := a.s.store.BumpCounter(ctx, a.g.counter, failureMemory, now)
	if err != nil {
		return fmt.Errorf("counting a failure: %w", err)
	}
	switch c.Count {
	case freeFailures:
		a.record(ctx, audit.SigninThrottled, "account: each further attempt has to wait")
	case bruteForce:
		a.s.threat(ctx, a.threat(makerguard.BruteForce, makerguard.SeverityMedium, "auth.failures_in_a_row",
			fmt.Sprintf("%d failed attempts in a row on one account.", c.Count)))
	case maxFailures:
		a.record(ctx, audit.MFADisabled, fmt.Sprintf("after %d failures in a row", c.Count))
		a.s.threat(ctx, a.threat(makerguard.BruteForce, makerguard.SeverityHigh, "auth.factor_disabled",
			fmt.Sprintf("%d failed attempts in a row on one account; this way to sign in is disabled.", c.Count)))
	}
	if a.g.subject == "" {
		return nil
	}
	return a.failedFrom(ctx, addressPrefix(a.g.client.IP), now)
}

func (a *attempt) failedFrom(ctx context.Context, address string, now time.Time) error {
	if _, err := a.s.bumpWindow(ctx, counterKey("address", address), addressWindow, now); err != nil {
		return err
	}
	pair, err := a.s.store.BumpCounter(ctx, counterKey("sprayed", address, a.g.subject), sprayWindow, now)
	if err != nil {
		return fmt.Errorf("counting a failure: %w", err)
	}
	if pair.Count > 1 {
		return nil // this account has been counted for this address
	}
	accounts, err := a.s.bumpWindow(ctx, counterKey("spraying", address), sprayWindow, now)
	if err != nil || accounts < sprayedAccounts {
		return err
	}
	penalty, err := a.s.store.BumpCounter(ctx, counterKey("sprayer", address), sprayPenalty, now)
	if err != nil {
		return fmt.Errorf("refusing an address: %w", err)
	}
	if penalty.Count == 1 {
		a.record(ctx, audit.SigninThrottled, "address: it failed on many accounts")
		t := a.threat(makerguard.PasswordSpraying, makerguard.SeverityHigh, "auth.spraying",
			fmt.Sprintf("One address failed to sign in to %d accounts; it is refused for %v.", sprayedAccounts, sprayPenalty))
		// It concerns no one manufacturer.
		t.ManufacturerID, t.MemberID = "", ""
		a.s.threat(ctx, t)
	}
	return nil
}

// record writes to the record of the account, or of the platform if there is none.
func (a *attempt) record(ctx context.Context, action, detail string) {
	a.s.recordFailure(ctx, a.g.member, action, detail, a.g.client)
}

func (a *attempt) threat(kind makerguard.ThreatType, severity makerguard.Severity, rule, description string) makerguard.Threat {
	return makerguard.Threat{
		ManufacturerID: a.g.member.ManufacturerID, MemberID: a.g.member.ID,
		IP: a.g.client.IP, UserAgent: a.g.client.UserAgent, RequestID: a.g.client.RequestID,
		Finding: makerguard.Finding{Type: kind, Severity: severity, Rule: rule, Description: description},
	}
}

// roomForGuess says how many guesses may be under way at a counter, and how many failed in
// a row.
func (s *Service) roomForGuess(ctx context.Context, counter string) (free, failures int, err error) {
	now := s.now()
	c, err := s.store.Counter(ctx, counter, failureMemory, now)
	if err != nil {
		return 0, 0, fmt.Errorf("reading failures: %w", err)
	}
	if c.Count >= maxFailures {
		return 0, 0, tooMany(maxDelay, "Too many failed attempts. This way to sign in is disabled; use another, or ask for help.")
	}
	if wait := c.LastAt.Add(delayAfter(c.Count)).Sub(now); c.Count >= freeFailures && wait > 0 {
		return 0, 0, tooMany(wait, "Too many failed attempts. Wait before the next.")
	}
	return max(1, freeFailures-c.Count), c.Count, nil
}

// delayAfter is how long to wait after so many failures in a row.
func delayAfter(failures int) time.Duration {
	if failures < freeFailures {
		return 0
	}
	if doubled := failures - freeFailures; doubled < 10 {
		return min(firstDelay<<doubled, maxDelay)
	}
	return maxDelay
}

// roomForAddress says how many guesses from an address may be under way.
func (s *Service) roomForAddress(ctx context.Context, address string) (int, error) {
	const message = "Too many failed attempts from your network. Wait before the next."
	now := s.now()
	penalty, err := s.store.Counter(ctx, counterKey("sprayer", address), sprayPenalty, now)
	if err != nil {
		return 0, fmt.Errorf("reading refused addresses: %w", err)
	}
	if wait := penalty.LastAt.Add(sprayPenalty).Sub(now); penalty.Count > 0 && wait > 0 {
		return 0, tooMany(wait, message)
	}
	w, err := s.readWindow(ctx, counterKey("address", address), addressWindow, now)
	if err != nil {
		return 0, err
	}
	if wait := w.untilBelow(addressFailures); wait > 0 {
		return 0, tooMany(wait, message)
	}
	return max(1, addressFailures-int(math.Ceil(w.estimate()))), nil
}

// AllowSignup counts a registration from the client's address. It returns
// RATE_LIMIT_EXCEEDED if there were Config.SignupsPerHour of them within an hour.
func (s *Service) AllowSignup(ctx context.Context, c makerguard.Client) error {
	const message = "Too many registrations from your network. Try again later."
	now := s.now()
	key := counterKey("signup", addressPrefix(c.IP))
	w, err := s.readWindow(ctx, key, signupWindow, now)
	if err != nil {
		return err
	}
	if wait := w.untilBelow(s.signups); wait > 0 {
		return tooMany(wait, message)
	}
	// Parallel registrations may all have passed the check; the count decides.
	n, err := s.bumpWindow(ctx, key, signupWindow, now)
	if err == nil && n > float64(s.signups) {
		return tooMany(overloadedRetry, message)
	}
	return err
}

// window is a sliding count of events, from the counts of the present and the previous
// fixed window: the latter counts as far as it still reaches into the sliding one.
type window struct {
	size, elapsed     time.Duration
	current, previous int
}

func (w window) estimate() float64 {
	return float64(w.current) + float64(w.previous)*float64(w.size-w.elapsed)/float64(w.size)
}

// untilBelow is how long the estimate stays at limit or above if nothing more happens.
func (w window) untilBelow(limit int) time.Duration {
	switch {
	case w.estimate() < float64(limit):
		return 0
	case w.current >= limit:
		return w.size - w.elapsed
	default:
		share := float64(limit-w.current) / float64(w.previous) // of previous that may still reach in
		return max(w.size-w.elapsed-time.Duration(share*float64(w.size)), time.Second)
	}
}

func windowAt(size time.Duration, now time.Time) (index int64, w window) {
	index = now.UnixNano() / int64(size)
	return index, window{size: size, elapsed: time.Duration(now.UnixNano() - index*int64(size))}
}

func (s *Service) readWindow(ctx context.Context, key string, size time.Duration, now time.Time) (window, error) {
	index, w := windowAt(size, now)
	for back, count := range []*int{&w.current, &w.previous} {
		c, err := s.store.Counter(ctx, windowKey(key, index-int64(back)), 2*size, now)
		if err != nil {
			return window{}, fmt.Errorf("reading a counter: %w", err)
		}
		*count = c.Count
	}
	return w, nil
}

// bumpWindow adds one and returns the estimate after it.
func (s *Service) bumpWindow(ctx context.Context, key string, size time.Duration, now time.Time) (float64, error) {
	index, _ := windowAt(size, now)
	if _, err := s.store.BumpCounter(ctx, windowKey(key, index), 2*size, now); err != nil {
		return 0, fmt.Errorf("counting: %w", err)
	}
	w, err := s.readWindow(ctx, key, size, now)
	return w.estimate(), err
}

func windowKey(key string, index int64) string { return key + ":" + strconv.FormatInt(index, 10) }

// counterKey names a counter. The parts are hashed, without a key: rotating one would
// set all counters back.
func counterKey(kind string, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return kind + ":" + hex.EncodeToString(h.Sum(nil)[:16])
}

// addressPrefix is what counts as one address: an IPv4 address, or the /64 that an IPv6
// customer has at least. Whatever is no address counts as one, so nobody gets past by
// being unknown.
func addressPrefix(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

func tooMany(wait time.Duration, message string) error {
	// Whole seconds, rounded up, as Retry-After has them.
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return &makerguard.Error{Code: makerguard.RateLimitExceeded, Message: message, RetryAfter: wait}
}
