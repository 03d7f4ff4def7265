package threat

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSegments_LeadBackToTheSource(t *testing.T) {
	// source: a %41%42 b && c, decoded: a AB b & c
	var m segments
	m.add(2, 2, 1, 3)
	m.add(3, 5, 1, 3)
	m.add(7, 11, 1, 2)
	if len(m) != 2 {
		t.Errorf("%d segments, want 2: the first two escapes stand in a row", len(m))
	}
	for _, c := range []struct{ start, end, from, to int }{
		{0, 1, 0, 1}, {0, 2, 0, 2}, {2, 3, 2, 5}, {3, 4, 5, 8}, {2, 4, 2, 8}, {4, 5, 8, 9}, {6, 8, 10, 13}, {8, 9, 13, 14}, {3, 3, 5, 8},
	} {
		if from, to := m.source(c.start, c.end); from != c.from || to != c.to {
			t.Errorf("source(%d, %d) = %d, %d, want %d, %d", c.start, c.end, from, to, c.from, c.to)
		}
	}
}

// What a decoded fragment comes from decodes to that fragment again.
func TestDecoded_EveryPieceComesFromItsSource(t *testing.T) {
	pieces := []string{"a", "bc ", "é", "'", "%41", "%27", "&lt;", "&#60;", "&#x3c", `\u0041`, `\x42`, "＜", "①", "\xc0\xaf", "’", "\x00", "\x01", "日本", "%", "&", `\`, "+ADw-", "<b>"}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 12).Draw(t, "parts")
		s := strings.Join(parts, "")
		out, changed := decode(s)
		way := decoded(s)
		if !changed && len(way) > 0 {
			t.Fatalf("decoded(%q) = %v, but decode changes nothing", s, way)
		}
		if len(out) == 0 {
			return
		}
		from, to := way.source(0, len(out))
		if from < 0 || to > len(s) || from > to {
			t.Fatalf("source of all of %q is %d to %d of %d bytes", s, from, to, len(s))
		}
		last := 0
		for i := range len(out) {
			from, to := way.source(i, i+1)
			if from < last || to < from || to > len(s) {
				t.Fatalf("byte %d of %q, decoded from %q, comes from %d to %d behind %d", i, out, s, from, to, last)
			}
			last = from
			if to-from == 1 && s[from] != out[i] && s[from] != 1 && s[from] != '+' {
				t.Fatalf("byte %d of %q is said to be byte %d of %q, which differs", i, out, from, s)
			}
		}
	})
}

func TestUnescaped_FollowsTheStringsOfJSON(t *testing.T) {
	for _, s := range []string{`a\"b`, `\u003cscript\u003e`, `\ud83d\ude00x`, `\\\/\b\n`, `\ud800x`, "plain"} {
		w := jsonWalk{text: `"` + s + `"`}
		value, ok := w.string()
		if !ok {
			t.Fatalf("%q is not read", s)
		}
		way := unescaped(s + `"`)
		if _, to := way.source(0, len(value)); to != len(s) {
			t.Errorf("%q ends at %d of its source, want %d", s, to, len(s))
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a+b", "%41%zz%", "%", "%4", "é%C3%A9+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var way segments
		out := unescapeTo(nil, s, &way)
		if string(out) != unescape(s) {
			t.Errorf("unescape(%q) = %q, with its way back %q", s, unescape(s), out)
		}
		for i := range out {
			from, to := way.source(i, i+1)
			if from < 0 || to > len(s) || unescape(s[from:to]) != string(out[i:i+1]) {
				t.Errorf("byte %d of unescape(%q) = %q comes from [%d:%d]", i, s, out, from, to)
			}
		}
	})
}

func FuzzDecodeKeepsPlaces(f *testing.F) {
	for _, s := range []string{"%41b", "&lt;a", "\x00a\x01", "＜a", "+ADw-a", "\\u0041", "a b%2B+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, _ := decode(s)
		way := decoded(s)
		last := 0
		for i := range len(out) {
			from, to := way.source(i, i+1)
			if from < last || to < from || to > len(s) {
				t.Fatalf("byte %d of %q, decoded from %q, comes from [%d:%d] behind %d", i, out, s, from, to, last)
			}
			last = from
		}
	})
}

func FuzzShellWord(f *testing.F) {
	for _, s := range []string{"cat", "c'a't", `w"ho"am\i`, "$@id", "$()x", "``a", "/bin/ls", "^w^h", "a/b", "'", "who$1ami"} {
		f.Add(s, 0)
	}
	f.Fuzz(func(t *testing.T, s string, at int) {
		if at < 0 || at > len(s) {
			return
		}
		if w := shellWordAt(s, at); w.end < at || w.end > len(s) || w.n < 0 || w.n > len(w.text) {
			t.Errorf("shellWordAt(%q, %d) ends at %d with %d letters", s, at, w.end, w.n)
		}
	})
}
