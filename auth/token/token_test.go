package token_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a clock set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// newKey makes a key whose seed is its version, 32 times.
func newKey(version uint32, state makerguard.KeyState) token.Key {
	return token.Key{Version: version, State: state, Private: ed25519.NewKeyFromSeed(slices.Repeat([]byte{byte(version)}, ed25519.SeedSize))}
}

func newRing(t testing.TB, c *clock, keys ...token.Key) *token.Ring {
	t.Helper()
	r, err := token.New(token.Config{Now: c.now, Keys: keys})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

func publicKey(k token.Key) ed25519.PublicKey { return k.Private.Public().(ed25519.PublicKey) }

func someClaims() token.Claims {
	return token.Claims{
		Subject: "mbr_00000000000000000000000000000001", Session: "ses_00000000000000000000000000000002",
		Manufacturer: "mfr_00000000000000000000000000000003", Tier: makerguard.TierProfessional, Role: makerguard.RoleEditor,
		AMR: []string{"pwd", "otp", "mfa"}, AuthTime: start.Add(-time.Minute),
	}
}

func sign(t testing.TB, r *token.Ring, c token.Claims) string {
	t.Helper()
	tok, err := r.Sign(c)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return tok
}

// headerAndClaims decodes the first two parts of a token.
func headerAndClaims(t testing.TB, tok string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(tok, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatalf("decoding part %d: %v", i, err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatalf("decoding part %d: %v", i, err)
		}
	}
	return header, claims
}

func TestSign_WritesTheDocumentedHeaderAndClaims(t *testing.T) {
	key := newKey(1, makerguard.KeyActive)
	r := newRing(t, &clock{at: start.Add(300 * time.Millisecond)}, key)
	c := someClaims()
	c.TokenID = "one"
	header, claims := headerAndClaims(t, sign(t, r, c))
	if diff := cmp.Diff(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": token.Thumbprint(publicKey(key))}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	want := map[string]any{
		"iss": "makerguard", "aud": "makerguard-api", "sub": string(c.Subject), "jti": "one", "client_id": "makerguard",
		"iat": float64(start.Unix()), "nbf": float64(start.Unix()), "exp": float64(start.Add(10 * time.Minute).Unix()),
		"sid": string(c.Session), "mfr": string(c.Manufacturer), "tier": "professional", "role": "editor",
		"amr": []any{"pwd", "otp", "mfa"}, "auth_time": float64(start.Add(-time.Minute).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestVerify_GivesBackWhatWasSigned(t *testing.T) {
	r := newRing(t, &clock{at: start}, newKey(1, makerguard.KeyActive))
	got, err := r.Verify(sign(t, r, someClaims()))
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if len(got.TokenID) < 22 { // 128 bits in base64, and more in anything else
		t.Errorf("TokenID = %q, want at least 128 random bits", got.TokenID)
	}
	want := someClaims()
	want.TokenID = got.TokenID
	want.Issuer, want.Audience = "makerguard", "makerguard-api"
	want.IssuedAt, want.NotBefore, want.Expires = start, start, start.Add(token.MaxLifetime)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// TestVerify_AgreesWithAnotherImplementation has golang-jwt's own maker and parser on the other side.
func TestVerify_AgreesWithAnotherImplementation(t *testing.T) {
	key := newKey(1, makerguard.KeyActive)
	c := &clock{at: start}
	r := newRing(t, c, key)

	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithTimeFunc(c.now), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer("makerguard"), jwt.WithAudience("makerguard-api"), jwt.WithStrictDecoding())
	if _, err := parser.Parse(sign(t, r, someClaims()), func(*jwt.Token) (any, error) { return publicKey(key), nil }); err != nil {
		t.Errorf("golang-jwt parsing our token: %v", err)
	}

	theirs := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims(goodClaims()))
	theirs.Header["typ"], theirs.Header["kid"] = "at+jwt", token.Thumbprint(publicKey(key))
	tok, err := theirs.SignedString(key.Private)
	if err != nil {
		t.Fatalf("SignedString: %v", err)
	}
	if _, err := r.Verify(tok); err != nil {
		t.Errorf("Verify of golang-jwt's token: %v", err)
	}
}

// TestRFC8037 replays appendix A: the key, its thumbprint, and the signature of A.4.
//
// goal: J-3.3
func TestRFC8037(t *testing.T) {
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	key := token.Key{Version: 1, State: makerguard.KeyActive, Private: ed25519.NewKeyFromSeed(seed)}
	r := newRing(t, &clock{at: start}, key)
	const wantJWKS = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",` +
		`"use":"sig","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	if got := string(r.JWKS()); got != wantJWKS {
		t.Errorf("JWKS() = %s, want %s", got, wantJWKS)
	}

	const input, signature = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	sig, err := jwt.SigningMethodEdDSA.Sign(input, key.Private)
	if got := base64.RawURLEncoding.EncodeToString(sig); err != nil || got != signature {
		t.Errorf("signature = %s, %v, want %s", got, err, signature)
	}
	// The signature is good, the token is none of ours: it has no typ and no kid.
	if _, err := r.Verify(input + "." + signature); !errors.Is(err, makerguard.TokenInvalid) {
		t.Errorf("Verify of the example = %v, want TOKEN_INVALID", err)
	}
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": "makerguard", "aud": "makerguard-api", "sub": "mbr_1", "jti": "j", "client_id": "makerguard", "sid": "ses_1", "mfr": "mfr_1",
		"tier": "free", "role": "owner", "amr": []string{"pwd"}, "auth_time": start.Unix(),
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(token.MaxLifetime).Unix(),
	}
}

// times gives the good claims with other times; iat is left out if it is 0.
func times(iat, nbf, exp int64) string {
	c := goodClaims()
	c["iat"], c["nbf"], c["exp"] = iat, nbf, exp
	if iat == 0 {
		delete(c, "iat")
	}
	return toJSON(c)
}

// parts is a token in the making.
type parts struct {
	header string                      // JSON
	claims string                      // JSON
	sign   func(input string) []byte   // makes the signature
	finish func(h, c, s string) string // joins the encoded parts
}

func (p parts) String() string {
	h := base64.RawURLEncoding.EncodeToString([]byte(p.header))
	c := base64.RawURLEncoding.EncodeToString([]byte(p.claims))
	return p.finish(h, c, base64.RawURLEncoding.EncodeToString(p.sign(h+"."+c)))
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// flip changes the last character of an encoded text in the bits that carry no data.
func flip(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])^1])
}

// TestVerify_RefusesForgeries makes one change at a time to a token that passes. All but
// those said to be stolen from somebody else are correctly signed with the ring's own
// key, so that nothing but the rule in question stands in their way.
//
// goal: V9.1.1 V9.1.2 V9.1.3 V9.2.1 V9.2.2 V9.2.3 V9.2.4
// goal: J-3.1 J-3.2 J-3.3 J-3.4 J-3.6 J-3.7 J-3.8 J-3.9 J-3.10 J-3.11 J-3.12
func TestVerify_RefusesForgeries(t *testing.T) {
	own, destroyed, stranger := newKey(1, makerguard.KeyActive), newKey(2, makerguard.KeyDestroyed), newKey(3, makerguard.KeyActive)
	r := newRing(t, &clock{at: start}, own, destroyed)
	kid := token.Thumbprint(publicKey(own))
	signWith := func(k ed25519.PrivateKey) func(string) []byte {
		return func(input string) []byte { return ed25519.Sign(k, []byte(input)) }
	}
	good := func() parts {
		return parts{
			header: `{"alg":"EdDSA","kid":"` + kid + `","typ":"at+jwt"}`,
			claims: toJSON(goodClaims()),
			sign:   signWith(own.Private),
			finish: func(h, c, s string) string { return h + "." + c + "." + s },
		}
	}
	header := func(h string) func(*parts) { return func(p *parts) { p.header = strings.ReplaceAll(h, "KID", kid) } }
	extra := func(member string) func(*parts) {
		return header(`{"alg":"EdDSA","kid":"KID","typ":"at+jwt",` + member + `}`)
	}
	claim := func(name string, value any) func(*parts) {
		return func(p *parts) {
			c := goodClaims()
			c[name] = value
			p.claims = toJSON(c)
		}
	}
	without := func(name string) func(*parts) {
		return func(p *parts) {
			c := goodClaims()
			delete(c, name)
			p.claims = toJSON(c)
		}
	}
	// rawClaim puts JSON text in front of the good claims, without the member it replaces.
	rawClaim := func(member, replaces string) func(*parts) {
		return func(p *parts) {
			c := goodClaims()
			delete(c, replaces)
			p.claims = "{" + member + "," + toJSON(c)[1:]
		}
	}
	finish := func(f func(h, c, s string) string) func(*parts) { return func(p *parts) { p.finish = f } }
	hmacWith := func(secret []byte) func(*parts) {
		return func(p *parts) {
			p.header = `{"alg":"HS256","kid":"` + kid + `","typ":"at+jwt"}`
			p.sign = func(input string) []byte {
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				return mac.Sum(nil)
			}
		}
	}
	noSignature := func(h, c, _ string) string { return h + "." + c + "." }
	strangerJWK := `{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(publicKey(stranger)) + `"}`

	tests := map[string]func(*parts){
		// The algorithm.
		"alg none":                     func(p *parts) { header(`{"alg":"none","kid":"KID","typ":"at+jwt"}`)(p); p.finish = noSignature },
		"alg nOnE":                     func(p *parts) { header(`{"alg":"nOnE","kid":"KID","typ":"at+jwt"}`)(p); p.finish = noSignature },
		"alg none, signature kept":     header(`{"alg":"none","kid":"KID","typ":"at+jwt"}`),
		"signature left out":           finish(noSignature),
		"alg HS256, public key":        hmacWith(publicKey(own)),
		"alg HS256, public key as PEM": hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(own)})),
		"alg HS256, JWKS":              hmacWith(r.JWKS()),
		"alg HS256, no key":            hmacWith(nil),
		"alg ES256":                    header(`{"alg":"ES256","kid":"KID","typ":"at+jwt"}`),
		"alg Ed25519":                  header(`{"alg":"Ed25519","kid":"KID","typ":"at+jwt"}`),
		"alg missing":                  header(`{"kid":"KID","typ":"at+jwt"}`),
		"alg an array":                 header(`{"alg":["EdDSA"],"kid":"KID","typ":"at+jwt"}`),
		"alg twice":                    header(`{"alg":"EdDSA","alg":"none","kid":"KID","typ":"at+jwt"}`),
		"alg in another case":          header(`{"ALG":"EdDSA","kid":"KID","typ":"at+jwt"}`),

		// The type.
		"typ JWT":             header(`{"alg":"EdDSA","kid":"KID","typ":"JWT"}`),
		"typ missing":         header(`{"alg":"EdDSA","kid":"KID"}`),
		"typ of an id token":  header(`{"alg":"EdDSA","kid":"KID","typ":"id+jwt"}`),
		"typ logout token":    header(`{"alg":"EdDSA","kid":"KID","typ":"logout+jwt"}`),
		"typ application/...": header(`{"alg":"EdDSA","kid":"KID","typ":"application/at+jwt"}`),

		// The key.
		"kid missing":           header(`{"alg":"EdDSA","typ":"at+jwt"}`),
		"kid unknown":           header(`{"alg":"EdDSA","kid":"nobody","typ":"at+jwt"}`),
		"kid a path":            header(`{"alg":"EdDSA","kid":"../../../../dev/null","typ":"at+jwt"}`),
		"kid an address":        header(`{"alg":"EdDSA","kid":"https://attacker.example/key","typ":"at+jwt"}`),
		"kid a query":           header(`{"alg":"EdDSA","kid":"x' UNION SELECT 'key","typ":"at+jwt"}`),
		"kid a number":          header(`{"alg":"EdDSA","kid":1,"typ":"at+jwt"}`),
		"a stranger's key, kid": func(p *parts) { p.sign = signWith(stranger.Private) },
		"a stranger's key and kid": func(p *parts) {
			p.header = strings.ReplaceAll(p.header, kid, token.Thumbprint(publicKey(stranger)))
			p.sign = signWith(stranger.Private)
		},
		"a destroyed key": func(p *parts) {
			p.header = strings.ReplaceAll(p.header, kid, token.Thumbprint(publicKey(destroyed)))
			p.sign = signWith(destroyed.Private)
		},
		"key in the header": func(p *parts) { extra(`"jwk":` + strangerJWK)(p); p.sign = signWith(stranger.Private) },

		// The other header members, each of them well signed.
		"jwk":            extra(`"jwk":` + strangerJWK),
		"jku":            extra(`"jku":"https://attacker.example/jwks.json"`),
		"x5u":            extra(`"x5u":"https://attacker.example/cert"`),
		"x5c":            extra(`"x5c":["MII="]`),
		"crit":           extra(`"crit":["exp"],"exp":1`),
		"crit, empty":    extra(`"crit":[]`),
		"b64 false":      extra(`"b64":false,"crit":["b64"]`),
		"zip":            extra(`"zip":"DEF"`),
		"nested":         extra(`"cty":"JWT"`),
		"unknown member": extra(`"foo":1`),
		"header spaced":  header(`{"alg": "EdDSA","kid":"KID","typ":"at+jwt"}`),
		"header long":    extra(`"x":"` + strings.Repeat("a", token.MaxLength) + `"`),

		// The form.
		"two parts":  finish(func(h, c, _ string) string { return h + "." + c }),
		"four parts": finish(func(h, c, s string) string { return h + "." + c + "." + s + "." }),
		"five parts": finish(func(h, c, s string) string { return h + "." + c + ".." + s + ".AA" }),
		"JSON serialisation": finish(func(h, c, s string) string {
			return toJSON(map[string]string{"protected": h, "payload": c, "signature": s})
		}),
		"padding":            finish(func(h, c, s string) string { return h + "." + c + "." + s + "==" }),
		"stray bits":         finish(func(h, c, s string) string { return h + "." + c + "." + flip(s) }),
		"newline at the end": finish(func(h, c, s string) string { return h + "." + c + "." + s + "\n" }),
		"newline within":     finish(func(h, c, s string) string { return h + "." + c + "." + s[:10] + "\r\n" + s[10:] }),
		"space before":       finish(func(h, c, s string) string { return " " + h + "." + c + "." + s }),
		"standard alphabet": func(p *parts) {
			p.finish = func(h, c, s string) string {
				// Signed with a claim whose encoding has both characters that differ.
				return h + "." + strings.NewReplacer("-", "+", "_", "/").Replace(c) + "." + s
			}
			claim("tier", "???>>>???>>>")(p)
		},
		"claims changed":     finish(func(h, c, s string) string { return h + "." + flip(c[:len(c)-4]) + c[len(c)-4:] + "." + s }),
		"signature of zeros": func(p *parts) { p.sign = func(string) []byte { return make([]byte, 64) } },
		"signature cut":      func(p *parts) { f := p.sign; p.sign = func(in string) []byte { return f(in)[:63] } },
		"signature longer":   func(p *parts) { f := p.sign; p.sign = func(in string) []byte { return append(f(in), 0) } },
		"too long":           claim("tier", strings.Repeat("a", token.MaxLength)),

		// The claims.
		"claims not JSON":      func(p *parts) { p.claims = "exp" },
		"claims an array":      func(p *parts) { p.claims = "[" + p.claims + "]" },
		"claims null":          func(p *parts) { p.claims = "null" },
		"claims twice":         func(p *parts) { p.claims += p.claims },
		"claims empty":         func(p *parts) { p.claims = "" },
		"sub twice":            rawClaim(`"sub":"mbr_victim"`, ""),
		"unknown claim twice":  rawClaim(`"x":1,"x":2`, ""),
		"sub not UTF-8":        rawClaim("\"sub\":\"mbr_\xff\"", "sub"),
		"sub a lone surrogate": rawClaim(`"sub":"\ud800"`, "sub"),
		"sub missing":          without("sub"),
		"sub empty":            claim("sub", ""),
		"sub a number":         claim("sub", 7),
		"sub in another case":  func(p *parts) { without("sub")(p); p.claims = `{"SUB":"mbr_1",` + p.claims[1:] },
		"sid missing":          without("sid"),
		"mfr missing":          without("mfr"),
		"jti missing":          without("jti"),
		"client_id missing":    without("client_id"),
		"client_id foreign":    claim("client_id", "other"),
		"iss missing":          without("iss"),
		"iss foreign":          claim("iss", "makerguard2"),
		"iss in another case":  claim("iss", "Makerguard"),
		"iss an array":         claim("iss", []string{"makerguard"}),
		"aud missing":          without("aud"),
		"aud foreign":          claim("aud", "makerguard-ap"),
		"aud empty":            claim("aud", ""),
		"aud null":             claim("aud", nil),
		"aud an array":         claim("aud", []string{"makerguard-api"}),
		"aud of two":           claim("aud", []string{"makerguard-api", "other"}),
		"exp missing":          without("exp"),
		"exp null":             claim("exp", nil),
		"exp a string":         claim("exp", fmt.Sprint(start.Add(time.Minute).Unix())),
		"exp a fraction":       claim("exp", 1893553445.5),
		"exp infinite":         rawClaim(`"exp":1e999`, "exp"),
		"exp over 64 bits":     rawClaim(`"exp":18446744073709551616`, "exp"),
		"exp far away":         rawClaim(`"exp":9223372036854775807`, "exp"),
		"exp negative":         claim("exp", -1),
		"iat missing":          without("iat"),
		"iat a string":         claim("iat", "now"),
		"iat negative":         claim("iat", -1),
		"iat beyond the skew":  claim("iat", start.Add(31*time.Second).Unix()),
		"iat too long ago":     claim("iat", start.Add(-time.Second).Unix()),
		"nbf missing":          without("nbf"),
		"nbf a string":         claim("nbf", "now"),
		"nbf beyond the skew":  claim("nbf", start.Add(31*time.Second).Unix()),
		"nbf after exp":        claim("nbf", start.Add(token.MaxLifetime).Unix()),
		"auth_time a string":   claim("auth_time", "now"),
		"auth_time negative":   claim("auth_time", -1),
		"amr a string":         claim("amr", "mfa"),
		// These have expired as well, but are no good tokens that have.
		"iat missing, exp early": func(p *parts) { p.claims = times(0, 1, 300) },
		"exp not after iat":      func(p *parts) { p.claims = times(200, 100, 200) },
		"expired and foreign":    func(p *parts) { p.claims = strings.Replace(times(1, 1, 2), `"makerguard-api"`, `"other"`, 1) },
	}
	if _, err := r.Verify(good().String()); err != nil {
		t.Fatalf("Verify of the token that all forgeries start from: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			p := good()
			tests[name](&p)
			tok := p.String()
			if tok == good().String() {
				t.Fatal("the forgery is the good token")
			}
			claims, err := r.Verify(tok)
			if got := makerguard.CodeOf(err); got != makerguard.TokenInvalid {
				t.Errorf("Verify = %v, want TOKEN_INVALID", err)
			}
			if diff := cmp.Diff(token.Claims{}, claims); diff != "" {
				t.Errorf("Verify gave claims of a refused token: %s", diff)
			}
		})
	}
	t.Logf("%d forgeries refused", len(tests))
}

