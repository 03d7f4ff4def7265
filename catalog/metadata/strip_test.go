package metadata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog/metadata"
)

// upright is the block that a rotated image keeps.
func upright(orientation byte) string {
	return "MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(orientation) + "\x00\x00\x00\x00\x00\x00"
}

// sample is a file with metadata, what it becomes, and what is told of it.
type sample struct {
	dirty, clean []byte
	removed      []metadata.Kind
}

func samples(t testing.TB) map[string]sample {
	t.Helper()
	const exif = "Exif\x00\x00"
	little, big := binary.LittleEndian, binary.BigEndian
	jpg, pngf, giff := jpegFile(t), pngFile(t), gifFile(t)
	icc := app(2, "ICC_PROFILE\x00\x01\x01"+profile())
	adobe := app(14, "Adobe\x00\x64\x00\x00\x00\x00\x01")
	scan := "\x01\x01\x00\x00\x00\x00" // of one component, progressive
	progressive := func(between ...[]byte) []byte {
		parts := [][]byte{[]byte("\xff\xd8"), segment(0xdb, "\x00"+strings.Repeat("\x01", 64)), segment(0xc2, "\x08\x00\x00\x00\x30\x01\x01\x11\x00")}
		parts = append(parts, segment(0xdd, "\x00\x02"), segment(0xc4, "\x00"+strings.Repeat("\x00", 16)), segment(0xda, scan), []byte("ab\xff\x00c\xff\xd0d\xff\xd1\xff\x00"))
		parts = append(parts, segment(0xdc, "\x00\x14"))
		parts = append(parts, between...)
		parts = append(parts, segment(0xcc, "\x00\x01"), segment(0xda, scan), []byte("efg"), []byte("\xff\xd9"))
		return bytes.Join(parts, nil)
	}
	tail := func(file []byte, with string) []byte { return append(bytes.Clone(file), with...) }
	loop := extension(0xff, "NETSCAPE2.0", "\x01\x00\x00")
	afterLoop := bytes.Index(giff, loop) + len(loop)
	vp8l, px := piece("VP8L", lossless()), lossless()
	anim := piece("ANIM", "\xff\xff\xff\xff\x00\x00")
	return map[string]sample{
		"jpeg without any": {dirty: jpg, clean: jpg},
		"jpeg with everything": {
			insert(tail(jpg, "\xff\xd8\xff\xe1\x00\x20"+secret+secret), 2,
				app(0, "JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x02\x02"+secret), app(0, "JFXX\x00\x10"+secret), app(1, exif+block(little, 6)),
				app(1, "http://ns.adobe.com/xap/1.0/\x00<x exif:GPSLatitude='"+secret+"'/>"), app(1, "http://ns.adobe.com/xmp/extension/\x00"+secret),
				app(2, "MPF\x00"+secret), icc, app(2, "FPXR\x00"+secret), app(4, secret), app(13, "Photoshop 3.0\x008BIM\x04\x04"+secret+"8BIM\x04\x0c"),
				adobe, app(15, secret), segment(0xfe, secret), []byte("\xff\xff")),
			insert(jpg, 2, app(0, "JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x00\x00"), app(1, exif+upright(6)), icc, adobe),
			[]metadata.Kind{metadata.Exif, metadata.GPS, metadata.Serial, metadata.Thumbnail, metadata.XMP, metadata.IPTC, metadata.Comment, metadata.Images, metadata.Application, metadata.Padding, metadata.Trailing},
		},
		"jpeg upright":      {insert(jpg, 2, app(1, exif+block(big, 1))), jpg, []metadata.Kind{metadata.Exif, metadata.GPS, metadata.Serial, metadata.Thumbnail}},
		"jpeg two blocks":   {insert(jpg, 2, app(1, exif+upright(3)), app(1, exif+upright(8))), insert(jpg, 2, app(1, exif+upright(3))), []metadata.Kind{metadata.Exif}},
		"jpeg broken block": {insert(jpg, 2, app(1, exif+"MM\x00*\xff\xff\xff\xff")), jpg, []metadata.Kind{metadata.Exif}},
		"jpeg progressive":  {dirty: progressive(), clean: progressive()},
		"jpeg between scans": {
			progressive(app(1, exif+block(big, 6)), segment(0xfe, secret)), progressive(),
			[]metadata.Kind{metadata.Exif, metadata.GPS, metadata.Serial, metadata.Thumbnail, metadata.Comment},
		},
		"png without any": {dirty: pngf, clean: pngf},
		"png with everything": {
			insert(tail(pngf, "PK\x03\x04"+secret), 33,
				chunk("gAMA", "\x00\x00\xb1\x8f"), chunk("gAMA", secret[:4]), chunk("iCCP", "p\x00\x00"+profile()), chunk("pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01"), chunk("tEXt", "Author\x00"+secret),
				chunk("zTXt", "Comment\x00\x00"+secret), chunk("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret), chunk("eXIf", block(big, 8)), chunk("tIME", "\x07\xea\x01\x02\x03\x04\x05"),
				chunk("teSt", secret), chunk("cHRM", secret), chunk("fdAT", secret), chunk("tEXt", "Raw profile type iptc\x00"+secret)),
			insert(pngf, 33, chunk("gAMA", "\x00\x00\xb1\x8f"), chunk("iCCP", "p\x00\x00"+profile()), chunk("pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01"), chunk("eXIf", upright(8))),
			[]metadata.Kind{metadata.Exif, metadata.GPS, metadata.Serial, metadata.Thumbnail, metadata.XMP, metadata.IPTC, metadata.Comment, metadata.Text, metadata.Time, metadata.Images, metadata.Application, metadata.Trailing},
		},
		"png animated": {
			insert(pngf, 33, chunk("acTL", "\x00\x00\x00\x01\x00\x00\x00\x00"), chunk("tEXt", "a\x00"+secret), chunk("fcTL", strings.Repeat("\x00", 26))),
			insert(pngf, 33, chunk("acTL", "\x00\x00\x00\x01\x00\x00\x00\x00"), chunk("fcTL", strings.Repeat("\x00", 26))),
			[]metadata.Kind{metadata.Text},
		},
		"gif without any": {dirty: giff, clean: giff},
		"gif with everything": {
			insert(tail(giff, "<script>"+secret), afterLoop, extension(0xfe, secret), extension(0xff, "ICCRGBG1012", profile()[:255], profile()[255:400]), extension(0xff, "XMP DataXMP", secret),
				extension(0xff, "MYAPPLI1.00", secret), extension(0x01, strings.Repeat("\x00", 12), secret), extension(0xff, "ANIMEXTS1.0", "\x02"+secret, "\x01\x05\x00")),
			insert(giff, afterLoop, extension(0xff, "ICCRGBG1012", profile()[:255], profile()[255:400]), extension(0xff, "ANIMEXTS1.0", "\x01\x05\x00")),
			[]metadata.Kind{metadata.XMP, metadata.Comment, metadata.Text, metadata.Application, metadata.Trailing},
		},
		"gif of the future": {insert(giff, afterLoop, extension(0x77, secret)), giff, []metadata.Kind{metadata.Application}},
		"webp without any":  {dirty: webp(vp8l), clean: webp(vp8l)},
		"webp simple":       {tail(webp(vp8l, piece("EXIF", block(big, 6)), piece("XMP ", secret)), secret), webp(vp8l), []metadata.Kind{metadata.Exif, metadata.XMP, metadata.Trailing}},
		"webp with everything": {
			webp(measures(0x3c), piece("ICCP", profile()), piece("teSt", secret), vp8l, piece("VP8L", secret), piece("EXIF", exif+block(little, 6)), piece("EXIF", upright(3)), piece("XMP ", "<x exif:GPSLongitude='"+secret)),
			webp(measures(0x38), piece("ICCP", profile()), vp8l, piece("EXIF", upright(6))),
			[]metadata.Kind{metadata.Exif, metadata.GPS, metadata.Serial, metadata.Thumbnail, metadata.XMP, metadata.Images, metadata.Application},
		},
		"webp animated": {
			webp(measures(0x06), anim, frame(vp8l, piece("teSt", secret)), frame(piece("VP8L", px+"\x00\x00")), piece("XMP ", secret), vp8l),
			webp(measures(0x02), anim, frame(vp8l), frame(piece("VP8L", px+"\x00\x00"))),
			[]metadata.Kind{metadata.XMP, metadata.Images, metadata.Application},
		},
	}
}

func strip(t testing.TB, file []byte) ([]byte, metadata.Report) {
	t.Helper()
	var out bytes.Buffer
	report, err := metadata.Strip(&out, bytes.NewReader(file), metadata.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), report
}

// Exactly what tells something goes, and what makes the pixels look as they do stays.
func TestStrip_LeavesPixelsAndNothingElse(t *testing.T) {
	for name, tc := range samples(t) {
		t.Run(name, func(t *testing.T) {
			got, report := strip(t, tc.dirty)
			if !bytes.Equal(got, tc.clean) {
				t.Errorf("result\n%q, want\n%q", got, tc.clean)
			}
			if bytes.Contains(got, []byte(secret)) {
				t.Error("the secret is still there")
			}
			format, _, _ := strings.Cut(name, " ")
			want := metadata.Report{ContentType: "image/" + format, Removed: tc.removed, Before: int64(len(tc.dirty)), After: int64(len(tc.clean))}
			if d := cmp.Diff(want, report); d != "" {
				t.Errorf("report differs (-want +got):\n%s", d)
			}
			again, report := strip(t, got)
			if !bytes.Equal(again, got) || len(report.Removed) > 0 {
				t.Errorf("a second time removed %v, want nothing", report.Removed)
			}
			var slow bytes.Buffer
			if _, err := metadata.Strip(&slow, iotest.OneByteReader(bytes.NewReader(tc.dirty)), metadata.Limits{}); err != nil || !bytes.Equal(slow.Bytes(), got) {
				t.Errorf("read a byte at a time: %v, or another result", err)
			}
		})
	}
}

// What a decoder makes of the result is what it made of the file.
func TestStrip_PixelsAreTheSame(t *testing.T) {
	decoded := 0
	for name, tc := range samples(t) {
		if strings.HasPrefix(name, "webp") || name == "jpeg progressive" || name == "jpeg between scans" || name == "png animated" || name == "gif of the future" {
			continue // the standard library does not read them, or their pixels are made up
		}
		clean, _ := strip(t, tc.dirty)
		if strings.HasPrefix(name, "gif") {
			before, err := gif.DecodeAll(bytes.NewReader(tc.dirty))
			must(t, err)
			after, err := gif.DecodeAll(bytes.NewReader(clean))
			must(t, err)
			before.LoopCount, after.LoopCount = max(before.LoopCount, 0), max(after.LoopCount, 0)
			if d := cmp.Diff(before, after); d != "" {
				t.Errorf("%s: frames differ:\n%s", name, d)
			}
			decoded++
			continue
		}
		before, _, err := image.Decode(bytes.NewReader(tc.dirty))
		must(t, err)
		after, _, err := image.Decode(bytes.NewReader(clean))
		must(t, err)
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s: pixels differ", name)
		}
		decoded++
	}
	if decoded < 8 {
		t.Errorf("%d samples decoded: the test looks at the wrong things", decoded)
	}
}

