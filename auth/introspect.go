package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/makerguard/makerguard"
)

// Introspect tells what a token is worth (RFC 7662): an access or a refresh token, of the
// caller's manufacturer unless the caller is an operator. Every other text is inactive,
// without a word why. It returns an error only if that cannot be found out. Whether the
// caller may ask is for the caller of this to check.
func (s *Service) Introspect(ctx context.Context, caller *makerguard.Principal, text string) (*Introspection, error) {
	inspect := s.introspectAccess
	if strings.HasPrefix(text, refreshPrefix) {
		inspect = s.introspectRefresh
	}
	i, err := inspect(ctx, text)
	if err != nil {
		if saysInactive(err) {
			return &Introspection{}, nil
		}
		return nil, err
	}
	if caller == nil || !caller.Operator() && caller.ManufacturerID != i.ManufacturerID {
		return &Introspection{}, nil
	}
	return i, nil
}

func (s *Service) introspectAccess(ctx context.Context, text string) (*Introspection, error) {
	claims, err := s.claims(ctx, text)
	if err != nil {
		return nil, err
	}
	now := s.c.Now()
	l, err := s.liveSession(ctx, sessionKey{id: claims.Session, mfr: claims.Manufacturer, member: claims.Subject}, now)
	if err != nil {
		return nil, err
	}
	if err := l.check(now.UnixNano()); err != nil {
		return nil, err
	}
	return &Introspection{
		Active: true, TokenType: "access_token", Issuer: claims.Issuer, Audience: claims.Audience,
		TokenID: claims.TokenID, ClientID: clientID, Subject: claims.Subject, SessionID: claims.Session,
		ManufacturerID: claims.Manufacturer, Tier: l.principal.Tier, Role: l.principal.Role,
		AMR: claims.AMR, AuthTime: claims.AuthTime,
		IssuedAt: claims.IssuedAt, NotBefore: claims.NotBefore, Expires: claims.Expires,
	}, nil
}

func (s *Service) introspectRefresh(ctx context.Context, text string) (*Introspection, error) {
	t, h, err := s.openRefresh(ctx, makerguard.Secret(text))
	if err != nil {
		return nil, err
	}
	now := s.now()
	if err := s.usable(h.session, h.member, h.manufacturer, now); err != nil {
		return nil, err
	}
	// What Refresh would take.
	inGrace := t.generation+1 == h.session.RefreshGeneration && now.Sub(h.session.RotatedAt) <= refreshGrace
	if t.generation != h.session.RefreshGeneration && !inGrace {
		return nil, tokenInvalid(errors.New("it was used"))
	}
	return &Introspection{
		Active: true, TokenType: "refresh_token", ClientID: clientID, Subject: h.member.ID,
		SessionID: h.session.ID, ManufacturerID: h.manufacturer.ID, Tier: h.manufacturer.Tier, Role: h.member.Role,
		AMR: h.session.AMR, AuthTime: h.session.AuthTime, IssuedAt: h.session.RotatedAt, Expires: h.session.ExpiresAt,
	}, nil
}

// clientID is the client all tokens are issued to, as in their client_id claim.
const clientID = "makerguard"

// saysInactive reports whether err means that a token is good for nothing.
func saysInactive(err error) bool {
	switch makerguard.CodeOf(err) {
	case makerguard.TokenInvalid, makerguard.TokenExpired, makerguard.SessionRevoked, makerguard.SessionExpired:
		return true
	default:
		return false
	}
}

// RevokeToken ends the session of a token at the wish of whoever holds it (RFC 7009): an
// access token, or a refresh token of any generation. For any other text it does nothing and
// returns nil. It returns an error if the session could not be ended.
func (s *Service) RevokeToken(ctx context.Context, text string, c makerguard.Client) error {
	var p makerguard.Principal
	if strings.HasPrefix(text, refreshPrefix) {
		_, h, err := s.openRefresh(ctx, makerguard.Secret(text))
		if err != nil {
			return unlessInactive(err)
		}
		p = makerguard.Principal{ManufacturerID: h.member.ManufacturerID, MemberID: h.member.ID, SessionID: h.session.ID}
	} else {
		claims, err := s.claims(ctx, text)
		if err != nil {
			return unlessInactive(err)
		}
		p = makerguard.Principal{ManufacturerID: claims.Manufacturer, MemberID: claims.Subject, SessionID: claims.Session}
	}
	err := s.revoke(ctx, &p, p.SessionID, reasonTokenRevoked, c)
	if errors.Is(err, makerguard.NotFound) {
		return nil
	}
	return err
}

func unlessInactive(err error) error {
	if saysInactive(err) {
		return nil
	}
	return err
}
