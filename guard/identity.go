package guard

import (
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

const (
	// identityType is the typ of signed identities. An access token's is another, so
	// that neither passes for the other (RFC 8725 section 3.11).
	identityType     = "mg-identity+jwt"
	identityLifetime = time.Minute

	identityCache = 65_536 // signed identities kept at most
)

// identifier signs identities for upstreams and gives the same one again for half of its
// life, so that forward-auth does not sign at every request.
type identifier struct {
	ring  *token.Ring
	cache *otter.Cache[identityKey, string]
	now   func() time.Time
}

// identityKey is everything an identity says. A change of tier or role is another key.
type identityKey struct {
	session makerguard.SessionID
	tier    makerguard.Tier
	role    makerguard.Role
	slot    int64 // which half-life it was signed in
}

func newIdentifier(ring *token.Ring, now func() time.Time) *identifier {
	cache := otter.Must(&otter.Options[identityKey, string]{MaximumSize: identityCache})
	return &identifier{ring: ring, cache: cache, now: now}
}

// Identity implements gateway.Identifier.
func (i *identifier) Identity(p *makerguard.Principal) (string, error) {
	key := identityKey{p.SessionID, p.Tier, p.Role, i.now().Unix() / int64(identityLifetime/time.Second/2)}
	if tok, ok := i.cache.GetIfPresent(key); ok {
		return tok, nil
	}
	tok, err := i.ring.Sign(token.Claims{
		Subject: p.MemberID, Session: p.SessionID, Manufacturer: p.ManufacturerID,
		Tier: p.Tier, Role: p.Role, AMR: p.AMR, AuthTime: p.AuthTime,
	})
	if err != nil {
		return "", fmt.Errorf("signing an identity: %w", err)
	}
	i.cache.Set(key, tok)
	return tok, nil
}
