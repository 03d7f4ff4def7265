package catalog

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	skuForm         = regexp.MustCompile(`^[A-Z0-9][A-Z0-9._-]{0,63}$`)
	productTypeForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

// ruleUpload is the rule for what belongs to an upload rather than to a standard.
const ruleUpload = "upload"

func (r *Report) sku(v *string) {
	if v != nil && !skuForm.MatchString(capitals(*v)) {
		r.errorf("/sku", ruleUpload, "", "a SKU is 1 to 64 of A-Z, 0-9, dot, dash and underscore, the first a letter or digit")
	}
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
	if !productTypeForm.MatchString(s) {
		r.errorf("/product_type", ruleUpload, "", "a product type is a word of a-z, 0-9 and underscore")
		return ""
	}
	return s
}

// imageTypes are the image formats accepted, by content type, with the endings of their
// names. SVG is not one: it is a document that can hold scripts.
var imageTypes = map[string][]string{
	"image/jpeg": {".jpg", ".jpeg"},
	"image/png":  {".png"},
	"image/webp": {".webp"},
	"image/avif": {".avif"},
	"image/gif":  {".gif"},
}

func (r *Report) images(images []Image) {
	for i, img := range images {
		at := fmt.Sprintf("/images/%d", i)
		var ending string
		if img.Name != nil {
			name := normal(*img.Name)
			ending = strings.ToLower(path.Ext(name))
			if name == "" || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl) {
				r.errorf(at+"/name", ruleUpload, "", "an image's name is 1 to %d bytes without slashes and control characters", maxValue)
				continue
			}
			if !knownEnding(ending) {
				r.errorf(at+"/name", ruleUpload, ".jpg, .png, .webp, .avif, .gif", "this kind of image is not accepted")
				continue
			}
		}
		if img.ContentType == nil {
			continue
		}
		endings, ok := imageTypes[strings.ToLower(normal(*img.ContentType))]
		switch {
		case !ok:
			r.errorf(at+"/content_type", ruleUpload, "image/jpeg, image/png, image/webp, image/avif, image/gif", "this kind of image is not accepted")
		case img.Name != nil && !slices.Contains(endings, ending):
			r.errorf(at+"/content_type", ruleUpload, "", "the content type does not fit the name's ending")
		}
	}
}

func knownEnding(ending string) bool {
	for _, endings := range imageTypes {
		if slices.Contains(endings, ending) {
			return true
		}
	}
	return false
}
