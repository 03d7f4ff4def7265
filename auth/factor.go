package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth/totp"
)

// totpField is the field that sealed seeds are bound to; the record is the member's id.
const totpField = "totp"

const qrSize = 320 // pixels

// Recovery codes have 125 random bits, which is why a plain hash of them is safe to keep (ASVS
// 6.5.2 asks for a slow one below 112). The alphabet is Crockford's base32, which has
// no letters that look like digits.
const (
	recoveryCodes    = 10
	recoveryLength   = 25
	recoveryGroup    = 5
	recoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// EnrolTOTP makes a seed for one-time codes that awaits its first code, replacing one that
// was waiting. The principal is one of Authenticate or of AuthenticateEnrollment. It returns
// STEP_UP_REQUIRED unless the member proved who they are within 5 minutes, and CONFLICT if
// there is a confirmed seed.
func (s *Service) EnrolTOTP(ctx context.Context, p *makerguard.Principal) (*Enrolment, error) {
	if p == nil || p.Kind != makerguard.KindMember {
		return nil, signedIn(p)
	}
	if s.now().Sub(p.AuthTime) > recentAuthentication {
		return nil, stepUpRequired()
	}
	enrolment, _, err := s.newPendingTOTP(ctx, p.ManufacturerID, p.MemberID, p.Email)
	return enrolment, err
}

func (s *Service) newPendingTOTP(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, email string) (*Enrolment, []byte, error) {
	seed, err := totp.NewSeed()
	if err != nil {
		return nil, nil, err
	}
	uri := totp.URI(s.c.Issuer, email, seed)
	png, err := totp.QR(uri, qrSize)
	if err != nil {
		return nil, nil, err
	}
	sealed, _, err := s.c.Sealer.Seal(ctx, mfr, string(member), totpField, seed)
	if err != nil {
		return nil, nil, fmt.Errorf("sealing a seed: %w", err)
	}
	if err := s.store.SetPendingTOTP(ctx, mfr, member, sealed, s.now()); err != nil {
		return nil, nil, fmt.Errorf("storing a pending seed: %w", factorExists(err))
	}
	return &Enrolment{Secret: makerguard.Secret(totp.Encode(seed)), URI: makerguard.Secret(uri), QRPNG: png}, sealed, nil
}

// ConfirmTOTP makes the pending seed the member's second factor once a code of it is right, and
// gives the recovery codes. With an enrolment token, "" otherwise, it ends the sign-in that
// gave the token, and the result has Tokens too. It returns MFA_INVALID for a wrong code
// or a token that is over, RATE_LIMIT_EXCEEDED after too many wrong codes, and
// CONFLICT if no seed is pending.
func (s *Service) ConfirmTOTP(ctx context.Context, p *makerguard.Principal, code string, enrollment makerguard.Secret, c makerguard.Client) (*SignIn, error) {
	if enrollment == "" {
		if err := signedIn(p); err != nil {
			return nil, err
		}
		m, _, err := s.member(ctx, p)
		if err != nil {
			return nil, err
		}
		return s.confirm(ctx, m, code, nil, c)
	}
	ch, err := s.challenge(ctx, enrollment, makerguard.ChallengeEnrollment)
	if err != nil {
		return nil, err
	}
	if p == nil || ch.ManufacturerID != p.ManufacturerID || ch.MemberID != p.MemberID {
		return nil, endedAttempt(makerguard.NotFound)
	}
	m, mfr, err := s.challenged(ctx, ch)
	if err != nil {
		return nil, err
	}
	if err := s.admit(ctx, m, mfr, c); err != nil {
		return nil, err
	}
	in, err := s.confirm(ctx, m, code, &ch, c)
	if err != nil {
		return nil, err
	}
	done, err := s.complete(ctx, m, mfr, amrMFA, ch.Device, c)
	if err != nil {
		return nil, err
	}
	done.Member, done.RecoveryCodes = in.Member, in.RecoveryCodes
	return done, nil
}

// confirm checks a code against the pending seed; ch is the sign-in it belongs to, or nil.
func (s *Service) confirm(ctx context.Context, m makerguard.Member, code string, ch *makerguard.Challenge, c makerguard.Client) (*SignIn, error) {
	if m.TOTP != nil || m.PendingTOTP == nil {
		return nil, &makerguard.Error{Code: makerguard.Conflict, Message: "There is no enrolment to confirm. Start one first."}
	}
	seed, _, err := s.c.Sealer.Open(ctx, m.ManufacturerID, string(m.ID), totpField, m.PendingTOTP)
	if err != nil {
		return nil, fmt.Errorf("opening a pending seed: %w", err)
	}
	a, err := s.begin(ctx, guess{counter: factorCounter(MethodTOTP, m.ID, ""), client: c, member: m})
	if err != nil {
		return nil, err
	}
	if ch != nil {
		if _, err := s.store.TryChallenge(ctx, ch.TokenHash, s.now()); err != nil {
			a.abandon()
			return nil, endedAttempt(err)
		}
	}
	step, ok := totp.Verify(seed, code, s.now(), 0)
	if !ok {
		s.recordFailure(ctx, m, audit.ReauthenticationFailed, "first code of an enrolment", c)
		if err := a.failed(ctx); err != nil {
			return nil, err
		}
		return nil, mfaInvalid()
	}
	if err := a.succeeded(ctx); err != nil {
		return nil, err
	}
	if ch != nil {
		if err := s.store.ConsumeChallenge(ctx, ch.TokenHash); err != nil {
			return nil, endedAttempt(err)
		}
	}
	if err := s.recordOf(ctx, m, audit.MFAEnrolled, string(m.ID), "", c); err != nil {
		return nil, err
	}
	codes, err := s.storeConfirmed(ctx, m.ManufacturerID, m.ID, m.PendingTOTP, step)
	if err != nil {
		return nil, err
	}
	m, mfr, err := s.store.MemberByID(ctx, m.ManufacturerID, m.ID)
	if err != nil {
		return nil, fmt.Errorf("reading member: %w", err)
	}
	return &SignIn{Status: StatusAuthenticated, Manufacturer: mfr, Member: m, RecoveryCodes: codes}, nil
}

func (s *Service) storeConfirmed(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, sealed []byte, step int64) ([]makerguard.Secret, error) {
	codes, hashes := newRecoveryCodes(member)
	if err := s.store.ConfirmTOTP(ctx, mfr, member, sealed, step, hashes, s.now()); err != nil {
		return nil, fmt.Errorf("confirming a second factor: %w", factorExists(err))
	}
	s.Apply(makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: mfr, MemberID: member})
	return codes, nil
}

