package threat

import (
	"hash/maphash"
	"strconv"
	"strings"
	"sync"

	"github.com/makerguard/makerguard"
)

// maxDepth is how deep JSON may be nested.
const maxDepth = 32

// InspectJSON inspects all keys and string values of a JSON text of any shape. Findings carry
// in.Name with the JSON pointer (RFC 6901) of the value behind it. What no strict parser
// takes (broken syntax unless in.Truncated, duplicate keys, nesting over 32, invalid UTF-8) is a
// malformed_input finding, and what could not be parsed is inspected as text. The kind counts
// for nothing.
func (d *Detector) InspectJSON(dst []makerguard.Finding, in Input) []makerguard.Finding {
	w := jsonWalks.Get().(*jsonWalk)
	w.d, w.dst, w.name, w.loc, w.text, w.cut = d, dst, in.Name, in.Location, in.Value, in.Truncated
	w.skip()
	if w.value() {
		if w.skip(); w.pos < len(w.text) {
			w.broken(ruleMalformedJSON)
		}
	}
	dst = w.dst
	w.release()
	return dst
}

// jsonWalks are walks that nobody is on, empty but for the room for keys, which has a bound: so
// many keys of so many open objects.
var jsonWalks = sync.Pool{New: func() any { return &jsonWalk{keys: make([]uint64, 0, manyKeys)} }}

// jsonSeed makes key hashes unpredictable, so that nobody can make keys collide.
var jsonSeed = maphash.MakeSeed()

// jsonWalk reads one JSON text.
type jsonWalk struct {
	d    *Detector
	dst  []makerguard.Finding
	name string
	loc  makerguard.Location
	text string
	cut  bool // text is the beginning of a longer one
	pos  int

	path  [maxDepth]step // where the value being read stands
	depth int
	keys  []uint64            // hashes of the keys of all open objects, the innermost last
	many  map[uint64]struct{} // hashes of (object, key) of objects with many keys
	seen  bool                // a duplicate was reported
}

// release leaves the walk empty to the next one.
func (w *jsonWalk) release() {
	clear(w.path[:w.depth])
	w.d, w.dst, w.name, w.text, w.many = nil, nil, "", "", nil
	w.pos, w.depth, w.keys, w.seen = 0, 0, w.keys[:0], false
	jsonWalks.Put(w)
}

// step is one step of a JSON pointer.
type step struct {
	key   string
	index int // of an array's element; -1 for an object's member
}

// manyKeys is how many keys of one object are compared one by one.
const manyKeys = 32

// broken reports what is wrong at the place reached and inspects the rest as text.
func (w *jsonWalk) broken(r *rule) bool {
	if r != ruleMalformedJSON || !w.cut {
		w.report(r, w.pos, len(w.text))
	}
	before := len(w.dst)
	w.dst = w.d.Inspect(w.dst, Input{Name: w.name, Value: w.text[w.pos:], Location: w.loc})
	for i := before; i < len(w.dst); i++ {
		w.dst[i].Offset += w.pos
	}
	w.pos = len(w.text)
	return false
}

func (w *jsonWalk) skip() {
	text, i := w.text, w.pos
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	w.pos = i
}

// value reads one value and reports whether reading can go on.
func (w *jsonWalk) value() bool {
	if w.pos >= len(w.text) {
		return w.broken(ruleMalformedJSON)
	}
	switch c := w.text[w.pos]; {
	case c == '{':
		return w.object()
	case c == '[':
		return w.array()
	case c == '"':
		start := w.pos + 1
		s, ok := w.string()
		if !ok {
			return w.broken(ruleMalformedJSON)
		}
		w.inspect(s, start, false)
		if w.depth > 0 && w.path[w.depth-1].index < 0 && polymorphic(w.path[w.depth-1].key, s) {
			w.report(ruleSerialType, start, w.pos-1)
		}
		return true
	case c == '-' || isDigit(c):
		return w.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(w.text[w.pos:], word) {
			w.pos += len(word)
			return true
		}
	}
	return w.broken(ruleMalformedJSON)
}

func (w *jsonWalk) number() bool {
	s, i := w.text, w.pos
	if s[i] == '-' {
		i++
	}
	digits := func() bool {
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		return i > start
	}
	zero := i < len(s) && s[i] == '0'
	start := i
	if !digits() || zero && i > start+1 {
		return w.broken(ruleMalformedJSON)
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return w.broken(ruleMalformedJSON)
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return w.broken(ruleMalformedJSON)
		}
	}
	w.pos = i
	return true
}

// enter opens a container and reports whether it may be nested that deep.
func (w *jsonWalk) enter() bool {
	if w.depth == maxDepth {
		return w.broken(ruleMalformedDepth)
	}
	w.depth++
	w.pos++
	w.skip()
	return true
}

