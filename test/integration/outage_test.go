package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makerguard/makerguard/test/faultproxy"
)

// goroutines reads how many goroutines a server has from its metrics.
func goroutines(t *testing.T, adminURL string) int {
	t.Helper()
	r := (&server{url: adminURL}).get(t, "", "/metrics")
	found := regexp.MustCompile(`(?m)^go_goroutines (\d+)`).FindSubmatch(r.raw)
	if found == nil {
		t.Fatalf("no go_goroutines in %.300s", r.raw)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// However the database fails, sessions that are known go on for five seconds, all else is refused
// quickly with 503 STORE_UNAVAILABLE and without requests piling up; afterwards all goes on by
// itself, and nothing that was acknowledged is lost.
func TestOutage(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault faultproxy.Fault
	}{
		{"stopped", faultproxy.Fault{Refuse: true}},
		{"half-open", faultproxy.Fault{Silent: true}},
		{"far too slow", faultproxy.Fault{Delay: 20 * time.Second}},
		{"full", faultproxy.Fault{Code: 14031, CodeName: "OutOfDiskSpace"}},
		{"not primary", faultproxy.Fault{Code: 10107, CodeName: "NotWritablePrimary"}},
		{"shutting down", faultproxy.Fault{Code: 91, CodeName: "ShutdownInProgress"}},
		{"without rights", faultproxy.Fault{Code: 13, CodeName: "Unauthorized"}},
	} {
		t.Run(tc.name, func(t *testing.T) { outage(t, tc.fault) })
	}
}

func outage(t *testing.T, fault faultproxy.Fault) {
	n := cluster(t, 1, "--admin-listen", "127.0.0.1:0")[0]
	admin := adminURL(t, n)
	operator := clusterOperator(t, n)
	owner, _ := n.signUp(t, "outage")
	n.setTier(t, operator, owner, "professional")
	in := n.login(t, owner.email)
	token := in.str("access_token")
	n.do(t, request{method: http.MethodPut, path: "/v1/vault/kept", token: token, body: m{"data": "before"}}).want(t, 200, "")
	// A question that needs nothing of the store but whether the session lives.
	use := func() answer {
		return n.post(t, token, "/v1/security/inspect", m{"inputs": []m{{"name": "q", "value": "blue frames", "location": "query"}}})
	}
	use().want(t, 200, "")

	n.db.Set(fault)
	began := time.Now()
	refused := func(what string, r answer) {
		t.Helper()
		r.want(t, 503, "STORE_UNAVAILABLE")
		if r.header.Get("Retry-After") == "" || r.at("retryable") != true {
			t.Errorf("%s: %v, want Retry-After and retryable", what, r)
		}
	}
	acknowledged := "before"
	put := n.do(t, request{method: http.MethodPut, path: "/v1/vault/kept", token: token, body: m{"data": "during"}})
	if put.status == 200 {
		acknowledged = "during"
	} else {
		refused("a write", put)
	}
	if took := time.Since(began); took < 4*time.Second {
		if r := use(); r.status != 200 && time.Since(began) < 5*time.Second {
			t.Errorf("%v after the database failed a known session is answered %v, want 200", took, r)
		}
	}
	if r := n.get(t, "", "/readyz"); r.status != 503 {
		t.Errorf("/readyz: %v, want 503", r)
	}
	n.get(t, "", "/healthz").want(t, 200, "")

	// By now the store is known to be away: many callers at once are told so at once.
	before := goroutines(t, admin)
	var most time.Duration
	var mu sync.Mutex
	var odd []answer
	peak := before
	ctx, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		for ctx.Err() == nil {
			peak = max(peak, goroutines(t, admin))
			time.Sleep(50 * time.Millisecond)
		}
	})
	parallel(200, func(i int) {
		begin := time.Now()
		r := n.post(t, "", "/v1/auth/login", m{"email": fmt.Sprintf("nobody%d@maker.example", i), "password": password})
		mu.Lock()
		defer mu.Unlock()
		most = max(most, time.Since(begin))
		// So many from one address wait for one another, and the queue for that is bounded.
		if r.status != 503 || r.str("code") != "STORE_UNAVAILABLE" && r.str("code") != "OVERLOADED" {
			odd = append(odd, r)
		}
	})
	stop()
	watch.Wait()
	if len(odd) > 0 {
		t.Errorf("%d of 200 sign-ins, such as %v, want 503 STORE_UNAVAILABLE or OVERLOADED", len(odd), odd[0])
	}
	if most > 8*time.Second {
		t.Errorf("a sign-in was refused after %v, want it quickly", most)
	}
	eventually(t, "no goroutines are left of it", func() bool {
		client.CloseIdleConnections()
		return goroutines(t, admin) < before+100
	})
	t.Logf("200 sign-ins refused within %v, at most %d goroutines", most.Round(time.Millisecond), peak)

	n.db.Set(faultproxy.Fault{})
	eventually(t, "the server recovers", func() bool {
		return n.get(t, "", "/readyz").status == 200 && n.get(t, token, "/v1/me").status == 200
	})
	got := n.get(t, token, "/v1/vault/kept").want(t, 200, "").str("data")
	if got != acknowledged && got != "during" || acknowledged == "during" && got != "during" {
		t.Errorf("the vault has %q, acknowledged was %q", got, acknowledged)
	}
	n.post(t, "", "/v1/auth/refresh", m{"refresh_token": in.str("refresh_token")}).want(t, 200, "")
	n.login(t, owner.email)
}

// adminURL finds where --admin-listen listens, in the log.
func adminURL(t *testing.T, n node) string {
	t.Helper()
	var found []string
	eventually(t, "the log tells the admin listener's address", func() bool {
		found = regexp.MustCompile(`admin listener[^\n]*?(127\.0\.0\.1:\d+)`).FindStringSubmatch(n.out.String())
		return found != nil
	})
	return "http://" + found[1]
}

// A database that is slow, but not away, slows requests down and fails none.
func TestOutage_SlowDatabaseFailsNothing(t *testing.T) {
	n := cluster(t, 1)[0]
	owner, token := n.signUp(t, "slow")
	n.db.Set(faultproxy.Fault{Delay: 150 * time.Millisecond})
	for range 3 {
		n.post(t, token, "/v1/usage/product_uploads", m{"amount": 1}).want(t, 200, "")
	}
	n.login(t, owner.email)
	begin := time.Now()
	for range 20 {
		n.ask(t, token, "GET", "/x").want(t, 200, "")
	}
	if took := time.Since(begin); took > 20*150*time.Millisecond {
		t.Errorf("20 validations of a known session took %v: they wait for the database", took)
	}
}

// A start without a database says which one, within ten seconds, and not its password.
func TestOutage_StartWithoutDatabase(t *testing.T) {
	n := cluster(t, 1)[0]
	n.db.Set(faultproxy.Fault{Silent: true})
	n.stop()
	begin := time.Now()
	args := append([]string{}, n.cmd.Args[1:]...)
	for i, a := range args {
		args[i] = strings.Replace(a, "mongodb://", "mongodb://user:hunter2canary@", 1)
	}
	out, code := command(t, "", args...)
	if code != 1 || strings.Contains(out, "hunter2canary") || !strings.Contains(out, n.db.Addr()) {
		t.Errorf("serve without a database: exit %d\n%s\nwant 1 and its address, without the password", code, out)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("serve without a database gave up after %v, want about 10 s", took)
	}
}
