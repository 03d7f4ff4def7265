package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

const (
	challengeLifetime = 5 * time.Minute
	challengeTries    = 5
)

// How members prove who they are, in the values of RFC 8176.
var (
	amrPassword = []string{"pwd"}
	amrMFA      = []string{"pwd", "otp", "mfa"}
)

func hasMFA(amr []string) bool { return slices.Contains(amr, "mfa") }

// Login starts a sign-in with a password. The result's Status tells what comes next.
//
// For a wrong password and for an address without an account it returns the same
// INVALID_CREDENTIALS after the same work; RATE_LIMIT_EXCEEDED when there were too many failures,
// before any work; OVERLOADED when too many passwords are being hashed. Only after the right
// password does it tell ACCOUNT_SUSPENDED or EMAIL_NOT_VERIFIED.
func (s *Service) Login(ctx context.Context, l Login, c makerguard.Client) (*SignIn, error) {
	if len(l.Password) > maxPassword {
		return nil, invalidCredentials() // no account has such a password
	}
	place, err := s.hashing.enter()
	if err != nil {
		return nil, err
	}
	defer place.leave()

	email, err := s.c.EmailKey(l.Email)
	if err != nil {
		email = unusableEmail(l.Email)
	}
	m, _, err := s.memberByEmail(ctx, email)
	if err != nil {
		return nil, err
	}
	subject := counterKey("account", email)
	g := guess{counter: counterKey("password", subject), subject: subject, client: c, member: m}
	device := s.knownDevice(l.DeviceToken, m.ID, s.now())
	if device != "" {
		g.counter, g.subject = counterKey("password", string(m.ID), device), ""
	}
	a, err := s.begin(ctx, g)
	if err != nil && device != "" && errors.Is(err, makerguard.RateLimitExceeded) {
		// A device that fails too often is treated as a stranger.
		device = ""
		g.counter, g.subject = counterKey("password", subject), subject
		a, err = s.begin(ctx, g)
	}
	if err != nil {
		return nil, err
	}

	// Read again: there may have been a long wait.
	m, mfr, err := s.memberByEmail(ctx, email)
	if err != nil {
		a.abandon()
		return nil, err
	}
	match, outdated, err := s.verify(ctx, place, m.PasswordHash, l.Password)
	if err != nil {
		a.abandon()
		return nil, err
	}
	if !match {
		s.recordFailure(ctx, m, audit.SigninFailed, "password", c)
		if err := a.failed(ctx); err != nil {
			return nil, err
		}
		return nil, invalidCredentials()
	}
	if err := a.succeeded(ctx); err != nil {
		return nil, err
	}
	if err := s.admit(ctx, m, mfr, c); err != nil {
		return nil, err
	}
	if outdated {
		s.rehash(ctx, place, m, l.Password)
	}
	return s.afterPassword(ctx, m, mfr, device, c)
}

// unusableEmail stands for an address that no account can have, so that it goes the way of an
// unknown one. No key of an account begins with a space.
func unusableEmail(email string) string { return " " + cleanLine(email) }

// memberByEmail gives zero values for an address without an account.
func (s *Service) memberByEmail(ctx context.Context, email string) (makerguard.Member, makerguard.Manufacturer, error) {
	m, mfr, err := s.store.MemberByEmail(ctx, email)
	if errors.Is(err, makerguard.NotFound) {
		return makerguard.Member{}, makerguard.Manufacturer{}, nil
	}
	if err != nil {
		return makerguard.Member{}, makerguard.Manufacturer{}, fmt.Errorf("reading an account: %w", err)
	}
	return m, mfr, nil
}

// admit refuses members who gave the right password but may not sign in.
func (s *Service) admit(ctx context.Context, m makerguard.Member, mfr makerguard.Manufacturer, c makerguard.Client) error {
	var refusal *makerguard.Error
	switch {
	case m.Status != makerguard.StatusActive || mfr.Status != makerguard.StatusActive:
		refusal = &makerguard.Error{Code: makerguard.AccountSuspended, Message: "This account is suspended. Contact the operator."}
	case s.c.RequireVerifiedEmail && m.EmailVerifiedAt.IsZero():
		refusal = &makerguard.Error{Code: makerguard.EmailNotVerified, Message: "Confirm your e-mail address first, with the link that was sent to it."}
	default:
		return nil
	}
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: m.ManufacturerID, Action: audit.SigninRefused, Outcome: audit.Denied,
		ActorKind: audit.ActorMember, ActorID: string(m.ID), Target: string(m.ID), Detail: string(refusal.Code),
	}, c); err != nil {
		return err
	}
	return refusal
}

