// Package storetest is the suite that every backend of store.Store passes. It says in
// code what the interfaces say in comments, and asks for no more than they promise: one
// document at a time is atomic, the feed may repeat itself, precision is a millisecond.
//
// Two words are used throughout. A session is live while it is neither revoked nor at
// or past ExpiresAt. Something has expired at a time from its ExpiresAt on.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { ... })
//	}
package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store"
)

// tick is the precision that every backend must keep.
const tick = time.Millisecond

// Run runs the suite. Open returns a new, empty store that no one else uses and
// arranges for it to be closed when t ends; it is called once for each subtest.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*env)
	}{
		{"CreateManufacturer", testCreateManufacturer},
		{"EnsureManufacturer", testEnsureManufacturer},
		{"CreateMember", testCreateMember},
		{"Manufacturer", testManufacturer},
		{"Manufacturers", testManufacturers},
		{"Member", testMember},
		{"Members", testMembers},
		{"SetTier", testSetTier},
		{"SetStatus", testSetStatus},

		{"MemberByEmail", testMemberByEmail},
		{"MemberByID", testMemberByID},
		{"SetPassword", testSetPassword},
		{"VerifyEmail", testVerifyEmail},
		{"SetPendingTOTP", testSetPendingTOTP},
		{"ConfirmTOTP", testConfirmTOTP},
		{"RemoveTOTP", testRemoveTOTP},
		{"ConsumeTOTPStep", testConsumeTOTPStep},
		{"ConsumeRecoveryCode", testConsumeRecoveryCode},
		{"CreateChallenge", testCreateChallenge},
		{"Challenge", testChallenge},
		{"TryChallenge", testTryChallenge},
		{"ConsumeChallenge", testConsumeChallenge},
		{"CreateSession", testCreateSession},
		{"LoadSession", testLoadSession},
		{"Sessions", testSessions},
		{"AdvanceRefresh", testAdvanceRefresh},
		{"TouchSessions", testTouchSessions},
		{"RevokeSession", testRevokeSession},
		{"RevokeSessions", testRevokeSessions},
		{"BumpCounter", testBumpCounter},
		{"Counter", testCounter},
		{"ResetCounter", testResetCounter},
		{"DeleteExpired", testDeleteExpired},

		{"AuditHead", testAuditHead},
		{"AppendAudit", testAppendAudit},
		{"AuditEntries", testAuditEntries},
		{"AddKey", testAddKey},
		{"Keys", testKeys},
		{"Changes", testChanges},
		{"Lease", testLease},
		{"Spend", testSpend},
		{"LeaseAndSpend", testLeaseAndSpend},
		{"Counts", testCounts},
		{"AppendThreats", testAppendThreats},
		{"Threats", testThreats},
		{"CountThreats", testCountThreats},
		{"PutRecord", testPutRecord},
		{"Record", testRecord},
		{"DeleteRecord", testDeleteRecord},
		{"Records", testRecords},
		{"Ping", testPing},
		{"Close", testClose},

		{"TenantIsolation", testTenantIsolation},
		{"CaseSensitiveIDs", testCaseSensitiveIDs},
		{"Times", testTimes},
		{"HostileValues", testHostileValues},
		{"CanceledContext", testCanceledContext},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Backends may remove what has expired by the wall clock, so the suite's clock is it.
			test.run(&env{T: t, s: open(t), now: time.Now().UTC().Truncate(tick)})
		})
	}
}

// env is what a subtest works with.
type env struct {
	*testing.T
	s   store.Store
	now time.Time
}

// run runs a subtest on the same store.
func (e *env) run(name string, fn func(*env)) {
	e.Helper()
	e.Run(name, func(t *testing.T) { fn(&env{T: t, s: e.s, now: e.now}) })
}

func (e *env) ctx() context.Context { return e.Context() }

