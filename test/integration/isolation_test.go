package integration

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// publicEndpoints are all that answer callers without a credential. A new one is a
// decision: add it here.
var publicEndpoints = []string{
	"GET /.well-known/jwks.json", "GET /docs", "GET /docs/docs.css", "GET /healthz", "GET /openapi.json", "GET /readyz",
	"GET /v1/forward-auth", "GET /v1/forward-auth/caddy", "GET /v1/forward-auth/nginx", "GET /v1/forward-auth/traefik",
	"POST /v1/auth/email/verify", "POST /v1/auth/login", "POST /v1/auth/mfa/verify", "POST /v1/auth/refresh", "POST /v1/auth/revoke", "POST /v1/manufacturers",
}

// Every operation of the document wants a credential, except those that are listed; says
// so in the document; and is really there.
//
// goal: V8.2.1 V8.1.1 API5 API8 API9 — generated from the OpenAPI document, so a route without a rule fails.
func TestIsolation_NobodyGetsNothing(t *testing.T) {
	s := start(t, "")
	s.register(t, "somebody")
	for _, e := range s.endpoints(t) {
		expected := slices.Contains(publicEndpoints, e.String())
		if e.public != expected {
			t.Errorf("%s: the document says public: %t, the list says %t", e, e.public, expected)
		}
		if expected {
			a := s.do(t, request{method: e.method, path: e.path})
			if a.status == 401 || a.status == 404 || a.status == 405 || a.status >= 500 {
				t.Errorf("%s: %v, want it to be there for everybody", e, a)
			}
			continue
		}
		path := e.with("x")
		for what, header := range map[string]map[string]string{
			"no credential": nil, "another scheme": {"Authorization": "Basic b3duZXI6eA=="}, "an empty bearer": {"Authorization": "Bearer "},
			"a cookie": {"Cookie": "__Host-mg_session=x"}, "an identity header": {"X-Makerguard-Manufacturer": "mfr_1"},
		} {
			a := s.do(t, request{method: e.method, path: path, header: header, body: "{}"}).want(t, 401, "AUTHENTICATION_REQUIRED")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s: 401 without WWW-Authenticate", e, what)
			}
		}
		// Before the body is looked at: what is wrong with it is nobody's to learn.
		s.do(t, request{method: e.method, path: path, body: "{broken"}).want(t, 401, "AUTHENTICATION_REQUIRED")
		s.do(t, request{method: e.method, path: path, token: "junk", body: "{}"}).want(t, 401, "TOKEN_INVALID")
	}
}

