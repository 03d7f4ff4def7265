package catalog

import "time"

// ruleUpload is the rule for what belongs to an upload rather than to a standard.
const ruleUpload = "upload"

func (r *Report) sku(v *string) {
	if v == nil {
		return
	}
	if _, ok := NormalSKU(*v); !ok {
		r.errorf("/sku", ruleUpload, "", "a SKU is 1 to 64 of A-Z, 0-9, dot, dash and underscore, the first a letter or digit")
	}
}

// NormalSKU gives a SKU as it is stored and compared: in capitals. ok is false if v is no SKU.
func NormalSKU(v string) (sku string, ok bool) {
	s := capitals(v)
	if s == "" || len(s) > 64 || !alphanumeric(s[:1]) {
		return "", false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '.' && c != '_' && c != '-' {
			return "", false
		}
	}
	return s, true
}

// manufacturedOn checks a date and gives it; now stands for one that is missing or wrong. The
// day may have begun elsewhere already: the first time zone is 14 hours ahead of UTC.
func (r *Report) manufacturedOn(v *string, now time.Time) time.Time {
	if v == nil {
		return now
	}
	const at = "/manufactured_on"
	day, err := time.Parse(time.DateOnly, normal(*v))
	switch {
	case err != nil:
		r.errorf(at, ruleUpload, "", "write the date as year, month and day: 2026-03-10 (ISO 8601)")
	case day.After(now.Add(14 * time.Hour)):
		r.errorf(at, ruleUpload, "", "the date is in the future")
	default:
		return day
	}
	return now
}

func (r *Report) descriptionFormat(v *string) {
	r.oneOf("/description_format", ruleUpload, v, "text", "html", "markdown")
}

// productType checks the form of a type and gives it as the constants have it.
func (r *Report) productType(v *string) string {
	if v == nil {
		return ""
	}
	s := word(*v)
	if !typeWord(s) {
		r.errorf("/product_type", ruleUpload, "", "a product type is a word of a-z, 0-9 and underscore")
		return ""
	}
	if known := typeAliases[s]; known != "" {
		r.warnf("/product_type", ruleUpload, known, "rules of this type are not checked, since another word is known for it")
	}
	return s
}

// typeAliases are other words for the types that rules know. To check by the rules of that type
// anyway would be to guess.
var typeAliases = map[string]string{
	"frames": TypeFrame, "eyeglass_frame": TypeFrame, "spectacle_frame": TypeFrame, "optical_frame": TypeFrame,
	"sunglass": TypeSunglasses, "sun_glasses": TypeSunglasses, "sunglasses_frame": TypeSunglasses,
	"reader": TypeReaders, "reading_glasses": TypeReaders, "lenses": TypeLens,
}

// typeWord reports whether s is a letter and up to 63 letters, digits and underscores.
func typeWord(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return true
}
