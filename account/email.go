package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/makerguard/makerguard"
)

// The longest address and local part, in bytes (RFC 5321 sections 4.5.3.1.1 and
// 4.5.3.1.3, less the angle brackets).
const (
	maxEmail     = 254
	maxLocalPart = 64
	maxLabel     = 63
)

// EmailKey gives the form in which an e-mail address is compared: without the spaces
// around it, in Unicode's NFC, and in lower case. Mail servers may tell apart
// "Anna@" and "anna@", but none is known to, and two accounts that a person cannot tell
// apart would be worse. EmailKey of its own result is that result.
//
// It returns VALIDATION_FAILED for /email unless the address is one of RFC 5321 without
// quotes and address literals, with the characters of RFC 6531 allowed, at most 254
// bytes long. So what it accepts holds no control characters and can stand in a
// mail header as it is.
func EmailKey(email string) (string, error) {
	if len(email) > 4*maxEmail || !utf8.ValidString(email) {
		return "", invalidEmail()
	}
	key := norm.NFC.String(strings.TrimSpace(email))
	// Lower case need not be composed, where a mark follows a letter.
	key = norm.NFC.String(strings.ToLower(key))
	if len(key) > maxEmail {
		return "", invalidEmail()
	}
	local, domain, found := strings.Cut(key, "@")
	if !found || !validLocalPart(local) || !validDomain(domain) {
		return "", invalidEmail()
	}
	return key, nil
}

func invalidEmail() error {
	return invalid(makerguard.FieldError{
		Pointer: "/email", Rule: "email",
		Message: "Enter an e-mail address such as name@company.example.",
	})
}

// validLocalPart reports whether s is a dot-atom (RFC 5322 section 3.2.3).
func validLocalPart(s string) bool {
	if len(s) > maxLocalPart {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtomText(r) }) {
			return false
		}
	}
	return true
}

func isAtomText(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !strings.ContainsRune(`()<>[]:;@\,."`, r)
	}
	return isText(r) && !unicode.IsSpace(r)
}

// validDomain reports whether s is made of labels of letters, digits and inner hyphens.
func validDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && !unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
				return false
			}
		}
	}
	return true
}

// isText reports whether r may stand in a line of text: no control character, line or
// paragraph break, nor one that only steers how others are shown, as the overrides
// of writing direction do that disguise a name.
func isText(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Zl, unicode.Zp)
}