// The objects of one manufacturer are to another as if they were not there, and so are
// those that nobody has.
//
// goal: V8.2.2 V8.4.1 API1 — same answer for a stranger's and for an absent object.
func TestIsolation_AnotherTenantsObjectsAreAbsent(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	operator := s.operator(t)
	alice, aliceToken := s.signUp(t, "alice")
	bob, bobToken := s.signUp(t, "bob")
	for _, a := range []account{alice, bob} {
		s.setTier(t, operator, a, "enterprise")
	}
	session := s.get(t, aliceToken, "/v1/me").want(t, 200, "").str("session_id")
	s.do(t, request{method: http.MethodPut, path: "/v1/vault/prices", token: aliceToken, body: m{"data": "of alice"}}).want(t, 200, "")
	place := m{"record": "r", "field": "f"}
	sealed := s.post(t, aliceToken, "/v1/encryption/encrypt", m{"data": "of alice", "context": place}).want(t, 200, "").str("ciphertext")
	s.post(t, aliceToken, "/v1/security/inspect", m{"inputs": []m{{"name": "q", "value": "1' OR '1'='1' -- "}}}).want(t, 200, "")
	s.post(t, aliceToken, "/v1/usage/product_uploads", m{"amount": 5}).want(t, 200, "")

	s.ask(t, aliceToken, "GET", "/products?q=%3Cscript%3Ealert(1)%3C/script%3E").want(t, 403, "SECURITY_THREAT_DETECTED")
	event := s.get(t, aliceToken, "/v1/security/threats").want(t, 200, "").list("threats")[0].(map[string]any)["id"].(string)
	exclusion := s.post(t, operator, "/v1/admin/threats/"+event+"/exclusion", m{"reason": "x"}).ok(t).str("id")
	block := s.post(t, operator, "/v1/admin/blocks", m{"kind": "address", "subject": "203.0.113.77", "minutes": 5, "reason": "x"}).ok(t).str("id")
	job := s.post(t, operator, "/v1/admin/keys/rotate", m{"scope": "signing"}).want(t, 202, "").str("job_id")
	if event == "" || exclusion == "" || block == "" || job == "" {
		t.Fatalf("no ids of an event %q, an exclusion %q, a block %q or a job %q", event, exclusion, block, job)
	}

	// A place for every id-bearing operation: an object of alice's, and one that is not there.
	foreign := map[string][2]string{
		"/v1/auth/sessions/{id}":               {session, "ses_00000000000000000000000000000000"},
		"/v1/vault/{name}":                     {"prices", "absent"},
		"/v1/admin/manufacturers/{id}":         {alice.manufacturer, "mfr_00000000000000000000000000000000"},
		"/v1/admin/manufacturers/{id}/tier":    {alice.manufacturer, "mfr_00000000000000000000000000000000"},
		"/v1/admin/manufacturers/{id}/suspend": {alice.manufacturer, "mfr_00000000000000000000000000000000"},
		"/v1/admin/manufacturers/{id}/restore": {alice.manufacturer, "mfr_00000000000000000000000000000000"},
		"/v1/members/{id}":                     {alice.member, "mbr_00000000000000000000000000000000"},
		"/v1/admin/blocks/{id}":                {block, "blk_00000000000000000000000000000000"},
		"/v1/admin/jobs/{id}":                  {job, "job_00000000000000000000000000000000"},
		"/v1/admin/rules/exclusions/{id}":      {exclusion, "exc_00000000000000000000000000000000"},
		"/v1/admin/threats/{id}/exclusion":     {event, "evt_00000000000000000000000000000000"},
		"/v1/usage/{meter}":                    {"", ""}, // names no object of anybody's
	}
	bodies := map[string]any{
		"/v1/admin/manufacturers/{id}/tier": m{"tier": "free"}, "/v1/admin/manufacturers/{id}/suspend": m{"reason": "x"},
		"/v1/members/{id}": m{"role": "viewer"}, "/v1/admin/blocks/{id}": m{"reason": "x"}, "/v1/admin/threats/{id}/exclusion": m{"reason": "x"},
	}
	for _, e := range s.endpoints(t) {
		if !strings.Contains(e.path, "{") {
			continue
		}
		ids, ok := foreign[e.path]
		if !ok {
			t.Errorf("%s carries an id and has no case here: add one", e)
			continue
		}
		if ids[0] == "" || e.method == http.MethodPut && e.path == "/v1/vault/{name}" { // makes bob's own
			continue
		}
		var answers [2]answer
		for i, id := range ids {
			answers[i] = s.do(t, request{method: e.method, path: e.with(id), token: bobToken, body: bodies[e.path]})
		}
		status, code := 404, "NOT_FOUND"
		if strings.HasPrefix(e.path, "/v1/admin/") {
			status, code = 403, "INSUFFICIENT_PERMISSIONS"
		}
		answers[0].want(t, status, code)
		answers[1].want(t, status, code)
		if a, b := withoutID(answers[0]), withoutID(answers[1]); a != b {
			t.Errorf("%s tells a stranger's object from an absent one:\n%s\n%s", e, a, b)
		}
	}

	s.post(t, bobToken, "/v1/encryption/decrypt", m{"ciphertext": sealed, "context": place}).want(t, 422, "DECRYPTION_FAILED") // goal: V11.3.3
	for _, q := range []m{
		{"subject": m{"type": "member", "id": alice.member}, "action": m{"name": "upload_products"}},
		{"subject": m{"type": "member", "id": "mbr_00000000000000000000000000000000"}, "action": m{"name": "upload_products"}},
		{"subject": m{"type": "manufacturer", "id": alice.manufacturer}, "action": m{"name": "upload_products"}},
		{"resource": m{"type": "manufacturer", "id": alice.manufacturer}, "action": m{"name": "upload_products"}},
	} {
		if d := s.post(t, bobToken, "/access/v1/evaluation", q).want(t, 200, ""); d.at("decision") != false || d.str("context", "reason") != "UNKNOWN_SUBJECT" {
			t.Errorf("evaluation of %v by a stranger: %v, want UNKNOWN_SUBJECT", q, d)
		}
	}
	intro := s.do(t, request{method: http.MethodPost, path: "/v1/auth/introspect", token: bobToken, body: "token=" + aliceToken, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}})
	if intro.status != 200 || strings.TrimSpace(string(intro.raw)) != `{"active":false}` {
		t.Errorf("introspection of a stranger's token: %v, want active:false and nothing else", intro) // goal: V10.4.10
	}

	// The same name is another record; lists, histories and meters hold one's own alone.
	s.do(t, request{method: http.MethodPut, path: "/v1/vault/prices", token: bobToken, body: m{"data": "of bob"}}).want(t, 200, "")
	for token, whose := range map[string]string{aliceToken: "of alice", bobToken: "of bob"} {
		if v := s.get(t, token, "/v1/vault/prices").want(t, 200, ""); v.str("data") != whose {
			t.Errorf("the record %q reads %v", whose, v)
		}
	}
	for _, path := range []string{"/v1/security/threats", "/v1/audit", "/v1/auth/sessions", "/v1/vault", "/v1/me", "/v1/usage", "/v1/security/score"} {
		a := s.get(t, bobToken, path).want(t, 200, "")
		for _, secret := range []string{alice.manufacturer, alice.member, session, alice.email} {
			if strings.Contains(string(a.raw), secret) {
				t.Errorf("%s of bob tells of alice: %v", path, a)
			}
		}
	}
	if n := len(s.get(t, bobToken, "/v1/security/threats").list("threats")); n != 0 {
		t.Errorf("bob's history has %d threats, want none of alice's", n)
	}
	if u := s.get(t, bobToken, "/v1/usage").num("meters", "product_uploads", "used"); u != 0 {
		t.Errorf("bob has used %v uploads, want none of alice's", u)
	}
	// Nothing of it did anything to alice.
	if me := s.get(t, aliceToken, "/v1/me").want(t, 200, ""); me.str("manufacturer", "tier") != "enterprise" || me.str("manufacturer", "status") != "active" {
		t.Errorf("alice %v, want her as before", me)
	}
}

