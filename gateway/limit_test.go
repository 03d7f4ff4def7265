package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/gateway"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
	"github.com/makerguard/makerguard/threat"
)

// limited is a gateway under a policy with rates, and forward-auth over it.
type limited struct {
	*gateway.Gateway
	parts
	access  *rbac.Authorizer
	handler http.Handler
	now     time.Time
}

func newLimited(t *testing.T, policy string) *limited {
	t.Helper()
	l := &limited{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	l.committed, l.released = map[makerguard.Meter]int{}, map[makerguard.Meter]int{}
	now := func() time.Time { return l.now }
	access, err := rbac.New(rbac.Config{Policy: parse(t, "version: 1\n"+policy), Quota: &l.parts})
	if err != nil {
		t.Fatal(err)
	}
	l.access = access
	limits, err := middleware.NewLimits(middleware.LimitsConfig{Access: access, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	detector, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := middleware.ParseProxies("192.0.2.0/24") // httptest's peer is 192.0.2.1
	if err != nil {
		t.Fatal(err)
	}
	l.Gateway = gateway.New(gateway.Config{
		Authenticator: &l.parts, Identifier: &l.parts, Proxies: proxies, Limits: limits,
		Inspection: &middleware.Inspection{Detector: detector, Log: &l.parts},
		Gate:       &middleware.Gate{Access: access, Now: now},
	})
	l.handler = middleware.Edge{Proxies: proxies, Now: now}.Handler(gateway.ForwardAuth(l.Gateway, gateway.Forwarded))
	return l
}

func (l *limited) ask(method, target, forwardedFor string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/v1/forward-auth", nil)
	r.Header.Set("X-Forwarded-Method", method)
	r.Header.Set("X-Forwarded-Uri", target)
	r.Header.Set("X-Forwarded-For", forwardedFor)
	r.Header.Set("Authorization", "Bearer token")
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w
}

// statuses asks n times.
func (l *limited) statuses(n int, method, target string) string {
	var all []string
	for range n {
		all = append(all, fmt.Sprint(l.ask(method, target, "198.51.100.7").Code))
	}
	return strings.Join(all, " ")
}

// The address is that of the client the proxy saw, and one that is refused reaches nothing behind.
//
// goal: V2.4.1 V15.3.4
func TestForwardAuth_LimitsAddresses(t *testing.T) {
	l := newLimited(t, "rates: [{per: address, rate: 30/m, burst: 2}]")
	if got := l.statuses(2, "GET", "/a"); got != "200 200" {
		t.Errorf("the burst: %s, want 200 200", got)
	}
	l.authErr = makerguard.StoreUnavailable // whoever is refused by address does not get so far
	for i := range 50 {
		w := l.ask("GET", "/a", fmt.Sprintf("203.0.113.%d, 198.51.100.7", i)) // what stands left is made up
		if w.Code != 429 || !strings.Contains(w.Body.String(), `"RATE_LIMIT_EXCEEDED"`) || w.Header().Get("Retry-After") != "2" ||
			w.Header().Get("RateLimit-Policy") != `"burst_address";q=2;w=4` || w.Header().Get("RateLimit") != `"burst_address";r=0;t=4` {
			t.Fatalf("beyond the burst: %d %v %s, want 429 with the limit", w.Code, w.Header(), w.Body)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "X-Makerguard-") {
				t.Fatalf("the refusal has %s", name)
			}
		}
	}
	l.authErr = nil
	if w := l.ask("GET", "/a", "198.51.100.8"); w.Code != 200 {
		t.Errorf("another client of the same proxy: %d, want 200", w.Code)
	}
	l.now = l.now.Add(2 * time.Second)
	if w := l.ask("GET", "/a", "198.51.100.7"); w.Code != 200 {
		t.Errorf("after Retry-After: %d, want 200", w.Code)
	}
}

// A route's limits hold on it alone, and what they refuse costs nothing of the month.
func TestForwardAuth_LimitsRoutes(t *testing.T) {
	l := newLimited(t, `
rates: [{per: manufacturer, rate: 1/m, burst: 8}]
routes:
  - {match: "POST /products", permission: upload_products, meter: product_uploads, rates: [{per: manufacturer, rate: 60/m, burst: 3}]}
  - {match: "/public/", public: true, rates: [{per: route, rate: 1/s, burst: 4}]}
  - {match: "GET /addressed", rates: [{per: address, rate: 1/s, burst: 1}]}
  - {match: "GET /operators", permission: operate_keys}
default: allow
`)
	for _, step := range []struct {
		name, method, target string
		times                int
		want                 string
	}{
		{"the route's burst", "POST", "/products", 5, "200 200 200 429 429"},
		{"elsewhere there is more", "GET", "/a", 2, "200 200"},
		{"per address on a route", "GET", "/addressed", 2, "200 429"},
		{"without permission", "GET", "/operators", 2, "403 403"},
		{"the manufacturer's is used up by all of these", "GET", "/a", 1, "429"},
		{"a public route has a limit of its own", "GET", "/public/x", 6, "200 200 200 200 429 429"},
	} {
		if got := l.statuses(step.times, step.method, step.target); got != step.want {
			t.Errorf("%s: %s %s: %s, want %s", step.name, step.method, step.target, got, step.want)
		}
	}
	if l.committed[makerguard.ProductUploads] != 3 || l.committed[makerguard.APICalls] != 6 {
		t.Errorf("units used: %v, want 3 uploads and 6 calls, those that were let through", l.committed)
	}
	w := l.ask("POST", "/products", "198.51.100.7")
	if !strings.Contains(w.Body.String(), `"context":{"limit":"60/m","per":"manufacturer","route":"POST /products"}`) {
		t.Errorf("the refusal says %s, want which limit of which route", w.Body)
	}
}

func TestForwardAuth_TellsTheTightestLimit(t *testing.T) {
	l := newLimited(t, "rates: [{per: address, rate: 600/m, burst: 100}, {per: manufacturer, rate: 50/s}]")
	h := l.ask("GET", "/a", "198.51.100.7").Header()
	if got, want := h.Get("RateLimit"), `"burst_manufacturer";r=49;t=1, `; !strings.HasPrefix(got, want) || !strings.Contains(got, `"api_calls"`) {
		t.Errorf("RateLimit = %q, want %s and the meter", got, want)
	}
}

// A verdict's part in limits on requests under way lasts until it is left; forward-auth, which
// does not see requests end, leaves it at once.
func TestDecide_HoldsUntilLeft(t *testing.T) {
	l := newLimited(t, `routes: [{match: "/a", rates: [{per: manufacturer, concurrent: 2}]}]`)
	r := gateway.Request{Method: "GET", Target: "/a", Header: http.Header{"Authorization": {"Bearer token"}}}
	var held []gateway.Verdict
	for range 2 {
		v, err := l.Decide(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, v)
	}
	if _, err := l.Decide(t.Context(), r); makerguard.CodeOf(err) != makerguard.RateLimitExceeded {
		t.Errorf("Decide of the third under way = %v, want RATE_LIMIT_EXCEEDED", err)
	}
	held[0].Hold.Leave()
	if got := l.statuses(5, "GET", "/a"); got != "200 200 200 200 200" {
		t.Errorf("forward-auth, one after another: %s, want all 200", got)
	}
	// What is refused later on leaves too.
	l.quotaErr = makerguard.StoreUnavailable
	for range 3 {
		if _, err := l.Decide(t.Context(), r); makerguard.CodeOf(err) != makerguard.StoreUnavailable {
			t.Errorf("Decide without quota = %v, want STORE_UNAVAILABLE", err)
		}
	}
}

// A change of policy is in force for the next request, and an unchanged limit keeps its count.
func TestForwardAuth_LimitsFollowPolicyChanges(t *testing.T) {
	const route = `{match: "/a", rates: [{per: member, rate: 1/m, burst: 2}]}`
	l := newLimited(t, "routes: ["+route+"]")
	for _, tc := range []struct{ policy, want string }{
		{"routes: [" + route + "]", "200 200 429"},
		{"routes: [{match: /b, public: true}, " + route + "]", "429 429 429"},
		{`routes: [{match: "/a"}]`, "200 200 200"},
	} {
		l.access.SetPolicy(parse(t, "version: 1\n"+tc.policy))
		if got := l.statuses(3, "GET", "/a"); got != tc.want {
			t.Errorf("under %s: %s, want %s", tc.policy, got, tc.want)
		}
	}
}
