package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// LDAP injection closes the filter (RFC 4515) an application builds and opens another.
var (
	ruleLDAPEscape = &rule{voiceLDAP, "ldap.escape", makerguard.SeverityHigh, 1, 5, "A parenthesis closes a filter of LDAP and what follows opens another."}
	ruleLDAPFilter = &rule{voiceLDAP, "ldap.filter", makerguard.SeverityMedium, 1, 5, "A filter of LDAP that compares an account's attributes."}
)

func (x *inspection) ldap() {
	x.xpath()
	if x.has(markColon) && x.has(markEqual) && !x.sure(voiceLDAP) {
		x.matchingRule()
	}
	if !x.has(markParen) || !x.has(markEqual|markStar|markPipe|markAmp) {
		return
	}
	s := x.text
	if probe := strings.TrimSpace(s); len(probe) > 3 && strings.HasPrefix(probe, "*(") && strings.ContainsAny(probe, "|&") && strings.Trim(probe, "*()|&!'") == "" {
		x.say(ruleLDAPEscape, 0, len(s)) // nothing but what a filter is made of
		return
	}
	if wholeFilter(strings.TrimSpace(s)) {
		x.say(ruleLDAPFilter, 0, len(s))
		return
	}
	judged := 0 // a filter has a few parts
	until := 0  // where the run of closing parentheses and operators ends that was skipped last
	opens := false
	for _, p := range x.points {
		i := int(p.pos)
		if p.word != 0 {
			continue
		}
		if judged == maxFilters {
			x.say(ruleMalformedFlood, i, len(s))
			return
		}
		if s[i] == ')' && i >= until {
			until = skipFilter(s, i+1)
			opens = opensFilter(s[until:])
		}
		switch {
		case s[i] == ')' && opens,
			s[i] == '*' && strings.HasPrefix(s[i+1:], "(|("), s[i] == '*' && strings.HasPrefix(s[i+1:], "))") && i < 8 && strings.HasPrefix(s[i+1:], "))%00"):
			judged++
			if unbalanced(s, i) {
				x.say(ruleLDAPEscape, max(0, i-16), len(s))
				return
			}
		case s[i] == '(' && i+1 < len(s) && (s[i+1] == '&' || s[i+1] == '|') && opensFilter(s[i+2:]):
			judged++
			if secretAttribute(s[i+2 : min(len(s), i+200)]) {
				x.say(ruleLDAPFilter, i, len(s))
				return
			}
		}
	}
}

// maxFilters is how many parts of a filter are judged; no application has a fraction of them.
const maxFilters = 1024

// skipFilter skips parentheses that close and operators between filters.
func skipFilter(s string, i int) int {
	for i < len(s) && (s[i] == ')' || s[i] == ' ' || s[i] == '!' || s[i] == '|' || s[i] == '&') {
		i++
	}
	return i
}

// unbalanced reports whether the parenthesis at i closes one that the value did not open, or
// a wildcard stands before it.
func unbalanced(s string, i int) bool {
	depth := 0
	for j := max(0, i-512); j < i; j++ {
		switch s[j] {
		case '(':
			depth++
		case ')':
			depth--
			if depth < 0 {
				return true
			}
		}
	}
	return depth <= 0
}

// opensFilter reports whether s starts with "(attribute=", "(&", "(|" or "(!(".
func opensFilter(s string) bool {
	if len(s) < 2 || s[0] != '(' {
		return false
	}
	i := 1
	for i < len(s) && (s[i] == '(' || s[i] == ' ') {
		i++
	}
	if i < len(s) && (s[i] == '&' || s[i] == '|' || s[i] == '!') {
		if i++; i == len(s) || s[i] == ')' {
			return true
		}
		inner := s[i:min(len(s), i+maxBlank)]
		i += len(inner) - len(strings.TrimLeft(inner, "(|&!"))
		if i == len(s) || strings.IndexByte("(|&!", s[i]) >= 0 {
			return true
		}
	}
	start := i
	for i < len(s) && (lower[s[i]] != 0 || s[i] == '-' || s[i] == ':' || s[i] == '.') {
		i++
	}
	return i > start && isLetter(s[start]) && i+1 < len(s) && (s[i] == '=' || (s[i] == '~' || s[i] == '>' || s[i] == '<') && s[i+1] == '=') && s[min(i+1, len(s)-1)] != ' '
}

// secretAttribute reports whether a filter compares a password with a pattern.
func secretAttribute(s string) bool {
	for _, w := range [...]string{"password=", "userpassword=", "pass=", "pwd=", "uid=*", "cn=*", "objectclass=*)(uid"} {
		if indexFold(s, w) >= 0 {
			return true
		}
	}
	return false
}
