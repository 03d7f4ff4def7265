package catalog_test

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

	"github.com/makerguard/makerguard/catalog"
)

// imageFiles are files of 48 by 20 pixels by content type: whole ones where the standard
// library can write the format, else headers.
func imageFiles() map[string][]byte {
	img := image.NewPaletted(image.Rect(0, 0, 48, 20), color.Palette{color.Black, color.White})
	var p, g, j bytes.Buffer
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(png.Encode(&p, img))
	must(gif.Encode(&g, img, nil))
	must(jpeg.Encode(&j, img, nil))
	return map[string][]byte{"image/png": p.Bytes(), "image/gif": g.Bytes(), "image/jpeg": j.Bytes(), "image/webp": webp("VP8X", "\x00\x00\x00\x00\x2f\x00\x00\x13\x00\x00"), "image/avif": avif(48, 20)}
}

func webp(chunk, data string) []byte {
	return []byte("RIFF\x00\x00\x00\x00WEBP" + chunk + "\x0a\x00\x00\x00" + data)
}

// avif is the beginning of an AVIF file with an extent of a tile and one of the image.
func avif(width, height uint32) []byte {
	b := []byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif")
	for _, size := range [][2]uint32{{width / 2, height / 2}, {width, height}} {
		b = append(b, "\x00\x00\x00\x14ispe\x00\x00\x00\x00"...)
		b = binary.BigEndian.AppendUint32(b, size[0])
		b = binary.BigEndian.AppendUint32(b, size[1])
	}
	return b
}

func TestValidateImage_ContentDecides(t *testing.T) {
	files := imageFiles()
	svg := []byte("\ufeff \n<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>")
	bomb := bytes.Clone(files["image/png"])
	binary.BigEndian.PutUint32(bomb[16:], 100_000)
	binary.BigEndian.PutUint32(bomb[20:], 100_000)
	for name, tc := range map[string]struct {
		img     catalog.Image
		file    []byte
		size    int64
		pointer string // of the one error; "-" for none
		says    string
	}{
		"right":                  {catalog.Image{Name: new("a.PNG"), ContentType: new("image/png")}, files["image/png"], 0, "-", ""},
		"right by name":          {catalog.Image{Name: new("a.jpeg")}, files["image/jpeg"], 0, "-", ""},
		"nothing declared":       {catalog.Image{}, files["image/avif"], 0, "-", ""},
		"SVG as png":             {catalog.Image{Name: new("a.png"), ContentType: new("image/png")}, svg, 0, "", "SVG"},
		"HTML as png":            {catalog.Image{Name: new("a.png")}, []byte("<!doctype html>"), 0, "", "HTML"},
		"a program as png":       {catalog.Image{Name: new("a.png")}, []byte("MZ\x90\x00"), 0, "", "not an image"},
		"empty":                  {catalog.Image{Name: new("a.png")}, nil, 0, "", "not an image"},
		"gif named png":          {catalog.Image{Name: new("a.png")}, files["image/gif"], 0, "/name", "another kind"},
		"gif declared as jpeg":   {catalog.Image{ContentType: new("image/jpeg")}, files["image/gif"], 0, "/content_type", "another kind"},
		"pixel bomb":             {catalog.Image{Name: new("a.png")}, bomb, 0, "", "pixels"},
		"too long":               {catalog.Image{Name: new("a.png")}, files["image/png"], 20<<20 + 1, "", "longer"},
		"header cut":             {catalog.Image{Name: new("a.png")}, files["image/png"][:20], 0, "", "width and height"},
		"no pixels":              {catalog.Image{Name: new("a.avif")}, avif(0, 0), 0, "", "width and height"},
		"name of another format": {catalog.Image{Name: new("a.svg")}, files["image/png"], 0, "/name", "not accepted"},
	} {
		r := catalog.ValidateImage(tc.img, tc.file, max(tc.size, int64(len(tc.file))), catalog.ImageLimits{})
		switch {
		case tc.pointer == "-":
			if len(r.Errors) > 0 {
				t.Errorf("%s: %+v, want no error", name, r.Errors)
			}
		case len(r.Errors) != 1 || r.Errors[0].Pointer != tc.pointer || r.Errors[0].Rule != "upload" || !strings.Contains(r.Errors[0].Message, tc.says):
			t.Errorf("%s: %+v, want one error at %q that says %q", name, r.Errors, tc.pointer, tc.says)
		}
	}
	small := catalog.ImageLimits{Bytes: 10, Pixels: 100}
	if r := catalog.ValidateImage(catalog.Image{}, files["image/png"], 11, small); len(r.Errors) != 2 {
		t.Errorf("over both limits: %+v, want two errors", r.Errors)
	}
}
