package catalog

import (
	"strings"
	"time"
)

// element is the form of the data behind one GS1 application identifier.
type element struct {
	kind     elementKind
	min, max int
	// delimited says that the data ends at a separator, since its length is not fixed
	// beforehand.
	delimited bool
	// ofItem says that the data tells of a trade item, so that (01) or (02) is needed.
	ofItem bool
}

type elementKind int

const (
	kindText   elementKind = iota // of GS1's set 82
	kindDigits                    // digits alone
	kindDate                      // YYMMDD; DD is 00 where only the month is known
	kindGTIN
	kindSSCC
	kindGLN
	kindGMN
	kindHIDRI
)

func text(most int, ofItem bool) element {
	return element{kind: kindText, min: 1, max: most, delimited: true, ofItem: ofItem}
}

// elements are the application identifiers that goods like eyewear carry, after the GS1
// Barcode Syntax Dictionary. Measures (31nn to 36nn) and what companies agree on among
// themselves (91 to 99) are in elementOf.
var elements = map[string]element{
	"00": {kind: kindSSCC, min: 18, max: 18},
	"01": {kind: kindGTIN, min: 14, max: 14},
	"02": {kind: kindGTIN, min: 14, max: 14},
	"10": text(20, true), // batch
	"11": {kind: kindDate, min: 6, max: 6, ofItem: true},
	"13": {kind: kindDate, min: 6, max: 6, ofItem: true},
	"15": {kind: kindDate, min: 6, max: 6, ofItem: true},
	"16": {kind: kindDate, min: 6, max: 6, ofItem: true},
	"17": {kind: kindDate, min: 6, max: 6, ofItem: true},
	"20": {kind: kindDigits, min: 2, max: 2, ofItem: true},
	"21": text(20, true), // serial number
	"22": text(20, true),
	"30": {kind: kindDigits, min: 1, max: 8, delimited: true, ofItem: true},
	"37": {kind: kindDigits, min: 1, max: 8, delimited: true},
	"90": text(30, false),

	"240": text(30, true), "241": text(30, true), "243": text(20, true), "250": text(30, true), "251": text(30, true),
	"242": {kind: kindDigits, min: 1, max: 6, delimited: true, ofItem: true},
	"400": text(30, false), "401": text(30, false), "403": text(30, false), "420": text(20, false),
	"410": {kind: kindGLN, min: 13, max: 13}, "411": {kind: kindGLN, min: 13, max: 13},
	"412": {kind: kindGLN, min: 13, max: 13}, "413": {kind: kindGLN, min: 13, max: 13},
	"414": {kind: kindGLN, min: 13, max: 13}, "415": {kind: kindGLN, min: 13, max: 13},
	"416": {kind: kindGLN, min: 13, max: 13}, "417": {kind: kindGLN, min: 13, max: 13},
	"422":  {kind: kindDigits, min: 3, max: 3, delimited: true, ofItem: true},
	"8013": {kind: kindGMN, min: 1, max: maxModel, delimited: true},
	"8014": {kind: kindHIDRI, min: 1, max: maxModel, delimited: true, ofItem: true},
	"8200": text(70, true),
}

func elementOf(ai string) (element, bool) {
	if e, ok := elements[ai]; ok {
		return e, true
	}
	switch {
	case !allDigits(ai):
	case len(ai) == 4 && ai[0] == '3' && ai[1] >= '1' && ai[1] <= '6' && ai[3] <= '5':
		return element{kind: kindDigits, min: 6, max: 6, ofItem: true}, true
	case len(ai) == 2 && ai[0] == '9':
		return text(90, false), true
	}
	return element{}, false
}

// groupSeparator is how scanners hand on FNC1 behind data of no fixed length.
const groupSeparator = '\x1d'

// nextElement cuts the first element off an element string, which is either as people read
// it, (01)08056890123451(21)SN1, or as scanners hand it on, with separators. known is
// false for an identifier that is not in the table; without brackets nothing after it can
// be told apart, so rest is empty then. ok is false if no identifier begins s.
func nextElement(s string) (ai, data, rest string, known, ok bool) {
	if ai, s, ok := bracketed(s); ok {
		_, known := elementOf(ai)
		for i := range len(s) {
			if s[i] == '(' {
				if _, _, next := bracketed(s[i:]); next {
					return ai, bare(s[:i]), s[i:], known, true
				}
			}
		}
		return ai, bare(s), "", known, true
	}
	for n := 2; n <= 4 && n <= len(s); n++ {
		e, known := elementOf(s[:n])
		if !known {
			continue
		}
		ai, s = s[:n], s[n:]
		end := len(s)
		if !e.delimited {
			end = min(e.max, end)
		}
		if i := strings.IndexByte(s[:end], groupSeparator); i >= 0 {
			end = i
		}
		return ai, s[:end], strings.TrimPrefix(s[end:], string(groupSeparator)), true, true
	}
	if len(s) < 2 || !allDigits(s[:2]) {
		return "", "", "", false, false
	}
	return s[:2], s[2:], "", false, true
}

