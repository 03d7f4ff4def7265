package token

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/makerguard/makerguard"
)

const (
	// MaxLength is the most bytes a token may have.
	MaxLength = 8 << 10

	// MaxLifetime is the longest a token may be accepted after it was issued.
	MaxLifetime = 10 * time.Minute

	// MaxLeeway is the furthest that the clock of the node which issued a token may be
	// ahead of ours.
	MaxLeeway = 30 * time.Second

	algorithm     = "EdDSA"
	clientID      = "makerguard"
	signatureSize = 86 // 64 bytes in unpadded base64url
)

// encoding is base64url without padding (RFC 7515, appendix C) that refuses bits set
// beyond the last byte, so that no two texts stand for the same bytes. It still skips
// line breaks, but a signature with one has too few digits, and the claims are signed
// as they are written.
var encoding = base64.RawURLEncoding.Strict()

// Claims is what a token says. All times have whole seconds and are UTC.
type Claims struct {
	Issuer       string
	Audience     string
	Subject      makerguard.MemberID
	TokenID      string
	Session      makerguard.SessionID
	Manufacturer makerguard.ManufacturerID
	Tier         makerguard.Tier // when the token was made; decisions use the live one
	Role         makerguard.Role // likewise
	AMR          []string        // how the member proved who they are (RFC 8176)
	AuthTime     time.Time       // and when; zero if unknown
	IssuedAt     time.Time
	NotBefore    time.Time
	Expires      time.Time
}

// wireClaims is Claims as a token carries them.
type wireClaims struct {
	Issuer       string                    `json:"iss"`
	Subject      makerguard.MemberID       `json:"sub"`
	Audience     string                    `json:"aud"`
	Expires      int64                     `json:"exp"`
	IssuedAt     int64                     `json:"iat"`
	NotBefore    int64                     `json:"nbf"`
	TokenID      string                    `json:"jti"`
	ClientID     string                    `json:"client_id"`
	Session      makerguard.SessionID      `json:"sid"`
	Manufacturer makerguard.ManufacturerID `json:"mfr"`
	Tier         makerguard.Tier           `json:"tier"`
	Role         makerguard.Role           `json:"role"`
	AMR          []string                  `json:"amr,omitempty"`
	AuthTime     int64                     `json:"auth_time,omitzero"`
}

// Config says how a Ring issues and verifies.
type Config struct {
	// Issuer is the iss claim. Default "makerguard".
	Issuer string
	// Audience is the aud claim. Default "makerguard-api".
	Audience string
	// Type is the typ header member, which keeps tokens of different purposes apart (RFC 8725,
	// section 3.11). Default "at+jwt", an access token (RFC 9068).
	Type string
	// Lifetime is how long a token is accepted after it was issued, in whole seconds.
	// Default and most MaxLifetime.
	Lifetime time.Duration
	// Leeway is how far iat and nbf may lie in the future, for nodes whose clocks
	// differ. Expiry has none: who meets it refreshes. Default and most MaxLeeway.
	Leeway time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Keys are all versions of the signing key; at least one must be active.
	Keys []Key
}

// Ring signs and verifies access tokens. It is safe for concurrent use.
type Ring struct {
	issuer   string
	audience string
	typ      string
	lifetime int64 // seconds
	leeway   time.Duration
	now      func() time.Time

	replacing sync.Mutex
	keys      atomic.Pointer[keySet]
}

