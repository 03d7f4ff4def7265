package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

// FuzzVerify has a token accepted only if it is, byte for byte, what our key gives for
// its first two parts.
func FuzzVerify(f *testing.F) {
	key := newKey(1, makerguard.KeyActive)
	r := newRing(f, &clock{at: start}, key)
	good := sign(f, r, someClaims())
	for _, seed := range []string{good, good + ".", strings.ToLower(good), strings.Replace(good, ".", "..", 1), good[:len(good)-1], "..", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		if _, err := r.Verify(tok); err != nil {
			if makerguard.CodeOf(err) != makerguard.TokenInvalid {
				t.Fatalf("Verify(%q) = %v, want TOKEN_INVALID", tok, err)
			}
			return
		}
		input, sig := tok[:strings.LastIndexByte(tok, '.')], tok[strings.LastIndexByte(tok, '.')+1:]
		// Ed25519 is deterministic, so there is one signature we could have made.
		if want := base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.Private, []byte(input))); sig != want {
			t.Fatalf("Verify accepted %q, which we did not sign", tok)
		}
	})
}

// FuzzVerify_SignedClaims signs any payload with our key. Whatever is accepted keeps the
// rules, and means the same after it is signed again.
func FuzzVerify_SignedClaims(f *testing.F) {
	key := newKey(1, makerguard.KeyActive)
	r := newRing(f, &clock{at: start}, key)
	head, _, _ := strings.Cut(sign(f, r, someClaims()), ".")
	f.Add([]byte(toJSON(goodClaims())))
	f.Add([]byte(`{"iss":"makerguard","iss":"makerguard"}`))
	f.Add([]byte(`{"exp":1e400}`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		input := head + "." + base64.RawURLEncoding.EncodeToString(payload)
		got, err := r.Verify(input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.Private, []byte(input))))
		if err != nil {
			return
		}
		if got.Issuer != "makerguard" || got.Audience != "makerguard-api" || got.Subject == "" || got.Session == "" || got.Manufacturer == "" ||
			got.Expires.Sub(got.IssuedAt) > token.MaxLifetime || !start.Before(got.Expires) || got.NotBefore.After(start.Add(30*time.Second)) {
			t.Fatalf("Verify accepted the claims %q", payload)
		}
		again, err := r.Verify(sign(t, r, got))
		if err != nil {
			t.Fatalf("Verify after signing again: %v", err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("claims after signing again (-first +second):\n%s", diff)
		}
	})
}
