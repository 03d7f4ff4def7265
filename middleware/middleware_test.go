package middleware_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
)

type observed struct {
	pattern string
	status  int
}

func (o *observed) ObserveRequest(_, pattern string, status int, _ time.Duration) {
	o.pattern, o.status = pattern, status
}

func TestEdge_GivesEveryAnswerItsHeadersAndALine(t *testing.T) {
	var log bytes.Buffer
	var seen observed
	mux := http.NewServeMux()
	var client makerguard.Client
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		client = makerguard.ClientFrom(r.Context())
		w.WriteHeader(http.StatusTeapot)
	})
	h := middleware.Edge{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Observer: &seen}.Handler(mux)
	r := httptest.NewRequest(http.MethodGet, "/things/7", nil)
	r.RemoteAddr = "203.0.113.9:4711"
	r.Header.Set("User-Agent", "curl\r\n\x1b[31mforged")
	r.Header.Set("X-Request-Id", "chosen-by-the-client")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot || seen.status != http.StatusTeapot || seen.pattern != "GET /things/{id}" {
		t.Errorf("status %d, observed %+v, want 418 by pattern", w.Code, seen)
	}
	id := w.Header().Get("X-Request-Id")
	if !strings.HasPrefix(id, "req_") || id != client.RequestID || !strings.Contains(log.String(), id) {
		t.Errorf("request id %q, client %+v, log %s: want one id everywhere", id, client, &log)
	}
	if client.IP != "203.0.113.9" || strings.ContainsAny(client.UserAgent, "\r\n\x1b") {
		t.Errorf("client = %+v, want the peer's address and a printable agent", client)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestEdge_QuietRoutesAreLoggedWhenTheyFail(t *testing.T) {
	var log bytes.Buffer
	status := http.StatusOK
	edge := middleware.Edge{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Quiet: func(*http.Request) bool { return true }}
	h := edge.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if log.Len() != 0 {
		t.Errorf("log %s, want nothing for a good answer", &log)
	}
	status = http.StatusForbidden
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(log.String(), `"status":403`) {
		t.Errorf("log %s, want the refusal", &log)
	}
}

// goal: V16.5.4 — a panic gives 500 without its text, and the process lives.
func TestEdge_RecoversFromPanics(t *testing.T) {
	var log bytes.Buffer
	h := middleware.Edge{Logger: slog.New(slog.NewJSONHandler(&log, nil))}.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("canary")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "canary") || !strings.Contains(w.Body.String(), `"INTERNAL"`) {
		t.Errorf("answer %d %s, want a 500 problem without the panic's text", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("log %s, want the panic under the request id", &log)
	}
}

func TestEdge_AbortsPassThrough(t *testing.T) {
	h := middleware.Edge{}.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("http.ErrAbortHandler was swallowed; the server needs it to cut the connection")
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

// keyring authenticates the one token it knows.
type keyring string

func (k keyring) Authenticate(_ context.Context, token string) (*makerguard.Principal, error) {
	if token != string(k) {
		return nil, &makerguard.Error{Code: makerguard.TokenInvalid, Message: "not ours"}
	}
	return &makerguard.Principal{MemberID: "mbr_1"}, nil
}

func TestAuthenticate(t *testing.T) {
	h := middleware.Authenticate(keyring("good"), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := makerguard.PrincipalFrom(r.Context())
		if ok {
			_, _ = w.Write([]byte(p.MemberID))
			return
		}
		_, _ = w.Write([]byte("nobody"))
	}))
	for _, tc := range []struct {
		name   string
		header []string
		status int
		body   string
	}{
		{"no credential", nil, 200, "nobody"},
		{"good", []string{"Bearer good"}, 200, "mbr_1"},
		{"scheme in any case (RFC 9110)", []string{"bEARER good"}, 200, "mbr_1"},
		{"bad", []string{"Bearer bad"}, 401, "TOKEN_INVALID"},
		{"empty bearer", []string{"Bearer "}, 200, "nobody"},
		{"another scheme is not ours", []string{"Basic Z29vZDo="}, 200, "nobody"},
		{"two headers", []string{"Bearer good", "Bearer bad"}, 400, "MALFORMED_REQUEST"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = tc.header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
			t.Errorf("%s: %d %s, want %d with %s", tc.name, w.Code, w.Body, tc.status, tc.body)
		}
	}
}

func TestRateLimit(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 59, 0, 0, time.UTC)
	month := makerguard.Period{Start: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	policy, state := middleware.RateLimit(now,
		middleware.Allowance{Meter: makerguard.ProductUploads, Limit: 50, Remaining: 7, Period: month},
		middleware.Allowance{Meter: makerguard.DataExports, Limit: makerguard.Unlimited, Remaining: makerguard.Unlimited, Period: month},
		middleware.Allowance{Meter: makerguard.APICalls, Limit: 1000, Remaining: 0, Period: month})
	if want := `"product_uploads";q=50;w=2419200, "api_calls";q=1000;w=2419200`; policy != want {
		t.Errorf("policy = %s, want %s", policy, want)
	}
	if want := `"product_uploads";r=7;t=60, "api_calls";r=0;t=60`; state != want {
		t.Errorf("state = %s, want %s", state, want)
	}
	h := http.Header{}
	middleware.SetRateLimit(h, now, middleware.Allowance{Limit: makerguard.Unlimited})
	if len(h) != 0 {
		t.Errorf("headers of an unlimited meter = %v, want none", h)
	}
}