// New checks the configuration and reports everything wrong with it.
func New(c Config) (*Ring, error) {
	if c.Issuer == "" {
		c.Issuer = "makerguard"
	}
	if c.Audience == "" {
		c.Audience = "makerguard-api"
	}
	if c.Type == "" {
		c.Type = "at+jwt"
	}
	if c.Lifetime == 0 {
		c.Lifetime = MaxLifetime
	}
	if c.Leeway == 0 {
		c.Leeway = MaxLeeway
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	var errs []error
	if c.Lifetime < time.Second || c.Lifetime > MaxLifetime || c.Lifetime%time.Second != 0 {
		errs = append(errs, fmt.Errorf("token lifetime is %v, want whole seconds up to %v", c.Lifetime, MaxLifetime))
	}
	if c.Leeway < 0 || c.Leeway > MaxLeeway {
		errs = append(errs, fmt.Errorf("token leeway is %v, want 0 to %v", c.Leeway, MaxLeeway))
	}
	if strings.ContainsAny(c.Type, "\"\\") || !utf8.ValidString(c.Type) {
		errs = append(errs, fmt.Errorf("token type %q is not plain text", c.Type))
	}
	set, err := newKeySet(c.Type, c.Keys)
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	r := &Ring{issuer: c.Issuer, audience: c.Audience, typ: c.Type, lifetime: int64(c.Lifetime / time.Second), leeway: c.Leeway, now: c.Now}
	r.keys.Store(set)
	return r, nil
}

// SetKeys replaces the keys at once for all callers, or returns an error and changes
// nothing.
func (r *Ring) SetKeys(keys []Key) error {
	r.replacing.Lock()
	defer r.replacing.Unlock()
	set, err := newKeySet(r.typ, keys)
	if err != nil {
		return fmt.Errorf("replacing the signing keys: %w", err)
	}
	r.keys.Store(set)
	return nil
}

// JWKS gives the public halves of all keys that are not destroyed, newest first, as a
// JSON Web Key Set (RFC 7517, RFC 8037).
func (r *Ring) JWKS() []byte { return slices.Clone(r.keys.Load().jwks) }

// Sign issues a token with the newest active key. It fills Issuer, Audience, TokenID,
// IssuedAt (now), NotBefore (IssuedAt) and Expires (Lifetime after IssuedAt) where
// they are zero. It returns an error rather than a token that names no member, session
// or manufacturer, is of another issuer, or lives for longer than Lifetime.
func (r *Ring) Sign(c Claims) (string, error) {
	now := r.now()
	w := wireClaims{
		Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, TokenID: c.TokenID, ClientID: clientID,
		Session: c.Session, Manufacturer: c.Manufacturer, Tier: c.Tier, Role: c.Role, AMR: c.AMR,
	}
	if w.Issuer == "" {
		w.Issuer = r.issuer
	}
	if w.Audience == "" {
		w.Audience = r.audience
	}
	if w.TokenID == "" {
		w.TokenID = rand.Text()
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = now
	}
	w.IssuedAt = c.IssuedAt.Unix()
	w.NotBefore, w.Expires = w.IssuedAt, w.IssuedAt+r.lifetime
	if !c.NotBefore.IsZero() {
		w.NotBefore = c.NotBefore.Unix()
	}
	if !c.Expires.IsZero() {
		w.Expires = c.Expires.Unix()
	}
	if !c.AuthTime.IsZero() {
		w.AuthTime = c.AuthTime.Unix()
	}
	if err := r.checkContent(&w); err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	payload, err := json.Marshal(&w)
	if err != nil {
		return "", fmt.Errorf("signing a token: encoding its claims: %w", err)
	}
	key := r.keys.Load().signer
	size := len(key.header) + 1 + encoding.EncodedLen(len(payload)) + 1 + signatureSize
	if size > MaxLength {
		return "", fmt.Errorf("signing a token: it has %d bytes, more than %d", size, MaxLength)
	}
	buf := make([]byte, 0, size)
	buf = append(buf, key.header...)
	buf = append(buf, '.')
	buf = encoding.AppendEncode(buf, payload)
	sig, err := jwt.SigningMethodEdDSA.Sign(string(buf), key.private)
	if err != nil {
		return "", fmt.Errorf("signing a token with key version %d: %w", key.version, err)
	}
	buf = append(buf, '.')
	return string(encoding.AppendEncode(buf, sig)), nil
}

// Verify returns the claims of a token that this ring's keys signed for its issuer and
// audience. It returns TokenExpired if the token is good but for its age, and
// TokenInvalid for everything else; the cause is for the log alone, but for ErrUnknownKey.
func (r *Ring) Verify(tok string) (Claims, error) {
	w, err := r.open(tok)
	if err != nil {
		return Claims{}, &makerguard.Error{Code: makerguard.TokenInvalid, Message: "The access token is not valid. Sign in again.", Err: err}
	}
	// RFC 7519, section 4.1.4: not accepted on or after the time.
	if r.now().Unix() >= w.Expires {
		return Claims{}, &makerguard.Error{Code: makerguard.TokenExpired, Message: "The access token has expired. Refresh it, or sign in again."}
	}
	c := Claims{
		Issuer: w.Issuer, Audience: w.Audience, Subject: w.Subject, TokenID: w.TokenID, Session: w.Session,
		Manufacturer: w.Manufacturer, Tier: w.Tier, Role: w.Role, AMR: w.AMR,
		IssuedAt: time.Unix(w.IssuedAt, 0).UTC(), NotBefore: time.Unix(w.NotBefore, 0).UTC(), Expires: time.Unix(w.Expires, 0).UTC(),
	}
	if w.AuthTime != 0 {
		c.AuthTime = time.Unix(w.AuthTime, 0).UTC()
	}
	return c, nil
}

// open does all of Verify but for expiry.
func (r *Ring) open(tok string) (*wireClaims, error) {
	if len(tok) > MaxLength {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(tok), MaxLength)
	}
	header, rest, _ := strings.Cut(tok, ".")
	key, ok := r.keys.Load().byHeader[header]
	if !ok {
		if r.couldBeOurs(header) {
			return nil, ErrUnknownKey
		}
		return nil, errors.New("its header is none of ours")
	}
	body, sig64, ok := strings.Cut(rest, ".")
	if !ok || len(sig64) != signatureSize {
		return nil, errors.New("it is not a compact JWS")
	}
	sig, err := encoding.DecodeString(sig64)
	if err != nil {
		return nil, fmt.Errorf("decoding its signature: %w", err)
	}
	if err := jwt.SigningMethodEdDSA.Verify(tok[:len(header)+1+len(body)], sig, key.public); err != nil {
		return nil, fmt.Errorf("checking its signature: %w", err)
	}

	payload, err := encoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("decoding its claims: %w", err)
	}
	// This decoder refuses duplicate names, invalid UTF-8, names in another case and
	// numbers that are not integers. Claims it does not know it passes over (RFC 7519,
	// section 4), so that nodes of two versions can run side by side.
	w := new(wireClaims)
	if err := json.Unmarshal(payload, w); err != nil {
		return nil, fmt.Errorf("decoding its claims: %w", err)
	}
	if err := r.checkContent(w); err != nil {
		return nil, err
	}
	latest := r.now().Add(r.leeway).Unix()
	switch {
	case w.Audience != r.audience:
		return nil, errors.New("it is for another audience")
	case w.IssuedAt > latest:
		return nil, errors.New("it was issued in the future")
	case w.NotBefore > latest:
		return nil, errors.New("it is not valid yet")
	}
	return w, nil
}

