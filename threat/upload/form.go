package upload

import (
	"bytes"
	"strings"

	"github.com/makerguard/makerguard"
)

// What two readers of a multipart body could take differently (RFC 2046 5.1, RFC 7578): a field
// that only one of them sees passes whoever inspects with the other.
var (
	ruleFormBoundary = &rule{"upload.form.boundary", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "A multipart body whose parts readers cut differently: an unusual or missing boundary, or text around the parts."}
	ruleFormHeader   = &rule{"upload.form.header", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The headers of a part can be read in two ways: repeated, folded, broken or quoted oddly."}
	ruleFormName     = &rule{"upload.form.name", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "The name of a field or a file has line ends, quotes or two different values."}
	ruleFormEncoding = &rule{"upload.form.encoding", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "A part is in an encoding that only some readers undo."}
	ruleFormNested   = &rule{"upload.form.nested", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "A part has parts of its own, which only some readers see."}
	ruleFormLimits   = &rule{"upload.form.limits", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "More than 1,000 parts, or a part with more than 8 KiB of headers, to exhaust the reader."}
)

// What a multipart body may have.
const (
	MaxParts    = 1000
	maxHeaders  = 8 << 10 // bytes in front of a part
	maxBoundary = 70      // characters (RFC 2046 5.1.1)
	maxPadding  = 128     // bytes between a boundary and the end of its line
)

// Part is a part of a multipart body.
type Part struct {
	Name      string // of the field; "" if it has none
	IsFile    bool   // it has a file name, maybe an empty one
	FileName  string
	Type      string // its Content-Type, "" if it has none
	Content   []byte // in the body; of a text that was cut off, without the half of a character
	Truncated bool   // the body was cut off within it
}

// Parts takes apart a multipart body with the Content-Type that is given, and appends to dst where
// readers could differ. It gives the parts even then, as far as they can be told: at most
// 1,000. truncated says that more of the body follows. Findings name the input "body".
func Parts(dst []makerguard.Finding, contentType string, body []byte, truncated bool) ([]makerguard.Finding, []Part) {
	f := &form{body: body, truncated: truncated, dst: dst, first: len(dst)}
	media, params, clean := parameters(contentType)
	f.media = strings.ToLower(strings.TrimSpace(media))
	boundary := params.get("boundary")
	main, sub, _ := strings.Cut(f.media, "/")
	if !clean || !isToken(main) || !isToken(sub) || !plainBoundary(boundary) || params.count("boundary") != 1 {
		f.say(ruleFormBoundary, contentType)
	}
	if boundary == "" || len(boundary) > maxBoundary {
		return f.dst, nil
	}
	f.cut([]byte("--" + boundary))
	return f.dst, f.parts
}

// plainBoundary reports whether a boundary has only characters that it may, and none that needs
// quotes but some libraries put in.
func plainBoundary(s string) bool {
	if s == "" || len(s) > maxBoundary || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && strings.IndexByte("'()+_,-./:=?", c) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

// form is the work on one body.
type form struct {
	body      []byte
	truncated bool
	media     string
	dst       []makerguard.Finding
	first     int
	parts     []Part
}

// sayOf is say with the beginning of what was read.
func (f *form) sayOf(r *rule, b []byte) { f.say(r, string(b[:min(len(b), maxEvidence)])) }

// say notes a rule, once.
func (f *form) say(r *rule, evidence string) {
	for i := f.first; i < len(f.dst); i++ {
		if f.dst[i].Rule == r.id {
			return
		}
	}
	f.dst = append(f.dst, finding(r, "body", evidence, makerguard.InForm))
}

// cut finds the delimiters: lines that begin with two dashes and the boundary. A strict reader
// wants CRLF before them and CRLF or two dashes behind them; a line that only begins so is
// a delimiter for some.
func (f *form) cut(delimiter []byte) {
	b := f.body
	start := -1 // of the part being read
	for at := 0; ; {
		n := bytes.Index(b[at:], delimiter)
		if n < 0 {
			break
		}
		from := at + n
		at = from + len(delimiter)
		if from > 0 && b[from-1] != '\n' && b[from-1] != '\r' {
			continue // within a line
		}
		if from > 0 && !bytes.HasSuffix(b[:from], []byte("\r\n")) {
			f.sayOf(ruleFormBoundary, b[from:])
		}
		rest := b[at:]
		last := bytes.HasPrefix(rest, []byte("--"))
		if !last && !bytes.HasPrefix(rest, []byte("\r\n")) && len(rest) >= 2 {
			f.sayOf(ruleFormBoundary, b[from:])
		}
		if start < 0 {
			if from > 2 {
				f.sayOf(ruleFormBoundary, b[:from]) // text before the first part
			}
		} else {
			f.part(b[start:max(start, lineEnd(b, from))], false)
		}
		if len(f.parts) > MaxParts {
			f.parts = f.parts[:MaxParts]
			f.say(ruleFormLimits, "")
			return
		}
		if last {
			if epilogue := bytes.TrimSpace(rest[2:]); len(epilogue) > 0 {
				f.sayOf(ruleFormBoundary, epilogue) // text after the last part
			}
			return
		}
		start = at
		if n := bytes.IndexByte(rest[:min(len(rest), maxPadding)], '\n'); n >= 0 {
			start += n + 1
		}
		at = start
	}
	switch {
	case f.truncated && start >= 0:
		f.part(b[start:], true)
	case !f.truncated:
		f.sayOf(ruleFormBoundary, b[max(0, len(b)-maxEvidence):]) // no end
		if start >= 0 {
			f.part(b[start:], false)
		}
	}
}

// lineEnd is where the line before a delimiter ends.
func lineEnd(b []byte, at int) int {
	if at > 0 && b[at-1] == '\n' {
		at--
	}
	if at > 0 && b[at-1] == '\r' {
		at--
	}
	return at
}

// part reads one part: its headers, an empty line, its content.
func (f *form) part(b []byte, cut bool) {
	var head, content []byte
	switch end := bytes.Index(b, []byte("\r\n\r\n")); {
	case bytes.HasPrefix(b, []byte("\r\n")):
		content = b[2:]
	case end >= 0:
		head, content = b[:end], b[end+4:]
	case cut && len(b) <= maxHeaders:
		return // nothing of it but headers was read
	default:
		f.sayOf(ruleFormHeader, b)
		head, content = nil, b
	}
	p := Part{Content: content, Truncated: cut}
	f.headers(&p, head)
	if !p.IsFile {
		p.Content = whole(p.Content, cut)
	}
	f.parts = append(f.parts, p)
}
