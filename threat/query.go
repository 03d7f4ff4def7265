package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// InspectQuery inspects the names and values of a raw query string, without its "?".
// Findings in a name or a value carry the decoded name. An escape that is none stays as it is.
func (d *Detector) InspectQuery(dst []makerguard.Finding, rawQuery string) []makerguard.Finding {
	return d.pairs(dst, rawQuery, makerguard.InQuery)
}

// InspectForm inspects the names and values of an application/x-www-form-urlencoded body.
func (d *Detector) InspectForm(dst []makerguard.Finding, body string) []makerguard.Finding {
	return d.pairs(dst, body, makerguard.InForm)
}

func (d *Detector) pairs(dst []makerguard.Finding, s string, loc makerguard.Location) []makerguard.Finding {
	for s != "" {
		pair, rest, _ := strings.Cut(s, "&")
		s = rest
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		dst = d.inspect(dst, Input{Name: name, Value: name, Location: loc}, true)
		dst = d.inspect(dst, Input{Name: name, Value: value, Location: loc}, false)
	}
	return dst
}

// unescape undoes the one encoding that a query string has.
func unescape(s string) string {
	i := strings.IndexAny(s, "%+")
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
