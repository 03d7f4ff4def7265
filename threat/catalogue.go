package threat

import (
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat/upload"
)

// Rule describes one thing that a Detector can say of an input.
type Rule struct {
	ID          string                // stable, the class in front: "sqli.tautology"
	Type        makerguard.ThreatType // the class it belongs to
	Severity    makerguard.Severity
	Paranoia    int    // the lowest level at which it speaks, 1 to 3
	Score       int    // what it adds to the anomaly score; 5 is enough at every level
	Description string // why it matters, for a person
}

// Rules lists everything a Detector, and package upload about files, can say, sorted by ID. The
// slice is the caller's.
func Rules() []Rule {
	list := make([]Rule, 0, len(catalogue))
	for _, r := range catalogue {
		list = append(list, Rule{ID: r.id, Type: voiceTypes[r.voice], Severity: r.severity, Paranoia: r.paranoia, Score: r.score, Description: r.why})
	}
	for _, r := range upload.Rules() {
		list = append(list, Rule(r))
	}
	slices.SortFunc(list, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// catalogue holds every rule. Each stands beside the code that speaks it; a test holds
// this list to be complete.
var catalogue = []*rule{
	ruleSQLUnion, ruleSQLTautology, ruleSQLEscape, ruleSQLTruncate, ruleSQLStacked, ruleSQLSelect, ruleSQLFunction,
	ruleSQLSystem, ruleSQLOrder, ruleSQLDialect, ruleSQLCut, ruleSQLFlood, ruleSQLWeak, ruleSQLMention,
	ruleXSSScript, ruleXSSElement, ruleXSSEvent, ruleXSSURL, ruleXSSStyle, ruleXSSBreak, ruleXSSCode, ruleXSSPage, ruleXSSMarkup,
	ruleNoSQLOperator, ruleNoSQLWhere, ruleNoSQLEscape,
	ruleCommandChain, ruleCommandSubst, ruleCommandShell, ruleCommandShock, ruleCommandHidden, ruleCommandCall, ruleCommandLoop, ruleCommandSheet,
	ruleCodeTag, ruleCodeCall, ruleCodeVariable, ruleCodeClass, ruleCodeLoop, ruleCodeNode, ruleCodeQuery,
	ruleTraversalParent, ruleTraversalFile, ruleTraversalNUL, ruleTraversalStream, ruleTraversalWildcard, ruleTraversalNamed, ruleTraversalWeak,
	ruleInclusion, ruleRemote, ruleWrapper,
	ruleSSRFMetadata, ruleSSRFLocal, ruleSSRFScheme, ruleSSRFNumeric, ruleSSRFUserinfo, ruleSSRFDisguised,
	ruleTemplateExpression, ruleTemplateObject, ruleTemplateTag,
	ruleSSIDirective, ruleESI,
	ruleLDAPEscape, ruleLDAPFilter, ruleXPath,
	ruleXXEEntity, ruleXXEDoctype, ruleXXEInclude, ruleXMLNested,
	ruleCRLFHeader, ruleCRLFResponse, ruleCRLFEncoded, ruleCRLFBare,
	ruleJNDI, ruleJNDINested,
	ruleProtoKey, ruleProtoChain,
	ruleSerialJava, ruleSerialPHP, ruleSerialPython, ruleSerialNet, ruleSerialNode, ruleSerialType, ruleSerialYAML,
	ruleSQLComment, ruleSQLKeywords, ruleSQLQuote, ruleXSSTag, ruleNoSQLWord, ruleCommandWord, ruleCommandMark, ruleCodeMark, ruleRemoteLink,
	ruleSSRFHost, ruleTemplateMark, ruleLDAPMark, ruleXXEReference, ruleCRLFLine, ruleJNDIMark, ruleProtoWord, ruleSerialPacked,
	ruleMalformedNUL, ruleMalformedUTF8, ruleMalformedOverlong, ruleMalformedJSON, ruleMalformedKeys, ruleMalformedDepth, ruleMalformedFlood,
}
