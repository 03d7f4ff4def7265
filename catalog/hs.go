package catalog

import "strings"

// hs checks a customs tariff number of the Harmonized System: 4 or 6 digits, or 8 or 10 with
// national ones behind, under the headings of eyewear, and that it goes with the product.
//
//	9001  lenses, not mounted: 900130 contact, 900140 of glass, 900150 of other materials
//	9003  frames: 900311 of plastics, 900319 of other materials, 900390 parts
//	9004  spectacles: 900410 sunglasses, 900490 others
func (r *Report) hs(p *Product, productType string) {
	if p.HSCode == nil {
		return
	}
	const at, rule = "/hs_code", "hs"
	s := compact(*p.HSCode)
	if !allDigits(s) || len(s) != 4 && len(s) != 6 && len(s) != 8 && len(s) != 10 {
		r.errorf(at, rule, "", "an HS code has 4, 6, 8 or 10 digits")
		return
	}
	heading, sub := s[:4], ""
	if len(s) >= 6 {
		sub = s[:6]
	}
	want := headingOf[productType]
	switch {
	case want == "":
		if productType == "" && heading != "9001" && heading != "9003" && heading != "9004" {
			r.warnf(at, rule, "", "the headings of eyewear are 9001 for lenses, 9003 for frames and 9004 for spectacles")
		}
		return
	case sub == "" && heading == want[:4]:
		return
	}
	switch {
	case productType == TypeFrame && p.Frame != nil && p.Frame.Material != nil:
		switch word(*p.Frame.Material) {
		case "plastic":
			want = "900311"
		case "metal", "other":
			want = "900319"
		}
	// Contact lenses are 900130 whatever they are made of.
	case productType == TypeLens && p.Lens != nil && p.Lens.Material != nil && sub != "900130":
		switch word(*p.Lens.Material) {
		case "glass":
			want = "900140"
		case "plastic", "other":
			want = "900150"
		}
	}
	if !strings.HasPrefix(s, want) || sub == "900390" {
		r.errorf(at, rule, want, "the HS code does not fit the product")
	}
}

// headingOf gives what the HS code of a product type begins with.
var headingOf = map[string]string{
	TypeFrame: "9003", TypeSunglasses: "900410", TypeReaders: "900490", TypeLens: "9001",
}
