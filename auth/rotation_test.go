package auth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/token"
)

// TestAuthenticate_ReadsTheKeysForATokenOfANewerKey has another node sign with a key that this
// one has not heard of: it asks once, and refuses nobody.
func TestAuthenticate_ReadsTheKeysForATokenOfANewerKey(t *testing.T) {
	var ring *token.Ring
	var asked atomic.Int32
	var away atomic.Bool
	newer := token.Key{Version: 2, State: makerguard.KeyActive, Private: ed25519.NewKeyFromSeed(key(8))}
	older := token.Key{Version: 1, State: makerguard.KeyRetiring, Private: ed25519.NewKeyFromSeed(key(9))}
	w := newWorld(t, func(c *auth.Config) {
		ring = c.Tokens
		c.RefreshKeys = func(context.Context) error {
			asked.Add(1)
			if away.Load() {
				return makerguard.StoreUnavailable
			}
			return ring.SetKeys([]token.Key{newer, older})
		}
	})
	w.manufacturer("a@maker.example", makerguard.TierFree)
	in := w.login("a@maker.example")
	claims, err := ring.Verify(string(in.Tokens.Access))
	if err != nil {
		t.Fatal(err)
	}
	other, err := token.New(token.Config{Now: w.clock.now, Keys: []token.Key{newer}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := other.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}

	away.Store(true)
	if _, err := w.Authenticate(t.Context(), tok); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Authenticate while the keys cannot be read = %v, want STORE_UNAVAILABLE", err)
	}
	away.Store(false)
	w.authenticate(makerguard.Secret(tok))
	if n := asked.Load(); n != 2 {
		t.Errorf("the keys were asked for %d times, want 2", n)
	}
	w.authenticate(in.Tokens.Access)
	w.authenticate(makerguard.Secret(tok))
	for _, bad := range []string{"", "x", tok + "x", tok[:len(tok)-4]} {
		if _, err := w.Authenticate(t.Context(), bad); !errors.Is(err, makerguard.TokenInvalid) {
			t.Errorf("Authenticate(%.20q) = %v, want TOKEN_INVALID", bad, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("known keys and rubbish made it ask %d times, want still 2", n)
	}
}
