package integration

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// sample is a valid body for one operation, from which broken ones are made.
type sample struct {
	method, path string // as in the OpenAPI document
	body         string
	limit        int // bytes
}

const (
	small = 64 << 10
	large = 1 << 20
)

// samples has every operation that takes JSON; TestBadInput_EveryBody checks that none is missing.
var samples = []sample{
	{"POST", "/v1/manufacturers", `{"email":"new@maker.example","password":"oak table under the linden","company_name":"Neu","country":"DE"}`, small},
	{"POST", "/v1/auth/login", `{"email":"nobody@maker.example","password":"not the right password"}`, small},
	{"POST", "/v1/auth/mfa/verify", `{"mfa_token":"mgm_x","method":"totp","code":"123456"}`, small},
	{"POST", "/v1/auth/refresh", `{"refresh_token":"mgr_x"}`, small},
	{"POST", "/v1/auth/email/verify", `{"token":"mge_x"}`, small},
	{"POST", "/v1/auth/step-up", `{"password":"not the right password"}`, small},
	{"POST", "/v1/auth/password/change", `{"current_password":"not the right password","new_password":"another oak table entirely"}`, small},
	{"POST", "/v1/auth/mfa/totp/confirm", `{"code":"123456"}`, small},
	{"POST", "/v1/usage/{meter}", `{"amount":1}`, small},
	{"POST", "/access/v1/evaluation", `{"action":{"name":"upload_products"}}`, small},
	{"PUT", "/v1/admin/manufacturers/{id}/tier", `{"tier":"professional"}`, small},
	{"POST", "/v1/admin/manufacturers/{id}/suspend", `{"reason":"unpaid"}`, small},
	{"POST", "/v1/admin/keys/rotate", `{"scope":"signing"}`, small},
	{"POST", "/v1/admin/blocks", `{"kind":"member","subject":"mbr_00000000000000000000000000000000","minutes":1,"reason":"test"}`, small},
	{"DELETE", "/v1/admin/blocks/{id}", `{"reason":"test"}`, small},
	{"PUT", "/v1/admin/rules", `{"modes":[]}`, small},
	{"POST", "/v1/admin/threats/{id}/exclusion", `{"reason":"test"}`, small},
	{"PATCH", "/v1/members/{id}", `{"role":"viewer"}`, small},
	{"POST", "/v1/security/inspect", `{"inputs":[{"name":"q","value":"frames","location":"query"}]}`, large},
	{"POST", "/v1/catalog/validate", `{"product":{"name":"Aviator"}}`, large},
	{"POST", "/v1/encryption/encrypt", `{"data":{"iban":"DE89"},"context":{"record":"r","field":"f"}}`, large},
	{"PUT", "/v1/vault/{name}", `{"data":{"iban":"DE89"}}`, large},
	{"POST", "/v1/encryption/decrypt", `{"ciphertext":"AAAA"}`, 2 * large},
}

// request makes a request with a body, to a place that is not there where the operation
// has a parameter, so that even one that got through would change nothing.
func (p sample) request(token string, body any) request {
	path := strings.NewReplacer("{meter}", "no_such_meter", "{id}", "mfr_none", "{name}", "bad-input").Replace(p.path)
	return request{method: p.method, path: path, token: token, body: body}
}

// workbench is a server with everything that bad input could damage: an account, spent units, a
// sealed value, a record.
type workbench struct {
	*server
	owner           account
	token, operator string
	ciphertext      string
}

func newWorkbench(t *testing.T) *workbench {
	t.Helper()
	w := &workbench{server: start(t, "", "--signups-per-hour", "10000", "--log-level", "warn")}
	w.owner, w.token = w.signUp(t, "bench")
	w.operator = w.server.operator(t)
	w.setTier(t, w.operator, w.owner, "enterprise")
	w.post(t, w.token, "/v1/usage/ml_requests", m{"amount": 7}).want(t, 200, "")
	w.ciphertext = w.post(t, w.token, "/v1/encryption/encrypt", m{"data": "kept"}).want(t, 200, "").str("ciphertext")
	w.do(t, request{method: http.MethodPut, path: "/v1/vault/kept", token: w.token, body: m{"data": "kept"}}).want(t, 200, "")
	return w
}

// tokenFor gives the credential that lets a request get as far as its body.
func (w *workbench) tokenFor(path string) string {
	if strings.HasPrefix(path, "/v1/admin/") {
		return w.operator
	}
	return w.token
}

