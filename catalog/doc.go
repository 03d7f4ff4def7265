// Package catalog checks the business data that manufacturers send: the numbers,
// codes, measures and prices of eyewear products and of companies.
//
// Each rule has a stable name and a severity, and says "well-formed", never
// "registered": a number that passes may still belong to nobody. A check digit finds every
// single wrong digit, but a GTIN's misses a swap of neighbours that differ by 5
// (4006381333931 and 4006831333931 are both right), so it is no proof.
//
// Values are normalised before they are checked: surrounding space is dropped, Unicode
// compatibility forms are folded (NFKC), letters are put in capitals, and spaces,
// dots and dashes are dropped where the identifier is commonly written with them. A rule
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
