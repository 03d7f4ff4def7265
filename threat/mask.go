package threat

import (
	"regexp"
	"strings"
)

// masked stands where something secret stood.
const masked = "***"

var (
	// A name that says what its value is, and the value: password=..., "token": "...".
	namedSecret = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase|code)?|pwd|secret|(?:api|access|private|secret)[_-]?key|token|auth|authorization|` +
		`session(?:[_-]?id)?|sid|cookie|csrf|otp|pin|cvv|cvc|iban|ssn)["'\]]{0,2}\s{0,2}[:=]\s{0,2}["']?)([^\s&;,"'<>(){}\[\]$*|]+)`)
	// What follows an authentication scheme, as in the header Authorization.
	credential = regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate)(\s+)[A-Za-z0-9._~+/=-]{6,}`)
	// User and password in a URL.
	userinfo = regexp.MustCompile(`(://)[^/\s@:]*:[^/\s@]*@`)
	// An address: what is in front of the @ names a person.
	address = regexp.MustCompile(`[\p{L}\p{N}._%+-]+(@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,})`)
	// What may be a card number, with or without gaps.
	digits = regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`)
	// What may be a key, a token or a hash.
	opaque = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)
	// What may be the beginning of one that was cut off.
	cutOff = regexp.MustCompile(`(?:[A-Za-z0-9_-]{8,}|\d(?:[ -]?\d){7,})$`)
)

// mask hides in a text of the history what looks like a password, a token, a card number or
// an e-mail address. It is a net with holes: what it is for is that the history of
// attacks does not become a collection of credentials.
func mask(s string) string {
	s = credential.ReplaceAllString(s, "${1}${2}"+masked)
	s = namedSecret.ReplaceAllString(s, "${1}"+masked)
	s = userinfo.ReplaceAllString(s, "${1}"+masked+"@")
	s = address.ReplaceAllString(s, masked+"${1}")
	s = digits.ReplaceAllStringFunc(s, maskCard)
	return opaque.ReplaceAllStringFunc(s, maskOpaque)
}

// maskEvidence is mask for a fragment that may have been cut off, and a secret in it too.
func maskEvidence(s string) string {
	if len(s) > maxEvidence-4 {
		s = cutOff.ReplaceAllStringFunc(s, func(end string) string {
			if !strings.ContainsAny(end, "0123456789") {
				return end
			}
			return masked
		})
	}
	return mask(s)
}

// maskCard hides all but the last four digits of a number whose check digit is right
// (ISO/IEC 7812-1 annex B).
func maskCard(s string) string {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		if !isDigit(s[i]) {
			continue
		}
		d := int(s[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	if sum%10 != 0 {
		return s
	}
	return masked + s[len(s)-4:]
}

// maskOpaque hides all but the first four characters of what has letters and several digits
// and is no word: they tell what kind it is, "rO0A" is a Java object and "eyJh" a token.
func maskOpaque(s string) string {
	numbers, letters := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			numbers++
		case c != '_' && c != '-':
			letters++
		}
	}
	if numbers < 3 || letters < 4 {
		return s
	}
	return s[:4] + masked
}
