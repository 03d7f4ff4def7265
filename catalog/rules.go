package catalog

import "slices"

// Rule describes one rule.
type Rule struct {
	ID       string // stable: "gtin", "vat.DE"
	Severity string // of its problems: "error", "warning", or "error, warning"
	Source   string // the standard or office that says so
	Checks   string // in a few words
}

const (
	isError   = "error"
	isWarning = "warning"
	isBoth    = "error, warning"

	sourceGS1    = "GS1 General Specifications 7.9"
	sourcePair   = "GS1 General Specifications 7.9.5"
	sourceMDCG   = "MDCG 2025-8"
	sourceBoxing = "ISO 8624, ISO 12870, MDCG 2025-8"
	sourceVIES   = "European Commission, VIES; formula of the national tax office"
	sourceOwn    = "makerguard"
)

// rules are all rules, in the order of the documents' members.
var rules = []Rule{
	{"gtin", isError, sourceGS1, "8, 12, 13 or 14 digits, not all zeros, with a right check digit"},
	{"gtin.prefix", isError, "GS1 prefix list", "not a number for use in a store, coupons, demonstrations, books or periodicals"},
	{"gtin14.level", isError, "GS1 General Specifications, packaging levels", "a GTIN-14 begins with 0 to 8: 9 is for variable measure"},
	{"gln", isError, sourceGS1, "13 digits with a right check digit"},
	{"sscc", isError, sourceGS1, "18 digits with a right check digit"},
	{"gs1.ai", isBoth, "GS1 Barcode Syntax Dictionary", "an element string's identifiers, lengths, check digits and dates; (8014) and what tells of an item need (01); a warning for identifiers that are not known and for a GTIN other than the product's"},
	{"gmn", isError, sourcePair, "Basic UDI-DI: five digits first, up to 25 characters of set 82, right check pair"},
	{"hidri", isError, sourcePair + ", GS1 Barcode Syntax Dictionary", "Master UDI-DI: as gmn, at least one character that is no digit, and a GTIN beside it"},
	{"hibc", isError, "HIBCC Supplier Labeling Standard (ANSI/HIBC 2)", "+, labeler, product, unit of measure, right check character (modulo 43)"},
	{"udi.eu", isBoth, "Regulation (EU) 2017/745, Delegated Regulation (EU) 2025/1920, " + sourceMDCG, "frames and readers have a Basic and a Master UDI-DI, and new ones after a change of construction, material or lens width; an error for products made from 2028-11-01, a warning for older ones"},
	{"udi.us", isWarning, "FDA guidance on UDI for consumer health products (2022)", "frames, readers and sunglasses have a GTIN"},
	{"hs", isBoth, "WCO Harmonized System, headings 9001, 9003, 9004", "4, 6, 8 or 10 digits that agree with product type and material; a warning for other headings"},
	{"country", isError, "ISO 3166-1", "an assigned two-letter code, or XK"},
	{"currency", isError, "ISO 4217", "a code in use, not one that was withdrawn"},
	{"money", isBoth, "ISO 4217, RFC 7493 2.2", "a whole number of minor units from 0 to 2^53-1; a warning without a currency"},
	{"frame.size", isBoth, sourceBoxing, "lens width 30 to 75, bridge 8 to 35, side 80 to 180 mm; a warning outside 40 to 60, 12 to 26, 120 to 160"},
	{"frame.construction", isError, sourceMDCG, "full_rim, half_rim, rimless or other"},
	{"frame.material", isError, sourceMDCG, "metal, plastic, combination or other"},
	{"frame.cross", isWarning, sourceBoxing, "measures fit together: height at most width, effective diameter at least both, PD = A + DBL, front 2A + DBL and up to 30 mm more, marked as measured (0.5 mm, side 2 mm)"},
	{"lens.material", isError, sourceMDCG, "glass, plastic or other"},
	{"sun.category", isBoth, "ISO 12312-1", "category 0 to 4 as the transmittance has it; a warning if category 4 does not say it is not for driving, or darker than 75 % offers night driving"},
	{"rx", isBoth, "ISO 13666 (terms and signs); ranges and steps of the trade", "sphere to 30, cylinder to 10, addition 0.25 to 4, prism to 30 with a base, steps of 0.25 (eighths: warning), axis 1 to 180 exactly with a cylinder"},
	{"readers", isBoth, sourceMDCG, "ready-made readers of +1.00 to +3.50 tell lens width, construction and frame material; a warning without lens material and for other powers"},
	{"upload", isBoth, sourceOwn, "SKU, product type and description format; names, kinds, bytes and pixels of images; dates of ISO 8601 not in the future; price within the tier's cap; a warning for another word for a product type that is known"},

	{"vat", isBoth, sourceVIES, "begins with a country; a warning for countries whose numbers are not checked"},
	{"vat.AT", isError, sourceVIES, "U and 8 digits, digit sums from 96, modulo 10"},
	{"vat.BE", isError, sourceVIES, "10 digits from 0 or 1, the last two 97 less the first eight modulo 97"},
	{"vat.BG", isError, sourceVIES, "9 digits, weights 1 to 8 or else 3 to 10, modulo 11"},
	{"vat.CH", isError, "Swiss Federal Statistical Office, UID", "E, 9 digits, weights modulo 11, and MWST, TVA or IVA"},
	{"vat.CY", isError, sourceVIES, "8 digits not from 12, and a letter modulo 26"},
	{"vat.CZ", isError, sourceVIES, "8 digits modulo 11; the 9 or 10 of persons by form only"},
	{"vat.DE", isError, sourceVIES + ", ISO 7064", "9 digits, modulo 11,10"},
	{"vat.DK", isError, sourceVIES, "8 digits, weights modulo 11"},
	{"vat.EE", isError, sourceVIES, "9 digits, weights 3, 7, 1 modulo 10"},
	{"vat.EL", isError, sourceVIES, "9 digits, powers of 2 modulo 11; Greece is EL here"},
	{"vat.ES", isError, sourceVIES, "a letter modulo 23 for persons, a digit or letter by Luhn for companies"},
	{"vat.FI", isError, sourceVIES, "8 digits, weights modulo 11"},
	{"vat.FR", isError, sourceVIES, "SIREN by Luhn, numeric key modulo 97; other keys by form only"},
	{"vat.GB", isError, "HM Revenue and Customs", "9 or 12 digits modulo 97, old or new; GD and HA by form only"},
	{"vat.HR", isError, sourceVIES + ", ISO 7064", "11 digits, modulo 11,10"},
	{"vat.HU", isError, sourceVIES, "8 digits, weights 9, 7, 3, 1 modulo 10"},
	{"vat.IE", isError, sourceVIES, "7 digits and a letter modulo 23, old and new form"},
	{"vat.IT", isError, sourceVIES, "11 digits by Luhn, with the code of an office"},
	{"vat.LT", isError, sourceVIES, "9 or 12 digits modulo 11, the last but one 1"},
	{"vat.LU", isError, sourceVIES, "8 digits, the last two the first six modulo 89"},
	{"vat.LV", isError, sourceVIES, "11 digits, weights modulo 11; those of persons by form only"},
	{"vat.MT", isError, sourceVIES, "8 digits, weights modulo 37"},
	{"vat.NL", isError, sourceVIES, "9 digits, B and 2 digits, modulo 11 or modulo 97"},
	{"vat.PL", isError, sourceVIES, "10 digits, weights modulo 11"},
	{"vat.PT", isError, sourceVIES, "9 digits, weights modulo 11"},
	{"vat.RO", isError, sourceVIES, "2 to 10 digits, weights modulo 11"},
	{"vat.SE", isError, sourceVIES, "10 digits by Luhn, and 01"},
	{"vat.SI", isError, sourceVIES, "8 digits, weights modulo 11"},
	{"vat.SK", isError, sourceVIES, "10 digits that 11 divides"},
	{"vat.XI", isError, "HM Revenue and Customs", "as vat.GB"},
	{"lei", isError, "ISO 17442, ISO 7064", "18 letters and digits, two check digits modulo 97"},
	{"iban", isError, "ISO 13616, ISO 7064", "the country's length, check digits modulo 97"},
	{"bic", isError, "ISO 9362", "four letters, a country, two letters or digits, three more for a branch"},
	{"duns", isError, "Dun & Bradstreet", "9 digits, not all 0 or 9; there is no check digit any more"},
	{"uei", isError, "SAM.gov", "12 letters and digits without O and I, by form only"},
	{"eori", isBoth, "Regulation (EU) 952/2013, customs offices", "an EU state, GB or XI, and 1 to 15 letters and digits; a warning for a length unusual in the country"},
	{"srn", isError, "EUDAMED", "country, MF, AR, IM or PR, nine digits"},
	{"email", isError, "RFC 5322, RFC 5321", "one address of at most 254 bytes"},
	{"phone", isWarning, "ITU-T E.164", "+ and 7 to 15 digits"},
	{"website", isError, "RFC 3986", "http or https, a host, no credentials"},
}

// checks gives what each rule checks.
var checks = func() map[string]string {
	m := map[string]string{}
	for _, r := range rules {
		m[r.ID] = r.Checks
	}
	return m
}()

// sources gives the source of each rule.
var sources = func() map[string]string {
	m := map[string]string{}
	for _, r := range rules {
		m[r.ID] = r.Source
	}
	return m
}()

// Rules lists all rules, products' before companies'. The caller owns the slice.
func Rules() []Rule { return slices.Clone(rules) }
