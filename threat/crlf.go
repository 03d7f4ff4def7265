package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// A line end in a value that goes into a header, a mail or a log line begins another one. In
// the text of a description it is only a line end, so what follows decides.
var (
	ruleCRLFHeader   = &rule{voiceCRLF, "crlf.header", makerguard.SeverityHigh, 1, 5, "A line end is followed by a header of HTTP or mail."}
	ruleCRLFResponse = &rule{voiceCRLF, "crlf.response", makerguard.SeverityHigh, 1, 5, "Line ends are followed by another response or request."}
	ruleCRLFEncoded  = &rule{voiceCRLF, "crlf.encoded", makerguard.SeverityMedium, 1, 5, "A line end is hidden by encoding."}
	ruleCRLFBare     = &rule{voiceCRLF, "crlf.bare", makerguard.SeverityMedium, 1, 5, "A line end stands in a place that has one line only."}
)

var headerNames = set("set-cookie", "location", "content-type", "content-length", "content-encoding", "transfer-encoding", "host", "connection", "refresh", "x-forwarded-for", "x-xss-protection", "access-control-allow-origin",
	"last-modified", "cache-control", "status", "remote-addr", "referer", "user-agent", "cookie", "authorization", "link", "to", "cc", "bcc", "from", "subject", "reply-to", "mime-version", "content-disposition", "content-transfer-encoding", "date", "crlf", "x", "header", "server", "upgrade", "origin")

// mailHeaders are also words with which a line of prose may begin.
var mailHeaders = set("to", "from", "subject", "date", "cc", "link", "host", "status", "location", "header", "x", "server", "origin", "connection", "upgrade", "refresh")

func (x *inspection) crlf() {
	s := x.text
	if x.has(markBack) && x.has(markColon) {
		x.spelledLine()
	}
	if !x.has(markLine) {
		return
	}
	spaced := strings.IndexByte(s, ' ') // where the first space is
	if spaced < 0 {
		spaced = len(s)
	}
	few := strings.Count(s, "\n") <= 3
	hidden := x.layer > 0 && !strings.ContainsAny(x.views[0], "\r\n")
	for i := 0; i < len(s) && !x.sure(voiceCRLF); i++ {
		if s[i] != '\n' && s[i] != '\r' {
			continue
		}
		at := i
		for i+1 < len(s) && (s[i+1] == '\n' || s[i+1] == '\r' || s[i+1] == ' ' || s[i+1] == '\t') {
			i++
		}
		rest := s[i+1:]
		if i+1 < len(s) && s[i+1] == ':' && at > 1 && inAnyCase(headerNames, s[:at]) && !inAnyCase(mailHeaders, s[:at]) {
			x.say(ruleCRLFHeader, 0, len(s)) // line ends between a header's name and its colon
			return
		}
		if hidden && len(rest) > 2 && rest[0] == '0' && (rest[1]|0x20 == 'a' || rest[1]|0x20 == 'd') {
			rest = rest[2:] // what is left of %%0a0a
		}
		if !hidden && x.mayHaveLines(at) {
			continue
		}
		switch {
		case hasPrefixFold(rest, "http/1."), hasPrefixFold(rest, "http/2"), strings.HasPrefix(rest, "GET /"), strings.HasPrefix(rest, "POST /"), hasPrefixFold(rest, "rcpt to:"), hasPrefixFold(rest, "mail from:"):
			x.say(ruleCRLFResponse, at, len(s))
			return
		}
		n := 0
		for n < len(rest) && n < maxKey && (lower[rest[n]] != 0 || rest[n] == '-' || rest[n] == '\r' || rest[n] == '\n' && n > 0) {
			n++
		}
		name := strings.TrimRight(rest[:n], "\r\n")
		if n < len(rest) && rest[n] == ':' && inAnyCase(headerNames, name) && (hidden || !inAnyCase(mailHeaders, name) || x.singleLine() || at == 0 && s[at] == '\r') {
			x.say(ruleCRLFHeader, at, len(s))
			return
		}
		if n < len(rest) && rest[n] == ':' && n > 2 && (hidden && x.loc == makerguard.InQuery && strings.IndexByte(name, '-') > 0 || hasPrefixFold(name, "x-") && x.loc != makerguard.InText) {
			x.say(ruleCRLFHeader, at, len(s))
			return
		}
		switch {
		case hidden && x.loc == makerguard.InQuery && (at == 0 || i+1 == at+2 && s[at] == '\r' && spaced >= at) && few:
			// Hidden once more than the place asks for, and not a text of several lines.
			x.say(ruleCRLFEncoded, at, len(s))
		case x.singleLine() && x.loc != makerguard.InQuery:
			x.say(ruleCRLFBare, at, len(s))
		case x.loc == makerguard.InQuery && s[at] == '\r' && n < len(rest) && n > 0 && rest[n] == '=' && spaced >= at:
			x.say(ruleCRLFBare, at, len(s))
		case strings.HasPrefix(rest, "<") && s[at] == '\r' && (hasPrefixFold(rest, "<script") || hasPrefixFold(rest, "<html")):
			x.say(ruleCRLFResponse, at, len(s))
		}
	}
}

// mayHaveLines reports whether the line end at i is one of a text: where texts of several lines are
// expected, or behind what is no value but a sentence, an empty line or the boundary of a part
// of a mail. What is injected into a header stands behind the value of that header.
func (x *inspection) mayHaveLines(i int) bool {
	switch {
	case x.singleLine():
		return false
	case x.loc == makerguard.InText, x.kind == makerguard.KindHTML, x.kind == makerguard.KindText:
		return true
	case x.loc == makerguard.InQuery, x.text[i] == '\r' && !strings.HasPrefix(x.text[i:], "\r\n"):
		return false
	}
	line := x.text[:i]
	return strings.IndexByte(line, '\n') >= 0 || strings.HasPrefix(line, "--") || line != "" && strings.IndexByte(".,:;!?", line[len(line)-1]) >= 0
}

// spelledLine finds a header behind a line end that is spelled \r\n.
func (x *inspection) spelledLine() {
	s := x.text
	for i := 0; i+3 < len(s); i++ {
		if s[i] != '\\' || s[i+1] != 'n' && s[i+1] != 'r' {
			continue
		}
		at := i
		for i+2 < len(s) && s[i+2] == '\\' && (s[i+3:] != "" && (s[i+3] == 'n' || s[i+3] == 'r')) {
			i += 2
		}
		n := i + 2
		for n < len(s) && n-i < maxKey && (lower[s[n]] != 0 || s[n] == '-') {
			n++
		}
		if name := s[i+2 : n]; n < len(s) && s[n] == ':' && inAnyCase(headerNames, name) && !inAnyCase(mailHeaders, name) {
			x.say(ruleCRLFHeader, at, len(s))
			return
		}
	}
}

// singleLine reports whether the value's place has one line only.
func (x *inspection) singleLine() bool {
	switch x.loc {
	case makerguard.InHeader, makerguard.InCookie, makerguard.InPath, makerguard.InFilename:
		return true
	}
	switch x.kind {
	case makerguard.KindEmail, makerguard.KindIdentifier, makerguard.KindURL, makerguard.KindNumber:
		return true
	}
	return x.loc == makerguard.InQuery && strings.IndexByte(x.text[:min(len(x.text), 64)], '@') > 0
}
