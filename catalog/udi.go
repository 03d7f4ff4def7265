package catalog

import (
	"strings"
	"time"
)

const (
	// gs1Set82 is the character set of GMN and HIDRI; a character's value is its place.
	gs1Set82 = `!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz`
	// gs1Set32 is that of the check pair.
	gs1Set32 = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	// maxModel is the longest GMN or HIDRI, check pair included.
	maxModel = 25
)

var gs1Primes = [maxModel - 2]int{83, 79, 73, 71, 67, 61, 59, 53, 47, 43, 41, 37, 31, 29, 23, 19, 17, 13, 11, 7, 5, 3, 2}

// gs1CheckPair computes the two check characters of a GMN or HIDRI: prime weights aligned
// to the right, modulo 1021 (GS1 General Specifications, 7.9.5). ok is false if body has a
// character outside the set.
func gs1CheckPair(body string) (pair string, ok bool) {
	sum := 0
	for i := range len(body) {
		v := strings.IndexByte(gs1Set82, body[i])
		if v < 0 {
			return "", false
		}
		sum += v * gs1Primes[len(gs1Primes)-len(body)+i]
	}
	sum %= 1021
	return string([]byte{gs1Set32[sum/32], gs1Set32[sum%32]}), true
}

// model checks what GMN and HIDRI have in common.
func (r *Report) model(at, rule, name, s string) (ok bool) {
	if len(s) < 8 || len(s) > maxModel || !allDigits(s[:5]) {
		r.errorf(at, rule, "", "a %s begins with five digits of the company's prefix and has 8 to %d characters", name, maxModel)
		return false
	}
	pair, ok := gs1CheckPair(s[:len(s)-2])
	switch {
	case !ok:
		r.errorf(at, rule, "", "a %s holds a character that GS1's set does not have", name)
		return false
	case s[len(s)-2:] != pair:
		r.errorf(at, rule, pair, "the two check characters are wrong")
		return false
	}
	return true
}

// gmn checks a Global Model Number, which is a Basic UDI-DI. Letters keep their case: it
// counts in the check pair.
func (r *Report) gmn(v *string) {
	if v != nil {
		r.model("/gmn", "gmn", "GMN", normal(*v))
	}
}

// hidri checks a Highly Individualised Device Registration Identifier, which is a Master
// UDI-DI.
func (r *Report) hidri(v *string, withGTIN bool) {
	if v == nil {
		return
	}
	const at, rule = "/master_udi_di", "hidri"
	s := normal(*v)
	switch {
	case allDigits(s):
		r.errorf(at, rule, "", "a Master UDI-DI has at least one character that is no digit")
	case r.model(at, rule, "Master UDI-DI", s) && !withGTIN:
		r.errorf(at, rule, "", "a Master UDI-DI goes with a GTIN, which is missing")
	}
}

// udiForce is from when frames must carry both identifiers (Delegated Regulation (EU)
// 2025/1920).
var udiForce = time.Date(2028, 11, 1, 0, 0, 0, 0, time.UTC)

// udi asks for the identifiers that the law asks of spectacle frames and readers, which
// are medical devices of class I in the EU (Regulation (EU) 2017/745, MDCG 2025-8), and
// for the GTIN that the United States' FDA reads as their identifier.
func (r *Report) udi(p Product, productType string, now time.Time) {
	switch productType {
	case TypeFrame, TypeReaders:
		missing := r.warnf
		if !now.Before(udiForce) {
			missing = r.errorf
		}
		if p.GMN == nil {
			missing("/gmn", "udi.eu", "", "frames made from November 2028 need a Basic UDI-DI in the EU")
		}
		if p.MasterUDIDI == nil {
			missing("/master_udi_di", "udi.eu", "", "frames made from November 2028 need a Master UDI-DI in the EU")
		}
	case TypeSunglasses:
	default:
		return
	}
	if p.GTIN == nil {
		r.warnf("/gtin", "udi.us", "", "give a GTIN (UPC): it serves as the device identifier in the United States")
	}
}
