package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

// signerOf gives the version of the key that signed tok.
func signerOf(t *testing.T, tok string, keys ...token.Key) uint32 {
	t.Helper()
	header, _ := headerAndClaims(t, tok)
	for _, k := range keys {
		if header["kid"] == token.Thumbprint(publicKey(k)) {
			return k.Version
		}
	}
	t.Fatalf("token has kid %v, which is none of the keys", header["kid"])
	return 0
}

func published(t *testing.T, r *token.Ring) []string {
	t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatalf("JWKS: %v", err)
	}
	ids := []string{}
	for _, k := range set.Keys {
		if _, ok := k["d"]; ok {
			t.Error("JWKS holds a private key")
		}
		ids = append(ids, k["kid"])
	}
	return ids
}

// TestSetKeys_RotationRefusesNobody walks a key through its life on two nodes, the
// second of which learns of each step later.
func TestSetKeys_RotationRefusesNobody(t *testing.T) {
	c := &clock{at: start}
	v1, v2 := newKey(1, makerguard.KeyActive), newKey(2, makerguard.KeyPublished)
	a, b := newRing(t, c, v1), newRing(t, c, v1)
	set := func(r *token.Ring, keys ...token.Key) {
		t.Helper()
		if err := r.SetKeys(keys); err != nil {
			t.Fatalf("SetKeys: %v", err)
		}
	}
	check := func(step string, onA, onB uint32) {
		t.Helper()
		for name, x := range map[string]struct {
			ring *token.Ring
			want uint32
		}{"the first node": {a, onA}, "the second node": {b, onB}} {
			tok := sign(t, x.ring, someClaims())
			if got := signerOf(t, tok, v1, v2); got != x.want {
				t.Errorf("%s: %s signs with version %d, want %d", step, name, got, x.want)
			}
			for _, r := range []*token.Ring{a, b} {
				if _, err := r.Verify(tok); err != nil {
					t.Errorf("%s: Verify of what %s signed: %v", step, name, err)
				}
			}
		}
	}

	check("before", 1, 1)
	set(a, v1, v2)
	check("published here", 1, 1)
	if got, want := published(t, a), []string{token.Thumbprint(publicKey(v2)), token.Thumbprint(publicKey(v1))}; !slices.Equal(got, want) {
		t.Errorf("JWKS has %v, want %v", got, want)
	}
	set(b, v1, v2)
	check("published everywhere", 1, 1)
	old := sign(t, b, someClaims())
	v2.State = makerguard.KeyActive
	set(a, v1, v2)
	check("active here", 2, 1)
	v1.State = makerguard.KeyRetiring
	set(a, v1, v2)
	check("retiring here", 2, 1)
	set(b, v1, v2)
	check("retiring everywhere", 2, 2)
	if _, err := a.Verify(old); err != nil {
		t.Errorf("Verify of a retiring key's token: %v", err)
	}
	set(a, token.Key{Version: 1, State: makerguard.KeyDestroyed}, v2)
	if _, err := a.Verify(old); !errors.Is(err, makerguard.TokenInvalid) {
		t.Errorf("Verify of a destroyed key's token = %v, want TOKEN_INVALID", err)
	}
	if got, want := published(t, a), []string{token.Thumbprint(publicKey(v2))}; !slices.Equal(got, want) {
		t.Errorf("JWKS has %v, want %v", got, want)
	}
}

