package integration

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// After everything people do with it, none of their secrets is in what makerguard writes: not in
// the log at its most talkative, not in metrics, not in answers to mistakes, not in the
// database, its write-ahead log or what was deleted from it.
//
// goal: V16.2.5 V14.1.2 V14.2.4 V11.4.2 — a canary in every place a secret has.
func TestCanary(t *testing.T) {
	s := start(t, "", "--log-level", "debug", "--trusted-proxies", "127.0.0.1")
	operator := s.operator(t)
	secrets := map[string]string{} // what it is -> what must not occur
	keep := func(what, secret string) string {
		if len(secret) < 8 {
			t.Fatalf("%s is %q: too short to look for", what, secret)
		}
		secrets[what] = secret
		return secret
	}
	var mistakes []answer // answers that go to people who got something wrong
	wrong := func(a answer, code string) { mistakes = append(mistakes, a.want(t, a.status, code)) }
	passphrase := keep("password", "canary wren 7f3a under the eaves")
	const email = "canary@maker.example"
	manufacturer := s.post(t, "", "/v1/manufacturers", m{"email": email, "password": passphrase, "company_name": "Canary", "country": "FR"}).want(t, 201, "").str("manufacturer", "id")
	s.setTier(t, operator, account{manufacturer: manufacturer}, "enterprise")
	keep("operator's token", operator)

	wrong(s.post(t, "", "/v1/auth/login", m{"email": email, "password": keep("wrong password", "canary guess 9c1e is wrong")}), "INVALID_CREDENTIALS")
	wrong(s.post(t, "", "/v1/auth/login", `{"email":"`+email+`","password":"`+keep("password in a broken body", "canary broken 55d1 body")+`"`), "MALFORMED_REQUEST")
	// The answer names the member that is not known; the log does not.
	s.post(t, "", "/v1/auth/login", m{"email": email, "password": passphrase, keep("password as a member's name", "canary name 31b7"): 1}).want(t, 400, "MALFORMED_REQUEST")
	wrong(s.post(t, "", "/v1/manufacturers", m{"email": "c2@maker.example", "password": keep("weak", "canary12"), "company_name": "C", "country": "FR"}), "VALIDATION_FAILED")
	in := s.post(t, "", "/v1/auth/login", m{"email": email, "password": passphrase}).want(t, 200, "")
	token := keep("access token", in.str("access_token"))
	keep("refresh token", in.str("refresh_token"))
	keep("device token", in.str("device_token"))
	wrong(s.get(t, keep("junk token", "canary-token-b0a1d5c2"), "/v1/me"), "TOKEN_INVALID")
	wrong(s.post(t, "", "/v1/auth/refresh", m{"refresh_token": keep("junk refresh token", "mgr_canary-1b2c3d4e5f")}), "TOKEN_INVALID")

	enrol := s.post(t, token, "/v1/auth/mfa/totp", nil).want(t, 200, "")
	secret := keep("TOTP secret", enrol.str("secret"))
	wrong(s.post(t, token, "/v1/auth/mfa/totp/confirm", m{"code": keep("wrong code", "canary99")}), "MFA_INVALID")
	for i, c := range s.post(t, token, "/v1/auth/mfa/totp/confirm", m{"code": code6(t, secret, -1)}).want(t, 200, "").list("recovery_codes") {
		keep("recovery code "+string(rune('0'+i)), c.(string))
	}
	ticket := keep("mfa token", s.post(t, "", "/v1/auth/login", m{"email": email, "password": passphrase}).want(t, 200, "").str("mfa_token"))
	verified := s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": ticket, "method": "recovery_code", "code": secrets["recovery code 3"]}).want(t, 200, "")
	keep("second access token", verified.str("access_token"))
	keep("second refresh token", verified.str("refresh_token"))
	next := s.post(t, "", "/v1/auth/refresh", m{"refresh_token": verified.str("refresh_token")}).want(t, 200, "")
	keep("third refresh token", next.str("refresh_token"))
	third := s.post(t, "", "/v1/auth/refresh", m{"refresh_token": next.str("refresh_token")}).want(t, 200, "")
	keep("fourth refresh token", third.str("refresh_token"))
	token = keep("fourth access token", third.str("access_token"))
	stepped := s.post(t, token, "/v1/auth/step-up", m{"code": code6(t, secret, 0)}).want(t, 200, "")
	token = keep("access token after step-up", stepped.str("access_token"))
	s.post(t, token, "/v1/auth/password/change", m{"current_password": passphrase, "new_password": keep("new password", "canary finch 2b8d by the well")}).want(t, 204, "")

	data := keep("sealed data", "canary-iban-DE89370400440532013000")
	place := m{"record": "r", "field": "f"}
	sealed := s.post(t, token, "/v1/encryption/encrypt", m{"data": data, "context": place}).want(t, 200, "").str("ciphertext")
	s.post(t, token, "/v1/encryption/decrypt", m{"ciphertext": sealed, "context": place}).want(t, 200, "")
	wrong(s.post(t, token, "/v1/encryption/decrypt", m{"ciphertext": sealed}), "DECRYPTION_FAILED")
	record := keep("vault record", "canary-bank-details-4711-0815")
	for _, name := range []string{"bank", "gone"} {
		s.do(t, request{method: http.MethodPut, path: "/v1/vault/" + name, token: token, body: m{"data": m{"account": record}}}).want(t, 200, "")
		s.get(t, token, "/v1/vault/"+name).want(t, 200, "")
	}
	s.do(t, request{method: http.MethodDelete, path: "/v1/vault/gone", token: token}).want(t, 204, "")
	// What is inspected is evidence at most: a short fragment that matched, never the rest.
	long := keep("rest of an inspected text", "canary-beside-the-attack")
	s.post(t, token, "/v1/security/inspect", m{"inputs": []m{{"name": "q", "value": long + strings.Repeat(" clean words", 20) + " 1' OR '1'='1' -- "}}}).want(t, 200, "")

	identity := s.ask(t, token, "GET", "/x").want(t, 200, "").header.Get("X-Makerguard-Identity")
	keep("identity token", identity)
	wrong(s.do(t, request{method: http.MethodGet, path: "/v1/forward-auth", header: map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/x?q=%3Cscript%3Ealert(1)%3C/script%3E", "Authorization": "Bearer " + token, "Cookie": "session=" + keep("cookie", "canary-cookie-77aa12"),
	}}), "SECURITY_THREAT_DETECTED")
	wrong(s.get(t, "", "/v1/me?access_token="+keep("token in a query", "canary-query-token-0d9e")), "AUTHENTICATION_REQUIRED") // goal: V14.2.1
	s.do(t, request{method: http.MethodPost, path: "/v1/auth/introspect", token: token, body: "token=" + token, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}).want(t, 200, "")
	metrics := s.get(t, operator, "/metrics").want(t, 200, "")
	lists := []answer{s.get(t, token, "/v1/audit?limit=200"), s.get(t, token, "/v1/security/threats"), s.get(t, token, "/v1/auth/sessions"), s.get(t, token, "/v1/vault")}
	s.post(t, token, "/v1/auth/logout", nil).want(t, 204, "")

	key, err := os.ReadFile(filepath.Join(s.data, "keys", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range textsIn(t, key) {
		if len(text) >= 32 {
			keep("root key "+text[:4], text)
		}
	}

	places := map[string][]byte{"metrics": metrics.raw}
	for i, a := range mistakes {
		places["mistake "+string(rune('a'+i))] = a.raw
	}
	for i, a := range lists {
		places["list "+string(rune('a'+i))] = a.ok(t).raw
	}
	database := func(when string) {
		for name, b := range stored(t, s.data) {
			places[when+" "+name] = b
		}
	}
	database("running")
	s.stop()
	database("stopped")
	places["log"] = []byte(s.out.String())
	holdsEmail := func(place string) bool { return bytes.Contains(places["stopped "+place], []byte(email)) }
	isStored := holdsEmail("makerguard.db") || holdsEmail("makerguard.db-wal") || holdsEmail("manufacturer_members")
	if !bytes.Contains(places["log"], []byte(`"path":"/v1/auth/login"`)) || !isStored {
		t.Fatal("neither log nor database has what they must have: this test looks at the wrong places")
	}
	for where, content := range places {
		for what, secret := range secrets {
			for how, form := range map[string]string{"as it is": secret, "in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "without hyphens": strings.ReplaceAll(secret, "-", "")} {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s: the %s is there, %s", where, what, how)
				}
			}
		}
		if raw, err := base32Secret(secret); err != nil || bytes.Contains(content, raw) {
			t.Errorf("%s: the TOTP seed is there in bytes (%v)", where, err)
		}
	}
	t.Logf("%d secrets looked for in %d places", len(secrets), len(places))
}

// textsIn gives all text values of a JSON document.
func textsIn(t *testing.T, doc []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	var texts []string
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case string:
			texts = append(texts, x)
		case []any:
			for _, e := range x {
				walk(e)
			}
		case map[string]any:
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(v)
	return texts
}

func base32Secret(s string) ([]byte, error) {
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s)
}
