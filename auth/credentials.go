package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// ChangePassword replaces the principal's password and ends their other sessions. Guessing at
// the present one is throttled as at sign-in, with a counter of its own. It returns
// INVALID_CREDENTIALS if current is wrong, RATE_LIMIT_EXCEEDED, OVERLOADED, and
// VALIDATION_FAILED for /new_password as CheckPassword does. It also enables a password that too
// many failed sign-ins have disabled.
func (s *Service) ChangePassword(ctx context.Context, p *makerguard.Principal, current, next makerguard.Secret, c makerguard.Client) error {
	if err := signedIn(p); err != nil {
		return err
	}
	m, mfr, err := s.member(ctx, p)
	if err != nil {
		return err
	}
	if err := checkPassword(newPasswordPointer, next, []string{m.EmailKey, m.Name, mfr.CompanyName}, m.TOTP != nil); err != nil {
		return err
	}
	if string(normalise(next)) == string(normalise(current)) {
		return invalidPassword(newPasswordPointer, "password.same", "Choose a password other than the present one.")
	}
	place, err := s.hashing.enter()
	if err != nil {
		return err
	}
	defer place.leave()
	m, err = s.checkPresent(ctx, place, p, current, c)
	if err != nil {
		return err
	}
	hash, err := s.hash(ctx, place, next)
	if err != nil {
		return err
	}
	if err := s.recordOf(ctx, m, audit.PasswordChanged, string(m.ID), "", c); err != nil {
		return err
	}
	now := s.now()
	err = s.store.SetPassword(ctx, makerguard.PasswordUpdate{
		ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: hash, Short: isShort(next),
		EndSessions: true, Except: p.SessionID, Now: now,
	})
	if errors.Is(err, makerguard.Conflict) {
		return &makerguard.Error{Code: makerguard.Conflict, Message: "The password was changed meanwhile.", Err: err}
	}
	if err != nil {
		return fmt.Errorf("storing a password: %w", err)
	}
	s.memberChanged(p)
	if err := s.store.ResetCounter(ctx, counterKey("password", counterKey("account", m.EmailKey))); err != nil {
		// The password is changed all the same.
		s.logger.WarnContext(ctx, "failed sign-ins were not forgotten", "member", m.ID, "error", err)
	}
	return nil
}

// checkPresent verifies the password of somebody who is signed in, and returns who they are as
// read just before.
func (s *Service) checkPresent(ctx context.Context, place place, p *makerguard.Principal, pw makerguard.Secret, c makerguard.Client) (makerguard.Member, error) {
	if len(pw) > maxPassword {
		return makerguard.Member{}, invalidCredentials()
	}
	g := guess{counter: counterKey("present_password", string(p.MemberID)), client: c, member: memberOf(p)}
	a, err := s.begin(ctx, g)
	if err != nil {
		return makerguard.Member{}, err
	}
	m, _, err := s.member(ctx, p)
	if err != nil {
		a.abandon()
		return makerguard.Member{}, err
	}
	match, _, err := s.verify(ctx, place, m.PasswordHash, pw)
	if err != nil {
		a.abandon()
		return makerguard.Member{}, err
	}
	if !match {
		s.recordFailure(ctx, m, audit.ReauthenticationFailed, "password", c)
		if err := a.failed(ctx); err != nil {
			return makerguard.Member{}, err
		}
		return makerguard.Member{}, &makerguard.Error{Code: makerguard.InvalidCredentials, Message: "The present password is wrong."}
	}
	return m, a.succeeded(ctx)
}

