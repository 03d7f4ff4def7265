package account_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
)

func TestEmailKey(t *testing.T) {
	label := strings.Repeat("a", 63)
	tests := []struct {
		in   string
		want string // "" is refused
	}{
		{"anna@brillen.example", "anna@brillen.example"},
		{" Anna.Schmidt+Shop@BRILLEN.Example\t", "anna.schmidt+shop@brillen.example"},
		{"o'brien@x.co", "o'brien@x.co"},
		{"a@localhost", "a@localhost"},
		{"ju\u0308rgen@bru\u0308cke.example", "jürgen@brücke.example"},
		{"İ@x.example", "i@x.example"},
		{"用户@例子.example", "用户@例子.example"},
		{strings.Repeat("a", 64) + "@x.example", strings.Repeat("a", 64) + "@x.example"},
		{strings.Repeat("a", 65) + "@x.example", ""},
		{"a@" + label + ".example", "a@" + label + ".example"},
		{"a@" + label + "a.example", ""},
		{"a@" + strings.Repeat(label+".", 4) + "example", ""},
		{"", ""},
		{"@", ""},
		{"a@", ""},
		{"@b", ""},
		{"a", ""},
		{"a@b@c", ""},
		{"a b@c.example", ""},
		{"a@b c.example", ""},
		{`"a b"@c.example`, ""},
		{"a@[192.0.2.1]", ""},
		{".a@b.example", ""},
		{"a.@b.example", ""},
		{"a..b@c.example", ""},
		{"a@.b.example", ""},
		{"a@b..example", ""},
		{"a@b.", ""},
		{"a@-b.example", ""},
		{"a@b-.example", ""},
		{"a@b_c.example", ""},
		{"a@b.example\r\nBcc: everybody@c.example", ""},
		{"a\r@b.example", ""},
		{"a\x00@b.example", ""},
		{"a\x7f@b.example", ""},
		{"a\u202e@b.example", ""},
		{"a\u00a0b@c.example", ""},
		{"a@b\u200b.example", ""},
		{"a\u2028@b.example", ""},
		{"a<b>@c.example", ""},
		{"a,b@c.example", ""},
		{"a;b@c.example", ""},
		{"Anna <a@b.example>", ""},
		{"a\xff@b.example", ""},
	}
	for _, tt := range tests {
		got, err := account.EmailKey(tt.in)
		if got != tt.want || (tt.want == "") != errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("EmailKey(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzEmailKey(f *testing.F) {
	for _, seed := range []string{"Anna@Brillen.example", "İ@x.example", "a@b\r\n", "ﬁ@x", "Å@Å"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, email string) {
		key, err := account.EmailKey(email)
		if err != nil {
			return
		}
		if again, err := account.EmailKey(key); err != nil || again != key {
			t.Errorf("EmailKey(EmailKey(%q)) = %q, %v, want %q", email, again, err, key)
		}
		if strings.ContainsAny(key, "\r\n\x00 ") || len(key) > 254 || strings.Count(key, "@") != 1 {
			t.Errorf("EmailKey(%q) = %q, which is no address for a header", email, key)
		}
	})
}
