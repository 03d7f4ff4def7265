// Package catalog checks the business data that manufacturers send: the numbers,
// codes, measures and prices of eyewear products and of companies.
//
// Each rule has a stable name and a severity, and says "well-formed", never
// "registered": a number that passes may still belong to nobody. Check digits find most
// mistakes of typing and not all: a GTIN's finds every single wrong digit and misses a swap
// of neighbours that differ by 5 (4006381333931 and 4006831333931 are both right).
// docs/catalog.md has the rates.
//
// Values are normalised before they are checked: surrounding space and marks that nobody
// sees are dropped, Unicode compatibility forms are folded (NFKC), letters are put in capitals,
// dashes of all kinds are one, and spaces, dots and dashes are dropped where the identifier
// is commonly written with them. A rule
// runs where its member is present; a missing member is a problem only where a rule
// says so. Everything here is a pure function, and safe for concurrent use.
//
// It does not look for attacks in the text (package threat does).
//
//	report := catalog.ValidateProduct(product, time.Now())
//	for _, p := range report.Errors {
//		fmt.Println(p.Pointer, p.Rule, p.Message, p.Expected)
//	}
package catalog
