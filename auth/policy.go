package auth

import (
	"fmt"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// The lengths of a password (SP 800-63B-4 section 3.1.1.1): in code points of its NFKC
// form at least, in bytes as received at most.
const (
	minPassword         = 15
	minPasswordWithMFA  = 8
	maxPassword         = 1024
	passwordPointer     = "/password"
	newPasswordPointer  = "/new_password"
	rulePasswordLength  = "password.length"
	rulePasswordCommon  = "password.common"
	rulePasswordUnicode = "password.encoding"
)

// CheckPassword reports whether pw may be set for an account: at least 15 characters, or 8
// if it has a second factor, at most 1,024 bytes, and none of those that are tried
// first. words are texts of the account that a password must not merely repeat: its
// e-mail address, company, names. There are no rules about kinds of characters, as they
// make passwords no stronger (SP 800-63B-4 section 3.1.1.2). It returns
// VALIDATION_FAILED for /password, saying why.
func (s *Service) CheckPassword(pw makerguard.Secret, words []string, secondFactor bool) error {
	return checkPassword(passwordPointer, pw, words, secondFactor)
}

func checkPassword(pointer string, pw makerguard.Secret, words []string, secondFactor bool) error {
	if len(pw) > maxPassword {
		return tooLong(pointer)
	}
	if !utf8.ValidString(string(pw)) {
		return invalidPassword(pointer, rulePasswordUnicode, "The password is not valid UTF-8 text.")
	}
	text := string(normalise(pw))
	least := minPassword
	if secondFactor {
		least = minPasswordWithMFA
	}
	if utf8.RuneCountInString(text) < least {
		return invalidPassword(pointer, rulePasswordLength,
			fmt.Sprintf("Use at least %d characters. Several unrelated words are easy to remember.", least))
	}
	if isCommon(text, words) {
		return invalidPassword(pointer, rulePasswordCommon,
			"This is one of the passwords that are tried first: a common one, a keyboard pattern, or the name of "+
				"the account or company, perhaps with digits added. Choose another, such as several unrelated words.")
	}
	return nil
}

// isShort reports whether a password is good enough only beside a second factor.
func isShort(pw makerguard.Secret) bool {
	return utf8.RuneCount(normalise(pw)) < minPassword
}

func tooLong(pointer string) error {
	return invalidPassword(pointer, rulePasswordLength, fmt.Sprintf("Use at most %d bytes.", maxPassword))
}

func invalidPassword(pointer, rule, message string) error {
	return &makerguard.Error{
		Code: makerguard.ValidationFailed, Message: "The password cannot be used; see errors.",
		Fields: []makerguard.FieldError{{Pointer: pointer, Rule: rule, Message: message}},
	}
}