// ok fails the test at once unless err is nil.
func (e *env) ok(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// fails checks that err matches code and carries no other.
func (e *env) fails(what string, err error, code makerguard.Code) {
	e.Helper()
	if !errors.Is(err, code) || makerguard.CodeOf(err) != code {
		e.Errorf("%s = %v (code %q), want code %q", what, err, makerguard.CodeOf(err), code)
	}
}

// same checks that got is want; nil and empty lists are the same.
func (e *env) same(what string, got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

// manufacturer is a new manufacturer that is not stored yet, with everything set.
func (e *env) manufacturer() makerguard.Manufacturer {
	return makerguard.Manufacturer{
		ID: makerguard.ManufacturerID(id.New("mfr")), CompanyName: "Brillen Müller & Söhne", Country: "DE",
		Tier: makerguard.TierProfessional, Status: makerguard.StatusActive, StatusReason: "as new",
		TimeZone: "Europe/Berlin", AnchorDay: 15, CreatedAt: e.now, UpdatedAt: e.now.Add(tick),
	}
}

// member is a new member that is not stored yet, with everything set but a factor.
func (e *env) member(mfr makerguard.ManufacturerID) makerguard.Member {
	name := id.New("mail")
	return makerguard.Member{
		ID: makerguard.MemberID(id.New("mbr")), ManufacturerID: mfr,
		Email: "Ana." + name + "@Example.com", EmailKey: "ana." + name + "@example.com", Name: "Ana O'Brien",
		Role: makerguard.RoleEditor, Grants: []makerguard.Permission{makerguard.ExportData, makerguard.ViewAudit}, Status: makerguard.StatusActive,
		PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", PasswordShort: true,
		PasswordChangedAt: e.now.Add(2 * tick), EmailVerifiedAt: e.now.Add(3 * tick),
		CreatedAt: e.now, UpdatedAt: e.now.Add(tick),
	}
}

// registered stores a manufacturer and its owner.
func (e *env) registered() (makerguard.Manufacturer, makerguard.Member) {
	e.Helper()
	f := e.manufacturer()
	m := e.member(f.ID)
	e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))
	return f, m
}

// withFactor stores a manufacturer and its owner, who has a factor and recovery codes.
func (e *env) withFactor(codes ...[]byte) makerguard.Member {
	e.Helper()
	_, m := e.registered()
	e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), e.now))
	e.ok("ConfirmTOTP", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), 100, codes, e.now))
	return m
}

// session is a new session that is not stored yet, with everything set.
func (e *env) session(m makerguard.Member) makerguard.Session {
	return makerguard.Session{
		ID: makerguard.SessionID(id.New("ses")), ManufacturerID: m.ManufacturerID, MemberID: m.ID,
		CreatedAt: e.now, LastSeenAt: e.now.Add(tick), ExpiresAt: e.now.Add(24 * time.Hour), AuthTime: e.now.Add(-tick),
		AMR: []string{"pwd", "otp", "mfa"}, IP: "2001:db8::1", UserAgent: "Mozilla/5.0 (Wörk)",
		RefreshSeed: []byte{0, 1, 2, 255}, RefreshGeneration: 3, RotatedAt: e.now,
	}
}

// signedIn stores a session of m.
func (e *env) signedIn(m makerguard.Member) makerguard.Session {
	e.Helper()
	s := e.session(m)
	e.ok("CreateSession", e.s.CreateSession(e.ctx(), s, makerguard.Unlimited, e.now))
	return s
}

func (e *env) load(id makerguard.SessionID) makerguard.Session {
	e.Helper()
	s, _, _, err := e.s.LoadSession(e.ctx(), id)
	e.ok("LoadSession", err)
	return s
}

func (e *env) loadMember(m makerguard.Member) makerguard.Member {
	e.Helper()
	got, err := e.s.Member(e.ctx(), m.ManufacturerID, m.ID)
	e.ok("Member", err)
	return got
}

// ended checks that a session was revoked at now with reason, or never.
func (e *env) ended(what string, id makerguard.SessionID, reason string) {
	e.Helper()
	s := e.load(id)
	var at time.Time
	if reason != "" {
		at = e.now
	}
	if !s.RevokedAt.Equal(at) || s.RevokeReason != reason {
		e.Errorf("%s: session revoked at %v for %q, want %v for %q", what, s.RevokedAt, s.RevokeReason, at, reason)
	}
}

// announces checks that fn makes the feed tell of the changes named, whatever else it tells.
func (e *env) announces(fn func(), want ...makerguard.Change) {
	e.Helper()
	_, cursor, err := e.s.Changes(e.ctx(), "")
	e.ok("Changes", err)
	fn()
	got, _, err := e.s.Changes(e.ctx(), cursor)
	e.ok("Changes", err)
	for _, c := range want {
		if !slices.Contains(got, c) {
			e.Errorf("the feed told %+v, want %+v among it", got, c)
		}
	}
}

// race calls fn in n goroutines at once and returns their errors.
func race(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			errs[i] = fn(i)
		})
	}
	close(gate)
	wg.Wait()
	return errs
}

// exactly checks that so many of errs are nil and the others match code.
func (e *env) exactly(successes int, errs []error, code makerguard.Code) {
	e.Helper()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
			continue
		}
		e.fails("one that lost", err, code)
	}
	if n != successes {
		e.Errorf("%d of %d succeeded, want %d", n, len(errs), successes)
	}
}

// rivals is how many goroutines want the same thing.
const rivals = 16
