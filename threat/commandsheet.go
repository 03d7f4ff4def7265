package threat

import "strings"

// sheetCalls are the functions of spreadsheets that start a program or send cells elsewhere.
var sheetCalls = [...]string{"dde(", "ddeauto", "call(", "exec(", "register(", "register.id(", "rtd(", "webservice(", "importxml(", "importdata(", "importfeed(", "importhtml(", "importrange("}

// formula judges a value that a spreadsheet takes for a formula when it opens an export with it:
// one that calls a fetcher, or that names a program as DDE does, cmd|' /C calc'!A0.
func (x *inspection) formula() {
	s := strings.TrimLeft(x.text[:min(len(x.text), maxLine)], " \t\"'")
	if s == "" || strings.IndexByte("=+-@", s[0]) < 0 {
		return
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '|':
			rest := strings.TrimLeft(s[i+1:], " ")
			if lower[s[i-1]] == 0 || rest == "" || rest[0] != '\'' && rest[0] != '"' {
				continue
			}
			if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 && strings.HasPrefix(rest[end+2:], "!") {
				x.say(ruleCommandSheet, 0, len(x.text))
				return
			}
		case s[0] == '=' && lower[s[i]] != 0 && lower[s[i-1]] == 0:
			for _, f := range sheetCalls {
				if hasPrefixFold(s[i:], f) {
					x.say(ruleCommandSheet, 0, len(x.text))
					return
				}
			}
		}
	}
}
