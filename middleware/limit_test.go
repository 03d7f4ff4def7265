package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
)

// month is short, so that its end is seen to come.
var month = makerguard.Period{Start: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)}

// unlimited is a quota that counts what is taken of it.
type unlimited struct{ reserved atomic.Int64 }

func (u *unlimited) Reserve(_ context.Context, _ makerguard.MeterAccount, _ makerguard.Meter, _, limit int64) (makerguard.Reservation, int64, error) {
	u.reserved.Add(1)
	return makerguard.NewReservation(&month, 1, nil), limit, nil
}

func (*unlimited) Spend(context.Context, makerguard.MeterAccount, makerguard.Meter, int64, int64, string, []byte) (makerguard.SpendResult, error) {
	return makerguard.SpendResult{}, errors.New("not asked for")
}

func (*unlimited) Usage(context.Context, makerguard.MeterAccount, []makerguard.Meter) (makerguard.Period, map[makerguard.Meter]int64, error) {
	return makerguard.Period{}, nil, errors.New("not asked for")
}

// staff authenticates a token "manufacturer/member", or "key/manufacturer/session" of an API
// key, and counts how often it is asked.
type staff struct{ asked atomic.Int64 }

func (s *staff) Authenticate(_ context.Context, token string) (*makerguard.Principal, error) {
	s.asked.Add(1)
	parts := strings.Split(token, "/")
	switch {
	case len(parts) == 2:
		return &makerguard.Principal{
			Kind: makerguard.KindMember, ManufacturerID: makerguard.ManufacturerID(parts[0]), MemberID: makerguard.MemberID(parts[1]),
			Tier: makerguard.TierEnterprise, Role: makerguard.RoleViewer,
		}, nil
	case len(parts) == 3:
		return &makerguard.Principal{
			Kind: makerguard.KindAPIKey, ManufacturerID: makerguard.ManufacturerID(parts[1]), SessionID: makerguard.SessionID(parts[2]),
			Tier: makerguard.TierFree, Grants: []makerguard.Permission{makerguard.ViewBasicAnalytics},
		}, nil
	}
	return nil, &makerguard.Error{Code: makerguard.TokenInvalid, Message: "not ours"}
}

// site is an application behind the whole chain, under a policy.
type site struct {
	http.Handler
	access *rbac.Authorizer
	limits *middleware.Limits
	staff  staff
	quota  unlimited
	app    http.HandlerFunc // what the application does; nil is nothing
	now    time.Time
	told   []string
}

