package catalog

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// lei checks a Legal Entity Identifier (ISO 17442): 18 characters and two check digits of
// ISO 7064 mod 97-10.
func (r *Report) lei(v *string) {
	if v == nil {
		return
	}
	const at, rule = "/lei", "lei"
	s := compact(*v)
	if len(s) != 20 || !alphanumeric(s) || !allDigits(s[18:]) {
		r.errorf(at, rule, "", "an LEI has 18 letters and digits, then two check digits")
		return
	}
	if want := fmt.Sprintf("%02d", 98-mod97(s[:18]+"00")); s[18:] != want {
		r.errorf(at, rule, want, "the check digits are wrong")
	}
}

// ibanLengths is the length of an IBAN in each country of the IBAN registry (ISO 13616).
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
	"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// iban checks an International Bank Account Number (ISO 13616).
func (r *Report) iban(v *string) {
	if v == nil {
		return
	}
	const at, rule = "/iban", "iban"
	s := compact(*v)
	if len(s) < 5 || !alphanumeric(s) || !allCapitals(s[:2]) || !allDigits(s[2:4]) {
		r.errorf(at, rule, "", "an IBAN is a country, two check digits and an account of letters and digits")
		return
	}
	length, ok := ibanLengths[s[:2]]
	switch want := fmt.Sprintf("%02d", 98-mod97(s[4:]+s[:2]+"00")); {
	case !ok:
		r.errorf(at, rule, "", "this country has no IBAN")
	case len(s) != length:
		r.errorf(at, rule, "", "an IBAN of this country has %d characters, this has %d", length, len(s))
	case s[2:4] != want:
		// Which character is wrong cannot be told, so the check digits are not offered as a cure.
		r.errorf(at, rule, "", "the check digits do not fit the account")
	}
}

var (
	bicForm    = regexp.MustCompile(`^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$`)
	ueiForm    = regexp.MustCompile(`^[1-9A-HJ-NP-Z][0-9A-HJ-NP-Z]{11}$`)
	nineRun    = regexp.MustCompile(`[0-9]{9}`)
	eoriForm   = regexp.MustCompile(`^[A-Z]{2}[A-Z0-9]{1,15}$`)
	srnForm    = regexp.MustCompile(`^[A-Z]{2}-(MF|AR|IM|PR)-[0-9]{9}$`)
	e164Form   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	phoneNoise = strings.NewReplacer("(", "", ")", "", "/", "")
)

// bic checks a Business Identifier Code (ISO 9362).
func (r *Report) bic(v *string) {
	if v == nil {
		return
	}
	if s := compact(*v); !bicForm.MatchString(s) || !Country(s[4:6]) {
		r.errorf("/bic", "bic", "", "a BIC has four letters, a country, two letters or digits, and three more for a branch")
	}
}

// duns checks the form of a D-U-N-S number. It has no check digit any more.
func (r *Report) duns(v *string) {
	if v == nil {
		return
	}
	if s := compact(*v); len(s) != 9 || !allDigits(s) || s == "000000000" || s == "999999999" {
		r.errorf("/duns", "duns", "", "a D-U-N-S number has 9 digits, not all 0 or all 9")
	}
}

// uei checks the form of a Unique Entity Identifier of SAM.gov, whose check digit's formula
// is not published.
func (r *Report) uei(v *string) {
	if v == nil {
		return
	}
	if s := compact(*v); !ueiForm.MatchString(s) || nineRun.MatchString(s) {
		r.errorf("/uei", "uei", "", "a UEI has 12 letters and digits without O and I, does not begin with 0 and has no nine digits in a row")
	}
}

// euStates are the member states, whose customs give EORI numbers. Greece is GR here and EL in
// VAT numbers.
const euStates = " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK "

// eoriLengths is how many characters follow the country, where a country makes its EORI
// numbers from a number of fixed length.
var eoriLengths = map[string][]int{
	"BE": {10}, "DK": {8}, "ES": {9}, "FI": {8}, "FR": {14}, "HR": {11}, "IT": {11, 16}, "NL": {9}, "PT": {9}, "SE": {10},
	"GB": {12}, "XI": {12},
}

// eori checks the form of an Economic Operators Registration and Identification number.
func (r *Report) eori(v *string) {
	if v == nil {
		return
	}
	const at, rule = "/eori", "eori"
	s := compact(*v)
	switch {
	case !eoriForm.MatchString(s):
		r.errorf(at, rule, "", "an EORI number is a country and 1 to 15 letters and digits")
	case countryAliases[s[:2]] != "":
		r.errorf(at, rule, countryAliases[s[:2]], "an EORI number begins with the country as ISO 3166-1 has it, or XI: Greece is GR and the United Kingdom GB")
	case !strings.Contains(euStates+"GB XI ", " "+s[:2]+" "):
		r.errorf(at, rule, "", "EORI numbers are given by EU states, GB and XI")
	default:
		// Customs offices do not publish these lengths as a rule, hence the warning.
		if usual := eoriLengths[s[:2]]; usual != nil && !slices.Contains(usual, len(s)-2) {
			r.warnf(at, rule, "", "an EORI number of this country usually has %d characters after the country, this has %d", usual[0], len(s)-2)
		}
	}
}

// srn checks a Single Registration Number of EUDAMED.
func (r *Report) srn(v *string) {
	if v == nil {
		return
	}
	if s := capitals(*v); !srnForm.MatchString(s) || !Country(s[:2]) {
		r.errorf("/srn", "srn", "", "an SRN is a country, MF, AR, IM or PR, and nine digits: DE-MF-000012345")
	}
}

func (r *Report) contact(c *Company) {
	if c.Email != nil {
		s := strings.TrimSpace(*c.Email)
		if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > 254 {
			r.errorf("/email", "email", "", "this is not an e-mail address")
		}
	}
	if c.Phone != nil {
		if s := phoneNoise.Replace(compact(*c.Phone)); !e164Form.MatchString(s) {
			r.warnf("/phone", "phone", "", "write the number with its country: + and 7 to 15 digits (E.164)")
		}
	}
	if c.Website != nil {
		u, err := url.Parse(strings.TrimSpace(*c.Website))
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
			r.errorf("/website", "website", "", "a website is an address that begins with https:// or http://")
		}
	}
}
