package auth_test

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
)

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func TestLogin_GivesAWorkingSession(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierProfessional)
	in := w.login(" Anna@Optik.example ")
	if in.Status != auth.StatusAuthenticated || in.MFAToken != "" || in.Tokens.ExpiresIn != 10*time.Minute || in.DeviceToken == "" {
		t.Errorf("Login = %+v, want an authenticated sign-in for 10 minutes with a device token", in)
	}
	got := w.authenticate(in.Tokens.Access)
	want := &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: m.ManufacturerID, MemberID: m.ID, SessionID: in.Tokens.SessionID,
		Email: m.Email, Tier: makerguard.TierProfessional, Role: makerguard.RoleOwner,
		AMR: []string{"pwd"}, AuthTime: w.clock.now().UTC(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Authenticate (-want +got):\n%s", diff)
	}
	if e := w.log.last(); e.Action != audit.SessionCreated || e.ManufacturerID != m.ManufacturerID || e.IP != home.IP || e.ActorID != string(m.ID) {
		t.Errorf("audit entry = %+v, want session.created by the member", e)
	}
}

// goal: V6.3.8 (the same error and work; the timing test is the server's)
func TestLogin_UnknownAndKnownAreAlike(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("known@optik.example", makerguard.TierFree)
	suspended := w.manufacturer("suspended@optik.example", makerguard.TierFree)
	if err := w.db.SetStatus(t.Context(), suspended.ManufacturerID, makerguard.StatusSuspended, "test", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	invited := m
	invited.ID, invited.Email, invited.EmailKey, invited.PasswordHash = "mbr_invited", "invited@optik.example", "invited@optik.example", ""
	if err := w.db.CreateMember(t.Context(), invited, makerguard.Unlimited); err != nil {
		t.Fatal(err)
	}

	type result struct {
		Err     makerguard.Error
		Hashes  uint64
		Entries int
	}
	try := func(email, ip string) result {
		before, entries := w.Stats().Hashes, len(w.log.entries)
		_, err := w.Login(t.Context(), auth.Login{Email: email, Password: wrongPassword}, makerguard.Client{IP: ip})
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok {
			t.Fatalf("Login(%s): %v, want a *makerguard.Error", email, err)
		}
		return result{*e, w.Stats().Hashes - before, len(w.log.entries) - entries}
	}
	want := result{
		Err:    makerguard.Error{Code: makerguard.InvalidCredentials, Message: "The e-mail address or the password is wrong."},
		Hashes: 1, Entries: 1,
	}
	for i, email := range []string{
		"known@optik.example", "nobody@optik.example", "suspended@optik.example", "invited@optik.example", "no address at all", "",
	} {
		// One more than is free: the refusal must be alike, too.
		for n := range 6 {
			got := try(email, fmt.Sprintf("198.51.100.%d", i))
			if n < 5 {
				want.Entries = 1
				if n == 4 {
					want.Entries = 2 // and that delays begin
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("failure %d of %q (-want +got):\n%s", n+1, email, diff)
				}
				continue
			}
			if got.Err.Code != makerguard.RateLimitExceeded || got.Err.RetryAfter != time.Second || got.Hashes != 0 {
				t.Errorf("failure %d of %q = %+v, want RATE_LIMIT_EXCEEDED for 1 s without a hash", n+1, email, got)
			}
		}
	}
	if got := w.log.entries[0].ManufacturerID; got != m.ManufacturerID {
		t.Errorf("the failure of a known member is in the record of %q, want %q", got, m.ManufacturerID)
	}
	for _, e := range w.log.entries {
		if strings.Contains(e.Target+e.Detail+e.ActorID, "nobody") {
			t.Errorf("entry %+v tells what was typed", e)
		}
	}
}

func TestLogin_StatusIsToldAfterTheRightPasswordOnly(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.RequireVerifiedEmail = true })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	login := func(pw makerguard.Secret) error {
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: pw}, home)
		return err
	}
	wantCode(t, "wrong password, not verified", login(wrongPassword), makerguard.InvalidCredentials)
	wantCode(t, "right password, not verified", login(goodPassword), makerguard.EmailNotVerified)
	if err := w.db.SetStatus(t.Context(), m.ManufacturerID, makerguard.StatusSuspended, "", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "wrong password, suspended", login(wrongPassword), makerguard.InvalidCredentials)
	wantCode(t, "right password, suspended", login(goodPassword), makerguard.AccountSuspended)
	if e := w.log.last(); e.Action != audit.SigninRefused || e.Outcome != "denied" {
		t.Errorf("audit entry = %+v, want signin.denied", e)
	}
}

