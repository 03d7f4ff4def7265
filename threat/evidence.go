package threat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxEvidence is the longest evidence in bytes: enough for a person to see what spoke,
// too little to rebuild the customer's text from the log.
const maxEvidence = 80

// clean cuts s on a rune border to at most max bytes, and replaces control and
// format characters, line ends and invalid UTF-8 by U+FFFD, so that no reader of
// the log, terminal or file, can be fooled by it.
func clean(s string, max int) string {
	if len(s) <= max && printable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !plainRune(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > max {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func printable(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !plainRune(r) {
			return false
		}
		i += n
	}
	return true
}

func plainRune(r rune) bool {
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
