package threat

import (
	"net/netip"
	"strings"

	"github.com/makerguard/makerguard"
)

// Suspicions are what paranoia levels 2 and 3 add: syntax that attacks are made of, wherever
// it stands. Prose about computers has it as well, so level 1 leaves it alone.
var (
	ruleSQLComment   = &rule{voiceSQL, "sqli.comment", makerguard.SeverityMedium, 2, 5, "Behind a quote stands what begins a comment of SQL."}
	ruleSQLKeywords  = &rule{voiceSQL, "sqli.keywords", makerguard.SeverityMedium, 2, 5, "Keywords of SQL follow one another as in a statement."}
	ruleSQLQuote     = &rule{voiceSQL, "sqli.quote", makerguard.SeverityLow, 3, 5, "A quote is followed by an operator."}
	ruleXSSTag       = &rule{voiceXSS, "xss.tag", makerguard.SeverityLow, 2, 5, "A tag of HTML stands where no HTML is expected."}
	ruleNoSQLWord    = &rule{voiceNoSQL, "nosql.word", makerguard.SeverityLow, 2, 5, "An operator of MongoDB stands in a value."}
	ruleCommandWord  = &rule{voiceCommand, "command.word", makerguard.SeverityMedium, 2, 5, "Behind what separates commands of a shell stands the name of one."}
	ruleCommandMark  = &rule{voiceCommand, "command.syntax", makerguard.SeverityLow, 3, 5, "A shell would run what stands in this substitution."}
	ruleCodeMark     = &rule{voiceCode, "code.syntax", makerguard.SeverityLow, 3, 5, "A call of a function, as in program code."}
	ruleRemoteLink   = &rule{voiceInclusion, "inclusion.link", makerguard.SeverityLow, 2, 5, "A link to another site stands where a parameter is no link."}
	ruleSSRFHost     = &rule{voiceSSRF, "ssrf.host", makerguard.SeverityMedium, 2, 5, "The value is an address in the server's own network."}
	ruleTemplateMark = &rule{voiceTemplate, "template.placeholder", makerguard.SeverityLow, 3, 5, "Delimiters of a template engine."}
	ruleLDAPMark     = &rule{voiceLDAP, "ldap.syntax", makerguard.SeverityLow, 3, 5, "A comparison in parentheses, as in a filter of LDAP."}
	ruleXXEReference = &rule{voiceXXE, "xxe.reference", makerguard.SeverityLow, 3, 5, "The value is a reference to an entity that HTML does not know."}
	ruleCRLFLine     = &rule{voiceCRLF, "crlf.line", makerguard.SeverityLow, 3, 5, "A line end in the parameter of a query."}
	ruleJNDIMark     = &rule{voiceJNDI, "jndi.expression", makerguard.SeverityMedium, 2, 5, "An expression with a prefix, as lookups have it."}
	ruleProtoWord    = &rule{voiceProto, "proto.word", makerguard.SeverityLow, 2, 5, "A property of JavaScript's objects by which all objects can be reached."}
	ruleSerialPacked = &rule{voiceDeserialization, "deserialization.packed", makerguard.SeverityLow, 3, 5, "Compressed data in base64, which may hold a serialised object."}
)

// suspect reads the view for suspicions.
func (x *inspection) suspect() {
	s := x.text
	var first, quoted int // where a statement's first keyword ends, and behind which quote we are
	var opened class
	for _, p := range x.points {
		i := int(p.pos)
		if p.word != 0 {
			w := &words[p.word]
			end := i + int(p.size)
			switch {
			case opened != other && i-first < 96 && continuesStatement(opened, w):
				x.say(ruleSQLKeywords, first, end)
			case w.class == selectKw, w.class == union, w.class == verb:
				opened, first = w.class, i
			}
			continue
		}
		c, d := s[i], byte(0)
		if i+1 < len(s) {
			d = s[i+1]
		}
		switch c {
		case '\'', '"':
			quoted = i + 1
			x.suspectQuote(i)
		case '-', '#', '/':
			if quoted > 0 && (c == '#' || c == '-' && d == '-' || c == '/' && d == '*') {
				x.say(ruleSQLComment, quoted-1, len(s))
			}
		case '<':
			x.suspectTag(i)
		case ';', '|', '&', '`':
			x.suspectCommand(i)
		case '$':
			x.suspectDollar(i)
		case '(':
			x.suspectCall(i)
		case '{':
			if d == '{' && strings.Contains(s[i:min(len(s), i+maxExpression)], "}}") {
				x.say(ruleTemplateMark, i, len(s))
			}
		}
	}
	// "--" holds no point.
	if quoted > 0 && x.has(markDashes) && strings.Contains(s[quoted:], "--") {
		x.say(ruleSQLComment, quoted-1, len(s))
	}
	if x.has(markLine) && x.loc == makerguard.InQuery {
		x.say(ruleCRLFLine, strings.IndexAny(s, "\r\n"), len(s))
	}
	x.suspectWhole()
	for _, w := range [...]string{"prototype", "constructor"} {
		if k := strings.Index(s, w); k >= 0 && k+len(w) < len(s) && strings.IndexByte("[].=", s[k+len(w)]) >= 0 {
			x.say(ruleProtoWord, k, len(s))
		}
	}
}