// goal: N-3.2.2, V6.3.1
func TestLogin_DelayGrowsAndTheFactorIsDisabled(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	try := func(n int, pw makerguard.Secret, device makerguard.Secret) error {
		// Each from another address, so that only the account's counter speaks.
		c := makerguard.Client{IP: fmt.Sprintf("10.%d.%d.1", n/200, n%200)}
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: pw, DeviceToken: device}, c)
		return err
	}
	known := w.login(m.Email).DeviceToken

	var delays []time.Duration
	failures := 0
	for i := 0; failures < 100; i++ {
		err := try(i, wrongPassword, "")
		switch makerguard.CodeOf(err) {
		case makerguard.InvalidCredentials:
			failures++
		case makerguard.RateLimitExceeded:
			delays = append(delays, retryAfter(err))
			// The right password is refused too until then, and no hash is computed.
			before := w.Stats().Hashes
			wantCode(t, "right password while waiting", try(i, goodPassword, ""), makerguard.RateLimitExceeded)
			if n := w.Stats().Hashes - before; n != 0 {
				t.Fatalf("%d hashes while waiting, want 0", n)
			}
			w.clock.advance(retryAfter(err))
		default:
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	want := []time.Duration{
		1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
		64 * time.Second, 128 * time.Second, 256 * time.Second, 512 * time.Second, 15 * time.Minute, 15 * time.Minute,
	}
	if diff := cmp.Diff(want, delays[:len(want)]); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
	if len(delays) != 95 {
		t.Errorf("%d delays within 100 failures, want 95", len(delays))
	}
	w.clock.advance(30 * 24 * time.Hour)
	wantCode(t, "a month after 100 failures", try(1, goodPassword, ""), makerguard.RateLimitExceeded)
	if diff := cmp.Diff([]makerguard.ThreatType{makerguard.BruteForce, makerguard.BruteForce}, w.log.threatTypes()); diff != "" {
		t.Errorf("threats (-want +got):\n%s", diff)
	}

	if err := try(1, goodPassword, known); err != nil {
		t.Errorf("the owner on a known device: %v, want success", err)
	}
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op"}
	wantCode(t, "Unlock by a stranger", w.Unlock(t.Context(), &makerguard.Principal{ManufacturerID: "mfr_other"}, m.ManufacturerID, m.ID, home), makerguard.NotFound)
	if err := w.Unlock(t.Context(), operator, m.ManufacturerID, m.ID, home); err != nil {
		t.Fatalf("Unlock: %v", err)
	}
	if err := try(1, goodPassword, ""); err != nil {
		t.Errorf("after Unlock: %v, want success", err)
	}
}

// goal: V6.3.1, V6.1.1 (a stranger cannot lock the owner out)
func TestLogin_KnownDeviceHasItsOwnCounter(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	other := w.manufacturer("ben@optik.example", makerguard.TierFree)
	device, foreign := w.login(m.Email).DeviceToken, w.login(other.Email).DeviceToken
	try := func(pw, device makerguard.Secret) error {
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: pw, DeviceToken: device}, home)
		return err
	}
	// A stranger, from the owner's own network even.
	for range 5 {
		wantCode(t, "stranger", try(wrongPassword, ""), makerguard.InvalidCredentials)
	}
	wantCode(t, "stranger, 6th", try(wrongPassword, ""), makerguard.RateLimitExceeded)
	wantCode(t, "no device", try(goodPassword, ""), makerguard.RateLimitExceeded)
	wantCode(t, "a device of somebody else", try(goodPassword, foreign), makerguard.RateLimitExceeded)
	wantCode(t, "a forged device", try(goodPassword, forge(device)), makerguard.RateLimitExceeded)
	if err := try(goodPassword, device); err != nil {
		t.Fatalf("known device: %v, want success", err)
	}
	// It is throttled itself, and then treated as a stranger.
	for range 5 {
		wantCode(t, "known device, wrong", try(wrongPassword, device), makerguard.InvalidCredentials)
	}
	wantCode(t, "known device, 6th", try(goodPassword, device), makerguard.RateLimitExceeded)
	w.clock.advance(366 * 24 * time.Hour)
	for range 5 {
		wantCode(t, "stranger, a year later", try(wrongPassword, ""), makerguard.InvalidCredentials)
	}
	wantCode(t, "a device that was not used for a year", try(goodPassword, device), makerguard.RateLimitExceeded)
}