// StepUp proves again who is signed in, and gives a new session with the present as its time
// of authentication instead of the old one, which ends: tokens that somebody may have copied
// before do not gain by it (ASVS 7.2.4). A member with a second factor gives a code of it (a
// recovery code works too), one without gives the password; what else is given must be
// right too. The new session has the absolute limit of the old one.
//
// It returns MFA_REQUIRED if the code of a factor is missing, INVALID_CREDENTIALS, MFA_INVALID,
// RATE_LIMIT_EXCEEDED and OVERLOADED.
func (s *Service) StepUp(ctx context.Context, p *makerguard.Principal, password makerguard.Secret, code string, c makerguard.Client) (*Tokens, error) {
	if err := signedIn(p); err != nil {
		return nil, err
	}
	old, m, mfr, err := s.store.LoadSession(ctx, p.SessionID)
	if errors.Is(err, makerguard.NotFound) {
		return nil, sessionRevoked()
	}
	if err != nil {
		return nil, fmt.Errorf("reading session %s: %w", p.SessionID, err)
	}
	if err := s.usable(old, m, mfr, s.now()); err != nil {
		return nil, err
	}
	switch {
	case m.TOTP != nil && code == "":
		return nil, &makerguard.Error{Code: makerguard.MFARequired, Message: "Send a code of your second factor."}
	case m.TOTP == nil && code != "":
		return nil, mfaInvalid()
	}
	amr := amrPassword
	if m.TOTP == nil || password != "" {
		place, err := s.hashing.enter()
		if err != nil {
			return nil, err
		}
		defer place.leave()
		if m, err = s.checkPresent(ctx, place, p, password, c); err != nil {
			return nil, err
		}
	}
	if code != "" {
		f := secondFactor{method: MethodTOTP, code: code, client: c}
		if _, isRecovery := recoveryHash(m.ID, code); isRecovery {
			f.method = MethodRecoveryCode
		}
		if err := s.checkSecondFactor(ctx, m, f, func() error { return nil }); err != nil {
			return nil, err
		}
		amr = amrMFA
	}
	tokens, err := s.openSession(ctx, m, mfr, opening{amr: amr, client: c, replaces: &old})
	if err != nil {
		return nil, err
	}
	if err := s.endSession(ctx, old, reasonStepUp); err != nil {
		return nil, err
	}
	return tokens, nil
}

// Unlock lets a member try again whose password, codes or recovery codes were disabled by too
// many failures. It returns NOT_FOUND unless actor is an operator or of the same
// manufacturer; whether the role allows it is for the caller to check.
func (s *Service) Unlock(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, member makerguard.MemberID, c makerguard.Client) error {
	notFound := &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such member."}
	if actor == nil || !actor.Operator() && actor.ManufacturerID != mfr {
		return notFound
	}
	m, _, err := s.store.MemberByID(ctx, mfr, member)
	if errors.Is(err, makerguard.NotFound) {
		return notFound
	}
	if err != nil {
		return fmt.Errorf("reading member %s: %w", member, err)
	}
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: mfr, Action: audit.MemberUnlocked, Outcome: audit.Success,
		ActorKind: string(actor.Kind), ActorID: string(actor.MemberID), Target: string(member),
	}, c); err != nil {
		return err
	}
	for _, counter := range []string{
		counterKey("password", counterKey("account", m.EmailKey)), counterKey("present_password", string(member)),
		factorCounter(MethodTOTP, member, ""), factorCounter(MethodRecoveryCode, member, ""),
	} {
		if err := s.store.ResetCounter(ctx, counter); err != nil {
			return fmt.Errorf("forgetting failures of %s: %w", member, err)
		}
	}
	return nil
}

// member reads who a principal is now.
func (s *Service) member(ctx context.Context, p *makerguard.Principal) (makerguard.Member, makerguard.Manufacturer, error) {
	m, mfr, err := s.store.MemberByID(ctx, p.ManufacturerID, p.MemberID)
	if errors.Is(err, makerguard.NotFound) {
		return makerguard.Member{}, makerguard.Manufacturer{}, sessionRevoked()
	}
	if err != nil {
		return makerguard.Member{}, makerguard.Manufacturer{}, fmt.Errorf("reading member %s: %w", p.MemberID, err)
	}
	return m, mfr, nil
}