// TestVerify_RefusesPublishedTokens replays well-formed examples of the standards.
//
// goal: J-3.3 J-3.4
func TestVerify_RefusesPublishedTokens(t *testing.T) {
	r := newRing(t, &clock{at: start}, newKey(1, makerguard.KeyActive))
	for name, tok := range map[string]string{
		"RFC 7515 A.1": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"RFC 7515 A.5": "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
		"empty":        "",
		"dots":         "..",
		"many dots":    strings.Repeat(".", token.MaxLength),
		"NUL":          "\x00.\x00.\x00",
	} {
		if _, err := r.Verify(tok); !errors.Is(err, makerguard.TokenInvalid) {
			t.Errorf("Verify(%s) = %v, want TOKEN_INVALID", name, err)
		}
	}
}

// goal: V9.2.1
func TestVerify_TimesHoldToTheSecond(t *testing.T) {
	c := &clock{at: start}
	r := newRing(t, c, newKey(1, makerguard.KeyActive))
	tok := sign(t, r, someClaims())
	for _, tt := range []struct {
		after time.Duration
		want  makerguard.Code
	}{
		{-31 * time.Second, makerguard.TokenInvalid},
		{-30*time.Second - time.Millisecond, makerguard.TokenInvalid},
		{-30 * time.Second, ""},
		{0, ""},
		{10*time.Minute - time.Millisecond, ""},
		{10 * time.Minute, makerguard.TokenExpired},
		{24 * time.Hour, makerguard.TokenExpired},
	} {
		c.at = start.Add(tt.after)
		if _, err := r.Verify(tok); makerguard.CodeOf(err) != tt.want {
			t.Errorf("Verify %v after it was issued = %v, want code %q", tt.after, err, tt.want)
		}
	}
}

