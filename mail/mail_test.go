package mail_test

import (
	"errors"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/mail"
)

func TestOutbox_KeepsAMessageThatMailReadersRead(t *testing.T) {
	o := &mail.Outbox{Dir: filepath.Join(t.TempDir(), "outbox"), From: "makerguard@localhost", Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
	if err := o.Send(t.Context(), mail.Message{To: "owner@lunettes.example", Subject: "Vérifiez", Text: "Token: abc\n"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.Dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v, want one", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := netmail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || strings.TrimSpace(string(body)) != "Token: abc" {
		t.Errorf("body %q, %v, want the text", body, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "owner@lunettes.example" {
		t.Errorf("To %v, %v, want the one address", to, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(o.Now()) {
		t.Errorf("Date %v, %v, want the clock's", date, err)
	}
}

// goal: V1.3.11 — CR and LF in address or subject are refused.
func TestOutbox_RefusesWhatCouldAddHeaders(t *testing.T) {
	o := &mail.Outbox{Dir: t.TempDir(), From: "makerguard@localhost"}
	for _, m := range []mail.Message{
		{To: "a@b.example\r\nBcc: c@d.example", Subject: "s"},
		{To: "a@b.example", Subject: "s\r\nBcc: c@d.example"},
		{To: "a@b.example\n", Subject: "s"},
		{To: "a@b.example", Subject: "s\x00"},
		{To: "a@b.example, c@d.example", Subject: "s"},
		{To: "", Subject: "s"},
	} {
		if err := o.Send(t.Context(), m); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Send(%+v) = %v, want VALIDATION_FAILED", m, err)
		}
	}
	if files, _ := os.ReadDir(o.Dir); len(files) != 0 {
		t.Errorf("%d files written, want none", len(files))
	}
}

func TestOutbox_SaysWhenItCannotWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := &mail.Outbox{Dir: filepath.Join(file, "outbox"), From: "makerguard@localhost"}
	if err := o.Send(t.Context(), mail.Message{To: "a@b.example", Subject: "s"}); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Send = %v, want STORE_UNAVAILABLE", err)
	}
}
