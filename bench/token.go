package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
)

func tokenRows() []row {
	return []row{
		{
			path: "validate a token, warm", against: "golang-jwt verifying it",
			target:  target{relation: timesFaster, bound: 50, allocs: 1},
			measure: comparison(oneCore, 1, warmValidation),
		},
		{
			path: "validate a token, cold", against: "ed25519.Verify",
			target:  target{relation: timesAsLong, bound: 1.25, allocs: anyAllocs},
			measure: comparison(oneCore, 1, coldValidation),
		},
		{
			path: "mint a token", against: "ed25519.Sign",
			target:  target{relation: timesAsLong, bound: 1.6, allocs: anyAllocs},
			measure: comparison(oneCore, 1, minting),
		},
	}
}

// signedIn opens a makerguard with one tenant and checks that it tells good tokens from
// bad ones and live sessions from ended ones.
func signedIn(l *lab) (*guard.Guard, *tenant, ed25519.PublicKey, error) {
	g, err := l.guard()
	if err != nil {
		return nil, nil, nil, err
	}
	t, err := signUp(l, g, "lunettes")
	if err != nil {
		return nil, nil, nil, err
	}
	ended, err := t.signIn(l, g)
	if err != nil {
		return nil, nil, nil, err
	}
	p, err := g.Auth.Authenticate(l.ctx, ended)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := g.Auth.Logout(l.ctx, p, client); err != nil {
		return nil, nil, nil, err
	}
	_, good := g.Auth.Authenticate(l.ctx, t.access)
	_, bad := g.Auth.Authenticate(l.ctx, forged(t.access))
	_, over := g.Auth.Authenticate(l.ctx, ended)
	pub, err := publicKey(g.Tokens.JWKS())
	return g, t, pub, errors.Join(err,
		want("a good token", good, ""),
		want("a forged token", bad, makerguard.TokenInvalid),
		want("a token of an ended session", over, makerguard.SessionRevoked))
}

// forged changes a token's payload and keeps its signature.
func forged(tok string) string {
	parts := strings.Split(tok, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return tok // which then is accepted, and noticed
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"free"`, `"enterprise"`, 1)))
	return strings.Join(parts, ".")
}

// publicKey reads the only key of a key set.
func publicKey(jwks []byte) (ed25519.PublicKey, error) {
	var set struct {
		Keys []struct{ X string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(set.Keys) != 1 {
		return nil, fmt.Errorf("the key set has %d keys, want 1", len(set.Keys))
	}
	return base64.RawURLEncoding.DecodeString(set.Keys[0].X)
}

// warmValidation is a token that was seen before. The other side checks only the token;
// ours asks besides whether its session lives.
func warmValidation(l *lab) (ours, theirs side, err error) {
	g, t, pub, err := signedIn(l)
	if err != nil {
		return ours, theirs, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return pub, nil }
	verify := func(tok string) (string, error) {
		var claims jwt.RegisteredClaims
		_, err := parser.ParseWithClaims(tok, &claims, key)
		return claims.Subject, err
	}
	if _, err := verify(forged(t.access)); !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		return ours, theirs, fmt.Errorf("golang-jwt answers a forged token with %v", err)
	}
	ours = each(func() error {
		p, err := g.Auth.Authenticate(l.ctx, t.access)
		if err == nil && p.MemberID != t.principal.MemberID {
			err = errors.New("the token is somebody else's")
		}
		return err
	})
	theirs = each(func() error {
		subject, err := verify(t.access)
		if err == nil && subject != string(t.principal.MemberID) {
			err = errors.New("the token is somebody else's")
		}
		return err
	})
	return ours, theirs, nil
}

// coldValidation is tokens that were not seen before, each used once.
func coldValidation(l *lab) (ours, theirs side, err error) {
	g, t, pub, err := signedIn(l)
	if err != nil {
		return ours, theirs, err
	}
	var tokens []string
	ours.prepare = func(n int) error {
		tokens = tokens[:0]
		for range n {
			tok, err := g.Tokens.Sign(t.claims())
			if err != nil {
				return err
			}
			tokens = append(tokens, tok)
		}
		return nil
	}
	ours.run = func(int) error {
		for _, tok := range tokens {
			p, err := g.Auth.Authenticate(l.ctx, tok)
			if err != nil {
				return err
			}
			if p.MemberID != t.principal.MemberID {
				return errors.New("the token is somebody else's")
			}
		}
		return nil
	}
	input, sig, err := split(t.access)
	if err != nil {
		return ours, theirs, err
	}
	if ed25519.Verify(pub, []byte(forged(t.access)[:len(input)]), sig) {
		return ours, theirs, errors.New("ed25519.Verify takes a forged token")
	}
	theirs = each(func() error {
		if !ed25519.Verify(pub, input, sig) {
			return errors.New("the signature is not good")
		}
		return nil
	})
	return ours, theirs, nil
}

// split gives what a token's signature is over, and the signature.
func split(tok string) (input, sig []byte, err error) {
	dot := strings.LastIndexByte(tok, '.')
	sig, err = base64.RawURLEncoding.DecodeString(tok[dot+1:])
	return []byte(tok[:dot]), sig, err
}

func minting(l *lab) (ours, theirs side, err error) {
	g, t, pub, err := signedIn(l)
	if err != nil {
		return ours, theirs, err
	}
	var last string // of our tokens, looked at when all were made
	ours = each(func() (err error) {
		last, err = g.Tokens.Sign(t.claims())
		return err
	})
	l.finally(func() error {
		input, sig, err := split(last)
		if err == nil && !ed25519.Verify(pub, input, sig) {
			err = errors.New("a token we minted has no good signature")
		}
		_, accepted := g.Auth.Authenticate(l.ctx, last)
		return errors.Join(err, want("a token we minted", accepted, ""))
	})
	input, _, err := split(t.access)
	if err != nil {
		return ours, theirs, err
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return ours, theirs, err
	}
	theirs = each(func() error {
		if sig := ed25519.Sign(private, input); len(sig) != ed25519.SignatureSize {
			return errors.New("no signature")
		}
		return nil
	})
	return ours, theirs, nil
}