// rehash replaces the hash of a password that was just verified by one with the parameters
// and pepper of now. It is no reason to refuse the sign-in if that fails.
func (s *Service) rehash(ctx context.Context, place place, m makerguard.Member, pw makerguard.Secret) {
	hash, err := s.hash(ctx, place, pw)
	if err == nil {
		err = s.store.SetPassword(ctx, makerguard.PasswordUpdate{
			ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: hash, Short: isShort(pw), Now: s.now(),
		})
	}
	if err != nil {
		s.logger.WarnContext(ctx, "a password hash was not brought up to date", "member", m.ID, "error", err)
	}
}

// afterPassword goes on with a second factor, or ends the sign-in.
func (s *Service) afterPassword(ctx context.Context, m makerguard.Member, mfr makerguard.Manufacturer, device string, c makerguard.Client) (*SignIn, error) {
	var in *SignIn
	var purpose makerguard.ChallengePurpose
	switch {
	case m.TOTP != nil:
		in, purpose = &SignIn{Status: StatusMFARequired, Methods: []string{MethodTOTP}}, makerguard.ChallengeMFA
		if len(m.RecoveryCodes) > 0 {
			in.Methods = append(in.Methods, MethodRecoveryCode)
		}
	case s.requiresMFA(mfr.Tier):
		in, purpose = &SignIn{Status: StatusMFAEnrollmentRequired, Methods: []string{MethodTOTP}}, makerguard.ChallengeEnrollment
	default:
		return s.complete(ctx, m, mfr, amrPassword, device, c)
	}
	// The challenge dates from before this reading, so that a password changed after it makes
	// the challenge useless, and one changed before it is noticed here.
	now := s.now()
	if err := s.unchanged(ctx, m); err != nil {
		return nil, err
	}
	text, hash := newChallengeToken()
	err := s.store.CreateChallenge(ctx, makerguard.Challenge{
		TokenHash: hash, Purpose: purpose, ManufacturerID: m.ManufacturerID, MemberID: m.ID,
		IP: c.IP, UserAgent: cleanLine(c.UserAgent), Device: device, TriesLeft: challengeTries,
		CreatedAt: now, ExpiresAt: now.Add(challengeLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("starting the second step of a sign-in: %w", err)
	}
	in.MFAToken, in.Manufacturer, in.Member = text, mfr, m
	return in, nil
}

// unchanged returns INVALID_CREDENTIALS if the password that was verified is no longer m's.
func (s *Service) unchanged(ctx context.Context, m makerguard.Member) error {
	now, _, err := s.store.MemberByID(ctx, m.ManufacturerID, m.ID)
	if err != nil && !errors.Is(err, makerguard.NotFound) {
		return fmt.Errorf("reading member %s: %w", m.ID, err)
	}
	if err != nil || !now.PasswordChangedAt.Equal(m.PasswordChangedAt) {
		return invalidCredentials()
	}
	return nil
}

// complete opens the session of a sign-in that has proved enough.
func (s *Service) complete(ctx context.Context, m makerguard.Member, mfr makerguard.Manufacturer, amr []string, device string, c makerguard.Client) (*SignIn, error) {
	tokens, err := s.openSession(ctx, m, mfr, opening{amr: amr, client: c})
	if err != nil {
		return nil, err
	}
	return &SignIn{
		Status: StatusAuthenticated, Tokens: tokens, DeviceToken: s.issueDevice(device, m.ID, s.now()),
		Manufacturer: mfr, Member: m,
	}, nil
}

// VerifyMFA ends a sign-in with a second factor; method is MethodTOTP or MethodRecoveryCode. It
// returns MFA_INVALID for a wrong or used code, and for a token that is unknown, 5
// minutes old, or has been tried 5 times; RATE_LIMIT_EXCEEDED after too many wrong
// codes for the account, whatever the token.
func (s *Service) VerifyMFA(ctx context.Context, token makerguard.Secret, method, code string, c makerguard.Client) (*SignIn, error) {
	ch, err := s.challenge(ctx, token, makerguard.ChallengeMFA)
	if err != nil {
		return nil, err
	}
	m, mfr, err := s.challenged(ctx, ch)
	if err != nil {
		return nil, err
	}
	f := secondFactor{method: method, code: code, device: ch.Device, client: c, signingIn: true}
	err = s.checkSecondFactor(ctx, m, f, func() error {
		if _, err := s.store.TryChallenge(ctx, ch.TokenHash, s.now()); err != nil {
			return endedAttempt(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Of two right codes for one token only one signs in.
	if err := s.store.ConsumeChallenge(ctx, ch.TokenHash); err != nil {
		return nil, endedAttempt(err)
	}
	if err := s.admit(ctx, m, mfr, c); err != nil {
		return nil, err
	}
	return s.complete(ctx, m, mfr, amrMFA, ch.Device, c)
}

// AuthenticateEnrollment tells who may enrol a second factor with an MFAToken. The
// principal has no session. It returns TOKEN_INVALID for any other token.
func (s *Service) AuthenticateEnrollment(ctx context.Context, token makerguard.Secret) (*makerguard.Principal, error) {
	ch, err := s.challenge(ctx, token, makerguard.ChallengeEnrollment)
	if errors.Is(err, makerguard.MFAInvalid) {
		return nil, tokenInvalid(err)
	}
	if err != nil {
		return nil, err
	}
	m, mfr, err := s.challenged(ctx, ch)
	if errors.Is(err, makerguard.MFAInvalid) {
		return nil, tokenInvalid(err)
	}
	if err != nil {
		return nil, err
	}
	return &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: m.ID, Email: m.Email,
		Tier: mfr.Tier, Role: m.Role, Grants: m.Grants, AMR: amrPassword, AuthTime: ch.CreatedAt,
	}, nil
}

// challenge gives a started sign-in that awaits purpose, without using up a try.
func (s *Service) challenge(ctx context.Context, token makerguard.Secret, purpose makerguard.ChallengePurpose) (makerguard.Challenge, error) {
	hash, ok := challengeHash(token)
	if !ok {
		return makerguard.Challenge{}, endedAttempt(makerguard.NotFound)
	}
	ch, err := s.store.Challenge(ctx, hash, s.now())
	if err != nil {
		return makerguard.Challenge{}, endedAttempt(err)
	}
	if ch.Purpose != purpose {
		return makerguard.Challenge{}, endedAttempt(makerguard.NotFound)
	}
	return ch, nil
}

// challenged gives whose sign-in it is. A password changed since ends it.
func (s *Service) challenged(ctx context.Context, ch makerguard.Challenge) (makerguard.Member, makerguard.Manufacturer, error) {
	m, mfr, err := s.store.MemberByID(ctx, ch.ManufacturerID, ch.MemberID)
	if err == nil && m.PasswordChangedAt.After(ch.CreatedAt) {
		err = makerguard.NotFound
	}
	if err != nil {
		return makerguard.Member{}, makerguard.Manufacturer{}, endedAttempt(err)
	}
	return m, mfr, nil
}

// endedAttempt gives a missing challenge the words for a caller.
func endedAttempt(err error) error {
	if !errors.Is(err, makerguard.NotFound) {
		return fmt.Errorf("reading a started sign-in: %w", err)
	}
	return &makerguard.Error{Code: makerguard.MFAInvalid, Message: "This sign-in is over, or had too many tries. Start again.", Err: err}
}

func invalidCredentials() error {
	return &makerguard.Error{Code: makerguard.InvalidCredentials, Message: "The e-mail address or the password is wrong."}
}

// cleanLine bounds what a client says of itself before it is stored and shown.
func cleanLine(text string) string {
	const most = 256
	if len(text) > most {
		text = text[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
