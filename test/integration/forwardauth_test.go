package integration

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const gatewayPolicy = `version: 1
tiers:
  free: {limits: {product_uploads: 3, api_calls: 40}}
routes:
  - {match: "POST /api/products", permission: upload_products, meter: product_uploads}
  - {match: "GET /api/products/{id}", permission: manage_products}
  - {match: "GET /api/reports/{id}", permission: view_advanced_analytics}
  - {match: "GET /api/any"}
  - {match: "DELETE /api/account", permission: manage_profile, step_up: 2s}
  - {match: "/public/", public: true}
  - {match: "/watched/", inspect: monitor}
  - {match: "/raw/", inspect: "off"}
  - {match: "/public/private/", permission: access_ml_tools}
default: deny
`

// identityHeaders are the six that makerguard sets.
var identityHeaders = []string{"X-Makerguard-Manufacturer", "X-Makerguard-Member", "X-Makerguard-Session", "X-Makerguard-Tier", "X-Makerguard-Role", "X-Makerguard-Identity"}

// ask puts forward-auth's question for a request to the application, as a proxy would.
func (s *server) ask(t testing.TB, token, method, target string, header ...string) answer {
	t.Helper()
	h := map[string]string{"X-Forwarded-Method": method, "X-Forwarded-Uri": target}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(t, request{method: http.MethodGet, path: "/v1/forward-auth", token: token, header: h})
}

// gatewayServer is a server that trusts us as its proxy.
func gatewayServer(t *testing.T, policy string) *server {
	t.Helper()
	args := []string{"--trusted-proxies", "127.0.0.1"}
	if policy != "" {
		args = append(args, "--policy", write(t, filepath.Join(t.TempDir(), "policy.yaml"), policy, 0o600))
	}
	return start(t, "", args...)
}

// The policy's routes decide, each as it says; what has no rule is denied.
//
// goal: V8.2.1 V10.3.1 V10.3.4
func TestForwardAuth_FollowsThePolicy(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	_, token := s.signUp(t, "gate")
	for _, tc := range []struct {
		name, token, method, target string
		status                      int
		code                        string
	}{
		{"permitted", token, "GET", "/api/products/7", 200, ""},
		{"a query changes no rule", token, "GET", "/api/products/7?page=2&q=blue+frames", 200, ""},
		{"lacks the permission", token, "GET", "/api/reports/7", 403, "INSUFFICIENT_PERMISSIONS"},
		{"any caller", token, "GET", "/api/any", 200, ""},
		{"HEAD is GET's", token, "HEAD", "/api/any", 200, ""},
		{"no rule for this method", token, "PUT", "/api/any", 403, "INSUFFICIENT_PERMISSIONS"},
		{"no rule for this path", token, "GET", "/admin", 403, "INSUFFICIENT_PERMISSIONS"},
		{"no rule for what is below", token, "GET", "/api/products/7/price", 403, "INSUFFICIENT_PERMISSIONS"},
		{"no rule for what is above", token, "GET", "/", 403, "INSUFFICIENT_PERMISSIONS"},
		{"nobody", "", "GET", "/api/any", 401, "AUTHENTICATION_REQUIRED"},
		{"nobody, no rule", "", "GET", "/admin", 401, "AUTHENTICATION_REQUIRED"},
		{"not our token", "junk", "GET", "/api/any", 401, "TOKEN_INVALID"},
		{"public for nobody", "", "GET", "/public/logo.png", 200, ""},
		{"public whatever the credential", "junk", "POST", "/public/logo.png", 200, ""},
		{"the more specific rule", "", "GET", "/public/private/x", 401, "AUTHENTICATION_REQUIRED"},
		{"the more specific rule's permission", token, "GET", "/public/private/x", 403, "INSUFFICIENT_PERMISSIONS"},
		{"an attack in the query", token, "GET", "/api/any?q=1%27%20UNION%20SELECT%20password%20FROM%20users--", 403, "SECURITY_THREAT_DETECTED"},
		{"an attack on a public route", "", "GET", "/public/?q=%3Cscript%3Ealert(1)%3C/script%3E", 403, "SECURITY_THREAT_DETECTED"},
		{"an attack that is watched", token, "GET", "/watched/?q=%3Cscript%3Ealert(1)%3C/script%3E", 200, ""},
		{"an attack nobody looks for", token, "GET", "/raw/?q=%3Cscript%3Ealert(1)%3C/script%3E", 200, ""},
		{"no method of ours", token, "BREW", "/api/any", 405, "METHOD_NOT_ALLOWED"},
	} {
		a := s.ask(t, tc.token, tc.method, tc.target)
		if a.status != tc.status || a.str("code") != tc.code {
			t.Errorf("%s: %s %s: %v, want %d %s", tc.name, tc.method, tc.target, a, tc.status, tc.code)
		}
		if tc.status == 401 && a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", tc.name)
		}
	}
	denied := s.ask(t, token, "GET", "/api/reports/7")
	if denied.str("context", "permission") != "view_advanced_analytics" || denied.str("context", "lowest_tier") != "professional" {
		t.Errorf("refusal %v, want it to explain itself", denied)
	}
	threats := s.get(t, token, "/v1/security/threats").want(t, 200, "").list("threats")
	if len(threats) != 2 {
		t.Errorf("%d threats in the history, want the blocked and the watched one of this manufacturer", len(threats))
	}
}

