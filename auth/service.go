package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/internal/id"
)

// Sealer encrypts the seeds of one-time codes, bound to a manufacturer, a record and
// a field. *envelope.Keyring is one.
type Sealer interface {
	Seal(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, plaintext []byte) (blob []byte, version uint32, err error)
	Open(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, blob []byte) (plaintext []byte, version uint32, err error)
}

// Recorder appends to the audit record. *audit.Log is one.
type Recorder interface {
	Record(ctx context.Context, e makerguard.AuditEntry) error
}

// ThreatRecorder appends to the threat history. *threat.Log is one.
type ThreatRecorder interface {
	RecordThreat(ctx context.Context, t makerguard.Threat) error
}

// Policy is what a tier allows its members. It is asked at each sign-in, so that a
// policy may change while the service runs.
type Policy interface {
	// Sessions is how many sessions a member may have; makerguard.Unlimited is no limit.
	Sessions(makerguard.Tier) int64
	// RequiresMFA tells whether members need a second factor. Operators always do.
	RequiresMFA(makerguard.Tier) bool
}

// Freshness tells whether every change other nodes made until a few seconds before now
// has been applied here. It is called by each Authenticate and must not block.
// *feed.Feed is one.
type Freshness interface {
	Fresh(now time.Time) bool
}

// VersionedKey is one version of a secret key of the installation.
type VersionedKey struct {
	Version uint32
	Key     []byte // at least 32 bytes
}

// Keys are the keys of the installation that this package uses, each with its versions in
// order, the newest last. New things are made with the newest; the others still verify.
type Keys struct {
	Pepper  []VersionedKey // the keyed last step of password hashing
	Refresh []VersionedKey // derives refresh tokens
	Device  []VersionedKey // signs known-device tokens
}

// Config configures a Service.
type Config struct {
	Store  Store       // required
	Sealer Sealer      // required
	Tokens *token.Ring // required
	// RefreshKeys brings Tokens up to date when a token names a key it does not hold.
	// Whoever sends such tokens decides how often it is called, so it must bound its work.
	// Default none: such a token is not valid.
	RefreshKeys func(context.Context) error
	Keys        Keys           // required, at least one version of each
	Audit       Recorder       // required
	Threats     ThreatRecorder // required
	Policy      Policy         // required
	Feed        Freshness      // required
	// EmailKey normalises an e-mail address, as account.EmailKey does. Required.
	EmailKey func(string) (string, error)

	// RequireVerifiedEmail refuses the sign-in of members whose address is not verified.
	// Set it where mail can be sent. Default false.
	RequireVerifiedEmail bool
	// SessionIdle ends a session that was not used for so long. Default and most 1
	// hour; operators' sessions have at most 15 minutes.
	SessionIdle time.Duration
	// SessionLifetime ends a session however much it is used. Default and most 24
	// hours; operators' sessions have at most 12 hours.
	SessionLifetime time.Duration
	// AccessLifetime is how long an access token is good, in whole seconds. Default
	// token.MaxLifetime; Tokens must allow as much.
	AccessLifetime time.Duration
	// SignupsPerHour is how many accounts one address may register. Default 60.
	SignupsPerHour int
	// HashWorkers is how many passwords are hashed at once; each takes
	// Argon2.Memory KiB. Default GOMAXPROCS. With GOMAXPROCS at twice the cores and this at the
	// cores, the scheduler always has a processor left for requests that hash nothing.
	HashWorkers int
	// HashQueue is how many callers may wait for a worker. Default 64 for each worker.
	HashQueue int
	// Argon2 is what new password hashes cost. The zero value is DefaultArgon2. New refuses
	// less than OWASP's Password Storage Cheat Sheet asks for, unless InsecureParams is set.
	Argon2 Argon2
	// InsecureParams allows any Argon2 parameters, for tests of what is built on this
	// package. It is logged as a warning. Default false.
	InsecureParams bool
	// CacheSize is how many tokens and how many sessions are remembered. Default 65,536.
	CacheSize int
	// Issuer is the name that one-time code generators show. Default "makerguard".
	Issuer string
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told what an operator should know. Default none.
	Logger *slog.Logger
}

