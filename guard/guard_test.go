package guard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/makerguardtest"
)

const password = "oak table under the linden"

// signUp registers a manufacturer and gives its owner's access token.
func signUp(t testing.TB, g *guard.Guard, name string) (makerguard.ManufacturerID, string) {
	t.Helper()
	c := makerguard.Client{IP: "203.0.113.9"}
	m, _, err := g.Accounts.Register(t.Context(), account.Registration{Email: name + "@maker.example", Password: password, CompanyName: name, Country: "FR"}, c)
	if err != nil {
		t.Fatal(err)
	}
	in, err := g.Auth.Login(t.Context(), auth.Login{Email: name + "@maker.example", Password: password}, c)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID, string(in.Tokens.Access)
}

// used gives how many units of a meter a token's manufacturer has used.
func used(t testing.TB, g *guard.Guard, token string, meter makerguard.Meter) int64 {
	t.Helper()
	p, err := g.Auth.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	_, states, err := g.Usage(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Meter == meter {
			return s.Used
		}
	}
	t.Fatalf("no meter %s", meter)
	return 0
}

func send(h http.Handler, method, target, token, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The middleware with everything on: who, what, how much, and is it clean.
func TestHandler_DecidesCountsAndInspects(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	_, token := signUp(t, g, "maker")
	var status atomic.Int64
	status.Store(http.StatusCreated)
	var got string
	upload := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
		if status.Load() == 0 {
			panic("upload failed")
		}
		w.WriteHeader(int(status.Load()))
	}
	mux := http.NewServeMux()
	mux.Handle("POST /products", g.Require(makerguard.UploadProducts, makerguard.ProductUploads)(upload))
	mux.Handle("POST /predict", g.Require(makerguard.AccessMLTools, makerguard.MLRequests)(upload))
	h := g.Handler(mux)

	const clean = `{"name":"O'Brien & Sons, 52[]18-145"}`
	w := send(h, "POST", "/products", token, "application/json", clean)
	if w.Code != 201 || got != clean {
		t.Fatalf("clean upload: %d %s, handler read %q; want 201 and the whole body", w.Code, w.Body, got)
	}
	if w.Header().Get("RateLimit") == "" || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("headers %v, want RateLimit and X-Request-Id", w.Header())
	}
	for name, tc := range map[string]struct {
		method, target, token, body string
		status                      int
		code                        string
	}{
		"nobody":            {"POST", "/products", "", clean, 401, "AUTHENTICATION_REQUIRED"},
		"bad token":         {"POST", "/products", "x.y.z", clean, 401, "TOKEN_INVALID"},
		"not in the tier":   {"POST", "/predict", token, clean, 403, "INSUFFICIENT_PERMISSIONS"},
		"attack in body":    {"POST", "/products", token, `{"q":"1' OR '1'='1' -- "}`, 403, "SECURITY_THREAT_DETECTED"},
		"attack in key":     {"POST", "/products", token, `{"user":{"$ne":""}}`, 403, "SECURITY_THREAT_DETECTED"},
		"attack in query":   {"POST", "/products?q=%3Cscript%3Ealert(1)%3C/script%3E", token, clean, 403, "SECURITY_THREAT_DETECTED"},
		"attack, no token":  {"POST", "/products?q=%3Cscript%3Ealert(1)%3C/script%3E", "", clean, 403, "SECURITY_THREAT_DETECTED"},
		"handler refuses":   {"POST", "/products", token, clean, 409, ""},
		"handler panics":    {"POST", "/products", token, clean, 500, "INTERNAL"},
		"no such route":     {"POST", "/nothing", token, clean, 404, ""},
		"traversal in path": {"POST", "/products/%2e%2e/%2e%2e/etc/passwd", token, clean, 403, "SECURITY_THREAT_DETECTED"},
	} {
		status.Store(http.StatusCreated)
		switch name {
		case "handler refuses":
			status.Store(http.StatusConflict)
		case "handler panics":
			status.Store(0)
		}
		w := send(h, tc.method, tc.target, tc.token, "application/json", tc.body)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.code) {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, tc.status, tc.code)
		}
	}
	// One upload succeeded; those that were refused, failed or panicked gave their unit back.
	if n := used(t, g, token, makerguard.ProductUploads); n != 1 {
		t.Errorf("%d uploads used, want 1", n)
	}
	// API calls count what was let through: the success, the conflict and the panic.
	if n := used(t, g, token, makerguard.APICalls); n != 3 {
		t.Errorf("%d API calls used, want 3", n)
	}
}

