package threat

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads the string at the place reached and reports whether it is well-formed.
func (w *jsonWalk) string() (string, bool) {
	text, start := w.text, w.pos+1
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			w.pos = i + 1
			return text[start:i], true
		case c == '\\':
			return w.escaped(start, i)
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped reads on a string that has its first escape at i.
func (w *jsonWalk) escaped(start, i int) (string, bool) {
	var b strings.Builder
	b.WriteString(w.text[start:i])
	for i < len(w.text) {
		switch c := w.text[i]; {
		case c == '"':
			w.pos = i + 1
			return b.String(), true
		case c < ' ':
			return "", false
		case c != '\\':
			b.WriteByte(c)
			i++
			continue
		}
		r, n := jsonEscape(w.text[i:])
		if n == 0 {
			return "", false
		}
		b.WriteRune(r)
		i += n
	}
	return "", false
}

// unescaped returns the way from the value of a well-formed string back to s, which begins
// behind its opening quote.
func unescaped(s string) segments {
	var way segments
	out := 0
	for i := 0; i < len(s) && s[i] != '"'; {
		if s[i] != '\\' {
			i++
			out++
			continue
		}
		r, n := jsonEscape(s[i:])
		wide := utf8.RuneLen(r)
		way.add(out, i, wide, n)
		out += wide
		i += max(n, 1)
	}
	return way
}

// jsonEscape returns the rune of the escape s starts with and its length, 0 if it is none.
// Half of a surrogate pair gives U+FFFD.
func jsonEscape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(s) < 6 {
			return 0, 0
		}
		r, ok := hexRune(s[2:6])
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			if low, ok := hexRune(s[8:12]); ok {
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					return r, 12
				}
			}
		}
		return utf8.RuneError, 6
	}
	return 0, 0
}
