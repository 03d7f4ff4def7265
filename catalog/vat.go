package catalog

import (
	"regexp"
	"strings"
)

// vatRule is the format of one country's VAT numbers, without the country's prefix.
type vatRule struct {
	form  *regexp.Regexp
	valid func(s string) bool // its argument matches form; nil: form only
	// The check characters are length of them at place, counted from the end if
	// negative. They are tried one after the other to find those expected. Length 0: several
	// would do.
	place, length int
}

func vatForm(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

// vatRules follow the formulas that national tax offices and the European Commission's VIES
// publish.
var vatRules = map[string]vatRule{
	"AT": {vatForm(`U\d{8}`), vatAT, -1, 1},
	"BE": {vatForm(`[01]\d{9}`), func(s string) bool { return number(s[8:]) == 97-number(s[:8])%97 }, -2, 2},
	"BG": {vatForm(`\d{9}`), vatBG, -1, 1},
	"CH": {vatForm(`E\d{9}(MWST|TVA|IVA)`), vatCH, 9, 1},
	"CY": {vatForm(`\d{8}[A-Z]`), vatCY, -1, 1},
	"CZ": {vatForm(`[0-8]\d{7}|\d{9,10}`), vatCZ, -1, 1},
	"DE": {vatForm(`[1-9]\d{8}`), mod1110, -1, 1},
	"DK": {vatForm(`\d{8}`), func(s string) bool { return weighted(s, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0 }, -1, 1},
	"EE": {vatForm(`\d{9}`), func(s string) bool { return weighted(s, 3, 7, 1, 3, 7, 1, 3, 7, 1)%10 == 0 }, -1, 1},
	"EL": {vatForm(`\d{9}`), func(s string) bool { return weighted(s, 256, 128, 64, 32, 16, 8, 4, 2)%11%10 == digit(s, 8) }, -1, 1},
	"ES": {vatForm(`\d{8}[A-Z]|[XYZKLM]\d{7}[A-Z]|[A-HJNP-SUVW]\d{7}[0-9A-J]`), vatES, -1, 1},
	"FI": {vatForm(`\d{8}`), func(s string) bool { return weighted(s, 7, 9, 10, 5, 8, 4, 2, 1)%11 == 0 }, -1, 1},
	"FR": {vatForm(`[0-9A-HJ-NP-Z]{2}\d{9}`), vatFR, 0, 2},
	"GB": {vatForm(`\d{9}|\d{12}|GD[0-4]\d{2}|HA[5-9]\d{2}`), vatGB, 0, 0},
	"HR": {vatForm(`\d{11}`), mod1110, -1, 1},
	"HU": {vatForm(`\d{8}`), func(s string) bool { return weighted(s, 9, 7, 3, 1, 9, 7, 3, 1)%10 == 0 }, -1, 1},
	"IE": {vatForm(`\d{7}[A-W][A-IW]?|\d[A-Z+*]\d{5}[A-W]`), vatIE, 7, 1},
	"IT": {vatForm(`\d{11}`), vatIT, -1, 1},
	"LT": {vatForm(`\d{7}1\d|\d{10}1\d`), vatLT, -1, 1},
	"LU": {vatForm(`\d{8}`), func(s string) bool { return number(s[6:]) == number(s[:6])%89 }, -2, 2},
	"LV": {vatForm(`\d{11}`), vatLV, -1, 1},
	"MT": {vatForm(`\d{8}`), func(s string) bool { return weighted(s, 3, 4, 6, 7, 8, 9, 10, 1)%37 == 0 }, -2, 2},
	"NL": {vatForm(`\d{9}B\d{2}`), vatNL, 0, 0},
	"PL": {vatForm(`\d{10}`), func(s string) bool { return weighted(s, 6, 5, 7, 2, 3, 4, 5, 6, 7)%11 == digit(s, 9) }, -1, 1},
	"PT": {vatForm(`[1-9]\d{8}`), func(s string) bool { return (11-weighted(s, 9, 8, 7, 6, 5, 4, 3, 2)%11)%11%10 == digit(s, 8) }, -1, 1},
	"RO": {vatForm(`[1-9]\d{1,9}`), vatRO, -1, 1},
	"SE": {vatForm(`\d{10}01`), func(s string) bool { return luhn(s[:10]) }, 9, 1},
	"SI": {vatForm(`[1-9]\d{7}`), vatSI, -1, 1},
	"SK": {vatForm(`[1-9]\d[234789]\d{7}`), func(s string) bool { return number(s)%11 == 0 }, -1, 1},
	"XI": {vatForm(`\d{9}|\d{12}|GD[0-4]\d{2}|HA[5-9]\d{2}`), vatGB, 0, 0},
}

// vat checks a VAT number with its country prefix. The number of a country without a rule
// here is only warned about.
func (r *Report) vat(v *string) {
	if v == nil {
		return
	}
	const at = "/vat"
	s := compact(*v)
	if len(s) < 4 || !allCapitals(s[:2]) {
		r.errorf(at, "vat", "", "a VAT number begins with its country: DE136695976")
		return
	}
	country, body := s[:2], s[2:]
	rule, ok := vatRules[country]
	switch {
	case country == "GR":
		r.errorf(at, "vat.EL", "EL", "Greece is EL in a VAT number")
	case !ok && Country(country):
		r.warnf(at, "vat", "", "the VAT numbers of this country are not checked")
	case !ok:
		r.errorf(at, "vat", "", "a VAT number begins with its country: DE136695976")
	case !rule.form.MatchString(body):
		r.errorf(at, "vat."+country, "", "this is not the form of a VAT number of this country: %s", checks["vat."+country])
	case !rule.valid(body):
		r.errorf(at, "vat."+country, rule.expected(body), "the check characters are wrong")
	}
}

// expected finds the check characters that would be right, "" if not exactly one set of
// them would. It tries those of the kind, digits or a letter, that stands there.
func (v vatRule) expected(s string) string {
	place := v.place
	if place < 0 {
		place += len(s)
	}
	if v.length == 0 || place+v.length > len(s) {
		return ""
	}
	first, count := byte('0'), 10
	switch {
	case v.length == 2:
		count = 100
	case s[place] >= 'A':
		first, count = 'A', 26
	}
	found := ""
	try := []byte(s)
	for n := range count {
		if v.length == 1 {
			try[place] = first + byte(n)
		} else {
			try[place], try[place+1] = '0'+byte(n/10), '0'+byte(n%10)
		}
		if t := string(try); v.form.MatchString(t) && v.valid(t) {
			if found != "" {
				return ""
			}
			found = t[place : place+v.length]
		}
	}
	return found
}

func digit(s string, i int) int { return int(s[i] - '0') }

// number is the value of at most 18 digits.
func number(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + digit(s, i)
	}
	return n
}

// weighted is the sum of the first digits, each times its weight.
func weighted(s string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * digit(s, i)
	}
	return sum
}

