package token_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/makerguard/makerguard"
)

// compare runs ours and bare by turns, so that a busy machine slows both alike, and
// reports how many times as long ours takes.
func compare(b *testing.B, bare, ours func()) {
	b.ReportAllocs()
	var inBare, inOurs time.Duration
	for b.Loop() {
		start := time.Now()
		bare()
		middle := time.Now()
		ours()
		inBare += middle.Sub(start)
		inOurs += time.Since(middle)
	}
	b.ReportMetric(float64(inBare.Nanoseconds())/float64(b.N), "bare-ns/op")
	b.ReportMetric(float64(inOurs.Nanoseconds())/float64(b.N), "ours-ns/op")
	b.ReportMetric(float64(inOurs)/float64(inBare), "x-bare")
}

// BenchmarkVerify puts Verify, then golang-jwt's parser, beside the signature check that
// neither can do without. Target: at most 1.25 x.
func BenchmarkVerify(b *testing.B) {
	key := newKey(1, makerguard.KeyActive)
	c := &clock{at: start}
	r := newRing(b, c, key)
	tok := sign(b, r, someClaims())
	pub, input := publicKey(key), []byte(tok[:strings.LastIndexByte(tok, '.')])
	sig := ed25519.Sign(key.Private, input)
	bare := func() {
		if !ed25519.Verify(pub, input, sig) {
			b.Fatal("not verified")
		}
	}
	b.Run("side=ring", func(b *testing.B) {
		compare(b, bare, func() {
			if _, err := r.Verify(tok); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("side=golang-jwt", func(b *testing.B) {
		parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithTimeFunc(c.now))
		compare(b, bare, func() {
			if _, err := parser.Parse(tok, func(*jwt.Token) (any, error) { return pub, nil }); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// BenchmarkSign puts Sign beside the signature that it cannot do without. Target: at
// most 1.6 x.
func BenchmarkSign(b *testing.B) {
	key := newKey(1, makerguard.KeyActive)
	r := newRing(b, &clock{at: start}, key)
	claims := someClaims()
	tok := sign(b, r, claims)
	input := []byte(tok[:strings.LastIndexByte(tok, '.')])
	compare(b, func() { ed25519.Sign(key.Private, input) }, func() {
		if _, err := r.Sign(claims); err != nil {
			b.Fatal(err)
		}
	})
}
