package catalog

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxValue bounds the length, in bytes, of a value that is looked at: no identifier is
// nearly as long.
const maxValue = 256

// tooLong stands for a value that is; no rule accepts it.
const tooLong = "\x00"

// normal is s in NFKC, without surrounding space and the marks that nobody sees (byte order,
// direction, zero width), which come along when text is copied; or tooLong.
func normal(s string) string {
	if len(s) > maxValue {
		return tooLong
	}
	if ascii(s) { // which NFKC leaves as it is
		return strings.TrimSpace(s)
	}
	return strings.TrimFunc(norm.NFKC.String(s), func(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) })
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// capitals is normal in capitals, with all kinds of dashes as the one of keyboards: word
// processors put others in its place.
func capitals(s string) string {
	s = strings.ToUpper(normal(s))
	if ascii(s) {
		return s
	}
	return strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Pd, c) || c == '−' {
			return '-'
		}
		return c
	}, s)
}

// compact is capitals without spaces, dots and dashes.
func compact(s string) string {
	s = capitals(s)
	if !strings.ContainsAny(s, " .-") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c != ' ' && c != '.' && c != '-' {
			out = append(out, c)
		}
	}
	return string(out)
}

// word is normal in small letters, with dashes as underscores: full-rim is full_rim.
func word(s string) string { return strings.ReplaceAll(strings.ToLower(normal(s)), "-", "_") }

func allDigits(s string) bool { return onlyOf(s, '0', '9') }

func allCapitals(s string) bool { return onlyOf(s, 'A', 'Z') }

func allZeros(s string) bool { return onlyOf(s, '0', '0') }

func onlyOf(s string, from, to byte) bool {
	for i := range len(s) {
		if s[i] < from || s[i] > to {
			return false
		}
	}
	return s != ""
}

// alphanumeric reports whether s is made of 0-9 and A-Z only.
func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// mod97 is the number that s stands for with A=10 ... Z=35, modulo 97 (ISO 7064). s must be
// alphanumeric.
func mod97(s string) int {
	n := 0
	for i := range len(s) {
		if c := s[i]; c <= '9' {
			n = (n*10 + int(c-'0')) % 97
		} else {
			n = (n*100 + int(c-'A') + 10) % 97
		}
	}
	return n
}
