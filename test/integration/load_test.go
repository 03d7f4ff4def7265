package integration

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loadTime = flag.Duration("load", time.Second, "how long TestLoad drives each path")

// driven is what parallel clients saw of one path.
type driven struct {
	took   []time.Duration
	failed []string
}

func (d *driven) String() string {
	slices.Sort(d.took)
	at := func(q float64) time.Duration { return d.took[int(q*float64(len(d.took)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v", at(.5), at(.99))
}

// drive sends one request over and over from parallel clients until ctx ends.
func (s *server) drive(ctx context.Context, clients int, path string, header http.Header) *driven {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := &driven{}
	for range clients {
		wg.Go(func() {
			var mine driven
			for ctx.Err() == nil {
				req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
				if err != nil {
					mine.failed = append(mine.failed, err.Error())
					break
				}
				req.Header = header
				begin := time.Now()
				res, err := client.Do(req)
				if err != nil {
					mine.failed = append(mine.failed, err.Error())
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				mine.took = append(mine.took, time.Since(begin))
				if res.StatusCode != http.StatusOK {
					mine.failed = append(mine.failed, res.Status)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.took, all.failed = append(all.took, mine.took...), append(all.failed, mine.failed...)
		})
	}
	wg.Wait()
	return all
}

// Under load nothing fails, and while passwords are hashed as fast as the machine can,
// validation goes on: sign-ins past the queue are told to come back.
//
// goal: V15.1.3 V15.2.2 — the figures are printed; make load drives longer.
func TestLoad(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1", "--log-level", "warn", "--policy", write(t, t.TempDir()+"/policy.yaml", "version: 1\ntiers: {free: {limits: {api_calls: unlimited}}}\n", 0o600))
	_, token := s.signUp(t, "load")
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	asked := http.Header{"Authorization": {"Bearer " + token}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/api/products?page=2&q=blue+frames"}}
	run := func(ctx context.Context, clients int, what, path string, header http.Header) {
		t.Helper()
		begin := time.Now()
		d := s.drive(ctx, clients, path, header)
		if len(d.took) == 0 || len(d.failed) > 0 {
			t.Errorf("%s: %d answers, %d failures, such as %v", what, len(d.took), len(d.failed), d.failed[:min(3, len(d.failed))])
			return
		}
		t.Logf("%-30s %8.0f requests/s from %2d clients, %v", what, float64(len(d.took))/time.Since(begin).Seconds(), clients, d)
	}
	timed := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), *loadTime)
		t.Cleanup(cancel)
		return ctx
	}
	many := 8 * runtime.GOMAXPROCS(0)
	run(timed(), many, "GET /v1/me", "/v1/me", bearer)
	run(timed(), many, "forward-auth", "/v1/forward-auth", asked)
	run(timed(), 2, "forward-auth, nothing else", "/v1/forward-auth", asked)

	for i := range 4 {
		s.register(t, fmt.Sprint("storm", i))
	}
	storm, done := context.WithCancel(t.Context())
	var signedIn, overloaded, limited atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range 200 {
		wg.Go(func() {
			body := strings.NewReader(fmt.Sprintf(`{"email":"storm%d@maker.example","password":"%s"}`, i%4, password))
			res, err := client.Post(s.url+"/v1/auth/login", "application/json", body)
			if err != nil {
				t.Errorf("sign-in %d: %v", i, err)
				return
			}
			a := read(t, res)
			switch {
			case a.status == 200:
				signedIn.Add(1)
			case a.status == 503 && a.str("code") == "OVERLOADED" && a.header.Get("Retry-After") != "":
				overloaded.Add(1)
			case a.status == 429 && a.header.Get("Retry-After") != "":
				limited.Add(1)
			default:
				t.Errorf("sign-in %d: %v, want 200, or 503 or 429 with Retry-After", i, a)
			}
		})
	}
	go func() { wg.Wait(); done() }()
	run(storm, 2, "forward-auth during sign-ins", "/v1/forward-auth", asked)
	wg.Wait()
	t.Logf("200 sign-ins at once, %v: %d signed in, %d overloaded, %d limited", time.Since(begin).Round(time.Millisecond), signedIn.Load(), overloaded.Load(), limited.Load())
	if signedIn.Load() == 0 {
		t.Error("nobody could sign in")
	}
	s.login(t, "storm0@maker.example")
	s.get(t, token, "/v1/me").want(t, 200, "")
}

// TestLoad_Nodes drives one, two and three nodes on one database, all on this machine, which the
// nodes, the database and the clients share: more nodes show what sharing costs, not what
// machines of their own would give.
func TestLoad_Nodes(t *testing.T) {
	policy := write(t, t.TempDir()+"/policy.yaml", "version: 1\ntiers: {free: {limits: {api_calls: unlimited, product_uploads: unlimited}}}\n", 0o600)
	for n := 1; n <= 3; n++ {
		nodes := cluster(t, n, "--log-level", "warn", "--policy", policy)
		owner, token := nodes[0].signUp(t, "load")
		for _, way := range []struct {
			what    string
			clients int
			ask     func(i int, n node) *http.Request
		}{
			{"forward-auth, metered", 16, func(_ int, n node) *http.Request {
				r := newRequest(http.MethodGet, n.url+"/v1/forward-auth", token, nil)
				r.Header.Set("X-Forwarded-Method", "GET")
				r.Header.Set("X-Forwarded-Uri", "/api/products?page=2")
				return r
			}},
			{"POST /v1/usage, exact", 16, func(_ int, n node) *http.Request {
				return newRequest(http.MethodPost, n.url+"/v1/usage/product_uploads", token, m{"amount": 1})
			}},
			{"sign-in", 4, func(_ int, n node) *http.Request {
				return newRequest(http.MethodPost, n.url+"/v1/auth/login", "", m{"email": owner.email, "password": password})
			}},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), *loadTime)
			begin := time.Now()
			all, cut := clients(ctx, nodes, way.clients, way.ask)
			took := time.Since(begin)
			cancel()
			if len(all.bad) > 0 || cut > 0 || all.answers == 0 {
				t.Errorf("%d nodes, %s: %d answers, %d cut, %d refused, such as %v", n, way.what, all.answers, cut, len(all.bad), all.bad[:min(1, len(all.bad))])
			}
			t.Logf("%d nodes  %-24s %8.0f/s from %2d clients", n, way.what, float64(all.answers)/took.Seconds(), way.clients)
		}
		for _, x := range nodes {
			x.stop()
		}
	}
}
