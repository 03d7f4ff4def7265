package catalog_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/catalog"
)

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
				if !strings.HasPrefix(p.Pointer, "/") || p.Source == "" || p.Message == "" || strings.Contains(p.Message, "%!") {
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
			HIBC: &s, SSCC: &s, GS1Elements: &s, ManufacturedOn: &s, Rx: &catalog.Rx{Base: &s},
			Frame: &catalog.Frame{Size: &s, Construction: &s, Material: &s}, Price: &catalog.Price{Currency: &s},
			Images: []catalog.Image{{Name: &s, ContentType: &s}},
		}
		first := catalog.ValidateProduct(p, today)
		if diff := cmp.Diff(first, catalog.ValidateProduct(p, today)); diff != "" {
			t.Errorf("validated twice with different results:\n%s", diff)
		}
	})
}

// FuzzElementString: whatever the string is, the rule answers, and one that passes in brackets
// names each of its identifiers.
func FuzzElementString(f *testing.F) {
	vs, _ := vectors(f)
	for _, v := range vs {
		if v.Product != nil && v.Product.GS1Elements != nil {
			f.Add(*v.Product.GS1Elements)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := catalog.ValidateProduct(catalog.Product{GS1Elements: &s}, today)
		if len(r.Errors) == 0 && !strings.ContainsAny(s, "0123456789") {
			t.Errorf("%q has no identifier and no error", s)
		}
	})
}

// FuzzNormal: what is stored is valid, and normal already.
func FuzzNormal(f *testing.F) {
	for _, s := range []string{"8056890123451", " 8-056890-123451 ", "ab-52", "８０５６８９０１２３４５１", "96385074", "ß"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if gtin, ok := catalog.NormalGTIN(s); ok {
			if again, ok := catalog.NormalGTIN(gtin); !ok || again != gtin || len(gtin) != 14 {
				t.Errorf("NormalGTIN(%q) = %q, of which it makes %q, %v", s, gtin, again, ok)
			}
		}
		if sku, ok := catalog.NormalSKU(s); ok {
			if again, ok := catalog.NormalSKU(sku); !ok || again != sku {
				t.Errorf("NormalSKU(%q) = %q, of which it makes %q, %v", s, sku, again, ok)
			}
		}
	})
}

// FuzzSafeCell: no cell begins as a formula does, and the value can be had back.
func FuzzSafeCell(f *testing.F) {
	for _, s := range []string{"=1+1", "-1.00", "@SUM(A1)", "\tx", "\r=x", " =x", "＝x", "plain", "", "'quoted"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cell := catalog.SafeCell(s)
		if cell != s && cell != "'"+s {
			t.Errorf("SafeCell(%q) = %q", s, cell)
		}
		if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
			t.Errorf("SafeCell(%q) = %q, which may be a formula", s, cell)
		}
	})
}

func FuzzValidateImage(f *testing.F) {
	for _, file := range imageFiles() {
		f.Add(file)
	}
	f.Fuzz(func(_ *testing.T, head []byte) {
		catalog.ValidateImage(catalog.Image{}, head, int64(len(head)), catalog.ImageLimits{})
	})
}