// continuesStatement reports whether w goes on a statement that a keyword of the class opened.
func continuesStatement(opened class, w *word) bool {
	switch opened {
	case selectKw:
		return w.text == "from"
	case union:
		return w.class == selectKw
	case verb:
		switch w.text {
		case "into", "table", "database", "from", "set", "immediate":
			return true
		}
	}
	return false
}

// suspectQuote judges a quote at i by what follows.
func (x *inspection) suspectQuote(i int) {
	s := x.text
	n := skipSpace(s, i+1)
	if n >= len(s) {
		return
	}
	if strings.IndexByte("=<>|+*;)#", s[n]) >= 0 && (n == i+1 || s[n] != '+') {
		x.say(ruleSQLQuote, i, len(s))
		return
	}
	e := n
	for e < len(s) && lower[s[e]] != 0 {
		e++
	}
	if lookup(s[n:e]).class == logic && e > n && strings.ContainsAny(s[e:], "=<>'\"") {
		x.say(ruleSQLQuote, i, len(s))
	}
}

// suspectTag judges "<" at i.
func (x *inspection) suspectTag(i int) {
	s := x.text
	n := i + 1
	if n < len(s) && s[n] == '/' {
		n++
	}
	if x.kind == makerguard.KindHTML || n >= len(s) || !isLetter(s[n]) && s[n] != '!' && s[n] != '?' {
		return
	}
	if end := strings.IndexByte(s[n:min(len(s), n+maxShellWord)], '>'); end > 0 {
		x.say(ruleXSSTag, i, n+end+1)
	}
}

// suspectCommand judges a separator of commands at i.
func (x *inspection) suspectCommand(i int) {
	s := x.text
	if s[i] == '`' && strings.IndexByte(s[i+1:min(len(s), i+512)], '`') > 0 {
		x.say(ruleCommandMark, i, len(s))
	}
	if s[i] == '&' && entityLength(s[i:]) > 0 {
		return
	}
	n := skipSpace(s, i+1)
	w := x.wordAt(n)
	if f := w.fame(); f >= terse && (w.end == len(s) || s[w.end] != '=') && n < len(s) && !capital(s[n]) {
		x.say(ruleCommandWord, i, len(s))
	}
}

// suspectDollar judges "$" at i.
func (x *inspection) suspectDollar(i int) {
	s := x.text
	n := i + 1
	if n >= len(s) {
		return
	}
	switch {
	case s[n] == '(':
		x.say(ruleCommandMark, i, len(s))
	case s[n] == '{':
		end := strings.IndexByte(s[n:min(len(s), n+maxExpression)], '}')
		if end < 0 {
			return
		}
		x.say(ruleTemplateMark, i, n+end+1)
		k := n + 1
		for k < len(s) && lower[s[k]] != 0 {
			k++
		}
		if k > n+1 && k < n+end && s[k] == ':' {
			x.say(ruleJNDIMark, i, n+end+1)
		}
	case isLetter(s[n]):
		e := n
		for e < len(s) && isLetter(s[e]) {
			e++
		}
		if inAnyCase(operators, s[i:e]) {
			x.say(ruleNoSQLWord, i, e)
		}
	}
}

// suspectCall judges "(" at i.
func (x *inspection) suspectCall(i int) {
	s := x.text
	end := strings.IndexByte(s[i:min(len(s), i+512)], ')')
	if end < 0 {
		return
	}
	body := s[i+1 : i+end]
	if i > 1 && isLetter(s[i-1]) && isLetter(s[i-2]) && (i+end+1 < len(s) && s[i+end+1] == ';' || strings.ContainsAny(body, "'\"$")) {
		x.say(ruleCodeMark, i-1, i+end+1)
	}
	if eq := strings.IndexByte(body, '='); eq > 0 && strings.IndexByte(body[:eq], ' ') < 0 && isLetter(body[0]) {
		x.say(ruleLDAPMark, i, i+end+1)
	}
}

// suspectWhole judges a value that is one word: a host, a link, an entity.
func (x *inspection) suspectWhole() {
	s := x.text
	if len(s) < 3 || len(s) > 2048 || strings.ContainsAny(s, " \t\n") || x.loc == makerguard.InHeader || x.loc == makerguard.InPath {
		return
	}
	if strings.HasPrefix(s, "H4sI") && len(s) > 32 {
		x.say(ruleSerialPacked, 0, len(s))
	}
	if n := len(s) - 1; (s[0] == '&' || s[0] == '%') && s[n] == ';' && isLetter(s[1]) {
		if _, known := entities[s[1:n]]; !known && strings.Trim(s[1:n], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" {
			x.say(ruleXXEReference, 0, len(s))
		}
	}
	if i := strings.Index(s, "://"); x.loc == makerguard.InQuery && (i > 0 && i < 8 || strings.HasPrefix(s, "//")) {
		if x.kind != makerguard.KindURL && !carriesURL(x.name) {
			x.say(ruleRemoteLink, 0, len(s))
		}
		return
	}
	host := strings.ToLower(s)
	if end := strings.IndexAny(host, ":/"); end > 0 {
		host = host[:end]
	}
	a, err := netip.ParseAddr(host)
	if host == "localhost" || metadataHosts[host] && strings.IndexByte(host, '.') > 0 || err == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()) {
		x.say(ruleSSRFHost, 0, len(s))
	}
}
