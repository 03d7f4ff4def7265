package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth/token"
)

// knownToken is an access token whose signature and claims were found good.
type knownToken struct {
	session sessionKey
	// signed is the token up to its signature, without which it is worth nothing to whoever reads
	// the memory.
	signed  string
	expires int64 // Unix time in ns
	keys    uint64
	// live is the session as last seen through this token; it may be stale.
	live atomic.Pointer[live]
}

// Authenticate tells whose access token this is. The principal's tier, role and grants are
// those of now, whatever the token says; it is shared and must not be changed.
//
// A token that was seen before costs a hash of its signature, two look-ups in memory and no allocation;
// another costs a signature check and, for a session this node does not know, one
// reading of the store. It returns TOKEN_INVALID or TOKEN_EXPIRED for what is not a good token,
// SESSION_REVOKED or SESSION_EXPIRED for one whose session is over, and
// STORE_UNAVAILABLE if that cannot be found out. Using a token keeps its session from
// being idle.
func (s *Service) Authenticate(ctx context.Context, access string) (*makerguard.Principal, error) {
	if len(access) > token.MaxLength {
		return nil, tokenInvalid(fmt.Errorf("it has %d bytes", len(access)))
	}
	now := s.c.Now()
	at := now.UnixNano()
	signature := strings.LastIndexByte(access, '.') + 1
	var buf [128]byte // so that a signature is not copied to the heap
	digest := sha256.Sum256(append(buf[:0], access[signature:]...))
	known, found := s.known.GetIfPresent(digest)
	if !found || known.signed != access[:signature] || at >= known.expires || known.keys != s.ringKeys.Load() {
		var err error
		if known, err = s.verifyToken(ctx, access); err != nil {
			return nil, err
		}
		known.signed = strings.Clone(access[:signature])
		s.known.Set(digest, known)
	}
	l := known.live.Load()
	if l == nil || l.stale.Load() || !s.c.Feed.Fresh(now) {
		var err error
		if l, err = s.liveSession(ctx, known.session, now); err != nil {
			return nil, err
		}
		known.live.Store(l)
	}
	if at-l.lastSeen.Load() > int64(l.idle) && l.ended == nil {
		// Another node may have seen it since.
		s.sessions.apply(makerguard.Change{Kind: makerguard.SessionEnded, SessionID: l.id})
		var err error
		if l, err = s.liveSession(ctx, known.session, now); err != nil {
			return nil, err
		}
	}
	if err := l.check(at); err != nil {
		return nil, err
	}
	l.touch(at)
	return l.principal, nil
}

// verifyToken checks a token that was not seen before.
func (s *Service) verifyToken(ctx context.Context, access string) (*knownToken, error) {
	keys := s.ringKeys.Load() // before the check, so that a change during it is noticed
	claims, err := s.claims(ctx, access)
	if err != nil {
		return nil, err
	}
	return &knownToken{
		session: sessionKey{id: claims.Session, mfr: claims.Manufacturer, member: claims.Subject},
		expires: claims.Expires.UnixNano(),
		keys:    keys,
	}, nil
}

// claims verifies a token. One of a key that this node has not heard of yet makes it read
// the keys again: another node may have rotated them a moment ago.
func (s *Service) claims(ctx context.Context, access string) (token.Claims, error) {
	claims, err := s.c.Tokens.Verify(access)
	if errors.Is(err, token.ErrUnknownKey) && s.c.RefreshKeys != nil {
		if rerr := s.c.RefreshKeys(ctx); rerr != nil {
			return token.Claims{}, &makerguard.Error{
				Code: makerguard.StoreUnavailable, Message: "The keys cannot be read now. Try again in a moment.", Err: rerr,
			}
		}
		claims, err = s.c.Tokens.Verify(access)
	}
	return claims, err
}

// liveSession gives the session from memory, or from the store where memory cannot be trusted.
func (s *Service) liveSession(ctx context.Context, key sessionKey, now time.Time) (*live, error) {
	l, err := s.sessions.get(ctx, key, s.c.Feed.Fresh(now), s.fetch)
	if err != nil && !errors.Is(err, makerguard.TokenInvalid) {
		return nil, &makerguard.Error{
			Code: makerguard.StoreUnavailable, Message: "Your session cannot be checked now. Try again in a moment.", Err: err,
		}
	}
	if err != nil {
		return nil, err
	}
	if l.principal.ManufacturerID != key.mfr || l.principal.MemberID != key.member {
		return nil, tokenInvalid(errors.New("its session is somebody else's"))
	}
	return l, nil
}

// Apply drops what a change makes stale from this node's memory, and nothing else. Every
// change of the feed is to be handed to it; after KeysChanged of the installation's keys,
// first give the new keys to the token.Ring and to SetKeys.
func (s *Service) Apply(c makerguard.Change) {
	if c.Kind == makerguard.KeysChanged {
		if c.ManufacturerID == "" {
			s.ringKeys.Add(1) // tokens are checked again, with the keys of now
		}
		return
	}
	s.sessions.apply(c)
}

func tokenInvalid(cause error) error {
	return &makerguard.Error{Code: makerguard.TokenInvalid, Message: "The token is not valid. Sign in again.", Err: cause}
}

func sessionRevoked() error {
	return &makerguard.Error{Code: makerguard.SessionRevoked, Message: "This session was ended. Sign in again."}
}

func sessionExpired() error {
	return &makerguard.Error{Code: makerguard.SessionExpired, Message: "This session has expired. Sign in again."}
}
