package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/makerguard/makerguard/catalog"
)

// scheme is a kind of number with check characters. In its form, d stands for a digit, x for a
// digit or capital, l for a capital, m for a character of set 82 and c for one of a GS1
// check pair; anything else stands for itself.
type scheme struct {
	name, formula, rule, form string
	example                   string // a number to begin with, "" for any
	product                   func(p *catalog.Product, v *string)
	company                   func(c *catalog.Company, v *string)
}

const set82 = `!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz`

var classes = map[byte]string{
	'd': "0123456789", 'l': "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 'x': "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	'm': set82, 'c': "23456789ABCDEFGHJKLMNPQRSTUVWXYZ",
}

func schemes(t *testing.T) []scheme {
	gtin := func(p *catalog.Product, v *string) { p.GTIN = v }
	all := []scheme{
		{name: "GTIN-8", formula: "modulo 10, weights 3 and 1", rule: "gtin", form: "dddddddd", product: gtin},
		{name: "GTIN-12", formula: "modulo 10, weights 3 and 1", rule: "gtin", form: "dddddddddddd", product: gtin},
		{name: "GTIN-13", formula: "modulo 10, weights 3 and 1", rule: "gtin", form: "ddddddddddddd", product: gtin},
		{name: "GTIN-14", formula: "modulo 10, weights 3 and 1", rule: "gtin", form: "dddddddddddddd", product: gtin},
		{name: "GLN", formula: "modulo 10, weights 3 and 1", rule: "gln", form: "ddddddddddddd", company: func(c *catalog.Company, v *string) { c.GLN = v }},
		{name: "SSCC", formula: "modulo 10, weights 3 and 1", rule: "sscc", form: "dddddddddddddddddd", product: func(p *catalog.Product, v *string) { p.SSCC = v }},
		{name: "GMN, HIDRI", formula: "modulo 1021, prime weights", rule: "gmn", form: "dddddmmmmmmcc", product: func(p *catalog.Product, v *string) { p.GMN = v }},
		{name: "HIBC", formula: "modulo 43, unweighted", rule: "hibc", form: "+lxxxxxxxdx", product: func(p *catalog.Product, v *string) { p.HIBC = v }},
		{name: "LEI, digits", formula: "ISO 7064 modulo 97-10", rule: "lei", form: "dddddddddddddddddddd", company: func(c *catalog.Company, v *string) { c.LEI = v }},
		{name: "LEI, digits and letters", formula: "ISO 7064 modulo 97-10", rule: "lei", form: "xxxxxxxxxxxxxxxxxxdd", company: func(c *catalog.Company, v *string) { c.LEI = v }},
		{name: "IBAN, digits", formula: "ISO 7064 modulo 97-10", rule: "iban", form: "DEdddddddddddddddddddd", company: func(c *catalog.Company, v *string) { c.IBAN = v }},
	}
	vs, _ := vectors(t)
	seen := map[string]bool{}
	for _, v := range vs {
		if v.Want != "valid" || !strings.HasPrefix(v.Rule, "vat.") || seen[v.Rule] {
			continue
		}
		seen[v.Rule] = true
		form := strings.Map(func(c rune) rune {
			switch {
			case strings.ContainsRune(" .-", c):
				return -1
			case c >= '0' && c <= '9':
				return 'd'
			}
			return c
		}, strings.ToUpper(*v.Company.VAT))
		if form == "LVddddddddddd" {
			form = "LV4dddddddddd" // those of persons, from 0 to 3, have no check digit
		}
		example := strings.NewReplacer(" ", "", ".", "", "-", "").Replace(strings.ToUpper(*v.Company.VAT))
		all = append(all, scheme{name: "VAT " + form[:2], formula: "see the rule", rule: v.Rule, form: form, example: example, company: func(c *catalog.Company, v *string) { c.VAT = v }})
	}
	return all
}

// checker tells whether the scheme's rule accepts a number, however other rules see it.
func (s scheme) checker() func(number []byte) bool {
	problem := s.problem()
	return func(number []byte) bool { return problem(number) == nil }
}

