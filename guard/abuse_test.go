package guard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/makerguardtest"
)

const within = 5 * time.Second // what takes longer never happens

func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > within {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func attackFrom(h http.Handler, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/products?q=%3Cscript%3Ealert(1)%3C/script%3E", nil)
	r.RemoteAddr = address + ":1234"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// A block made on one node holds on another that shares the store, within a second, and
// survives a restart.
func TestBlocks_HoldOnEveryNode(t *testing.T) {
	data := t.TempDir()
	open := func(shared bool) *guard.Guard {
		g, err := guard.Open(context.WithoutCancel(t.Context()), guard.Config{
			Data: data, Shared: shared, Argon2: auth.Argon2{Memory: 8, Time: 1, Threads: 1}, InsecureParams: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close() })
		return g
	}
	one := open(false)
	two := open(true)
	const attacker = "203.0.113.7"
	h := one.Handler(http.NotFoundHandler())
	eventually(t, "blocked where the attacks were", func() bool { return attackFrom(h, attacker).Header().Get("Retry-After") != "" })
	took := eventually(t, "blocked on the other node", func() bool { return blockedAt(two, attacker) })
	if took > time.Second {
		t.Errorf("the other node learnt of the block after %v, want at most a second", took)
	}
	if !blockedAt(open(true), attacker) {
		t.Error("a node that starts does not know of the block")
	}
	bs, err := two.Defense.Abuse.Blocks(t.Context())
	if err != nil || len(bs) != 1 {
		t.Fatalf("Blocks = %+v, %v, want one", bs, err)
	}
	if err := two.Defense.Abuse.Lift(t.Context(), nil, bs[0].ID, "a test", makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	if blockedAt(two, attacker) {
		t.Error("still blocked where it was lifted")
	}
	eventually(t, "lifted on the first node", func() bool { return !blockedAt(one, attacker) })
}

func blockedAt(g *guard.Guard, address string) bool {
	return errors.Is(g.Defense.Abuse.CheckAddress(address), makerguard.SecurityThreatDetected)
}

// movable is a clock that a test moves while others read it.
type movable struct{ at atomic.Int64 }

func newMovable() *movable {
	m := &movable{}
	m.at.Store(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).UnixNano())
	return m
}

func (m *movable) now() time.Time       { return time.Unix(0, m.at.Load()).UTC() }
func (m *movable) pass(d time.Duration) { m.at.Add(int64(d)) }

// Somebody who tries one account after another, slowly enough for the limits of signing
// in, is refused everything in the end.
func TestBlocks_OfPatientSprayers(t *testing.T) {
	clock := newMovable()
	g := makerguardtest.Open(t, &makerguardtest.Options{Now: clock.now})
	const attacker = "203.0.113.8"
	for i := range 100 {
		if blockedAt(g, attacker) {
			break
		}
		_, err := g.Auth.Login(t.Context(), auth.Login{Email: "a" + strconv.Itoa(i) + "@nowhere.example", Password: password}, makerguard.Client{IP: attacker})
		if !errors.Is(err, makerguard.InvalidCredentials) {
			t.Fatalf("sign-in %d: %v, want INVALID_CREDENTIALS", i, err)
		}
		clock.pass(35 * time.Second)
	}
	eventually(t, "blocked", func() bool { return blockedAt(g, attacker) })
}

// Registrations are seen, and lead to an entry of the history.
func TestAbuse_FarmingIsRecorded(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	for _, tag := range []string{"", "+1", "+2", "+3"} {
		_, _, err := g.Register(t.Context(), account.Registration{
			Email: "max" + tag + "@maker.example", Password: password, CompanyName: "Max", Country: "FR",
		}, makerguard.Client{IP: "203.0.113.9"})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "in the history", func() bool {
		ts, err := g.Threats.List(t.Context(), makerguard.ThreatFilter{AllTenants: true, Rule: "abuse.alias_farming"})
		return err == nil && len(ts) == 1
	})
	if blockedAt(g, "203.0.113.9") {
		t.Error("blocked for four registrations")
	}
}

// A member that is blocked where the installation says so is refused at the next request.
func TestBlocks_OfMembersWhereTheInstallationSaysSo(t *testing.T) {
	g, err := guard.Open(context.WithoutCancel(t.Context()), guard.Config{
		Data: t.TempDir(), Argon2: auth.Argon2{Memory: 8, Time: 1, Threads: 1}, InsecureParams: true, Block: []makerguard.BlockKind{makerguard.BlockMember},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	_, token := signUp(t, g, "maker")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	mux.HandleFunc("GET /products", func(http.ResponseWriter, *http.Request) {})
	h := g.Handler(mux)
	for i := range 40 {
		send(h, "GET", "/products/"+string(rune('A'+i)), token, "", "")
	}
	eventually(t, "blocked", func() bool { return send(h, "GET", "/products", token, "", "").Code == http.StatusForbidden })
	_, other := signUp(t, g, "other")
	if w := send(h, "GET", "/products", other, "", ""); w.Code != http.StatusOK {
		t.Errorf("another member: %d %s, want 200", w.Code, w.Body)
	}
}

// The daily pass keeps a score for every active manufacturer, and does its work once a day.
func TestRecordScores_OnceADayForEveryActiveManufacturer(t *testing.T) {
	clock := newMovable()
	g := makerguardtest.Open(t, &makerguardtest.Options{Now: clock.now})
	active, _ := signUp(t, g, "active")
	suspended, _ := signUp(t, g, "suspended")
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_operator"}
	if err := g.Accounts.Suspend(t.Context(), operator, suspended, "a test", makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	days := func(mfr makerguard.ManufacturerID) int {
		t.Helper()
		ps, err := g.Defense.Scores.History(t.Context(), mfr, 30)
		if err != nil {
			t.Fatal(err)
		}
		return len(ps)
	}
	for range 3 {
		if err := g.Defense.RecordScores(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	late, _ := signUp(t, g, "late") // registered after the pass
	if err := g.Defense.RecordScores(t.Context()); err != nil {
		t.Fatal(err)
	}
	if days(active) != 1 || days(suspended) != 0 || days(late) != 0 {
		t.Errorf("scores of %d, %d and %d days, want 1, 0 and 0", days(active), days(suspended), days(late))
	}
	clock.pass(24 * time.Hour)
	if err := g.Defense.RecordScores(t.Context()); err != nil {
		t.Fatal(err)
	}
	if days(active) != 2 || days(late) != 1 {
		t.Errorf("a day later scores of %d and %d days, want 2 and 1", days(active), days(late))
	}
}

// Threats weigh half after a week, failed sign-ins too.
func TestScore_LooksAtWhatHappened(t *testing.T) {
	clock := newMovable()
	g := makerguardtest.Open(t, &makerguardtest.Options{Now: clock.now})
	mfr, _ := signUp(t, g, "maker")
	points := func(factor string) int {
		t.Helper()
		r, err := g.Defense.Score(t.Context(), mfr)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Factors {
			if f.Name == factor {
				return f.Points
			}
		}
		t.Fatalf("no factor %s", factor)
		return 0
	}
	if err := g.Threats.RecordThreat(t.Context(), makerguard.Threat{
		ManufacturerID: mfr, Finding: makerguard.Finding{Type: makerguard.XSS, Severity: makerguard.SeverityCritical, Rule: "xss.script"},
	}); err != nil {
		t.Fatal(err)
	}
	for range 17 {
		g.Defense.Scores.SignInFailed(mfr)
	}
	for weeks, want := range []struct{ threats, signIns int }{{10, 8}, {15, 9}, {18, 10}, {19, 10}, {20, 10}} {
		if threats, signIns := points("threats"), points("failed_sign_ins"); threats != want.threats || signIns != want.signIns {
			t.Errorf("after %d weeks: %d points for threats, %d for sign-ins, want %+v", weeks, threats, signIns, want)
		}
		clock.pass(7*24*time.Hour + time.Minute)
	}
}
