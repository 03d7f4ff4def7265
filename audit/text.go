package audit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// The most bytes of each text as it is stored, an ellipsis included.
const (
	maxActorID   = 128
	maxTarget    = 256
	maxIP        = 64
	maxRequestID = 128
	maxDetail    = 1024

	ellipsis = "…"
)

// neutralise makes the texts of e safe to store and to show.
func neutralise(e *makerguard.AuditEntry) {
	e.ActorID = printable(e.ActorID, maxActorID)
	e.Target = printable(e.Target, maxTarget)
	e.IP = printable(e.IP, maxIP)
	e.RequestID = printable(e.RequestID, maxRequestID)
	e.Detail = printable(e.Detail, maxDetail)
}

// printable spells out, as Go does in strings, everything that is not a visible
// character or a plain space: line ends forge entries, escape sequences write on terminals, and
// bidirectional and invisible characters make a text look like another one. The
// backslash is doubled, so that what was spelt out can be told from what was so
// written. The result has at most limit bytes and ends in an ellipsis if it was cut.
func printable(s string, limit int) string {
	var b strings.Builder
	end := 0 // where an ellipsis would still fit
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1:
			part = fmt.Sprintf(`\x%02x`, s[i])
		case r == '\\':
			part = `\\`
		case unicode.IsPrint(r):
		case r < 0x10000:
			part = fmt.Sprintf(`\u%04x`, r)
		default:
			part = fmt.Sprintf(`\U%08x`, r)
		}
		if b.Len()+len(part) > limit {
			return b.String()[:end] + ellipsis
		}
		b.WriteString(part)
		if b.Len() <= limit-len(ellipsis) {
			end = b.Len()
		}
		i += size
	}
	return b.String()
}
