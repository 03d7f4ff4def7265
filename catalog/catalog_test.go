package catalog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/catalog"
)

var today = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// caps are the prices that the vectors' manufacturer may ask for.
var caps = map[string]int64{"EUR": 500_000, "JPY": 100_000}

// vector is a line of testdata/vectors.jsonl: a document, a rule, and what the rule must
// say of it. A valid document must have no error of any rule. Where there is a product
// before, it is the change that is looked at as well.
type vector struct {
	Rule     string           `json:"rule"`
	Want     string           `json:"want"` // valid, warning or error
	Expected string           `json:"expected"`
	Before   *catalog.Product `json:"before"`
	On       string           `json:"on"` // the day, instead of today
	Product  *catalog.Product `json:"product"`
	Company  *catalog.Company `json:"company"`
}

func (v vector) report(now time.Time) catalog.Report {
	var r catalog.Report
	check := catalog.Validator{Now: now, PriceCaps: caps}
	if v.On != "" {
		check.Now, _ = time.Parse(time.DateOnly, v.On)
	}
	if v.Company != nil {
		check.Company(&r, v.Company)
		return r
	}
	if v.Before != nil {
		check.Change(&r, v.Before, v.Product)
	}
	check.Product(&r, v.Product)
	return r
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
	for _, rule := range catalog.Rules() {
		n := count[rule.ID]
		delete(count, rule.ID)
		passes := n["valid"] > 0
		switch rule.ID {
		case "gtin.prefix": // any valid GTIN passes
			passes = count["gtin"]["valid"] > 0 || count["gtin14.level"]["valid"] > 0
		case "vat": // a number that passes is of a country
			passes = true
		}
		if !passes || strings.Contains(rule.Severity, "error") && n["error"] == 0 || strings.Contains(rule.Severity, "warning") && n["warning"] == 0 {
			t.Errorf("rule %s (%s) is not tested in both directions: %v", rule.ID, rule.Severity, n)
		}
	}
	for rule := range count {
		t.Errorf("vectors test the rule %s, which Rules does not list", rule)
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
		{Pointer: "/gtin", Rule: "gtin", Severity: "error", Message: "the check digit is wrong", Expected: "1", Source: "GS1 General Specifications 7.9"},
		{Pointer: "/price/currency", Rule: "currency", Severity: "error", Message: "this currency has been withdrawn", Expected: "EUR", Source: "ISO 4217"},
		{Pointer: "/price/amount_minor", Rule: "money", Severity: "error", Message: "an amount is a whole number, counted in minor units of the currency, such as cents", Source: "ISO 4217, RFC 7493 2.2"},
		{Pointer: "/frame/size", Rule: "frame.size", Severity: "error", Message: "a frame's size is lens width, distance between lenses and side length in millimetres, as 52□18 140", Source: "ISO 8624, ISO 12870, MDCG 2025-8"},
		{Pointer: "/images/1/name", Rule: "upload", Severity: "error", Message: "this kind of image is not accepted", Expected: ".jpg, .png, .webp, .avif, .gif", Source: "makerguard"},
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

func TestValidateProduct_UDIIsRequiredOfFramesMadeFromNovember2028(t *testing.T) {
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
	// What counts is when the product was made, where that is told.
	later := udiForce.AddDate(1, 0, 0)
	for made, want := range map[string]int{"2028-10-31": 0, "2028-11-01": 2} {
		frame.ManufacturedOn = &made
		if r := catalog.ValidateProduct(frame, later); len(ofRule(r.Errors, "udi.eu")) != want {
			t.Errorf("made on %s: %+v, want %d errors", made, r, want)
		}
		ids := catalog.Product{GMN: new("805689FRIMMET52XT"), MasterUDIDI: new("1987654Ad4X4bL5ttr2310c2K"), ManufacturedOn: &made}
		before, after := ids, ids
		before.Frame, after.Frame = &catalog.Frame{Material: new("metal")}, &catalog.Frame{Material: new("plastic")}
		var r catalog.Report
		if (catalog.Validator{Now: later}).Change(&r, &before, &after); len(r.Errors)+len(r.Warnings) != 2 || len(r.Errors) != want {
			t.Errorf("changed and made on %s: %+v", made, r)
		}
	}
}

var udiForce = time.Date(2028, 11, 1, 0, 0, 0, 0, time.UTC)

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

func ExampleValidateProduct() {
	gtin, size := "4006381333932", "52□18 140"
	report := catalog.ValidateProduct(catalog.Product{GTIN: &gtin, Frame: &catalog.Frame{Size: &size}}, time.Now())
	for _, p := range report.Errors {
		fmt.Println(p.Pointer, p.Rule, p.Message, p.Expected)
	}
	// Output: /gtin gtin the check digit is wrong 1
}

func TestValidateProduct_MeasuresThatDoNotFitAreNamed(t *testing.T) {
	for want, f := range map[string]catalog.Frame{
		"/frame/lens_height /frame/effective_diameter": {LensWidth: new(50.0), LensHeight: new(55.0), EffectiveDiameter: new(53.0)},
		"/frame/lens_width /frame/side":                {Size: new("52□18 140"), LensWidth: new(52.6), Bridge: new(18.5), Side: new(143.0)},
		"/frame/pd /frame/front_width":                 {LensWidth: new(52.0), Bridge: new(18.0), PD: new(71.5), FrontWidth: new(121.0)},
		"":                                             {LensWidth: new(52.0), PD: new(10.0), FrontWidth: new(10.0)}, // without the bridge nothing follows
	} {
		var got []string
		for _, p := range ofRule(catalog.ValidateProduct(catalog.Product{Frame: &f}, today).Warnings, "frame.cross") {
			got = append(got, p.Pointer)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: warned of %v, want %s", f, got, want)
		}
	}
}

func TestRules_AreInTheDocument(t *testing.T) {
	doc, err := os.ReadFile("../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range catalog.Rules() {
		if seen[r.ID] {
			t.Errorf("rule %s stands twice", r.ID)
		}
		seen[r.ID] = true
		if row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.ID, r.Severity, r.Checks, r.Source); !strings.Contains(string(doc), row) {
			t.Errorf("docs/catalog.md does not have the row\n%s", row)
		}
	}
}