func TestLogin_SuccessResetsOnlyItsOwnCounter(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	other := w.manufacturer("ben@optik.example", makerguard.TierFree)
	fail := func(email string) error {
		_, err := w.Login(t.Context(), auth.Login{Email: email, Password: wrongPassword}, home)
		return err
	}
	for range 5 {
		wantCode(t, "other", fail(other.Email), makerguard.InvalidCredentials)
	}
	for range 4 {
		for range 4 {
			wantCode(t, "own", fail(m.Email), makerguard.InvalidCredentials)
		}
		w.login(m.Email)
	}
	wantCode(t, "other after own successes", fail(other.Email), makerguard.RateLimitExceeded)
	// 5 + 16 failures of this address still count.
	for i := range 9 {
		wantCode(t, "stranger", fail(fmt.Sprintf("nobody%d@optik.example", i)), makerguard.InvalidCredentials)
	}
	wantCode(t, "31st of the address", fail("nobody@optik.example"), makerguard.RateLimitExceeded)
}

// goal: V6.3.1
func TestLogin_AddressIsRefusedAfter30Failures(t *testing.T) {
	tests := []struct {
		name        string
		same        func(i int) string
		other       string
		wantRefused bool
	}{
		{"IPv4 address", func(int) string { return "203.0.113.9" }, "203.0.113.10", false},
		{"IPv4 in IPv6", func(i int) string { return []string{"203.0.113.9", "::ffff:203.0.113.9"}[i%2] }, "203.0.113.10", false},
		{"IPv6 /64", func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i+1) }, "2001:db8:1:3::1", false},
		{"no address", func(int) string { return "" }, "somewhere", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			m := w.manufacturer("anna@optik.example", makerguard.TierFree)
			fail := func(i int, ip string) error {
				// Ten accounts, so that this is no spraying, with time for each to be tried again.
				if i%10 == 0 {
					w.clock.advance(4 * time.Second)
				}
				_, err := w.Login(t.Context(), auth.Login{Email: fmt.Sprintf("nobody%d@optik.example", i%10), Password: wrongPassword}, makerguard.Client{IP: ip})
				return err
			}
			for i := range 30 {
				wantCode(t, fmt.Sprint("failure ", i+1), fail(i, tt.same(i)), makerguard.InvalidCredentials)
			}
			login := func(ip string) error {
				_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, makerguard.Client{IP: ip})
				return err
			}
			err := login(tt.same(31))
			wantCode(t, "right password from there", err, makerguard.RateLimitExceeded)
			if refused := makerguard.CodeOf(login(tt.other)) == makerguard.RateLimitExceeded; refused != tt.wantRefused {
				t.Errorf("%s refused = %v, want %v", tt.other, refused, tt.wantRefused)
			}
			if d := retryAfter(err); d <= 0 || d > 15*time.Minute {
				t.Errorf("RetryAfter = %v, want up to 15 minutes", d)
			}
			// The window slides: right after RetryAfter no more than a little room is there.
			w.clock.advance(retryAfter(err) + time.Minute)
			if err := login(tt.same(32)); err != nil {
				t.Errorf("after RetryAfter: %v, want success", err)
			}
		})
	}
}

// goal: V6.3.1 (one guess on many accounts from one address)
func TestLogin_SprayingIsCaught(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	attacker := makerguard.Client{IP: "203.0.113.66"}
	try := func(email string, pw makerguard.Secret, c makerguard.Client) error {
		_, err := w.Login(t.Context(), auth.Login{Email: email, Password: pw}, c)
		return err
	}
	for i := range 20 {
		w.clock.advance(20 * time.Second)
		wantCode(t, "spraying", try(fmt.Sprintf("user%d@optik.example", i), wrongPassword, attacker), makerguard.InvalidCredentials)
	}
	before := w.Stats().Hashes
	for i := range 100 {
		wantCode(t, "after 20 accounts", try(fmt.Sprintf("more%d@optik.example", i), wrongPassword, attacker), makerguard.RateLimitExceeded)
	}
	if n := w.Stats().Hashes - before; n != 0 {
		t.Errorf("%d hashes for a refused address, want 0", n)
	}
	if err := try(m.Email, goodPassword, home); err != nil {
		t.Errorf("another address: %v, want success", err)
	}
	if diff := cmp.Diff([]makerguard.ThreatType{makerguard.PasswordSpraying}, w.log.threatTypes()); diff != "" {
		t.Errorf("threats (-want +got):\n%s", diff)
	}
	w.clock.advance(15 * time.Minute)
	if err := try(m.Email, goodPassword, attacker); err != nil {
		t.Errorf("15 minutes later: %v, want success", err)
	}
}

