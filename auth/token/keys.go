package token

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/makerguard/makerguard"
)

// ErrUnknownKey is the cause of a TokenInvalid whose token has the form of ours and the
// id of a key that this ring does not hold: perhaps one that was made a moment ago.
var ErrUnknownKey = errors.New("its key is unknown")

// Key is one version of the signing key. Its key id is the thumbprint of its public
// half. One that is published verifies and is in the key set, so that every node and
// every reader of the set knows it before it becomes active and signs.
type Key struct {
	Version uint32
	State   makerguard.KeyState
	Private ed25519.PrivateKey // may be nil if the key is destroyed
}

// Thumbprint gives the JWK thumbprint of a public key (RFC 7638 with SHA-256; the
// members are those of RFC 8037, appendix A.3), which is its key id.
func Thumbprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(pub) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// keySet is what the ring knows at one moment. It is never changed, only replaced.
type keySet struct {
	signer   *ringKey            // the newest active one
	byHeader map[string]*ringKey // published, active and retiring, by the encoded header their tokens have
	jwks     []byte
}

// ringKey is a key with what is derived from it once.
type ringKey struct {
	version uint32
	header  string // the encoded header of the tokens it signs
	private any    // ed25519.PrivateKey, boxed once
	public  any    // ed25519.PublicKey, boxed once
}

// jwk is a public key as RFC 8037 writes it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	X         string `json:"x"`
}

// newKeySet checks keys and reports everything wrong with them.
func newKeySet(typ string, keys []Key) (*keySet, error) {
	keys = slices.SortedFunc(slices.Values(keys), func(a, b Key) int { return cmp.Compare(b.Version, a.Version) })
	set := &keySet{byHeader: make(map[string]*ringKey, len(keys))}
	published := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	var errs []error
	for i, k := range keys {
		if i > 0 && keys[i-1].Version == k.Version {
			errs = append(errs, fmt.Errorf("signing key version %d is given twice", k.Version))
			continue
		}
		switch k.State {
		case makerguard.KeyDestroyed:
			continue
		case makerguard.KeyPublished, makerguard.KeyActive, makerguard.KeyRetiring:
		default:
			errs = append(errs, fmt.Errorf("signing key version %d is in the unknown state %q", k.Version, k.State))
			continue
		}
		// A private key carries its public half; one that does not belong to the seed
		// would let signatures leak the key, so both are derived anew.
		if len(k.Private) != ed25519.PrivateKeySize || !bytes.Equal(k.Private, ed25519.NewKeyFromSeed(k.Private.Seed())) {
			errs = append(errs, fmt.Errorf("signing key version %d is not an Ed25519 private key", k.Version))
			continue
		}
		pub := k.Private.Public().(ed25519.PublicKey)
		kid := Thumbprint(pub)
		rk := &ringKey{version: k.Version, header: encodeHeader(kid, typ), private: slices.Clone(k.Private), public: slices.Clone(pub)}
		if _, ok := set.byHeader[rk.header]; ok {
			errs = append(errs, fmt.Errorf("signing key version %d is the same key as a newer version", k.Version))
			continue
		}
		set.byHeader[rk.header] = rk
		if k.State == makerguard.KeyActive && set.signer == nil {
			set.signer = rk
		}
		published.Keys = append(published.Keys, jwk{KeyType: "OKP", Curve: "Ed25519", KeyID: kid, Use: "sig", Algorithm: algorithm, X: base64.RawURLEncoding.EncodeToString(pub)})
	}
	if len(errs) == 0 && set.signer == nil {
		errs = append(errs, errors.New("there is no active signing key"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var err error
	if set.jwks, err = json.Marshal(published); err != nil {
		return nil, fmt.Errorf("encoding the key set: %w", err)
	}
	return set, nil
}
