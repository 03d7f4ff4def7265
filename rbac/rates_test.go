package rbac_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

func TestParsePolicy_Rates(t *testing.T) {
	p := mustParse(t, `
version: 1
rates:
  - {per: manufacturer, rate: 50/s, concurrent: 20}
  - {per: address, rate: 600/m, burst: 100}
  - {per: member, rate: 10/s, exact: true}
  - {per: address, concurrent: 30}
tiers:
  free:
    rates:
      - {per: member, rate: 7/h}
      - {per: key, rate: 5000/d, burst: 50}
routes:
  - {match: "POST /a", rates: [{per: route, rate: 3/s}, {per: address, rate: 1/s, burst: 5}, {per: member, concurrent: 2}]}
  - {match: "/public/", public: true, rates: [{per: route, rate: 100/s}]}
  - {match: "/b"}
`)
	const route, public = "POST /a", "/public/"
	var (
		addresses = []rbac.Rate{
			{Per: "address", Text: "30 at once", Concurrent: 30},
			{Per: "address", Text: "600/m", Interval: 100 * time.Millisecond, Burst: 100},
		}
		atOnce       = rbac.Rate{Per: "manufacturer", Text: "20 at once", Concurrent: 20}
		member       = rbac.Rate{Per: "member", Text: "10/s", Interval: 100 * time.Millisecond, Burst: 10, Exact: true}
		manufacturer = rbac.Rate{Per: "manufacturer", Text: "50/s", Interval: 20 * time.Millisecond, Burst: 50}
		// Rounded up: 7 intervals are no less than an hour.
		freeMember = rbac.Rate{Per: "member", Text: "7/h", Interval: time.Hour/7 + 1, Burst: 7}
		freeKey    = rbac.Rate{Per: "key", Text: "5000/d", Interval: 17280 * time.Millisecond, Burst: 50}
		onA        = []rbac.Rate{
			{Per: "address", Text: "1/s", Route: route, Interval: time.Second, Burst: 5},
			{Per: "member", Text: "2 at once", Route: route, Concurrent: 2},
			{Per: "route", Text: "3/s", Route: route, Interval: time.Second/3 + 1, Burst: 3},
		}
	)
	noID := cmpopts.IgnoreFields(rbac.Rate{}, "ID")
	check := func(what string, got, want []rbac.Rate) {
		t.Helper()
		if diff := cmp.Diff(want, got, noID, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	check("AddressRates", p.AddressRates(), addresses)
	check("CallerRates(free)", p.CallerRates("free"), []rbac.Rate{atOnce, freeKey, member, freeMember, manufacturer})
	for _, tier := range []makerguard.Tier{"professional", "enterprise", "platform", "unknown"} {
		check("CallerRates("+string(tier)+")", p.CallerRates(tier), []rbac.Rate{atOnce, member, manufacturer})
	}
	routes := p.Routes()
	check(route, routes[0].Rates, onA)
	check(public, routes[1].Rates, []rbac.Rate{{Per: "route", Text: "100/s", Route: public, Interval: 10 * time.Millisecond, Burst: 100}})
	check("a route without", routes[2].Rates, nil)
	address, caller := rbac.Split(routes[0].Rates)
	check("Split, address", address, onA[:1])
	check("Split, caller", caller, onA[1:])

	ids := map[string]rbac.Rate{}
	for _, list := range [][]rbac.Rate{p.AddressRates(), p.CallerRates("free"), routes[0].Rates, routes[1].Rates} {
		for _, r := range list {
			if other, ok := ids[r.ID]; ok || len(r.ID) != 24 {
				t.Errorf("ID %q of %+v is also that of %+v, or not 24 digits", r.ID, r, other)
			}
			ids[r.ID] = r
		}
	}
}

func TestBuiltIn_LimitsNoRate(t *testing.T) {
	p := rbac.BuiltIn()
	if n := len(p.AddressRates()); n > 0 {
		t.Errorf("%d limits per address, want none", n)
	}
	for _, tier := range append(makerguard.Tiers(), makerguard.TierPlatform) {
		if n := len(p.CallerRates(tier)); n > 0 {
			t.Errorf("%d limits for callers of tier %s, want none", n, tier)
		}
	}
}

// What was used of a limit is counted under its ID, so the ID changes with the limit and with
// nothing else.
func TestRate_IDFollowsTheLimitAlone(t *testing.T) {
	idOf := func(src string) string {
		t.Helper()
		rates := mustParse(t, "version: 1\n"+src).CallerRates("enterprise")
		for _, r := range rates {
			if r.Per == rbac.PerMember {
				return r.ID
			}
		}
		t.Fatalf("no limit per member in\n%s", src)
		return ""
	}
	base := idOf("rates: [{per: member, rate: 10/s}]")
	for _, same := range []string{
		"rates: [{per: address, rate: 5/s}, {per: manufacturer, rate: 5/s}, {per: member, rate: 10/s}]",
		"rates: [{per: member, rate: 10/s, burst: 10}]\nroutes: []\ndefault: allow",
		"tiers: {enterprise: {mfa: required}}\nrates: [{rate: 10/s, per: member}]",
	} {
		if got := idOf(same); got != base {
			t.Errorf("under\n%s\nthe ID is %s, want %s: the limit is the same", same, got, base)
		}
	}
	for _, other := range []string{
		"rates: [{per: member, rate: 11/s}]", "rates: [{per: member, rate: 10/m}]", "rates: [{per: member, rate: 10/s, burst: 11}]",
		"rates: [{per: member, rate: 10/s, exact: true}]", "rates: [{per: member, concurrent: 10}]",
		"tiers: {enterprise: {rates: [{per: member, rate: 10/s}]}}",
	} {
		if got := idOf(other); got == base {
			t.Errorf("under\n%s\nthe ID is the same, want another", other)
		}
	}
	// Requests under way stay counted when their number changes.
	if a, b := idOf("rates: [{per: member, concurrent: 10}]"), idOf("rates: [{per: member, concurrent: 5}]"); a != b {
		t.Errorf("another number of requests at once has ID %s, was %s", b, a)
	}
}

func TestParsePolicy_RefusesWrongRates(t *testing.T) {
	for _, tc := range []struct{ src, pointer, message string }{
		{"rates: {per: member}", "/rates", "must be a list"},
		{"rates: [10/s]", "/rates/0", "must be a mapping"},
		{"rates: [{rate: 10/s}]", "/rates/0", "per is missing"},
		{"rates: [{per: person, rate: 10/s}]", "/rates/0/per", "it must be address or key or member"},
		{"rates: [{per: route, rate: 10/s}]", "/rates/0/per", "stands in the rates of a route"},
		{"rates: [{per: member}]", "/rates/0", "give a rate, as 60/m, or concurrent"},
		{"rates: [{per: member, burst: 5}]", "/rates/0/burst", "burst needs a rate"},
		{"rates: [{per: member, concurrent: 5, exact: true}]", "/rates/0/exact", "exact needs a rate"},
		{"rates: [{per: member, rate: 10}]", "/rates/0/rate", "must be a text"},
		{"rates: [{per: member, rate: 10/w}]", "/rates/0/rate", "as 10/s, 600/m"},
		{"rates: [{per: member, rate: 0/s}]", "/rates/0/rate", "as 10/s, 600/m"},
		{"rates: [{per: member, rate: -1/s}]", "/rates/0/rate", "as 10/s, 600/m"},
		{"rates: [{per: member, rate: 1.5/s}]", "/rates/0/rate", "as 10/s, 600/m"},
		{"rates: [{per: member, rate: 9999999999/s}]", "/rates/0/rate", "as 10/s, 600/m"},
		{"rates: [{per: member, rate: 2000000/s, burst: 1}]", "/rates/0/rate", "at most 1000000/s"},
		{"rates: [{per: member, rate: 2000000/m}]", "/rates/0/rate", "give a burst of at most 1000000"},
		{"rates: [{per: member, rate: 1/d, burst: 400}]", "/rates/0/rate", "more than a year"},
		{"rates: [{per: member, rate: 10/s, burst: 0}]", "/rates/0/burst", "from 1 to 1000000"},
		{"rates: [{per: member, rate: 10/s, burst: lots}]", "/rates/0/burst", "must be a whole number"},
		{"rates: [{per: member, concurrent: 0}]", "/rates/0/concurrent", "from 1 to 1000000"},
		{"rates: [{per: member, rate: 10/s, exact: perhaps}]", "/rates/0/exact", "true or false"},
		{"rates: [{per: address, rate: 10/s, exact: true}]", "/rates/0/exact", "cannot be exact"},
		{"rates: [{per: member, rate: 10/s, per_node: 1}]", "/rates/0", "unknown key \"per_node\""},
		{"rates: [{per: member, rate: 10/s}, {per: member, rate: 10/s, burst: 2}]", "/rates/1", "given again; first on line 2"},
		{"rates: [{per: member, concurrent: 1}, {per: member, concurrent: 2}]", "/rates/1", "given again; first on line 2"},
		{"rates: [" + strings.Repeat("{per: member, rate: 10/s}, ", 17) + "]", "/rates", "more than 16 items"},
		{"tiers: {free: {rates: [{per: address, rate: 1/s}]}}", "/tiers/free/rates/0/per", "an address has no tier"},
		{"tiers: {platform: {rates: [{per: route, rate: 1/s}]}}", "/tiers/platform/rates/0/per", "in the rates of a route"},
		{"routes: [{match: /a, public: true, rates: [{per: member, rate: 1/s}]}]", "/routes/0/rates/0/per", "nobody is signed in on a public route"},
	} {
		_, err := rbac.ParsePolicy([]byte("version: 1\n" + tc.src))
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != makerguard.ValidationFailed {
			t.Errorf("ParsePolicy(%s) = %v, want VALIDATION_FAILED", tc.src, err)
			continue
		}
		f := e.Fields[0]
		if len(e.Fields) != 1 || f.Pointer != tc.pointer || !strings.Contains(f.Message, tc.message) || !strings.HasPrefix(f.Message, "line 2: ") {
			t.Errorf("ParsePolicy(%s): %+v, want one problem at %s with line and %q", tc.src, e.Fields, tc.pointer, tc.message)
		}
	}
}

// Whatever rate is accepted gives, in its own unit of time, no more than it says.
func TestParsePolicy_RatesGiveNoMoreThanTheySay(t *testing.T) {
	windows := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1_000_000).Draw(t, "number")
		unit := rapid.SampledFrom([]string{"s", "m", "h", "d"}).Draw(t, "unit")
		p, err := rbac.ParsePolicy(fmt.Appendf(nil, "version: 1\nrates: [{per: member, rate: %d/%s}]", n, unit))
		if err != nil {
			t.Fatalf("%d/%s: %v", n, unit, err)
		}
		r := p.CallerRates("free")[0]
		if r.Interval*time.Duration(n) < windows[unit] || (r.Interval-1)*time.Duration(n) >= windows[unit] {
			t.Errorf("%d/%s is one each %v, want the least that makes no more than %d", n, unit, r.Interval, n)
		}
	})
}

