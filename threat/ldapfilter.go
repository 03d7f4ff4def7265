package threat

import "strings"

// directoryAttributes are attributes that directories have, and parameters of shops do not.
var directoryAttributes = set("objectclass", "objectcategory", "uid", "cn", "sn", "ou", "dc", "dn", "mail", "userpassword", "unicodepwd", "givenname",
	"samaccountname", "memberof", "userprincipalname", "useraccountcontrol", "uidnumber", "gidnumber", "homedirectory", "loginshell", "displayname", "distinguishedname", "member", "uniquemember", "sambantpassword")

// maxFilterDepth is how deep parts of a filter are nested, at most.
const maxFilterDepth = 16

// wholeFilter reports whether s is a filter (RFC 4515) and nothing else that guesses at what a
// directory holds: it compares with a wildcard. Without one it may be an administrator's.
func wholeFilter(s string) bool {
	if len(s) < 5 || s[0] != '(' || s[len(s)-1] != ')' {
		return false
	}
	depth, wild, known := 0, false, false
	for i := 0; i < len(s); {
		switch {
		case s[i] == ')':
			if depth--; depth < 0 || depth == 0 && i+1 < len(s) {
				return false
			}
			i++
		case s[i] == '(' && i+1 < len(s) && (s[i+1] == '&' || s[i+1] == '|' || s[i+1] == '!'):
			depth++
			i += 2
		case s[i] == '(':
			depth++
			i++
			start := i
			for i < len(s) && (lower[s[i]] != 0 || s[i] == '-') {
				i++
			}
			known = known || inAnyCase(directoryAttributes, s[start:i])
			for i < len(s) && strings.IndexByte("~<>:.", s[i]) >= 0 {
				i++
			}
			if i == start || i >= len(s) || s[i] != '=' {
				return false
			}
			end := strings.IndexAny(s[i:], "()")
			if end < 0 || s[i+end] == '(' {
				return false
			}
			wild = wild || strings.IndexByte(s[i:i+end], '*') >= 0
			i += end
		default:
			return false
		}
		if depth > maxFilterDepth {
			return false
		}
	}
	return depth == 0 && known && wild
}

// matchingRule finds a comparison by a rule of the directory, attribute:1.2.3:=value, that asks for a
// password or stands where no filter was opened.
func (x *inspection) matchingRule() {
	s := x.text
	for i := strings.Index(s, ":="); i > 0; {
		b := i
		for b > 0 && i-b < maxBlank && (isDigit(s[b-1]) || s[b-1] == '.') {
			b--
		}
		rule := s[b:i]
		if b > 1 && s[b-1] == ':' && strings.Count(rule, ".") > 2 {
			start := wordStart(s, b-1)
			if name := s[start : b-1]; name != "" && (start == 0 || s[start-1] != '(' || indexFold(name, "pass") >= 0 || indexFold(name, "pwd") >= 0) {
				x.say(ruleLDAPFilter, start, len(s))
				return
			}
		}
		next := strings.Index(s[i+2:], ":=")
		if next < 0 {
			return
		}
		i += next + 2
	}
}