// problem gives what the scheme's rule has against a number, nil if nothing.
func (s scheme) problem() func(number []byte) *catalog.Problem {
	var r catalog.Report
	var p catalog.Product
	var c catalog.Company
	var text string
	if s.product != nil {
		s.product(&p, &text)
	} else {
		s.company(&c, &text)
	}
	check := catalog.Validator{Now: today}
	return func(number []byte) *catalog.Problem {
		r.Reset()
		text = string(number)
		if s.product != nil {
			check.Product(&r, &p)
		} else {
			check.Company(&r, &c)
		}
		for i, problem := range r.Errors {
			if problem.Rule == s.rule {
				return &r.Errors[i]
			}
		}
		return nil
	}
}

// complete fills the places of number that are not fixed until the rule accepts it. It gives up
// where the fixed ones leave no such number.
func (s scheme) complete(rng *rand.Rand, number []byte, problem func([]byte) *catalog.Problem, fixed ...int) bool {
	const tries = 1000
	free := make([]int, 0, len(s.form))
	for i := range len(s.form) {
		switch {
		case classes[s.form[i]] == "":
			number[i] = s.form[i]
		case !slices.Contains(fixed, i):
			free = append(free, i)
		}
	}
	fill := func(i int) {
		class := classes[s.form[i]]
		number[i] = class[rng.IntN(len(class))]
	}
	for _, i := range free {
		if s.example == "" {
			fill(i)
		} else {
			number[i] = s.example[i]
		}
	}
	fill(free[rng.IntN(len(free))])
	for range tries {
		p := problem(number)
		if p == nil {
			return true
		}
		// Check characters that are told, at the end or behind the country, need not be guessed.
		expected := p.Expected // p is gone with the next call
		for _, place := range []int{len(number) - len(expected), 2} {
			if expected == "" || !slices.Contains(free, place) || !slices.Contains(free, place+len(expected)-1) {
				continue
			}
			before := string(number)
			copy(number[place:], expected)
			if problem(number) == nil {
				return true
			}
			copy(number, before)
		}
		i := free[rng.IntN(len(free))]
		if s.example == "" || rng.IntN(2) == 0 {
			fill(i)
		} else {
			number[i] = s.example[i]
		}
	}
	return false
}

// pairs calls f with pairs of different characters: all of them, or a sample of most.
func pairs(rng *rand.Rand, a, b string, most int, f func(a, b byte)) {
	if len(a)*len(b) <= most {
		for i := range len(a) {
			for j := range len(b) {
				if a[i] != b[j] {
					f(a[i], b[j])
				}
			}
		}
		return
	}
	for range most {
		if x, y := a[rng.IntN(len(a))], b[rng.IntN(len(b))]; x != y {
			f(x, y)
		}
	}
}

// rates measures which share of wrong characters and of swapped neighbours the rule finds: at
// every place, every pair of different digits once, in a number with anything else around.
// For sums with weights the rest does not matter, so that the share is exact.
func (s scheme) rates(rng *rand.Rand) (single, swap float64) {
	const most = 150 // pairs a place; all pairs of digits are 100
	valid, problem := s.checker(), s.problem()
	number := make([]byte, len(s.form))
	var singles, found, swaps, foundSwaps int
	for i := range len(s.form) {
		class := classes[s.form[i]]
		if class == "" {
			continue
		}
		impossible := "" // characters that no number has at this place
		pairs(rng, class, class, most, func(a, b byte) {
			if strings.IndexByte(impossible, a) >= 0 {
				return
			}
			number[i] = a
			if !s.complete(rng, number, problem, i) {
				impossible += string(a)
				return
			}
			singles++
			if number[i] = b; !valid(number) {
				found++
			}
		})
		if i+1 == len(s.form) || classes[s.form[i+1]] == "" {
			continue
		}
		pairs(rng, class, classes[s.form[i+1]], most, func(a, b byte) {
			if strings.IndexByte(impossible, a) >= 0 {
				return
			}
			number[i], number[i+1] = a, b
			if s.complete(rng, number, problem, i, i+1) {
				swaps++
				if number[i], number[i+1] = b, a; !valid(number) {
					foundSwaps++
				}
			}
		})
	}
	return float64(found) / float64(singles), float64(foundSwaps) / float64(swaps)
}