// An image that stands on its side keeps standing so, whatever the byte order.
func TestStrip_KeepsTheOrientation(t *testing.T) {
	file := jpegFile(t)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for o := range 10 {
			want := file
			if o >= 2 && o <= 8 {
				want = insert(file, 2, app(1, "Exif\x00\x00"+upright(byte(o))))
			}
			got, _ := strip(t, insert(file, 2, app(1, "Exif\x00\x00"+block(order, uint16(o)))))
			if !bytes.Equal(got, want) {
				t.Errorf("%v, orientation %d: %q, want %q", order, o, got[:40], want[:40])
			}
		}
	}
}

// A file that is cut off anywhere is an error: nobody takes the part for the whole.
func TestStrip_RefusesWhatIsCutOff(t *testing.T) {
	for name, tc := range samples(t) {
		if bytes.HasSuffix(tc.dirty, []byte(secret)) {
			continue // what stands behind the end may be cut
		}
		for n := range len(tc.dirty) {
			_, err := metadata.Strip(io.Discard, bytes.NewReader(tc.dirty[:n]), metadata.Limits{})
			if code := makerguard.CodeOf(err); code != makerguard.ValidationFailed && (code != makerguard.UnsupportedMediaType || n > 12) {
				t.Fatalf("%s cut to %d of %d bytes: %v, want it refused", name, n, len(tc.dirty), err)
			}
		}
	}
}