// ProvisionTOTP gives a member a second factor without a first code. It is for the one who
// runs the installation and makes an operator from the command line, and so asks for no
// principal. It returns CONFLICT if there is a factor.
func (s *Service) ProvisionTOTP(ctx context.Context, m makerguard.Member) (*Enrolment, []makerguard.Secret, error) {
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: m.ManufacturerID, Action: audit.MFAEnrolled, Outcome: audit.Success,
		ActorKind: audit.ActorSystem, Target: string(m.ID), Detail: "provisioned",
	}, makerguard.Client{}); err != nil {
		return nil, nil, err
	}
	enrolment, sealed, err := s.newPendingTOTP(ctx, m.ManufacturerID, m.ID, m.Email)
	if err != nil {
		return nil, nil, err
	}
	codes, err := s.storeConfirmed(ctx, m.ManufacturerID, m.ID, sealed, 0)
	if err != nil {
		return nil, nil, err
	}
	return enrolment, codes, nil
}

// RemoveTOTP removes the second factor and the recovery codes, and ends the member's other
// sessions. It returns STEP_UP_REQUIRED unless the member proved who they are with a
// second factor within 5 minutes, CONFLICT if they must have one, VALIDATION_FAILED if
// their password is too short without one, and NOT_FOUND if there is none.
func (s *Service) RemoveTOTP(ctx context.Context, p *makerguard.Principal, c makerguard.Client) error {
	if err := signedIn(p); err != nil {
		return err
	}
	m, mfr, err := s.member(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case m.TOTP == nil:
		return &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such factor."}
	case s.now().Sub(p.AuthTime) > recentAuthentication || !hasMFA(p.AMR):
		return stepUpRequired()
	case s.requiresMFA(mfr.Tier):
		return &makerguard.Error{Code: makerguard.Conflict, Message: "This is your only second factor, and you must have one."}
	case m.PasswordShort:
		return invalidPassword(passwordPointer, rulePasswordLength,
			fmt.Sprintf("Without a second factor a password needs at least %d characters. Change it first.", minPassword))
	}
	if err := s.recordOf(ctx, m, audit.MFARemoved, string(m.ID), "", c); err != nil {
		return err
	}
	if err := s.store.RemoveTOTP(ctx, m.ManufacturerID, m.ID, p.SessionID, s.now()); err != nil {
		return fmt.Errorf("removing a second factor: %w", err)
	}
	s.memberChanged(p)
	return nil
}

// secondFactor is a code and how it came.
type secondFactor struct {
	method    string
	code      string
	device    string // known device the sign-in began on, or ""
	client    makerguard.Client
	signingIn bool // counts for the address too
}

