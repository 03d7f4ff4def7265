package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/internal/id"
)

// The reasons sessions end for, as stored.
const (
	reasonLogout       = "logout"
	reasonRevoked      = "revoked"
	reasonTokenRevoked = "token_revoked" // RFC 7009
	reasonStepUp       = "step_up"
	reasonChanged      = "credentials_changed" // while the session was being opened
)

// opening is how a session comes into being.
type opening struct {
	amr    []string
	client makerguard.Client
	// replaces is the session that ends in favour of this one, or nil. The new one has its
	// absolute limit and is none more.
	replaces *makerguard.Session
}

// openSession makes a session and its tokens. The audit record is written first.
func (s *Service) openSession(ctx context.Context, m makerguard.Member, mfr makerguard.Manufacturer, o opening) (*Tokens, error) {
	now := s.now()
	sess := makerguard.Session{
		ID: makerguard.SessionID(id.New("ses")), ManufacturerID: m.ManufacturerID, MemberID: m.ID,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(s.sessionLifetime(mfr.Tier)),
		AuthTime: now, AMR: o.amr, IP: o.client.IP, UserAgent: cleanLine(o.client.UserAgent),
		RefreshSeed: randomBytes(seedSize), RotatedAt: now,
	}
	limit := s.c.Policy.Sessions(mfr.Tier)
	action, detail := audit.SessionCreated, ""
	if o.replaces != nil {
		sess.CreatedAt, sess.ExpiresAt = o.replaces.CreatedAt, o.replaces.ExpiresAt
		action, detail = audit.SessionSteppedUp, "instead of "+string(o.replaces.ID)
		if limit != makerguard.Unlimited {
			limit++ // until the other one ends
		}
	}
	if err := s.recordOf(ctx, m, action, string(sess.ID), detail, o.client); err != nil {
		return nil, err
	}
	if err := s.store.CreateSession(ctx, sess, limit, now); err != nil {
		return nil, fmt.Errorf("creating a session: %w", err)
	}
	// The store may have ended the oldest ones, and does not say which.
	s.Apply(makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})

	// Whoever changed the password, added a factor or ended all sessions after they were
	// read for this sign-in did not see this session. It must not survive that.
	_, latest, latestMfr, err := s.store.LoadSession(ctx, sess.ID)
	switch {
	case err != nil:
		err = fmt.Errorf("reading a new session: %w", err)
	case !latest.PasswordChangedAt.Equal(m.PasswordChangedAt), latest.TOTP != nil && !hasMFA(o.amr),
		latest.Status != makerguard.StatusActive, latestMfr.Status != makerguard.StatusActive:
		err = invalidCredentials()
	case o.replaces != nil:
		err = s.stillLive(ctx, o.replaces.ID)
	}
	if err != nil {
		if endErr := s.endSession(context.WithoutCancel(ctx), sess, reasonChanged); endErr != nil {
			s.logger.ErrorContext(ctx, "a session that must not be used was not ended", "session", sess.ID, "error", endErr)
		}
		return nil, err
	}
	return s.tokens(sess, latest, latestMfr, now)
}

// stillLive returns SESSION_REVOKED if a session was ended.
func (s *Service) stillLive(ctx context.Context, sid makerguard.SessionID) error {
	sess, _, _, err := s.store.LoadSession(ctx, sid)
	if err != nil && !errors.Is(err, makerguard.NotFound) {
		return fmt.Errorf("reading session %s: %w", sid, err)
	}
	if err != nil || !sess.RevokedAt.IsZero() {
		return sessionRevoked()
	}
	return nil
}

// mint signs an access token that does not outlive its session.
func (s *Service) mint(sess makerguard.Session, m makerguard.Member, mfr makerguard.Manufacturer, now time.Time) (access string, lifetime time.Duration, err error) {
	expires := now.Add(s.c.AccessLifetime)
	if sess.ExpiresAt.Before(expires) {
		expires = sess.ExpiresAt
	}
	access, err = s.c.Tokens.Sign(token.Claims{
		Subject: m.ID, Session: sess.ID, Manufacturer: mfr.ID, Tier: mfr.Tier, Role: m.Role,
		AMR: sess.AMR, AuthTime: sess.AuthTime, IssuedAt: now, Expires: expires,
	})
	if err != nil {
		return "", 0, fmt.Errorf("making an access token: %w", err)
	}
	return access, expires.Sub(now).Truncate(time.Second), nil
}

