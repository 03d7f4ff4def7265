package catalog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard/catalog"
)

var today = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// vector is a line of testdata/vectors.jsonl: a document, a rule, and what the rule must
// say of it. A valid document must have no error of any rule.
type vector struct {
	Rule     string           `json:"rule"`
	Want     string           `json:"want"` // valid, warning or error
	Expected string           `json:"expected"`
	Product  *catalog.Product `json:"product"`
	Company  *catalog.Company `json:"company"`
}

func (v vector) report(now time.Time) catalog.Report {
	if v.Product != nil {
		return catalog.ValidateProduct(*v.Product, now)
	}
	return catalog.ValidateCompany(*v.Company, now)
}

func vectors(t testing.TB) (vs []vector, lines []string) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		dec := json.NewDecoder(strings.NewReader(sc.Text()))
		dec.DisallowUnknownFields()
		var v vector
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%s: %v", sc.Text(), err)
		}
		vs, lines = append(vs, v), append(lines, sc.Text())
	}
	return vs, lines
}

func ofRule(ps []catalog.Problem, rule string) []catalog.Problem {
	var found []catalog.Problem
	for _, p := range ps {
		if p.Rule == rule {
			found = append(found, p)
		}
	}
	return found
}

func TestValidate_Vectors(t *testing.T) {
	vs, lines := vectors(t)
	count := map[string]map[string]int{}
	for i, v := range vs {
		r := v.report(today)
		errs, warnings := ofRule(r.Errors, v.Rule), ofRule(r.Warnings, v.Rule)
		var got []catalog.Problem
		ok := false
		switch v.Want {
		case "valid":
			ok = len(r.Errors) == 0 && len(warnings) == 0
		case "warning":
			got, ok = warnings, len(r.Errors) == 0 && len(warnings) > 0
		case "error":
			got, ok = errs, len(errs) > 0
		}
		if !ok {
			t.Errorf("%s\n\tgot %+v", lines[i], r)
			continue
		}
		if v.Expected != "" && got[0].Expected != v.Expected {
			t.Errorf("%s\n\texpected value %q, got %q", lines[i], v.Expected, got[0].Expected)
		}
		if count[v.Rule] == nil {
			count[v.Rule] = map[string]int{}
		}
		count[v.Rule][v.Want]++
	}
	t.Logf("%d vectors of %d rules", len(vs), len(count))
	for rule, n := range count {
		if n["valid"] == 0 && rule != "gtin.prefix" && rule != "vat" || n["error"]+n["warning"] == 0 {
			t.Errorf("rule %s is not tested in both directions: %v", rule, n)
		}
	}
}

func TestValidate_ProblemsSayWhereAndWhat(t *testing.T) {
	var p catalog.Product
	err := json.Unmarshal([]byte(`{"gtin":"4006381333932","frame":{"size":"52□18"},"price":{"amount_minor":1.5,"currency":"HRK"},
		"images":[{"name":"a.png"},{"name":"a.svg"}]}`), &p)
	if err != nil {
		t.Fatal(err)
	}
	want := catalog.Report{Errors: []catalog.Problem{
		{Pointer: "/gtin", Rule: "gtin", Severity: "error", Message: "the check digit is wrong", Expected: "1"},
		{Pointer: "/price/currency", Rule: "currency", Severity: "error", Message: "this currency has been withdrawn", Expected: "EUR"},
		{Pointer: "/price/amount_minor", Rule: "money", Severity: "error", Message: "an amount is a whole number, counted in minor units of the currency, such as cents"},
		{Pointer: "/frame/size", Rule: "frame.size", Severity: "error", Message: "a frame's size is lens width, distance between lenses and side length in millimetres, as 52□18 140"},
		{Pointer: "/images/1/name", Rule: "upload", Severity: "error", Message: "this kind of image is not accepted", Expected: ".jpg, .png, .webp, .avif, .gif"},
	}}
	if diff := cmp.Diff(want, catalog.ValidateProduct(p, today)); diff != "" {
		t.Errorf("ValidateProduct: -want +got\n%s", diff)
	}
	if r := catalog.ValidateProduct(catalog.Product{}, today); len(r.Errors)+len(r.Warnings) != 0 {
		t.Errorf("an empty product has problems: %+v", r)
	}
	if r := catalog.ValidateCompany(catalog.Company{}, today); len(r.Errors)+len(r.Warnings) != 0 {
		t.Errorf("an empty company has problems: %+v", r)
	}
}

func TestValidateProduct_UDIIsRequiredFromNovember2028(t *testing.T) {
	frame := catalog.Product{ProductType: new("frame"), GTIN: new("8056890123451")}
	for now, want := range map[string]int{"2028-10-31T23:59:59Z": 0, "2028-11-01T00:00:00Z": 2} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if r := catalog.ValidateProduct(frame, at); len(ofRule(r.Errors, "udi.eu")) != want || len(ofRule(r.Warnings, "udi.eu")) != 2-want {
			t.Errorf("at %s: %+v, want %d errors", now, r, want)
		}
	}
}

