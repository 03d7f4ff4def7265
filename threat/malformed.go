package threat

import (
	"strings"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

var (
	ruleMalformedNUL      = &rule{voiceMalformed, "malformed.nul", makerguard.SeverityMedium, 1, 5, "A NUL byte, at which some readers stop and others go on."}
	ruleMalformedUTF8     = &rule{voiceMalformed, "malformed.utf8", makerguard.SeverityMedium, 1, 5, "Bytes that are not UTF-8, which readers take for different characters."}
	ruleMalformedOverlong = &rule{voiceMalformed, "malformed.overlong", makerguard.SeverityHigh, 1, 5, "An ASCII character in more bytes than it needs, to pass a filter."}
	ruleMalformedJSON     = &rule{voiceMalformed, "malformed.json", makerguard.SeverityLow, 1, 5, "Text that is not JSON, which lenient readers may still take."}
	ruleMalformedKeys     = &rule{voiceMalformed, "malformed.duplicate_key", makerguard.SeverityMedium, 1, 5, "A key stands twice in one object; readers differ in which of them they take."}
	ruleMalformedFlood    = &rule{voiceMalformed, "malformed.flood", makerguard.SeverityMedium, 1, 5, "The text is packed with pieces of syntax beyond what can be judged."}
	ruleMalformedDepth    = &rule{voiceMalformed, "malformed.depth", makerguard.SeverityMedium, 1, 5, "JSON nested deeper than 32 levels, to exhaust its reader."}
)

// malformed judges the bytes of the value as they came.
func (x *inspection) malformed() {
	s := x.text
	if x.has(markInvalid) {
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				if _, m := overlong(s[i:]); m > 0 {
					x.say(ruleMalformedOverlong, i, i+m)
				} else {
					x.say(ruleMalformedUTF8, i, i+1)
				}
				return
			}
			i += n
		}
	}
	if x.has(markNUL) {
		x.say(ruleMalformedNUL, strings.IndexByte(s, 0), len(s))
	}
}