// luhn checks digits by the Luhn formula (ISO/IEC 7812-1, annex B).
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := digit(s, len(s)-1-i)
		if i%2 == 1 {
			d *= 2
			d = d/10 + d%10
		}
		sum += d
	}
	return sum%10 == 0
}

// mod1110 checks digits by ISO 7064 mod 11,10.
func mod1110(s string) bool {
	p := 10
	for i := range len(s) - 1 {
		p = (p + digit(s, i)) % 10
		if p == 0 {
			p = 10
		}
		p = p * 2 % 11
	}
	return (p+digit(s, len(s)-1))%10 == 1
}

func vatAT(s string) bool {
	sum := 0
	for i := range 7 {
		d := digit(s, i+1)
		if i%2 == 1 {
			d *= 2
			d = d/10 + d%10
		}
		sum += d
	}
	return (96-sum)%10 == digit(s, 8)
}

func vatBG(s string) bool {
	check := weighted(s, 1, 2, 3, 4, 5, 6, 7, 8) % 11
	if check == 10 {
		check = weighted(s, 3, 4, 5, 6, 7, 8, 9, 10) % 11 % 10
	}
	return check == digit(s, 8)
}

func vatCH(s string) bool {
	check := (11 - weighted(s[1:], 5, 4, 3, 2, 7, 6, 5, 4)%11) % 11
	return check == digit(s, 9)
}