// The longest a session may live and be unused. Operators have less (ASVS 7.3,
// SP 800-63B-4 section 2.2.3).
const (
	maxSessionIdle        = time.Hour
	maxSessionLifetime    = 24 * time.Hour
	maxOperatorIdle       = 15 * time.Minute
	maxOperatorLifetime   = 12 * time.Hour
	defaultSignups        = 60
	defaultQueuePerWorker = 64
	defaultCacheSize      = 1 << 16
	minKeySize            = 32
	flushInterval         = 30 * time.Second
	storeTimeout          = 3 * time.Second // for what must be done though the caller left
	keepSessions          = 30 * 24 * time.Hour
	recentAuthentication  = 5 * time.Minute
)

// Service signs members in and knows their sessions. It is safe for concurrent use.
type Service struct {
	c       Config
	store   Store
	logger  *slog.Logger
	argon2  Argon2
	signups int
	keys    atomic.Pointer[Keys]

	hashing   *pool
	gates     *gates
	dummySalt []byte

	known    *otter.Cache[[32]byte, *knownToken]
	ringKeys atomic.Uint64 // counts changes of the signing keys
	sessions *liveSessions

	stop    chan struct{}
	stopped sync.WaitGroup
	closing sync.Once
}

// New checks the configuration, reports everything wrong with it, and starts the goroutine
// that writes when sessions were last seen. Close ends it.
func New(c Config) (*Service, error) {
	var errs []error
	require := func(present bool, what string) {
		if !present {
			errs = append(errs, errors.New("auth: no "+what))
		}
	}
	require(c.Store != nil, "Store")
	require(c.Sealer != nil, "Sealer")
	require(c.Tokens != nil, "Tokens")
	require(c.Audit != nil, "Audit")
	require(c.Threats != nil, "Threats")
	require(c.Policy != nil, "Policy")
	require(c.Feed != nil, "Feed")
	require(c.EmailKey != nil, "EmailKey")
	errs = append(errs, c.Keys.check(), c.setDefaults())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.InsecureParams {
		c.Logger.Warn("password hashing parameters are not checked; this is for tests only",
			"memory_kib", c.Argon2.Memory, "time", c.Argon2.Time)
	}
	known, err := otter.New(&otter.Options[[32]byte, *knownToken]{MaximumSize: c.CacheSize})
	if err != nil {
		return nil, fmt.Errorf("auth: making the token cache: %w", err)
	}
	s := &Service{
		c: c, store: c.Store, logger: c.Logger, argon2: c.Argon2, signups: c.SignupsPerHour,
		hashing: newPool(c.HashWorkers, c.HashQueue), gates: newGates(), dummySalt: randomBytes(saltSize),
		known: known, sessions: newLiveSessions(c.CacheSize), stop: make(chan struct{}),
	}
	s.keys.Store(&c.Keys)
	s.stopped.Go(s.flushRegularly)
	return s, nil
}

