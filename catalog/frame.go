package catalog

import (
	"math"
	"strconv"
	"strings"
)

// measure is one length of the boxing system (ISO 8624) with its limits in millimetres:
// outside low to high it cannot be, outside usualLow to usualHigh it is unusual.
type measure struct {
	pointer, name       string
	low, high           float64
	usualLow, usualHigh float64
	tolerance           float64 // of what is marked against what is measured
}

// The limits are for eyewear of all sizes, children's included; the usual width is the
// range in MDCG 2025-8, which regulates frames by it. The tolerances are those of
// ISO 12870 as far as known, hence only warned about.
var (
	lensWidth = measure{"/frame/lens_width", "lens width", 30, 75, 40, 60, 0.5}
	bridge    = measure{"/frame/bridge", "distance between lenses", 8, 35, 12, 26, 0.5}
	side      = measure{"/frame/side", "side length", 80, 180, 120, 160, 2}
)

// parseFrameSize reads a size as it is marked on a frame: "52□18 140", "48,5[]20-135". It is
// three numbers of at most two decimals, parted by what frames are marked with.
func parseFrameSize(s string) (a, dbl, sideLength float64, ok bool) {
	s = capitals(s) // so the letter x is a capital
	if a, s, ok = millimetres(s); !ok {
		return 0, 0, 0, false
	}
	if s, ok = sizeSeparator(s); !ok {
		return 0, 0, 0, false
	}
	if dbl, s, ok = millimetres(s); !ok {
		return 0, 0, 0, false
	}
	if s, ok = sizeSeparator(s); !ok {
		return 0, 0, 0, false
	}
	sideLength, s, ok = millimetres(s)
	return a, dbl, sideLength, ok && s == ""
}

// millimetres cuts a number of one to three digits, with one or two decimals behind a dot
// or comma, off s.
func millimetres(s string) (v float64, rest string, ok bool) {
	whole := digitsAt(s, 3)
	if whole == 0 {
		return 0, s, false
	}
	v, s = float64(number(s[:whole])), s[whole:]
	if len(s) < 2 || s[0] != '.' && s[0] != ',' {
		return v, s, true
	}
	switch digitsAt(s[1:], 2) {
	case 1:
		return (v*10 + float64(digit(s, 1))) / 10, s[2:], true
	case 2:
		return (v*100 + float64(number(s[1:3]))) / 100, s[3:], true
	}
	return v, s, true
}

