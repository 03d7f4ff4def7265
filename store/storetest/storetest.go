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
	"reflect"
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

// subtest is a part of the suite. Each method of the store has the one of its name.
type subtest struct {
	name string
	run  func(*env)
	in   whose
}

// whose says whose store a subtest works in.
type whose int

const (
	shared whose = iota // that of all others: it gets along with what they leave there, as they do
	alone               // its own, empty at first
)

var subtests = []subtest{
	{"CreateManufacturer", testCreateManufacturer, shared},
	{"EnsureManufacturer", testEnsureManufacturer, shared},
	{"CreateMember", testCreateMember, shared},
	{"Manufacturer", testManufacturer, shared},
	{"Manufacturers", testManufacturers, alone},
	{"Member", testMember, shared},
	{"Members", testMembers, shared},
	{"SetRole", testSetRole, shared},
	{"SetTier", testSetTier, shared},
	{"SetStatus", testSetStatus, shared},

	{"MemberByEmail", testMemberByEmail, shared},
	{"MemberByID", testMemberByID, shared},
	{"SetPassword", testSetPassword, shared},
	{"VerifyEmail", testVerifyEmail, shared},
	{"SetPendingTOTP", testSetPendingTOTP, shared},
	{"ConfirmTOTP", testConfirmTOTP, shared},
	{"RemoveTOTP", testRemoveTOTP, shared},
	{"ConsumeTOTPStep", testConsumeTOTPStep, shared},
	{"ConsumeRecoveryCode", testConsumeRecoveryCode, shared},
	{"CreateChallenge", testCreateChallenge, shared},
	{"Challenge", testChallenge, shared},
	{"TryChallenge", testTryChallenge, shared},
	{"ConsumeChallenge", testConsumeChallenge, shared},
	{"CreateSession", testCreateSession, shared},
	{"LoadSession", testLoadSession, shared},
	{"Sessions", testSessions, shared},
	{"AdvanceRefresh", testAdvanceRefresh, shared},
	{"TouchSessions", testTouchSessions, shared},
	{"RevokeSession", testRevokeSession, shared},
	{"RevokeSessions", testRevokeSessions, shared},
	{"BumpCounter", testBumpCounter, shared},
	{"Counter", testCounter, shared},
	{"ResetCounter", testResetCounter, shared},
	{"DeleteExpired", testDeleteExpired, alone},

	{"AuditHead", testAuditHead, shared},
	{"AppendAudit", testAppendAudit, shared},
	{"AuditEntries", testAuditEntries, shared},
	{"AddKey", testAddKey, shared},
	{"SetKeyState", testSetKeyState, shared},
	{"Keys", testKeys, shared},
	{"Changes", testChanges, alone},
	{"Lease", testLease, shared},
	{"Spend", testSpend, shared},
	{"LeaseAndSpend", testLeaseAndSpend, shared},
	{"Counts", testCounts, shared},
	{"TakeRate", testTakeRate, shared},
	{"AppendThreats", testAppendThreats, shared},
	{"Threats", testThreats, alone},
	{"Threat", testThreat, shared},
	{"CountThreats", testCountThreats, shared},
	{"DeleteThreats", testDeleteThreats, alone},
	{"RuleSet", testRuleSet, shared},
	{"PutRuleSet", testPutRuleSet, shared},
	{"AddPoints", testAddPoints, shared},
	{"PutBlock", testPutBlock, shared},
	{"Blocks", testBlocks, alone},
	{"LiftBlock", testLiftBlock, shared},
	{"PutScore", testPutScore, shared},
	{"Scores", testScores, shared},
	{"PutRecord", testPutRecord, shared},
	{"Record", testRecord, shared},
	{"DeleteRecord", testDeleteRecord, shared},
	{"Records", testRecords, shared},
	{"CreateJob", testCreateJob, shared},
	{"Job", testJob, shared},
	{"ClaimJob", testClaimJob, alone},
	{"SaveJob", testSaveJob, shared},
	{"Policy", testPolicy, alone},
	{"PutPolicy", testPutPolicy, shared},
	{"Doctor", testDoctor, shared},
	{"Ping", testPing, shared},
	{"Close", testClose, alone},

	{"TenantIsolation", testTenantIsolation, shared},
	{"CaseSensitiveIDs", testCaseSensitiveIDs, shared},
	{"Times", testTimes, shared},
	{"HostileValues", testHostileValues, alone},
	{"CanceledContext", testCanceledContext, shared},
}

// Run runs the suite. Open returns a new, empty store that no one else uses and
// arranges for it to be closed when t ends. Because that may take long, most subtests
// share one.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, method := range methods() {
		if !slices.ContainsFunc(subtests, func(s subtest) bool { return s.name == method }) {
			t.Errorf("store.Store.%s has no subtest of its name", method)
		}
	}
	common := open(t)
	for _, test := range subtests {
		t.Run(test.name, func(t *testing.T) {
			// Backends may remove what has expired by the wall clock, so the suite's clock is it.
			e := &env{T: t, now: time.Now().UTC().Truncate(tick)}
			if test.in == alone {
				e.s = open(t)
			} else {
				e.s = common
			}
			test.run(e)
		})
	}
}

// methods names the methods of a store.
func methods() []string {
	var list []string
	for m := range reflect.TypeFor[store.Store]().Methods() {
		list = append(list, m.Name)
	}
	return list
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

// tenant is the id of a manufacturer that nothing is stored of.
func tenant() makerguard.ManufacturerID { return makerguard.ManufacturerID(id.New("mfr")) }

// manufacturer is a new manufacturer that is not stored yet, with everything set.
func (e *env) manufacturer() makerguard.Manufacturer {
	return makerguard.Manufacturer{
		ID: tenant(), CompanyName: "Brillen Müller & Söhne", Country: "DE",
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
	got := e.told(fn)
	for _, c := range want {
		if !slices.Contains(got, c) {
			e.Errorf("the feed told %+v, want %+v among it", got, c)
		}
	}
}

// announcesKind is announces for a kind of which it does not matter whose it is.
func (e *env) announcesKind(fn func(), want makerguard.ChangeKind) {
	e.Helper()
	if got := e.told(fn); !slices.ContainsFunc(got, func(c makerguard.Change) bool { return c.Kind == want }) {
		e.Errorf("the feed told %+v, want a %s among it", got, want)
	}
}

// told is what the feed tells of that was announced while fn ran.
func (e *env) told(fn func()) []makerguard.Change {
	e.Helper()
	_, cursor, err := e.s.Changes(e.ctx(), "")
	e.ok("Changes", err)
	fn()
	got, _, err := e.s.Changes(e.ctx(), cursor)
	e.ok("Changes", err)
	return got
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

const (
	rivals = 16 // how many goroutines want the same thing
	crowd  = 64 // where more are to be expected, for the limit is the whole installation's
)