// endSession revokes a session in the store and on this node. One that is gone is fine.
func (s *Service) endSession(ctx context.Context, sess makerguard.Session, reason string) error {
	err := s.store.RevokeSession(ctx, sess.ManufacturerID, sess.MemberID, sess.ID, reason, s.now())
	if err != nil && !errors.Is(err, makerguard.NotFound) {
		return fmt.Errorf("ending session %s: %w", sess.ID, err)
	}
	s.Apply(makerguard.Change{
		Kind: makerguard.SessionEnded, ManufacturerID: sess.ManufacturerID, MemberID: sess.MemberID, SessionID: sess.ID,
	})
	return nil
}

// Logout ends the principal's session.
func (s *Service) Logout(ctx context.Context, p *makerguard.Principal, c makerguard.Client) error {
	if err := signedIn(p); err != nil {
		return err
	}
	return s.revoke(ctx, p, p.SessionID, reasonLogout, c)
}

// RevokeSession ends one of the principal's own sessions. It returns NOT_FOUND for any other.
func (s *Service) RevokeSession(ctx context.Context, p *makerguard.Principal, sid makerguard.SessionID, c makerguard.Client) error {
	if err := signedIn(p); err != nil {
		return err
	}
	return s.revoke(ctx, p, sid, reasonRevoked, c)
}

func (s *Service) revoke(ctx context.Context, p *makerguard.Principal, sid makerguard.SessionID, reason string, c makerguard.Client) error {
	sess, _, _, err := s.store.LoadSession(ctx, sid)
	if err == nil && (sess.ManufacturerID != p.ManufacturerID || sess.MemberID != p.MemberID) {
		err = makerguard.NotFound
	}
	if errors.Is(err, makerguard.NotFound) {
		return &makerguard.Error{Code: makerguard.NotFound, Message: "You have no such session."}
	}
	if err != nil {
		return fmt.Errorf("reading session %s: %w", sid, err)
	}
	if err := s.recordOf(ctx, memberOf(p), audit.SessionEnded, string(sid), reason, c); err != nil {
		return err
	}
	return s.endSession(ctx, sess, reason)
}

// RevokeOtherSessions ends the principal's sessions but the one in use, and returns how many.
func (s *Service) RevokeOtherSessions(ctx context.Context, p *makerguard.Principal, c makerguard.Client) (int, error) {
	if err := signedIn(p); err != nil {
		return 0, err
	}
	if err := s.recordOf(ctx, memberOf(p), audit.SessionEnded, string(p.MemberID), "all but "+string(p.SessionID), c); err != nil {
		return 0, err
	}
	n, err := s.store.RevokeSessions(ctx, p.ManufacturerID, p.MemberID, p.SessionID, reasonRevoked, s.now())
	if err != nil {
		return 0, fmt.Errorf("ending the other sessions of %s: %w", p.MemberID, err)
	}
	s.memberChanged(p)
	return n, nil
}

// Sessions lists the principal's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, p *makerguard.Principal) ([]makerguard.Session, error) {
	if err := signedIn(p); err != nil {
		return nil, err
	}
	now := s.now()
	list, err := s.store.Sessions(ctx, p.ManufacturerID, p.MemberID, now)
	if err != nil {
		return nil, fmt.Errorf("listing the sessions of %s: %w", p.MemberID, err)
	}
	for i := range list {
		if seen, ok := s.sessions.seen(list[i].ID); ok && seen.After(list[i].LastSeenAt) {
			list[i].LastSeenAt = seen
		}
	}
	return slices.DeleteFunc(list, func(sess makerguard.Session) bool {
		return now.Sub(sess.LastSeenAt) > s.idleLimit(p.Tier)
	}), nil
}

// memberChanged drops what this node remembers of a principal's sessions.
func (s *Service) memberChanged(p *makerguard.Principal) {
	s.Apply(makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: p.ManufacturerID, MemberID: p.MemberID})
}

// signedIn refuses principals that are no person with a session: API keys, and members who only
// may enrol a second factor.
func signedIn(p *makerguard.Principal) error {
	if p == nil || p.Kind != makerguard.KindMember || p.SessionID == "" {
		return &makerguard.Error{Code: makerguard.InsufficientPermissions, Message: "Only a signed-in member can do this."}
	}
	return nil
}

// memberOf gives what the audit record needs of a principal.
func memberOf(p *makerguard.Principal) makerguard.Member {
	return makerguard.Member{ID: p.MemberID, ManufacturerID: p.ManufacturerID}
}
