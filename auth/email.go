package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// emailLifetime is how long a member may take to verify an address (NIST SP 800-63B-4
// section 4.2: codes by e-mail at most 24 hours).
const emailLifetime = 24 * time.Hour

// StartEmailVerification makes the token that proves control of a member's address when it
// comes back. It goes to that address and nowhere else; only its hash is stored. It is
// good once, for 24 hours.
func (s *Service) StartEmailVerification(ctx context.Context, m makerguard.Member) (makerguard.Secret, error) {
	text, hash := newChallengeToken()
	now := s.now()
	if err := s.store.CreateChallenge(ctx, makerguard.Challenge{
		TokenHash: hash, Purpose: makerguard.ChallengeEmail, ManufacturerID: m.ManufacturerID, MemberID: m.ID,
		TriesLeft: 1, CreatedAt: now, ExpiresAt: now.Add(emailLifetime),
	}); err != nil {
		return "", fmt.Errorf("starting to verify an address: %w", err)
	}
	return text, nil
}

// VerifyEmail marks the address that a token was sent to as verified. It returns
// TOKEN_INVALID for a token that is not one, is for another purpose, was used or has expired.
func (s *Service) VerifyEmail(ctx context.Context, token makerguard.Secret, c makerguard.Client) error {
	hash, ok := challengeHash(token)
	if !ok {
		return emailTokenInvalid(nil)
	}
	ch, err := s.store.Challenge(ctx, hash, s.now())
	if err == nil && ch.Purpose != makerguard.ChallengeEmail {
		return emailTokenInvalid(nil)
	}
	if err == nil {
		err = s.store.ConsumeChallenge(ctx, hash)
	}
	if err != nil {
		if makerguard.CodeOf(err) == makerguard.NotFound {
			return emailTokenInvalid(err)
		}
		return fmt.Errorf("redeeming an address verification: %w", err)
	}
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: ch.ManufacturerID, Action: audit.EmailVerified, Outcome: audit.Success,
		ActorKind: audit.ActorMember, ActorID: string(ch.MemberID), Target: string(ch.MemberID),
	}, c); err != nil {
		return err
	}
	if err := s.store.VerifyEmail(ctx, ch.ManufacturerID, ch.MemberID, s.now()); err != nil {
		return fmt.Errorf("verifying an address: %w", err)
	}
	return nil
}

func emailTokenInvalid(cause error) error {
	return &makerguard.Error{Code: makerguard.TokenInvalid, Message: "The link was used, has expired, or is not one. Ask for a new one.", Err: cause}
}
