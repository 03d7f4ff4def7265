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

// InspectCookie inspects the names and values of a Cookie header (RFC 6265). Findings in a name
// or a value carry the name, and offsets into the header.
func (d *Detector) InspectCookie(dst []makerguard.Finding, header string) []makerguard.Finding {
	for start := 0; start < len(header); {
		pair, _, _ := strings.Cut(header[start:], ";")
		next := start + len(pair) + 1
		trimmed := strings.TrimLeft(pair, " \t")
		start += len(pair) - len(trimmed)
		name, value, _ := strings.Cut(trimmed, "=")
		for _, in := range [...]struct {
			Input
			at  int
			key bool
		}{
			{Input{Name: name, Value: name}, start, true},
			{Input{Name: name, Value: value}, start + len(trimmed) - len(value), false},
		} {
			in.Location = makerguard.InCookie
			before := len(dst)
			dst = d.value(dst, in.Input, in.key)
			for i := before; i < len(dst); i++ {
				dst[i].Offset += in.at
			}
		}
		start = next
	}
	return dst
}

// maxPairs is how many pairs are read; applications send dozens. What follows is a text.
const maxPairs = 4096

// manyFindings decide over a request; nobody gets more work out of the detector for more of them.
const manyFindings = 256

func (d *Detector) pairs(dst []makerguard.Finding, s string, loc makerguard.Location) []makerguard.Finding {
	before := len(dst)
	for start, n := 0, 0; start < len(s) && len(dst)-before < manyFindings; n++ {
		if n == maxPairs {
			return d.flood(dst, s, start, loc)
		}
		pair, _, _ := strings.Cut(s[start:], "&")
		raw, value, _ := strings.Cut(pair, "=")
		name := unescape(raw)
		dst = d.part(dst, name, raw, start, loc, true)
		dst = d.part(dst, name, value, start+len(pair)-len(value), loc, false)
		start += len(pair) + 1
	}
	return dst
}

// flood reports that there are too many pairs, and inspects those from start on as one text.
func (d *Detector) flood(dst []makerguard.Finding, s string, start int, loc makerguard.Location) []makerguard.Finding {
	before := len(dst)
	x := inspection{text: s[start:], loc: loc, paranoia: d.paranoia}
	x.views[0] = x.text
	x.say(ruleMalformedFlood, 0, len(x.text))
	dst = d.judge(dst, &x, "", "")
	for i := before; i < len(dst); i++ {
		dst[i].Offset += start
	}
	return d.part(dst, "", s[start:], start, loc, false)
}

// part inspects the name or the value of a pair, which stands in the query string at start.
func (d *Detector) part(dst []makerguard.Finding, name, raw string, start int, loc makerguard.Location, key bool) []makerguard.Finding {
	before := len(dst)
	dst = d.value(dst, Input{Name: name, Value: unescape(raw), Location: loc}, key)
	if len(dst) == before {
		return dst
	}
	var way segments
	unescapeTo(nil, raw, &way)
	for i := before; i < len(dst); i++ {
		f := &dst[i]
		from, to := way.source(f.Offset, f.Offset+f.Length)
		f.Offset, f.Length = start+from, to-from
	}
	return dst
}

// unescape undoes the one encoding that a query string has.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	return string(unescapeTo(make([]byte, 0, len(s)), s, nil))
}

// unescapeTo appends to dst what s says, and tells way, if there is one, where it comes from.
func unescapeTo(dst []byte, s string, way *segments) []byte {
	for i := 0; i < len(s); i++ {
		c, n := s[i], 1
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c, n = unhex(s[i+1])<<4|unhex(s[i+2]), 3
		}
		if way != nil && n > 1 {
			way.add(len(dst), i, 1, n)
		}
		dst = append(dst, c)
		i += n - 1
	}
	return dst
}