// checkContent checks what must hold of a token at any time and for any audience.
func (r *Ring) checkContent(w *wireClaims) error {
	switch {
	case w.Issuer != r.issuer:
		return errors.New("it is of another issuer")
	case w.ClientID != clientID:
		return errors.New("it is for another client")
	case w.Subject == "" || w.Session == "" || w.Manufacturer == "" || w.TokenID == "":
		return errors.New("sub, sid, mfr or jti is missing")
	case w.IssuedAt <= 0 || w.NotBefore <= 0:
		return errors.New("iat or nbf is missing or not positive")
	case w.Expires <= w.IssuedAt || w.Expires-w.IssuedAt > r.lifetime: // a missing exp is 0
		return errors.New("it lives for longer than it may, or not at all")
	case w.NotBefore >= w.Expires:
		return errors.New("it expires before it is valid")
	case w.AuthTime < 0:
		return errors.New("auth_time is negative")
	}
	return nil
}

// couldBeOurs tells whether a header is one that encodeHeader writes, for whatever key.
func (r *Ring) couldBeOurs(header string) bool {
	const kid = 43 // a SHA-256 in unpadded base64url
	if len(header) > encoding.EncodedLen(len(headerStart)+kid+len(headerMiddle)+len(r.typ)+len(headerEnd)) {
		return false
	}
	plain, err := encoding.DecodeString(header)
	if err != nil {
		return false
	}
	rest, ok := strings.CutPrefix(string(plain), headerStart)
	return ok && len(rest) > kid && rest[kid:] == headerMiddle+r.typ+headerEnd
}

// encodeHeader gives the one header that tokens of a key have. The members stand in the
// order in which libraries that sort them write them, too.
func encodeHeader(kid, typ string) string {
	return encoding.EncodeToString([]byte(headerStart + kid + headerMiddle + typ + headerEnd))
}

const (
	headerStart  = `{"alg":"` + algorithm + `","kid":"`
	headerMiddle = `","typ":"`
	headerEnd    = `"}`
)