// bare is data without what is put between elements for people, or by scanners for no need
// where there are brackets. Neither can be data: set 82 has no space.
func bare(data string) string { return strings.Trim(data, " \x1d") }

// bracketed cuts "(01)" off s.
func bracketed(s string) (ai, rest string, ok bool) {
	end := strings.IndexByte(s, ')')
	if end < 3 || end > 5 || s[0] != '(' || !allDigits(s[1:end]) {
		return "", s, false
	}
	return s[1:end], s[end+1:], true
}

// elementString checks a GS1 element string, and that it names the product's own GTIN.
func (r *Report) elementString(v, gtin *string) {
	if v == nil {
		return
	}
	const at, rule = "/gs1_elements", "gs1.ai"
	s := normal(*v)
	if len(s) > 3 && s[0] == ']' { // symbology identifier of the scanner
		s = s[3:]
	}
	s = strings.TrimLeft(s, string(groupSeparator))
	if s == "" || s == tooLong {
		r.errorf(at, rule, "", "an element string is application identifiers with their data: (01)08056890123451(21)SN123")
		return
	}
	var item, hidri bool
	needsItem := ""
	seen := map[string]string{}
	for s != "" {
		ai, data, rest, known, ok := nextElement(s)
		if !ok {
			r.errorf(at, rule, "", "write an application identifier before all data: (01)08056890123451(21)SN123")
			return
		}
		s = rest
		if before, twice := seen[ai]; twice && before != data {
			r.errorf(at, rule, "", "(%s) stands twice with different data: leave one", ai)
		}
		seen[ai] = data
		if !known {
			r.warnf(at, rule, "", "(%s) is no application identifier of eyewear, so its data is not checked", ai)
			continue
		}
		e, _ := elementOf(ai)
		r.element(ai, e, data)
		item = item || ai == "01" || ai == "02"
		hidri = hidri || e.kind == kindHIDRI
		if e.ofItem && needsItem == "" {
			needsItem = ai
		}
	}
	_, gtinElement := seen["01"]
	switch {
	case hidri && !gtinElement:
		r.errorf(at, rule, "", "(8014) goes with the GTIN in (01), which is missing")
	case needsItem != "" && !item:
		r.errorf(at, rule, "", "(%s) tells of a trade item: put its GTIN before, in (01)", needsItem)
	}
	if gtin != nil && gtinElement {
		own, ok := NormalGTIN(*gtin)
		// The packaging level and with it the check digit may differ.
		if inside := seen["01"]; ok && len(inside) == 14 && own[1:13] != inside[1:13] {
			r.warnf(at, rule, own, "(01) is not the product's own GTIN")
		}
	}
}

// element checks the data of one element.
func (r *Report) element(ai string, e element, data string) {
	const at, rule = "/gs1_elements", "gs1.ai"
	switch {
	case len(data) < e.min || len(data) > e.max:
		if e.min == e.max {
			r.errorf(at, rule, "", "(%s) has %d characters, this has %d", ai, e.max, len(data))
		} else {
			r.errorf(at, rule, "", "(%s) has %d to %d characters, this has %d", ai, e.min, e.max, len(data))
		}
		return
	case e.kind == kindText:
		if _, ok := gs1Sum(data); !ok {
			r.errorf(at, rule, "", "(%s) holds a character that GS1's set does not have", ai)
		}
		return
	case e.kind == kindGMN:
		r.model(at, rule, "GMN", data)
		return
	case e.kind == kindHIDRI:
		r.hidriAt(at, rule, data)
		return
	case !allDigits(data):
		r.errorf(at, rule, "", "(%s) is made of digits only", ai)
		return
	}
	switch e.kind {
	case kindDate:
		if !gs1Date(data) {
			r.errorf(at, rule, "", "(%s) is a date written YYMMDD", ai)
		}
	case kindGTIN, kindSSCC, kindGLN:
		if allZeros(data) {
			r.errorf(at, rule, "", "(%s) cannot be all zeros", ai)
		} else if want := gs1CheckDigit(data[:len(data)-1]); data[len(data)-1] != want {
			r.errorf(at, rule, string(want), "the check digit in (%s) is wrong", ai)
		} else if e.kind == kindGTIN {
			r.elementItem(ai, data)
		}
	default: // digits that mean a number
	}
}

// elementItem checks that a GTIN with a right check digit can be that of eyewear.
func (r *Report) elementItem(ai, gtin string) {
	if gtin[0] == '9' {
		r.errorf("/gs1_elements", "gs1.ai", "", "(%s) has packaging level 9, which is for goods of variable measure", ai)
	} else if use := restricted(gtin); use != "" {
		r.errorf("/gs1_elements", "gs1.ai", "", "(%s) has a prefix for %s, not for trade items", ai, use)
	}
}

// gs1Date checks YYMMDD; the day 00 stands for the month as a whole (GS1 General
// Specifications, 3.4). The century does not matter: years of two digits that 4 divides
// are leap years in this one and were in the last, but for 1900.
func gs1Date(s string) bool {
	year, month, day := 2000+number(s[:2]), number(s[2:4]), number(s[4:6])
	if month < 1 || month > 12 {
		return false
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
