package threat

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxLayers is how many encodings around one another are undone. A real application
// undoes one or two; a third catches what is written to survive a filter.
const maxLayers = 3

// decodeGate are the marks without which there is nothing to decode.
const decodeGate = markEscape | markBack | markFold | markInvalid | markNUL | markControl | markHidden

// decoder builds the text of the next layer. As long as nothing is decoded it copies
// nothing: most texts hold a percent or ampersand and nothing encoded.
type decoder struct {
	src  string
	at   int // the place being decoded
	done int // src up to here is in out, or dropped
	out  strings.Builder
	// where the next percent sign is one of a run of them before every byte
	sparse int
	way    *segments // if set, it is told where what was decoded comes from
}

// put replaces the next n bytes of the source by text.
func (d *decoder) put(n int, text string) int {
	d.flush(n, len(text))
	d.out.WriteString(text)
	return n
}

func (d *decoder) putByte(n int, c byte) int {
	d.flush(n, 1)
	d.out.WriteByte(c)
	return n
}

func (d *decoder) putRune(n int, r rune) int {
	d.flush(n, max(utf8.RuneLen(r), 1))
	d.out.WriteRune(r)
	return n
}

// flush copies what stands undecoded before the place being decoded, whose next n bytes
// become wide bytes.
func (d *decoder) flush(n, wide int) {
	d.out.WriteString(d.src[d.done:d.at])
	d.done = d.at + n
	if d.way != nil {
		d.way.add(d.out.Len(), d.at, wide, n)
	}
}

// decode undoes one layer of the encodings that hide attacks, and reports whether
// that changed anything: percent encoding (%u too), HTML entities, \u and \x escapes,
// overlong UTF-8, UTF-7, compatibility forms; NUL and other controls, which parsers skip,
// are dropped. What is not well encoded stays as it is. The result is at most about
// twice as long as s.
func decode(s string) (string, bool) {
	d := decoder{src: s}
	if !d.run() {
		return s, false
	}
	return d.out.String(), true
}

// decoded returns the way back from what decode makes of s.
func decoded(s string) segments {
	var way segments
	d := decoder{src: s, way: &way}
	d.run()
	return way
}

// run decodes the source and reports whether that changed anything.
func (d *decoder) run() bool {
	s := d.src
	plus := strings.ContainsAny(s, "%;|`'\"") && !strings.ContainsAny(s, " \t\n")
	for d.at < len(s) {
		c := s[d.at]
		n := 0 // bytes decoded
		switch {
		case lower[c] != 0:
		case c == '%':
			n = d.percent(s[d.at:])
		case c == '&':
			n = d.entity(s[d.at:])
		case c == '\\':
			n = d.escape(s[d.at:])
		case c == '+':
			if n = d.utf7(s[d.at:]); n == 0 && plus {
				n = d.putByte(1, ' ')
			}
		case c == 0:
			n = d.put(1, "")
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7F:
			n = d.putByte(1, ' ') // what SQL and HTML take for a space
		case c >= utf8.RuneSelf:
			n = d.foreign(s[d.at:])
		}
		d.at += max(n, 1)
	}
	if d.done == 0 {
		return false
	}
	d.out.WriteString(s[d.done:])
	return true
}

// percent decodes %XX and %uXXXX, and says how long the escape is; 0 if it is none.
func (d *decoder) percent(s string) int {
	if len(s) >= 6 && s[1]|0x20 == 'u' {
		if r, ok := hexRune(s[2:6]); ok {
			return d.putRune(6, bestFit(r))
		}
	}
	if len(s) >= 3 && isHex(s[1]) && isHex(s[2]) {
		return d.putByte(3, unhex(s[1])<<4|unhex(s[2]))
	}
	// Some servers drop a percent sign that begins no escape, so that %S%E%L is SEL.
	if len(s) >= 2 && s[1] != '%' && (d.sparse == d.at && d.at > 0 || len(s) >= 7 && s[2] == '%' && s[4] == '%' && s[6] == '%') {
		d.sparse = d.at + 2
		return d.put(1, "")
	}
	return 0
}

// escape decodes the escapes of JavaScript, JSON and Python.
func (d *decoder) escape(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 'u', 'U':
		if len(s) >= 6 {
			if r, ok := hexRune(s[2:6]); ok {
				return d.putRune(6, bestFit(r))
			}
		}
		if strings.HasPrefix(s[2:], "{") {
			if end := strings.IndexByte(s[:min(len(s), 12)], '}'); end > 3 {
				if r, ok := hexRune(s[3:end]); ok {
					return d.putRune(end+1, bestFit(r))
				}
			}
		}
	case 'x', 'X':
		if len(s) >= 4 && isHex(s[2]) && isHex(s[3]) {
			return d.putByte(4, unhex(s[2])<<4|unhex(s[3]))
		}
	case '\'', '"':
		return d.putByte(2, s[1])
	case '/':
		return d.putByte(2, '/')
	case '0': // NUL, which parsers skip
		if len(s) > 2 && isLetter(s[2]) {
			return d.put(2, "")
		}
	}
	return 0
}

// entity decodes a numeric or common named HTML entity, with or without ";".
func (d *decoder) entity(s string) int {
	if len(s) < 3 {
		return 0
	}
	if s[1] == '#' {
		return d.numericEntity(s)
	}
	n := 1
	for n < len(s) && n < 12 && (isLetter(s[n]) || isDigit(s[n])) {
		n++
	}
	text, ok := entities[s[1:n]]
	if !ok {
		return 0
	}
	if n < len(s) && s[n] == ';' {
		n++
	} else if !bareEntity(s[1:n]) {
		return 0
	}
	return d.put(n, text)
}

