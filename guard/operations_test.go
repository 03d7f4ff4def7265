package guard_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/test/mongotest"
)

// commands counts what is sent to a MongoDB, but for the polls of the background.
type commands struct {
	mu    sync.Mutex
	on    bool
	names []string
}

func (c *commands) Command(name, collection string, _ time.Duration, _ bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		c.names = append(c.names, name+" "+collection)
	}
}
func (c *commands) Pool(int, int)            {}
func (c *commands) Wait(time.Duration, bool) {}

// TestOperations_PerCall counts what the store is asked on the paths that are used most, and holds the
// figures of docs/mongodb.md: a change that costs another round trip shows here.
func TestOperations_PerCall(t *testing.T) {
	for _, backend := range []string{"sqlite", "mongodb"} {
		t.Run(backend, func(t *testing.T) {
			cfg := guard.Config{Data: t.TempDir(), Argon2: auth.Argon2{Memory: 64, Time: 1, Threads: 1}, InsecureParams: true}
			seen := &commands{}
			if backend == "mongodb" {
				cfg.Store, cfg.StoreObserver = makerguard.Secret(mongotest.URI(t)), seen
			}
			g, err := guard.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			ctx := t.Context()
			_, owner, err := g.Register(ctx, account.Registration{Email: "o@maker.example", Password: password, CompanyName: "Maker", Country: "FR"}, makerguard.Client{})
			if err != nil {
				t.Fatal(err)
			}
			signIn := func() *auth.SignIn {
				in, err := g.Auth.Login(ctx, auth.Login{Email: owner.Email, Password: password}, makerguard.Client{})
				if err != nil {
					t.Fatal(err)
				}
				return in
			}
			in := signIn()
			p, err := g.Auth.Authenticate(ctx, string(in.Tokens.Access))
			if err != nil {
				t.Fatal(err)
			}
			put := func() {
				if _, _, err := g.Vault.Put(ctx, p, "prices", []byte(`{"frame": 129}`), makerguard.Client{}); err != nil {
					t.Fatal(err)
				}
			}
			put() // makes the manufacturer's key
			metered := g.Handler(g.Require(makerguard.UploadProducts)(func(w http.ResponseWriter, _ *http.Request) {}))
			meter := func(n int) {
				for range n {
					r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", nil)
					r.Header.Set("Authorization", "Bearer "+string(in.Tokens.Access))
					w := httptest.NewRecorder()
					metered.ServeHTTP(w, r)
					if w.Code != http.StatusOK {
						t.Fatalf("a metered call: %d %s", w.Code, w.Body)
					}
				}
			}
			meter(1)
			nothing := func() {}

			for _, call := range []struct {
				name   string
				n      int    // calls
				before func() // not counted
				run    func()
				most   map[string]float64 // operations of one call, at most
			}{
				{"sign-in", 1, nothing, func() { in = signIn() }, map[string]float64{"sqlite": 9, "mongodb": 14}},
				{"first validation", 1, func() { in = signIn() }, func() {
					if _, err := g.Auth.Authenticate(ctx, string(in.Tokens.Access)); err != nil {
						t.Fatal(err)
					}
				}, map[string]float64{"sqlite": 1, "mongodb": 1}},
				{"validation", 100, nothing, func() {
					for range 100 {
						if _, err := g.Auth.Authenticate(ctx, string(in.Tokens.Access)); err != nil {
							t.Fatal(err)
						}
					}
				}, map[string]float64{"sqlite": 0, "mongodb": 0}},
				{"refresh", 1, nothing, func() {
					if in.Tokens, err = g.Auth.Refresh(ctx, in.Tokens.Refresh, makerguard.Client{}); err != nil {
						t.Fatal(err)
					}
				}, map[string]float64{"sqlite": 2, "mongodb": 3}},
				{"metered call", 150, nothing, func() { meter(150) }, map[string]float64{"sqlite": .1, "mongodb": .1}},
				{"vault write", 1, nothing, put, map[string]float64{"sqlite": 2, "mongodb": 4}},
			} {
				count, what := least(t, g, seen, call.before, call.run)
				each := count / float64(call.n)
				t.Logf("%-17s %6.2f operations  %s", call.name, each, what)
				if each > call.most[backend] {
					t.Errorf("%s on %s: %.2f operations (%s), want at most %v", call.name, backend, each, what, call.most[backend])
				}
			}
		})
	}
}

// least tells how many operations of the store a call takes: the least of some tries, since the
// background polls for changes now and then.
func least(t *testing.T, g *guard.Guard, seen *commands, before, run func()) (n float64, what string) {
	t.Helper()
	n = math.Inf(1)
	for range 6 {
		before()
		if m, w := counted(g, seen, run); m < n {
			n, what = m, w
		}
	}
	return n, what
}

func counted(g *guard.Guard, seen *commands, run func()) (float64, string) {
	if before, ok := g.EmbeddedStats(); ok {
		run()
		after, _ := g.EmbeddedStats()
		q, c := after.Queries-before.Queries, after.Changes-before.Changes
		return float64(q + c), fmt.Sprintf("%d queries, %d changes in %d commits", q, c, after.Commits-before.Commits)
	}
	seen.mu.Lock()
	seen.on, seen.names = true, nil
	seen.mu.Unlock()
	run()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	seen.on = false
	return float64(len(seen.names)), strings.Join(seen.names, ", ")
}
