package auth_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/auth/totp"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/sqlite"
)

const (
	goodPassword  = "four words nobody guesses"
	otherPassword = "five other words nobody guesses"
	wrongPassword = "not the password of anybody"
)

var home = makerguard.Client{IP: "192.0.2.1", UserAgent: "test", RequestID: "req_1"}

// clock is a clock that stands still until it is moved.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// testFeed says what the test tells it to.
type testFeed struct{ stale atomic.Bool }

func (f *testFeed) Fresh(time.Time) bool { return !f.stale.Load() }

// log records audit entries and threats.
type log struct {
	mu      sync.Mutex
	entries []makerguard.AuditEntry
	threats []makerguard.Threat
	broken  atomic.Bool
}

func (l *log) Record(_ context.Context, e makerguard.AuditEntry) error {
	if l.broken.Load() {
		return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "no audit"}
	}
	if !slices.ContainsFunc(audit.Catalogue(), func(known audit.Event) bool { return known.Action == e.Action }) {
		return fmt.Errorf("action %q is not in the catalogue", e.Action)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return nil
}

func (l *log) RecordThreat(_ context.Context, t makerguard.Threat) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.threats = append(l.threats, t)
	return nil
}

func (l *log) count(action string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.entries {
		if e.Action == action {
			n++
		}
	}
	return n
}

func (l *log) last() makerguard.AuditEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return makerguard.AuditEntry{}
	}
	return l.entries[len(l.entries)-1]
}

func (l *log) threatTypes() []makerguard.ThreatType {
	l.mu.Lock()
	defer l.mu.Unlock()
	var types []makerguard.ThreatType
	for _, t := range l.threats {
		types = append(types, t.Type)
	}
	return types
}

// policy gives tiers sessions and asks the ones named for a second factor.
type policy struct {
	sessions int64
	mfa      map[makerguard.Tier]bool
}

func (p policy) Sessions(makerguard.Tier) int64     { return p.sessions }
func (p policy) RequiresMFA(t makerguard.Tier) bool { return p.mfa[t] }
func (p policy) Members(makerguard.Tier) int64      { return makerguard.Unlimited }

// sealer seals with one key and binds what the contract says is bound.
type sealer struct{ aead cipher.AEAD }

func newSealer(t testing.TB) sealer {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{aead}
}

func (s sealer) Seal(_ context.Context, mfr makerguard.ManufacturerID, record, field string, plaintext []byte) ([]byte, uint32, error) {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, plaintext, fmt.Appendf(nil, "%q%q%q", mfr, record, field)), 1, nil
}

func (s sealer) Open(_ context.Context, mfr makerguard.ManufacturerID, record, field string, blob []byte) ([]byte, uint32, error) {
	if len(blob) < s.aead.NonceSize() {
		return nil, 0, makerguard.DecryptionFailed
	}
	n := s.aead.NonceSize()
	plaintext, err := s.aead.Open(nil, blob[:n], blob[n:], fmt.Appendf(nil, "%q%q%q", mfr, record, field))
	if err != nil {
		return nil, 0, makerguard.DecryptionFailed
	}
	return plaintext, 1, nil
}

// unreliable is a store that can be taken away, and watched.
type unreliable struct {
	auth.Store
	away   atomic.Bool
	onLoad atomic.Pointer[func()] // called after a session was read, before it is returned
}

func (u *unreliable) LoadSession(ctx context.Context, sid makerguard.SessionID) (makerguard.Session, makerguard.Member, makerguard.Manufacturer, error) {
	if u.away.Load() {
		return makerguard.Session{}, makerguard.Member{}, makerguard.Manufacturer{}, makerguard.StoreUnavailable
	}
	sess, m, mfr, err := u.Store.LoadSession(ctx, sid)
	if f := u.onLoad.Load(); f != nil {
		(*f)()
	}
	return sess, m, mfr, err
}

// world is a service with all it needs. Two services over one store are two nodes.
type world struct {
	*auth.Service
	t      testing.TB
	config auth.Config
	db     *sqlite.Store
	store  *unreliable
	clock  *clock
	feed   *testFeed
	log    *log
	policy *policy
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newRing(t testing.TB, now func() time.Time) *token.Ring {
	t.Helper()
	ring, err := token.New(token.Config{Now: now, Keys: []token.Key{
		{Version: 1, State: makerguard.KeyActive, Private: ed25519.NewKeyFromSeed(key(9))},
	}})
	if err != nil {
		t.Fatalf("token.New: %v", err)
	}
	return ring
}

// newWorld makes a service with cheap hashing over a store in a temporary directory; adjust
// may change its configuration.
func newWorld(t testing.TB, adjust func(*auth.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, feed: &testFeed{}, log: &log{}, policy: &policy{sessions: 10, mfa: map[makerguard.Tier]bool{}}}
	// On the border of every window that is counted in, so that tests are sure where they are.
	w.clock.ns.Store(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixNano())
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Now: w.clock.now})
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	w.db, w.store = db, &unreliable{Store: db}
	w.config = auth.Config{
		Store: w.store, Sealer: newSealer(t), Tokens: newRing(t, w.clock.now), Audit: w.log, Threats: w.log,
		Keys: auth.Keys{
			Pepper:  []auth.VersionedKey{{Version: 1, Key: key(1)}},
			Refresh: []auth.VersionedKey{{Version: 1, Key: key(2)}},
			Device:  []auth.VersionedKey{{Version: 1, Key: key(3)}},
		},
		Policy: w.policy, Feed: w.feed, EmailKey: account.EmailKey, Now: w.clock.now,
		Argon2: auth.Argon2{Memory: 64, Time: 1, Threads: 1}, InsecureParams: true,
	}
	if adjust != nil {
		adjust(&w.config)
	}
	w.Service = w.node()
	if err := db.EnsureManufacturer(t.Context(), makerguard.Manufacturer{
		ID: makerguard.PlatformID, CompanyName: "Platform", Tier: makerguard.TierPlatform, Status: makerguard.StatusActive,
		CreatedAt: w.clock.now(), UpdatedAt: w.clock.now(),
	}); err != nil {
		t.Fatalf("making the platform tenant: %v", err)
	}
	return w
}