// unharmed checks that the server lives and everything is as it was.
func (w *workbench) unharmed(t *testing.T) {
	t.Helper()
	w.get(t, "", "/healthz").want(t, 200, "")
	w.get(t, "", "/readyz").want(t, 200, "")
	if me := w.get(t, w.token, "/v1/me").want(t, 200, ""); me.str("manufacturer", "tier") != "enterprise" || me.str("manufacturer", "status") != "active" {
		t.Errorf("/v1/me %v, want an active enterprise as before", me)
	}
	if u := w.get(t, w.token, "/v1/usage").want(t, 200, ""); u.num("meters", "ml_requests", "used") != 7 {
		t.Errorf("usage %v, want 7 ml_requests as before", u)
	}
	if o := w.post(t, w.token, "/v1/encryption/decrypt", m{"ciphertext": w.ciphertext}).want(t, 200, ""); o.str("data") != "kept" {
		t.Errorf("decrypt %v, want the value kept", o)
	}
	if v := w.get(t, w.token, "/v1/vault").want(t, 200, ""); len(v.list("records")) != 1 {
		t.Errorf("vault %v, want the one record kept", v)
	}
	if strings.Contains(w.out.String(), `"panic"`) {
		t.Error("something panicked")
	}
}

// Every operation refuses every kind of broken body with the contract's code, and nothing
// is lost by it.
//
// goal: V1.5.2 V2.2.1 V4.1.1 V16.5.1 J-3.6 — one strict decoder everywhere; never accepted, never 5xx.
func TestBadInput_EveryBody(t *testing.T) {
	w := newWorkbench(t)
	known := map[string]bool{}
	for _, p := range samples {
		known[p.method+" "+p.path] = true
	}
	for _, e := range w.endpoints(t) {
		content, _ := answer{body: e.spec}.at("requestBody", "content", "application/json").(map[string]any)
		if content != nil && !known[e.String()] {
			t.Errorf("%s has no sample body here: add one", e)
		}
	}
	for _, p := range samples {
		token := w.tokenFor(p.path)
		name, rest, _ := strings.Cut(p.body[1:], ":") // the first member
		open := p.body[:len(p.body)-1]
		deep := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
		for _, tc := range []struct {
			what, body string
			status     int
			code       string
		}{
			{"no body", "", 400, "MALFORMED_REQUEST"},
			{"cut short", open, 400, "MALFORMED_REQUEST"},
			{"not JSON", "email=owner", 400, "MALFORMED_REQUEST"},
			{"single quotes", strings.ReplaceAll(p.body, `"`, `'`), 400, "MALFORMED_REQUEST"},
			{"a comment", "/* */" + p.body, 400, "MALFORMED_REQUEST"},
			{"a comma at the end", open + ",}", 400, "MALFORMED_REQUEST"},
			{"a byte order mark", "\ufeff" + p.body, 400, "MALFORMED_REQUEST"},
			{"NUL after it", p.body + "\x00", 400, "MALFORMED_REQUEST"},
			{"a second value", p.body + " {}", 400, "MALFORMED_REQUEST"},
			{"the same value again", p.body + p.body, 400, "MALFORMED_REQUEST"},
			{"an unknown member", open + `,"tenant":"mfr_other"}`, 400, "MALFORMED_REQUEST"},
			{"a prototype", open + `,"__proto__":{"role":"owner"}}`, 400, "MALFORMED_REQUEST"},
			{"a member twice", "{" + name + ":" + rest[:len(rest)-1] + "," + name + ":" + rest, 400, "MALFORMED_REQUEST"},
			{"a member twice, once escaped", "{" + name + ":" + rest[:len(rest)-1] + `,"\u00` + fmt.Sprintf("%x", name[1]) + name[2:] + ":" + rest, 400, "MALFORMED_REQUEST"},
			{"a member in capitals", "{" + strings.ToUpper(name) + ":" + rest, 400, "MALFORMED_REQUEST"},
			{"a member with a space", `{"` + " " + name[1:] + ":" + rest, 400, "MALFORMED_REQUEST"},
			{"invalid UTF-8 in a value", `{` + name + ":\"\xff\xfe\"" + "}", 400, "MALFORMED_REQUEST"},
			{"overlong UTF-8", `{` + name + ":\"\xc0\xaf\"" + "}", 400, "MALFORMED_REQUEST"},
			{"a lone surrogate", `{` + name + `:"\ud800"}`, 400, "MALFORMED_REQUEST"},
			{"a control character in a value", `{` + name + ":\"a\nb\"}", 400, "MALFORMED_REQUEST"},
			{"NaN", `{` + name + `:NaN}`, 400, "MALFORMED_REQUEST"},
			{"a number past all floats", `{` + name + `:1e400}`, 400, "MALFORMED_REQUEST"},
			{"a leading zero", `{` + name + `:007}`, 400, "MALFORMED_REQUEST"},
			{"33 levels", `{` + name + `:` + deep(32) + `}`, 400, "MALFORMED_REQUEST"},
			{"33 levels before anything is wrong", deep(33), 400, "MALFORMED_REQUEST"},
			{"100,000 levels", strings.Repeat("[", min(100_000, p.limit)), 400, "MALFORMED_REQUEST"},
			{"an array", "[" + p.body + "]", 422, "VALIDATION_FAILED"},
			{"a text", `"` + strings.ReplaceAll(p.body, `"`, `\"`) + `"`, 422, "VALIDATION_FAILED"},
			{"null", "null", 422, "VALIDATION_FAILED"},
			{"nothing in it", "{}", 422, "VALIDATION_FAILED"},
		} {
			if tc.what == "nothing in it" && strings.HasSuffix(p.path, "/step-up") {
				continue // all its members are optional
			}
			a := w.do(t, p.request(token, tc.body))
			if a.status != tc.status || a.str("code") != tc.code {
				t.Errorf("%s %s with %s: %v, want %d %s", p.method, p.path, tc.what, a, tc.status, tc.code)
			}
			a.problem(t, p.path+" with "+tc.what)
		}
		for what, ct := range map[string]string{
			"no content type": "", "text": "text/plain", "a form": "application/x-www-form-urlencoded", "two in one": "application/json, text/plain",
			"another JSON": "text/json", "junk": ";;", "multipart": "multipart/form-data; boundary=x",
		} {
			r := p.request(token, p.body)
			r.header = map[string]string{"Content-Type": ct}
			if a := w.do(t, r); a.status != 415 || a.str("code") != "UNSUPPORTED_MEDIA_TYPE" {
				t.Errorf("%s %s as %s: %v, want 415", p.method, p.path, what, a)
			}
		}
	}
	w.unharmed(t)
}

