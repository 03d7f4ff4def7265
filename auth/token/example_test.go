package token_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

func Example() {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	ring, err := token.New(token.Config{Keys: []token.Key{{Version: 1, State: makerguard.KeyActive, Private: private}}})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := ring.Sign(token.Claims{Subject: "mbr_1", Session: "ses_1", Manufacturer: "mfr_1"})
	if err != nil {
		log.Fatal(err)
	}

	claims, err := ring.Verify(tok)
	fmt.Println(claims.Subject, claims.Expires.Sub(claims.IssuedAt), err)
	_, err = ring.Verify(tok + "x")
	fmt.Println(errors.Is(err, makerguard.TokenInvalid))
	// Output:
	// mbr_1 10m0s <nil>
	// true
}
