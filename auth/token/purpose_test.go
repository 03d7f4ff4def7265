package token_test

import (
	"errors"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

// goal: V9.2.2 J-3.11 J-3.12 — tokens of one key set but different purposes are not interchangeable.
func TestRing_TokensOfAnotherTypeAreRefused(t *testing.T) {
	keys := []token.Key{newKey(1, makerguard.KeyActive)}
	ring := func(typ string) *token.Ring {
		r, err := token.New(token.Config{Type: typ, Keys: keys, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	access, identity := ring(""), ring("mg-identity+jwt")
	claims := token.Claims{Subject: "mbr_1", Session: "ses_1", Manufacturer: "mfr_1"}
	for name, pair := range map[string][2]*token.Ring{"access as identity": {access, identity}, "identity as access": {identity, access}} {
		tok, err := pair[0].Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair[0].Verify(tok); err != nil {
			t.Errorf("%s: Verify by its own ring = %v, want it accepted", name, err)
		}
		if _, err := pair[1].Verify(tok); !errors.Is(err, makerguard.TokenInvalid) {
			t.Errorf("%s: Verify = %v, want TOKEN_INVALID", name, err)
		}
	}
}

func TestNew_RefusesATypeThatBreaksTheHeader(t *testing.T) {
	_, err := token.New(token.Config{Type: `x","alg":"none`, Keys: []token.Key{newKey(1, makerguard.KeyActive)}})
	if err == nil {
		t.Error("New accepts a type that adds members to the header")
	}
}
