package upload

import (
	"path"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/imagefile"
)

var (
	ruleMismatch    = &rule{"upload.mismatch", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The file is of another kind than its name or its content type says, as files are that are to pass a filter."}
	ruleMislabelled = &rule{"upload.mislabelled", makerguard.MalformedInput, makerguard.SeverityLow, 3, "The image is of another format than its name or its content type says."}
)

var (
	texts = []kind{kindText}
	zips  = []kind{kindZip}
	xmls  = []kind{kindXML, kindSVG}
	ole   = []kind{kindOLE}
	pages = []kind{kindHTML, kindXML, kindText}
)

// endingKinds says what a file is to be by the ending of its name. What is not listed says
// nothing.
var endingKinds = map[string][]kind{
	".png": {imagefile.PNG}, ".apng": {imagefile.PNG}, ".jpg": {imagefile.JPEG}, ".jpeg": {imagefile.JPEG}, ".jpe": {imagefile.JPEG}, ".jfif": {imagefile.JPEG},
	".gif": {imagefile.GIF}, ".webp": {imagefile.WebP}, ".avif": {imagefile.AVIF}, ".heic": {imagefile.HEIC}, ".heif": {imagefile.HEIC},
	".bmp": {imagefile.BMP}, ".dib": {imagefile.BMP}, ".tif": {imagefile.TIFF}, ".tiff": {imagefile.TIFF},
	".pdf": {kindPDF}, ".svg": {kindSVG}, ".svgz": {kindGzip}, ".gz": {kindGzip}, ".tgz": {kindGzip}, ".zip": zips,
	".xlsx": zips, ".docx": zips, ".pptx": zips, ".ods": zips, ".odt": zips, ".odp": zips, ".epub": zips,
	".xls": {kindOLE, kindText}, ".doc": ole, ".ppt": ole,
	".csv": texts, ".tsv": texts, ".txt": texts, ".json": texts, ".jsonl": texts, ".md": texts, ".xml": xmls,
	".html": pages, ".htm": pages, ".xhtml": pages,
}

// typeKinds says the same by the media type. Browsers take the type of a CSV file from the
// programs that are installed, so it may be called Excel's.
var typeKinds = map[string][]kind{
	"image/png": {imagefile.PNG}, "image/apng": {imagefile.PNG}, "image/x-png": {imagefile.PNG}, "image/jpeg": {imagefile.JPEG}, "image/jpg": {imagefile.JPEG}, "image/pjpeg": {imagefile.JPEG},
	"image/gif": {imagefile.GIF}, "image/webp": {imagefile.WebP}, "image/avif": {imagefile.AVIF}, "image/heic": {imagefile.HEIC}, "image/heif": {imagefile.HEIC},
	"image/bmp": {imagefile.BMP}, "image/x-ms-bmp": {imagefile.BMP}, "image/tiff": {imagefile.TIFF}, "image/svg+xml": {kindSVG, kindGzip},
	"application/pdf": {kindPDF}, "application/zip": zips, "application/x-zip-compressed": zips, "application/gzip": {kindGzip}, "application/x-gzip": {kindGzip},
	"application/vnd.ms-excel": {kindOLE, kindText, kindZip}, "application/msword": ole, "application/vnd.ms-powerpoint": ole,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         zips,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   zips,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": zips,
	"application/vnd.oasis.opendocument.spreadsheet":                            zips,
	"application/vnd.oasis.opendocument.text":                                   zips,
	"text/csv": texts, "text/tab-separated-values": texts, "text/plain": {kindText, kindXML}, "application/json": texts,
	"text/xml": xmls, "application/xml": xmls, "text/html": pages, "application/xhtml+xml": pages,
}

// tooShort is how many bytes of a file that was cut off do not tell its kind.
const tooShort = 64

// declared holds the kind that the file is of against those it is declared to be.
func (x *inspection) declared() {
	if x.file.Truncated && len(x.file.Content) < tooShort {
		return
	}
	ending := strings.ToLower(path.Ext(plainName(x.file.Name)))
	media, _, _ := strings.Cut(x.file.DeclaredType, ";")
	x.compare(endingKinds[ending], ending)
	x.compare(typeKinds[strings.ToLower(strings.TrimSpace(media))], media)
}

func (x *inspection) compare(wanted []kind, claim string) {
	if len(wanted) == 0 {
		return
	}
	for _, k := range wanted {
		if k == x.kind {
			return
		}
	}
	r := ruleMismatch
	// An image of pixels that is called another is a mistake of every second program that saves
	// images, and harms nobody.
	if x.kind.image() && wanted[0].image() {
		r = ruleMislabelled
	}
	x.tell(r, claim+" is "+string(x.kind))
}
