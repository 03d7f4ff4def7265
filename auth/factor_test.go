package auth_test

import (
	"bytes"
	"image/png"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
)

func TestEnrolTOTP_ConfirmAndUse(t *testing.T) {
	// goal: V6.5.3 V6.5.4
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	e, err := w.EnrolTOTP(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if seed, err := totpEncoding.DecodeString(string(e.Secret)); err != nil || len(seed) != 20 {
		t.Errorf("seed = %d bytes, %v, want 20", len(seed), err)
	}
	if !strings.HasPrefix(string(e.URI), "otpauth://totp/makerguard:") || !strings.Contains(string(e.URI), string(e.Secret)) {
		t.Errorf("URI is not one of otpauth with the seed")
	}
	if _, err := png.Decode(bytes.NewReader(e.QRPNG)); err != nil {
		t.Errorf("QRPNG: %v", err)
	}
	stored, _, err := w.db.MemberByID(t.Context(), m.ManufacturerID, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if seed, _ := totpEncoding.DecodeString(string(e.Secret)); bytes.Contains(stored.PendingTOTP, seed) {
		t.Error("the seed is stored in the clear")
	}
	// Pending: not asked for yet.
	if in := w.login(m.Email); in.Status != auth.StatusAuthenticated {
		t.Errorf("Login while pending = %q, want authenticated", in.Status)
	}
	_, err = w.ConfirmTOTP(t.Context(), p, "000000", "", home)
	wantCode(t, "wrong first code", err, makerguard.MFAInvalid)
	code := w.code(string(e.Secret))
	in, err := w.ConfirmTOTP(t.Context(), p, code, "", home)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$`)
	unique := map[makerguard.Secret]bool{}
	for _, c := range in.RecoveryCodes {
		unique[c] = true
		if !form.MatchString(string(c)) {
			t.Errorf("recovery code %q has another form than 5 groups of 5", string(c))
		}
	}
	if len(unique) != 10 || in.Tokens != nil || in.Member.TOTP == nil {
		t.Errorf("ConfirmTOTP = %d recovery codes, tokens %v; want 10 and none", len(unique), in.Tokens)
	}
	_, err = w.EnrolTOTP(t.Context(), p)
	wantCode(t, "a second enrolment", err, makerguard.Conflict)
	_, err = w.ConfirmTOTP(t.Context(), p, code, "", home)
	wantCode(t, "a second confirmation", err, makerguard.Conflict)
	// The code that confirmed is used up.
	_, err = w.VerifyMFA(t.Context(), w.login(m.Email).MFAToken, auth.MethodTOTP, code, home)
	wantCode(t, "the confirming code at sign-in", err, makerguard.MFAInvalid)
}

// goal: V7.5.1
func TestEnrolTOTP_NeedsRecentAuthentication(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	w.clock.advance(5*time.Minute + time.Second)
	_, err := w.EnrolTOTP(t.Context(), p)
	wantCode(t, "5 minutes later", err, makerguard.StepUpRequired)
	tokens, err := w.StepUp(t.Context(), p, goodPassword, "", home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.EnrolTOTP(t.Context(), w.authenticate(tokens.Access)); err != nil {
		t.Errorf("after step-up: %v", err)
	}
}

func TestConfirmTOTP_ParallelConfirmationHasOneWinner(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	e, err := w.EnrolTOTP(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(string(e.Secret))
	var mu sync.Mutex
	got := map[makerguard.Code]int{}
	parallel(5, func(int) {
		_, err := w.ConfirmTOTP(t.Context(), p, code, "", home)
		mu.Lock()
		defer mu.Unlock()
		got[makerguard.CodeOf(err)]++
	})
	if want := (map[makerguard.Code]int{"": 1, makerguard.Conflict: 4}); !cmp.Equal(got, want) {
		t.Errorf("outcomes = %v, want %v", got, want)
	}
}

// goal: V6.3.3 V2.3.1
func TestEnrollment_IsForcedAndOpensNothingElse(t *testing.T) {
	for _, tier := range []makerguard.Tier{makerguard.TierPlatform, makerguard.TierEnterprise} {
		t.Run(string(tier), func(t *testing.T) {
			w := newWorld(t, nil)
			w.policy.mfa[makerguard.TierEnterprise] = true // of the platform the policy says nothing
			m := w.manufacturer("anna@optik.example", tier)
			in := w.login(m.Email)
			if in.Status != auth.StatusMFAEnrollmentRequired || in.Tokens != nil || in.MFAToken == "" {
				t.Fatalf("Login = %+v, want mfa_enrollment_required and a token", in)
			}
			_, err := w.Authenticate(t.Context(), string(in.MFAToken))
			wantCode(t, "Authenticate", err, makerguard.TokenInvalid)
			_, err = w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, "000000", home)
			wantCode(t, "VerifyMFA", err, makerguard.MFAInvalid)

			p, err := w.AuthenticateEnrollment(t.Context(), in.MFAToken)
			if err != nil {
				t.Fatal(err)
			}
			if p.SessionID != "" || p.MemberID != m.ID {
				t.Errorf("principal = %+v, want the member without a session", p)
			}
			e, err := w.EnrolTOTP(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			stranger := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_x", MemberID: "mbr_x"}
			_, err = w.ConfirmTOTP(t.Context(), stranger, w.code(string(e.Secret)), in.MFAToken, home)
			wantCode(t, "somebody else's token", err, makerguard.MFAInvalid)
			done, err := w.ConfirmTOTP(t.Context(), p, w.code(string(e.Secret)), in.MFAToken, home)
			if err != nil {
				t.Fatal(err)
			}
			if done.Status != auth.StatusAuthenticated || len(done.RecoveryCodes) != 10 || done.DeviceToken == "" {
				t.Errorf("ConfirmTOTP = %+v, want an authenticated sign-in with recovery codes", done)
			}
			signedIn := w.authenticate(done.Tokens.Access)
			if !cmp.Equal(signedIn.AMR, []string{"pwd", "otp", "mfa"}) {
				t.Errorf("AMR = %v, want pwd otp mfa", signedIn.AMR)
			}
			_, err = w.AuthenticateEnrollment(t.Context(), in.MFAToken)
			wantCode(t, "the token again", err, makerguard.TokenInvalid)
			wantCode(t, "removing the only factor", w.RemoveTOTP(t.Context(), signedIn, home), makerguard.Conflict)
		})
	}
}

func TestEnrollment_TokenHasFiveTriesAndFiveMinutes(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("op@example.com", makerguard.TierPlatform)
	begin := func() (*auth.SignIn, *makerguard.Principal, *auth.Enrolment) {
		in := w.login(m.Email)
		p, err := w.AuthenticateEnrollment(t.Context(), in.MFAToken)
		if err != nil {
			t.Fatal(err)
		}
		e, err := w.EnrolTOTP(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return in, p, e
	}
	in, p, e := begin()
	for range 5 {
		_, err := w.ConfirmTOTP(t.Context(), p, "000000", in.MFAToken, home)
		wantCode(t, "wrong", err, makerguard.MFAInvalid)
	}
	w.clock.advance(time.Second)
	_, err := w.ConfirmTOTP(t.Context(), p, w.code(string(e.Secret)), in.MFAToken, home)
	wantCode(t, "6th try", err, makerguard.MFAInvalid)
	in, p, e = begin()
	w.clock.advance(5*time.Minute + time.Second)
	_, err = w.AuthenticateEnrollment(t.Context(), in.MFAToken)
	wantCode(t, "5 minutes later", err, makerguard.TokenInvalid)
	_, err = w.ConfirmTOTP(t.Context(), p, w.code(string(e.Secret)), in.MFAToken, home)
	wantCode(t, "confirm 5 minutes later", err, makerguard.MFAInvalid)
}

func TestRemoveTOTP(t *testing.T) {
	// goal: V7.4.3 V6.5.6
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	wantCode(t, "no factor", w.RemoveTOTP(t.Context(), p, home), makerguard.NotFound)
	seed, recovery := w.enrol(p)
	wantCode(t, "a session without it", w.RemoveTOTP(t.Context(), p, home), makerguard.StepUpRequired)
	p = w.authenticate(w.withMFA(m.Email, seed).Tokens.Access)
	w.clock.advance(5*time.Minute + time.Second)
	wantCode(t, "5 minutes later", w.RemoveTOTP(t.Context(), p, home), makerguard.StepUpRequired)
	tokens, err := w.StepUp(t.Context(), p, "", w.code(seed), home)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(30 * time.Second)
	p = w.authenticate(tokens.Access)

	// With the second factor a short password is allowed, and then it holds the factor.
	if err := w.ChangePassword(t.Context(), p, goodPassword, "gR7!kq2z", home); err != nil {
		t.Fatalf("ChangePassword to a short one: %v", err)
	}
	err = w.RemoveTOTP(t.Context(), p, home)
	wantCode(t, "short password", err, makerguard.ValidationFailed)
	if err := w.ChangePassword(t.Context(), p, "gR7!kq2z", goodPassword, home); err != nil {
		t.Fatal(err)
	}
	other := w.withMFA(m.Email, seed)
	if err := w.RemoveTOTP(t.Context(), p, home); err != nil {
		t.Fatalf("RemoveTOTP: %v", err)
	}
	w.authenticate(tokens.Access)
	_, err = w.Authenticate(t.Context(), string(other.Tokens.Access))
	wantCode(t, "the other session", err, makerguard.SessionRevoked)
	if in := w.login(m.Email); in.Status != auth.StatusAuthenticated {
		t.Errorf("Login = %q, want authenticated", in.Status)
	}
	_, err = w.StepUp(t.Context(), p, "", string(recovery[0]), home)
	wantCode(t, "a recovery code of the removed factor", err, makerguard.MFAInvalid)
}

// goal: V6.5.2
func TestRecoveryCodes_InAnyWriting(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	other := w.manufacturer("ben@optik.example", makerguard.TierFree)
	_, recovery := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))
	_, foreign := w.enrol(w.authenticate(w.login(other.Email).Tokens.Access))
	verify := func(code string) error {
		_, err := w.VerifyMFA(t.Context(), w.login(m.Email).MFAToken, auth.MethodRecoveryCode, code, home)
		return err
	}
	for i, write := range []func(string) string{
		func(c string) string { return c },
		strings.ToLower,
		func(c string) string { return strings.ReplaceAll(c, "-", "") },
		func(c string) string { return " " + strings.ReplaceAll(c, "-", " - ") + " " },
		func(c string) string { return strings.NewReplacer("0", "O", "1", "l").Replace(c) },
	} {
		if err := verify(write(string(recovery[i]))); err != nil {
			t.Errorf("writing %d: %v", i, err)
		}
	}
	wantCode(t, "used", verify(string(recovery[0])), makerguard.MFAInvalid)
	wantCode(t, "somebody else's", verify(string(foreign[0])), makerguard.MFAInvalid)
	if n := w.log.count(audit.RecoveryCodeUsed); n != 5 {
		t.Errorf("%d audit entries, want 5", n)
	}
}

func TestStepUp_GivesANewSession(t *testing.T) {
	// goal: V7.2.4
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	w.policy.sessions = 2
	other := w.login(m.Email)
	w.clock.advance(time.Second)
	in := w.login(m.Email)
	p := w.authenticate(in.Tokens.Access)
	old, _, _, err := w.db.LoadSession(t.Context(), p.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(9 * time.Minute)
	_, err = w.StepUp(t.Context(), p, wrongPassword, "", home)
	wantCode(t, "wrong password", err, makerguard.InvalidCredentials)
	_, err = w.StepUp(t.Context(), p, "", "", home)
	wantCode(t, "nothing", err, makerguard.InvalidCredentials)
	_, err = w.StepUp(t.Context(), p, "", "123456", home)
	wantCode(t, "a code without a factor", err, makerguard.MFAInvalid)
	w.authenticate(in.Tokens.Access) // still there
	tokens, err := w.StepUp(t.Context(), p, goodPassword, "", home)
	if err != nil {
		t.Fatal(err)
	}
	stepped := w.authenticate(tokens.Access)
	if stepped.SessionID == p.SessionID || !stepped.AuthTime.Equal(w.clock.now()) {
		t.Errorf("principal = %+v, want another session that was authenticated now", stepped)
	}
	if sess, _, _, err := w.db.LoadSession(t.Context(), tokens.SessionID); err != nil || !sess.ExpiresAt.Equal(old.ExpiresAt) {
		t.Errorf("the new session ends at %v, %v, want %v as the old one", sess.ExpiresAt, err, old.ExpiresAt)
	}
	_, err = w.Authenticate(t.Context(), string(in.Tokens.Access))
	wantCode(t, "old access token", err, makerguard.SessionRevoked)
	_, err = w.StepUp(t.Context(), p, goodPassword, "", home)
	wantCode(t, "step-up of an ended session", err, makerguard.SessionRevoked)
	// The limit of two sessions was not in the way, and ended no other.
	w.authenticate(other.Tokens.Access)
}

func TestStepUp_WithASecondFactor(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	seed, recovery := w.enrol(w.authenticate(w.login(m.Email).Tokens.Access))
	p := w.authenticate(w.withMFA(m.Email, seed).Tokens.Access)
	_, err := w.StepUp(t.Context(), p, goodPassword, "", home)
	wantCode(t, "password only", err, makerguard.MFARequired)
	_, err = w.StepUp(t.Context(), p, wrongPassword, w.code(seed), home)
	wantCode(t, "wrong password beside the code", err, makerguard.InvalidCredentials)
	_, err = w.StepUp(t.Context(), p, "", "000000", home)
	wantCode(t, "wrong code", err, makerguard.MFAInvalid)
	code := w.code(seed)
	tokens, err := w.StepUp(t.Context(), p, goodPassword, code, home)
	if err != nil {
		t.Fatal(err)
	}
	p = w.authenticate(tokens.Access)
	_, err = w.StepUp(t.Context(), p, "", code, home)
	wantCode(t, "a used code", err, makerguard.MFAInvalid)
	tokens, err = w.StepUp(t.Context(), p, "", string(recovery[0]), home)
	if err != nil {
		t.Fatalf("recovery code: %v", err)
	}
	if p = w.authenticate(tokens.Access); !cmp.Equal(p.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("AMR = %v, want pwd otp mfa", p.AMR)
	}
}

func TestStepUp_LosesAgainstEndingAllSessions(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	// All sessions end right before the new one is stored.
	w.config.Store = createHook{Store: w.store, before: func() {
		if _, err := w.db.RevokeSessions(t.Context(), m.ManufacturerID, m.ID, "", "test", w.clock.now()); err != nil {
			t.Error(err)
		}
	}}
	_, err := w.node().StepUp(t.Context(), p, goodPassword, "", home)
	wantCode(t, "StepUp", err, makerguard.SessionRevoked)
	if list, err := w.db.Sessions(t.Context(), m.ManufacturerID, m.ID, w.clock.now()); err != nil || len(list) != 0 {
		t.Errorf("sessions = %v, %v, want none", list, err)
	}
}

// goal: V6.2.2 V7.4.3
func TestChangePassword(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	other := w.login(m.Email)
	tokens := w.login(m.Email).Tokens
	p := w.authenticate(tokens.Access)
	change := func(current, next makerguard.Secret) error {
		return w.ChangePassword(t.Context(), p, current, next, home)
	}
	for _, next := range []makerguard.Secret{"short", "annaoptikexample", "passwordpassword", goodPassword} {
		err := change(goodPassword, next)
		wantCode(t, string(next), err, makerguard.ValidationFailed)
		if f := fields(err); len(f) != 1 || f[0].Pointer != "/new_password" || f[0].Message == "" {
			t.Errorf("%s: fields = %+v, want /new_password with a reason", string(next), f)
		}
	}
	if err := change(goodPassword, otherPassword); err != nil {
		t.Fatalf("ChangePassword: %v", err)
	}
	w.authenticate(tokens.Access)
	_, err := w.Authenticate(t.Context(), string(other.Tokens.Access))
	wantCode(t, "the other session", err, makerguard.SessionRevoked)
	_, err = w.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
	wantCode(t, "the old password", err, makerguard.InvalidCredentials)
	if _, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: otherPassword}, home); err != nil {
		t.Errorf("the new password: %v", err)
	}
	// Throttled like sign-in.
	for range 5 {
		wantCode(t, "wrong", change(wrongPassword, goodPassword), makerguard.InvalidCredentials)
	}
	wantCode(t, "6th", change(otherPassword, goodPassword), makerguard.RateLimitExceeded)
}

func TestChangePassword_ParallelChangesHaveOneWinner(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	var mu sync.Mutex
	got := map[makerguard.Code]int{}
	parallel(4, func(i int) {
		err := w.ChangePassword(t.Context(), p, goodPassword, otherPassword, home)
		mu.Lock()
		defer mu.Unlock()
		got[makerguard.CodeOf(err)]++
	})
	// Who comes after the winner has the wrong password by then.
	if got[""] != 1 || got[makerguard.Conflict]+got[makerguard.InvalidCredentials] != 3 {
		t.Errorf("outcomes = %v, want one success and 3 refusals", got)
	}
}

func TestChangePassword_EnablesADisabledPassword(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	for range 5 {
		_, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword}, home)
		wantCode(t, "wrong", err, makerguard.InvalidCredentials)
	}
	if err := w.ChangePassword(t.Context(), p, goodPassword, otherPassword, home); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Login(t.Context(), auth.Login{Email: m.Email, Password: otherPassword}, home); err != nil {
		t.Errorf("Login after the change: %v", err)
	}
}

func TestProvisionTOTP(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("op@example.com", makerguard.TierPlatform)
	e, recovery, err := w.ProvisionTOTP(t.Context(), m)
	if err != nil || len(recovery) != 10 {
		t.Fatalf("ProvisionTOTP = %d recovery codes, %v, want 10", len(recovery), err)
	}
	w.withMFA(m.Email, string(e.Secret))
	_, _, err = w.ProvisionTOTP(t.Context(), m)
	wantCode(t, "again", err, makerguard.Conflict)
}

func TestSecondFactor_SeedOfAnotherMemberDoesNotOpen(t *testing.T) {
	w := newWorld(t, nil)
	a := w.manufacturer("a@optik.example", makerguard.TierFree)
	b := w.manufacturer("b@optik.example", makerguard.TierFree)
	seed, _ := w.enrol(w.authenticate(w.login(a.Email).Tokens.Access))
	a, _, err := w.db.MemberByID(t.Context(), a.ManufacturerID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody who can write the store puts a's sealed seed, known to him, into b's row.
	if err := w.db.SetPendingTOTP(t.Context(), b.ManufacturerID, b.ID, a.TOTP.SealedSeed, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	_, err = w.ConfirmTOTP(t.Context(), w.authenticate(w.login(b.Email).Tokens.Access), w.code(seed), "", home)
	wantCode(t, "ConfirmTOTP", err, makerguard.DecryptionFailed)
}