// step_up asks for a recent proof, which /v1/auth/step-up gives.
//
// goal: V7.5.1 V10.3.4
func TestForwardAuth_StepUp(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	_, token := s.signUp(t, "stepup")
	signedIn := int64(claimsOf(t, token)["auth_time"].(float64))
	eventually(t, "the sign-in is not recent any more", func() bool { return time.Now().Unix() > signedIn+2 })
	a := s.ask(t, token, "DELETE", "/api/account").want(t, 401, "STEP_UP_REQUIRED")
	if !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
		t.Errorf("WWW-Authenticate %q, want RFC 9470's", a.header.Get("WWW-Authenticate"))
	}
	s.post(t, token, "/v1/auth/step-up", m{"password": "not the right password"}).want(t, 401, "INVALID_CREDENTIALS")
	fresh := s.post(t, token, "/v1/auth/step-up", m{"password": password}).want(t, 200, "").str("access_token")
	if a := s.ask(t, fresh, "DELETE", "/api/account"); a.status != 200 {
		t.Errorf("after stepping up: %v, want 200", a)
	}
}

// Meters count what is let through and nothing else; at the end it is 429.
func TestForwardAuth_Meters(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	_, token := s.signUp(t, "meters")
	used := func(meter string) float64 {
		return s.get(t, token, "/v1/usage").want(t, 200, "").num("meters", meter, "used")
	}
	for i := range 3 {
		a := s.ask(t, token, "POST", "/api/products").want(t, 200, "")
		if !strings.Contains(a.header.Get("RateLimit"), `"product_uploads";r=`+string(rune('2'-i))) {
			t.Errorf("RateLimit %q after %d of 3", a.header.Get("RateLimit"), i+1)
		}
		if !strings.Contains(a.header.Get("RateLimit-Policy"), `"product_uploads";q=3`) {
			t.Errorf("RateLimit-Policy %q, want the limit", a.header.Get("RateLimit-Policy"))
		}
	}
	full := s.ask(t, token, "POST", "/api/products").want(t, 429, "USAGE_LIMIT_EXCEEDED")
	if full.header.Get("Retry-After") == "" || full.str("context", "meter") != "product_uploads" {
		t.Errorf("429 %v, want Retry-After and the meter", full)
	}
	if u, c := used("product_uploads"), used("api_calls"); u != 3 || c != 3 {
		t.Errorf("%v uploads and %v calls used, want 3 and 3: the refused one counts nowhere", u, c)
	}
	for range 5 { // refused or public: not counted
		s.ask(t, token, "GET", "/api/reports/7").want(t, 403, "INSUFFICIENT_PERMISSIONS")
		s.ask(t, token, "GET", "/admin").want(t, 403, "INSUFFICIENT_PERMISSIONS")
		s.ask(t, "", "GET", "/api/any").want(t, 401, "AUTHENTICATION_REQUIRED")
		s.ask(t, token, "GET", "/public/x").want(t, 200, "")
		s.ask(t, token, "GET", "/api/any?q=%3Cscript%3Ealert(1)%3C/script%3E").want(t, 403, "SECURITY_THREAT_DETECTED")
		s.ask(t, token, "GET", "/api//any").want(t, 400, "MALFORMED_REQUEST")
		s.get(t, token, "/v1/me").want(t, 200, "") // nor is the API with a bearer token
	}
	if c := used("api_calls"); c != 3 {
		t.Errorf("%v calls used, want 3 still", c)
	}
	for range 37 {
		s.ask(t, token, "GET", "/api/any").want(t, 200, "")
	}
	s.ask(t, token, "GET", "/api/any").want(t, 429, "USAGE_LIMIT_EXCEEDED")
	s.ask(t, token, "GET", "/public/x").want(t, 200, "")
	if c := used("api_calls"); c != 40 {
		t.Errorf("%v calls used, want the limit of 40", c)
	}
}

