package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// XPath injection asks an XML document that holds accounts, as LDAP injection asks a directory:
// the value leaves the string of a query and walks through the document.
var ruleXPath = &rule{voiceLDAP, "ldap.xpath", makerguard.SeverityHigh, 1, 5, "A query of XPath that walks through the accounts in an XML document."}

var (
	xpathAxes      = set("child", "parent", "descendant", "ancestor", "following", "preceding", "self", "attribute", "namespace")
	xpathNodes     = [...]string{"node()", "text()", "comment()", "*", "processing-instruction("}
	xpathFunctions = set("count", "string", "substring", "name", "contains", "with", "boolean", "not", "concat", "space", "sum", "length")
)

// xpath finds axes, functions of paths, and what closes a predicate and goes on with a path.
func (x *inspection) xpath() {
	if !x.has(markSlash|markColon) || !x.has(markParen|markBracket) {
		return
	}
	s := x.text
	for _, p := range x.points {
		i := int(p.pos)
		if p.word != 0 {
			continue
		}
		start := i
		switch s[i] {
		case ':':
			if !strings.HasPrefix(s[i:], "::") {
				continue
			}
			start = wordStart(s, i)
			if !xpathAxes[s[start:i]] || !walksNodes(s[i+2:]) {
				continue
			}
		case '(':
			start = wordStart(s, i)
			if start == i || !xpathFunctions[s[start:i]] || !xpathArgument(s[i+1:]) {
				continue
			}
		case ']':
			if i == 0 || s[i-1] != '\'' && s[i-1] != '"' {
				continue
			}
			rest := s[skipSpace(s, i+1):]
			if !strings.HasPrefix(rest, "|") || !strings.HasPrefix(rest[skipSpace(rest, 1):], "//") {
				continue
			}
		default:
			continue
		}
		x.say(ruleXPath, start, len(s))
		return
	}
}

// wordStart returns where the letters begin that end at i.
func wordStart(s string, i int) int {
	b := i
	for b > 0 && i-b < maxKey && isLetter(s[b-1]) {
		b--
	}
	return b
}

// walksNodes reports whether s starts with a test of nodes, as stands behind an axis.
func walksNodes(s string) bool {
	for _, n := range xpathNodes {
		if strings.HasPrefix(s, n) {
			return true
		}
	}
	return false
}

// xpathArgument reports whether s starts with a path, as an argument of XPath's functions has it.
func xpathArgument(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	n := 1
	for n < min(len(s), maxKey) && (lower[s[n]] != 0 || s[n] == '/' || s[n] == '*' || s[n] == '@' || s[n] == '-') {
		n++
	}
	return n > 1 && n < len(s) && (s[n] == ')' && (s[1] == '*' || s[1] == '/') || s[n] == '[' || s[n] == ',' && s[1] == '/')
}
