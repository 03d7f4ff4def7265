package upload_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
)

// photo has what makes a photo's bytes look like chance.
func photo(width, height int) image.Image {
	r := rand.New(rand.NewPCG(1, 2))
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	return img
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pngFile(t testing.TB) []byte {
	var b bytes.Buffer
	must(t, png.Encode(&b, photo(120, 100)))
	return b.Bytes()
}

func jpegFile(t testing.TB) []byte {
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, photo(200, 100), &jpeg.Options{Quality: 90}))
	return b.Bytes()
}

func gifFile(t testing.TB, frames int) []byte {
	g := &gif.GIF{}
	for range frames {
		img := image.NewPaletted(image.Rect(0, 0, 40, 20), color.Palette{color.Black, color.White})
		g.Image, g.Delay = append(g.Image, img), append(g.Delay, 4)
	}
	var b bytes.Buffer
	must(t, gif.EncodeAll(&b, g))
	return b.Bytes()
}

func webpFile(width, height int, frames int) []byte {
	chunk := func(name string, data []byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data))), data...)
	}
	size := func(n int) []byte { return []byte{byte(n - 1), byte((n - 1) >> 8), byte((n - 1) >> 16)} }
	body := chunk("VP8X", append(append([]byte{2, 0, 0, 0}, size(width)...), size(height)...))
	for range frames {
		body = append(body, chunk("ANMF", append(append(append(make([]byte, 6), size(width)...), size(height)...), make([]byte, 8)...))...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body))), append([]byte("WEBP"), body...)...)
}

// pngChunk puts a chunk behind the first of a PNG.
func pngChunk(file []byte, name string, data []byte) []byte {
	c := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), append([]byte(name), data...)...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
	return bytes.Join([][]byte{file[:33], c, file[33:]}, nil)
}

func deflated(t testing.TB, n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(make([]byte, n))
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

// resized is a PNG that says it is as large as asked for.
func resized(file []byte, width, height uint32) []byte {
	file = bytes.Clone(file)
	binary.BigEndian.PutUint32(file[16:], width)
	binary.BigEndian.PutUint32(file[20:], height)
	return file
}

type zipped struct {
	name, content string
	header        func(*zip.FileHeader)
}

func zipFile(t testing.TB, files ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		if f.header != nil {
			f.header(h)
		}
		e, err := w.CreateHeader(h)
		must(t, err)
		_, err = io.WriteString(e, f.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// rawZip has one entry, whose header says what sizes it likes.
func rawZip(t testing.TB, name string, content []byte, says uint64) []byte {
	t.Helper()
	var packed bytes.Buffer
	f, err := flate.NewWriter(&packed, 9)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, f.Close())
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	e, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(packed.Len()), UncompressedSize64: says, CRC32: 1})
	must(t, err)
	_, err = e.Write(packed.Bytes())
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func gzipFile(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func utf16File(s string, order binary.ByteOrder, mark bool) []byte {
	if mark {
		s = "\ufeff" + s
	}
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, 0, 0)
		order.PutUint16(b[len(b)-2:], u)
	}
	return b
}

// priceList is a CSV file as manufacturers send them.
func priceList() string {
	var b strings.Builder
	b.WriteString("sku;name;description;price\r\n")
	for range 500 {
		b.WriteString("AB-52_18;O'Brien & Söhne \"Select\";Frame, 52-18-140; for him -- and her; 100% acetate (black);159,00\r\n")
	}
	return b.String()
}

const pdfFile = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R /OpenAction [3 0 R /Fit] >>\nendobj\nxref\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF\n"

// logo is a drawing as drawing programs save it.
const logo = `<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- Created with Inkscape (http://www.inkscape.org/) -->
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 40">
<metadata><rdf:RDF><rdf:li rdf:resource="http://purl.org/dc/dcmitype/StillImage"/></rdf:RDF></metadata>
<defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient><style type="text/css"><![CDATA[ .a{fill:url(#a);} @font-face{font-family:x;src:url(data:application/font-woff;base64,d09G)} ]]></style></defs>
<a xlink:href="https://maker.example/"><path class="a" style="fill:#000;opacity:.5" d="M0 0h10v10z" inkscape:connector-curvature="0"/></a>
<use xlink:href="#a"/><image xlink:href="data:image/png;base64,iVBORw0KGgo=" width="1" height="1"/><text>O'Brien &amp; Söhne</text></svg>`
