package catalog

import (
	"math"
	"strconv"
	"strings"
)

// categoryOf gives the filter category of a luminous transmittance in percent
// (ISO 12312-1): each category reaches up to its bound, which belongs to it. Lenses of
// 3 % and less are in none.
func categoryOf(tauV float64) (category int, ok bool) {
	switch {
	case !(tauV > 3 && tauV <= 100):
		return 0, false
	case tauV <= 8:
		return 4, true
	case tauV <= 18:
		return 3, true
	case tauV <= 43:
		return 2, true
	case tauV <= 80:
		return 1, true
	}
	return 0, true
}

func (r *Report) lens(l *Lens, description *string) {
	if l == nil {
		return
	}
	const rule = "sun.category"
	category := -1
	if c := l.Category; c != nil {
		if !(*c >= 0 && *c <= 4) || *c != math.Trunc(*c) {
			r.errorf("/lens/category", rule, "", "a filter category is 0, 1, 2, 3 or 4")
		} else {
			category = int(*c)
		}
	}
	if l.TauV != nil {
		want, ok := categoryOf(*l.TauV)
		switch {
		case !ok:
			r.errorf("/lens/tau_v", rule, "", "a luminous transmittance is more than 3 and at most 100 percent")
		case category >= 0 && category != want:
			r.errorf("/lens/category", rule, strconv.Itoa(want), "the category does not fit the luminous transmittance")
		}
	}
	if category == 4 && (description == nil || !strings.Contains(strings.ToLower(*description), "driving")) {
		r.warnf("/description", rule, "", "lenses of category 4 are not suitable for driving, and the product must say so")
	}
}

// Limits of a prescription, in dioptres.
const (
	maxSphere   = 30
	maxCylinder = 10
	minAdd      = 0.25
	maxAdd      = 4
)

func (r *Report) rx(x *Rx) {
	if x == nil {
		return
	}
	const rule = "rx"
	if x.Sphere != nil && !(math.Abs(*x.Sphere) <= maxSphere) {
		r.errorf("/rx/sphere", rule, "", "a sphere is -%d to +%d dioptres", maxSphere, maxSphere)
	} else {
		r.step("/rx/sphere", x.Sphere)
	}
	if x.Cylinder != nil && !(math.Abs(*x.Cylinder) <= maxCylinder) {
		r.errorf("/rx/cylinder", rule, "", "a cylinder is -%d to +%d dioptres", maxCylinder, maxCylinder)
	} else {
		r.step("/rx/cylinder", x.Cylinder)
	}
	if x.Add != nil && !(*x.Add >= minAdd && *x.Add <= maxAdd) {
		r.errorf("/rx/add", rule, "", "an addition is +%v to +%v dioptres", minAdd, float64(maxAdd))
	} else {
		r.step("/rx/add", x.Add)
	}
	astigmatic := x.Cylinder != nil && *x.Cylinder != 0
	switch {
	case astigmatic && x.Axis == nil:
		r.errorf("/rx/axis", rule, "", "a cylinder needs an axis")
	case !astigmatic && x.Axis != nil:
		r.errorf("/rx/axis", rule, "", "an axis needs a cylinder other than 0")
	case x.Axis != nil && (!(*x.Axis >= 0 && *x.Axis <= 180) || *x.Axis != math.Trunc(*x.Axis)):
		r.errorf("/rx/axis", rule, "", "an axis is a whole number of degrees from 1 to 180")
	case x.Axis != nil && *x.Axis == 0:
		r.warnf("/rx/axis", rule, "180", "an axis of 0 is written 180")
	}
}

// step checks that a power is in steps of a quarter dioptre. Eighths, often cut to two
// decimals (0.12, 0.37), are made but unusual.
func (r *Report) step(at string, v *float64) {
	if v == nil {
		return
	}
	const rule = "rx"
	quarter := math.Round(*v*4) / 4
	if math.Abs(*v-quarter) < 1e-9 {
		return
	}
	eighth := math.Trunc(*v*8+math.Copysign(0.05, *v)) / 8
	if diff := math.Abs(*v) - math.Abs(eighth); math.Abs(diff) < 1e-9 || math.Abs(diff+0.005) < 1e-9 {
		r.warnf(at, rule, "", "eighths of a dioptre are unusual")
		return
	}
	r.errorf(at, rule, strconv.FormatFloat(quarter, 'f', 2, 64), "powers are in steps of 0.25 dioptres")
}

// Powers of ready-made reading spectacles that fall under Master UDI-DI (MDCG 2025-8).
const (
	minReader = 1
	maxReader = 3.5
)

// readers checks what reading spectacles must say to be identified.
func (r *Report) readers(p Product, productType string) {
	if productType != TypeReaders || p.Rx == nil || p.Rx.Sphere == nil {
		return
	}
	const rule = "readers"
	if s := *p.Rx.Sphere; s < minReader || s > maxReader {
		r.warnf("/rx/sphere", rule, "", "ready-made readers have +%.2f to +%.2f dioptres; others are made to prescription", float64(minReader), maxReader)
		return
	}
	if _, ok := p.Frame.width(); !ok {
		r.errorf("/frame/lens_width", rule, "", "readers must tell their lens width")
	}
	if p.Frame == nil || p.Frame.Construction == nil {
		r.errorf("/frame/construction", rule, "", "readers must tell their frame's construction")
	}
	if p.Frame == nil || p.Frame.Material == nil {
		r.errorf("/frame/material", rule, "", "readers must tell their frame's material")
	}
}