func TestStrip_Refuses(t *testing.T) {
	jpg, pngf, giff := jpegFile(t), pngFile(t), gifFile(t)
	vp8l := piece("VP8L", lossless())
	damaged := bytes.Clone(insert(pngf, 33, chunk("tEXt", "a\x00b")))
	damaged[33+8] ^= 1
	frameHeader := segment(0xc0, "\x08\x00\x14\x00\x30\x01\x01\x11\x00")
	for name, tc := range map[string]struct {
		file []byte
		code makerguard.Code
		says string
	}{
		"nothing":                  {nil, makerguard.UnsupportedMediaType, "not an image"},
		"a drawing":                {[]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), makerguard.UnsupportedMediaType, "send JPEG, PNG, GIF or WebP"},
		"avif":                     {[]byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf"), makerguard.UnsupportedMediaType, "image/avif are not cleaned"},
		"heic":                     {[]byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic"), makerguard.UnsupportedMediaType, "image/heic are not cleaned"},
		"tiff":                     {[]byte("II*\x00\x08\x00\x00\x00\x00\x00"), makerguard.UnsupportedMediaType, "image/tiff are not cleaned"},
		"bmp":                      {append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28"), make([]byte, 40)...), makerguard.UnsupportedMediaType, "image/bmp are not cleaned"},
		"too long":                 {append(bytes.Clone(jpg), make([]byte, 1<<20)...), makerguard.PayloadTooLarge, "longer than 1048576 bytes"},
		"jpeg junk":                {insert(jpg, 2, []byte("\x00\x00")), makerguard.UnsupportedMediaType, "not an image"},
		"jpeg junk later":          {insert(jpg, 2, app(4, "a"), []byte("ab")), makerguard.ValidationFailed, "marker is missing at byte 7"},
		"jpeg two frames":          {insert(jpg, 2, frameHeader), makerguard.ValidationFailed, "second frame"},
		"jpeg scan first":          {insert(jpg, 2, segment(0xda, "\x00\x00\x00\x00")), makerguard.ValidationFailed, "before their measures"},
		"jpeg hierarchical":        {insert(jpg, 2, segment(0xde, "\x08\x00\x14\x00\x30\x01\x01\x11\x00")), makerguard.ValidationFailed, "marker 0xde"},
		"jpeg restart outside":     {insert(jpg, 2, app(4, "a"), []byte("\xff\xd0")), makerguard.ValidationFailed, "has no place there"},
		"jpeg frame with more":     {insert(jpg, 2, segment(0xc0, "\x08\x00\x14\x00\x30\x01\x01\x11\x00"+secret)), makerguard.ValidationFailed, "frame header"},
		"jpeg short segment":       {insert(jpg, 2, []byte("\xff\xe4\x00\x01")), makerguard.ValidationFailed, "shorter than its length"},
		"jpeg without pixels":      {[]byte("\xff\xd8\xff\xe4\x00\x02\xff\xd9"), makerguard.ValidationFailed, "no pixels"},
		"png wrong checksum":       {damaged, makerguard.ValidationFailed, "the chunk tEXt at byte 33"},
		"png unknown and critical": {insert(pngf, 33, chunk("TEST", "")), makerguard.ValidationFailed, "chunk TEST"},
		"png two headers":          {insert(pngf, 33, pngf[8:33]), makerguard.ValidationFailed, "chunk IHDR"},
		"png header not first":     {insert(pngf, 8, chunk("tEXt", "a\x00b")), makerguard.ValidationFailed, "begin with its header"},
		"png no chunk":             {insert(pngf, 33, []byte("\x00\x00\x00\x00\x00\x00\x00\x00")), makerguard.ValidationFailed, "no chunk at byte 33"},
		"png endless chunk":        {insert(pngf, 33, []byte("\xff\xff\xff\xfftEXt")), makerguard.ValidationFailed, "no chunk at byte 33"},
		"png without pixels":       {append(bytes.Clone(pngf[:33]), chunk("IEND", "")...), makerguard.ValidationFailed, "no pixels"},
		"gif junk":                 {insert(giff, len(giff)-1, []byte("a")), makerguard.ValidationFailed, "no block at byte"},
		"gif control":              {insert(giff, len(giff)-1, extension(0xf9, "abcde")), makerguard.ValidationFailed, "control block"},
		"gif without pixels":       {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), makerguard.ValidationFailed, "no pixels"},
		"webp no image first":      {webp(piece("teSt", ""), vp8l), makerguard.ValidationFailed, "does not begin"},
		"webp without pixels":      {webp(measures(0)), makerguard.ValidationFailed, "no pixels"},
		"webp frame without":       {webp(measures(2), frame()), makerguard.ValidationFailed, "frame of the WebP has no pixels"},
		"webp short frame":         {webp(measures(2), piece("ANMF", "a")), makerguard.ValidationFailed, "too short"},
		"webp short header":        {webp(piece("VP8X", "a")), makerguard.ValidationFailed, "too short"},
		"webp long chunk":          {webp(vp8l, []byte("teSt\xff\xff\xff\xff")), makerguard.ValidationFailed, "longer than what it stands in"},
		"webp no length":           {[]byte("RIFF\x00\x00\x00\x00WEBP"), makerguard.ValidationFailed, "wrong length"},
	} {
		_, err := metadata.Strip(io.Discard, bytes.NewReader(tc.file), metadata.Limits{Bytes: 1 << 20})
		if makerguard.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %s saying %q", name, err, tc.code, tc.says)
		}
	}
}

