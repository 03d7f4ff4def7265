package integration

import (
	"io"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Without a mail server the outbox has the message, and its token verifies the address once.
func TestVerifyEmail_WithTheTokenThatWasMailed(t *testing.T) {
	s := start(t, "")
	a, token := s.signUp(t, "mailed")
	if me := s.get(t, token, "/v1/me").want(t, 200, ""); me.at("member", "email_verified") != false {
		t.Errorf("%v, want an address that is not verified yet", me)
	}
	mailed := mailToken(t, s.data, a.email)
	s.get(t, mailed, "/v1/me").want(t, 401, "TOKEN_INVALID")                                                                     // goal: V9.2.2
	s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": mailed, "method": "totp", "code": "000000"}).want(t, 401, "MFA_INVALID") // nor does it start a session
	s.post(t, "", "/v1/auth/email/verify", m{"token": "mgm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}).want(t, 401, "TOKEN_INVALID")
	s.post(t, "", "/v1/auth/email/verify", m{"token": mailed}).want(t, 204, "")
	s.post(t, "", "/v1/auth/email/verify", m{"token": mailed}).want(t, 401, "TOKEN_INVALID")
	if me := s.get(t, token, "/v1/me").want(t, 200, ""); me.at("member", "email_verified") != true {
		t.Errorf("%v, want a verified address", me)
	}
}

// mailToken gives the token in the one message to an address.
func mailToken(t testing.TB, data, to string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "outbox", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := mail.ReadMessage(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if list, err := m.Header.AddressList("To"); err != nil || list[0].Address != to {
			continue
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		if token := regexp.MustCompile(`mgm_[A-Za-z0-9_-]{43}`).Find(body); token != nil {
			return string(token)
		}
	}
	t.Fatalf("no message with a token to %s among %d", to, len(files))
	return ""
}