// setDefaults fills what is zero and reports what is out of bounds.
func (c *Config) setDefaults() error {
	setDefault(&c.SessionIdle, maxSessionIdle)
	setDefault(&c.SessionLifetime, maxSessionLifetime)
	setDefault(&c.AccessLifetime, token.MaxLifetime)
	setDefault(&c.SignupsPerHour, defaultSignups)
	setDefault(&c.HashWorkers, runtime.GOMAXPROCS(0))
	setDefault(&c.HashQueue, defaultQueuePerWorker*c.HashWorkers)
	setDefault(&c.Argon2, DefaultArgon2())
	setDefault(&c.CacheSize, defaultCacheSize)
	setDefault(&c.Issuer, "makerguard")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	within := func(name string, d, most time.Duration) {
		if d <= 0 || d > most {
			errs = append(errs, fmt.Errorf("auth: %s is %v, want more than 0 and at most %v", name, d, most))
		}
	}
	within("SessionIdle", c.SessionIdle, maxSessionIdle)
	within("SessionLifetime", c.SessionLifetime, maxSessionLifetime)
	within("AccessLifetime", c.AccessLifetime, token.MaxLifetime)
	for name, n := range map[string]int{
		"SignupsPerHour": c.SignupsPerHour, "HashWorkers": c.HashWorkers, "HashQueue": c.HashQueue, "CacheSize": c.CacheSize,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("auth: %s is %d, want more than 0", name, n))
		}
	}
	if !c.Argon2.valid() || !c.InsecureParams && !c.Argon2.strong() {
		errs = append(errs, fmt.Errorf("auth: Argon2 is %+v, which costs too little or too much", c.Argon2))
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (k Keys) check() error {
	var errs []error
	for name, versions := range map[string][]VersionedKey{"Pepper": k.Pepper, "Refresh": k.Refresh, "Device": k.Device} {
		if len(versions) == 0 {
			errs = append(errs, fmt.Errorf("auth: no %s key", name))
		}
		for i, v := range versions {
			if len(v.Key) < minKeySize {
				errs = append(errs, fmt.Errorf("auth: version %d of the %s key has %d bytes, want at least %d", v.Version, name, len(v.Key), minKeySize))
			}
			if i > 0 && v.Version <= versions[i-1].Version {
				errs = append(errs, fmt.Errorf("auth: the versions of the %s key are not in order", name))
			}
		}
	}
	return errors.Join(errs...)
}

// SetKeys replaces the keys at once for all callers, or returns an error and changes
// nothing. Passwords whose pepper is gone can no longer be verified.
func (s *Service) SetKeys(k Keys) error {
	if err := k.check(); err != nil {
		return err
	}
	s.keys.Store(&k)
	return nil
}

// Close stops the background work and writes when sessions were last seen. The service must
// not be used after it.
func (s *Service) Close(ctx context.Context) error {
	s.closing.Do(func() { close(s.stop) })
	s.stopped.Wait()
	s.known.StopAllGoroutines()
	return s.flush(ctx)
}

func (s *Service) flushRegularly() {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
			if err := s.flush(ctx); err != nil {
				s.logger.WarnContext(ctx, "could not write when sessions were last seen; trying again later", "error", err)
			}
			cancel()
		}
	}
}

func (s *Service) flush(ctx context.Context) error {
	return s.sessions.flush(func(seen map[makerguard.SessionID]time.Time) error {
		if err := s.store.TouchSessions(ctx, seen); err != nil {
			return fmt.Errorf("writing when sessions were last seen: %w", err)
		}
		return nil
	})
}

// Prune removes what is of no more use from the store: expired challenges and counters, and
// sessions that ended more than 30 days ago.
func (s *Service) Prune(ctx context.Context) error {
	now := s.now()
	if err := s.store.DeleteExpired(ctx, now, now.Add(-keepSessions)); err != nil {
		return fmt.Errorf("removing what has expired: %w", err)
	}
	return nil
}

// Stats are counts for monitoring.
type Stats struct {
	Hashes          uint64 // passwords hashed, to set or to check one
	Hashing         int64  // callers that hash or wait for it now
	Tokens          int    // access tokens remembered
	Sessions        int    // sessions remembered
	SessionsLoaded  uint64 // sessions read from the store
	SessionsDropped uint64 // sessions forgotten because of a change
}

// Stats gives the counts of now.
func (s *Service) Stats() Stats {
	return Stats{
		Hashes: s.hashing.hashed.Load(), Hashing: s.hashing.inside.Load(),
		Tokens: s.known.EstimatedSize(), Sessions: s.sessions.size(),
		SessionsLoaded: s.sessions.loaded.Load(), SessionsDropped: s.sessions.dropped.Load(),
	}
}

func (s *Service) now() time.Time { return s.c.Now().UTC() }

func (s *Service) requiresMFA(t makerguard.Tier) bool {
	return t == makerguard.TierPlatform || s.c.Policy.RequiresMFA(t)
}

func (s *Service) idleLimit(t makerguard.Tier) time.Duration {
	if t == makerguard.TierPlatform {
		return min(s.c.SessionIdle, maxOperatorIdle)
	}
	return s.c.SessionIdle
}

func (s *Service) sessionLifetime(t makerguard.Tier) time.Duration {
	if t == makerguard.TierPlatform {
		return min(s.c.SessionLifetime, maxOperatorLifetime)
	}
	return s.c.SessionLifetime
}

// threat tells the threat history. What it is told of has been acted on already, so that
// a failure only is logged.
func (s *Service) threat(ctx context.Context, t makerguard.Threat) {
	t.ID, t.DetectedAt = makerguard.EventID(id.New("evt")), s.now()
	if err := s.c.Threats.RecordThreat(ctx, t); err != nil {
		s.logger.ErrorContext(ctx, "a threat was not recorded", "type", t.Type, "error", err)
	}
}