func (w *jsonWalk) array() bool {
	if !w.enter() {
		return false
	}
	at := &w.path[w.depth-1]
	*at = step{}
	if w.pos < len(w.text) && w.text[w.pos] == ']' {
		return w.leave()
	}
	for {
		if !w.value() {
			return false
		}
		w.skip()
		switch w.peek() {
		case ',':
			w.pos++
			w.skip()
			at.index++
		case ']':
			return w.leave()
		default:
			return w.broken(ruleMalformedJSON)
		}
	}
}

func (w *jsonWalk) object() bool {
	opened := w.pos
	if !w.enter() {
		return false
	}
	at := &w.path[w.depth-1]
	*at = step{index: -1}
	first := len(w.keys)
	defer func() { w.keys = w.keys[:first] }()
	if w.peek() == '}' {
		return w.leave()
	}
	for {
		if w.peek() != '"' {
			return w.broken(ruleMalformedJSON)
		}
		start := w.pos + 1
		key, ok := w.string()
		if !ok {
			return w.broken(ruleMalformedJSON)
		}
		at.key = key
		w.unique(key, start, opened, first)
		w.inspect(key, start, true)
		if key == "prototype" && w.depth > 1 && w.path[w.depth-2].key == "constructor" {
			w.report(ruleProtoChain, start, w.pos-1)
		}
		if w.skip(); w.peek() != ':' {
			return w.broken(ruleMalformedJSON)
		}
		w.pos++
		w.skip()
		if !w.value() {
			return false
		}
		w.skip()
		switch w.peek() {
		case ',':
			w.pos++
			w.skip()
		case '}':
			return w.leave()
		default:
			return w.broken(ruleMalformedJSON)
		}
	}
}

func (w *jsonWalk) leave() bool {
	w.depth--
	w.path[w.depth] = step{}
	w.pos++
	return true
}

// peek gives the byte at the place reached, 0 behind the end.
func (w *jsonWalk) peek() byte {
	if w.pos < len(w.text) {
		return w.text[w.pos]
	}
	return 0
}

// unique reports a key that the object opened at the given place already has; its keys
// start at first.
func (w *jsonWalk) unique(key string, start, opened, first int) {
	h := maphash.String(jsonSeed, key)
	duplicate := false
	if len(w.keys)-first < manyKeys {
		for _, k := range w.keys[first:] {
			duplicate = duplicate || k == h
		}
		w.keys = append(w.keys, h)
	} else {
		// Beyond that a table keeps the work linear. The object's place makes its keys its own.
		if w.many == nil {
			w.many = map[uint64]struct{}{}
		}
		own := func(h uint64) uint64 { return h ^ uint64(opened+1)*0x9E3779B97F4A7C15 }
		for _, k := range w.keys[first:] {
			duplicate = duplicate || k == h
		}
		_, found := w.many[own(h)]
		duplicate = duplicate || found
		w.many[own(h)] = struct{}{}
	}
	if duplicate && !w.seen {
		w.seen = true
		w.report(ruleMalformedKeys, start, w.pos-1)
	}
}

// report says what is wrong with the text from start on. Of what nobody could parse the
// evidence is where that begins.
func (w *jsonWalk) report(r *rule, start, end int) {
	x := inspection{text: w.text[start:end], loc: w.loc, paranoia: w.d.paranoia}
	x.views[0] = x.text
	x.say(r, 0, len(x.text))
	before := len(w.dst)
	w.dst = w.d.judge(w.dst, &x, w.name, w.pointer())
	for i := before; i < len(w.dst); i++ {
		w.dst[i].Offset += start
	}
}

// inspect lets the voices read a string that begins behind the quote at start.
func (w *jsonWalk) inspect(s string, start int, key bool) {
	m, plain := w.d.first(s, key)
	if plain {
		return
	}
	before := len(w.dst)
	w.dst = w.d.inspect(w.dst, Input{Name: w.name, Value: s, Location: w.loc}, m, key)
	if len(w.dst) == before {
		return
	}
	way := unescaped(w.text[start:w.pos])
	pointer := w.pointer()
	for i := before; i < len(w.dst); i++ {
		f := &w.dst[i]
		from, to := way.source(f.Offset, f.Offset+f.Length)
		f.Input += pointer
		f.Offset, f.Length = start+from, to-from
	}
}

// pointer gives the JSON pointer of the value being read.
func (w *jsonWalk) pointer() string {
	var b strings.Builder
	for _, s := range w.path[:w.depth] {
		b.WriteByte('/')
		if s.index >= 0 {
			b.WriteString(strconv.Itoa(s.index))
			continue
		}
		b.WriteString(pointerEscape.Replace(s.key))
	}
	return b.String()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