// bareEntity reports whether HTML reads the entity without its semicolon as well.
func bareEntity(name string) bool {
	switch name {
	case "lt", "gt", "amp", "quot", "LT", "GT", "AMP", "QUOT", "nbsp":
		return true
	}
	return false
}

func (d *decoder) numericEntity(s string) int {
	i, base, digits := 2, rune(10), 0
	if i < len(s) && s[i]|0x20 == 'x' {
		i, base = 3, 16
	}
	var r rune
	for ; i < len(s); i++ {
		if base == 16 && !isHex(s[i]) || base == 10 && !isDigit(s[i]) {
			break
		}
		if r < utf8.MaxRune { // leading zeros are allowed without end
			r = r*base + rune(unhex(s[i]))
		}
		digits++
	}
	if digits == 0 || r > utf8.MaxRune || r == 0 {
		return 0
	}
	if i < len(s) && s[i] == ';' {
		i++
	}
	return d.putRune(i, bestFit(r))
}

// entities are the names under which HTML knows the characters attacks are made of.
var entities = map[string]string{
	"lt": "<", "LT": "<", "gt": ">", "GT": ">", "amp": "&", "AMP": "&", "quot": `"`, "QUOT": `"`, "apos": "'",
	"colon": ":", "sol": "/", "bsol": "\\", "lpar": "(", "rpar": ")", "lbrace": "{", "lcub": "{", "rbrace": "}",
	"rcub": "}", "lsqb": "[", "lbrack": "[", "rsqb": "]", "rbrack": "]", "period": ".", "comma": ",", "semi": ";",
	"equals": "=", "grave": "`", "num": "#", "dollar": "$", "percnt": "%", "excl": "!", "quest": "?", "commat": "@",
	"ast": "*", "plus": "+", "lowbar": "_", "verbar": "|", "vert": "|", "hyphen": "-", "Tab": "\t", "NewLine": "\n",
	"nbsp": " ", "Hat": "^",
}

// foreign decodes the non-ASCII rune s starts with to what a lenient reader takes it for.
func (d *decoder) foreign(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		if c, m := overlong(s); m > 0 {
			return d.putByte(m, c)
		}
		if s[0] == 0xA0 || s[0] == 0x85 { // white space of Latin-1
			return d.putByte(1, ' ')
		}
		return 0
	}
	if q := curly(r); q != 0 {
		return d.putByte(n, q)
	}
	if f := bestFit(r); f != r {
		return d.putRune(n, f)
	}
	if folds(r) {
		return d.put(n, norm.NFKC.String(s[:n]))
	}
	d.at += n - 1 // the caller adds one
	return 0
}

// overlong decodes an ASCII character in more bytes than it needs, well-formed or not, as
// old servers do (CVE-2000-0884). It returns 0 bytes if s does not start with one.
func overlong(s string) (byte, int) {
	switch {
	case len(s) >= 2 && (s[0] == 0xC0 || s[0] == 0xC1):
		if s[1] >= utf8.RuneSelf {
			return s[0]&1<<6 | s[1]&0x3F, 2
		}
		return s[1], 2
	case len(s) >= 3 && s[0] == 0xE0 && s[1]&0xE0 == 0x80:
		if s[1] <= 0x81 {
			return s[1]&1<<6 | s[2]&0x3F, 3
		}
	case len(s) >= 4 && s[0] == 0xF0 && s[1] == 0x80 && s[2]&0xFE == 0x80:
		return s[2]&1<<6 | s[3]&0x3F, 4
	case len(s) >= 5 && s[0] == 0xF8 && s[1] == 0x80 && s[2] == 0x80 && s[3]&0xFE == 0x80:
		return s[3]&1<<6 | s[4]&0x3F, 5
	}
	return 0, 0
}

// bestFit maps what code pages and careless casts make of a rune.
func bestFit(r rune) rune {
	switch r {
	case 0x2044, 0x2215, 0x29F8, 0xEFC8, 0xF025:
		return '/'
	case 0x2216, 0x29F5:
		return '\\'
	case 0x2024, 0x3002, 0xFF61:
		return '.'
	case 0x560A:
		return '\n'
	case 0x560D:
		return '\r'
	case 0x563C:
		return '<'
	case 0x563E:
		return '>'
	case 0x212A:
		return 'k'
	}
	if 0xFF01 <= r && r <= 0xFF5E {
		return r - 0xFEE0
	}
	return r
}

// utf7 decodes a shifted run of UTF-7 (RFC 2152) that holds markup, such as +ADw-.
func (d *decoder) utf7(s string) int {
	if len(s) < 4 || s[1] != 'A' {
		return 0
	}
	var bits, held uint
	n := 1
	out := make([]byte, 0, 16)
	for ; n < len(s) && n < 64; n++ {
		v := base64Value(s[n])
		if v < 0 {
			break
		}
		bits, held = bits<<6|uint(v), held+6
		if held >= 16 {
			held -= 16
			u := bits >> held & 0xFFFF
			if u < 0x20 || u > 0x7E {
				return 0
			}
			out = append(out, byte(u))
		}
	}
	if len(out) == 0 || n >= len(s) || s[n] != '-' {
		return 0
	}
	return d.put(n+1, string(out))
}

func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case isDigit(c):
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

func hexRune(s string) (rune, bool) {
	var r rune
	for i := range len(s) {
		if !isHex(s[i]) {
			return 0, false
		}
		r = r<<4 | rune(unhex(s[i]))
	}
	return r, r <= utf8.MaxRune
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
