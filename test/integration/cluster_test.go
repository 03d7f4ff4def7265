package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/test/faultproxy"
)

// node is one of several servers on one database, which it reaches through a proxy of its own.
type node struct {
	*server
	db *faultproxy.Proxy
}

// cluster starts n servers with one root key on one new database.
func cluster(t *testing.T, n int, args ...string) []node {
	t.Helper()
	if !onMongo {
		t.Skip("several nodes need a store that they share: run with MAKERGUARD_TEST_STORE=mongodb")
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "root.json")
	if out, code := command(t, "", "keys", "init", key); code != 0 {
		t.Fatalf("keys init: exit %d\n%s", code, out)
	}
	address, err := url.Parse(mongoDatabase(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	q := address.Query()
	q.Set("directConnection", "true") // so that nobody goes round the proxy
	address.RawQuery = q.Encode()
	var nodes []node
	for i := range n {
		p, err := faultproxy.New(address.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		mine := *address
		mine.Host = p.Addr()
		data := filepath.Join(dir, fmt.Sprint("node", i))
		s := start(t, data, append([]string{"--store", mine.String(), "--kek", "file:" + key, "--trusted-proxies", "127.0.0.1"}, args...)...)
		nodes = append(nodes, node{s, p})
	}
	return nodes
}

// clusterOperator makes an operator through the database of a cluster.
func clusterOperator(t *testing.T, n node) string {
	t.Helper()
	args := n.cmd.Args
	at := func(flag string) string { return args[slices.Index(args, flag)+1] }
	out, code := command(t, password, "operator", "create", "--data", n.data, "--store", at("--store"), "--kek", at("--kek"),
		"--email", "operator@platform.example", "--password-stdin", "--log-level", "error")
	if code != 0 {
		t.Fatalf("operator create: exit %d\n%s", code, out)
	}
	return n.signInOperator(t, out)
}

// addMember puts a member with the owner's password into the database of a cluster.
func addMember(t *testing.T, n node, owner account, name, role string) account {
	t.Helper()
	store, err := mongo.Open(t.Context(), mongo.Config{URI: makerguard.Secret(n.cmd.Args[slices.Index(n.cmd.Args, "--store")+1])})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	of, _, err := store.MemberByEmail(t.Context(), owner.email)
	if err != nil {
		t.Fatal(err)
	}
	made := account{email: name + "@maker.example", manufacturer: owner.manufacturer, member: id.New("mbr")}
	of.ID, of.Email, of.EmailKey, of.Role = makerguard.MemberID(made.member), made.email, made.email, makerguard.Role(role)
	if err := store.CreateMember(t.Context(), of, makerguard.Unlimited); err != nil {
		t.Fatal(err)
	}
	return made
}

// soon is within what nodes may learn late of each other's changes.
const soon = time.Second

// seenWithin makes a change, and checks that what follows from it is seen in time. A machine that
// is busy with other tests may be late once, so it has three tries.
func seenWithin(t *testing.T, what string, change func(try int), seen func(try int) bool) {
	t.Helper()
	var took []time.Duration
	for try := range 3 {
		change(try)
		begin := time.Now()
		eventually(t, what, func() bool { return seen(try) })
		took = append(took, time.Since(begin).Round(time.Millisecond))
		if took[try] <= soon {
			t.Logf("%s: seen after %v", what, took[try])
			return
		}
	}
	t.Errorf("%s: seen after %v, want at most %v", what, took, soon)
}

// What one node does is in force on every other within a second: the end of a session, a tier, a
// role, a suspension, a policy, a signing key.
func TestCluster_ChangesReachEveryNode(t *testing.T) {
	nodes := cluster(t, 3)
	a, others := nodes[0], nodes[1:]
	operator := clusterOperator(t, a)
	owner, token := a.signUp(t, "spread")
	everywhere := func(status int, code, token string) func(int) bool {
		return func(int) bool {
			for _, n := range others {
				if r := n.get(t, token, "/v1/me"); r.status != status || r.str("code") != code {
					return false
				}
			}
			return true
		}
	}
	permitted := func(token, permission string) func(int) bool {
		return func(int) bool {
			for _, n := range others {
				if !slices.Contains(n.get(t, token, "/v1/me").list("permissions"), any(permission)) {
					return false
				}
			}
			return true
		}
	}

	sessions := make([]answer, 3)
	for i := range sessions {
		sessions[i] = a.login(t, owner.email)
		if !everywhere(200, "", sessions[i].str("access_token"))(0) {
			t.Fatal("a token is not good on every node")
		}
	}
	current := func(try int) string { return sessions[try].str("access_token") }
	seenWithin(t, "a logout", func(try int) { a.post(t, current(try), "/v1/auth/logout", nil).want(t, 204, "") },
		func(try int) bool { return everywhere(401, "SESSION_REVOKED", current(try))(try) })

	token = a.login(t, owner.email).str("access_token")
	tiers := []string{"professional", "enterprise", "professional"}
	gains := []string{"use_vault", "use_virtual_try_on", "use_vault"}
	seenWithin(t, "a tier", func(try int) { a.setTier(t, operator, owner, tiers[try]) },
		func(try int) bool { return permitted(token, gains[try])(try) })

	colleague := addMember(t, a, owner, "colleague", "admin")
	other := a.login(t, colleague.email).str("access_token")
	roles := []string{"viewer", "editor", "viewer"}
	seenWithin(t, "a role", func(try int) {
		a.do(t, request{method: http.MethodPatch, path: "/v1/members/" + colleague.member, token: token, body: m{"role": roles[try]}}).want(t, 200, "")
	}, func(try int) bool {
		for _, n := range others {
			if n.get(t, other, "/v1/me").str("member", "role") != roles[try] || n.get(t, other, "/v1/members").status != 403 {
				return false
			}
		}
		return true
	})

	limit := func(try int) float64 { return float64(60 + try) }
	seenWithin(t, "a policy", func(try int) {
		doc := fmt.Sprintf("version: 1\ntiers: {professional: {limits: {product_uploads: %v}}, enterprise: {limits: {product_uploads: %v}}}\n", limit(try), limit(try))
		a.do(t, request{method: http.MethodPut, path: "/v1/admin/policy", token: operator, body: doc, header: map[string]string{"Content-Type": "application/yaml"}}).want(t, 200, "")
	}, func(try int) bool {
		for _, n := range others {
			if n.get(t, token, "/v1/usage").num("meters", "product_uploads", "limit") != limit(try) {
				return false
			}
		}
		return true
	})

	kids := func(n node) int { return len(n.get(t, "", "/.well-known/jwks.json").list("keys")) }
	seenWithin(t, "a published signing key", func(try int) {
		rotate(t, a, operator)
		eventually(t, "the new key is published", func() bool { return kids(a) == try+2 })
	}, func(try int) bool { return kids(others[0]) == try+2 && kids(others[1]) == try+2 })

	seenWithin(t, "a suspension", func(try int) {
		if try > 0 {
			a.post(t, operator, "/v1/admin/manufacturers/"+owner.manufacturer+"/restore", nil).want(t, 200, "")
			token = a.login(t, owner.email).str("access_token")
		}
		a.post(t, operator, "/v1/admin/manufacturers/"+owner.manufacturer+"/suspend", m{"reason": "test"}).want(t, 200, "")
	}, func(try int) bool { return everywhere(401, "SESSION_REVOKED", token)(try) })
}

// rotate starts the replacement of the signing key, once the one before has ended.
func rotate(t *testing.T, n node, operator string) string {
	t.Helper()
	var job string
	eventually(t, "a rotation can begin", func() bool {
		r := n.post(t, operator, "/v1/admin/keys/rotate", m{"scope": "signing"})
		job = r.str("job_id")
		return r.status == 202
	})
	return job
}

// A node that cannot reach the database goes on with the sessions it knows for five seconds, never
// with one that ended meanwhile for longer, then refuses; and needs no restart after it.
func TestCluster_CutOffNodeHonoursNothingForLong(t *testing.T) {
	nodes := cluster(t, 2)
	a, b := nodes[0], nodes[1]
	owner, kept := a.signUp(t, "cut")
	ended := a.login(t, owner.email).str("access_token")
	for _, tok := range []string{kept, ended} {
		b.get(t, tok, "/v1/me").want(t, 200, "")
	}
	b.db.Set(faultproxy.Fault{Refuse: true})
	cut := time.Now()
	a.post(t, ended, "/v1/auth/logout", nil).want(t, 204, "")
	const bound = 5 * time.Second
	good := 0
	// A question that needs nothing of the store but whether the session lives.
	use := func(token string) answer {
		return b.post(t, token, "/v1/security/inspect", m{"inputs": []m{{"name": "q", "value": "blue frames", "location": "query"}}})
	}
	for time.Since(cut) < bound+2*time.Second {
		asked := time.Since(cut)
		kept, ended := use(kept), use(ended)
		answered := time.Since(cut)
		if kept.status == 200 {
			good++
		}
		if asked > bound && ended.status == 200 {
			t.Fatalf("%v after the node was cut off it honours a session that ended", answered)
		}
		if asked > bound && (kept.status != 503 || kept.str("code") != "STORE_UNAVAILABLE") {
			t.Fatalf("%v after the node was cut off: %v, want 503 STORE_UNAVAILABLE", answered, kept)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if good == 0 {
		t.Error("the node did not go on with a session it knew")
	}
	b.db.Set(faultproxy.Fault{})
	eventually(t, "the node recovers", func() bool { return use(kept).status == 200 })
	b.get(t, ended, "/v1/me").want(t, 401, "SESSION_REVOKED")
}

// parallel calls f for 0 to n-1 at once.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// 64 workers on two nodes get exactly what the month has, one by one through the API and by leases
// through forward-auth.
func TestCluster_QuotaIsExact(t *testing.T) {
	const limit = 1000
	policy := write(t, filepath.Join(t.TempDir(), "policy.yaml"), `version: 1
tiers: {free: {limits: {product_uploads: 1000, api_calls: unlimited}}}
routes:
  - {match: "POST /api/products", permission: upload_products, meter: product_uploads}
`, 0o600)
	nodes := cluster(t, 2, "--policy", policy)
	for _, way := range []struct {
		name string
		use  func(n node, token string) answer
	}{
		{"spent", func(n node, token string) answer {
			return n.post(t, token, "/v1/usage/product_uploads", m{"amount": 1})
		}},
		{"leased", func(n node, token string) answer { return n.ask(t, token, "POST", "/api/products") }},
	} {
		_, token := nodes[0].signUp(t, way.name)
		var got atomic.Int64
		var last atomic.Int64 // when something was got
		last.Store(time.Now().UnixNano())
		parallel(64, func(i int) {
			for {
				r := way.use(nodes[i%2], token)
				switch {
				case r.status == 200:
					got.Add(1)
					last.Store(time.Now().UnixNano())
				case r.status == 429 && r.str("code") == "USAGE_LIMIT_EXCEEDED":
					// A node may hold units back for a moment that another could use.
					if time.Since(time.Unix(0, last.Load())) > 4*time.Second {
						return
					}
					time.Sleep(50 * time.Millisecond)
				default:
					t.Errorf("%s: %v, want 200 or 429", way.name, r)
					return
				}
			}
		})
		if got.Load() != limit {
			t.Errorf("%s: %d uses, want %d", way.name, got.Load(), limit)
		}
		if used := nodes[1].get(t, token, "/v1/usage").num("meters", "product_uploads", "used"); used != limit {
			t.Errorf("%s: the usage says %v, want %d", way.name, used, limit)
		}
	}
}

// Ten parallel refreshes of one token over three nodes get one successor; a one-time code is good
// on one node only, once.
func TestCluster_RacesHaveOneWinner(t *testing.T) {
	nodes := cluster(t, 3)
	owner, token := nodes[0].signUp(t, "race")
	in := nodes[0].login(t, owner.email)
	old := in.str("refresh_token")
	answers := make([]answer, 10)
	parallel(len(answers), func(i int) {
		answers[i] = nodes[i%3].post(t, "", "/v1/auth/refresh", m{"refresh_token": old})
	})
	next := answers[0].str("refresh_token")
	for i, r := range answers {
		if r.status != 200 || r.str("refresh_token") != next {
			t.Fatalf("refresh %d: %v, want the one successor %s", i, r, next)
		}
	}
	nodes[1].get(t, answers[1].str("access_token"), "/v1/me").want(t, 200, "")
	nodes[2].post(t, "", "/v1/auth/refresh", m{"refresh_token": next}).want(t, 200, "")
	nodes[0].post(t, "", "/v1/auth/refresh", m{"refresh_token": old}).want(t, 401, "TOKEN_REUSED")
	nodes[1].post(t, "", "/v1/auth/refresh", m{"refresh_token": next}).want(t, 401, "SESSION_REVOKED")

	secret := nodes[0].post(t, token, "/v1/auth/mfa/totp", nil).want(t, 200, "").str("secret")
	nodes[1].post(t, token, "/v1/auth/mfa/totp/confirm", m{"code": code6(t, secret, -1)}).want(t, 200, "")
	tokens := make([]string, 6)
	for i := range tokens {
		tokens[i] = nodes[i%3].post(t, "", "/v1/auth/login", m{"email": owner.email, "password": password}).want(t, 200, "").str("mfa_token")
	}
	code := code6(t, secret, 0)
	var good atomic.Int32
	parallel(len(tokens), func(i int) {
		r := nodes[(i+1)%3].post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": tokens[i], "method": "totp", "code": code})
		if r.status == 200 {
			good.Add(1)
		} else if r.str("code") != "MFA_INVALID" {
			t.Errorf("verify %d: %v, want MFA_INVALID", i, r)
		}
	})
	if good.Load() != 1 {
		t.Errorf("one code signed in %d times, want 1", good.Load())
	}
}

// worker is what a client of the cluster saw.
type worker struct {
	answers int
	bad     []string
}

// clients sends requests to nodes in turn, each client one after the other, until ctx ends. A
// client whose node is gone goes on with the next: that request is counted as cut.
func clients(ctx context.Context, nodes []node, n int, ask func(i int, n node) *http.Request) (all worker, cut int) {
	var mu sync.Mutex
	parallel(n, func(i int) {
		var mine worker
		mineCut := 0
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		c := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		gone := map[int]bool{}
		for turn := i; ctx.Err() == nil; turn++ {
			at := turn % len(nodes)
			if gone[at] {
				continue
			}
			res, err := c.Do(ask(i, nodes[at]))
			if err != nil {
				gone[at] = true
				mineCut++
				continue
			}
			text, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			mine.answers++
			if res.StatusCode >= 400 {
				mine.bad = append(mine.bad, fmt.Sprintf("%s: %d %.200s", nodes[at].url, res.StatusCode, text))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		all.answers += mine.answers
		all.bad = append(all.bad, mine.bad...)
		cut += mineCut
	})
	return all, cut
}

func newRequest(method, url, token string, body any) *http.Request {
	var in io.Reader
	if body != nil {
		text, _ := json.Marshal(body)
		in = strings.NewReader(string(text))
	}
	r, _ := http.NewRequest(method, url, in)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// The signing key is replaced while clients use every node: nobody is answered 401.
func TestCluster_SigningKeyRotationRefusesNobody(t *testing.T) {
	nodes := cluster(t, 3)
	operator := clusterOperator(t, nodes[0])
	owner, token := nodes[0].signUp(t, "rotation")
	kid := headerOf(t, token)["kid"]
	// Tokens are refreshed all the time, so that each node meets what the others signed last.
	var fresh atomic.Pointer[string]
	fresh.Store(&token)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		refresh := nodes[0].login(t, owner.email).str("refresh_token")
		for turn := 0; ctx.Err() == nil; turn++ {
			r := nodes[turn%3].post(t, "", "/v1/auth/refresh", m{"refresh_token": refresh})
			if r.status != 200 {
				t.Errorf("refresh during the rotation: %v", r)
				return
			}
			refresh = r.str("refresh_token")
			access := r.str("access_token")
			fresh.Store(&access)
		}
	})
	var all worker
	wg.Go(func() {
		all, _ = clients(ctx, nodes, 8, func(i int, n node) *http.Request {
			if i%2 == 0 {
				return newRequest(http.MethodGet, n.url+"/v1/me", token, nil) // signed with the old key
			}
			return newRequest(http.MethodGet, n.url+"/v1/me", *fresh.Load(), nil)
		})
	})
	for range 2 {
		job := rotate(t, nodes[1], operator)
		eventually(t, "the rotation ends", func() bool {
			r := nodes[2].get(t, operator, "/v1/admin/jobs/"+job).want(t, 200, "")
			if r.str("state") == "failed" {
				t.Fatalf("the rotation failed: %v", r)
			}
			return r.str("state") == "done" && r.num("done") == r.num("total")
		})
	}
	checker := nodes[0].register(t, "checker") // other sessions would end, were the owner to sign in again and again
	eventually(t, "tokens are signed with a new key on every node", func() bool {
		for _, n := range nodes {
			if headerOf(t, n.login(t, checker.email).str("access_token"))["kid"] == kid {
				return false
			}
		}
		return true
	})
	stop()
	wg.Wait()
	if len(all.bad) > 0 || all.answers == 0 {
		t.Errorf("%d answers, %d refusals, such as %v", all.answers, len(all.bad), all.bad[:min(3, len(all.bad))])
	}
	t.Logf("%d requests during two rotations, none refused", all.answers)
}

// One of three nodes is killed under load: no request fails but those it had in hand, and nothing
// that was acknowledged is lost.
func TestCluster_KilledNodeIsNotMissed(t *testing.T) {
	nodes := cluster(t, 3, "--policy", write(t, filepath.Join(t.TempDir(), "policy.yaml"), "version: 1\ntiers: {professional: {limits: {product_uploads: unlimited}}}\n", 0o600))
	operator := clusterOperator(t, nodes[1])
	owner, _ := nodes[1].signUp(t, "killed")
	nodes[1].setTier(t, operator, owner, "professional")
	token := nodes[1].login(t, owner.email).str("access_token")
	const workers = 9
	stored := make([]atomic.Int64, workers) // the newest value acknowledged, by worker
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all worker
	var cut int
	var wg sync.WaitGroup
	wg.Go(func() {
		turn := make([]int64, workers)
		all, cut = clients(ctx, nodes, workers, func(i int, n node) *http.Request {
			switch i % 3 {
			case 0:
				return newRequest(http.MethodGet, n.url+"/v1/me", token, nil)
			case 1:
				return newRequest(http.MethodPost, n.url+"/v1/usage/product_uploads", token, m{"amount": 1})
			}
			// The one before was acknowledged, or its node is dead.
			stored[i].Store(turn[i])
			turn[i]++
			return newRequest(http.MethodPut, n.url+"/v1/vault/"+fmt.Sprint("worker", i), token, m{"data": turn[i]})
		})
	})
	time.Sleep(2 * time.Second)
	nodes[0].kill()
	time.Sleep(3 * time.Second)
	stop()
	wg.Wait()
	if len(all.bad) > 0 || all.answers == 0 {
		t.Errorf("%d answers, %d of them errors, such as %v", all.answers, len(all.bad), all.bad[:min(3, len(all.bad))])
	}
	if cut > workers {
		t.Errorf("%d requests were cut, want at most the %d that the node could have in hand", cut, workers)
	}
	for i := 2; i < workers; i += 3 {
		r := nodes[2].get(t, token, "/v1/vault/"+fmt.Sprint("worker", i)).want(t, 200, "")
		// The newest may have been stored without its answer having come.
		if got, low := int64(r.num("data")), stored[i].Load()-1; got < low {
			t.Errorf("the vault has %d of worker %d, who was told of %d", got, i, low)
		}
	}
	t.Logf("%d answers by three nodes, then two; %d requests cut by the kill", all.answers, cut)
}