// Who asks and is no trusted proxy learns how to become one, and nothing else.
//
// goal: V4.1.3
func TestForwardAuth_OnlyTrustedProxiesMayAsk(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "10.0.0.0/8,192.0.2.1")
	_, token := s.signUp(t, "untrusted")
	for _, header := range [][]string{nil, {"X-Forwarded-For", "10.0.0.1"}, {"Forwarded", "for=10.0.0.1"}, {"X-Real-Ip", "10.0.0.1"}} {
		a := s.ask(t, token, "GET", "/x", header...).want(t, 403, "INSUFFICIENT_PERMISSIONS")
		if !strings.Contains(a.str("detail"), "--trusted-proxies") {
			t.Errorf("refusal %v, want the option named", a)
		}
		for _, h := range identityHeaders {
			if _, ok := a.header[h]; ok {
				t.Errorf("a refusal with %s", h)
			}
		}
	}
}

// What a client sends under the identity headers' names never gets through: all six are
// set on every 200, empty where there is nothing to say, and on no other answer.
//
// goal: V4.1.3 O-4.13
func TestForwardAuth_ForgedIdentityNeverSurvives(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	owner, token := s.signUp(t, "identity")
	var forged []string
	for _, h := range identityHeaders {
		forged = append(forged, h, "forged")
	}
	in := s.ask(t, token, "GET", "/api/any", forged...).want(t, 200, "")
	want := map[string]string{"X-Makerguard-Manufacturer": owner.manufacturer, "X-Makerguard-Member": owner.member, "X-Makerguard-Tier": "free", "X-Makerguard-Role": "owner"}
	public := s.ask(t, token, "GET", "/public/x", forged...).want(t, 200, "")
	for _, h := range identityHeaders {
		if v := in.header.Values(h); len(v) != 1 || v[0] == "" || v[0] == "forged" || want[h] != "" && v[0] != want[h] {
			t.Errorf("%s = %q, want one value of ours", h, v)
		}
		if v, ok := public.header[h]; !ok || len(v) != 1 || v[0] != "" {
			t.Errorf("on a public route %s = %q, want it there and empty", h, v)
		}
	}
	for _, refusal := range []answer{s.ask(t, "", "GET", "/api/any", forged...), s.ask(t, token, "GET", "/admin", forged...)} {
		for _, h := range identityHeaders {
			if v, ok := refusal.header[h]; ok {
				t.Errorf("a refusal with %s = %q", h, v)
			}
		}
	}
}

// The signed identity verifies with the published keys, is made out to the upstream and
// of its own type, and is no access token; nor is an access token an identity.
//
// goal: V9.2.2 V9.2.3 V9.2.4 J-3.11
func TestForwardAuth_IdentityToken(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	owner, token := s.signUp(t, "upstream")
	identity := s.ask(t, token, "GET", "/api/any").want(t, 200, "").header.Get("X-Makerguard-Identity")
	keys := map[string]ed25519.PublicKey{}
	for _, k := range s.get(t, "", "/.well-known/jwks.json").want(t, 200, "").list("keys") {
		jwk := k.(map[string]any)
		x, err := base64.RawURLEncoding.DecodeString(jwk["x"].(string))
		if err != nil || jwk["kty"] != "OKP" || jwk["crv"] != "Ed25519" || jwk["d"] != nil {
			t.Fatalf("key %v (%v), want a public Ed25519 key", jwk, err)
		}
		keys[jwk["kid"].(string)] = x
	}
	parsed, err := jwt.Parse(identity, func(tok *jwt.Token) (any, error) { return keys[tok.Header["kid"].(string)], nil },
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithAudience("makerguard-upstream"), jwt.WithIssuer("makerguard"), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatalf("the identity does not verify with the published keys: %v", err)
	}
	claims := parsed.Claims.(jwt.MapClaims)
	if parsed.Header["typ"] != "mg-identity+jwt" || claims["sub"] != owner.member || claims["mfr"] != owner.manufacturer || claims["exp"].(float64)-claims["iat"].(float64) != 60 {
		t.Errorf("identity %v %v, want our type, the caller and 60 seconds", parsed.Header, claims)
	}
	s.get(t, identity, "/v1/me").want(t, 401, "TOKEN_INVALID")
	s.ask(t, identity, "GET", "/api/any").want(t, 401, "TOKEN_INVALID")
	if headerOf(t, token)["typ"] != "at+jwt" || claimsOf(t, token)["aud"] != "makerguard-api" {
		t.Errorf("access token %v %v, want its own type and audience", headerOf(t, token), claimsOf(t, token))
	}
}