// What goes wrong outside of the image is not the image's fault.
func TestStrip_PassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range samples(t) {
		half := len(tc.dirty) / 2
		src := io.MultiReader(bytes.NewReader(tc.dirty[:half]), iotest.ErrReader(broken))
		if _, err := metadata.Strip(io.Discard, src, metadata.Limits{}); !errors.Is(err, broken) || makerguard.CodeOf(err) != makerguard.Internal {
			t.Errorf("%s: a source that breaks: %v", name, err)
		}
		if _, err := metadata.Strip(fullDisk{broken}, bytes.NewReader(tc.dirty), metadata.Limits{}); !errors.Is(err, broken) {
			t.Errorf("%s: a full disk: %v", name, err)
		}
		src = io.MultiReader(bytes.NewReader(tc.dirty[:half]), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := metadata.Strip(io.Discard, src, metadata.Limits{}); makerguard.CodeOf(err) != makerguard.ValidationFailed {
			t.Errorf("%s: a request that broke off: %v", name, err)
		}
	}
}

type fullDisk struct{ err error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.err }

// repeat is a source of the same again and again.
type repeat struct {
	what []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.what[r.at]
		r.at = (r.at + 1) % len(r.what)
	}
	return len(p), nil
}

// times repeats something to about 8 MiB.
func times(what []byte) io.Reader {
	return io.LimitReader(&repeat{what: what}, int64(len(what))*int64(long/len(what)))
}

