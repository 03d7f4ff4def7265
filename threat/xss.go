package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Cross-site scripting is read as a browser would read it: tags and attributes by the
// lenient rules of HTML, then URLs in attributes, then JavaScript that breaks out of
// a string. Ordinary markup is no attack; what runs code is, whatever the kind.
var (
	ruleXSSScript  = &rule{voiceXSS, "xss.script", makerguard.SeverityCritical, 1, 5, "A script element runs code in the browser of whoever sees it."}
	ruleXSSElement = &rule{voiceXSS, "xss.element", makerguard.SeverityHigh, 1, 5, "An element loads foreign content or changes how the page is read."}
	ruleXSSEvent   = &rule{voiceXSS, "xss.event", makerguard.SeverityCritical, 1, 5, "An event handler in a tag runs code in the browser of whoever sees it."}
	ruleXSSURL     = &rule{voiceXSS, "xss.url", makerguard.SeverityHigh, 1, 5, "A javascript: or data: URL runs code when it is followed."}
	ruleXSSStyle   = &rule{voiceXSS, "xss.style", makerguard.SeverityMedium, 1, 5, "A style runs code or loads foreign content."}
	ruleXSSBreak   = &rule{voiceXSS, "xss.attribute", makerguard.SeverityHigh, 1, 5, "A quote ends an attribute and an event handler follows."}
	ruleXSSCode    = &rule{voiceXSS, "xss.javascript", makerguard.SeverityHigh, 1, 5, "JavaScript is called that reads the page or proves that code runs."}
	ruleXSSPage    = &rule{voiceXSS, "xss.page", makerguard.SeverityMedium, 1, 5, "Markup of a whole page, a drawing or a form stands where text is expected."}
	ruleXSSMarkup  = &rule{voiceXSS, "xss.markup", makerguard.SeverityLow, 1, 3, "Markup that is rarely part of a text."}
)

const xssGate = markLess | markEqual | markColon | markParen | markTick | markCode | markBracket

func (x *inspection) xss() {
	if !x.has(xssGate) {
		return
	}
	if x.has(markLess) {
		x.tags()
	}
	if x.has(markEqual) && !x.sure(voiceXSS) {
		x.handlers()
		if x.has(markLess) && x.has(markGreater) && x.kind != makerguard.KindHTML && !x.sure(voiceXSS) {
			x.strippedHandlers()
		}
	}
	if x.has(markColon) && !x.sure(voiceXSS) {
		x.scriptURLs()
	}
	if x.has(markCode) && (x.has(markParen|markTick|markBracket|markEqual) || strings.IndexByte(x.text, ' ') < 0) && !x.sure(voiceXSS) {
		x.javascript()
	}
}

// danger says what an element does of itself.
type danger uint8

const (
	harmless danger = iota
	runs            // whatever its attributes
	loads           // with at least one attribute
	fetches         // asks the reader for something: forms and inputs
	page            // belongs to a page, not to a part of one
)

var elements = map[string]danger{
	"script": runs, "noscript": loads, "iframe": runs, "frame": loads, "frameset": loads, "object": loads, "embed": loads, "applet": loads,
	"meta": loads, "link": loads, "base": loads, "style": runs, "svg": loads, "math": loads, "xml": loads, "xss": runs,
	"isindex": loads, "layer": loads, "ilayer": loads, "bgsound": loads, "import": loads, "vmlframe": loads, "animate": loads,
	"animatetransform": loads, "animatemotion": loads, "set": loads, "handler": loads, "listener": loads, "foreignobject": loads,
	"form": fetches, "input": fetches, "button": fetches, "textarea": fetches, "select": fetches, "keygen": loads,
	"comment": loads, "template": loads, "portal": loads, "marquee": fetches, "dialog": fetches, "noembed": loads, "plaintext": loads,
	"html": page, "body": page, "head": page,
}

// maxTag bounds how far the attributes of one tag are read.
const maxTag = 8 << 10

// tags reads every tag of the view.
func (x *inspection) tags() {
	s := x.text
	for i := 0; i < len(s) && !x.sure(voiceXSS); i++ {
		lt := strings.IndexByte(s[i:], '<')
		if lt < 0 {
			return
		}
		i += lt
		x.tag(i)
	}
}