// The rates that docs/catalog.md states are those that come out.
func TestCheckCharacters_DetectionRatesAreThoseStated(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures hundreds of thousands of numbers")
	}
	doc, err := os.ReadFile("../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemes(t) {
		single, swap := s.rates(rand.New(rand.NewPCG(1, 2)))
		row := fmt.Sprintf("| %s | %s | %.1f %% | %.1f %% |", s.name, s.formula, 100*single, 100*swap)
		if !strings.Contains(string(doc), row+"\n") {
			t.Errorf("docs/catalog.md does not have the row\n%s", row)
		}
	}
}

// Wherever a rule says which check characters are right, putting them in is right.
func TestCheckCharacters_ExpectedOnesAreRight(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, s := range schemes(t) {
		problem, number, told := s.problem(), make([]byte, len(s.form)), 0
		for range 50 {
			if !s.complete(rng, number, problem) {
				t.Fatalf("%s: no valid number found", s.name)
			}
			for range 10 {
				i := rng.IntN(len(number))
				class := classes[s.form[i]]
				if class == "" {
					continue
				}
				was := number[i]
				number[i] = class[rng.IntN(len(class))]
				if p := problem(number); p != nil && p.Expected != "" {
					told++
					if !s.cured(number, p.Expected) {
						t.Errorf("%s: %s is not right with %q anywhere", s.name, number, p.Expected)
					}
				}
				number[i] = was
			}
		}
		// Where several check characters would do, or which digit is wrong cannot be told, none are.
		if silent := strings.Contains("VAT GB VAT XI VAT NL VAT MT IBAN, digits", s.name); told == 0 && !silent {
			t.Errorf("%s: no check characters were told", s.name)
		}
	}
}

// cured reports whether the rule accepts number with the check characters in one place.
func (s scheme) cured(number []byte, check string) bool {
	valid := s.checker()
	for i := 0; i+len(check) <= len(number); i++ {
		try := append([]byte(nil), number...)
		copy(try[i:], check)
		if valid(try) {
			return true
		}
	}
	return false
}

// GS1 General Specifications: the check digit finds every single wrong digit, says what the
// last one should be, and misses a swap of neighbours exactly if they differ by 5.
func TestGTIN_MissesNothingButSwapsOfDigitsFiveApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := strings.Repeat("d", rapid.SampledFrom([]int{8, 12, 13, 14}).Draw(t, "length"))
		s := scheme{rule: "gtin", form: form, product: func(p *catalog.Product, v *string) { p.GTIN = v }}
		valid, number := s.checker(), make([]byte, len(form))
		seed := rapid.Uint64().Draw(t, "seed")
		if !s.complete(rand.New(rand.NewPCG(seed, 0)), number, s.problem()) {
			t.Fatal("no GTIN found")
		}
		gtin := string(number)
		for i := range number {
			for d := byte('0'); d <= '9'; d++ {
				wrong := gtin[:i] + string(d) + gtin[i+1:]
				r := catalog.ValidateProduct(catalog.Product{GTIN: &wrong}, today)
				problems := ofRule(r.Errors, "gtin")
				if wrong != gtin && len(problems) != 1 {
					t.Fatalf("%s is accepted, one digit from %s", wrong, gtin)
				}
				if i == len(gtin)-1 && wrong != gtin && problems[0].Expected != gtin[i:] {
					t.Fatalf("%s: expected digit %q, want %q", wrong, problems[0].Expected, gtin[i:])
				}
			}
			if i == 0 {
				continue
			}
			number[i-1], number[i] = gtin[i], gtin[i-1]
			diff := int(gtin[i]) - int(gtin[i-1])
			if missed := valid(number); missed != (diff == 0 || diff == 5 || diff == -5) {
				t.Fatalf("%s for %s: accepted = %v", number, gtin, missed)
			}
			copy(number, gtin)
		}
	})
}