// TestVerify_TellsAKeyItDoesNotKnow is what lets a node that missed a rotation ask for
// the keys, without asking for every piece of rubbish.
func TestVerify_TellsAKeyItDoesNotKnow(t *testing.T) {
	r := newRing(t, &clock{at: start}, newKey(1, makerguard.KeyActive))
	newer := newRing(t, &clock{at: start}, newKey(2, makerguard.KeyActive))
	tok := sign(t, newer, someClaims())
	if _, err := r.Verify(tok); !errors.Is(err, makerguard.TokenInvalid) || !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("Verify of a newer key's token = %v, want TOKEN_INVALID by ErrUnknownKey", err)
	}
	known, _, _ := strings.Cut(sign(t, r, someClaims()), ".")
	for _, bad := range []string{
		"", "a.b.c", known + ".e30.AAAA", "x" + tok, strings.Repeat("A", 4000) + ".e30.AAAA",
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"x","typ":"at+jwt"}`)) + ".e30.",
	} {
		if _, err := r.Verify(bad); !errors.Is(err, makerguard.TokenInvalid) || errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("Verify(%.40q) = %v, want TOKEN_INVALID by another cause", bad, err)
		}
	}
}

func TestSetKeys_RefusalChangesNothing(t *testing.T) {
	active := newKey(1, makerguard.KeyActive)
	mixed := slices.Concat(newKey(2, makerguard.KeyActive).Private[:32], newKey(3, makerguard.KeyActive).Private[32:])
	r := newRing(t, &clock{at: start}, active)
	for name, keys := range map[string][]token.Key{
		"none":             nil,
		"none active":      {newKey(1, makerguard.KeyRetiring)},
		"only published":   {newKey(1, makerguard.KeyPublished)},
		"no state":         {active, newKey(2, "")},
		"unknown state":    {active, newKey(2, "resting")},
		"same version":     {active, {Version: 1, State: makerguard.KeyActive, Private: newKey(2, "").Private}},
		"same key":         {active, {Version: 2, State: makerguard.KeyActive, Private: active.Private}},
		"no private key":   {{Version: 1, State: makerguard.KeyActive}},
		"short key":        {{Version: 1, State: makerguard.KeyActive, Private: active.Private[:63]}},
		"a password":       {{Version: 1, State: makerguard.KeyActive, Private: ed25519.PrivateKey("correct horse battery staple")}},
		"a foreign public": {{Version: 1, State: makerguard.KeyActive, Private: mixed}},
	} {
		if _, err := token.New(token.Config{Keys: keys}); err == nil {
			t.Errorf("%s: New gave no error", name)
		}
		before := r.JWKS()
		if err := r.SetKeys(keys); err == nil {
			t.Errorf("%s: SetKeys gave no error", name)
		}
		if diff := cmp.Diff(string(before), string(r.JWKS())); diff != "" {
			t.Errorf("%s: a refused SetKeys changed the keys: %s", name, diff)
		}
	}
}

func TestNew_ReportsEverythingWrong(t *testing.T) {
	_, err := token.New(token.Config{Lifetime: token.MaxLifetime + time.Second, Leeway: token.MaxLeeway + 1})
	if err == nil {
		t.Fatal("New gave no error")
	}
	for _, want := range []string{"lifetime", "leeway", "no active signing key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want it to mention %q", err, want)
		}
	}
	for _, c := range []token.Config{{Lifetime: -time.Second}, {Lifetime: time.Millisecond}, {Lifetime: 1500 * time.Millisecond}, {Leeway: -1}} {
		c.Keys = []token.Key{newKey(1, makerguard.KeyActive)}
		if _, err := token.New(c); err == nil {
			t.Errorf("New(%v, %v) gave no error", c.Lifetime, c.Leeway)
		}
	}
}

func TestRing_OwnsItsKeys(t *testing.T) {
	key := newKey(1, makerguard.KeyActive)
	keys := []token.Key{{Version: 1, State: makerguard.KeyActive, Private: slices.Clone(key.Private)}}
	r := newRing(t, &clock{at: start}, keys...)
	want := r.JWKS()
	clear(keys[0].Private)
	clear(r.JWKS())
	if got := r.JWKS(); string(got) != string(want) {
		t.Error("JWKS changed with a slice it had given away")
	}
	if _, err := r.Verify(sign(t, r, someClaims())); err != nil {
		t.Errorf("Verify after the caller cleared its key: %v", err)
	}
}

// TestSetKeys_SwapsWhole turns the roles of two keys around under load. Every set accepts
// both, so a token could only be refused by a reader that saw half of a change.
//
// goal: V15.4.1
func TestSetKeys_SwapsWhole(t *testing.T) {
	active, retiring := makerguard.KeyActive, makerguard.KeyRetiring
	sets := [][]token.Key{{newKey(1, active), newKey(2, retiring)}, {newKey(1, retiring), newKey(2, active)}}
	r := newRing(t, &clock{at: start}, sets[0]...)
	done := make(chan struct{})
	var work, swap sync.WaitGroup
	swap.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if err := r.SetKeys(sets[i%2]); err != nil {
				t.Errorf("SetKeys: %v", err)
			}
		}
	})
	for range 4 {
		work.Go(func() {
			for range 100 {
				tok, err := r.Sign(someClaims())
				if err != nil {
					t.Errorf("Sign: %v", err)
					continue
				}
				if _, err := r.Verify(tok); err != nil {
					t.Errorf("Verify: %v", err)
				}
				if n := strings.Count(string(r.JWKS()), `"kid"`); n != 2 {
					t.Errorf("JWKS has %d keys, want 2", n)
				}
			}
		})
	}
	work.Wait()
	close(done)
	swap.Wait()
}