// A body of exactly the limit is read, one byte more is not, whether its length was
// announced or not.
//
// goal: V4.2.5 — the documented limits, to the byte.
func TestBadInput_BodyLimits(t *testing.T) {
	w := newWorkbench(t)
	for _, p := range samples {
		for extra, want := range map[int]bool{0: false, 1: true, 70_000: true} {
			// A member that is not known makes every body refused, so that nothing happens but reading.
			body := `{"unknown":0` + strings.Repeat(" ", p.limit+extra-13) + "}"
			for _, announced := range []bool{true, false} {
				r := p.request(w.tokenFor(p.path), body)
				if !announced {
					r.body = unannounced{strings.NewReader(body)}
				}
				a := w.do(t, r)
				if tooLarge := a.str("code") == "PAYLOAD_TOO_LARGE"; tooLarge != want || !want && a.str("code") != "MALFORMED_REQUEST" {
					t.Errorf("%s %s with %d bytes (announced: %t): %v, want too large: %t", p.method, p.path, p.limit+extra, announced, a, want)
				}
				a.problem(t, p.path)
			}
		}
	}
	// What fits is not only read but worked with.
	place := m{"record": "big", "field": "f"}
	data := strings.Repeat("x", large-200)
	sealed := w.post(t, w.token, "/v1/encryption/encrypt", m{"data": data, "context": place}).want(t, 200, "")
	if opened := w.post(t, w.token, "/v1/encryption/decrypt", m{"ciphertext": sealed.str("ciphertext"), "context": place}).want(t, 200, ""); opened.str("data") != data {
		t.Error("a megabyte sealed did not come back as it was")
	}
	w.post(t, w.token, "/v1/encryption/decrypt", m{"ciphertext": strings.Repeat("A", 2*large-100)}).want(t, 422, "DECRYPTION_FAILED")
	w.post(t, w.token, "/v1/security/inspect", m{"inputs": []m{{"name": "t", "value": strings.Repeat("frames ", (large-100)/7)}}}).want(t, 200, "")
	w.unharmed(t)
}

// unannounced hides a body's length, so that it is sent in chunks.
type unannounced struct{ io.Reader }

