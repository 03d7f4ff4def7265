package catalog

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/makerguard/makerguard/internal/imagefile"
)

// imageType is an image format that is accepted.
type imageType struct {
	contentType string
	endings     []string // of names; the first is the usual one
}

// imageTypes are all of them. SVG is not one: it is a document that can hold scripts.
var imageTypes = []imageType{
	{"image/jpeg", []string{".jpg", ".jpeg"}},
	{"image/png", []string{".png"}},
	{"image/webp", []string{".webp"}},
	{"image/avif", []string{".avif"}},
	{"image/gif", []string{".gif"}},
}

const (
	acceptedEndings = ".jpg, .png, .webp, .avif, .gif"
	acceptedTypes   = "image/jpeg, image/png, image/webp, image/avif, image/gif"
	notAccepted     = "this kind of image is not accepted"
)

func (r *Report) images(images []Image) {
	for i := range images {
		if images[i] != (Image{}) {
			r.image(fmt.Sprintf("/images/%d", i), images[i])
		}
	}
}

// image checks the name and the content type of an image, and that they go together. It gives
// the content type that they declare, "" if they declare none or a wrong one.
func (r *Report) image(at string, img Image) (declared string) {
	byName := ""
	if img.Name != nil {
		name := normal(*img.Name)
		if name == "" || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl) {
			r.errorf(at+"/name", ruleUpload, "", "an image's name is 1 to %d bytes without slashes and control characters", maxValue)
			return ""
		}
		ending := strings.ToLower(path.Ext(name))
		i := slices.IndexFunc(imageTypes, func(t imageType) bool { return slices.Contains(t.endings, ending) })
		if i < 0 {
			r.errorf(at+"/name", ruleUpload, acceptedEndings, notAccepted)
			return ""
		}
		byName = imageTypes[i].contentType
	}
	if img.ContentType == nil {
		return byName
	}
	declared = strings.ToLower(normal(*img.ContentType))
	switch {
	case !slices.ContainsFunc(imageTypes, func(t imageType) bool { return t.contentType == declared }):
		r.errorf(at+"/content_type", ruleUpload, acceptedTypes, notAccepted)
		return ""
	case byName != "" && byName != declared:
		r.errorf(at+"/content_type", ruleUpload, byName, "the content type does not fit the name's ending")
		return ""
	}
	return declared
}

// ImageLimits bounds images. A zero field is its default.
type ImageLimits struct {
	Bytes  int64 // of the file; default 20 MiB
	Pixels int64 // width times height, before anything is decoded; default 50 million
}

// ImageHeadBytes is how much of an image's beginning ValidateImage wants: what cameras and
// editors put before the measures of a JPEG is shorter.
const ImageHeadBytes = 256 << 10

// ValidateImage checks an image by its first bytes: that it is of an accepted format, of
// the format that its name and content type declare, and neither too long nor of too many
// pixels, so that nobody decodes a bomb. head is the file's first ImageHeadBytes, or all of
// a shorter one; size is the length of the file. Pointers begin at the image; the one to
// the file as a whole is "". All problems are of the rule upload.
//
// It decodes nothing and does not look behind the header: a file that is an image and also
// something else passes.
func ValidateImage(img Image, head []byte, size int64, limits ImageLimits) Report {
	if limits.Bytes == 0 {
		limits.Bytes = 20 << 20
	}
	if limits.Pixels == 0 {
		limits.Pixels = 50_000_000
	}
	var r Report
	declared := r.image("", img)
	h, ok := imagefile.Read(head)
	ok = ok && slices.ContainsFunc(imageTypes, func(t imageType) bool { return t.contentType == h.ContentType })
	switch {
	case !ok && markup(head):
		r.errorf("", ruleUpload, acceptedTypes, "the file is a text document such as SVG or HTML, not an image of pixels: convert it")
		return r
	case !ok:
		r.errorf("", ruleUpload, acceptedTypes, "the file is not an image of a kind that is accepted")
		return r
	case declared != "" && declared != h.ContentType:
		at := "/content_type"
		if img.ContentType == nil {
			at = "/name"
		}
		r.errorf(at, ruleUpload, h.ContentType, "the file's content is of another kind than declared")
	}
	switch {
	case h.Width <= 0 || h.Height <= 0:
		r.errorf("", ruleUpload, "", "the image's width and height are not at its beginning: save it anew without metadata")
	case h.Pixels() > limits.Pixels:
		r.errorf("", ruleUpload, "", "the image has more than %d pixels: make it smaller", limits.Pixels)
	}
	if size > limits.Bytes {
		r.errorf("", ruleUpload, "", "the file is longer than %d bytes: make it smaller", limits.Bytes)
	}
	return r
}

// markup reports whether a file begins as XML and HTML do, whatever it is called.
func markup(head []byte) bool {
	s := strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), 512)]), "\ufeff"), " \t\r\n")
	return strings.HasPrefix(s, "<")
}
