package threat

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRoute_Refuses(t *testing.T) {
	for _, s := range []string{
		"", "POST", "POST products", "post /a", " /a", "/a b", "/a?b=1", "/a//b", "/a/{x}y/b", "/{a...}/b", "/{$}/b", "/a/%zz",
		"example.com/a", "GET example.com/a", "/" + strings.Repeat("a", maxRoute),
	} {
		if p, err := parseRoute(s); err == nil {
			t.Errorf("parseRoute(%q) = %v, want an error", s, p)
		}
	}
}

func TestSplitRoute_RefusesWhatTwoParsersReadDifferently(t *testing.T) {
	for _, s := range []string{"GET //a", "GET /a//b", "GET /a/../b", "GET /a/./b", "GET /a/%2e%2e/b", "GET /a%2fb", "GET /a%5Cb", `GET /a\b`, "GET /a%00", "GET /..", "GET /%", "GET", "/a"} {
		if r := splitRoute(s); r != nil {
			t.Errorf("splitRoute(%q) = %q, want nil", s, r.segments)
		}
	}
	for _, s := range []string{"GET /", "GET /a/", "GET /.well-known/x", "GET /a%20b/c..d"} {
		if splitRoute(s) == nil {
			t.Errorf("splitRoute(%q) = nil, want segments", s)
		}
	}
}

// drawPattern gives a pattern of few segments, so that many match the same requests.
func drawPattern(t *rapid.T, label string) string {
	segment := rapid.SampledFrom([]string{"a", "b", "{x}", "a%20b"})
	n := rapid.IntRange(0, 3).Draw(t, label+" segments")
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "GET ", "POST "}).Draw(t, label+" method"))
	for i := range n {
		s := segment.Draw(t, label+" segment")
		if s == "{x}" {
			s = "{x" + string(rune('0'+i)) + "}"
		}
		b.WriteString("/" + s)
	}
	end := rapid.SampledFrom([]string{"", "/", "/{$}", "/{rest...}"}).Draw(t, label+" end")
	if n == 0 && end == "" {
		end = "/"
	}
	b.WriteString(end)
	return b.String()
}

// A pattern means here what it means to http.ServeMux, in the policy file and in applications.
func TestRoutePattern_IsServeMux(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := drawPattern(t, "pattern")
		method := rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method")
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "a%20b"}), 0, 4).Draw(t, "path"), "/")
		if path != "/" && rapid.Bool().Draw(t, "slash") {
			path += "/"
		}
		mux := http.NewServeMux()
		mux.Handle(pattern, marker{})
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		h, _ := mux.Handler(&http.Request{Method: method, URL: u})
		_, want := h.(marker)
		p, err := parseRoute(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.matches(splitRoute(method + " " + path)); got != want {
			t.Fatalf("%q matches %s %s: %v, want %v", pattern, method, path, got, want)
		}
	})
}

// marker is a handler that cannot be mistaken for one of ServeMux's own, such as a redirect.
type marker struct{}

func (marker) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Where http.ServeMux takes two patterns and both match a request, it and compareRoutes choose the same one.
func TestCompareRoutes_IsServeMux(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPattern(t, "a"), drawPattern(t, "b")
		mux := http.NewServeMux()
		if !accepts(mux, a) || !accepts(mux, b) {
			return // they conflict
		}
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a%20b"}), 0, 3).Draw(t, "path"), "/")
		pa, _ := parseRoute(a)
		pb, _ := parseRoute(b)
		r := splitRoute("GET " + path)
		if !pa.matches(r) || !pb.matches(r) {
			return
		}
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		_, chosen := mux.Handler(&http.Request{Method: "GET", URL: u})
		c := compareRoutes(pa, pb)
		if chosen == a && c >= 0 || chosen == b && c <= 0 || compareRoutes(pb, pa) != -c {
			t.Fatalf("compareRoutes(%q, %q) = %d, and ServeMux chooses %q for %s", a, b, c, chosen, path)
		}
	})
}

func accepts(mux *http.ServeMux, pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, http.NotFoundHandler())
	return true
}

func TestWiden(t *testing.T) {
	for _, c := range []struct{ route, want string }{
		{"POST /products", "POST /products"},
		{"POST /", "POST /{$}"},
		{"GET /products/", "GET /products/{$}"},
		{"PUT /products/4711", "PUT /products/{id}"},
		{"PUT /v1/products/4711/images/2", "PUT /v1/products/{id}/images/{id2}"},
		{"GET /orders/550e8400-e29b-41d4-a716-446655440000", "GET /orders/{id}"},
		{"GET /orders/550e***", "GET /orders/{id}"},
		{"GET /members/mbr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f/keys", "GET /members/{id}/keys"},
		{"GET /commits/deadbeef01", "GET /commits/{id}"},
		{"GET /facade/face", "GET /facade/face"},
		{"GET /reports/2026-11-23", "GET /reports/{id}"},
		{"GET /orders/{order}/notes", "GET /orders/{order}/notes"},
		{"GET /a1/b2", "GET /a1/b2"},
	} {
		got := widen(c.route)
		if got != c.want {
			t.Errorf("widen(%q) = %q, want %q", c.route, got, c.want)
		}
		p, err := parseRoute(got)
		if err != nil {
			t.Fatalf("parseRoute(%q): %v", got, err)
		}
		if !p.matches(splitRoute(c.route)) {
			t.Errorf("widen(%q) = %q, which does not match it", c.route, got)
		}
	}
}

func TestAnyIndex(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{"q", "q"},
		{"q2", "q2"},
		{"body", "body"},
		{"body/items/3/name", "body/items/*/name"},
		{"body/items/03a/name", "body/items/03a/name"},
		{"/product/images/0/name", "/product/images/*/name"},
		{"items[3][name]", "items[*][name]"},
		{"a[b][17]", "a[b][*]"},
		{"a[1", "a[1"},
		{"42", "42"},
	} {
		got := anyIndex(c.input)
		if got != c.want {
			t.Errorf("anyIndex(%q) = %q, want %q", c.input, got, c.want)
		}
		if again := anyIndex(got); again != got {
			t.Errorf("anyIndex(%q) = %q, want it unchanged", got, again)
		}
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("POST /orders/{id}/notes", "POST /orders/17/notes")
	f.Add("/{a...}", "GET /%2e")
	f.Fuzz(func(t *testing.T, pattern, to string) {
		r := splitRoute(to)
		p, err := parseRoute(pattern)
		if err == nil {
			if c := compareRoutes(p, p); c != 0 {
				t.Errorf("compareRoutes(%q, itself) = %d, want 0", pattern, c)
			}
			if r != nil {
				p.matches(r)
			}
		}
		if r == nil {
			return
		}
		if w, err := parseRoute(widen(to)); err == nil && !strings.Contains(to, "{") && !w.matches(r) {
			t.Errorf("widen(%q) = %q, which does not match it", to, widen(to))
		}
	})
}