// 32 levels pass, 33 do not, where data is free; brackets in texts are none.
func TestBadInput_Depth(t *testing.T) {
	w := newWorkbench(t)
	for levels, status := range map[int]int{32: 200, 33: 400} {
		nest := func(used int) string {
			return strings.Repeat(`{"a":`, levels-used-1) + "[]" + strings.Repeat("}", levels-used-1)
		}
		for path, body := range map[string]string{
			"/v1/encryption/encrypt": `{"data":` + nest(1) + `}`,
			"/v1/security/inspect":   `{"inputs":[{"name":"a","value":` + nest(3) + `}]}`,
			"/access/v1/evaluation":  `{"action":{"name":"upload_products"},"context":{"x":` + nest(2) + `}}`,
		} {
			if a := w.post(t, w.token, path, body); a.status != status {
				t.Errorf("%s with %d levels: %v, want %d", path, levels, a, status)
			}
		}
	}
	for _, text := range []string{`"` + strings.Repeat("[", 100) + `"`, `"\"` + strings.Repeat("[", 100) + `"`, `"\\"`} {
		w.post(t, w.token, "/v1/encryption/encrypt", `{"data":`+text+`}`).want(t, 200, "")
	}
	w.unharmed(t)
}

// Every member of every body, replaced by every kind of wrong value: refused with a problem
// or, where the data is free, accepted; never a 5xx.
//
// goal: V2.2.1 V1.4.2 V1.2.4 — a generated schema fuzz over all operations.
func TestBadInput_EveryMember(t *testing.T) {
	w := newWorkbench(t)
	values := []string{
		`null`, `true`, `0`, `-1`, `1.5`, `1e30`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775809`, `18446744073709551616`, `1e308`, `1e-400`,
		`""`, `" "`, `"\u0000"`, `"\r\nX: y"`, `"' OR 1=1 --"`, `"<script>"`, `"` + strings.Repeat("a", 3000) + `"`, `"` + strings.Repeat("€", 1100) + `"`,
		`[]`, `[null]`, `{}`, `{"$ne":""}`, `{"$where":"1"}`, `[[[[]]]]`, `"\ud83d\ude00"`, `"../../etc/passwd"`, `"%00"`, `"1e400"`,
	}
	for _, p := range samples {
		for _, member := range members(p.body) {
			for _, v := range values {
				if strings.HasSuffix(p.path, "/login") && member == `"password"` && v[0] == '"' && v != `""` {
					continue // wrong passwords are another test's
				}
				body := replaced(p.body, member, v)
				a := w.do(t, p.request(w.tokenFor(p.path), body))
				if a.status >= 500 {
					t.Errorf("%s %s with %.200s: %v, want no 5xx", p.method, p.path, body, a)
				}
				if a.status >= 400 {
					a.problem(t, fmt.Sprintf("%s with %.200s", p.path, body))
				}
			}
		}
	}
	w.do(t, request{method: http.MethodDelete, path: "/v1/vault/bad-input", token: w.token})
	w.unharmed(t)
}

// members lists the names, with quotes, of a body's members at all depths.
func members(body string) []string {
	parts := strings.Split(body, `":`)
	names := map[string]bool{}
	for _, p := range parts[:len(parts)-1] {
		names[p[strings.LastIndexByte(p, '"'):]+`"`] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// replaced gives the body with another value for a member. The samples hold no brackets
// or commas in texts.
func replaced(body, member, value string) string {
	at := strings.Index(body, member+":") + len(member) + 1
	depth, end := 0, at
	for ; end < len(body); end++ {
		c := body[end]
		if depth == 0 && (c == ',' || c == '}' || c == ']') {
			break
		}
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return body[:at] + value + body[end:]
}

// Amounts are whole numbers in a range; nothing else spends or asks for units.
//
// goal: V1.4.2 — range-checked before any arithmetic.
func TestBadInput_Amounts(t *testing.T) {
	w := newWorkbench(t)
	for _, amount := range []string{
		"0", "-1", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "1000001", "1.5", "1e400", "1e19", "-0.5", `"1"`, "null", "true", "[1]", "{}", "NaN", "Infinity", "0x10", "+1",
	} {
		a := w.post(t, w.token, "/v1/usage/ml_requests", `{"amount":`+amount+`}`)
		if a.status != 400 && a.status != 422 {
			t.Errorf("amount %s: %v, want it refused", amount, a)
		}
		a.problem(t, "amount "+amount)
		if amount == "0" {
			continue // asks about one
		}
		e := w.post(t, w.token, "/access/v1/evaluation", `{"action":{"name":"access_ml_tools"},"context":{"meter":"ml_requests","amount":`+amount+`}}`)
		if e.status >= 500 || e.at("decision") == true && amount != "null" {
			t.Errorf("evaluation of amount %s: %v, want it refused or denied", amount, e)
		}
	}
	for _, meter := range []string{"api_calls", "no_such_meter", "PRODUCT_UPLOADS", "ml_requests%20", strings.Repeat("m", 65)} {
		if a := w.post(t, w.token, "/v1/usage/"+meter, m{"amount": 1}); a.status != 404 && a.status != 422 {
			t.Errorf("meter %s: %v, want 404 or 422", meter, a)
		}
	}
	e := w.post(t, w.token, "/access/v1/evaluation", `{"action":{"name":"access_ml_tools"},"context":{"Amount":100000,"METER":"x"}}`).want(t, 200, "")
	if e.at("decision") != true {
		t.Errorf("evaluation %v: members in capitals were taken for ours", e) // goal: V1.5.2
	}
	w.unharmed(t)
}

// Queries are as documented or refused: unknown and repeated parameters, sizes out of range.
//
// goal: V15.3.7 V2.2.1 — nothing is picked out of two.
func TestBadInput_Queries(t *testing.T) {
	w := newWorkbench(t)
	for path, token := range map[string]string{"/v1/security/threats": w.token, "/v1/vault": w.token, "/v1/audit": w.token, "/v1/admin/manufacturers": w.operator} {
		for query, code := range map[string]string{
			"limit=0": "VALIDATION_FAILED", "limit=-1": "VALIDATION_FAILED", "limit=1001": "VALIDATION_FAILED", "limit=abc": "VALIDATION_FAILED",
			"limit=1e2": "VALIDATION_FAILED", "limit=99999999999999999999": "VALIDATION_FAILED", "limit=": "", "LIMIT=5": "VALIDATION_FAILED",
			"unknown=1": "VALIDATION_FAILED", "limit=1&limit=2": "MALFORMED_REQUEST", "limit=1&li%6dit=2": "MALFORMED_REQUEST",
			"limit=%zz": "MALFORMED_REQUEST", "limit=1;x=2": "MALFORMED_REQUEST", "limit[$gt]=1": "VALIDATION_FAILED",
			"cursor=" + strings.Repeat("x", 300): "VALIDATION_FAILED",
		} {
			a := w.get(t, token, path+"?"+query)
			if code != "" && a.str("code") != code || a.status >= 500 {
				t.Errorf("GET %s?%.60s: %v, want %s", path, query, a, code)
			}
		}
		for _, cursor := range []string{"junk", "%00", "%ff", "-5", "9223372036854775808", "%27%20OR%201=1--", "evt_", "../x"} {
			if a := w.get(t, token, path+"?cursor="+cursor); a.status >= 500 {
				t.Errorf("GET %s?cursor=%s: %v, want no 5xx", path, cursor, a)
			}
		}
	}
	for _, q := range []string{"since=yesterday", "type=nothing", "severity=deadly", "since=99999-01-01T00:00:00Z"} {
		w.get(t, w.token, "/v1/security/threats?"+q).want(t, 422, "VALIDATION_FAILED")
	}
	w.get(t, w.token, "/v1/me?x=1").want(t, 422, "VALIDATION_FAILED")
	w.unharmed(t)
}

// Targets, methods and headers that could be read in two ways are refused.
//
// goal: V4.1.4 V4.2.5 V15.3.7
func TestBadInput_RequestLineAndHeaders(t *testing.T) {
	w := newWorkbench(t)
	auth := "Authorization: Bearer " + w.token + "\r\n"
	ask := func(line, headers string) answer {
		t.Helper()
		return w.raw(t, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+headers+"\r\n")
	}
	for _, target := range []string{
		"/v1/../v1/me", "/v1/./me", "/./v1/me", "//v1/me", "/v1//me", "/v1/me/..", "/v1/me/.", "/v1/%2e%2e/v1/me", "/v1/%2E/me", "/v1%2fme", "/v1%2Fme", "/v1%5cme", `/v1\me`,
		"/v1/vault/a%00b", "/v1/vault/%0d%0a", "/v1/vault/a%7f", "/v1/vault/%252e%252e%252fx", "*",
		"http://x/v1/me", "/" + strings.Repeat("a", 8<<10), "/v1/me?x=" + strings.Repeat("a", 8<<10),
	} {
		a := ask("GET "+target, auth)
		if a.status != 400 || a.str("code") != "MALFORMED_REQUEST" {
			t.Errorf("GET %.80s: %v, want 400", target, a)
			continue
		}
		a.problem(t, target)
	}
	if a := ask("GET /v1/me?"+strings.Repeat("a", 8000), auth); a.status != 422 {
		t.Errorf("a query of 8,000 bytes: %v, want it read, and its parameter refused", a)
	}
	for _, path := range []string{"/", "/v2/me", "/v1", "/v1/me/", "/v1/nothing", "/admin", "/.git/config", "/debug/pprof/", "/.env", "/v1/forward-auth/other", "/V1/ME"} {
		for _, token := range []string{"", w.token} {
			w.get(t, token, path).want(t, 404, "NOT_FOUND")
		}
	}
	for _, method := range []string{"BREW", "TRACE", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get"} {
		a := ask(method+" /v1/me", auth)
		if a.status != 405 || a.header.Get("Allow") == "" {
			t.Errorf("%s /v1/me: %v with Allow %q, want 405", method, a, a.header.Get("Allow"))
		}
	}
	override := w.do(t, request{method: http.MethodGet, path: "/v1/vault/kept", token: w.token, header: map[string]string{"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}})
	override.want(t, 200, "")
	for what, headers := range map[string]string{
		"two credentials":      auth + "Authorization: Bearer x\r\n",
		"the same twice":       auth + auth,
		"two content types":    auth + "Content-Type: application/json\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
		"two idempotency keys": auth + "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
	} {
		if a := ask("GET /v1/me", headers); a.status != 400 || a.str("code") != "MALFORMED_REQUEST" {
			t.Errorf("%s: %v, want 400", what, a)
		}
	}
	for what, headers := range map[string]string{
		"NUL in a header":        "X-A: a\x00b\r\n",
		"a bare CR":              "X-A: a\rX-B: c\r\n",
		"a space in a name":      "X A: b\r\n",
		"two lengths":            "Content-Length: 1\r\nContent-Length: 2\r\n",
		"no number as length":    "Content-Length: 0x1\r\n",
		"a negative length":      "Content-Length: -1\r\n",
		"two hosts":              "Host: y\r\n",
		"a space before a colon": "X-A : b\r\n",
	} {
		if a := ask("GET /v1/me", headers+auth); a.status != 400 { // net/http refuses these itself
			t.Errorf("%s: %v, want 400", what, a)
		}
	}
	for _, target := range []string{"/v1/vault/%zz", "/v1/vault/%", "/v1/vault/a b", ":"} {
		if a := ask("GET "+target, auth); a.status != 400 { // so does it these
			t.Errorf("GET %s: %v, want 400", target, a)
		}
	}
	// goal: V4.2.5 — 16 KiB of request line and headers, not more.
	if a := ask("GET /v1/me", auth+"X-Fill: "+strings.Repeat("a", 14<<10)+"\r\n"); a.status != 200 {
		t.Errorf("15 KiB of headers: %v, want 200", a)
	}
	if a := ask("GET /v1/me", auth+"X-Fill: "+strings.Repeat("a", 16<<10)+"\r\n"); a.status != 431 {
		t.Errorf("17 KiB of headers: %v, want 431", a)
	}
	broken := ask("POST /v1/security/inspect", auth+"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}")
	if broken.status != 400 {
		t.Errorf("broken chunks: %v, want 400", broken)
	}
	for what, credential := range map[string]string{
		"another scheme": "Basic b3duZXI6eA==", "no token": "Bearer ", "two tokens": "Bearer " + w.token + " " + w.token,
		"junk": "Bearer \x7f\x01", "cut": "Bearer " + w.token[:len(w.token)-1], "a dot more": "Bearer " + w.token + ".", "8 KiB": "Bearer " + strings.Repeat("a.", 4<<10),
	} {
		a := w.do(t, request{method: http.MethodGet, path: "/v1/me", header: map[string]string{"Authorization": strings.Map(printableOnly, credential)}})
		if a.status != 401 {
			t.Errorf("credential with %s: %v, want 401", what, a)
		}
		if a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("401 for %s without WWW-Authenticate", what)
		}
	}
	w.unharmed(t)
}

// printableOnly drops what Go's client would not send.
func printableOnly(r rune) rune {
	if r < 0x20 || r > 0x7e {
		return '?'
	}
	return r
}
