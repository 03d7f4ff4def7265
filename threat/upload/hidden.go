package upload

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/imagefile"
)

// What hides within a file of another kind.
var (
	ruleProgram    = &rule{"upload.program", makerguard.CodeInjection, makerguard.SeverityCritical, certain, "The file is a program by its first bytes."}
	ruleScript     = &rule{"upload.script", makerguard.CodeInjection, makerguard.SeverityCritical, certain, "The file holds a script that a web server would run: PHP, JSP or ASP."}
	ruleHTML       = &rule{"upload.html", makerguard.XSS, makerguard.SeverityHigh, certain, "The file is a web page, whose scripts run in the origin that serves it."}
	ruleMarkup     = &rule{"upload.markup", makerguard.XSS, makerguard.SeverityHigh, certain, "The image holds the tags of a web page, for browsers that guess what a file is."}
	rulePolyglot   = &rule{"upload.polyglot", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The image is also a file of another kind: an archive, a program, a script or a PDF."}
	ruleSerialized = &rule{"upload.serialized", makerguard.Deserialization, makerguard.SeverityCritical, certain, "The file is or holds serialised objects, which call methods when they are read."}
	rulePDF        = &rule{"upload.pdf.script", makerguard.XSS, makerguard.SeverityHigh, certain, "The PDF runs a script or starts a program when it is opened."}
)

// serialized finds objects of Java, .NET, Python and Ruby at the beginning, and PHP archives, whose
// objects are read when anything touches the file.
func (x *inspection) serialized() {
	b := x.file.Content
	switch {
	case bytes.HasPrefix(b, []byte("\xac\xed\x00\x05")),
		bytes.HasPrefix(b, []byte("\x00\x01\x00\x00\x00\xff\xff\xff\xff")),
		bytes.HasPrefix(b, []byte("\x04\x08o:")), bytes.HasPrefix(b, []byte("\x04\x08[")),
		len(b) >= 11 && b[0] == 0x80 && (b[1] == 4 || b[1] == 5) && b[2] == 0x95 && binary.LittleEndian.Uint64(b[3:]) < 1<<32, // Python's pickle, framed
		len(b) >= 4 && b[0] == 0x80 && (b[1] == 2 || b[1] == 3) && strings.IndexByte("c(}]X", b[2]) >= 0:
		x.say(ruleSerialized, 0, len(b))
	}
	if i := bytes.Index(b, []byte("__HALT_COMPILER")); i >= 0 {
		x.say(ruleSerialized, i, len(b))
	}
}

// serverScript looks for the tags of scripts. In texts a short tag will do; among the bytes of an
// image that would be found by chance.
func (x *inspection) serverScript() {
	b := x.file.Content
	text := x.kind == kindText || x.kind == kindHTML || x.kind == kindXML || x.kind == kindSVG
	if text && wideOrder(b) != nil {
		b = []byte(decodeText(b, false))
	}
	closed := -1 // where the last of ASP's tags ends
	if text && bytes.Contains(b, []byte("<%")) {
		closed = bytes.LastIndex(b, []byte("%>"))
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			return
		}
		i += n
		rest := b[i+1:]
		switch {
		case foldPrefix(rest, "?php") && (len(rest) == 4 || isSpace(rest[4])),
			text && foldPrefix(rest, "?="),
			foldPrefix(rest, "%@") && serverWord(rest[2:]),
			text && closed > i && foldPrefix(rest, "%") && len(rest) > 1 && (strings.IndexByte("=!@", rest[1]) >= 0 || serverWord(rest[1:])),
			text && (foldPrefix(rest, "jsp:") || foldPrefix(rest, "cfexecute") || foldPrefix(rest, "cfset ")),
			foldPrefix(rest, "script") && serverTag(rest):
			x.sayIn(ruleScript, b, i)
			return
		case x.kind.image() && (foldPrefix(rest, "script") && len(rest) > 6 && ends(rest[6]) || foldPrefix(rest, "iframe ") || foldPrefix(rest, "html") && len(rest) > 4 && ends(rest[4])):
			x.sayIn(ruleMarkup, b, i)
		}
	}
}

// sayIn is say for a fragment of b, the content or its decoded text.
func (x *inspection) sayIn(r *rule, b []byte, at int) {
	x.tell(r, string(b[at:min(len(b), at+maxEvidence)]))
}

func foldPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// serverWord reports whether JSP or ASP goes on behind its opening tag.
func serverWord(b []byte) bool {
	b = bytes.TrimLeft(b[:min(len(b), 64)], " \t\r\n")
	for _, w := range [...]string{"page", "language", "import", "include", "taglib", "eval", "execute", "response", "request", "runtime", "out.", "system", "set ", "dim ", "new ", "string ", "if ", "if(", "class"} {
		if foldPrefix(b, w) {
			return true
		}
	}
	return false
}

