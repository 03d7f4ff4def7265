package catalog

import "strings"

// gs1CheckDigit computes the check digit of the digits before it: weights 3, 1, 3, 1 ...
// from the right (GS1 General Specifications, 7.9).
func gs1CheckDigit(body string) byte {
	sum, weight := 0, 3
	for i := len(body) - 1; i >= 0; i-- {
		sum += int(body[i]-'0') * weight
		weight = 4 - weight
	}
	return byte('0' + (10-sum%10)%10)
}

const wrongDigit = "the check digit is wrong"

// gtin checks a Global Trade Item Number: GTIN-8, -12, -13 or -14.
func (r *Report) gtin(v *string) {
	if v != nil {
		r.tradeItem("/gtin", *v)
	}
}

// tradeItem is gtin for a number that stands at a pointer.
func (r *Report) tradeItem(at, v string) {
	const rule = "gtin"
	s := compact(v)
	if !allDigits(s) {
		r.errorf(at, rule, "", digitsOnly("a GTIN is made of digits only", s))
		return
	}
	switch len(s) {
	case 8, 12, 13, 14:
	case 7, 11:
		if gs1CheckDigit(s[:len(s)-1]) == s[len(s)-1] {
			r.errorf(at, rule, "0"+s, "a GTIN has 8, 12, 13 or 14 digits, this has %d: a spreadsheet may have dropped the zero before it", len(s))
			return
		}
		fallthrough
	default:
		r.errorf(at, rule, "", "a GTIN has 8, 12, 13 or 14 digits, this has %d", len(s))
		return
	}
	if allZeros(s) {
		r.errorf(at, rule, "", "a GTIN cannot be all zeros")
		return
	}
	if want := gs1CheckDigit(s[:len(s)-1]); s[len(s)-1] != want {
		r.errorf(at, rule, string(want), wrongDigit)
		return
	}
	// GTIN-14 begins with the packaging level.
	if len(s) == 14 && s[0] == '9' {
		r.errorf(at, "gtin14.level", "", "packaging level 9 is for goods of variable measure, which eyewear is not")
		return
	}
	if use := restricted(s); use != "" {
		r.errorf(at, "gtin.prefix", "", "a GTIN with this prefix is for %s, not for trade items", use)
	}
}

// digitsOnly is the message for s, which is not made of digits; a number that a spreadsheet
// has rounded, 4.00638E+12, is told apart, since what was lost does not come back.
func digitsOnly(message, s string) string {
	if whole, exponent, ok := strings.Cut(s, "E+"); ok && allDigits(exponent) && allDigits(strings.ReplaceAll(whole, ",", "")) {
		return message + ", which a spreadsheet has rounded here: make the column text and enter them again"
	}
	return message
}

// NormalGTIN gives a GTIN as it is stored and compared: 14 digits, filled up with zeros from
// the left. ok is false if v breaks a rule that makes it no GTIN of a trade item.
func NormalGTIN(v string) (gtin string, ok bool) {
	var r Report
	if r.tradeItem("", v); len(r.Errors) > 0 {
		return "", false
	}
	return fill(compact(v)), true
}

// fill brings a GTIN to 14 digits.
func fill(s string) string { return "00000000000000"[len(s):] + s }

// restricted tells what a GTIN's prefix is reserved for, "" for a trade item's (GS1 prefix
// list). A GTIN-8 has prefixes of its own, and no longer one begins with its five zeros.
func restricted(s string) string {
	s = fill(s)[1:] // the packaging level says nothing
	if short, ok := strings.CutPrefix(s, "00000"); ok {
		if short[0] == '0' || short[0] == '2' {
			return "use within a store"
		}
		return ""
	}
	switch prefix := number(s[:3]); {
	case prefix >= 20 && prefix <= 29, prefix >= 40 && prefix <= 49, prefix >= 200 && prefix <= 299:
		return "use within a store"
	case prefix >= 50 && prefix <= 59, prefix >= 980 && prefix <= 999:
		return "coupons and refunds"
	case prefix == 952:
		return "demonstrations"
	case prefix >= 977 && prefix <= 979:
		return "books and periodicals"
	}
	return ""
}

// gln checks a Global Location Number: 13 digits with the same check digit.
func (r *Report) gln(v *string) {
	if v != nil {
		r.gs1Key("/gln", "gln", "GLN", compact(*v), 13)
	}
}

// sscc checks a Serial Shipping Container Code: 18 digits with the same check digit.
func (r *Report) sscc(v *string) {
	if v != nil {
		r.gs1Key("/sscc", "sscc", "SSCC", compact(*v), 18)
	}
}

// gs1Key checks a number of one length.
func (r *Report) gs1Key(at, rule, name, s string, length int) {
	switch {
	case !allDigits(s):
		r.errorf(at, rule, "", digitsOnly("the "+name+" is made of digits only", s))
	case len(s) != length:
		r.errorf(at, rule, "", "the %s has %d digits, this has %d", name, length, len(s))
	case allZeros(s):
		r.errorf(at, rule, "", "the %s cannot be all zeros", name)
	default:
		if want := gs1CheckDigit(s[:length-1]); s[length-1] != want {
			r.errorf(at, rule, string(want), wrongDigit)
		}
	}
}