const long = 8 << 20

// scale measures what is held when it is read, between two parts of a file.
type scale struct{ held uint64 }

func (s *scale) Read([]byte) (int, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.held = m.HeapAlloc
	return 0, io.EOF
}

// However long a file is, what is held of it is not.
func TestStrip_MemoryIsBounded(t *testing.T) {
	jpg, pngf, giff := jpegFile(t), pngFile(t), gifFile(t)
	for name, tc := range map[string]struct{ before, middle, after []byte }{
		"jpeg pixels":   {jpg[:len(jpg)-2], []byte("a\xff\x00b\xff\xd0"), jpg[len(jpg)-2:]},
		"jpeg segments": {jpg[:2], segment(0xfe, "abcd"), jpg[2:]},
		"jpeg trailing": {jpg, []byte("a"), nil},
		"png pixels":    {pngf[:33], chunk("IDAT", "abcd"), pngf[33:]},
		"png texts":     {pngf[:33], chunk("tEXt", "a\x00b\x00"), pngf[33:]},
		"gif comments":  {giff[:len(giff)-1], extension(0xfe, strings.Repeat("a", 255)), giff[len(giff)-1:]},
		"webp unknown":  {webpHead(long), piece("teSt", "abcd"), nil},
	} {
		var before, after scale
		src := io.MultiReader(&before, bytes.NewReader(tc.before), times(tc.middle), &after, bytes.NewReader(tc.after))
		_, err := metadata.Strip(io.Discard, src, metadata.Limits{Bytes: long + 1<<20})
		must(t, err)
		if after.held > before.held+256<<10 {
			t.Errorf("%s: %d bytes are held, want at most the buffers", name, after.held-before.held)
		}
	}
}

// webpHead is an image that says so many bytes follow it, a multiple of 12.
func webpHead(more int) []byte {
	b := webp(piece("VP8L", lossless()))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8+more/12*12))
	return b
}