// goal: V9.2.3 V9.2.4 J-3.8 J-3.12
func TestVerify_RingsDoNotAcceptOneAnothersTokens(t *testing.T) {
	keys := []token.Key{newKey(1, makerguard.KeyActive)}
	var rings []*token.Ring
	for _, c := range []token.Config{{}, {Issuer: "other"}, {Audience: "other"}, {Issuer: "other", Audience: "other"}} {
		c.Keys, c.Now = keys, (&clock{at: start}).now
		r, err := token.New(c)
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		rings = append(rings, r)
	}
	for i, signer := range rings {
		tok := sign(t, signer, someClaims())
		for j, verifier := range rings {
			if _, err := verifier.Verify(tok); (err == nil) != (i == j) {
				t.Errorf("ring %d verifying a token of ring %d: %v", j, i, err)
			}
		}
	}
}

func TestVerify_PassesOverClaimsOfOtherVersions(t *testing.T) {
	key := newKey(1, makerguard.KeyActive)
	r := newRing(t, &clock{at: start}, key)
	c := goodClaims()
	c["from_the_future"] = map[string]any{"a": []int{1}}
	head, _, _ := strings.Cut(sign(t, r, someClaims()), ".")
	input := head + "." + base64.RawURLEncoding.EncodeToString([]byte(toJSON(c)))
	tok := input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.Private, []byte(input)))
	if _, err := r.Verify(tok); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestSign_RefusesWhatVerifyWould(t *testing.T) {
	r := newRing(t, &clock{at: start}, newKey(1, makerguard.KeyActive))
	for name, change := range map[string]func(*token.Claims){
		"no subject":        func(c *token.Claims) { c.Subject = "" },
		"no session":        func(c *token.Claims) { c.Session = "" },
		"no manufacturer":   func(c *token.Claims) { c.Manufacturer = "" },
		"foreign issuer":    func(c *token.Claims) { c.Issuer = "other" },
		"too long a life":   func(c *token.Claims) { c.Expires = start.Add(token.MaxLifetime + time.Second) },
		"no life":           func(c *token.Claims) { c.Expires = start },
		"valid after death": func(c *token.Claims) { c.NotBefore = start.Add(token.MaxLifetime) },
		"before 1970":       func(c *token.Claims) { c.IssuedAt = time.Unix(-1, 0) },
		"auth before 1970":  func(c *token.Claims) { c.AuthTime = time.Unix(-1, 0) },
		"not UTF-8":         func(c *token.Claims) { c.Subject = "mbr_\xff" },
		"too long":          func(c *token.Claims) { c.AMR = []string{strings.Repeat("a", token.MaxLength)} },
	} {
		c := someClaims()
		change(&c)
		if tok, err := r.Sign(c); err == nil || makerguard.CodeOf(err) != makerguard.Internal {
			t.Errorf("%s: Sign = %q, %v, want an internal error", name, tok, err)
		}
	}
}