// What the documents show is what is accepted.
func TestDocs_RatesAreAccepted(t *testing.T) {
	for _, doc := range []string{"ratelimits.md", "policy.md"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", doc))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			src, _, _ := strings.Cut(block, "```")
			if !strings.HasPrefix(src, "rates:") {
				continue
			}
			found++
			if n := len(mustParse(t, "version: 1\n"+src).CallerRates("enterprise")); n != 3 {
				t.Errorf("%s: %d limits for callers, want 3", doc, n)
			}
		}
		if found != 1 {
			t.Errorf("%s shows %d policies with rates, want one", doc, found)
		}
	}
}

func FuzzParsePolicy_Rate(f *testing.F) {
	for _, seed := range []string{"10/s", "600/m", "1000000/s", "999999999/d", "1/d", "0/s", "-1/s", "10 / s", "1e3/s", "١/s"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, rate string, burst int64) {
		p, err := rbac.ParsePolicy(fmt.Appendf(nil, "version: 1\nrates: [{per: member, rate: %q, burst: %d}]", rate, burst))
		if err != nil {
			if !errors.Is(err, makerguard.ValidationFailed) {
				t.Errorf("rate %q, burst %d: %v, want VALIDATION_FAILED", rate, burst, err)
			}
			return
		}
		for _, r := range p.CallerRates("free") {
			if r.Interval < time.Microsecond || r.Interval > 24*time.Hour || r.Burst != burst || burst < 1 || r.Interval > 366*24*time.Hour/time.Duration(burst) {
				t.Errorf("rate %q, burst %d gives %+v, out of its bounds", rate, burst, r)
			}
		}
	})
}
