package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// specChecker is a transport that holds every answer of a server against the OpenAPI
// document that the same server gives.
type specChecker struct {
	t       *testing.T
	schemas map[string]any
	paths   map[string]any

	mu      sync.Mutex
	checked map[string]int // operation and status -> answers
}

func newSpecChecker(t *testing.T, s *server) *specChecker {
	t.Helper()
	doc := s.get(t, "", "/openapi.json").want(t, 200, "")
	return &specChecker{
		t: t, schemas: doc.at("components", "schemas").(map[string]any), paths: doc.at("paths").(map[string]any), checked: map[string]int{},
	}
}

// RoundTrip implements http.RoundTripper.
func (c *specChecker) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	c.check(r, res, body)
	return res, nil
}

func (c *specChecker) check(r *http.Request, res *http.Response, body []byte) {
	op := c.operation(r)
	what := r.Method + " " + r.URL.Path + " " + strconv.Itoa(res.StatusCode)
	documented, ok := op.at("responses", strconv.Itoa(res.StatusCode)).(map[string]any)
	if !ok && res.StatusCode >= 400 {
		documented, ok = op.at("responses", "default").(map[string]any)
	}
	if !ok {
		c.t.Errorf("%s is not in the document", what)
		return
	}
	c.mu.Lock()
	c.checked[op.str("operationId")+" "+strconv.Itoa(res.StatusCode)]++
	c.mu.Unlock()
	contents, _ := documented["content"].(map[string]any)
	if len(body) == 0 && contents == nil {
		return
	}
	media, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	content, ok := contents[media].(map[string]any)
	if !ok {
		c.t.Errorf("%s: the document does not know the content type %q", what, media)
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		c.t.Errorf("%s: %v in %s", what, err, body)
		return
	}
	if schema, ok := content["schema"].(map[string]any); ok {
		c.fits(what, schema, v)
	}
}

// operation finds the document's entry for a request: the pattern with the fewest parameters.
func (c *specChecker) operation(r *http.Request) answer {
	segs := strings.Split(r.URL.Path, "/")
	best, parameters := answer{}, 10
	for pattern, item := range c.paths {
		parts := strings.Split(pattern, "/")
		op, ok := item.(map[string]any)[strings.ToLower(r.Method)].(map[string]any)
		match := ok && len(parts) == len(segs)
		for i := 0; match && i < len(parts); i++ {
			match = parts[i] == segs[i] || strings.HasPrefix(parts[i], "{")
		}
		if n := strings.Count(pattern, "{"); match && n < parameters {
			best, parameters = answer{body: op}, n
		}
	}
	return best
}

