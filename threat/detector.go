package threat

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// DetectorConfig configures a Detector.
type DetectorConfig struct {
	// Paranoia is how little it takes to call an input an attack, 1 to 3 as the levels
	// of the OWASP Core Rule Set; 0 means 1. A level lets the rules of its own and of
	// the lower levels speak (see Rules), and needs an anomaly score of 5, 4 or 3. Level 1 is
	// meant to run in front of real customers; 2 and 3 accept more false alarms.
	Paranoia int
}

// Detector recognises attacks in inputs. It is immutable and safe for concurrent use.
type Detector struct {
	paranoia  int
	threshold int
	pool      sync.Pool // of *inspection
}

// NewDetector returns a Detector. It fails only on a paranoia level out of range.
func NewDetector(c DetectorConfig) (*Detector, error) {
	if c.Paranoia == 0 {
		c.Paranoia = 1
	}
	if c.Paranoia < 1 || c.Paranoia > 3 {
		return nil, fmt.Errorf("paranoia level %d: must be 1, 2 or 3", c.Paranoia)
	}
	return &Detector{
		paranoia:  c.Paranoia,
		threshold: 6 - c.Paranoia,
		pool:      sync.Pool{New: func() any { return new(inspection) }},
	}, nil
}

// Input is one value of a request.
type Input struct {
	Name     string              // of the parameter, header or field
	Value    string              // after the one decoding that its place in HTTP asks for
	Location makerguard.Location // where it stands
	Kind     makerguard.Kind     // what it is meant to be; "" if unknown
	// Truncated says that Value is the beginning of something longer: JSON may end anywhere then.
	Truncated bool
}

// Inspect appends to dst what it finds in in.Value, at most one finding per class,
// and returns the extended slice; dst itself if the anomaly score stays under the
// threshold. The name is not inspected. It takes time linear in the value and does
// not allocate for ordinary text.
func (d *Detector) Inspect(dst []makerguard.Finding, in Input) []makerguard.Finding {
	return d.value(dst, in, false)
}

// value is Inspect for a value, or for the name of one.
func (d *Detector) value(dst []makerguard.Finding, in Input, key bool) []makerguard.Finding {
	m, plain := d.first(in.Value, key)
	if plain {
		return dst
	}
	return d.inspect(dst, in, m, key)
}

// first is the first pass over a value or the name of one. Most are plain: no voice has anything
// to say of them.
func (d *Detector) first(s string, key bool) (m marks, plain bool) {
	m = scan(s)
	if m&noticeable != 0 && (d.paranoia > 1 || !prose(m, len(s))) && (key || !measures(m, s)) {
		return m, false
	}
	return m, !unmarked(s) && !(key && strings.Contains(s, "__"))
}

// measures reports whether a text has nothing but the sizes of frames, "52[]18-145", and such:
// brackets between digits say nothing in any language, but for the "[[1-1]]" of templates.
func measures(m marks, s string) bool {
	if m != markBracket {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if lower[c] != 0 && !isDigit(c) || c >= utf8.RuneSelf || c == '[' && i+1 < len(s) && s[i+1] == '[' {
			return false
		}
	}
	return true
}

// inspect reads a value that is not plain, with the marks of its first pass.
func (d *Detector) inspect(dst []makerguard.Finding, in Input, m marks, key bool) []makerguard.Finding {
	x := d.pool.Get().(*inspection)
	x.text, x.marks, x.loc, x.kind, x.paranoia = in.Value, m, in.Location, in.Kind, d.paranoia
	x.views[0], x.name = in.Value, in.Name
	x.budget, x.effort = allowance(len(in.Value))
	if key {
		x.name = ""
		x.key(in.Value)
	}
	x.malformed()
	x.read(in.Value, m, 0)
	for layer := 1; layer <= maxLayers; layer++ {
		if !x.encoded() {
			break
		}
		text, changed := decode(x.text)
		if !changed {
			break
		}
		x.read(text, scan(text), layer)
	}
	dst = d.judge(dst, x, in.Name, "")
	x.reset()
	d.pool.Put(x)
	return dst
}

// encoded reports whether the view may hold something to decode. Typographic quotes are in every
// second text, but only code needs them straight; a plus sign stands for a space where commands may.
func (x *inspection) encoded() bool {
	return x.has(decodeGate) || x.has(markCurly) && x.has(markEqual|markLess) || x.has(markPlus) && x.has(markSemi|markPipe|markTick|markQuote)
}

// noticeable are the marks without one of which no voice has anything to say: the others,
// such as the percent sign of a discount, need one of these beside them.
const noticeable = ^(markHash | markBang | markPlus | markFold | markCurly | markPercent | markAt | markWideSign | markWideLetter)

// speak lets every voice read the view.
func (x *inspection) speak() {
	x.sqli()
	x.xss()
	x.nosql()
	x.command()
	x.code()
	x.traversal()
	x.network()
	x.template()
	x.ssi()
	x.ldap()
	x.xxe()
	x.crlf()
	x.jndi()
	x.proto()
	x.deserialization()
	if x.paranoia > 1 {
		x.suspect()
	}
}

// judge turns what the voices said into findings if it reaches the threshold.
func (d *Detector) judge(dst []makerguard.Finding, x *inspection, name, pointer string) []makerguard.Finding {
	if !x.spoken {
		return dst
	}
	score := 0
	for i := range x.found {
		if r := x.found[i].rule; r != nil {
			score += r.score
		}
	}
	if score < d.threshold {
		return dst
	}
	for i := range x.found {
		h := &x.found[i]
		if h.rule == nil {
			continue
		}
		fragment, start, end := x.evidence(h)
		dst = append(dst, makerguard.Finding{
			Type: voiceTypes[i], Severity: h.rule.severity, Rule: h.rule.id, Description: h.rule.why,
			Input: name + pointer, Location: x.loc, Evidence: fragment, Score: h.rule.score,
			Offset: start, Length: end - start,
		})
	}
	return dst
}