// 64 workers at a limit of 50 are let through exactly 50 times.
func TestRequire_NeverExceedsTheLimit(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	_, token := signUp(t, g, "busy")
	var done atomic.Int64
	h := g.Handler(g.Require(makerguard.UploadProducts, makerguard.ProductUploads)(func(http.ResponseWriter, *http.Request) { done.Add(1) }))
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 64 {
		wg.Go(func() {
			for range 4 {
				if w := send(h, "POST", "/", token, "", ""); w.Code == http.StatusTooManyRequests {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if done.Load() != 50 || refused.Load() != 64*4-50 {
		t.Errorf("%d let through, %d refused; want exactly 50 and %d", done.Load(), refused.Load(), 64*4-50)
	}
}

// goal: V8.3.2 V7.4.1 — a tier change and a revocation hold for the very next request.
func TestChangesHoldForTheNextRequest(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	mfr, token := signUp(t, g, "mover")
	h := g.Handler(g.Require(makerguard.AccessMLTools, makerguard.MLRequests)(func(http.ResponseWriter, *http.Request) {}))
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op"}
	for range 20 {
		for tier, want := range map[makerguard.Tier]int{makerguard.TierProfessional: 200, makerguard.TierFree: 403} {
			if err := g.Accounts.SetTier(t.Context(), operator, mfr, tier, makerguard.Client{}); err != nil {
				t.Fatal(err)
			}
			if w := send(h, "GET", "/", token, "", ""); w.Code != want {
				t.Fatalf("after the change to %s: %d %s, want %d", tier, w.Code, w.Body, want)
			}
		}
	}
	p, err := g.Auth.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Auth.Logout(t.Context(), p, makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	if w := send(h, "GET", "/", token, "", ""); w.Code != 401 || !strings.Contains(w.Body.String(), "SESSION_REVOKED") {
		t.Errorf("after logout: %d %s, want 401 SESSION_REVOKED", w.Code, w.Body)
	}
}

func TestOpen_RefusesWhatItCannotWorkWith(t *testing.T) {
	open := func(cfg guard.Config) error {
		g, err := guard.Open(context.Background(), cfg)
		if err == nil {
			err = g.Close()
		}
		return err
	}
	t.Run("a root key that is gone", func(t *testing.T) {
		dir := t.TempDir()
		if err := open(guard.Config{Data: dir}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "keys", "root.json")); err != nil {
			t.Fatal(err)
		}
		if err := open(guard.Config{Data: dir}); !errors.Is(err, makerguard.KeyUnavailable) {
			t.Errorf("Open = %v, want KEY_UNAVAILABLE", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "keys", "root.json")); err == nil {
			t.Error("a new root key was made for old data")
		}
	})
	t.Run("another root key", func(t *testing.T) {
		dir := t.TempDir()
		if err := open(guard.Config{Data: dir}); err != nil {
			t.Fatal(err)
		}
		content, err := envelope.GenerateKEK()
		if err != nil {
			t.Fatal(err)
		}
		kek, err := envelope.ParseKEK(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(guard.Config{Data: dir, KEK: kek}); !errors.Is(err, makerguard.KeyUnavailable) {
			t.Errorf("Open = %v, want KEY_UNAVAILABLE", err)
		}
		if err := open(guard.Config{Data: dir}); err != nil {
			t.Errorf("Open with the right key afterwards = %v, want nil: nothing was lost", err)
		}
	})
	t.Run("a directory that is served", func(t *testing.T) {
		g := makerguardtest.Open(t, nil)
		_ = g
		dir := t.TempDir()
		first, err := guard.Open(context.Background(), guard.Config{Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		if err := open(guard.Config{Data: dir}); !errors.Is(err, makerguard.Conflict) {
			t.Errorf("second Open = %v, want CONFLICT", err)
		}
		if err := open(guard.Config{Data: dir, Shared: true}); err != nil {
			t.Errorf("shared Open beside it = %v, want nil", err)
		}
	})
	t.Run("a directory that cannot be made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(guard.Config{Data: filepath.Join(file, "data")}); !errors.Is(err, makerguard.StoreUnavailable) {
			t.Errorf("Open = %v, want STORE_UNAVAILABLE", err)
		}
	})
	t.Run("a policy that is not valid", func(t *testing.T) {
		for name, text := range map[string]string{
			"unknown permission": "version: 1\nroutes: [{match: /a, permission: fly}]\n",
			"conflicting routes": "version: 1\nroutes: [{match: '/a/{x}/b', permission: use_vault}, {match: '/a/b/{y}', permission: use_vault}]\n",
			"not YAML":           "\t{",
		} {
			file := filepath.Join(t.TempDir(), "policy.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := open(guard.Config{Data: t.TempDir(), PolicyFile: file}); !errors.Is(err, makerguard.ValidationFailed) {
				t.Errorf("%s: Open = %v, want VALIDATION_FAILED", name, err)
			}
		}
	})
}

func TestReloadPolicy_WholeOrNotAtAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("version: 1\n")
	g := makerguardtest.Open(t, &makerguardtest.Options{PolicyFile: file})
	before := g.Access.Policy()
	write("version: 1\ntiers: {free: {limits: {product_uploads: 7}}\n") // not closed
	if err := g.ReloadPolicy(t.Context()); err == nil || g.Access.Policy() != before {
		t.Errorf("ReloadPolicy of a broken file = %v, want an error and the old policy", err)
	}
	write("version: 1\nroutes: [{match: /open/, public: true}]\n")
	if err := g.ReloadPolicy(t.Context()); err != nil || len(g.Access.Policy().Routes()) != 1 {
		t.Errorf("ReloadPolicy = %v, want the new policy in force", err)
	}
	es, err := g.Audit.Entries(t.Context(), makerguard.AuditFilter{ManufacturerID: makerguard.PlatformID, Limit: 10})
	if err != nil || len(es) != 2 || es[0].Outcome != "success" || es[1].Outcome != "failure" {
		t.Errorf("audit entries %v, %v, want the failure and the success", es, err)
	}
}

// A question is answered as the middleware would decide it, and using nothing up.
func TestEvaluate(t *testing.T) {
	g := makerguardtest.Open(t, &makerguardtest.Options{Now: time.Now})
	mfr, token := signUp(t, g, "asker")
	other, _ := signUp(t, g, "other")
	p, err := g.Auth.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op", Tier: makerguard.TierPlatform, Role: makerguard.RoleOwner}
	for _, tc := range []struct {
		name   string
		caller *makerguard.Principal
		q      guard.Question
		want   bool
		reason string
	}{
		{"own, allowed", p, guard.Question{Permission: makerguard.UploadProducts}, true, "ALLOWED"},
		{"own, tier lacks it", p, guard.Question{Permission: makerguard.UseVault}, false, "TIER_LACKS_PERMISSION"},
		{"unknown permission", p, guard.Question{Permission: "fly"}, false, "UNKNOWN_PERMISSION"},
		{"more than is left", p, guard.Question{Permission: makerguard.UploadProducts, Amount: 51}, false, "USAGE_LIMIT_EXCEEDED"},
		{"own manufacturer", p, guard.Question{SubjectType: "manufacturer", SubjectID: string(mfr), Permission: makerguard.UploadProducts}, true, "ALLOWED"},
		{"own member", p, guard.Question{SubjectType: "member", SubjectID: string(p.MemberID), Permission: makerguard.UploadProducts}, true, "ALLOWED"},
		{"unknown member", p, guard.Question{SubjectType: "member", SubjectID: "mbr_none", Permission: makerguard.UploadProducts}, false, "UNKNOWN_SUBJECT"},
		{"another tenant", p, guard.Question{SubjectType: "manufacturer", SubjectID: string(other), Permission: makerguard.UploadProducts}, false, "UNKNOWN_SUBJECT"},
		{"no such tenant", p, guard.Question{SubjectType: "manufacturer", SubjectID: "mfr_none", Permission: makerguard.UploadProducts}, false, "UNKNOWN_SUBJECT"},
		{"another's resource", p, guard.Question{ResourceType: "manufacturer", ResourceID: string(other), Permission: makerguard.UploadProducts}, false, "UNKNOWN_SUBJECT"},
		{"operator about a tenant", operator, guard.Question{SubjectType: "manufacturer", SubjectID: string(other), Permission: makerguard.UploadProducts}, true, "ALLOWED"},
		{"operator about a member", operator, guard.Question{SubjectType: "member", SubjectID: string(p.MemberID), ResourceType: "manufacturer", ResourceID: string(mfr), Permission: makerguard.UploadProducts}, true, "ALLOWED"},
	} {
		d, err := g.Evaluate(t.Context(), tc.caller, tc.q)
		if err != nil || d.Allowed != tc.want || string(d.Reason) != tc.reason {
			t.Errorf("%s: Evaluate = %+v, %v; want %v %s", tc.name, d, err, tc.want, tc.reason)
		}
	}
	if d, err := g.Evaluate(t.Context(), p, guard.Question{Permission: makerguard.UploadProducts}); err != nil || d.Remaining != 50 {
		t.Errorf("remaining = %d, %v; want 50: asking uses nothing up", d.Remaining, err)
	}
}