func policy(t testing.TB, src string) *rbac.Policy {
	t.Helper()
	p, err := rbac.ParsePolicy([]byte("version: 1\n" + src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newSite serves GET / to whoever has view_basic_analytics, and GET /upload to whoever may upload.
func newSite(t testing.TB, src string, store interface {
	TakeRate(context.Context, makerguard.RateRequest) (makerguard.RateResult, error)
},
) *site {
	t.Helper()
	s := &site{now: time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)}
	now := func() time.Time { return s.now }
	var err error
	if s.access, err = rbac.New(rbac.Config{Policy: policy(t, src), Quota: &s.quota}); err != nil {
		t.Fatal(err)
	}
	if s.limits, err = middleware.NewLimits(middleware.LimitsConfig{
		Access: s.access, Store: store, Now: now,
		Refused: func(_ context.Context, limit string, p *makerguard.Principal, c makerguard.Client) {
			who := c.IP
			if p != nil {
				who = string(p.MemberID)
			}
			s.told = append(s.told, limit+" "+who)
		},
	}); err != nil {
		t.Fatal(err)
	}
	gate := &middleware.Gate{Access: s.access, Now: now}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.app != nil {
			s.app(w, r)
		}
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /{$}", gate.Require(middleware.Demand{Permission: makerguard.ViewBasicAnalytics}, app))
	mux.Handle("GET /upload", gate.Require(middleware.Demand{Permission: makerguard.UploadProducts}, app))
	proxies, err := middleware.ParseProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	edge := middleware.Edge{Proxies: proxies, Now: now}
	probe := func(r *http.Request) bool { return r.URL.Path == "/healthz" }
	s.Handler = edge.Handler(s.limits.Addresses(middleware.Authenticate(&s.staff, nil)(s.limits.Callers(mux)), probe))
	return s
}

func (s *site) request(from, token, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = from
	if strings.HasPrefix(from, "10.") {
		r.Header.Set("X-Forwarded-For", "192.0.2.200, 198.51.100.7")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// get asks as somebody from an address that nobody else has.
func (s *site) get(token string) int { return s.request("192.0.2.1:1000", token, "/").Code }

// count asks n times and gives how many were let through.
func count(n int, get func() int) int {
	ok := 0
	for range n {
		if get() == http.StatusOK {
			ok++
		}
	}
	return ok
}

func wantHeaders(t *testing.T, w *httptest.ResponseRecorder, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if got := strings.Join(w.Header()[name], " | "); got != v {
			t.Errorf("%s = %q, want %q", name, got, v)
		}
	}
}

// goal: V2.4.1 V15.3.4 — by address before anything else is done, IPv6 by /64.
func TestLimits_Address(t *testing.T) {
	s := newSite(t, "rates: [{per: address, rate: 30/m, burst: 2}]", nil)
	for _, tc := range []struct{ from, why string }{
		{"203.0.113.9:1", "the first"},
		{"203.0.113.9:2", "the second, from another port"},
	} {
		if w := s.request(tc.from, "acme/ann", "/"); w.Code != 200 {
			t.Errorf("%s: %d %s, want 200", tc.why, w.Code, w.Body)
		}
	}
	asked := s.staff.asked.Load()
	w := s.request("[::ffff:203.0.113.9]:3", "acme/ann", "/")
	if w.Code != 429 || !strings.Contains(w.Body.String(), `"RATE_LIMIT_EXCEEDED"`) || !strings.Contains(w.Body.String(), `"context":{"limit":"30/m","per":"address"}`) {
		t.Errorf("the third, as IPv4 in IPv6: %d %s, want 429 with the limit", w.Code, w.Body)
	}
	wantHeaders(t, w, map[string]string{
		"Retry-After": "2", "Ratelimit-Policy": `"burst_address";q=2;w=4`, "Ratelimit": `"burst_address";r=0;t=4`,
	})
	if s.staff.asked.Load() != asked {
		t.Error("the credential of a refused request was looked at")
	}
	if w := s.request("203.0.113.9:4", "", "/healthz"); w.Code != 200 || len(w.Header()["Ratelimit"]) > 0 {
		t.Errorf("a probe: %d %v, want 200 and no limit told", w.Code, w.Header())
	}
	for _, from := range []string{"203.0.113.10:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "10.0.0.1:1"} {
		if w := s.request(from, "acme/ann", "/"); w.Code != 200 {
			t.Errorf("from %s: %d, want 200: it is another address", from, w.Code)
		}
	}
	for i := range 100 { // the whole /64 is one
		s.request(fmt.Sprintf("[2001:db8:0:1::%x]:1", i+2), "acme/ann", "/")
	}
	if w := s.request("[2001:db8:0:1:ffff::1]:1", "acme/ann", "/"); w.Code != 429 {
		t.Errorf("another address of a /64 that was refused: %d, want 429", w.Code)
	}
	// Behind a trusted proxy it is the address the proxy saw, whatever stands left of it.
	s.request("10.0.0.2:1", "acme/ann", "/")
	if w := s.request("10.0.0.3:1", "acme/ann", "/"); w.Code != 429 {
		t.Errorf("through three proxies, the same client: %d, want 429", w.Code)
	}
	s.now = s.now.Add(2 * time.Second)
	if w := s.request("203.0.113.9:1", "acme/ann", "/"); w.Code != 200 {
		t.Errorf("after Retry-After: %d, want 200", w.Code)
	}
}

// What limits the caller names itself beside the meters, and the limit that leaves least does.
func TestLimits_TellTheTightest(t *testing.T) {
	s := newSite(t, `
rates:
  - {per: address, rate: 600/m, burst: 100}
  - {per: manufacturer, rate: 50/s}
  - {per: member, rate: 60/m}
  - {per: member, rate: 100/h}
tiers: {enterprise: {limits: {api_calls: 1000}}}
`, nil)
	w := s.request("192.0.2.1:1", "acme/ann", "/")
	wantHeaders(t, w, map[string]string{
		"Ratelimit-Policy": `"burst_address";q=100;w=10, "burst_manufacturer";q=50;w=1, "api_calls";q=1000;w=7200`,
		"Ratelimit":        `"burst_address";r=99;t=1, "burst_manufacturer";r=49;t=1, "api_calls";r=1000;t=3600`,
	})
	for range 20 {
		s.request("192.0.2.1:1", "acme/ann", "/")
	}
	s.now = s.now.Add(time.Second)
	w = s.request("192.0.2.1:1", "acme/ann", "/")
	wantHeaders(t, w, map[string]string{"Ratelimit": `"burst_address";r=88;t=2, "burst_member";r=39;t=21, "api_calls";r=1000;t=3599`})
}

func TestLimits_CallersAreCountedApart(t *testing.T) {
	s := newSite(t, `
rates:
  - {per: key, rate: 1/m, burst: 3}
  - {per: member, rate: 1/m, burst: 4}
  - {per: manufacturer, rate: 1/m, burst: 6}
`, nil)
	for _, tc := range []struct {
		token string
		want  int
	}{
		{"acme/ann", 4}, {"acme/bob", 2}, {"acme/cat", 0}, // the company has 6
		{"other/ann", 4}, // the same member id elsewhere is somebody else
		{"key/keys/k1", 3}, {"key/keys/k2", 3}, {"key/keys/k3", 0},
	} {
		if got := count(10, func() int { return s.get(tc.token) }); got != tc.want {
			t.Errorf("%s was let through %d times of 10, want %d", tc.token, got, tc.want)
		}
	}
}

// A member who is refused again and again uses up nothing of what colleagues share.
func TestLimits_OneMemberDoesNotUseUpTheCompany(t *testing.T) {
	s := newSite(t, "rates: [{per: manufacturer, rate: 1/m, burst: 10}, {per: member, rate: 1/m, burst: 2}]", nil)
	if got := count(1000, func() int { return s.get("acme/runaway") }); got != 2 {
		t.Errorf("the runaway was let through %d times, want 2", got)
	}
	for i := range 4 {
		if got := count(2, func() int { return s.get(fmt.Sprintf("acme/colleague%d", i)) }); got != 2 {
			t.Errorf("colleague %d was let through %d times of 2", i, got)
		}
	}
}

func TestLimits_TiersDiffer(t *testing.T) {
	s := newSite(t, "rates: [{per: manufacturer, rate: 1/m, burst: 8}]\ntiers: {free: {rates: [{per: manufacturer, rate: 1/m, burst: 3}]}}", nil)
	if got := count(10, func() int { return s.get("acme/ann") }); got != 8 {
		t.Errorf("an enterprise was let through %d times, want 8", got)
	}
	if got := count(10, func() int { return s.get("key/small/k") }); got != 3 { // keys are free's here
		t.Errorf("a free manufacturer was let through %d times, want 3", got)
	}
}

// What a limit refuses costs nothing of the month; asking for what one may not have is limited too.
func TestLimits_RefusedRequestsCostNoUnits(t *testing.T) {
	s := newSite(t, "rates: [{per: member, rate: 1/m, burst: 3}]", nil)
	if got := count(10, func() int { return s.get("acme/ann") }); got != 3 || s.quota.reserved.Load() != 3 {
		t.Errorf("%d let through and %d units reserved, want 3 of each", got, s.quota.reserved.Load())
	}
	var codes []int
	for range 5 {
		codes = append(codes, s.request("192.0.2.1:1", "acme/bob", "/upload").Code) // viewers may not
	}
	if want := []int{403, 403, 403, 429, 429}; !slices.Equal(codes, want) || s.quota.reserved.Load() != 3 {
		t.Errorf("without permission: %v with %d units reserved, want %v and none more", codes, s.quota.reserved.Load(), want)
	}
}

// goal: V15.4.2 — however requests end, their place is free again, and not before.
func TestLimits_Concurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "rates: [{per: manufacturer, concurrent: 2}, {per: member, rate: 1/h, burst: 1000}]", nil)
		release := make(chan struct{})
		s.app = func(http.ResponseWriter, *http.Request) { <-release }
		for range 2 {
			go s.get("acme/ann")
		}
		synctest.Wait()
		w := s.request("192.0.2.1:1", "acme/bob", "/")
		if w.Code != 429 || !strings.Contains(w.Body.String(), `"limit":"2 at once"`) {
			t.Errorf("the third at once: %d %s, want 429", w.Code, w.Body)
		}
		wantHeaders(t, w, map[string]string{
			"Retry-After": "1", "Ratelimit-Policy": `"concurrent_manufacturer";q=2;qu="concurrent-requests"`, "Ratelimit": `"concurrent_manufacturer";r=0`,
		})
		go s.get("other/ann") // not refused: it waits
		synctest.Wait()
		close(release)
		synctest.Wait()
		for name, app := range map[string]http.HandlerFunc{
			"answers":          nil,
			"panics":           func(http.ResponseWriter, *http.Request) { panic("canary") },
			"fails":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			"is not permitted": nil,
		} {
			s.app = app
			path := "/"
			if name == "is not permitted" {
				path = "/upload"
			}
			for range 5 {
				if w := s.request("192.0.2.1:1", "acme/ann", path); w.Code == 429 {
					t.Errorf("one after another, when the application %s: 429: a place was not freed", name)
				}
			}
		}
	})
}

