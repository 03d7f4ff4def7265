package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/catalog"
)

// writings are ways in which people and programs write the same number.
var writings = map[string]func(string) string{
	"small letters": strings.ToLower,
	"full width": func(s string) string {
		return strings.Map(func(c rune) rune {
			if c > ' ' && c <= '~' {
				return c + 0xFEE0
			}
			return c
		}, s)
	},
	"no-break spaces":   func(s string) string { return grouped(s, "\u00a0") },
	"thin spaces":       func(s string) string { return grouped(s, "\u2009") },
	"dots":              func(s string) string { return grouped(s, ".") },
	"dashes":            func(s string) string { return grouped(s, "-") },
	"en dashes":         func(s string) string { return grouped(s, "–") },
	"no-break hyphens":  func(s string) string { return grouped(s, "\u2011") },
	"space around":      func(s string) string { return "\t \u00a0" + s + "\u2003\r\n" },
	"marks nobody sees": func(s string) string { return "\ufeff\u202a" + s + "\u202c\u200b" },
}

// grouped parts s into groups of four characters.
func grouped(s, by string) string {
	var groups []string
	for g := range slices.Chunk([]rune(s), 4) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, by)
}

// However a number is written, the same is said of it: right stays right, and wrong is wrong with
// the same check digit expected.
func TestValidate_TheWritingOfANumberDoesNotMatter(t *testing.T) {
	vs, lines := vectors(t)
	tried := map[string]int{}
	for i, v := range vs {
		member := number(v)
		if member == nil {
			continue
		}
		was := **member
		want := v.report(today)
		for name, write := range writings {
			*member = new(write(was))
			if diff := cmp.Diff(want, v.report(today)); diff != "" {
				t.Errorf("%s\n\twith %s, %q: -want +got\n%s", lines[i], name, **member, diff)
			}
		}
		tried[v.Rule]++
	}
	for _, rule := range []string{"gtin", "gln", "sscc", "hs", "vat.DE", "vat.CH", "lei", "iban", "bic", "duns", "uei", "eori"} {
		if tried[rule] < 2 {
			t.Errorf("rule %s was tried with %d numbers, want at least 2", rule, tried[rule])
		}
	}
}

// number gives the member that a vector is about if it may be written with spaces, dots and
// dashes and is not empty, else nil.
func number(v vector) **string {
	var members []**string
	if p := v.Product; p != nil {
		members = []**string{&p.GTIN, &p.SSCC, &p.HSCode}
	}
	if c := v.Company; c != nil {
		members = []**string{&c.GLN, &c.LEI, &c.IBAN, &c.BIC, &c.DUNS, &c.UEI, &c.EORI, &c.VAT}
	}
	for _, m := range members {
		// A note on how a spreadsheet spoilt a number is not made if it is spoilt further.
		if *m != nil && **m != "" && !strings.Contains(**m, "E+") && !strings.ContainsRune(**m, '\x00') {
			return m
		}
	}
	return nil
}

// What a rule stores and compares does not depend on the writing either.
func TestNormal_TheWritingDoesNotMatter(t *testing.T) {
	for name, write := range writings {
		if got, ok := catalog.NormalGTIN(write("4006381333931")); !ok || got != "04006381333931" {
			t.Errorf("with %s: NormalGTIN = %q, %v", name, got, ok)
		}
	}
	for v, want := range map[string]string{" ab–52_18\u00a0": "AB-52_18", "ＡＢ－５２": "AB-52", "\ufeffA.1": "A.1"} {
		if got, ok := catalog.NormalSKU(v); !ok || got != want {
			t.Errorf("NormalSKU(%q) = %q, %v, want %q", v, got, ok, want)
		}
	}
}
