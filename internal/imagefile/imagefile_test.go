package imagefile_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/internal/imagefile"
)

// files are images of 48 by 20 pixels: whole ones where the standard library can write the
// format, else headers.
func files(t testing.TB) map[string][]byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 48, 20), color.Palette{color.Black, color.White})
	var p, g, j bytes.Buffer
	for _, err := range []error{png.Encode(&p, img), gif.Encode(&g, img, nil), jpeg.Encode(&j, img, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{
		imagefile.PNG: p.Bytes(), imagefile.GIF: g.Bytes(), imagefile.JPEG: j.Bytes(),
		imagefile.WebP: webp("VP8X", "\x00\x00\x00\x00\x2f\x00\x00\x13\x00\x00"),
		imagefile.AVIF: boxed("mif1avif", 48, 20), imagefile.HEIC: boxed("mif1heic", 48, 20),
		imagefile.TIFF: tiff(binary.LittleEndian, 48, 20), imagefile.BMP: bmp(48, -20),
	}
}

func webp(chunk, data string) []byte {
	return []byte("RIFF\x00\x00\x00\x00WEBP" + chunk + "\x0a\x00\x00\x00" + data)
}

// boxed is the beginning of an AVIF or HEIC file with an extent of a tile and one of the image.
func boxed(brands string, width, height uint32) []byte {
	b := []byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00" + brands)
	for _, size := range [][2]uint32{{width / 2, height / 2}, {width, height}} {
		b = append(b, "\x00\x00\x00\x14ispe\x00\x00\x00\x00"...)
		b = binary.BigEndian.AppendUint32(b, size[0])
		b = binary.BigEndian.AppendUint32(b, size[1])
	}
	return b
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// tiff is a directory of a page of 1 by 1 and one of a page as large as asked for.
func tiff(o byteOrder, width, height uint32) []byte {
	b := []byte("II*\x00")
	if o.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	page := func(next, width, height uint32) {
		b = o.AppendUint16(b, 2)
		for i, v := range []uint32{width, height} {
			b = o.AppendUint16(b, uint16(256+i))
			b = o.AppendUint32(o.AppendUint16(b, 4), 1)
			b = o.AppendUint32(b, v)
		}
		b = o.AppendUint32(b, next)
	}
	b = o.AppendUint32(b, 8)
	page(38, 1, 1)
	page(8, width, height) // in a circle
	return b
}

func bmp(width, height int32) []byte {
	b := make([]byte, 54)
	copy(b, "BM")
	b[14] = 40
	binary.LittleEndian.PutUint32(b[18:], uint32(width))
	binary.LittleEndian.PutUint32(b[22:], uint32(height))
	return b
}

func TestRead(t *testing.T) {
	for contentType, file := range files(t) {
		want := imagefile.Header{ContentType: contentType, Width: 48, Height: 20}
		if h, ok := imagefile.Read(file); !ok || h != want {
			t.Errorf("%s: Read = %+v, %v, want %+v", contentType, h, ok, want)
		}
		// Cut anywhere, it is recognised without measures or not at all, but never misread.
		several := contentType == imagefile.AVIF || contentType == imagefile.HEIC || contentType == imagefile.TIFF
		for n := range len(file) {
			if h, ok := imagefile.Read(file[:n]); ok && h != want && (h.ContentType != contentType || h.Width != 0 && !several) {
				t.Errorf("%s cut to %d bytes: %+v", contentType, n, h)
			}
		}
	}
	for name, tc := range map[string]struct {
		file []byte
		want imagefile.Header
	}{
		"lossy WebP":    {webp("VP8 ", "\x00\x00\x00\x9d\x01\x2a\x30\x00\x14\x00"), imagefile.Header{ContentType: imagefile.WebP, Width: 48, Height: 20}},
		"lossless WebP": {webp("VP8L", "\x2f\x2f\xc0\x04\x00\x00\x00\x00\x00\x00"), imagefile.Header{ContentType: imagefile.WebP, Width: 48, Height: 20}},
		"big-endian TIFF": {
			tiff(binary.BigEndian, 48, 20), imagefile.Header{ContentType: imagefile.TIFF, Width: 48, Height: 20},
		},
		"old bitmap": {
			[]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00\x0c\x00\x00\x00\x30\x00\x14\x00\x01\x00\x18\x00"),
			imagefile.Header{ContentType: imagefile.BMP, Width: 48, Height: 20},
		},
		"JPEG after a long segment": {
			bytes.Join([][]byte{[]byte("\xff\xd8\xff\xe1\xff\xff"), make([]byte, 0xfffd), []byte("\xff\xff\xc2\x00\x11\x08\x00\x14\x00\x30")}, nil),
			imagefile.Header{ContentType: imagefile.JPEG, Width: 48, Height: 20},
		},
	} {
		if h, ok := imagefile.Read(tc.file); !ok || h != tc.want {
			t.Errorf("%s: Read = %+v, %v, want %+v", name, h, ok, tc.want)
		}
	}
	for _, other := range []string{"", "<svg/>", "BM", "BMW;frames;52-18-140;black;159.00", "%PDF-1.7", "PK\x03\x04", "RIFF\x00\x00\x00\x00WAVE", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isom", "\x89PNG\n"} {
		if h, ok := imagefile.Read([]byte(other)); ok {
			t.Errorf("Read(%q) = %+v, want it refused", other, h)
		}
	}
}

// A measure that does not fit a signed number is large, not small or negative.
func TestRead_LargestMeasuresStayLarge(t *testing.T) {
	p := bytes.Clone(files(t)[imagefile.PNG])
	binary.BigEndian.PutUint32(p[16:], 1<<31+1)
	for name, file := range map[string][]byte{
		"png": p, "avif": boxed("avif", 1<<31+1, 20), "tiff": tiff(binary.LittleEndian, 1<<31+1, 20), "bmp": bmp(-1<<31, 20),
	} {
		if h, ok := imagefile.Read(file); !ok || h.Width != 1<<31-1 || h.Pixels() < 1<<34 {
			t.Errorf("%s: %+v, want a width of 2147483647", name, h)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range files(f) {
		f.Add(file)
	}
	f.Add([]byte("II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, head []byte) {
		h, ok := imagefile.Read(head)
		if ok != (h.ContentType != "") || h.Width < 0 || h.Height < 0 || !ok && h != (imagefile.Header{}) {
			t.Errorf("Read = %+v, %v", h, ok)
		}
	})
}