// digitsAt counts the digits that s begins with, up to most.
func digitsAt(s string, most int) int {
	n := 0
	for n < len(s) && n < most && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// sizeSeparators part the numbers of a size: the box, which fonts and keyboards have in many
// forms, two brackets for it, a dash, a slash, an x, the sign of multiplication or a space.
var sizeSeparators = [...]string{" ", "□", "⎕", "▢", "▯", "◻", "◽", "☐", "⬜", "[]", "[ ]", "-", "/", "X", "×"}

// sizeSeparator cuts one or more separators off s.
func sizeSeparator(s string) (rest string, ok bool) {
	for start := len(s); ; {
		n := 0
		for _, sep := range sizeSeparators {
			if strings.HasPrefix(s, sep) {
				n = len(sep)
				break
			}
		}
		if n == 0 {
			return s, len(s) < start
		}
		s = s[n:]
	}
}

func (r *Report) frame(f *Frame) {
	if f == nil {
		return
	}
	r.oneOf("/frame/construction", "frame.construction", f.Construction, "full_rim", "half_rim", "rimless", "other")
	r.oneOf("/frame/material", "frame.material", f.Material, "metal", "plastic", "combination", "other")
	if f.Size != nil {
		const at = "/frame/size"
		a, dbl, sideLength, ok := parseFrameSize(*f.Size)
		if !ok {
			r.errorf(at, "frame.size", "", "a frame's size is lens width, distance between lenses and side length in millimetres, as 52□18 140")
		} else {
			r.measured(at, lensWidth, a)
			r.measured(at, bridge, dbl)
			r.measured(at, side, sideLength)
			r.marked(lensWidth, a, f.LensWidth)
			r.marked(bridge, dbl, f.Bridge)
			r.marked(side, sideLength, f.Side)
		}
	}
	for _, m := range [...]struct {
		measure
		value *float64
	}{{lensWidth, f.LensWidth}, {bridge, f.Bridge}, {side, f.Side}} {
		if m.value != nil {
			r.measured(m.pointer, m.measure, *m.value)
		}
	}
	r.cross(f)
}

// frontExtra is how much wider than its lenses and bridge a front is at most, in millimetres.
const frontExtra = 30

// cross checks the measures that follow from one another.
func (r *Report) cross(f *Frame) {
	for _, m := range [...]struct {
		at    string
		value *float64
	}{
		{"/frame/lens_height", f.LensHeight},
		{"/frame/effective_diameter", f.EffectiveDiameter},
		{"/frame/pd", f.PD},
		{"/frame/front_width", f.FrontWidth},
	} {
		if m.value != nil && (!(*m.value > 0) || math.IsInf(*m.value, 0)) {
			r.errorf(m.at, "frame.size", "", "a length is more than 0 mm")
		}
	}
	if f.LensHeight == nil && f.EffectiveDiameter == nil && f.PD == nil && f.FrontWidth == nil {
		return
	}
	const rule = "frame.cross"
	a, known := f.width()
	dbl, knownToo := f.between()
	if b := f.LensHeight; known && b != nil && *b > a {
		r.warnf("/frame/lens_height", rule, "", "a lens is seldom higher than it is wide")
	}
	if ed := f.EffectiveDiameter; known && ed != nil && *ed < max(a, value(f.LensHeight)) {
		r.warnf("/frame/effective_diameter", rule, "", "the effective diameter is at least the lens's width and height")
	}
	if !known || !knownToo {
		return
	}
	if pd := f.PD; pd != nil && math.Abs(*pd-(a+dbl)) > lensWidth.tolerance+bridge.tolerance {
		r.warnf("/frame/pd", rule, strconv.FormatFloat(a+dbl, 'f', -1, 64), "the frame's PD is lens width and distance between lenses together")
	}
	if w, least := f.FrontWidth, 2*a+dbl; w != nil && !(*w >= least && *w <= least+frontExtra) {
		r.warnf("/frame/front_width", rule, "", "the front is as wide as both lenses and the bridge, and up to %d mm more", frontExtra)
	}
}

// width is the lens width A, from its own member or else from the size.
func (f *Frame) width() (float64, bool) {
	if f == nil {
		return 0, false
	}
	if f.LensWidth != nil {
		return *f.LensWidth, true
	}
	if f.Size != nil {
		a, _, _, ok := parseFrameSize(*f.Size)
		return a, ok
	}
	return 0, false
}

// between is the distance between lenses, from its own member or else from the size.
func (f *Frame) between() (float64, bool) {
	if f.Bridge != nil {
		return *f.Bridge, true
	}
	if f.Size != nil {
		_, dbl, _, ok := parseFrameSize(*f.Size)
		return dbl, ok
	}
	return 0, false
}

func (r *Report) measured(at string, m measure, v float64) {
	switch {
	case !(v >= m.low && v <= m.high):
		r.errorf(at, "frame.size", "", "the %s must be %v to %v mm", m.name, m.low, m.high)
	case v < m.usualLow || v > m.usualHigh:
		r.warnf(at, "frame.size", "", "the %s is unusual: most are %v to %v mm", m.name, m.usualLow, m.usualHigh)
	}
}

// marked compares what the size says with what was measured.
func (r *Report) marked(m measure, marked float64, measured *float64) {
	if measured != nil && math.Abs(marked-*measured) > m.tolerance {
		r.warnf(m.pointer, "frame.cross", strconv.FormatFloat(marked, 'f', -1, 64),
			"the %s differs from the size marked by more than %v mm", m.name, m.tolerance)
	}
}

// oneOf checks that a member is one of a few words; capitals and dashes do not matter.
func (r *Report) oneOf(at, rule string, v *string, words ...string) {
	if v == nil {
		return
	}
	s := word(*v)
	for _, w := range words {
		if s == w {
			return
		}
	}
	r.errorf(at, rule, strings.Join(words, ", "), "the value is not one of the words that are known")
}
