package guard_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/makerguardtest"
	"github.com/makerguard/makerguard/server"
)

// discard is a response writer that can be used again.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// unlimited is the built-in policy without a limit of requests for enterprise.
const unlimited = "version: 1\ntiers: {enterprise: {limits: {api_calls: unlimited}}}\n"

// enterprise signs up a manufacturer without limits, so that whoever measures meets none.
func enterprise(t testing.TB) (*makerguardtest.Server, string) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(unlimited), 0o600); err != nil {
		t.Fatal(err)
	}
	s := makerguardtest.NewServer(t, &makerguardtest.Options{Proxies: "192.0.2.0/24", PolicyFile: policy})
	mfr, token := signUp(t, s.Guard, "bench")
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op"}
	if err := s.Guard.Accounts.SetTier(t.Context(), operator, mfr, makerguard.TierEnterprise, makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	return s, token
}

func serveLoop(b *testing.B, h http.Handler, r *http.Request) {
	b.Helper()
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		w.status = 0
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("status %d, want 200", w.status)
		}
	}
}

// BenchmarkHandler is the middleware with everything on around a handler that does nothing.
func BenchmarkHandler(b *testing.B) {
	s, token := enterprise(b)
	h := s.Guard.Handler(s.Guard.Require(makerguard.UploadProducts, makerguard.ProductUploads)(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	}))
	r := httptest.NewRequest(http.MethodGet, "/products/52_18-140?page=2&sort=name", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	serveLoop(b, h, r)
}

// BenchmarkForwardAuth is the whole server's answer to a proxy.
func BenchmarkForwardAuth(b *testing.B) {
	s, token := enterprise(b)
	srv, err := server.New(server.Config{Guard: s.Guard})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/forward-auth", nil) // from 192.0.2.1
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Forwarded-Method", "GET")
	r.Header.Set("X-Forwarded-Uri", "/products/52_18-140?page=2&sort=name")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	serveLoop(b, srv.Handler(), r)
}