// node starts one more service over the same store.
func (w *world) node() *auth.Service {
	w.t.Helper()
	s, err := auth.New(w.config)
	if err != nil {
		w.t.Fatalf("auth.New: %v", err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			w.t.Errorf("Close: %v", err)
		}
	})
	return s
}

// manufacturer stores a tenant with one member whose password is goodPassword.
func (w *world) manufacturer(email string, tier makerguard.Tier) makerguard.Member {
	w.t.Helper()
	now := w.clock.now().UTC()
	hash, err := w.HashPassword(w.t.Context(), goodPassword)
	if err != nil {
		w.t.Fatalf("HashPassword: %v", err)
	}
	mfr := makerguard.Manufacturer{
		ID: makerguard.ManufacturerID(id.New("mfr")), CompanyName: "Optik " + email, Country: "DE", Tier: tier,
		Status: makerguard.StatusActive, CreatedAt: now, UpdatedAt: now,
	}
	if tier == makerguard.TierPlatform {
		mfr.ID = makerguard.PlatformID
	}
	m := makerguard.Member{
		ID: makerguard.MemberID(id.New("mbr")), ManufacturerID: mfr.ID, Email: email, EmailKey: email,
		Role: makerguard.RoleOwner, Status: makerguard.StatusActive, PasswordHash: hash, PasswordChangedAt: now,
		CreatedAt: now, UpdatedAt: now,
	}
	if tier == makerguard.TierPlatform {
		err = w.db.CreateMember(w.t.Context(), m, makerguard.Unlimited)
	} else {
		err = w.db.CreateManufacturer(w.t.Context(), mfr, m)
	}
	if err != nil {
		w.t.Fatalf("making %s: %v", email, err)
	}
	return m
}

func (w *world) login(email string) *auth.SignIn {
	w.t.Helper()
	in, err := w.Login(w.t.Context(), auth.Login{Email: email, Password: goodPassword}, home)
	if err != nil {
		w.t.Fatalf("Login(%s): %v", email, err)
	}
	return in
}

func (w *world) authenticate(access makerguard.Secret) *makerguard.Principal {
	w.t.Helper()
	p, err := w.Authenticate(w.t.Context(), string(access))
	if err != nil {
		w.t.Fatalf("Authenticate: %v", err)
	}
	return p
}

// enrol gives a member a second factor and returns its seed and the recovery codes.
func (w *world) enrol(p *makerguard.Principal) (seed string, recovery []makerguard.Secret) {
	w.t.Helper()
	e, err := w.EnrolTOTP(w.t.Context(), p)
	if err != nil {
		w.t.Fatalf("EnrolTOTP: %v", err)
	}
	seed = string(e.Secret)
	in, err := w.ConfirmTOTP(w.t.Context(), p, w.code(seed), "", home)
	if err != nil {
		w.t.Fatalf("ConfirmTOTP: %v", err)
	}
	// Past the step that the confirmation used up.
	w.clock.advance(30 * time.Second)
	return seed, in.RecoveryCodes
}

// code gives the code of now for a seed in base32.
func (w *world) code(seed string) string {
	w.t.Helper()
	raw, err := totpEncoding.DecodeString(seed)
	if err != nil {
		w.t.Fatalf("decoding a seed: %v", err)
	}
	return totp.Code(raw, w.clock.now())
}

// withMFA signs in a member who has a second factor.
func (w *world) withMFA(email, seed string) *auth.SignIn {
	w.t.Helper()
	in := w.login(email)
	if in.Status != auth.StatusMFARequired {
		w.t.Fatalf("Login(%s) = %q, want %q", email, in.Status, auth.StatusMFARequired)
	}
	done, err := w.VerifyMFA(w.t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	if err != nil {
		w.t.Fatalf("VerifyMFA: %v", err)
	}
	w.clock.advance(30 * time.Second)
	return done
}

// forge returns a token that differs from the genuine one in a character that carries only
// signed or secret bits, so that it is never the genuine one by chance.
func forge[T ~string](genuine T) T {
	i := len(genuine) - 8
	other := T("A")
	if genuine[i] == 'A' {
		other = "B"
	}
	return genuine[:i] + other + genuine[i+1:]
}

func wantCode(t testing.TB, what string, err error, want makerguard.Code) {
	t.Helper()
	if got := makerguard.CodeOf(err); got != want {
		t.Errorf("%s: error %v, want code %q", what, err, want)
	}
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*makerguard.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// parallel runs f n times at once.
func parallel(n int, f func(i int)) {
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			f(i)
		})
	}
	start.Done()
	done.Wait()
}

func textLogger(buf *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// createHook calls before and after, unless nil, around the creation of a session.
type createHook struct {
	auth.Store
	before, after func()
}

func (h createHook) CreateSession(ctx context.Context, s makerguard.Session, limit int64, now time.Time) error {
	if h.before != nil {
		h.before()
	}
	err := h.Store.CreateSession(ctx, s, limit, now)
	if h.after != nil {
		h.after()
	}
	return err
}

func newSigningKey(version uint32) []token.Key {
	return []token.Key{{Version: version, State: makerguard.KeyActive, Private: ed25519.NewKeyFromSeed(key(byte(100 + version)))}}
}
