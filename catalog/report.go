package catalog

import "fmt"

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
	Source   string // where the rule comes from: "GS1 General Specifications 7.9"
}

// Report is what a validation found, in the order of the document's members.
type Report struct {
	Errors   []Problem
	Warnings []Problem
}

// Reset empties r and keeps its memory, for the next document.
func (r *Report) Reset() {
	clear(r.Errors)
	clear(r.Warnings)
	r.Errors, r.Warnings = r.Errors[:0], r.Warnings[:0]
}

func (r *Report) errorf(pointer, rule, expected, format string, args ...any) {
	r.Errors = append(r.Errors, Problem{pointer, rule, SeverityError, message(format, args), expected, sources[rule]})
}

func (r *Report) warnf(pointer, rule, expected, format string, args ...any) {
	r.Warnings = append(r.Warnings, Problem{pointer, rule, SeverityWarning, message(format, args), expected, sources[rule]})
}

// message leaves a format without arguments as it is: most are, and files hold many problems.
func message(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}
