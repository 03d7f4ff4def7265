package upload

import (
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
)

// Rule describes one thing that this package can say. It has the fields of threat.Rule.
type Rule struct {
	ID          string                // stable: "upload.svg.script"
	Type        makerguard.ThreatType // the class it belongs to
	Severity    makerguard.Severity
	Paranoia    int    // 1: they speak at every level
	Score       int    // what it adds to the anomaly score; 5 is enough at every level
	Description string // why it matters, for a person
}

// Rules lists everything Inspect and Parts can say, sorted by ID. The slice is the caller's.
func Rules() []Rule {
	list := make([]Rule, 0, len(catalogue))
	for _, r := range catalogue {
		list = append(list, Rule{ID: r.id, Type: r.class, Severity: r.severity, Paranoia: 1, Score: r.score, Description: r.why})
	}
	slices.SortFunc(list, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// rule is one thing to say.
type rule struct {
	id       string
	class    makerguard.ThreatType
	severity makerguard.Severity
	score    int
	why      string
}

// certain is the score that is enough at every paranoia level.
const certain = 5

// catalogue holds every rule. Each stands beside the code that speaks it; a test holds this list
// to be complete.
var catalogue = []*rule{
	ruleNamePath, ruleNameControl, ruleNameDevice, ruleNameConfig, ruleNameScript, ruleNameProgram,
	ruleMismatch, ruleMislabelled,
	ruleProgram, ruleScript, ruleHTML, ruleMarkup, rulePolyglot, ruleSerialized, rulePDF,
	rulePixels, ruleFrames, ruleMeasures, ruleImageText,
	ruleSVGScript, ruleSVGEvent, ruleSVGURL, ruleSVGForeign, ruleSVGExternal, ruleSVGStyle,
	ruleXMLEntity, ruleXMLDoctype, ruleXMLInclude, ruleXMLEncoding, ruleXMLDepth, ruleXMLObject,
	ruleZipBomb, ruleZipPath, ruleZipOverlap, ruleZipMalformed, ruleZipEncrypted, ruleZipNested, ruleZipProgram, ruleZipMacro,
	ruleGzipBomb,
	ruleFormBoundary, ruleFormHeader, ruleFormName, ruleFormEncoding, ruleFormNested, ruleFormLimits,
}
