package catalog

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// measure is one length of the boxing system (ISO 8624) with its limits in millimetres:
// outside low to high it cannot be, outside usualLow to usualHigh it is unusual.
type measure struct {
	member, name        string
	low, high           float64
	usualLow, usualHigh float64
	tolerance           float64 // of what is marked against what is measured
}

// The limits are for eyewear of all sizes, children's included; the usual width is the
// range in MDCG 2025-8, which regulates frames by it. The tolerances are those of
// ISO 12870 as far as known, hence only warned about.
var (
	lensWidth = measure{"lens_width", "lens width", 30, 75, 40, 60, 0.5}
	bridge    = measure{"bridge", "distance between lenses", 8, 35, 12, 26, 0.5}
	side      = measure{"side", "side length", 80, 180, 120, 160, 2}
)

// frameSize is three numbers of at most two decimals, parted by what frames are marked
// with. The letter x is a capital here, since the value is normalised.
var frameSize = func() *regexp.Regexp {
	const number, separator = `(\d{1,3}(?:[.,]\d{1,2})?)`, `(?: |□|\[ ?\]|[-/X×])+`
	return regexp.MustCompile(`^` + number + separator + number + separator + number + `$`)
}()

// parseFrameSize reads a size as it is marked on a frame: "52□18 140", "48,5[]20-135".
func parseFrameSize(s string) (a, dbl, sideLength float64, ok bool) {
	m := frameSize.FindStringSubmatch(capitals(s))
	if m == nil {
		return 0, 0, 0, false
	}
	var v [3]float64
	for i, digits := range m[1:] {
		// The pattern leaves nothing that ParseFloat could refuse.
		v[i], _ = strconv.ParseFloat(strings.Replace(digits, ",", ".", 1), 64)
	}
	return v[0], v[1], v[2], true
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
	for _, m := range []struct {
		measure
		value *float64
	}{{lensWidth, f.LensWidth}, {bridge, f.Bridge}, {side, f.Side}} {
		if m.value != nil {
			r.measured("/frame/"+m.member, m.measure, *m.value)
		}
	}
	if b := f.LensHeight; b != nil {
		const at = "/frame/lens_height"
		width, known := f.width()
		switch {
		case !(*b > 0) || math.IsInf(*b, 0):
			r.errorf(at, "frame.size", "", "a lens height is more than 0 mm")
		case known && *b > width:
			r.warnf(at, "frame.cross", "", "a lens is seldom higher than it is wide")
		}
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
		r.warnf("/frame/"+m.member, "frame.cross", strconv.FormatFloat(marked, 'f', -1, 64),
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

func word(s string) string { return strings.ReplaceAll(strings.ToLower(normal(s)), "-", "_") }