// checkSecondFactor uses up a code of m. try is called once the throttling allows the
// guess, before the code is looked at. It returns MFA_INVALID for a code that is wrong or was
// used, also by a parallel call.
func (s *Service) checkSecondFactor(ctx context.Context, m makerguard.Member, f secondFactor, try func() error) error {
	if f.method != MethodTOTP && f.method != MethodRecoveryCode {
		return mfaInvalid()
	}
	g := guess{counter: factorCounter(f.method, m.ID, f.device), client: f.client, member: m}
	action := audit.ReauthenticationFailed
	if f.signingIn {
		action = audit.MFAFailed
		if f.device == "" {
			g.subject = counterKey("account", m.EmailKey)
		}
	}
	a, err := s.begin(ctx, g)
	if err != nil {
		return err
	}
	if err := try(); err != nil {
		a.abandon()
		return err
	}
	if f.method == MethodTOTP {
		err = s.useTOTP(ctx, m, f.code)
	} else {
		err = s.useRecoveryCode(ctx, m, f)
	}
	switch {
	case errors.Is(err, makerguard.MFAInvalid):
		s.recordFailure(ctx, m, action, f.method, f.client)
		if err := a.failed(ctx); err != nil {
			return err
		}
		return mfaInvalid()
	case err != nil:
		a.abandon()
		return err
	}
	return a.succeeded(ctx)
}

func (s *Service) useTOTP(ctx context.Context, m makerguard.Member, code string) error {
	if m.TOTP == nil {
		return mfaInvalid()
	}
	seed, _, err := s.c.Sealer.Open(ctx, m.ManufacturerID, string(m.ID), totpField, m.TOTP.SealedSeed)
	if err != nil {
		return fmt.Errorf("opening a seed: %w", err)
	}
	step, ok := totp.Verify(seed, code, s.now(), m.TOTP.LastStep)
	if !ok {
		return mfaInvalid()
	}
	if err := s.store.ConsumeTOTPStep(ctx, m.ManufacturerID, m.ID, step); err != nil {
		return fmt.Errorf("using up a time step: %w", err)
	}
	return nil
}

func (s *Service) useRecoveryCode(ctx context.Context, m makerguard.Member, f secondFactor) error {
	hash, ok := recoveryHash(m.ID, f.code)
	if !ok || !slices.ContainsFunc(m.RecoveryCodes, func(h []byte) bool { return string(h) == string(hash) }) {
		return mfaInvalid()
	}
	if err := s.recordOf(ctx, m, audit.RecoveryCodeUsed, string(m.ID), fmt.Sprintf("%d left", len(m.RecoveryCodes)-1), f.client); err != nil {
		return err
	}
	if err := s.store.ConsumeRecoveryCode(ctx, m.ManufacturerID, m.ID, hash, s.now()); err != nil {
		return fmt.Errorf("using up a recovery code: %w", err)
	}
	return nil
}

// factorCounter names the counter of wrong codes of a member.
func factorCounter(method string, member makerguard.MemberID, device string) string {
	return counterKey(method, string(member), device)
}

func newRecoveryCodes(member makerguard.MemberID) (codes []makerguard.Secret, hashes [][]byte) {
	for range recoveryCodes {
		var b strings.Builder
		for i, r := range randomBytes(recoveryLength) {
			if i > 0 && i%recoveryGroup == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(recoveryAlphabet[r%byte(len(recoveryAlphabet))]) // 256 is a multiple of 32
		}
		hash, _ := recoveryHash(member, b.String())
		codes, hashes = append(codes, makerguard.Secret(b.String())), append(hashes, hash)
	}
	return codes, hashes
}

// recoveryHash gives what is stored of a member's recovery code, written in whatever way, and
// false for what cannot be one.
func recoveryHash(member makerguard.MemberID, code string) (hash []byte, ok bool) {
	if len(code) > 4*recoveryLength {
		return nil, false
	}
	plain := recoveryWriting.Replace(strings.ToUpper(code))
	if len(plain) != recoveryLength || strings.Trim(plain, recoveryAlphabet) != "" {
		return nil, false
	}
	sum := sha256.Sum256([]byte("makerguard recovery code v1\x00" + string(member) + "\x00" + plain))
	return sum[:], true
}

// recoveryWriting drops what groups a code, and reads letters as the digits they look like.
var recoveryWriting = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1")

func factorExists(err error) error {
	if !errors.Is(err, makerguard.Conflict) {
		return err
	}
	return &makerguard.Error{Code: makerguard.Conflict, Message: "There is a second factor already, or this enrolment was replaced.", Err: err}
}

func mfaInvalid() error {
	return &makerguard.Error{Code: makerguard.MFAInvalid, Message: "The code is wrong or was used before. Wait for the next one."}
}

func stepUpRequired() error {
	return &makerguard.Error{Code: makerguard.StepUpRequired, Message: "Prove who you are again first, with your second factor if you have one."}
}