// tag judges the tag that may start at pos.
func (x *inspection) tag(pos int) {
	if !x.spend(lookPrice) {
		return
	}
	s := x.text
	i := pos + 1
	closing := false
	for i < len(s) && (s[i] == '/' || s[i] == '\\' || s[i] < 0x20 && s[i] != '\n') {
		closing = closing || s[i] == '/'
		i++
	}
	switch {
	case i >= len(s):
		return
	case isSpace(s[i]) && i > pos+2: // "<// style=..."
		x.attributes(pos, i, harmless)
		return
	case s[i] == '?' || s[i] == '%':
		if rest := s[i+1:]; hasPrefixFold(rest, "import") {
			x.say(ruleXSSElement, pos, len(s))
		}
		return
	case s[i] == '!':
		if hasPrefixFold(s[i:], "![cdata[") || strings.HasPrefix(s[i:], "!--[if") {
			x.say(ruleXSSMarkup, pos, len(s))
		}
		return
	case !isLetter(s[i]):
		// "<'onmouseover=..." and the like: some parsers take anything for a name.
		if !isSpace(s[i]) && !isDigit(s[i]) && s[i] != '=' && s[i] != '<' && s[i] != '-' {
			x.attributes(pos, i, harmless)
		}
		return
	}
	start := i
	for i < len(s) && (lower[s[i]] != 0 || s[i] == '-' || s[i] == ':') && i-start < 64 {
		i++
	}
	name := strings.ToLower(s[start:i])
	if c := strings.LastIndexByte(name, ':'); c >= 0 {
		name = name[c+1:]
	}
	d := elements[name]
	bounded := i >= len(s) || isSpace(s[i]) || s[i] == '>' || s[i] == '/' || s[i] == '<' || s[i] == 0 || s[i] == '\\' || s[i] == '"' || s[i] == '\'' || s[i] == '+' || s[i] == '%' || s[i] == '#' || s[i] == '{' || s[i] == '!'
	if d == runs && bounded && ((i < len(s) || pos == 0) && (x.kind != makerguard.KindHTML || name != "style")) {
		x.say(ruleXSSScript, pos, len(s))
		return
	}
	if strings.HasPrefix(name, "script") && i < len(s) && !isDigit(name[len(name)-1]) && len(name) < 10 && s[i] != '>' && !isSpace(s[i]) {
		x.say(ruleXSSScript, pos, len(s))
		return
	}
	if closing {
		if (d == loads || d == page || name == "form") && i < len(s) && s[i] == '>' && x.kind != makerguard.KindHTML {
			x.say(ruleXSSPage, pos, i+1)
		}
		return
	}
	if strings.HasPrefix(name, "import") && i < len(s) && s[i] == '=' {
		x.say(ruleXSSElement, pos, len(s))
		return
	}
	x.attributes(pos, i, d)
}

// attributes reads the attributes of the tag at pos, from i on.
func (x *inspection) attributes(pos, i int, d danger) {
	s := x.text
	limit := min(len(s), i+maxTag)
	count := 0
	for i < limit {
		c := s[i]
		// What follows "<" is read as a tag of its own, which keeps the work linear.
		if c == '>' || c == '<' {
			break
		}
		if lower[c] == 0 {
			i++
			continue
		}
		start := i
		for i < limit && (lower[s[i]] != 0 || s[i] == '-' || s[i] == ':' || s[i] == '.') {
			i++
		}
		name := s[start:i]
		eq := i
		for eq < limit && (isSpace(s[eq]) || s[eq] < 0x20) {
			eq++
		}
		// Parsers have skipped odd characters between the name and "=".
		odd := eq
		for odd < limit && odd-eq < 40 && lower[s[odd]] == 0 && s[odd] != '=' && s[odd] != '>' && s[odd] != '"' && s[odd] != '\'' && s[odd] != ' ' {
			odd++
		}
		if handler(name) && odd < limit && s[odd] == '=' {
			x.say(ruleXSSEvent, pos, len(s))
			return
		}
		if eq >= limit || s[eq] != '=' {
			count++
			if eq == i {
				i = max(i, start+1)
			}
			continue
		}
		count++
		i = eq + 1
		for i < limit && (isSpace(s[i]) || s[i] < 0x20) {
			i++
		}
		value, end := attributeValue(s[:limit], i)
		x.attribute(pos, name, value)
		if x.sure(voiceXSS) {
			return
		}
		if end > i {
			i = end
		}
	}
	switch {
	case d == loads && count > 0, d == loads && i >= limit && limit == len(s) && x.kind != makerguard.KindHTML && i > pos+4:
		x.say(ruleXSSElement, pos, i)
	case d != harmless && count == 0 && pos > 0 && s[pos-1] == ' ' && i+1 < len(s) && s[i] == '>' && s[i+1] == ' ':
		x.say(ruleXSSMarkup, pos, i) // a text about markup
	case d != harmless && i < len(s) && s[i] == '>' && x.kind != makerguard.KindHTML && (pos == 0 || s[pos-1] != '`'):
		x.say(ruleXSSPage, pos, i)
	case d != harmless:
		x.say(ruleXSSMarkup, pos, i)
	}
}

// attributeValue returns the value at i, without its quotes, and where it ends.
func attributeValue(s string, i int) (string, int) {
	if i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '`') {
		if end := strings.IndexByte(s[i+1:], s[i]); end >= 0 {
			return s[i+1 : i+1+end], i + end + 2
		}
		return s[i+1 : min(len(s), i+512)], i + 1
	}
	end := i
	for end < len(s) && !isSpace(s[end]) && s[end] != '>' && s[end] != '<' {
		end++
	}
	return s[i:end], end
}

