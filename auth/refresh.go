package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// How refresh tokens rotate.
//
// A session has one live refresh token, that of its generation n. Its text is computed from
// the session's id and seed, the generation and a key that the store does not hold. So nothing
// that could be used is stored, the successor of a token is the same whoever computes
// it, and a token of any earlier generation is recognised as ours, however old.
//
// A token of generation g for a session at generation n:
//
//	g = n            the session moves to n+1, in one step of the store that only one of
//	                 many parallel callers wins; all of them get token n+1
//	g = n-1, within  the same token n again, and the session does not move: tabs that
//	10 s of its      refresh at once, and clients that lost the answer, go on. If token n was
//	first use        used, the session is past n and this is not that case.
//	g < n otherwise  somebody has an old token: its thief, or its owner after the thief. The
//	                 session ends, the threat history is told, TOKEN_REUSED
//	forged           TOKEN_INVALID, and nothing happens: who can only guess ids must not
//	                 be able to end sessions
//
// With a new version of the refresh key, token n+1 may for a moment have two texts; both
// are good. This is rotation as in RFC 9700 section 4.14.2, with a grace period.
const refreshGrace = 10 * time.Second

const (
	seedSize = 32

	reasonReuse = "token_reuse"
)

// Refresh trades a refresh token for its successor and a new access token with the tier and
// role of now. It returns TOKEN_INVALID, TOKEN_REUSED, SESSION_REVOKED or
// SESSION_EXPIRED as told above, and MFA_REQUIRED if by now the member must have a
// second factor and signed in without one.
func (s *Service) Refresh(ctx context.Context, refresh makerguard.Secret, c makerguard.Client) (*Tokens, error) {
	t, h, err := s.openRefresh(ctx, refresh)
	if err != nil {
		return nil, err
	}
	sess, m, mfr := h.session, h.member, h.manufacturer
	// Another caller may move the session on between our reading and our step, to where this
	// token is the previous one; it is judged again then. A third time is not possible.
	for range 3 {
		now := s.now()
		if err := s.usable(sess, m, mfr, now); err != nil {
			return nil, err
		}
		if s.requiresMFA(mfr.Tier) && !hasMFA(sess.AMR) {
			return nil, &makerguard.Error{Code: makerguard.MFARequired, Message: "A second factor is required now. Sign in again."}
		}
		switch {
		case t.generation == sess.RefreshGeneration:
			moved, err := s.store.AdvanceRefresh(ctx, sess.ManufacturerID, sess.ID, t.generation, now)
			if errors.Is(err, makerguard.Conflict) {
				sess = moved
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("rotating the refresh token of session %s: %w", sess.ID, err)
			}
			return s.tokens(moved, m, mfr, now)
		case t.generation > sess.RefreshGeneration:
			// Genuine, but of a time the store does not know: it was restored from a backup.
			return nil, tokenInvalid(errors.New("its generation has not been reached"))
		case t.generation+1 == sess.RefreshGeneration && now.Sub(sess.RotatedAt) <= refreshGrace:
			return s.tokens(sess, m, mfr, now)
		default:
			return nil, s.reused(ctx, sess, t.generation, c)
		}
	}
	return nil, fmt.Errorf("rotating the refresh token of session %s: it keeps changing", sess.ID)
}

// holder is a session with whose it is.
type holder struct {
	session      makerguard.Session
	member       makerguard.Member
	manufacturer makerguard.Manufacturer
}

// openRefresh gives a genuine token, of whatever generation, with its session.
func (s *Service) openRefresh(ctx context.Context, refresh makerguard.Secret) (refreshToken, holder, error) {
	t, ok := parseRefreshToken(string(refresh))
	if !ok {
		return refreshToken{}, holder{}, tokenInvalid(errors.New("it is not a refresh token"))
	}
	var h holder
	var err error
	h.session, h.member, h.manufacturer, err = s.store.LoadSession(ctx, t.sessionID())
	if errors.Is(err, makerguard.NotFound) {
		return refreshToken{}, holder{}, tokenInvalid(errors.New("it is for an unknown session"))
	}
	if err != nil {
		return refreshToken{}, holder{}, fmt.Errorf("reading the session of a refresh token: %w", err)
	}
	if !t.genuine(s.keys.Load().Refresh, h.session.RefreshSeed) {
		return refreshToken{}, holder{}, tokenInvalid(errors.New("it is forged, or its key is gone"))
	}
	return t, h, nil
}

// reused ends the session of a token that was used again, and returns TOKEN_REUSED. The
// session ends even if that cannot be recorded: this is no operation that somebody asked for.
func (s *Service) reused(ctx context.Context, sess makerguard.Session, generation uint32, c makerguard.Client) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: sess.ManufacturerID, Action: audit.TokenReused, Outcome: audit.Denied,
		ActorKind: audit.ActorAnonymous, Target: string(sess.ID),
		Detail: fmt.Sprintf("generation %d of %d; the session is ended", generation, sess.RefreshGeneration),
	}, c); err != nil {
		s.logger.ErrorContext(ctx, "the reuse of a refresh token was not recorded", "session", sess.ID, "error", err)
	}
	if err := s.endSession(ctx, sess, reasonReuse); err != nil {
		return err
	}
	s.threat(ctx, makerguard.Threat{
		ManufacturerID: sess.ManufacturerID, MemberID: sess.MemberID, SessionID: sess.ID,
		IP: c.IP, UserAgent: c.UserAgent, RequestID: c.RequestID,
		Finding: makerguard.Finding{
			Type: makerguard.TokenReuse, Severity: makerguard.SeverityHigh, Rule: "auth.refresh_reuse",
			Description: "A refresh token was used again after its successor; it may have been stolen. The session was ended.",
		},
	})
	return &makerguard.Error{
		Code: makerguard.TokenReused, Message: "This refresh token was used before. The session was ended for safety; sign in again.",
	}
}

// usable returns SESSION_REVOKED or SESSION_EXPIRED for a session that is over.
func (s *Service) usable(sess makerguard.Session, m makerguard.Member, mfr makerguard.Manufacturer, now time.Time) error {
	if !sess.RevokedAt.IsZero() || m.Status != makerguard.StatusActive || mfr.Status != makerguard.StatusActive {
		return sessionRevoked()
	}
	seen := sess.LastSeenAt
	if here, ok := s.sessions.seen(sess.ID); ok && here.After(seen) {
		seen = here
	}
	// Tokens have whole seconds, so the last one of a session would hold no time.
	if now.Unix() >= sess.ExpiresAt.Unix() || now.Sub(seen) > s.idleLimit(mfr.Tier) {
		return sessionExpired()
	}
	return nil
}

// tokens makes the credentials of a session at its present generation.
func (s *Service) tokens(sess makerguard.Session, m makerguard.Member, mfr makerguard.Manufacturer, now time.Time) (*Tokens, error) {
	access, lifetime, err := s.mint(sess, m, mfr, now)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(strings.TrimPrefix(string(sess.ID), "ses_"))
	if err != nil || len(id) != idSize {
		return nil, fmt.Errorf("session id %q has another form than ours", sess.ID)
	}
	key := newest(s.keys.Load().Refresh)
	t := refreshToken{version: key.Version, session: [idSize]byte(id), generation: sess.RefreshGeneration}
	return &Tokens{
		Access:    makerguard.Secret(access),
		Refresh:   makerguard.Secret(t.sign(key.Key, sess.RefreshSeed).String()),
		ExpiresIn: lifetime,
		SessionID: sess.ID,
	}, nil
}