// goal: N-3.2.2 (parallel guesses are counted exactly)
func TestLogin_ParallelGuessesGetNoMoreThanFive(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.HashWorkers, c.HashQueue = 8, 200 })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	var wrong, limited, rest atomic.Int64
	parallel(60, func(i int) {
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword}, makerguard.Client{IP: fmt.Sprintf("10.0.0.%d", i)})
		switch makerguard.CodeOf(err) {
		case makerguard.InvalidCredentials:
			wrong.Add(1)
		case makerguard.RateLimitExceeded:
			limited.Add(1)
		default:
			rest.Add(1)
		}
	})
	if wrong.Load() != 5 || limited.Load() != 55 {
		t.Errorf("%d tested, %d refused, %d others; want 5, 55, 0", wrong.Load(), limited.Load(), rest.Load())
	}
}

func TestLogin_ParallelSignInsOfOneMemberAllSucceed(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.HashWorkers, c.HashQueue = 2, 200 })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	w.policy.sessions = 100
	errs := make([]error, 60)
	parallel(len(errs), func(i int) {
		_, errs[i] = w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("parallel sign-ins: %v, want none refused", err)
	}
}

func TestLogin_LongPasswordIsRefusedBeforeHashing(t *testing.T) {
	// goal: V6.2.1
	w := newWorld(t, nil)
	w.manufacturer("anna@optik.example", makerguard.TierFree)
	before := w.Stats().Hashes
	_, err := w.Login(t.Context(), auth.Login{Email: "anna@optik.example", Password: makerguard.Secret(strings.Repeat("a", 1025))}, home)
	wantCode(t, "1,025 bytes", err, makerguard.InvalidCredentials)
	if n := w.Stats().Hashes - before; n != 0 {
		t.Errorf("%d hashes, want 0", n)
	}
}

func TestLogin_RehashesWhatIsOutdated(t *testing.T) {
	weak := auth.Argon2{Memory: 32, Time: 1, Threads: 1}
	imported, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	old := newWorld(t, func(c *auth.Config) { c.Argon2 = weak })
	weakHash, err := old.HashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	newPepper := func(c *auth.Config) {
		c.Keys.Pepper = append(c.Keys.Pepper, auth.VersionedKey{Version: 2, Key: key(11)})
	}
	current := newWorld(t, nil)
	oldPepperHash, err := current.HashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		adjust func(*auth.Config)
		stored makerguard.Secret
		want   string // in the hash afterwards
	}{
		{"weaker parameters", nil, weakHash, "$m=64,t=1,p=1,keyid=1$"},
		{"older pepper", newPepper, oldPepperHash, "$m=64,t=1,p=1,keyid=2$"},
		{"bcrypt 2a", nil, makerguard.Secret(imported), "$m=64,t=1,p=1,keyid=1$"},
		{"bcrypt 2b", nil, makerguard.Secret(strings.Replace(string(imported), "$2a$", "$2b$", 1)), "$m=64,t=1,p=1,keyid=1$"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.adjust)
			m := w.manufacturer("anna@optik.example", makerguard.TierFree)
			if err := w.db.SetPassword(t.Context(), makerguard.PasswordUpdate{
				ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: tt.stored, Now: w.clock.now(),
			}); err != nil {
				t.Fatal(err)
			}
			_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword}, home)
			wantCode(t, "wrong password", err, makerguard.InvalidCredentials)
			first := w.login(m.Email)
			m, _, err = w.db.MemberByID(t.Context(), m.ManufacturerID, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(m.PasswordHash), tt.want) {
				t.Errorf("hash afterwards = %q, want one with %q", string(m.PasswordHash), tt.want)
			}
			before := w.Stats().Hashes
			w.login(m.Email)
			if n := w.Stats().Hashes - before; n != 1 {
				t.Errorf("the sign-in after that hashed %d times, want 1", n)
			}
			w.authenticate(first.Tokens.Access) // a re-hash ends no session
		})
	}
}

