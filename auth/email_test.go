package auth_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
)

func TestVerifyEmail_OpensSignIn(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.RequireVerifiedEmail = true })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	start := func() makerguard.Secret {
		token, err := w.StartEmailVerification(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := start()
	for what, err := range map[string]error{
		"Authenticate": second(w.Authenticate(t.Context(), string(token))), "Refresh": second(w.Refresh(t.Context(), token, home)),
		"AuthenticateEnrollment": second(w.AuthenticateEnrollment(t.Context(), token)), "VerifyEmail of nonsense": w.VerifyEmail(t.Context(), "mgm_x", home),
	} {
		wantCode(t, what, err, makerguard.TokenInvalid)
	}
	_, err := w.VerifyMFA(t.Context(), token, auth.MethodTOTP, "000000", home)
	wantCode(t, "VerifyMFA", err, makerguard.MFAInvalid)

	var mu sync.Mutex
	got := map[makerguard.Code]int{}
	parallel(4, func(int) {
		err := w.VerifyEmail(t.Context(), token, home)
		mu.Lock()
		defer mu.Unlock()
		got[makerguard.CodeOf(err)]++
	})
	if want := (map[makerguard.Code]int{"": 1, makerguard.TokenInvalid: 3}); !cmp.Equal(got, want) {
		t.Errorf("parallel uses = %v, want %v", got, want)
	}
	in := w.login(m.Email)
	if in.Status != auth.StatusAuthenticated {
		t.Errorf("Login = %q, want authenticated", in.Status)
	}
	token = start()
	w.clock.advance(24*time.Hour + time.Second)
	wantCode(t, "a day later", w.VerifyEmail(t.Context(), token, home), makerguard.TokenInvalid)
}

// goal: V9.2.2 (an MFA token verifies no address)
func TestVerifyEmail_RefusesOtherChallenges(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("op@example.com", makerguard.TierPlatform)
	in := w.login(m.Email)
	wantCode(t, "VerifyEmail", w.VerifyEmail(t.Context(), in.MFAToken, home), makerguard.TokenInvalid)
	if _, err := w.AuthenticateEnrollment(t.Context(), in.MFAToken); err != nil {
		t.Errorf("the token afterwards: %v, want it unused", err)
	}
}
