package catalog

import "strings"

// SafeCell gives a value for a cell of a CSV file that a spreadsheet may open. One that the
// spreadsheet could take for a formula (it begins, after any spaces, with = + - @, their
// wide forms, a tab or a line end) gets an apostrophe in front, which makes it text: CSV
// injection, CWE-1236, as OWASP describes it. The caller still quotes cells as RFC 4180 says,
// which encoding/csv does.
//
// Numbers below zero get one too: a reader that wants the value back takes it off.
func SafeCell(s string) string {
	trimmed := strings.TrimLeft(s, " \u00a0\u3000")
	if trimmed == "" {
		return s
	}
	switch trimmed[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + s
	}
	for _, wide := range [...]string{"＝", "＋", "－", "＠"} {
		if strings.HasPrefix(trimmed, wide) {
			return "'" + s
		}
	}
	return s
}
