package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/middleware"
)

// list blocks one address and one member, as abuse.Service does.
type list struct {
	address string
	member  makerguard.MemberID
	uses    []string
}

func refusal() error {
	return &makerguard.Error{
		Code: makerguard.SecurityThreatDetected, Message: "Requests from your network are refused until 2026-03-02 08:10:00 UTC.", RetryAfter: 90 * time.Second,
	}
}

func (l *list) CheckAddress(ip string) error {
	if ip == l.address {
		return refusal()
	}
	return nil
}

func (l *list) CheckPrincipal(p *makerguard.Principal) error {
	if p.MemberID == l.member {
		return refusal()
	}
	return nil
}

func (l *list) ObserveUse(_ *makerguard.Principal, ip string) { l.uses = append(l.uses, ip) }

// A blocked address is told until when, and reaches nothing but what is free.
func TestBlocks_RefuseBeforeAnythingElse(t *testing.T) {
	blocks := middleware.Blocks{
		List: &list{address: "203.0.113.7"},
		Free: func(r *http.Request) bool { return r.URL.Path == "/healthz" },
	}
	reached := 0
	h := middleware.Edge{}.Handler(blocks.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })))
	for _, tc := range []struct {
		peer, path string
		status     int
	}{
		{"203.0.113.7:1234", "/v1/auth/login", 403},
		{"203.0.113.7:1234", "/v1/forward-auth", 403},
		{"203.0.113.7:1234", "/healthz", 200},
		{"203.0.113.8:1234", "/v1/auth/login", 200},
	} {
		before := reached
		r := httptest.NewRequest(http.MethodPost, tc.path, nil)
		r.RemoteAddr = tc.peer
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status || (reached > before) != (tc.status == 200) {
			t.Errorf("%s from %s: %d, reached %v, want %d", tc.path, tc.peer, w.Code, reached > before, tc.status)
		}
		if tc.status == 403 && (w.Header().Get("Retry-After") != "90" || !strings.Contains(w.Body.String(), "SECURITY_THREAT_DETECTED") ||
			!strings.Contains(w.Body.String(), "until 2026-03-02 08:10:00 UTC")) {
			t.Errorf("%s: %v %s, want a problem that says until when", tc.path, w.Header(), w.Body)
		}
	}
}

// signedIn authenticates every token as the member it names.
type signedInAs struct{}

func (signedInAs) Authenticate(_ context.Context, token string) (*makerguard.Principal, error) {
	if token == "bad" {
		return nil, makerguard.TokenInvalid
	}
	return &makerguard.Principal{MemberID: makerguard.MemberID(token), ManufacturerID: "mfr_1", SessionID: "ses_1"}, nil
}

func TestScreened_RefusesBlockedMembers(t *testing.T) {
	l := &list{member: "mbr_blocked"}
	s := middleware.Screened{Authenticator: signedInAs{}, List: l}
	ctx := makerguard.WithClient(t.Context(), &makerguard.Client{IP: "198.51.100.4"})
	if _, err := s.Authenticate(ctx, "bad"); !errors.Is(err, makerguard.TokenInvalid) {
		t.Errorf("a bad token: %v, want the authenticator's error", err)
	}
	if p, err := s.Authenticate(ctx, "mbr_blocked"); p != nil || !errors.Is(err, makerguard.SecurityThreatDetected) {
		t.Errorf("a blocked member: %v, %v, want SECURITY_THREAT_DETECTED and nobody", p, err)
	}
	if p, err := s.Authenticate(ctx, "mbr_1"); err != nil || p.MemberID != "mbr_1" {
		t.Errorf("another member: %v, %v, want it", p, err)
	}
	if d := cmp.Diff([]string{"198.51.100.4"}, l.uses); d != "" {
		t.Errorf("uses differ (-want +got):\n%s", d)
	}
}

func TestWatch_TellsWhatCameOfRequests(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if status != 0 {
				w.WriteHeader(status)
			}
		}
	}
	mux.HandleFunc("GET /products/{id}", answer(404))
	mux.HandleFunc("GET /products", answer(404))
	mux.HandleFunc("POST /products", answer(201))
	mux.HandleFunc("PUT /products/{id}", answer(200))
	mux.HandleFunc("DELETE /products/{id}", answer(204))
	mux.HandleFunc("DELETE /quiet/{id}", answer(0))
	mux.HandleFunc("DELETE /locked/{id}", answer(409))
	for target, want := range map[string]abuse.EventKind{
		"GET /products/7": abuse.Missed, "GET /products": "", "GET /nothing": "", "POST /products": abuse.Created,
		"PUT /products/7": "", "DELETE /products/7": abuse.Deleted, "DELETE /quiet/7": abuse.Deleted, "DELETE /locked/7": "",
	} {
		method, path, _ := strings.Cut(target, " ")
		var got []abuse.Event
		h := middleware.Watch(func(e abuse.Event) { got = append(got, e) })(mux)
		r := httptest.NewRequest(method, path, nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if len(got) != 0 {
			t.Errorf("%s of a stranger: %+v, want nothing", target, got)
		}
		ctx := makerguard.WithPrincipal(r.Context(), &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1"})
		ctx = makerguard.WithClient(ctx, &makerguard.Client{IP: "198.51.100.4"})
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		var wants []abuse.Event
		if want != "" {
			wants = []abuse.Event{{Kind: want, Address: "198.51.100.4", ManufacturerID: "mfr_1", MemberID: "mbr_1", Credential: "ses_1", Object: path}}
		}
		if d := cmp.Diff(wants, got); d != "" {
			t.Errorf("%s: events differ (-want +got):\n%s", target, d)
		}
	}
}

func TestAdmitted_KnowsUploadsByTheirMeter(t *testing.T) {
	p := &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1"}
	for _, tc := range []struct {
		p      *makerguard.Principal
		method string
		meters []makerguard.Meter
		want   abuse.EventKind
	}{
		{p, "POST", []makerguard.Meter{makerguard.ProductUploads}, abuse.Created},
		{p, "POST", nil, ""},
		{p, "DELETE", nil, abuse.Deleted},
		{p, "GET", []makerguard.Meter{makerguard.DataExports}, ""},
		{nil, "DELETE", nil, ""},
	} {
		e, ok := middleware.Admitted(t.Context(), tc.p, tc.method, "/x", tc.meters)
		if e.Kind != tc.want || ok != (tc.want != "") {
			t.Errorf("Admitted(%v, %s, %v) = %q, %v, want %q", tc.p, tc.method, tc.meters, e.Kind, ok, tc.want)
		}
	}
}
