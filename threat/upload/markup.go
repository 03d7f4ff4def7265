package upload

import (
	"html"
	"regexp"
	"strings"

	"github.com/makerguard/makerguard"
)

// What makes the reader of an XML document reach out or blow up (CWE-611, CWE-776).
var (
	ruleXMLEntity   = &rule{"upload.xml.entity", makerguard.XXE, makerguard.SeverityCritical, certain, "The document type declares entities, by which a parser reads files, fetches URLs or fills its memory."}
	ruleXMLDoctype  = &rule{"upload.xml.doctype", makerguard.XXE, makerguard.SeverityHigh, certain, "The document type has parts of its own or refers to a foreign definition."}
	ruleXMLInclude  = &rule{"upload.xml.include", makerguard.XXE, makerguard.SeverityHigh, certain, "A style sheet, XInclude or a schema makes the reader fetch or run another document."}
	ruleXMLEncoding = &rule{"upload.xml.encoding", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "The document says that it is in an encoding that is used to hide markup from filters."}
	ruleXMLDepth    = &rule{"upload.xml.depth", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "Elements nested deeper than 256 levels, to exhaust their reader."}
	ruleXMLObject   = &rule{"upload.xml.object", makerguard.Deserialization, makerguard.SeverityCritical, certain, "A document that some readers turn into objects and calls of methods."}
)

// maxDepth is how deep elements may be nested. Drawing programs nest a dozen groups.
const maxDepth = 256

// markup inspects an XML document, given as UTF-8.
func (x *inspection) markup(s string) {
	m := markup{x: x, lexer: lexer{text: s}, drawing: x.kind == kindSVG}
	for m.next() {
		switch m.token {
		case tokenStart:
			m.element()
			if m.depth++; m.depth > maxDepth {
				m.say(ruleXMLDepth)
			}
			if m.closed {
				m.leave(m.name)
			}
		case tokenEnd:
			m.leave(m.name)
		case tokenText:
			if m.styling {
				m.style.WriteString(html.UnescapeString(m.data))
			}
		case tokenCDATA:
			if m.styling {
				m.style.WriteString(m.data)
			}
		case tokenInstruction:
			m.instruction()
		case tokenDoctype:
			m.doctypes()
		case tokenComment:
		}
	}
	m.leave("style")
}

// markup is the work on one document.
type markup struct {
	lexer
	x       *inspection
	depth   int
	drawing bool            // browsers show it: what runs there counts
	styling bool            // within a style element
	style   strings.Builder // its text, whatever comments stand in it
}

// say notes r with the token as evidence.
func (m *markup) say(r *rule) { m.x.tell(r, m.text[m.start:min(m.pos, m.start+maxEvidence)]) }

// leave ends an element.
func (m *markup) leave(name string) {
	m.depth--
	if m.styling && strings.EqualFold(local(name), "style") {
		m.css(m.style.String())
		m.style.Reset()
		m.styling = false
	}
}

// element inspects a start tag.
func (m *markup) element() {
	prefix, _, _ := strings.Cut(m.name, ":")
	name := strings.ToLower(local(m.name))
	switch {
	case name == "include" && prefix != m.name && m.names("href"), // xi:include and xsl:include
		name == "import" && prefix != m.name && m.names("href"):
		m.say(ruleXMLInclude)
	case name == "java" && m.x.kind == kindXML, name == "object-stream", name == "dynamic-proxy", name == "objectdataprovider":
		m.say(ruleXMLObject)
	}
	m.svg(name)
}

// names reports whether the element has an attribute of a local name.
func (m *markup) names(name string) bool {
	for _, a := range m.attrs {
		if strings.EqualFold(local(a.name), name) {
			return true
		}
	}
	return false
}

// encodings are those that agree with ASCII where markup is concerned, and UTF-16, which is read.
var encodings = []string{"utf-8", "utf8", "us-ascii", "ascii", "utf-16", "iso-8859-", "windows-125", "latin1", "macintosh", "gb18030", "gbk", "gb2312", "big5", "shift_jis", "euc-", "koi8-"}

func (m *markup) instruction() {
	target, rest, _ := strings.Cut(m.data, " ")
	switch strings.ToLower(strings.TrimSpace(target)) {
	case "xml-stylesheet":
		m.say(ruleXMLInclude)
	case "xml":
		_, after, found := strings.Cut(rest, "encoding")
		after = strings.ToLower(strings.TrimLeft(after, " \t\r\n=\"'"))
		if found && after != "" && !hasPrefix(after, encodings) {
			m.say(ruleXMLEncoding)
		}
	}
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// harmless is the declaration that drawing programs write: the W3C's own, without a part of the
// document's.
var harmless = regexp.MustCompile(`^<!doctype\s+(?:svg|html)(?:\s+public\s+["']-//w3c//dtd [^"'<>]*["']\s+["']https?://www\.w3\.org/[^"'<>]*["'])?\s*>$`)

func (m *markup) doctypes() {
	switch d := strings.ToLower(m.data); {
	case strings.Contains(d, "<!entity"):
		m.say(ruleXMLEntity)
	case strings.HasPrefix(d, "<!doctype") && strings.Count(d, "<") == 1 && !strings.ContainsAny(d, `["'`): // only a name
	case !harmless.MatchString(d):
		m.say(ruleXMLDoctype)
	}
}
