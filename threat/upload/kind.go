package upload

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/makerguard/makerguard/internal/imagefile"
)

// kind is what a file really is: for images their content type, else a word.
type kind string

const (
	kindUnknown kind = "unknown" // bytes without a signature that is known here
	kindText    kind = "text"
	kindHTML    kind = "html"
	kindSVG     kind = "svg"
	kindXML     kind = "xml"
	kindPDF     kind = "pdf"
	kindZip     kind = "zip" // and office documents, which are archives
	kindGzip    kind = "gzip"
	kindOLE     kind = "ole" // the older office documents
	kindProgram kind = "program"
)

// image reports whether the kind is an image of pixels.
func (k kind) image() bool { return strings.HasPrefix(string(k), "image/") }

// sniff tells a file's kind from its bytes (after the MIME Sniffing standard of the WHATWG, with
// programs and archives added). truncated says that more bytes follow.
func sniff(b []byte, truncated bool) kind {
	switch {
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return kindPDF
	case bytes.HasPrefix(b, []byte("#!")) && bytes.HasPrefix(bytes.TrimLeft(b[2:], " \t"), []byte("/")):
		return kindProgram
	case isText(b, truncated):
		return textKind(decodeText(b, truncated))
	}
	if h, ok := imagefile.Read(b); ok {
		return kind(h.ContentType)
	}
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("PK\x05\x06")), bytes.HasPrefix(b, []byte("PK\x07\x08PK\x03\x04")):
		return kindZip
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		return kindGzip
	case bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return kindOLE
	case isProgram(b):
		return kindProgram
	case bytes.HasPrefix(bytes.TrimLeft(b[:min(len(b), 64)], " \t\r\n\ufeff"), []byte("<")):
		// Markup with a few bytes that are no text in it: lenient readers go on behind them.
		return textKind(latin1(b))
	}
	return kindUnknown
}

// isProgram knows what an operating system or a virtual machine runs.
func isProgram(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, []byte("MZ")): // Windows; texts that begin so are no programs
		return len(b) >= 64
	case bytes.HasPrefix(b, []byte("\x7fELF")),
		bytes.HasPrefix(b, []byte("\xfe\xed\xfa\xce")), bytes.HasPrefix(b, []byte("\xfe\xed\xfa\xcf")), // Mach-O
		bytes.HasPrefix(b, []byte("\xce\xfa\xed\xfe")), bytes.HasPrefix(b, []byte("\xcf\xfa\xed\xfe")),
		bytes.HasPrefix(b, []byte("\xca\xfe\xba\xbe")),              // Java, and Mach-O for several processors
		bytes.HasPrefix(b, []byte("dex\n03")),                       // Android
		bytes.HasPrefix(b, []byte("\x00asm")),                       // WebAssembly
		bytes.HasPrefix(b, []byte("L\x00\x00\x00\x01\x14\x02\x00")), // a link of Windows
		bytes.HasPrefix(b, []byte("ITSF\x03")),                      // compiled help
		bytes.HasPrefix(b, []byte("!<arch>\n")):                     // libraries and Debian packages
		return true
	}
	return false
}

// isText reports whether bytes are text: UTF-8, UTF-16 with a mark or without one where it
// begins as markup, or one of the sets of eight bits that older programs write.
func isText(b []byte, truncated bool) bool {
	if wideOrder(b) != nil {
		return true
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f {
			return false
		}
	}
	if utf8.Valid(whole(b, truncated)) {
		return true
	}
	// Windows-1252 leaves five bytes unused, and a text has more letters than accents.
	high := 0
	for _, c := range b {
		switch c {
		case 0x81, 0x8d, 0x8f, 0x90, 0x9d:
			return false
		}
		if c >= utf8.RuneSelf {
			high++
		}
	}
	return high*2 <= len(b)
}

// whole is a text without the character at its end that was cut off, if it was cut.
func whole(b []byte, truncated bool) []byte {
	if !truncated {
		return b
	}
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}

// wideOrder gives the byte order of UTF-16; nil for what is not.
func wideOrder(b []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe\x00\x00")): // UTF-32, which nobody sends
		return nil
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("<\x00?\x00")), bytes.HasPrefix(b, []byte("<\x00!\x00")), bytes.HasPrefix(b, []byte("<\x00s\x00")):
		return binary.LittleEndian
	case bytes.HasPrefix(b, []byte("\xfe\xff")), bytes.HasPrefix(b, []byte("\x00<\x00?")), bytes.HasPrefix(b, []byte("\x00<\x00!")), bytes.HasPrefix(b, []byte("\x00<\x00s")):
		return binary.BigEndian
	}
	return nil
}

// decodeText gives a text as UTF-8, without the mark at its beginning.
func decodeText(b []byte, truncated bool) string {
	if order := wideOrder(b); order != nil {
		return strings.TrimPrefix(utf16Text(b, order), "\ufeff")
	}
	b = whole(b, truncated)
	if !utf8.Valid(b) {
		return latin1(b)
	}
	return strings.TrimPrefix(string(b), "\ufeff")
}

func utf16Text(b []byte, order binary.ByteOrder) string {
	var s strings.Builder
	s.Grow(len(b) / 2)
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(order.Uint16(b[i:]))
		if i+3 < len(b) && r >= 0xd800 && r < 0xdc00 {
			if low := rune(order.Uint16(b[i+2:])); low >= 0xdc00 && low < 0xe000 {
				r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
				i += 2
			}
		}
		s.WriteRune(r) // half a pair becomes U+FFFD
	}
	return s.String()
}

// latin1 reads each byte as the character of its number. What is looked for is ASCII, so it does
// not matter which set of eight bits it was.
func latin1(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// htmlRoots are the elements by which the WHATWG's standard takes a document for HTML.
var htmlRoots = map[string]bool{
	"html": true, "head": true, "script": true, "iframe": true, "h1": true, "div": true, "font": true, "table": true,
	"a": true, "style": true, "title": true, "b": true, "body": true, "br": true, "p": true, "img": true, "meta": true,
	"link": true, "form": true, "object": true, "embed": true, "base": true,
}

// textKind tells markup from other texts by its first element.
func textKind(s string) kind {
	s = strings.TrimLeft(s, " \t\r\n\f")
	if len(s) < 2 || s[0] != '<' {
		return kindText
	}
	if len(s) >= 14 && strings.EqualFold(s[:14], "<!doctype html") {
		return kindHTML
	}
	xml := strings.HasPrefix(s, "<?xml")
	lex := lexer{text: s}
	for lex.next() {
		if lex.token == tokenStart {
			switch name := strings.ToLower(local(lex.name)); {
			case name == "svg":
				return kindSVG
			case name == "html", htmlRoots[name] && !xml:
				return kindHTML
			default:
				return kindXML
			}
		}
	}
	if xml || lex.declares {
		return kindXML
	}
	return kindText
}
