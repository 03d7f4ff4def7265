package upload

import (
	"html"
	"strings"

	"github.com/makerguard/makerguard"
)

// What an SVG runs or fetches where it is shown. An image element shows one without any of
// it, but whoever opens the file itself runs it all, in the origin that serves it.
var (
	ruleSVGScript   = &rule{"upload.svg.script", makerguard.XSS, makerguard.SeverityCritical, certain, "The drawing has a script, which runs in the origin that serves the file."}
	ruleSVGEvent    = &rule{"upload.svg.event", makerguard.XSS, makerguard.SeverityCritical, certain, "An attribute of the drawing is a script that runs upon an event."}
	ruleSVGURL      = &rule{"upload.svg.url", makerguard.XSS, makerguard.SeverityHigh, certain, "A link of the drawing runs a script."}
	ruleSVGForeign  = &rule{"upload.svg.foreign", makerguard.XSS, makerguard.SeverityHigh, certain, "The drawing has HTML or another document in it."}
	ruleSVGExternal = &rule{"upload.svg.external", makerguard.SSRF, makerguard.SeverityMedium, certain, "The drawing refers to another file, which its reader fetches: a server that converts it, or the browser of whoever looks."}
	ruleSVGStyle    = &rule{"upload.svg.style", makerguard.XSS, makerguard.SeverityMedium, certain, "The drawing's styles import others or run a script."}
)

// embedding are the elements that bring another document along.
var embedding = map[string]bool{"foreignobject": true, "iframe": true, "object": true, "embed": true, "body": true, "frame": true, "portal": true, "meta": true, "form": true}

// svg inspects an element, whose local name is given in lower case, and its attributes.
func (m *markup) svg(name string) {
	m.drawing = m.drawing || name == "svg" || m.draws()
	switch {
	case name == "script", name == "handler" && m.drawing, name == "listener" && m.drawing:
		m.say(ruleSVGScript)
	case embedding[name] && m.drawing:
		m.say(ruleSVGForeign)
	case name == "style":
		m.styling = !m.closed
	}
	for _, a := range m.attrs {
		m.attribute(name, strings.ToLower(a.name), a.value)
	}
}

// draws reports whether the element declares the namespace of something that browsers show,
// in which a document of any other kind turns into a page.
func (m *markup) draws() bool {
	for _, a := range m.attrs {
		if strings.HasPrefix(a.name, "xmlns") && (strings.Contains(a.value, "w3.org/2000/svg") || strings.Contains(a.value, "w3.org/1999/xhtml")) {
			return true
		}
	}
	return false
}

func (m *markup) attribute(element, name, raw string) {
	if m.drawing && isEvent(name) {
		m.say(ruleSVGEvent)
	}
	if strings.HasPrefix(name, "xmlns") || raw == "" || !m.drawing {
		return
	}
	value := raw
	if strings.IndexByte(raw, '&') >= 0 {
		value = html.UnescapeString(raw)
	}
	url := strings.ToLower(squeeze(value))
	if runs(url) {
		m.say(ruleSVGURL)
	}
	switch local(name) {
	case "attributename":
		if isEvent(url) {
			m.say(ruleSVGEvent)
		}
	case "href", "src":
		switch {
		case strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "data:image/"):
			m.say(ruleSVGURL)
		case element != "a" && external(url):
			m.say(ruleSVGExternal)
		}
	case "from", "to", "values", "by": // of an animation, a list
		if strings.Contains(url, "javascript:") || strings.Contains(url, "data:text/") {
			m.say(ruleSVGURL)
		}
	case "style":
		m.css(value)
	default:
		if strings.Contains(url, "url(") {
			m.css(value)
		}
	}
}

// isEvent reports whether a name in lower case is that of an event's handler.
func isEvent(name string) bool {
	if len(name) < 4 || name[:2] != "on" {
		return false
	}
	for i := 2; i < len(name); i++ {
		if c := name[i]; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// squeeze drops spaces and controls, which the readers of a URL skip.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// runs reports whether a URL runs a script where it is followed.
func runs(url string) bool {
	for _, p := range [...]string{"javascript:", "vbscript:", "livescript:", "mocha:", "data:text/html", "data:text/xml", "data:text/javascript", "data:image/svg"} {
		if strings.HasPrefix(url, p) {
			return true
		}
	}
	return false
}

// external reports whether a URL, in lower case, leads out of the document.
func external(url string) bool {
	scheme, _, found := strings.Cut(url, ":")
	switch {
	case strings.HasPrefix(url, "//"), strings.HasPrefix(url, `\\`):
		return true
	case !found || strings.ContainsAny(scheme, "/?#"): // relative
		return false
	}
	return scheme != "data"
}

// css inspects styles.
func (m *markup) css(s string) {
	s = strings.ToLower(squeeze(cssText(s)))
	for _, p := range [...]string{"@import", "expression(", "-moz-binding", "behavior:", "javascript:", "vbscript:"} {
		if i := strings.Index(s, p); i >= 0 {
			m.x.tell(ruleSVGStyle, s[i:])
			break
		}
	}
	for {
		i := strings.Index(s, "url(")
		if i < 0 {
			return
		}
		s = s[i+4:]
		if external(strings.TrimLeft(s[:min(len(s), maxEvidence)], `"'`)) {
			m.x.tell(ruleSVGExternal, s)
		}
	}
}

// cssText drops comments and decodes escapes (CSS Syntax 3, 4.3.7).
func cssText(s string) string {
	if !strings.Contains(s, `\`) && !strings.Contains(s, "/*") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return b.String()
			}
			i += end + 3
		case s[i] == '\\':
			v, n := rune(0), 0
			for n < 6 && i+1+n < len(s) && hexDigit(s[i+1+n]) >= 0 {
				v = v<<4 | rune(hexDigit(s[i+1+n]))
				n++
			}
			if i += n; n == 0 {
				continue // the character itself, which follows
			}
			b.WriteRune(v)
			if i+1 < len(s) && isSpace(s[i+1]) {
				i++
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
