package threat

import (
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"100% oak", "100% oak"},
		{"%2", "%2"},
		{"%41%zz", "A%zz"},
		{"%2541", "%41"},
		{"%u0041", "A"},
		{"a+b", "a+b"},
		{"a+b%2B", "a b+"},
		{"&lt;&GT;&amp;lt;", "<>&lt;"},
		{"&lt", "<"},
		{"&colon", "&colon"},
		{"&colon;&Tab;&nbsp;", ":\t "},
		{"&#60;&#x3C&#0000060;", "<<<"},
		{"&#0;&#x110000;&#;&;&", "&#0;&#x110000;&#;&;&"},
		{"AT&T", "AT&T"},
		{`\u0041\x42\u{43}\/\'`, `ABC/'`},
		{`C:\users\x`, `C:\users\x`},
		{"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf", "///"},
		{"\xc0.\xc0/", "./"},
		{"\xff", "\xff"},
		{"ａ＜①", "a<1"},
		{"嘊嘍", "\n\r"},
		{"∕∖。", `/\.`},
		{"‘a’ “b”", `'a' "b"`},
		{"a\x00b\x01c", "ab c"},
		{"é日本👓", "é日本👓"},
		{"+ADw-script+AD4-", "<script>"},
		{"+AD", "+AD"},
	} {
		got, changed := decode(c.in)
		if got != c.want || changed != (c.in != c.want) {
			t.Errorf("decode(%q) = %q, %v, want %q", c.in, got, changed, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"%41", "&#60;", "\\u0041", "\xc0\xaf", "ａ①", "+ADw-", "%", "&", "\\", "+A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, changed := decode(s)
		if len(out) > 2*len(s) {
			t.Errorf("decode(%q) has %d bytes, want at most %d", s, len(out), 2*len(s))
		}
		if !changed && out != s {
			t.Errorf("decode(%q) = %q and says unchanged", s, out)
		}
	})
}

func FuzzSQLLexer(f *testing.F) {
	for _, s := range []string{"select 1", "'a''b\\'", "/*!50000 x*/ -- y\n#z", "1.5e+3 0x1f @@v `a` a.b::int", "\"", "/*", "<=> != || &&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		budget := 1 << 30
		l := sqlLexer{text: s, budget: &budget, memo: &sqlMemo{view: 1}}
		for end := 0; ; {
			k := l.next()
			if k.start < end || k.end < k.start || k.end > len(s) {
				t.Fatalf("token %+v of %q behind %d", k, s, end)
			}
			if k.kind == sqlEnd {
				if strings.Trim(s[l.pos:], " ") != "" {
					t.Fatalf("lexer of %q ends at %d", s, l.pos)
				}
				return
			}
			if k.end == k.start {
				t.Fatalf("empty token %+v of %q", k, s)
			}
			end = k.end
		}
	})
}
