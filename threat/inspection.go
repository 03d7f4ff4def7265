package threat

import (
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// voice is one class of attack; voices index what an inspection found.
type voice uint8

const (
	voiceSQL voice = iota
	voiceXSS
	voiceNoSQL
	voiceCommand
	voiceCode
	voiceTraversal
	voiceInclusion
	voiceSSRF
	voiceTemplate
	voiceSSI
	voiceLDAP
	voiceXXE
	voiceCRLF
	voiceJNDI
	voiceProto
	voiceDeserialization
	voiceMalformed
	voices
)

var voiceTypes = [voices]makerguard.ThreatType{
	makerguard.SQLInjection, makerguard.XSS, makerguard.NoSQLInjection, makerguard.CommandInjection,
	makerguard.CodeInjection, makerguard.PathTraversal, makerguard.FileInclusion, makerguard.SSRF,
	makerguard.TemplateInjection, makerguard.SSIInjection, makerguard.LDAPInjection, makerguard.XXE,
	makerguard.CRLFInjection, makerguard.JNDILookup, makerguard.PrototypePollute, makerguard.Deserialization,
	makerguard.MalformedInput,
}

// rule is one thing a voice can say.
type rule struct {
	voice    voice
	id       string // stable
	severity makerguard.Severity
	paranoia int    // the level from which on it speaks, 1 to 3
	score    int    // what it adds to the anomaly score: 5 speaks alone at every paranoia level
	why      string // for a person
}

// hit is the strongest thing a voice said.
type hit struct {
	rule       *rule
	layer      int // of decoding, at which it was said
	start, end int // the fragment, in the view of that layer
}

// inspection is the work on one input: the view being read and what was found so far.
type inspection struct {
	text     string // the view being read
	marks    marks
	layer    int // how many encodings were undone to get text
	views    [maxLayers + 1]string
	ways     [maxLayers + 1]segments // back from each layer to the one before it; made when asked for
	name     string                  // of the value; "" if it is a name itself
	loc      makerguard.Location
	kind     makerguard.Kind
	paranoia int

	spoken bool // found holds something
	found  [voices]hit
	points []point // of text
	budget int     // bytes of lookahead that are left to the lexer of SQL, see sqlLexer
	effort int     // and to all other voices together, see spend

	wordStart int       // where the word of a shell that was read last begins
	word      shellWord // that word
	memo      sqlMemo
	sql       sqlJudge // kept here so that it costs no allocation
}

// allowance returns how many bytes of lookahead a value of n bytes is worth, in all its layers
// together: to the lexer of SQL and to the other voices. Ordinary texts take less than their length.
func allowance(n int) (sql, others int) { return 24*n + 16384, 8*n + 8192 }

// reset makes x ready for another value. Values vary and rarely hold anything, so only what was
// used is cleared.
func (x *inspection) reset() {
	if x.spoken {
		x.found = [voices]hit{}
	}
	x.spoken, x.text, x.name, x.layer, x.sql.text = false, "", "", 0, ""
	x.views, x.ways = [maxLayers + 1]string{}, [maxLayers + 1]segments{}
}

// say notes that r holds for text[start:end]. Of rules that are equally sure the one said
// first stands, but what is said of the decoded text is easier to understand.
func (x *inspection) say(r *rule, start, end int) {
	if r.paranoia > x.paranoia {
		return
	}
	x.spoken = true
	h := &x.found[r.voice]
	if h.rule != nil && (h.rule.score > r.score || h.rule.score == r.score && h.layer == x.layer) {
		return
	}
	for start > 0 && start < len(x.text) && !utf8.RuneStart(x.text[start]) {
		start--
	}
	*h = hit{r, x.layer, start, min(end, len(x.text), start+maxEvidence)}
}

// evidence returns the fragment a hit stands for, and where it is in the text of layer 0.
func (x *inspection) evidence(h *hit) (fragment string, start, end int) {
	fragment = clean(x.views[h.layer][h.start:h.end], maxEvidence)
	start, end = h.start, h.end
	for layer := h.layer; layer > 0; layer-- {
		if x.ways[layer] == nil {
			x.ways[layer] = decoded(x.views[layer-1])
		}
		start, end = x.ways[layer].source(start, end)
	}
	return fragment, start, end
}

// sure reports whether v has said something of this view that needs nothing added.
func (x *inspection) sure(v voice) bool {
	h := &x.found[v]
	return x.spoken && h.rule != nil && h.rule.score >= certain && h.layer == x.layer
}

// read makes text the view to be read and lets all voices read it.
func (x *inspection) read(text string, m marks, layer int) {
	x.text, x.marks, x.layer = text, m, layer
	x.views[layer] = text
	x.wordStart = -1
	x.points = index(x.points[:0], text)
	x.speak()
}

// lookPrice is what it costs to look at a place in depth, in bytes of lookahead.
const lookPrice = 32

// spend takes n bytes of lookahead from what the value is worth, and reports whether anything is
// left. A value that asks for more is packed with syntax, which is a finding: nobody hides an attack in
// noise that is too expensive to be read.
func (x *inspection) spend(n int) bool {
	x.effort -= n
	if x.effort > 0 {
		return true
	}
	x.say(ruleMalformedFlood, 0, len(x.text))
	return false
}

// has reports whether the view holds any of m.
func (x *inspection) has(m marks) bool { return x.marks&m != 0 }
