package catalog

import (
	"math"
	"strconv"
	"strings"
)

// categoryOf gives the filter category of a luminous transmittance in percent
// (ISO 12312-1): each category reaches up to its bound, which belongs to it. Lenses of
// 3 % and less are in none.
func categoryOf(tauV float64) (category int, ok bool) {
	switch {
	case !(tauV > 3 && tauV <= 100):
		return 0, false
	case tauV <= 8:
		return 4, true
	case tauV <= 18:
		return 3, true
	case tauV <= 43:
		return 2, true
	case tauV <= 80:
		return 1, true
	}
	return 0, true
}

// nightDriving is the least transmittance, in percent, of lenses for driving at night or in
// twilight (ISO 12312-1).
const nightDriving = 75

func (r *Report) lens(l *Lens, description *string) {
	if l == nil {
		return
	}
	r.oneOf("/lens/material", "lens.material", l.Material, "glass", "plastic", "other")
	const rule = "sun.category"
	category := -1
	if c := l.Category; c != nil {
		if !(*c >= 0 && *c <= 4) || *c != math.Trunc(*c) {
			r.errorf("/lens/category", rule, "", "a filter category is 0, 1, 2, 3 or 4")
		} else {
			category = int(*c)
		}
	}
	dark := category >= 2 // whatever the transmittance is, it is below 75 %
	if l.TauV != nil {
		want, ok := categoryOf(*l.TauV)
		switch {
		case !ok:
			r.errorf("/lens/tau_v", rule, "", "a luminous transmittance is more than 3 and at most 100 percent")
		case category >= 0 && category != want:
			r.errorf("/lens/category", rule, strconv.Itoa(want), "the category does not fit the luminous transmittance")
		default:
			category, dark = want, *l.TauV < nightDriving
		}
	}
	says := ""
	if description != nil {
		says = strings.ToLower(*description)
	}
	switch {
	case category == 4 && !denies(says, "driving"):
		r.warnf("/description", rule, "", "lenses of category 4 are not for driving: the description must say so")
	case dark && category != 4 && promises(says, "night driving", "driving at night", "night-time driving"):
		r.warnf("/description", rule, "", "lenses below %d %% are not for driving at night: the description must not offer it", nightDriving)
	}
}

// denies reports whether text says somewhere that it is not for an activity.
func denies(text, activity string) bool {
	for {
		before, after, found := strings.Cut(text, activity)
		if !found {
			return false
		}
		if negated(before) {
			return true
		}
		text = after
	}
}

// promises reports whether text names one of the activities without saying not.
func promises(text string, activities ...string) bool {
	for _, a := range activities {
		if before, _, found := strings.Cut(text, a); found && !negated(before) {
			return true
		}
	}
	return false
}

// negated reports whether the sentence that text ends in has begun with a no.
func negated(text string) bool {
	if i := strings.LastIndexAny(text, ".!?;\n"); i >= 0 {
		text = text[i+1:]
	}
	for w := range strings.FieldsSeq(text) {
		switch strings.Trim(w, `,:"'*()`) {
		case "not", "no", "never", "unsuitable", "don't":
			return true
		}
	}
	return false
}