// handler reports whether an attribute's name is that of an event.
func handler(name string) bool {
	if c := strings.LastIndexByte(name, ':'); c >= 0 {
		name = name[c+1:]
	}
	if len(name) < 5 || !hasPrefixFold(name, "on") {
		return false
	}
	for i := range len(name) {
		if !isLetter(name[i]) && !isDigit(name[i]) {
			return false
		}
	}
	return true
}

// attribute judges one attribute of the tag at pos.
func (x *inspection) attribute(pos int, name, value string) {
	if c := strings.LastIndexByte(name, ':'); c >= 0 {
		if (equalName(name, "xlink:href") || equalName(name, "ev:handler")) && !strings.HasPrefix(value, "#") && x.kind != makerguard.KindHTML {
			x.say(ruleXSSElement, pos, len(x.text))
		}
		name = name[c+1:]
	}
	switch strings.ToLower(name) {
	case "is": // Vue, and elements of one's own that extend another
		if elements[strings.ToLower(strings.Trim(value, `"' `+"`"))] == runs {
			x.say(ruleXSSScript, pos, len(x.text))
		}
	case "href", "src", "action", "formaction", "data", "from", "to", "values", "poster", "background", "lowsrc", "dynsrc",
		"code", "codebase", "content", "cite", "profile", "classid", "longdesc", "usemap", "manifest", "folder", "style", "by", "url", "implementation":
		if scriptURL(value) {
			x.say(ruleXSSURL, pos, len(x.text))
		}
	case "srcdoc":
		x.say(ruleXSSEvent, pos, len(x.text))
	case "schemalocation", "datasrc", "datafld", "dataformatas", "behavior":
		x.say(ruleXSSElement, pos, len(x.text))
	}
	if equalFold(name, "style") && activeStyle(value) {
		x.say(ruleXSSStyle, pos, len(x.text))
	}
}

// scriptURL reports whether a browser would run s when it follows it. It passes over
// the white space and controls that browsers ignore.
func scriptURL(s string) bool {
	scheme, rest := urlScheme(s)
	switch scheme {
	case "javascript", "vbscript", "livescript", "mocha", "jscript", "script":
		return true
	case "data":
		rest = strings.ToLower(rest[:min(len(rest), 64)])
		return !strings.HasPrefix(rest, "image/") || strings.HasPrefix(rest, "image/svg")
	}
	// <meta http-equiv=refresh content="0;url=javascript:...">
	i := strings.IndexByte(s[:min(len(s), 64)], ';')
	if i < 0 {
		return false
	}
	rest = strings.TrimLeft(s[i+1:], " \t\r\n;")
	if hasPrefixFold(rest, "url") {
		rest = strings.TrimLeft(rest[3:], " =\t'\"")
	}
	scheme, _ = urlScheme(rest)
	return scheme == "javascript" || scheme == "vbscript" || scheme == "data"
}

// urlScheme returns the scheme s starts with, in lower case, and what follows the colon.
func urlScheme(s string) (scheme, rest string) {
	var buf [16]byte
	n := 0
	for i := 0; i < len(s) && i < 256; i++ {
		c := s[i]
		switch {
		case c <= ' ' || c == 0x7F || c >= 0x80 && n == 0 || c == '"' && n == 0 || c == '\'' && n == 0 || c == '`' && n == 0 || c == '\\' || c == '(' && n == 0:
			continue
		case c == ':':
			return string(buf[:n]), s[i+1:]
		case lower[c] == 0 && c != '.' && c != '-' && c != '+', n == len(buf):
			return "", ""
		}
		buf[n] = c
		if l := lower[c]; l != 0 {
			buf[n] = l
		}
		n++
	}
	return "", ""
}

// activeStyle reports whether CSS in s runs code or binds it.
func activeStyle(s string) bool {
	t := compactCSS(s[:min(len(s), 4096)])
	for _, w := range [...]string{"expression(", "javascript:", "vbscript:", "-moz-binding", "binding:url", "behaviour:", "behavior:", "-o-link", "@import", "url(data:text"} {
		if strings.Contains(t, w) {
			return true
		}
	}
	return false
}

// compactCSS drops comments, white space, controls and escapes, by which names are split.
func compactCSS(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '/' && strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return b.String()
			}
			i += end + 3
		case c <= ' ':
		case c == '\\':
			n := 1
			var r rune
			for n < 7 && i+n < len(s) && isHex(s[i+n]) {
				r = r<<4 | rune(unhex(s[i+n]))
				n++
			}
			if n > 2 && r < 0x7F {
				b.WriteByte(byte(r))
				i += n - 1
			}
		default:
			if l := lower[c]; l != 0 {
				c = l
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}
