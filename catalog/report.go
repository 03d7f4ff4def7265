package catalog

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Severity says whether a problem makes a document invalid.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // the document is not valid
	SeverityWarning Severity = "warning" // it may be right, and should be looked at
)

// Problem is one thing that is wrong with one member of a document.
type Problem struct {
	Pointer  string // RFC 6901, from the document's root: "/frame/size"
	Rule     string // stable name of the rule: "gtin", "frame.size"
	Severity Severity
	Message  string // for a person; never quotes the value
	Expected string // what would be right, where that can be told: "1" for a check digit
}

// Report is what a validation found, in the order of the document's members.
type Report struct {
	Errors   []Problem
	Warnings []Problem
}

func (r *Report) errorf(pointer, rule, expected, format string, args ...any) {
	r.Errors = append(r.Errors, Problem{pointer, rule, SeverityError, fmt.Sprintf(format, args...), expected})
}

func (r *Report) warnf(pointer, rule, expected, format string, args ...any) {
	r.Warnings = append(r.Warnings, Problem{pointer, rule, SeverityWarning, fmt.Sprintf(format, args...), expected})
}

// maxValue bounds the length, in bytes, of a value that is looked at: no identifier is
// nearly as long.
const maxValue = 256

// tooLong stands for a value that is; no rule accepts it.
const tooLong = "\x00"

// normal is s without surrounding space, in NFKC, or tooLong.
func normal(s string) string {
	if len(s) > maxValue {
		return tooLong
	}
	return strings.TrimSpace(norm.NFKC.String(s))
}

// capitals is normal in capitals.
func capitals(s string) string { return strings.ToUpper(normal(s)) }

var separators = strings.NewReplacer(" ", "", ".", "", "-", "")

// compact is capitals without spaces, dots and dashes.
func compact(s string) string { return separators.Replace(capitals(s)) }

func allDigits(s string) bool { return onlyOf(s, '0', '9') }

func allCapitals(s string) bool { return onlyOf(s, 'A', 'Z') }

func onlyOf(s string, from, to byte) bool {
	for i := range len(s) {
		if s[i] < from || s[i] > to {
			return false
		}
	}
	return s != ""
}

// alphanumeric reports whether s is made of 0-9 and A-Z only.
func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// mod97 is the number that s stands for with A=10 ... Z=35, modulo 97 (ISO 7064). s must be
// alphanumeric.
func mod97(s string) int {
	n := 0
	for i := range len(s) {
		if c := s[i]; c <= '9' {
			n = (n*10 + int(c-'0')) % 97
		} else {
			n = (n*100 + int(c-'A') + 10) % 97
		}
	}
	return n
}
