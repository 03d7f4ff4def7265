package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// What a browser follows to another host is told by the URL standard of WHATWG: it takes a
// back-slash for a slash, passes over tabs and line ends, and minds neither missing nor further
// slashes behind http:. A filter that looks for "//" or "://" sees a path. A plain //host is not
// called an attack; too many pages write links that way.
var ruleSSRFDisguised = &rule{voiceSSRF, "ssrf.disguised", makerguard.SeverityMedium, 1, 5, "A browser would follow the value to another host, though it does not look like a link."}

const (
	maxLink      = 2048 // of what is judged as a link
	maxAuthority = 256
)

// link judges a value that is a link and nothing else.
func (x *inspection) link() {
	s := strings.TrimSpace(x.text)
	if x.loc == makerguard.InHeader || x.loc == makerguard.InText || len(s) < 6 || len(s) > maxLink {
		return
	}
	rest := webLink(s)
	if rest == "" || strings.IndexByte("/\\<", rest[0]) < 0 && len(rest) == len(s) {
		return
	}
	l := leading(rest)
	host := rest[l.length:]
	host = host[:min(len(host), maxAuthority)]
	if end := strings.IndexAny(host, "/\\?#"); end >= 0 {
		host = host[:end]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	odd := l.hidden || l.slashes > 0 && l.backs > 0
	switch {
	case len(rest) < len(s):
		// Who types an address gets its slashes wrong; who sends a parameter does not.
		odd = odd || l.slashes != 2 && x.loc != makerguard.InForm && x.loc != makerguard.InJSON
	case l.slashes+l.backs < 2:
		return
	default:
		odd = odd || l.slashes > 2 || l.slashes == 2 && strings.ContainsAny(host, fullStops)
	}
	if odd && namesHost(host, rest[l.length-min(1, l.length):]) && strings.IndexByte(s, ' ') < 0 && !escapedSlashes(s) {
		x.say(ruleSSRFDisguised, 0, len(x.text))
	}
}

// webLink returns what stands behind the scheme of a browser, or all of s.
func webLink(s string) string {
	colon := strings.IndexByte(s[:min(len(s), 6)], ':')
	if colon > 0 && inAnyCase(webSchemes, s[:colon]) {
		return s[colon+1:]
	}
	return s
}

var webSchemes = set("http", "https", "ftp", "ws", "wss")

// lead is what stands before the host of a link.
type lead struct {
	length, slashes, backs int
	hidden                 bool // by what a browser or a filter drops
}

func leading(s string) (l lead) {
	for ; l.length < min(len(s), 64); l.length++ {
		switch s[l.length] {
		case '/':
			l.slashes++
		case '\\':
			l.backs++
		case '\t', '\r', '\n', '<', '>', ';', '@':
			l.hidden = true
		default:
			return l
		}
	}
	return l
}

// escapedSlashes reports whether every slash of s is written \/, as some write JSON.
func escapedSlashes(s string) bool {
	return strings.IndexByte(s, '/') > 0 && strings.Count(s, "/") == strings.Count(s, `\/`) && strings.Count(s, `\`) == strings.Count(s, `\/`)
}

// fullStops are what browsers take for the dots of a host, beside the dot.
const fullStops = "\u3002\uff0e\uff61"

// namesHost reports whether h is the name of a host of the Internet, or an address. It is followed
// from the byte before it on by s, where \d and the like are of a regular expression.
func namesHost(h, s string) bool {
	if colon := strings.LastIndexByte(h, ':'); colon > 0 && number10(h[colon+1:]) {
		h = h[:colon]
	}
	h = strings.TrimRight(h, ".")
	if h == "" || h[0] == '[' && h[len(h)-1] == ']' {
		return h != ""
	}
	if numericHost(h) {
		return strings.Count(h, ".") == 3
	}
	if len(s) > 2 && s[0] == '\\' && s[2] == '.' && strings.IndexByte("bBdDsSwWnrt", s[1]) >= 0 {
		return false
	}
	label := 0 // where the last one begins
	for i, r := range h {
		switch {
		case r == '.' || strings.ContainsRune(fullStops, r):
			if i == label {
				return false
			}
			label = i + len(string(r))
		case r >= 0x80, lower[byte(r)] != 0, r == '-':
		default:
			return false
		}
	}
	top := h[label:]
	if label == 0 || len(top) < 2 || inAnyCase(fileTypes, top) {
		return false
	}
	return strings.Trim(top, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" || hasPrefixFold(top, "xn--") || top[0] >= 0x80
}

// fileTypes are the endings of files that sites serve and that no domain has.
var fileTypes = set("png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "css", "js", "mjs", "json", "xml", "csv", "txt", "pdf", "xls", "xlsx", "doc", "docx", "woff", "woff2")
