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

// gs1Sum adds up the values of the characters of s, each times its prime, the last
// prime for the last. ok is false if s has a character outside the set.
func gs1Sum(s string) (sum int, ok bool) {
	for i := range len(s) {
		v := strings.IndexByte(gs1Set82, s[i])
		if v < 0 {
			return 0, false
		}
		// Text longer than a GMN is only looked at for its characters.
		if place := len(gs1Primes) - len(s) + i; place >= 0 {
			sum += v * gs1Primes[place]
		}
	}
	return sum, true
}

// gs1CheckPair computes the two check characters of a GMN or HIDRI: prime weights aligned
// to the right, modulo 1021 (GS1 General Specifications, 7.9.5). ok is false if body has a
// character outside the set.
func gs1CheckPair(body string) (pair string, ok bool) {
	sum, ok := gs1Sum(body)
	sum %= 1021
	return string([]byte{gs1Set32[sum/32], gs1Set32[sum%32]}), ok
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
	if r.hidriAt(at, rule, normal(*v)) && !withGTIN {
		r.errorf(at, rule, "", "a Master UDI-DI goes with a GTIN, which is missing")
	}
}

func (r *Report) hidriAt(at, rule, s string) (ok bool) {
	if allDigits(s) {
		r.errorf(at, rule, "", "a Master UDI-DI has at least one character that is no digit")
		return false
	}
	return r.model(at, rule, "Master UDI-DI", s)
}

// udiForce is from when frames must carry both identifiers (Delegated Regulation (EU)
// 2025/1920).
var udiForce = time.Date(2028, 11, 1, 0, 0, 0, 0, time.UTC)

// udiProblem reports at the severity that the law has for a product made then.
func (r *Report) udiProblem(made time.Time, at, message string) {
	if made.Before(udiForce) {
		r.warnf(at, "udi.eu", "", message)
	} else {
		r.errorf(at, "udi.eu", "", message)
	}
}

// udi asks for the identifiers that the law asks of spectacle frames and readers, which
// are medical devices of class I in the EU (Regulation (EU) 2017/745, MDCG 2025-8), and
// for the GTIN that the United States' FDA reads as their identifier.
func (r *Report) udi(p *Product, productType string, made time.Time) {
	switch productType {
	case TypeFrame, TypeReaders:
		if productType == TypeReaders && toPrescription(p.Rx) {
			break // not in the scope of Master UDI-DI
		}
		if p.GMN == nil {
			r.udiProblem(made, "/gmn", "frames made from November 2028 need a Basic UDI-DI in the EU")
		}
		if p.MasterUDIDI == nil {
			r.udiProblem(made, "/master_udi_di", "frames made from November 2028 need a Master UDI-DI in the EU")
		}
	case TypeSunglasses:
	default:
		return
	}
	if p.GTIN == nil {
		r.warnf("/gtin", "udi.us", "", "give a GTIN (UPC): it serves as the device identifier in the United States")
	}
}

// Change adds to r the problems of replacing the product before by after. A Basic UDI-DI
// stands for one construction and material, a Master UDI-DI also for one lens width: a
// change of what an identifier stands for needs a new identifier (MDCG 2025-8). Members
// that one of the two does not have are not compared. It does not do what Product does.
func (v Validator) Change(r *Report, before, after *Product) {
	if before.Frame == nil || after.Frame == nil {
		return
	}
	made := v.now()
	if after.ManufacturedOn != nil {
		if t, err := time.Parse(time.DateOnly, normal(*after.ManufacturedOn)); err == nil {
			made = t
		}
	}
	model := differs(before.Frame.Construction, after.Frame.Construction) || differs(before.Frame.Material, after.Frame.Material)
	was, known := before.Frame.width()
	is, knownToo := after.Frame.width()
	size := known && knownToo && was != is
	if model && same(before.GMN, after.GMN) {
		r.udiProblem(made, "/gmn", "another construction or material is another model: give it a Basic UDI-DI of its own")
	}
	if (model || size) && same(before.MasterUDIDI, after.MasterUDIDI) {
		r.udiProblem(made, "/master_udi_di", "another construction, material or lens width is another device: give it a Master UDI-DI of its own")
	}
}

func differs(a, b *string) bool { return a != nil && b != nil && word(*a) != word(*b) }

func same(a, b *string) bool { return a != nil && b != nil && normal(*a) == normal(*b) }