func TestLogin_DamagedHashIsRefusedWithTheSameWork(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	stored := string(m.PasswordHash)
	for _, bad := range []string{
		"nonsense", stored[:len(stored)-1], strings.Replace(stored, "m=64", "m=4194304", 1), strings.Replace(stored, "t=1", "t=99999", 1),
		strings.Replace(stored, "keyid=1", "keyid=7", 1), strings.Replace(stored, "p=1", "p=0", 1), strings.Replace(stored, "m=64", "m=064", 1),
		"$2a$31$" + strings.Repeat("a", 53),
	} {
		if err := w.db.SetPassword(t.Context(), makerguard.PasswordUpdate{
			ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: makerguard.Secret(bad), Now: w.clock.now(),
		}); err != nil {
			t.Fatal(err)
		}
		m.PasswordHash = makerguard.Secret(bad)
		w.clock.advance(15 * time.Minute)
		before := w.Stats().Hashes
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
		wantCode(t, bad, err, makerguard.InvalidCredentials)
		if n := w.Stats().Hashes - before; n != 1 {
			t.Errorf("%s: %d hashes, want 1", bad, n)
		}
	}
}

func TestLogin_IsRefusedWithoutAuditEntry(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	w.log.broken.Store(true)
	_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
	wantCode(t, "Login", err, makerguard.StoreUnavailable)
	if list, err := w.db.Sessions(t.Context(), m.ManufacturerID, m.ID, w.clock.now()); err != nil || len(list) != 0 {
		t.Errorf("sessions = %v, %v, want none", list, err)
	}
	// A wrong password is refused and counted all the same.
	for range 5 {
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword}, home)
		wantCode(t, "wrong password", err, makerguard.InvalidCredentials)
	}
	_, err = w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword}, home)
	wantCode(t, "6th", err, makerguard.RateLimitExceeded)
}

// goal: V7.1.2
func TestLogin_OldestSessionEndsAboveTheLimit(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	w.policy.sessions = 3
	var ins []*auth.SignIn
	for range 3 {
		ins = append(ins, w.login(m.Email))
		w.authenticate(ins[len(ins)-1].Tokens.Access)
		w.clock.advance(time.Minute)
	}
	ins = append(ins, w.login(m.Email))
	_, err := w.Authenticate(t.Context(), string(ins[0].Tokens.Access))
	wantCode(t, "oldest", err, makerguard.SessionRevoked)
	for i, in := range ins[1:] {
		if _, err := w.Authenticate(t.Context(), string(in.Tokens.Access)); err != nil {
			t.Errorf("session %d: %v, want it live", i+1, err)
		}
	}
}

// goal: V2.3.1 V6.6.2 V9.2.2
func TestVerifyMFA_FinishesTheSignInOnce(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	seed, _ := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))

	in := w.login(m.Email)
	if in.Tokens != nil || in.DeviceToken != "" || !cmp.Equal(in.Methods, []string{auth.MethodTOTP, auth.MethodRecoveryCode}) {
		t.Errorf("Login = %+v, want no tokens and both methods", in)
	}
	for _, opens := range []struct {
		what string
		err  error
	}{
		{"Authenticate", second(w.Authenticate(t.Context(), string(in.MFAToken)))},
		{"Refresh", second(w.Refresh(t.Context(), in.MFAToken, home))},
		{"AuthenticateEnrollment", second(w.AuthenticateEnrollment(t.Context(), in.MFAToken))},
	} {
		wantCode(t, opens.what+" with an MFA token", opens.err, makerguard.TokenInvalid)
	}
	done, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	if err != nil {
		t.Fatalf("VerifyMFA: %v", err)
	}
	if p := w.authenticate(done.Tokens.Access); !cmp.Equal(p.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("AMR = %v, want pwd otp mfa", p.AMR)
	}
	w.clock.advance(time.Minute)
	_, err = w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	wantCode(t, "the same token again", err, makerguard.MFAInvalid)
	_, err = w.VerifyMFA(t.Context(), "mgm_nonsense", auth.MethodTOTP, w.code(seed), home)
	wantCode(t, "no token", err, makerguard.MFAInvalid)
	_, err = w.VerifyMFA(t.Context(), w.login(m.Email).MFAToken, "sms", w.code(seed), home)
	wantCode(t, "another method", err, makerguard.MFAInvalid)
	in = w.login(m.Email)
	w.clock.advance(5*time.Minute + time.Second)
	_, err = w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	wantCode(t, "5 minutes later", err, makerguard.MFAInvalid)
}

