package server_test

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard/auth/totp"
	"github.com/makerguard/makerguard/makerguardtest"
)

const makerPassword = "oak table under the linden"

// caller sends requests as a client somewhere behind the trusted proxy.
type caller struct {
	t     *testing.T
	s     *makerguardtest.Server
	from  string
	token string
}

// do sends a request and gives the status and the body's members.
func (c caller) do(method, path string, body any, header ...string) (int, map[string]any, http.Header) {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body == nil {
		b = nil
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", c.from)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.s.Client().Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(res.Body).Decode(&out)
	return res.StatusCode, out, res.Header
}

// member signs somebody in.
func (c caller) member(name string) caller {
	c.t.Helper()
	credentials := map[string]any{"email": name + "@maker.example", "password": makerPassword}
	register := map[string]any{"email": name + "@maker.example", "password": makerPassword, "company_name": name, "country": "FR"}
	if status, out, _ := c.do("POST", "/v1/manufacturers", register); status != 201 {
		c.t.Fatalf("register: %d %v", status, out)
	}
	_, out, _ := c.do("POST", "/v1/auth/login", credentials)
	c.token, _ = out["access_token"].(string)
	return c
}

// operator signs an operator in.
func (c caller) operator() caller {
	c.t.Helper()
	ctx := c.t.Context()
	m, err := c.s.Guard.Accounts.CreateOperator(ctx, "operator@platform.example", makerPassword)
	if err != nil {
		c.t.Fatal(err)
	}
	enrolment, _, err := c.s.Guard.Auth.ProvisionTOTP(ctx, m)
	if err != nil {
		c.t.Fatal(err)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(enrolment.Secret))
	if err != nil {
		c.t.Fatal(err)
	}
	_, out, _ := c.do("POST", "/v1/auth/login", map[string]any{"email": m.Email, "password": makerPassword})
	_, out, _ = c.do("POST", "/v1/auth/mfa/verify", map[string]any{"mfa_token": out["mfa_token"], "method": "totp", "code": totp.Code(seed, time.Now())})
	c.token, _ = out["access_token"].(string)
	if c.token == "" {
		c.t.Fatalf("the operator is not signed in: %v", out)
	}
	return c
}

// Attacks through forward-auth get an address blocked everywhere; the operator sees why and
// lifts it.
func TestBlocks_FromTheFirstAttackToTheLift(t *testing.T) {
	s := makerguardtest.NewServer(t, &makerguardtest.Options{Proxies: "127.0.0.1,::1"})
	operator := caller{t: t, s: s, from: "198.51.100.1"}.operator()
	attacker := caller{t: t, s: s, from: "203.0.113.7"}
	attack := func() (int, map[string]any, http.Header) {
		return attacker.do("GET", "/v1/forward-auth", nil, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/products?q=%3Cscript%3Ealert(1)%3C/script%3E",
			"Authorization", "Bearer "+operator.token)
	}
	var out map[string]any
	var header http.Header
	deadline := time.Now().Add(10 * time.Second)
	for header.Get("Retry-After") == "" {
		var status int
		if status, out, header = attack(); status != 403 {
			t.Fatalf("an attack: %d %v, want 403", status, out)
		}
		if time.Now().After(deadline) {
			t.Fatal("the attacker was never blocked")
		}
	}
	if detail, _ := out["detail"].(string); out["code"] != "SECURITY_THREAT_DETECTED" || !strings.Contains(detail, "until 2") || strings.Contains(detail, "script") || out["errors"] != nil {
		t.Errorf("the blocked are told %v, want until when and nothing of the rule", out)
	}
	for path, want := range map[string]int{"/v1/me": 403, "/openapi.json": 403, "/healthz": 200, "/readyz": 200} {
		if status, out, _ := attacker.do("GET", path, nil); status != want {
			t.Errorf("GET %s of the blocked: %d %v, want %d", path, status, out, want)
		}
	}

	if status, out, _ := (caller{t: t, s: s, from: "198.51.100.2"}).member("maker").do("GET", "/v1/admin/blocks", nil); status != 403 {
		t.Errorf("a manufacturer lists blocks: %d %v, want 403", status, out)
	}
	_, out, _ = operator.do("GET", "/v1/admin/blocks", nil)
	list, _ := out["blocks"].([]any)
	if len(list) != 1 {
		t.Fatalf("blocks %v, want one", out)
	}
	b, _ := list[0].(map[string]any)
	if reason, _ := b["reason"].(string); b["kind"] != "address" || b["subject"] != "203.0.113.7" || b["scenario"] != "threats" || b["proposed"] != false ||
		!strings.Contains(reason, "cross-site scripting attempts on GET /products") {
		t.Errorf("the block is %v, want its reason", b)
	}
	path := "/v1/admin/blocks/" + b["id"].(string)
	if status, out, _ := operator.do("DELETE", path, map[string]any{"reason": "our own test"}); status != 204 {
		t.Fatalf("lift: %d %v, want 204", status, out)
	}
	if status, out, _ := attacker.do("GET", "/openapi.json", nil); status != 200 {
		t.Errorf("after the lift: %d %v, want 200", status, out)
	}
	if status, _, _ := operator.do("DELETE", path, map[string]any{"reason": "again"}); status != 404 {
		t.Errorf("lifted twice: %d, want 404", status)
	}
}

func TestBlocks_ByHand(t *testing.T) {
	s := makerguardtest.NewServer(t, &makerguardtest.Options{Proxies: "127.0.0.1,::1"})
	operator := caller{t: t, s: s, from: "198.51.100.1"}.operator()
	member := caller{t: t, s: s, from: "198.51.100.2"}.member("maker")
	_, me, _ := member.do("GET", "/v1/me", nil)
	id := func(of string) string { return me[of].(map[string]any)["id"].(string) }
	for _, tc := range []struct{ kind, subject string }{
		{"member", id("member")}, {"manufacturer", id("manufacturer")}, {"address", "198.51.100.2"},
	} {
		status, out, _ := operator.do("POST", "/v1/admin/blocks", map[string]any{"kind": tc.kind, "subject": tc.subject, "minutes": 5, "reason": "a test"})
		if status != 201 || out["scenario"] != "manual" {
			t.Fatalf("block %s: %d %v, want 201", tc.kind, status, out)
		}
		if status, refused, header := member.do("GET", "/v1/me", nil); status != 403 || refused["code"] != "SECURITY_THREAT_DETECTED" || header.Get("Retry-After") == "" {
			t.Errorf("the blocked %s: %d %v, want 403 with Retry-After", tc.kind, status, refused)
		}
		if status, _, _ := operator.do("DELETE", "/v1/admin/blocks/"+out["id"].(string), map[string]any{"reason": "done"}); status != 204 {
			t.Fatalf("lift: %d, want 204", status)
		}
		if status, out, _ := member.do("GET", "/v1/me", nil); status != 200 {
			t.Errorf("after the lift: %d %v, want 200", status, out)
		}
	}
	for _, subject := range []string{"127.0.0.1", "0.0.0.0/0", "nobody"} {
		if status, out, _ := operator.do("POST", "/v1/admin/blocks", map[string]any{"kind": "address", "subject": subject, "minutes": 5, "reason": "a test"}); status != 422 {
			t.Errorf("block %s: %d %v, want 422", subject, status, out)
		}
	}
}

// What a member does with ids of others is seen, and proposed to the operators.
func TestBlocks_AreProposedForMembers(t *testing.T) {
	s := makerguardtest.NewServer(t, &makerguardtest.Options{Proxies: "127.0.0.1,::1"})
	operator := caller{t: t, s: s, from: "198.51.100.1"}.operator()
	member := caller{t: t, s: s, from: "198.51.100.2"}.member("maker")
	for i := range 40 {
		if status, out, _ := member.do("DELETE", "/v1/auth/sessions/ses_"+strings.Repeat(string(rune('a'+i%26)), i+1), nil); status != 404 {
			t.Fatalf("a session that is not there: %d %v, want 404", status, out)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, out, _ := operator.do("GET", "/v1/admin/blocks?proposed=true", nil)
		if list, _ := out["blocks"].([]any); len(list) == 1 {
			b, _ := list[0].(map[string]any)
			if reason, _ := b["reason"].(string); b["kind"] != "member" || b["proposed"] != true || b["id"] != nil || b["expires_at"] != nil ||
				!strings.Contains(reason, "31 different things") {
				t.Errorf("the proposal is %v, want the member and why", b)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no proposal: %v", out)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if status, out, _ := member.do("GET", "/v1/me", nil); status != 200 {
		t.Errorf("a member whose block is only proposed: %d %v, want 200", status, out)
	}
}

// Failed sign-ins and bad documents cost points at once, and each day has its score.
func TestScore_FollowsWhatHappens(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	member := caller{t: t, s: s}.member("maker")
	points := func() map[string]float64 {
		t.Helper()
		status, out, _ := member.do("GET", "/v1/security/score", nil)
		if status != 200 {
			t.Fatalf("score: %d %v", status, out)
		}
		got := map[string]float64{"score": out["score"].(float64)}
		for _, f := range out["factors"].([]any) {
			f, _ := f.(map[string]any)
			got[f["name"].(string)] = f["points"].(float64)
			if (f["points"].(float64) < f["max"].(float64)) != (f["advice"] != nil) {
				t.Errorf("factor %v: advice is to be there exactly when points are missing", f)
			}
		}
		return got
	}
	before := points()
	if before["data_quality"] != 10 || before["failed_sign_ins"] != 10 || before["passkeys"] != 5 || before["second_factor"] != 0 {
		t.Errorf("a new account has %v", before)
	}
	for range 20 {
		if status, out, _ := member.do("POST", "/v1/catalog/validate", map[string]any{"product": map[string]any{"gtin": "4006381333932"}}); status != 200 || out["is_valid"] != false {
			t.Fatalf("validate: %d %v, want errors", status, out)
		}
	}
	after := points()
	if after["data_quality"] != 0 || after["score"] != before["score"]-10 {
		t.Errorf("after 20 bad documents: %v, want no points for data quality", after)
	}
	status, out, _ := member.do("GET", "/v1/security/score/history?days=7", nil)
	days, _ := out["scores"].([]any)
	if status != 200 || len(days) != 1 {
		t.Fatalf("history: %d %v, want today", status, out)
	}
	today, _ := days[0].(map[string]any)
	if today["day"] != time.Now().UTC().Format(time.DateOnly) || today["score"] != after["score"] {
		t.Errorf("today is %v, want %v", today, after["score"])
	}
	if status, out, _ := member.do("GET", "/v1/security/score/history?days=0", nil); status != 422 {
		t.Errorf("0 days: %d %v, want 422", status, out)
	}
}