// withoutID is an answer's body without what differs at every request.
func withoutID(a answer) string {
	return strings.ReplaceAll(string(a.raw), a.str("request_id"), "ID")
}

// What is not the caller's to set cannot be set by any body: tenant, role, tier, times.
//
// goal: V8.2.3 V15.3.1 API3
func TestIsolation_ProtectedMembersCannotBeSet(t *testing.T) {
	s := start(t, "", "--signups-per-hour", "1000")
	for _, member := range []string{`"tier":"enterprise"`, `"role":"owner"`, `"id":"mfr_1"`, `"status":"active"`, `"manufacturer_id":"platform"`, `"grants":["operate_keys"]`, `"created_at":"2020-01-01T00:00:00Z"`, `"mfa":true`, `"email_verified":true`} {
		body := `{"email":"x@maker.example","password":"` + password + `","company_name":"X","country":"FR",` + member + `}`
		s.post(t, "", "/v1/manufacturers", body).want(t, 400, "MALFORMED_REQUEST")
	}
	_, token := s.signUp(t, "protected")
	me := s.get(t, token, "/v1/me").want(t, 200, "")
	for _, hidden := range []string{"password", "hash", "$argon2", "seed", "time_zone", "suspended"} {
		if strings.Contains(strings.ToLower(string(me.raw)), hidden) {
			t.Errorf("/v1/me %v tells of %q", me, hidden)
		}
	}
}

// An operator manages manufacturers and reads none of their data; suspending ends sessions
// at once, restoring lets people sign in again.
//
// goal: V7.4.1 V8.3.2 V6.4.6
func TestIsolation_OperatorManagesAndReadsNothing(t *testing.T) {
	s := start(t, "")
	operator := s.operator(t)
	owner, token := s.signUp(t, "managed")
	sealed := s.post(t, token, "/v1/encryption/encrypt", m{"data": "of the manufacturer"}).want(t, 200, "").str("ciphertext")
	if a := s.post(t, operator, "/v1/encryption/decrypt", m{"ciphertext": sealed}); a.status != 403 && a.status != 422 {
		t.Errorf("an operator decrypts a manufacturer's data: %v", a)
	}
	if list := s.get(t, operator, "/v1/admin/manufacturers?q=managed").want(t, 200, ""); len(list.list("manufacturers")) != 1 {
		t.Errorf("manufacturers %v, want the one asked for", list)
	}
	at := "/v1/admin/manufacturers/" + owner.manufacturer
	s.get(t, operator, "/v1/admin/manufacturers/mfr_00000000000000000000000000000000").want(t, 404, "NOT_FOUND")
	s.post(t, operator, at+"/suspend", m{"reason": "unpaid"}).want(t, 200, "")
	s.get(t, token, "/v1/me").want(t, 401, "SESSION_REVOKED")
	s.post(t, "", "/v1/auth/login", m{"email": owner.email, "password": password}).want(t, 403, "ACCOUNT_SUSPENDED")
	s.post(t, "", "/v1/auth/login", m{"email": owner.email, "password": "not the right password"}).want(t, 401, "INVALID_CREDENTIALS")
	s.post(t, operator, at+"/restore", nil).want(t, 200, "")
	s.get(t, token, "/v1/me").want(t, 401, "SESSION_REVOKED")
	s.login(t, owner.email)
	if metrics := s.get(t, operator, "/metrics"); metrics.status != 200 || strings.Contains(string(metrics.raw), owner.manufacturer) {
		t.Errorf("metrics %v, want them, and nobody in them", metrics)
	}
	s.get(t, s.login(t, owner.email).str("access_token"), "/metrics").want(t, 403, "INSUFFICIENT_PERMISSIONS") // goal: V13.4.5
}
