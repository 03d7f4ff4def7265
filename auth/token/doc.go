// Package token issues and verifies access tokens: JSON Web Tokens (RFC 7519) with
// the access token profile of RFC 9068, signed with Ed25519 (RFC 8037), hardened as
// RFC 8725 asks.
//
// A Ring holds the signing keys of an installation. It promises that Verify accepts
// a token only if one of its own keys signed exactly these bytes, for its issuer and
// audience, to be used now; nothing in a token is interpreted before the signature
// is found good. The header of a token is one of the few strings that the ring itself
// writes, so it is looked up and not parsed: an algorithm, a key or an address that
// the sender chose has no place where it could be given.
//
// A Ring does not know whether the session of a token still lives; package auth asks.
// It does not encrypt: whoever holds a token can read its claims. And it cannot tell
// a stolen token from its owner's.
//
//	ring, err := token.New(token.Config{Keys: keys})
//	...
//	tok, err := ring.Sign(token.Claims{Subject: member, Session: session, Manufacturer: mfr})
//	...
//	claims, err := ring.Verify(tok)
package token
