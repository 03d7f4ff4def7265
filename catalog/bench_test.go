package catalog_test

import (
	"testing"

	"github.com/makerguard/makerguard/catalog"
)

// A product as a catalogue file has it: ten members, all right.
func BenchmarkValidator_Product(b *testing.B) {
	p := catalog.Product{
		SKU: new("AB-52_18"), Name: new("Aviator"), ProductType: new("sunglasses"), GTIN: new("8056890123451"), HSCode: new("900410"),
		CountryOfOrigin: new("IT"), Price: &catalog.Price{AmountMinor: new(12990.0), Currency: new("EUR")},
		Frame: &catalog.Frame{Size: new("52□18 140"), Material: new("metal")},
	}
	check := catalog.Validator{Now: today}
	var r catalog.Report
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		check.Product(&r, &p)
	}
	if len(r.Errors)+len(r.Warnings) != 0 {
		b.Fatalf("%+v", r)
	}
}

func BenchmarkValidator_Company(b *testing.B) {
	c := catalog.Company{
		Name: new("Brillenwerk"), Country: new("DE"), VAT: new("DE136695976"), LEI: new("5493001KJTIIGC8Y1R12"), IBAN: new("DE89370400440532013000"),
		BIC: new("DEUTDEFF"), GLN: new("5412345000013"), Email: new("sales@brillen.example"), Website: new("https://brillen.example"),
	}
	check := catalog.Validator{Now: today}
	var r catalog.Report
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		check.Company(&r, &c)
	}
	if len(r.Errors)+len(r.Warnings) != 0 {
		b.Fatalf("%+v", r)
	}
}