func second[T any](_ T, err error) error { return err }

// goal: V6.6.3 N-3.2.2
func TestVerifyMFA_TriesAndAccountCounter(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	seed, recovery := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))
	device := w.withMFA(m.Email, seed).DeviceToken

	in := w.login(m.Email)
	for range 5 {
		_, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, "000000", home)
		wantCode(t, "wrong code", err, makerguard.MFAInvalid)
	}
	// The account's counter outlives the sign-in.
	in = w.login(m.Email)
	_, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	wantCode(t, "right code in a new sign-in", err, makerguard.RateLimitExceeded)
	if d := retryAfter(err); d != time.Second {
		t.Errorf("RetryAfter = %v, want 1s", d)
	}
	// A refused guess takes none of the tries, and the other factor has its own counter.
	if _, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodRecoveryCode, string(recovery[0]), home); err != nil {
		t.Errorf("recovery code: %v, want success", err)
	}
	// So has the known device.
	onDevice, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword, DeviceToken: device}, home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.VerifyMFA(t.Context(), onDevice.MFAToken, auth.MethodTOTP, w.code(seed), home); err != nil {
		t.Errorf("known device: %v, want success", err)
	}
	// Five tries of one token are its end, whatever comes then.
	in = w.login(m.Email)
	for range 5 {
		_, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodRecoveryCode, "wrong", home)
		wantCode(t, "wrong recovery code", err, makerguard.MFAInvalid)
		w.clock.advance(time.Second)
	}
	_, err = w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodRecoveryCode, string(recovery[1]), home)
	wantCode(t, "6th try", err, makerguard.MFAInvalid)
}

// goal: V6.5.1 N-3.1.4 V2.3.4
func TestVerifyMFA_ParallelReplayHasOneWinner(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	seed, recovery := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))
	for _, method := range []string{auth.MethodTOTP, auth.MethodRecoveryCode} {
		t.Run(method, func(t *testing.T) {
			code := string(recovery[3])
			if method == auth.MethodTOTP {
				code = w.code(seed)
			}
			var tokens [5]makerguard.Secret
			for i := range tokens {
				tokens[i] = w.login(m.Email).MFAToken
			}
			var mu sync.Mutex
			got := map[makerguard.Code]int{}
			parallel(len(tokens), func(i int) {
				_, err := w.VerifyMFA(t.Context(), tokens[i], method, code, home)
				mu.Lock()
				defer mu.Unlock()
				got[makerguard.CodeOf(err)]++
			})
			if got[""] != 1 || got[makerguard.MFAInvalid] != len(tokens)-1 {
				t.Errorf("outcomes = %v, want one success and %d MFA_INVALID", got, len(tokens)-1)
			}
			w.clock.advance(time.Minute)
			_, err := w.VerifyMFA(t.Context(), w.login(m.Email).MFAToken, method, code, home)
			wantCode(t, "the same code later", err, makerguard.MFAInvalid)
		})
	}
}

func TestVerifyMFA_PasswordChangedMeanwhile(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	seed, _ := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))
	owner := w.authenticate(w.withMFA(m.Email, seed).Tokens.Access)
	in := w.login(m.Email) // somebody who knows the old password
	w.clock.advance(time.Second)
	if err := w.ChangePassword(t.Context(), owner, goodPassword, otherPassword, home); err != nil {
		t.Fatalf("ChangePassword: %v", err)
	}
	_, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(seed), home)
	wantCode(t, "a sign-in begun with the old password", err, makerguard.MFAInvalid)
}

func TestLogin_PasswordChangedWhileTheSessionOpens(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	w.clock.advance(time.Minute)
	// The change comes right after the new session is stored, and does not see the session
	// since it ended those it found before.
	var once sync.Once
	change := func() {
		once.Do(func() {
			if err := w.db.SetPassword(t.Context(), makerguard.PasswordUpdate{
				ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: "other", EndSessions: true,
				Except: makerguard.SessionID(w.log.last().Target), Now: w.clock.now(),
			}); err != nil {
				t.Error(err)
			}
		})
	}
	w.config.Store = createHook{Store: w.store, after: change}
	_, err := w.node().Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
	wantCode(t, "Login", err, makerguard.InvalidCredentials)
	if list, err := w.db.Sessions(t.Context(), m.ManufacturerID, m.ID, w.clock.now()); err != nil || len(list) != 0 {
		t.Errorf("sessions = %v, %v, want none", list, err)
	}
}
