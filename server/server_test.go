package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/makerguardtest"
	"github.com/makerguard/makerguard/server"
)

func get(t *testing.T, h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every answer, errors included, says how it may be used: not as a page, not from a cache.
//
// goal: V3.2.1 V3.4.3 V3.4.4 V3.4.5 V14.2.2 V3.4.2 V13.4.6
func TestHeaders(t *testing.T) {
	h := makerguardtest.NewServer(t, nil).Config.Handler
	for _, target := range []string{"/v1/me", "/nothing", "/healthz", "/v1/forward-auth", "/openapi.json", "//", "/docs"} {
		w := get(t, h, http.MethodGet, target, "Origin", "https://evil.example")
		csp := w.Header().Get("Content-Security-Policy")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", target, name, got, want)
			}
		}
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy %q", target, csp)
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Errorf("GET %s without X-Request-Id", target)
		}
		for _, name := range []string{"Access-Control-Allow-Origin", "Server", "X-Powered-By"} {
			if v := w.Header().Get(name); v != "" {
				t.Errorf("GET %s with %s: %s", target, name, v)
			}
		}
	}
}

// The page for people shows every operation and needs no script.
//
// goal: V3.2.2 V3.5.8 V3.6.1
func TestDocs(t *testing.T) {
	h := makerguardtest.NewServer(t, nil).Config.Handler
	w := get(t, h, http.MethodGet, "/docs")
	page := w.Body.String()
	for _, want := range []string{"/v1/auth/login", "/v1/vault/{name}", "/v1/forward-auth", "needs the permission use_vault", "/healthz"} {
		if !strings.Contains(page, want) {
			t.Errorf("/docs does not show %q", want)
		}
	}
	if strings.Contains(strings.ToLower(page), "<script") || strings.Contains(page, "http://") {
		t.Error("/docs has a script, or something of another host")
	}
	if ct := w.Header().Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Errorf("/docs with Content-Type %q", ct)
	}
	if ct := get(t, h, http.MethodGet, "/docs/docs.css").Header().Get("Content-Type"); ct != "text/css; charset=utf-8" {
		t.Errorf("/docs/docs.css with Content-Type %q", ct)
	}
}

// Whatever is asked for, the number of metrics stays small, and they name nobody.
//
// goal: V16.2.5 V13.4.5
func TestMetrics_AreBounded(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	s, err := server.New(server.Config{Guard: g})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/b/c", "/v1/nothing", "/v1/vault/canary-one", "/v1/vault/canary-two", "/v1/vault/canary-three"} {
		for _, method := range []string{"GET", "BREW", "FROTH", "STEAM"} {
			get(t, s.Handler(), method, path)
		}
	}
	w := get(t, s.AdminHandler(), http.MethodGet, "/metrics")
	text := w.Body.String()
	if w.Code != 200 || strings.Contains(text, "canary") || strings.Contains(text, "BREW") || strings.Contains(text, "/b/c") {
		t.Errorf("metrics %d tell what was asked for:\n%s", w.Code, text)
	}
	if n := strings.Count(text, "makerguard_http_request_duration_seconds_count{"); n == 0 || n > 8 {
		t.Errorf("%d series for 24 requests of 4 kinds", n)
	}
	for _, path := range []string{"/v1/me", "/", "/openapi.json", "/debug/pprof/"} { // the admin listener has nothing else
		if w := get(t, s.AdminHandler(), http.MethodGet, path); w.Code != 404 {
			t.Errorf("admin listener: GET %s = %d, want 404", path, w.Code)
		}
	}
}

// When the store fails nobody gets anything they would not get otherwise, and everybody
// learns that it is not their fault.
//
// goal: V16.5.2 V16.5.3 V16.5.1
func TestStoreAway_FailsClosed(t *testing.T) {
	g, err := guard.Open(t.Context(), guard.Config{Data: t.TempDir(), Argon2: auth.Argon2{Memory: 8, Time: 1, Threads: 1}, InsecureParams: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Guard: g})
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	const credentials = `"email":"a@maker.example","password":"oak table under the linden"`
	if w := call("POST", "/v1/manufacturers", "", `{`+credentials+`,"company_name":"A","country":"FR"}`); w.Code != 201 {
		t.Fatalf("register: %d %s", w.Code, w.Body)
	}
	in := call("POST", "/v1/auth/login", "", `{`+credentials+`}`).Body.String()
	_, rest, _ := strings.Cut(in, `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if w := call("GET", "/v1/me", token, ""); w.Code != 200 {
		t.Fatalf("/v1/me: %d %s", w.Code, w.Body)
	}
	if err := g.Close(); err != nil { // the store is away from here on
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, token, body string }{
		{"POST", "/v1/auth/login", "", `{` + credentials + `}`},
		{"POST", "/v1/manufacturers", "", `{"email":"b@maker.example","password":"oak table under the linden","company_name":"B","country":"FR"}`},
		{"GET", "/v1/me", token, ""},
		{"GET", "/v1/auth/sessions", token, ""},
		{"POST", "/v1/auth/logout", token, ""},
		{"POST", "/v1/security/inspect", token, `{"inputs":[{"name":"q","value":"<script>alert(1)</script>"}]}`},
	} {
		w := call(c.method, c.path, c.token, c.body)
		if w.Code != 503 || !strings.Contains(w.Body.String(), `"STORE_UNAVAILABLE"`) || !strings.Contains(w.Body.String(), `"retryable":true`) {
			t.Errorf("%s %s with the store away: %d %s, want 503 STORE_UNAVAILABLE", c.method, c.path, w.Code, w.Body)
		}
	}
	if w := call("GET", "/healthz", "", ""); w.Code != 200 {
		t.Errorf("/healthz %d, want 200: the process lives", w.Code)
	}
	w := call("GET", "/readyz", "", "")
	if body, _ := io.ReadAll(w.Body); w.Code != 503 || !strings.Contains(string(body), "unavailable") {
		t.Errorf("/readyz %d %s, want 503", w.Code, body)
	}
}

// What was found is counted by class, whatever the requests were.
func TestMetrics_CountThreats(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	s, err := server.New(server.Config{Guard: g})
	if err != nil {
		t.Fatal(err)
	}
	for _, blocked := range []bool{true, false, false} {
		if err := g.Threats.RecordThreat(t.Context(), makerguard.Threat{Blocked: blocked, Finding: makerguard.Finding{Type: makerguard.XSS, Rule: "xss.script"}}); err != nil {
			t.Fatal(err)
		}
	}
	text := get(t, s.AdminHandler(), http.MethodGet, "/metrics").Body.String()
	for _, line := range []string{
		`makerguard_threats_total{blocked="true",type="xss"} 1`, `makerguard_threats_total{blocked="false",type="xss"} 2`,
		"makerguard_findings_excluded_total 0", "makerguard_blocks_active 0",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics have no line %s", line)
		}
	}
}
