package gateway

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// MaxTarget is the longest request target in bytes (OWASP ASVS 5 V4.2.5).
const MaxTarget = 8 << 10

// CheckTarget refuses a request target, as it stood in the request line, whose path two
// parsers could read differently: empty and dot segments, backslashes, encoded slashes
// and backslashes, singly or doubly, control bytes, and escapes that are none. Rules match
// paths, so a path that the application reads as another one would slip past them.
// Everything refused is MalformedRequest.
func CheckTarget(target string) error {
	if len(target) > MaxTarget {
		return refuse("the request target is longer than 8 KiB")
	}
	path, query, _ := strings.Cut(target, "?")
	if path == "" || path[0] != '/' {
		return refuse("the request target does not begin with a slash")
	}
	segment := 0 // where the current segment begins
	for i := 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			if i > 0 {
				if s := path[segment:i]; s == "" && i != len(path) || dots(s) {
					return refuse("the path has an empty or dot segment")
				}
			}
			segment = i + 1
			continue
		}
		switch c := path[i]; {
		case c <= 0x20 || c == 0x7f || c == '\\' || c == '#':
			return refuse("the path has a byte that may not stand in one")
		case c == '%':
			v, ok := unhex(path[i:])
			if !ok {
				return refuse("the path has a broken percent escape")
			}
			if v == '%' { // may itself begin an escape, for a parser that decodes twice
				if w, ok := unhex("%" + path[i+3:]); ok && (structural(w) || w == '.') {
					return refuse("the path has a doubly encoded slash, backslash, dot or control byte")
				}
			}
			if structural(v) {
				return refuse("the path has an encoded slash, backslash or control byte")
			}
			i += 2
		}
	}
	for i := 0; i < len(query); i++ {
		if c := query[i]; c <= 0x20 || c == 0x7f || c == '#' {
			return refuse("the query has a byte that may not stand in one")
		}
	}
	return nil
}

// dots reports whether a segment is "." or "..", however its dots are written.
func dots(s string) bool {
	n := 0
	for i := 0; i < len(s); {
		switch {
		case s[i] == '.':
			i++
		case len(s) >= i+3 && s[i] == '%' && s[i+1] == '2' && (s[i+2] == 'e' || s[i+2] == 'E'):
			i += 3
		default:
			return false
		}
		n++
	}
	return n == 1 || n == 2
}

// structural tells the bytes whose encoding changes what a path means.
func structural(c byte) bool { return c < 0x20 || c == 0x7f || c == '/' || c == '\\' }

// unhex reads the escape at the start of s, which begins with a percent sign.
func unhex(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, ok1 := nibble(s[1])
	lo, ok2 := nibble(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func refuse(why string) error {
	return &makerguard.Error{Code: makerguard.MalformedRequest, Message: why}
}
