package catalog

import (
	"math"
	"strconv"
)

// Rx is the power of a lens: dioptres for sphere, cylinder and addition, degrees for the
// axis of the cylinder, prism dioptres for the prism.
type Rx struct {
	Sphere   *float64 `json:"sphere,omitempty"`
	Cylinder *float64 `json:"cylinder,omitempty"`
	Axis     *float64 `json:"axis,omitempty"`
	Add      *float64 `json:"add,omitempty"`
	Prism    *float64 `json:"prism,omitempty"`
	Base     *string  `json:"base,omitempty" maxLength:"1000"` // of the prism: in, out, up, down or degrees from 0 to 360
}

// MeanSphere is the spherical equivalent: sphere and half the cylinder. A sphere that is
// missing is 0.
func (x Rx) MeanSphere() float64 { return value(x.Sphere) + value(x.Cylinder)/2 }

// Transposed is the same lens with the cylinder of the other sign: the sphere takes up the
// cylinder, and the axis turns by 90 degrees. Without a cylinder it is x.
func (x Rx) Transposed() Rx {
	if value(x.Cylinder) == 0 {
		return x
	}
	x.Sphere, x.Cylinder = new(value(x.Sphere)+*x.Cylinder), new(-*x.Cylinder)
	if x.Axis != nil {
		x.Axis = new(turned(*x.Axis + 90))
	}
	return x
}

// Normal is x in the one form that powers are stored and compared in: minus cylinder, axis
// from 1 to 180, no cylinder rather than a cylinder of 0.
func (x Rx) Normal() Rx {
	switch c := value(x.Cylinder); {
	case c == 0:
		x.Cylinder, x.Axis = nil, nil
	case c > 0:
		return x.Transposed()
	case x.Axis != nil:
		x.Axis = new(turned(*x.Axis))
	}
	return x
}

// turned brings an axis into 1 to 180, where 0 is 180.
func turned(axis float64) float64 {
	if axis = math.Mod(axis, 180); axis <= 0 {
		axis += 180
	}
	return axis
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// Limits of a prescription, in dioptres.
const (
	maxSphere   = 30
	maxCylinder = 10
	minAdd      = 0.25
	maxAdd      = 4
	maxPrism    = 30
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
	r.axis(x)
	r.prism(x)
}

func (r *Report) axis(x *Rx) {
	const at, rule = "/rx/axis", "rx"
	astigmatic := value(x.Cylinder) != 0
	switch {
	case astigmatic && x.Axis == nil:
		r.errorf(at, rule, "", "a cylinder needs an axis")
	case !astigmatic && x.Axis != nil:
		r.errorf(at, rule, "", "an axis needs a cylinder other than 0")
	case x.Axis != nil && (!(*x.Axis >= 0 && *x.Axis <= 180) || *x.Axis != math.Trunc(*x.Axis)):
		r.errorf(at, rule, "", "an axis is a whole number of degrees from 1 to 180")
	case x.Axis != nil && *x.Axis == 0:
		r.warnf(at, rule, "180", "an axis of 0 is written 180")
	}
}

func (r *Report) prism(x *Rx) {
	const rule = "rx"
	if x.Prism != nil && !(*x.Prism >= 0 && *x.Prism <= maxPrism) {
		r.errorf("/rx/prism", rule, "", "a prism is 0 to %d prism dioptres; its direction is the base", maxPrism)
		return
	}
	deviates := value(x.Prism) != 0
	switch {
	case deviates && x.Base == nil:
		r.errorf("/rx/base", rule, "", "a prism needs a base: in, out, up, down or degrees from 0 to 360")
	case !deviates && x.Base != nil:
		r.errorf("/rx/base", rule, "", "a base needs a prism other than 0")
	case x.Base != nil && !base(word(*x.Base)):
		r.errorf("/rx/base", rule, "in, out, up, down", "a base is in, out, up, down or degrees from 0 to 360")
	}
}

func base(s string) bool {
	switch s {
	case "in", "out", "up", "down":
		return true
	}
	return allDigits(s) && len(s) <= 3 && number(s) <= 360
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

// toPrescription reports whether readers have a power that ready-made ones do not have.
func toPrescription(x *Rx) bool {
	return x != nil && x.Sphere != nil && !(*x.Sphere >= minReader && *x.Sphere <= maxReader)
}

// readers checks what reading spectacles must say to be identified.
func (r *Report) readers(p *Product, productType string) {
	if productType != TypeReaders || p.Rx == nil || p.Rx.Sphere == nil {
		return
	}
	const rule = "readers"
	if toPrescription(p.Rx) {
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
	if p.Lens == nil || p.Lens.Material == nil {
		r.warnf("/lens/material", rule, "", "readers must tell their lenses' material: glass, plastic or other")
	}
}