// central is a store that gives a number of units.
type central struct {
	units int64
	err   error
}

func (c *central) TakeRate(_ context.Context, r makerguard.RateRequest) (makerguard.RateResult, error) {
	if c.err != nil {
		return makerguard.RateResult{}, c.err
	}
	if c.units < r.Amount {
		return makerguard.RateResult{RetryAfter: r.Interval}, nil
	}
	c.units -= r.Amount
	return makerguard.RateResult{Allowed: true, Remaining: c.units}, nil
}

// goal: V16.5.2 — an exact limit is one for all nodes, and while it cannot be counted nobody passes.
func TestLimits_Exact(t *testing.T) {
	store := &central{units: 5}
	const src = "rates: [{per: member, rate: 1/m, burst: 5, exact: true}]"
	one, two := newSite(t, src, store), newSite(t, src, store)
	got := count(10, func() int { return one.get("acme/ann") + two.get("acme/ann") - 200 })
	if n := one.quota.reserved.Load() + two.quota.reserved.Load(); n != 5 {
		t.Errorf("two nodes let through %d (%d at the same time), want 5 together", n, got)
	}
	store.err = &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "The store cannot be reached.", Err: errors.New("canary")}
	w := one.request("192.0.2.1:1", "acme/bob", "/")
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"STORE_UNAVAILABLE"`) || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("while the store is away: %d %s, want 503 without the reason", w.Code, w.Body)
	}
}

// A change of policy is in force for the next request, and a limit that it does not change
// keeps its count.
func TestLimits_FollowPolicyChanges(t *testing.T) {
	const limit = "{per: member, rate: 1/m, burst: 3}"
	s := newSite(t, "rates: ["+limit+"]", nil)
	if got := count(5, func() int { return s.get("acme/ann") }); got != 3 {
		t.Fatalf("%d let through, want 3", got)
	}
	for _, tc := range []struct {
		policy string
		want   int
	}{
		{"rates: [{per: manufacturer, rate: 100/s}, " + limit + "]", 0}, // unrelated: nothing is forgotten
		{"rates: [" + limit + "]\ntiers: {free: {mfa: required}}\nroutes: [{match: /x, public: true}]", 0},
		{"rates: [{per: member, rate: 1/m, burst: 4}]", 4}, // another limit
		{"", 10},
		{"rates: [" + limit + "]", 0}, // the same again, within its minute
	} {
		s.access.SetPolicy(policy(t, tc.policy))
		if got := count(10, func() int { return s.get("acme/ann") }); got != tc.want {
			t.Errorf("under %q: %d of 10 let through, want %d", tc.policy, got, tc.want)
		}
	}
}

func TestLimits_TellOfRefusalsOnceAMinute(t *testing.T) {
	s := newSite(t, "rates: [{per: member, rate: 1/h, burst: 1}, {per: address, rate: 1/h, burst: 300}]", nil)
	for range 100 {
		s.get("acme/ann")
		s.get("acme/bob")
	}
	if want := []string{"member 1/h ann", "member 1/h bob"}; !slices.Equal(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
	s.now = s.now.Add(time.Minute)
	for range 100 {
		s.get("acme/ann")
		s.request("198.51.100.1:1", "", "/")
		s.request("192.0.2.1:1", "", "/")
	}
	if want := []string{"member 1/h ann", "member 1/h bob", "member 1/h ann", "address 1/h 192.0.2.1"}; !slices.Equal(s.told, want) {
		t.Errorf("a minute later told %q, want %q", s.told, want)
	}
}

// Nobody is limited, or told of limits, until a policy says so.
func TestLimits_NoneByDefault(t *testing.T) {
	s := newSite(t, "", nil)
	if got := count(2000, func() int { return s.get("acme/ann") }); got != 2000 {
		t.Errorf("%d of 2000 let through", got)
	}
	if _, err := middleware.NewLimits(middleware.LimitsConfig{}); err == nil {
		t.Error("NewLimits without Access = nil error, want one")
	}
	var none *middleware.Limits
	var hold middleware.Hold
	if err := errors.Join(none.Address(t.Context(), &hold), none.Route(t.Context(), &hold, nil), none.Caller(t.Context(), &hold, nil, nil)); err != nil {
		t.Errorf("nil Limits refused: %v", err)
	}
}