// GS1 General Specifications: the check digit finds every single wrong digit, and says
// what the last one should be.
func TestValidateProduct_GTINFindsEverySingleDigitError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.SampledFrom([]int{8, 12, 13, 14}).Draw(t, "length")
		body := rapid.StringMatching(fmt.Sprintf(`[1-8][0-9]{%d}`, length-2)).Draw(t, "body")
		var gtin string
		for d := range 10 {
			s := body + string(byte('0'+d))
			problems := ofRule(catalog.ValidateProduct(catalog.Product{GTIN: &s}, today).Errors, "gtin")
			if len(problems) == 0 {
				if gtin != "" {
					t.Fatalf("%s and %s are both accepted", gtin, s)
				}
				gtin = s
			}
		}
		if gtin == "" {
			t.Fatalf("no check digit fits %s", body)
		}
		for i := range gtin {
			for d := byte('0'); d <= '9'; d++ {
				if d == gtin[i] {
					continue
				}
				wrong := gtin[:i] + string(d) + gtin[i+1:]
				problems := ofRule(catalog.ValidateProduct(catalog.Product{GTIN: &wrong}, today).Errors, "gtin")
				if len(problems) != 1 {
					t.Fatalf("%s is accepted, one digit from %s", wrong, gtin)
				}
				if i == len(gtin)-1 && problems[0].Expected != gtin[i:] {
					t.Fatalf("%s: expected digit %q, want %q", wrong, problems[0].Expected, gtin[i:])
				}
			}
		}
	})
}

// Wherever a rule says which check characters are right, putting them in is right.
func TestValidateCompany_ExpectedCheckCharactersAreRight(t *testing.T) {
	last := map[string]func(s, check string) string{
		"lei": func(s, check string) string { return s[:18] + check },
		"gln": func(s, check string) string { return s[:12] + check },
	}
	vs, _ := vectors(t)
	tried := 0
	for _, v := range vs {
		if v.Company == nil || v.Want != "valid" {
			continue
		}
		for rule, member := range map[string]*string{"lei": v.Company.LEI, "gln": v.Company.GLN} {
			if member == nil {
				continue
			}
			s := strings.ToUpper(strings.ReplaceAll(*member, " ", ""))
			for d := byte('0'); d <= '9'; d++ {
				wrong := s[:3] + string(d) + s[4:]
				doc := catalog.Company{LEI: &wrong}
				if rule == "gln" {
					doc = catalog.Company{GLN: &wrong}
				}
				for _, p := range ofRule(catalog.ValidateCompany(doc, today).Errors, rule) {
					tried++
					wrong = last[rule](wrong, p.Expected)
					if r := catalog.ValidateCompany(doc, today); len(r.Errors) != 0 {
						t.Errorf("%s with the check characters expected: %+v", wrong, r.Errors)
					}
				}
			}
		}
	}
	if tried == 0 {
		t.Error("nothing was tried")
	}
}

func TestCountry(t *testing.T) {
	assigned := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if catalog.Country(string([]rune{a, b})) {
				assigned++
			}
		}
	}
	if assigned != 250 {
		t.Errorf("%d codes, want the 249 of ISO 3166-1 and XK", assigned)
	}
	for _, code := range []string{"", "D", "de", "D ", " D", "DEU", "UK", "EL", "EU"} {
		if catalog.Country(code) {
			t.Errorf("Country(%q) = true", code)
		}
	}
}

func FuzzValidate(f *testing.F) {
	vs, _ := vectors(f)
	for _, v := range vs {
		for _, doc := range []any{v.Product, v.Company} {
			b, err := json.Marshal(doc)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p catalog.Product
		var c catalog.Company
		var reports []catalog.Report
		if json.Unmarshal(data, &p) == nil {
			reports = append(reports, catalog.ValidateProduct(p, today))
		}
		if json.Unmarshal(data, &c) == nil {
			reports = append(reports, catalog.ValidateCompany(c, today))
		}
		for _, r := range reports {
			for _, p := range slices.Concat(r.Errors, r.Warnings) {
				if !strings.HasPrefix(p.Pointer, "/") || p.Rule == "" || p.Message == "" || strings.Contains(p.Message, "%!") {
					t.Errorf("problem %+v", p)
				}
			}
		}
	})
}

// FuzzValidateCompany_VAT fuzzes the members whose formulas index into what was sent.
func FuzzValidateCompany_VAT(f *testing.F) {
	vs, _ := vectors(f)
	for _, v := range vs {
		if v.Company != nil && v.Company.VAT != nil {
			f.Add(*v.Company.VAT)
		}
	}
	f.Fuzz(func(t *testing.T, vat string) {
		r := catalog.ValidateCompany(catalog.Company{VAT: &vat}, today)
		if len(r.Errors)+len(r.Warnings) > 1 {
			t.Errorf("%q has more than one problem: %+v", vat, r)
		}
	})
}

func FuzzValidateProduct_Texts(f *testing.F) {
	vs, _ := vectors(f)
	for _, v := range vs {
		if v.Product != nil && v.Product.Frame != nil && v.Product.Frame.Size != nil {
			f.Add(*v.Product.Frame.Size)
		}
	}
	f.Add("1987654Ad4X4bL5ttr2310c2K")
	f.Fuzz(func(t *testing.T, s string) {
		p := catalog.Product{
			SKU: &s, GTIN: &s, GMN: &s, MasterUDIDI: &s, HSCode: &s, CountryOfOrigin: &s, ProductType: &s, DescriptionFormat: &s,
			Frame: &catalog.Frame{Size: &s, Construction: &s, Material: &s}, Price: &catalog.Price{Currency: &s},
			Images: []catalog.Image{{Name: &s, ContentType: &s}},
		}
		first := catalog.ValidateProduct(p, today)
		if diff := cmp.Diff(first, catalog.ValidateProduct(p, today)); diff != "" {
			t.Errorf("validated twice with different results:\n%s", diff)
		}
	})
}

func ExampleValidateProduct() {
	gtin, size := "4006381333932", "52□18 140"
	report := catalog.ValidateProduct(catalog.Product{GTIN: &gtin, Frame: &catalog.Frame{Size: &size}}, time.Now())
	for _, p := range report.Errors {
		fmt.Println(p.Pointer, p.Rule, p.Message, p.Expected)
	}
	// Output: /gtin gtin the check digit is wrong 1
}