// serverTag reports whether a script element is run by the server.
func serverTag(b []byte) bool {
	tag, _, found := strings.Cut(strings.ToLower(string(b[:min(len(b), 128)])), ">")
	return found && (strings.Contains(tag, "runat") || strings.Contains(tag, "language") && strings.Contains(tag, "php"))
}

// polyglot looks for another file in an image: behind its end, or with a beginning that is also
// the beginning of a script.
func (x *inspection) polyglot() {
	b := x.file.Content
	end := 0
	switch string(x.kind) {
	case imagefile.GIF:
		end = gifFrames(b).end
		if bytes.HasPrefix(b[6:], []byte("/*")) || bytes.HasPrefix(b[6:], []byte("=")) {
			x.say(rulePolyglot, 0, 13) // GIF89a=1/*: a variable, and the image a comment
		}
	case imagefile.PNG:
		end = chunks(b, func(string, []byte) {})
	case imagefile.WebP:
		end = webpFrames(b).end
	case imagefile.JPEG:
		end = jpegEnd(b)
		if bytes.HasPrefix(b[3:], []byte("\xe0/*")) || bytes.HasPrefix(b[3:], []byte("\xe0/=")) {
			x.say(rulePolyglot, 0, 13)
		}
	}
	if i := bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-")); i >= 0 {
		x.say(rulePolyglot, i, len(b))
	}
	if end > 0 && end < len(b) {
		// Cameras put videos and previews behind an image.
		switch sniff(b[end:], x.file.Truncated) {
		case kindZip, kindProgram, kindHTML, kindSVG, kindPDF:
			x.say(rulePolyglot, end, len(b))
		}
	}
	if i := packedIn(b); i >= 0 {
		x.say(rulePolyglot, i, len(b))
	}
}

// packedIn finds the directory of an archive that anything stands around, as lenient readers of
// archives do; -1 if there is none.
func packedIn(b []byte) int {
	from := max(0, len(b)-longestEnd)
	at := bytes.LastIndex(b[from:], []byte("PK\x05\x06"))
	if at < 0 || len(b)-from-at < 22 {
		return -1
	}
	at += from
	size := int64(binary.LittleEndian.Uint32(b[at+12:]))
	if size > int64(at) || !bytes.HasPrefix(b[at-int(size):], []byte("PK\x01\x02")) {
		return -1
	}
	return at - int(size)
}

// jpegEnd finds the end of a JPEG (ITU-T T.81, B.1.1.2): segments, and data in which 0xff
// is followed by 0 or a restart.
func jpegEnd(b []byte) int {
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			return 0
		}
		switch marker := b[i+1]; {
		case marker == 0xff:
			i++
		case marker >= 0xd0 && marker <= 0xd8 || marker == 0x01:
			i += 2
		default:
			n := int(binary.BigEndian.Uint16(b[i+2:]))
			if n < 2 {
				return 0
			}
			i += 2 + n
			if marker != 0xda {
				break
			}
			for { // the coded data
				n := bytes.IndexByte(b[min(i, len(b)):], 0xff)
				if n < 0 || i+n+1 >= len(b) {
					return 0
				}
				i += n
				if next := b[i+1]; next == 0xd9 {
					return i + 2
				} else if next == 0 || next == 0xff || next >= 0xd0 && next <= 0xd7 {
					i++
					continue
				}
				break
			}
		}
	}
	return 0
}

// pdf looks for the types of actions that run something. They stand as names, whose characters may
// be written as numbers (ISO 32000-2, 7.3.5 and 12.6.4).
func (x *inspection) pdf() {
	b := x.file.Content
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '/')
		if n < 0 {
			return
		}
		i += n
		switch pdfName(b[i+1:]) {
		case "JavaScript", "Launch":
			x.say(rulePDF, i, len(b))
			return
		}
	}
}

// pdfName reads a name, of which at most the first ten characters matter.
func pdfName(b []byte) string {
	var name [11]byte
	n := 0
	for i := 0; i < len(b) && n < len(name); i++ {
		c := b[i]
		if c == '#' && i+2 < len(b) && hexDigit(b[i+1]) >= 0 && hexDigit(b[i+2]) >= 0 {
			c = byte(hexDigit(b[i+1])<<4 | hexDigit(b[i+2]))
			i += 2
		} else if isSpace(c) || c == 0 || strings.IndexByte("()<>[]{}/%", c) >= 0 {
			break
		}
		name[n] = c
		n++
	}
	return string(name[:n])
}
