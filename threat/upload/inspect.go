package upload

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// File is a file that somebody sent, as far as it was read.
type File struct {
	Field        string // the input that it came in, as findings are to name it: a form's field
	Name         string // the file's name as the client sent it; "" if it sent none
	DeclaredType string // the media type, with or without parameters; "" if none was sent
	Content      []byte // the beginning of the file, or all of it
	Truncated    bool   // whether more follows that is not in Content
}

// Inspect appends to dst what is dangerous about a file, at most one finding for each rule, and
// returns the extended slice. Findings about the name have the location filename, those
// about the content text. It does not change or keep the content.
func Inspect(dst []makerguard.Finding, f File) []makerguard.Finding {
	x := &inspection{file: f, dst: dst, first: len(dst), budget: maxInflated}
	x.fileName()
	if len(f.Content) > 0 {
		x.content()
	}
	return x.dst
}

// Text gives the text of a file that is text, a table or XML, as UTF-8, for whoever reads
// texts; false if it is something else.
func Text(f File) (string, bool) {
	k := sniff(f.Content, f.Truncated)
	if k != kindText && k != kindXML {
		return "", false
	}
	return decodeText(f.Content, f.Truncated), true
}

// inspection is the work on one file.
type inspection struct {
	file   File
	dst    []makerguard.Finding
	first  int // of the file's findings in dst
	kind   kind
	budget int  // bytes of trial inflation that are left
	nested bool // the content was packed
}

// content inspects the bytes of the file.
func (x *inspection) content() {
	b := x.file.Content
	x.kind = sniff(b, x.file.Truncated)
	x.declared()
	x.serialized()
	x.serverScript()
	switch {
	case x.kind.image():
		x.image()
		x.polyglot()
	case x.kind == kindPDF:
		x.pdf()
	case x.kind == kindZip:
		if x.nested {
			x.tell(ruleZipNested, "zip")
		}
		x.zip(b)
	case x.kind == kindGzip:
		x.gzip()
	case x.kind == kindProgram:
		x.say(ruleProgram, 0, len(b))
	case x.kind == kindHTML:
		x.say(ruleHTML, 0, len(b))
	case x.kind == kindSVG, x.kind == kindXML:
		x.markup(decodeText(b, x.file.Truncated))
	}
}

// maxEvidence is the longest evidence in bytes.
const maxEvidence = 80

// say notes that r holds for the bytes of the content from start to end.
func (x *inspection) say(r *rule, start, end int) {
	if x.nested { // the place is in what was packed
		x.note(r, string(x.file.Content[start:min(end, start+maxEvidence)]), makerguard.InText)
		return
	}
	if x.note(r, string(x.file.Content[start:min(end, start+maxEvidence)]), makerguard.InText) {
		f := &x.dst[len(x.dst)-1]
		f.Offset, f.Length = start, min(end-start, maxEvidence)
	}
}

// tell notes that r holds for what the content says, whose place is not known.
func (x *inspection) tell(r *rule, what string) { x.note(r, what, makerguard.InText) }

// note adds a finding unless its rule has spoken; it reports whether it did.
func (x *inspection) note(r *rule, evidence string, loc makerguard.Location) bool {
	for i := x.first; i < len(x.dst); i++ {
		if x.dst[i].Rule == r.id {
			return false
		}
	}
	x.dst = append(x.dst, finding(r, x.file.Field, evidence, loc))
	return true
}

func finding(r *rule, input, evidence string, loc makerguard.Location) makerguard.Finding {
	return makerguard.Finding{
		Type: r.class, Severity: r.severity, Rule: r.id, Description: r.why,
		Input: input, Location: loc, Evidence: visible(evidence), Score: r.score,
	}
}

// visible cuts evidence to what is kept, and replaces what cannot be seen or is not UTF-8, so that
// no reader of the history can be fooled by it.
func visible(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, s[:min(len(s), maxEvidence)])
	if len(s) <= maxEvidence {
		return s
	}
	end := maxEvidence
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
