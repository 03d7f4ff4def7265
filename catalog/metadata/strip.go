package metadata

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/imagefile"
)

// Kind is what was removed from an image. Kinds are stable: clients match on them.
type Kind string

// The kinds, in the order of reports.
const (
	Exif        Kind = "exif"             // the block itself: date, camera, settings
	GPS         Kind = "gps"              // where the photo was taken, in Exif or XMP
	Serial      Kind = "serial number"    // of the camera or the lens, in Exif
	Thumbnail   Kind = "thumbnail"        // a preview, often of the image before it was cut
	XMP         Kind = "xmp"              // Adobe's metadata, with the history of edits
	IPTC        Kind = "iptc"             // the press's metadata, and Photoshop's
	Comment     Kind = "comment"          // of the file as a whole
	Text        Kind = "text"             // PNG's named texts; texts of a GIF that nobody draws
	Time        Kind = "time"             // of the last change
	Images      Kind = "further images"   // besides the one that is shown, or an index of them
	Application Kind = "application data" // of programs, and what is not known
	Padding     Kind = "padding"          // bytes without meaning between the parts
	Trailing    Kind = "trailing data"    // behind the image's end
)

var kinds = []Kind{Exif, GPS, Serial, Thumbnail, XMP, IPTC, Comment, Text, Time, Images, Application, Padding, Trailing}

// DefaultBytes is the longest file that is read unless Limits say otherwise: 20 MiB.
const DefaultBytes = 20 << 20

// Limits bounds what is read. A zero field is its default.
type Limits struct {
	Bytes int64 // of the file; default DefaultBytes
}

// Report says what became of an image.
type Report struct {
	ContentType string // by the first bytes: "image/jpeg"
	Removed     []Kind // each once; none exactly if the result is the same bytes
	Before      int64  // bytes of the file
	After       int64  // bytes of the result
}

// List is what was removed on one line: "exif, gps"; "" for nothing.
func (r Report) List() string {
	names := make([]string, 0, len(r.Removed))
	for _, k := range r.Removed {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// Strip copies an image from src to dst without its metadata. Stripping its result again
// changes nothing.
//
// Upon an error what was written to dst is no image and must be thrown away. Strip returns
// UnsupportedMediaType for a file that is not one of the formats it knows, ValidationFailed for one that
// is cut off or malformed, and PayloadTooLarge for one that is longer than the limit; errors of
// src and dst come back wrapped. It reads src to its end, and no more than the limit and a buffer of it.
//
// Sources: ITU-T T.81 and T.871 (JPEG), PNG third edition, GIF89a, RFC 9649 (WebP), CIPA DC-008 (Exif).
func Strip(dst io.Writer, src io.Reader, limits Limits) (Report, error) {
	if limits.Bytes == 0 {
		limits.Bytes = DefaultBytes
	}
	in := &source{r: src, limit: limits.Bytes}
	out := &sink{w: dst}
	f := &file{in: bufio.NewReaderSize(in, window), out: bufio.NewWriterSize(out, 32<<10), removed: map[Kind]bool{}}
	contentType, err := f.strip()
	if errors.Is(err, errCutOff) {
		err = &makerguard.Error{Code: makerguard.ValidationFailed, Message: "the image is cut off: it stops before its end", Err: err}
	}
	if err != nil {
		return Report{}, err
	}
	return Report{ContentType: contentType, Removed: f.kinds(), Before: in.n, After: out.n}, nil
}

// strip goes by the first bytes.
func (f *file) strip() (contentType string, err error) {
	head, err := f.head(512)
	if err != nil {
		return "", err
	}
	h, _ := imagefile.Read(head)
	switch h.ContentType {
	case imagefile.JPEG:
		err = f.jpeg()
	case imagefile.PNG:
		err = f.png()
	case imagefile.GIF:
		err = f.gif()
	case imagefile.WebP:
		err = f.webp()
	default:
		err = unsupported(h.ContentType)
	}
	if err == nil {
		err = f.end()
	}
	return h.ContentType, err
}

func unsupported(contentType string) error {
	what := "the file is not an image of a kind that is cleaned"
	if contentType != "" {
		what = "images of the type " + contentType + " are not cleaned"
	}
	return &makerguard.Error{Code: makerguard.UnsupportedMediaType, Message: what + ": send JPEG, PNG, GIF or WebP"}
}

// malformed is the error for a file that breaks its format.
func malformed(format string, args ...any) error {
	return &makerguard.Error{Code: makerguard.ValidationFailed, Message: "the image is malformed: " + fmt.Sprintf(format, args...)}
}

func (f *file) remove(k Kind) { f.removed[k] = true }

func (f *file) kinds() (ks []Kind) {
	for _, k := range kinds {
		if f.removed[k] {
			ks = append(ks, k)
		}
	}
	return ks
}
