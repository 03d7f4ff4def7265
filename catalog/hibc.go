package catalog

import "strings"

// hibcSet is the character set of HIBC; a character's value is its place.
const hibcSet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"

// hibcCheck computes the check character: the sum of all values modulo 43. ok is false if s
// has a character outside the set.
func hibcCheck(s string) (check byte, ok bool) {
	sum := 0
	for i := range len(s) {
		v := strings.IndexByte(hibcSet, s[i])
		if v < 0 {
			return 0, false
		}
		sum += v
	}
	return hibcSet[sum%len(hibcSet)], true
}

// hibc checks a Health Industry Bar Code: +, the labeler (a letter and three letters or
// digits), the product (1 to 18), the unit of measure (a digit), then, if it is given,
// a slash with secondary data, and the check character over all of it. The asterisks around
// a printed one may stay.
func (r *Report) hibc(v *string) {
	if v == nil {
		return
	}
	const at, rule = "/hibc", "hibc"
	s := strings.TrimSuffix(strings.TrimPrefix(capitals(*v), "*"), "*")
	// A check character that is a space is printed as an underscore, and may have been
	// trimmed off.
	if rest, ok := strings.CutSuffix(s, "_"); ok {
		s = rest + " "
	} else if want, ok := hibcCheck(s); ok && want == ' ' && strings.HasSuffix(*v, " ") {
		s += " "
	}
	if len(s) < 8 || s[0] != '+' {
		r.errorf(at, rule, "", "an HIBC is +, labeler, product, unit of measure and a check character: +A123BJC5D6E71G")
		return
	}
	body := s[:len(s)-1]
	primary, secondary, hasSecondary := strings.Cut(body[1:], "/")
	labelerOK := len(primary) >= 6 && len(primary) <= 23 && allCapitals(primary[:1]) && alphanumeric(primary)
	if !labelerOK || !allDigits(primary[len(primary)-1:]) || hasSecondary && secondary == "" {
		r.errorf(at, rule, "", "an HIBC is +, labeler (a letter and three letters or digits), product (up to 18), unit of measure (a digit) and a check character")
		return
	}
	want, ok := hibcCheck(body)
	switch {
	case !ok:
		r.errorf(at, rule, "", "an HIBC is made of 0-9, A-Z, space and -.$/+% only")
	case s[len(s)-1] != want:
		if want == ' ' {
			want = '_'
		}
		r.errorf(at, rule, string(want), "the check character is wrong")
	}
}
