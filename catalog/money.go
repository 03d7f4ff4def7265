package catalog

import (
	"math"
	"strconv"
	"strings"
)

// The currencies of ISO 4217 (list one, as of January 2026) that a price can be in, by
// their minor unit; those not in the first three lists have two digits. Metals, units of
// account without a minor unit and test codes are left out.
const (
	currencies0 = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "
	currencies3 = " BHD IQD JOD KWD LYD OMR TND "
	currencies4 = " CLF UYW "
	currencies2 = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY" +
		" COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR" +
		" JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO" +
		" NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS" +
		" TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
)

// withdrawnCurrencies gives what took the place of codes that ISO 4217 has withdrawn. They
// are right in history and wrong in a price.
var withdrawnCurrencies = map[string]string{
	"ATS": "EUR", "BEF": "EUR", "BGN": "EUR", "CYP": "EUR", "DEM": "EUR", "EEK": "EUR", "ESP": "EUR", "FIM": "EUR", "FRF": "EUR",
	"GRD": "EUR", "HRK": "EUR", "IEP": "EUR", "ITL": "EUR", "LTL": "EUR", "LUF": "EUR", "LVL": "EUR", "MTL": "EUR", "NLG": "EUR",
	"PTE": "EUR", "SIT": "EUR", "SKK": "EUR",
	"ANG": "XCG", "BYR": "BYN", "CUC": "CUP", "GHC": "GHS", "MRO": "MRU", "MZM": "MZN", "ROL": "RON", "RUR": "RUB", "SDD": "SDG",
	"SLL": "SLE", "STD": "STN", "TMM": "TMT", "TRL": "TRY", "VEF": "VES", "ZMK": "ZMW", "ZWL": "ZWG",
}

// maxMinor is the largest amount that every JSON reader takes exactly (RFC 7493, 2.2).
const maxMinor = 1<<53 - 1

// minorUnits gives the number of decimal digits of each currency's minor unit.
var minorUnits = func() map[string]int {
	m := map[string]int{}
	for digits, list := range [...]string{0: currencies0, 2: currencies2, 3: currencies3, 4: currencies4} {
		for _, code := range strings.Fields(list) {
			m[code] = digits
		}
	}
	return m
}()

// Currency reports whether code, in capitals, is the ISO 4217 code of a currency in use that
// a price can be in.
func Currency(code string) bool {
	_, ok := minorUnits[code]
	return ok
}

// money checks a price, and that it is not above the cap of its currency.
func (r *Report) money(p *Price, caps map[string]int64) {
	if p == nil {
		return
	}
	const at = "/price/amount_minor"
	code, digits, known := "", 0, false
	if p.Currency != nil {
		code = capitals(*p.Currency)
		if digits, known = minorUnits[code]; !known {
			if instead := withdrawnCurrencies[code]; instead != "" {
				r.errorf("/price/currency", "currency", instead, "this currency has been withdrawn")
			} else {
				r.errorf("/price/currency", "currency", "", "this is not the code of a currency in use (ISO 4217)")
			}
		}
	}
	if a := p.AmountMinor; a != nil {
		limit, capped := caps[code]
		switch {
		case *a != math.Trunc(*a):
			r.errorf(at, "money", "", "an amount is a whole number, counted in %s", minorName(code, digits, known))
		case !(*a >= 0 && *a <= maxMinor):
			r.errorf(at, "money", "", "an amount is from 0 to %d, counted in %s", int64(maxMinor), minorName(code, digits, known))
		case p.Currency == nil:
			r.warnf("/price/currency", "money", "", "an amount means nothing without a currency")
		case known && capped && int64(*a) > limit:
			r.errorf(at, ruleUpload, strconv.FormatInt(limit, 10), "the price is above what the manufacturer's tier allows")
		}
	}
}

func minorName(code string, digits int, known bool) string {
	switch {
	case !known:
		return "minor units of the currency, such as cents"
	case digits == 0:
		return "whole " + code
	}
	return "units of 1/" + "10000"[:1+digits] + " " + code
}