// TestSign_VerifyIsTheInverse has every token that Sign gives pass Verify, with the claims it was given.
func TestSign_VerifyIsTheInverse(t *testing.T) {
	r := newRing(t, &clock{at: start}, newKey(1, makerguard.KeyActive))
	text := rapid.StringN(1, 20, 100)
	rapid.Check(t, func(t *rapid.T) {
		issued := start.Add(time.Duration(rapid.IntRange(-500, 30).Draw(t, "issued")) * time.Second)
		want := token.Claims{
			Issuer: "makerguard", Audience: "makerguard-api",
			Subject: makerguard.MemberID(text.Draw(t, "sub")), TokenID: text.Draw(t, "jti"), Session: makerguard.SessionID(text.Draw(t, "sid")),
			Manufacturer: makerguard.ManufacturerID(text.Draw(t, "mfr")), Tier: makerguard.Tier(rapid.String().Draw(t, "tier")),
			Role: makerguard.Role(rapid.String().Draw(t, "role")), AMR: rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "amr"),
			IssuedAt: issued, NotBefore: issued, Expires: issued.Add(token.MaxLifetime),
		}
		tok, err := r.Sign(want)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		got, err := r.Verify(tok)
		if err != nil {
			t.Fatalf("Verify: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("claims (-want +got):\n%s", diff)
		}
	})
}