// A target that rules and application could read differently is refused before any rule, and so is
// a question that is put twice or not at all.
//
// goal: V4.1.3 V15.3.7
func TestForwardAuth_MalformedQuestions(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	_, token := s.signUp(t, "malformed")
	for _, target := range []string{
		"api/any", "http://other.example/api/any", "//api/any", "/api//any", "/public/../api/any", "/public/./x", "/public/%2e%2e/api/any", "/public/%2E%2E%2Fapi",
		"/public%2fapi", "/public%2Fx", `/public\x`, "/public%5cx", "/public/%00", "/public/%0a", "/public/%7f", "/public/%252e%252e/", "/public/%252f", "/public/%", "/public/%zz",
		"/public/x#y", "/public/\tx", "/public/x y", "*", "/public/" + strings.Repeat("a", 8<<10),
	} {
		for _, tok := range []string{"", token} {
			a := s.ask(t, tok, "GET", target)
			if a.status != 400 || a.str("code") != "MALFORMED_REQUEST" {
				t.Errorf("GET %.60q: %v, want 400", target, a)
			}
		}
	}
	question := "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /api/any\r\nAuthorization: Bearer " + token + "\r\n"
	for _, tc := range []struct {
		name, path, headers string
		status              int
	}{
		{"a proper question", "", question, 200},
		{"any method", "", question, 200},
		{"two targets", "", question + "X-Forwarded-Uri: /public/\r\n", 400},
		{"the same target twice", "", question + "X-Forwarded-Uri: /api/any\r\n", 400},
		{"two methods", "", question + "x-forwarded-method: HEAD\r\n", 400},
		{"two credentials", "", question + "authorization: Bearer x\r\n", 400},
		{"no target", "", "X-Forwarded-Method: GET\r\n", 400},
		{"no method", "", "X-Forwarded-Uri: /public/\r\n", 400},
		{"an empty target", "", "X-Forwarded-Method: GET\r\nX-Forwarded-Uri:\r\n", 400},
		{"underscores are no hyphens", "", "X_Forwarded_Method: GET\r\nX_Forwarded_Uri: /public/\r\n", 400},
		{"caddy", "/caddy", question, 200},
		{"traefik", "/traefik", question, 200},
		{"nginx, forwarded", "/nginx", question, 200},
		{"nginx, original", "/nginx", strings.ReplaceAll(strings.ReplaceAll(question, "X-Forwarded-Uri", "X-Original-URI"), "X-Forwarded-Method", "X-Original-Method"), 200},
		{"original elsewhere is not read", "", strings.ReplaceAll(question, "X-Forwarded-Uri", "X-Original-URI"), 400},
		{"nginx, both and alike", "/nginx", question + "X-Original-URI: /api/any\r\n", 200},
		{"nginx, both and different: one is the client's", "/nginx", question + "X-Original-URI: /public/\r\n", 400},
		{"nginx, two methods", "/nginx", question + "X-Original-Method: POST\r\n", 400},
	} {
		method := "GET"
		if tc.name == "any method" {
			method = "DELETE"
		}
		a := s.raw(t, method+" /v1/forward-auth"+tc.path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+tc.headers+"\r\n")
		if a.status != tc.status {
			t.Errorf("%s: %v, want %d", tc.name, a, tc.status)
		}
		if a.status >= 400 {
			a.problem(t, tc.name)
		}
	}
}

// Without routes any authenticated caller passes and nobody else.
func TestForwardAuth_WithoutRoutes(t *testing.T) {
	for name, policy := range map[string]string{"built in": "", "no routes section": "version: 1\n"} {
		s := gatewayServer(t, policy)
		_, token := s.signUp(t, "routeless")
		if a := s.ask(t, token, "PATCH", "/anything/at?all=1"); a.status != 200 {
			t.Errorf("%s: %v, want 200", name, a)
		}
		s.ask(t, "", "GET", "/anything").want(t, 401, "AUTHENTICATION_REQUIRED")
	}
}

// An ended session is refused by the very next question.
//
// goal: V7.4.1
func TestForwardAuth_EndedSession(t *testing.T) {
	s := gatewayServer(t, gatewayPolicy)
	_, token := s.signUp(t, "ended")
	for range 3 { // warm, with a signed identity in the cache
		s.ask(t, token, "GET", "/api/any").want(t, 200, "")
	}
	s.post(t, token, "/v1/auth/logout", nil).want(t, 204, "")
	s.ask(t, token, "GET", "/api/any").want(t, 401, "SESSION_REVOKED")
}
