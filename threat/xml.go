package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

var (
	ruleXXEEntity    = &rule{voiceXXE, "xxe.entity", makerguard.SeverityCritical, 1, 5, "An XML document type declares entities, by which a parser reads files or fetches URLs."}
	ruleXXEDoctype   = &rule{voiceXXE, "xxe.doctype", makerguard.SeverityHigh, 1, 5, "An XML document type refers to a foreign definition."}
	ruleXXEInclude   = &rule{voiceXXE, "xxe.include", makerguard.SeverityHigh, 1, 5, "XInclude or a style sheet makes an XML parser fetch another document."}
	ruleXMLNested    = &rule{voiceXXE, "xxe.payload", makerguard.SeverityMedium, 1, 5, "A spreadsheet, SVG or SOAP document with parts that fetch or run others."}
	ruleSSIDirective = &rule{voiceSSI, "ssi.directive", makerguard.SeverityHigh, 1, 5, "A server-side include would be run by the web server."}
	ruleESI          = &rule{voiceSSI, "ssi.edge", makerguard.SeverityHigh, 1, 5, "An edge-side include would be run by a cache."}
)

// xxe finds declarations of XML that make a parser reach out (CWE-611) or blow up (CWE-776).
func (x *inspection) xxe() {
	if !x.has(markLess) {
		return
	}
	s := x.text
	includes := strings.Contains(s, "XInclude\"")
	for i := 0; i < len(s) && !x.sure(voiceXXE); i++ {
		lt := strings.IndexByte(s[i:], '<')
		if lt < 0 {
			return
		}
		i += lt
		rest := s[i+1 : min(len(s), i+1024)]
		switch {
		case hasPrefixFold(rest, "!entity"), hasPrefixFold(rest, "!element"), hasPrefixFold(rest, "!attlist"), hasPrefixFold(rest, "!notation"):
			x.say(ruleXXEEntity, i, len(s))
		case hasPrefixFold(rest, "!doctype"):
			t := rest[len("!doctype"):]
			if end := strings.IndexAny(t, "<>"); end >= 0 {
				t = t[:end]
			}
			// <!DOCTYPE html PUBLIC "-//W3C//..."> is how pages began.
			if strings.IndexByte(t, '[') >= 0 || indexFold(t, "system") >= 0 || indexFold(t, "public") >= 0 && indexFold(t, "w3c") < 0 {
				x.say(ruleXXEDoctype, i, len(s))
			}
		case hasPrefixFold(rest, "xi:include"), hasPrefixFold(rest, "?xml-stylesheet"), hasPrefixFold(rest, "xsl:include"), hasPrefixFold(rest, "xsl:import"), hasPrefixFold(rest, "xsl:value-of select=\"system-property"), hasPrefixFold(rest, "xsl:value-of select=\"document("):
			x.say(ruleXXEInclude, i, len(s))
		case includes && strings.Contains(rest[:min(len(rest), 400)], "XInclude\"") && strings.Contains(rest, "href"):
			x.say(ruleXXEInclude, i, len(s))
		case hasPrefixFold(rest, "![cdata[<!doctype"), hasPrefixFold(rest, "java ") && strings.Contains(rest, "class="), hasPrefixFold(rest, "object-stream>"), hasPrefixFold(rest, "dynamic-proxy>"):
			x.say(ruleXMLNested, i, len(s))
		}
	}
}

// ssi finds <!--#exec cmd=...--> and <esi:include .../>.
func (x *inspection) ssi() {
	if !x.has(markLess) {
		return
	}
	s := x.text
	for i := 0; i < len(s) && !x.sure(voiceSSI); i++ {
		lt := strings.IndexByte(s[i:], '<')
		if lt < 0 {
			return
		}
		i += lt
		rest := s[i+1 : min(len(s), i+64)]
		switch {
		case strings.HasPrefix(rest, "!--") || strings.HasPrefix(rest, "!-"):
			t := strings.TrimLeft(rest[2:], "- \t\n")
			if !strings.HasPrefix(t, "#") {
				continue
			}
			for _, w := range [...]string{"exec", "include", "echo", "config", "printenv", "set", "fsize", "flastmod", "if", "email", "from", "goto"} {
				if hasPrefixFold(strings.TrimLeft(t[1:], " "), w) {
					x.say(ruleSSIDirective, i, len(s))
				}
			}
		case hasPrefixFold(rest, "esi:"):
			x.say(ruleESI, i, len(s))
		}
	}
}