func vatCY(s string) bool {
	odd := [10]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21}
	sum := 0
	for i := range 8 {
		if i%2 == 0 {
			sum += odd[digit(s, i)]
		} else {
			sum += digit(s, i)
		}
	}
	return !strings.HasPrefix(s, "12") && s[8] == byte('A'+sum%26)
}

// vatCZ checks the numbers of companies; those of persons have 9 or 10 digits and no
// formula that holds for all.
func vatCZ(s string) bool {
	if len(s) != 8 {
		return true
	}
	check := (11 - weighted(s, 8, 7, 6, 5, 4, 3, 2)%11) % 11
	if check == 0 {
		check = 1
	}
	return check%10 == digit(s, 7)
}

// vatES checks the numbers of persons (by a letter) and of companies (by a digit or a letter;
// which one depends on the kind of company, so either is accepted).
func vatES(s string) bool {
	const letters = "TRWAGMYFPDXBNJZSQVHLCKE"
	switch first := s[0]; {
	case first <= '9':
		return s[8] == letters[number(s[:8])%23]
	case first >= 'X':
		return s[8] == letters[(int(first-'X')*10_000_000+number(s[1:8]))%23]
	case strings.IndexByte("KLM", first) >= 0:
		return s[8] == letters[number(s[1:8])%23]
	}
	for c := range 10 {
		if luhn(s[1:8] + string(byte('0'+c))) {
			return s[8] == byte('0'+c) || s[8] == "JABCDEFGHI"[c]
		}
	}
	return false
}

// vatFR checks the company's number and the key before it. Numbers of Monaco begin with 000 and
// have no check digit; keys with letters have no published formula.
func vatFR(s string) bool {
	siren := s[2:]
	if !strings.HasPrefix(siren, "000") && !luhn(siren) {
		return false
	}
	return !allDigits(s[:2]) || number(s[:2]) == (12+3*(number(siren)%97))%97
}

// vatGB checks the numbers of traders, old and new; government departments (GD) and health
// authorities (HA) have no check digits.
func vatGB(s string) bool {
	if s[0] > '9' {
		return true
	}
	switch weighted(s, 8, 7, 6, 5, 4, 3, 2, 10, 1) % 97 {
	case 0:
		return true
	case 42, 55:
		return number(s[:3]) >= 100
	}
	return false
}

func vatIE(s string) bool {
	const letters = "WABCDEFGHIJKLMNOPQRSTUV"
	digits, extra := s[:7], 0
	if s[1] < '0' || s[1] > '9' { // the old form
		digits = "0" + s[2:7] + s[:1]
	} else if len(s) == 9 {
		extra = strings.IndexByte(letters, s[8])
	}
	return s[7] == letters[(weighted(digits, 8, 7, 6, 5, 4, 3, 2)+9*extra)%23]
}

func vatIT(s string) bool {
	office := number(s[7:10])
	return luhn(s) && number(s[:7]) != 0 && (office >= 1 && office <= 100 || office == 120 || office == 121 || office == 888 || office == 999)
}

func vatLT(s string) bool {
	body := len(s) - 1
	check := func(first int) int {
		sum := 0
		for i := range body {
			sum += (1 + (i+first-1)%9) * digit(s, i)
		}
		return sum % 11
	}
	c := check(1)
	if c == 10 {
		c = check(3) % 10
	}
	return c == digit(s, body)
}

// vatLV checks the numbers of companies; those of persons begin with 0 to 3 and hold a date.
func vatLV(s string) bool {
	return s[0] <= '3' || weighted(s, 9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1)%11 == 3
}

// vatNL checks the numbers of companies (mod 11), or those given to persons since 2020
// (ISO 7064 mod 97-10 over the whole number).
func vatNL(s string) bool {
	return weighted(s, 9, 8, 7, 6, 5, 4, 3, 2)%11 == digit(s, 8) || mod97("NL"+s) == 1
}

func vatRO(s string) bool {
	s = strings.Repeat("0", 10-len(s)) + s
	return 10*weighted(s, 7, 5, 3, 2, 1, 7, 5, 3, 2)%11%10 == digit(s, 9)
}

func vatSI(s string) bool {
	check := 11 - weighted(s, 8, 7, 6, 5, 4, 3, 2)%11
	return check != 11 && check%10 == digit(s, 7)
}