// fits checks a value against a schema: types, required and unlisted members, choices,
// lengths, ranges and times.
func (c *specChecker) fits(where string, schema map[string]any, v any) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = c.schemas[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any)
	}
	if types := typesOf(schema); len(types) > 0 && !slices.ContainsFunc(types, func(name string) bool { return isA(name, v) }) {
		c.t.Errorf("%s: %v is none of %v", where, v, types)
		return
	}
	if choices, ok := schema["enum"].([]any); ok && !slices.Contains(choices, v) {
		c.t.Errorf("%s: %v is none of %v", where, v, choices)
	}
	switch x := v.(type) {
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := x[name.(string)]; !ok {
				c.t.Errorf("%s lacks %v", where, name)
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, member := range x {
			if p, ok := properties[name].(map[string]any); ok {
				c.fits(where+"."+name, p, member)
			} else if others, ok := schema["additionalProperties"].(map[string]any); ok {
				c.fits(where+"."+name, others, member)
			} else if schema["additionalProperties"] == false {
				c.t.Errorf("%s has %s, which the document does not list", where, name)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, e := range x {
			c.fits(fmt.Sprintf("%s[%d]", where, i), items, e)
		}
	case string:
		if schema["format"] == "date-time" {
			if at, err := time.Parse(time.RFC3339, x); err != nil || !strings.HasSuffix(x, "Z") || at.IsZero() {
				c.t.Errorf("%s: %q is no time in UTC", where, x)
			}
		}
		if most, ok := schema["maxLength"].(float64); ok && float64(len([]rune(x))) > most {
			c.t.Errorf("%s: %d characters, want at most %v", where, len([]rune(x)), most)
		}
	case float64:
		if least, ok := schema["minimum"].(float64); ok && x < least {
			c.t.Errorf("%s: %v, want at least %v", where, x, least)
		}
		if most, ok := schema["maximum"].(float64); ok && x > most {
			c.t.Errorf("%s: %v, want at most %v", where, x, most)
		}
	}
}

// typesOf gives a schema's types; none is any.
func typesOf(schema map[string]any) []string {
	if one, ok := schema["type"].(string); ok {
		return []string{one}
	}
	var types []string
	several, _ := schema["type"].([]any)
	for _, x := range several {
		types = append(types, x.(string))
	}
	return types
}

func isA(name string, v any) bool {
	switch x := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && x == math.Trunc(x)
	case []any:
		return name == "array"
	}
	return name == "object"
}

// Every answer fits what the OpenAPI document says of its operation and status: the
// documented statuses, content types and members, no others.
//
// goal: V2.1.1 V15.3.1 — unlisted members never leave; checked with the document the server itself gives.
func TestSpec_AnswersFitTheDocument(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	check := newSpecChecker(t, s)
	s.client = &http.Client{Transport: check}
	owner := s.register(t, "spec")
	s.setTier(t, s.operator(t), owner, "enterprise")
	in := s.login(t, owner.email)
	token := in.str("access_token")
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, r := range []request{
		{method: "GET", path: "/v1/me"},
		{method: "GET", path: "/v1/usage"},
		{method: "GET", path: "/v1/auth/sessions"},
		{method: "POST", path: "/v1/usage/product_uploads", body: m{"amount": 1}},
		{method: "POST", path: "/v1/usage/ml_requests", body: m{"amount": 100000}},
		{method: "POST", path: "/v1/usage/nothing", body: m{"amount": 1}},
		{method: "POST", path: "/v1/usage/ml_requests", body: m{"amount": -1}},
		{method: "POST", path: "/access/v1/evaluation", body: m{"action": m{"name": "upload_products"}}},
		{method: "POST", path: "/v1/encryption/encrypt", body: m{"data": m{"a": 1}}},
		{method: "POST", path: "/v1/encryption/decrypt", body: m{"ciphertext": "AAAA"}},
		{method: "PUT", path: "/v1/vault/prices", body: m{"data": []int{1}}},
		{method: "GET", path: "/v1/vault/prices"},
		{method: "GET", path: "/v1/vault"},
		{method: "DELETE", path: "/v1/vault/prices"},
		{method: "GET", path: "/v1/vault/prices"},
		{method: "PUT", path: "/v1/vault/-", body: m{"data": 1}},
		{method: "POST", path: "/v1/security/inspect", body: m{"inputs": []m{{"name": "q", "value": "<script>alert(1)</script>"}}}},
		{method: "POST", path: "/v1/catalog/validate", body: m{"product": m{"gtin": "4006381333932"}}},
		{method: "POST", path: "/v1/catalog/validate", body: "{"},
		{method: "POST", path: "/v1/catalog/validate", body: m{}, header: map[string]string{"Content-Type": "text/plain"}},
		{method: "POST", path: "/v1/auth/step-up", body: strings.Repeat(" ", 70_000)},
		{method: "GET", path: "/v1/security/threats?limit=0"},
		{method: "GET", path: "/v1/security/threats"},
		{method: "GET", path: "/v1/security/score"},
		{method: "GET", path: "/v1/audit"},
		{method: "POST", path: "/v1/auth/step-up", body: m{"password": password}},
		{method: "POST", path: "/v1/auth/step-up", body: m{"password": "wrong"}},
		{method: "POST", path: "/v1/auth/introspect", body: "token=x", header: form},
		{method: "POST", path: "/v1/auth/introspect", body: "token=" + token, header: form},
		{method: "POST", path: "/v1/auth/mfa/totp"},
		{method: "POST", path: "/v1/auth/mfa/totp/confirm", body: m{"code": "000000"}},
		{method: "DELETE", path: "/v1/auth/sessions"},
		{method: "DELETE", path: "/v1/auth/sessions/ses_none"},
		{method: "GET", path: "/v1/admin/manufacturers"},
		{method: "POST", path: "/v1/auth/password/change", body: m{"current_password": "wrong", "new_password": "another oak table entirely"}},
		{method: "POST", path: "/v1/auth/refresh", body: m{"refresh_token": in.str("refresh_token")}},
		{method: "POST", path: "/v1/auth/refresh", body: m{"refresh_token": "x"}},
		{method: "POST", path: "/v1/auth/revoke", body: "token=" + in.str("refresh_token"), header: form},
		{method: "GET", path: "/v1/me"},
		{method: "POST", path: "/v1/auth/login", body: m{"email": owner.email, "password": "wrong"}},
		{method: "POST", path: "/v1/manufacturers", body: m{"email": owner.email, "password": password, "company_name": "S", "country": "FR"}},
		{method: "GET", path: "/healthz"},
		{method: "GET", path: "/readyz"},
		{method: "GET", path: "/v1/forward-auth"},
	} {
		r.token = token
		s.do(t, r)
	}
	t.Logf("%d kinds of answers checked", len(check.checked))
	for _, must := range []string{"get-v1-me 200", "get-v1-me 401", "post-v1-usage-meter 429", "post-v1-catalog-validate 415"} {
		if check.checked[must] == 0 {
			t.Errorf("%s was not among the answers: the check looks at the wrong things", must)
		}
	}
}

// Every body of the document is closed and bounded: no members but those listed, a length
// for every text, a range for every number.
//
// goal: V2.1.1 V2.1.2 V2.1.3
func TestSpec_RequestsAreClosedAndBounded(t *testing.T) {
	s := start(t, "")
	doc := s.get(t, "", "/openapi.json").want(t, 200, "")
	if v := doc.str("openapi"); !strings.HasPrefix(v, "3.1") {
		t.Errorf("openapi %q, want 3.1", v)
	}
	schemas := doc.at("components", "schemas").(map[string]any)
	seen := map[string]bool{}
	var walk func(where string, schema map[string]any)
	walk = func(where string, schema map[string]any) {
		if ref, ok := schema["$ref"].(string); ok {
			name := ref[strings.LastIndexByte(ref, '/')+1:]
			if !seen[name] {
				seen[name] = true
				walk(name, schemas[name].(map[string]any))
			}
			return
		}
		types := typesOf(schema)
		if slices.Contains(types, "object") && schema["additionalProperties"] != false {
			t.Errorf("%s takes members that are not listed", where)
		}
		if slices.Contains(types, "string") && schema["maxLength"] == nil && schema["enum"] == nil && schema["pattern"] == nil {
			t.Errorf("%s has no length", where)
		}
		if slices.Contains(types, "array") {
			walk(where+"[]", schema["items"].(map[string]any))
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			walk(where+"."+name, p.(map[string]any))
		}
	}
	for _, e := range s.endpoints(t) {
		if body, ok := (answer{body: e.spec}).at("requestBody", "content", "application/json", "schema").(map[string]any); ok {
			walk(e.String(), body)
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d request schemas found: the check looks at the wrong things", len(seen))
	}
}
