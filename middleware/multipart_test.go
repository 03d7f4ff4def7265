package middleware_test

import (
	"archive/zip"
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/middleware"
)

func pngOf(t testing.TB, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = byte(i * i >> 3)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 300, 200))
	for i := range img.Pix {
		img.Pix[i] = byte(i * i >> 3)
	}
	img.Set(1, 1, color.White)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// priceList is a table as manufacturers send them.
func priceList() []byte {
	return []byte("sku;name;description;price;url\r\n" + strings.Repeat(
		"AB-52_18;O'Brien & Söhne \"Select\";\"<b>Frame</b>, 52-18-140; for him -- and her; 100% acetate (black) or gold\";159,00;https://maker.example/p?id=1&lang=de\r\n"+
			"CD-50_20;Union No. 5;\"Where style = comfort; select from 3 colours, drop in & try; it's \"\"light\"\"\";99,00;\r\n", 400))
}

// upload is a part of a form; a file if it has a file name or a type.
type upload struct{ name, file, contentType, content string }

func formOf(t testing.TB, parts ...upload) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition(p.name, p.file))
		if p.file == "" {
			h.Set("Content-Disposition", `form-data; name="`+p.name+`"`)
		}
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		f, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, p.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

// send has a request inspected and tells the status, what was recorded, and what the handler read.
func send(t testing.TB, r *http.Request) (status int, log *history, got []byte) {
	t.Helper()
	log = &history{}
	w := httptest.NewRecorder()
	inspection(t, log).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
	})).ServeHTTP(w, r)
	return w.Code, log, got
}

func (h *history) rules() (list []string) {
	for _, f := range h.found {
		list = append(list, f.Rule)
	}
	return list
}

func TestInspection_PassesUploadsOfBusiness(t *testing.T) {
	for name, parts := range map[string][]upload{
		"a product with photos": {
			{name: "name", content: "O'Brien & Söhne"},
			{name: "sizes[0][width]", content: "52"},
			{name: "product", contentType: "application/json", content: `{"name":"Söhne","tags":["a","b"]}`},
			{name: "photos[]", file: "Brille (1).PNG", contentType: "image/png", content: string(pngOf(t, 300, 200))},
			{name: "photos[]", file: "IMG_0001.jpg", contentType: "image/jpeg", content: string(jpegOf(t))},
		},
		"a price list":          {{name: "list", file: "prices 2026.csv", contentType: "text/csv", content: string(priceList())}},
		"one from Windows":      {{name: "list", file: "prices.csv", contentType: "application/vnd.ms-excel", content: "sku;name\r\n1;S\xf6hne\r\n"}},
		"an archive of a photo": {{name: "photos", file: "photos.zip", contentType: "application/zip", content: string(zipOf(t, "photos/a.png", pngOf(t, 300, 200)))}},
		"no file chosen":        {{name: "photo", file: "", contentType: "application/octet-stream"}},
		"a large photo":         {{name: "photo", file: "a.png", contentType: "image/png", content: string(pngOf(t, 300, 200)) + strings.Repeat("\x01", middleware.MaxInspected)}},
		"a large text":          {{name: "text", content: strings.Repeat("Söhne ", middleware.MaxInspected/6)}},
	} {
		contentType, body := formOf(t, parts...)
		r := httptest.NewRequest(http.MethodPost, "/products", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if status, log, got := send(t, r); status != http.StatusOK || !bytes.Equal(got, body) {
			t.Errorf("%s: %d for %v, handler read %d bytes of %d", name, status, log.found, len(got), len(body))
		}
	}
}

// Names, types and contents of uploaded files are not trusted.
func TestInspection_FindsAttacksInMultipart(t *testing.T) {
	const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	for name, tc := range map[string]struct {
		part upload
		want string
	}{
		"a field":               {upload{name: "q", content: injection}, "sqli.truncate"},
		"a field's name":        {upload{name: "user[$ne]", content: "a"}, "nosql.operator"},
		"a field of JSON":       {upload{name: "product", contentType: "application/json", content: `{"user":{"$ne":""}}`}, "nosql.operator"},
		"duplicate keys":        {upload{name: "product", contentType: "application/json", content: `{"a":1,"a":2}`}, "malformed.duplicate_key"},
		"a file's name":         {upload{name: "photo", file: "<script>alert(1)</script>.png", contentType: "image/png", content: string(pngOf(t, 9, 9))}, "xss.script"},
		"a path":                {upload{name: "photo", file: "../../a.png", contentType: "image/png", content: string(pngOf(t, 9, 9))}, "upload.name.path"},
		"a script's name":       {upload{name: "photo", file: "a.php", contentType: "image/png", content: string(pngOf(t, 9, 9))}, "upload.name.script"},
		"an SVG called png":     {upload{name: "photo", file: "a.png", contentType: "image/png", content: svg}, "upload.mismatch"},
		"an SVG with a script":  {upload{name: "photo", file: "a.svg", contentType: "image/svg+xml", content: svg}, "upload.svg.script"},
		"a zip bomb":            {upload{name: "photos", file: "a.zip", contentType: "application/zip", content: string(zipOf(t, "a.txt", make([]byte, 30<<20)))}, "upload.zip.bomb"},
		"an injection in a CSV": {upload{name: "list", file: "a.csv", contentType: "text/csv", content: "sku;name\r\n1;" + injection + "\r\n"}, "sqli.truncate"},
		"a web page":            {upload{name: "doc", file: "a.html", contentType: "text/html", content: "<html><body>"}, "upload.html"},
		"XML with entities":     {upload{name: "feed", file: "a.xml", contentType: "text/xml", content: `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed>&x;</feed>`}, "upload.xml.entity"},
	} {
		contentType, body := formOf(t, tc.part)
		r := httptest.NewRequest(http.MethodPost, "/products", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		status, log, _ := send(t, r)
		if status != http.StatusForbidden || !slices.Contains(log.rules(), tc.want) {
			t.Errorf("%s: %d for %v, want 403 for %s", name, status, log.rules(), tc.want)
		}
		for _, f := range log.found {
			if f.Input != tc.part.name && !strings.HasPrefix(f.Input, tc.part.name+"/") {
				t.Errorf("%s: %s names the input %q, want %q", name, f.Rule, f.Input, tc.part.name)
			}
		}
	}
}

func TestInspection_FindsAttacksInFilesSentAlone(t *testing.T) {
	bomb := pngOf(t, 9, 9)
	copy(bomb[16:], "\x00\x00\xff\xff\x00\x00\xff\xff")
	for _, tc := range []struct {
		name, contentType string
		content           []byte
		want              string // "" if it is clean
	}{
		{"a photo", "image/png", pngOf(t, 300, 200), ""},
		{"a PDF", "application/pdf", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"), ""},
		{"bytes", "application/octet-stream", []byte("\x00\x01\x02"), ""},
		{"a pixel bomb", "image/png", bomb, "upload.image.pixels"},
		{"an SVG", "image/svg+xml", []byte(`<svg onload="alert(1)"/>`), "upload.svg.event"},
		{"a program", "application/octet-stream", []byte("\x7fELF\x02\x01\x01\x00"), "upload.program"},
		{"a PDF that is none", "application/pdf", []byte("#!/bin/sh\n"), "upload.mismatch"},
		{"a way out", "application/zip", zipOf(t, "../a.txt", []byte("a")), "upload.zip.path"},
	} {
		r := httptest.NewRequest(http.MethodPut, "/photos/1", bytes.NewReader(tc.content))
		r.Header.Set("Content-Type", tc.contentType)
		status, log, _ := send(t, r)
		if blocked := status == http.StatusForbidden; blocked != (tc.want != "") || blocked && !slices.Contains(log.rules(), tc.want) {
			t.Errorf("%s: %d for %v, want %q", tc.name, status, log.rules(), tc.want)
		}
	}
}

// Of two content types the application may read the other one.
func TestInspection_RefusesMultipartOfTwoTypes(t *testing.T) {
	contentType, body := formOf(t, upload{name: "a", content: "1"})
	for _, types := range [][]string{{contentType, "application/json"}, {"text/plain", contentType}, {contentType, "multipart/form-data; boundary=B"}} {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header["Content-Type"] = types
		if status, log, _ := send(t, r); status != http.StatusForbidden || !slices.Contains(log.rules(), "upload.form.boundary") {
			t.Errorf("%q: %d for %v, want 403 for upload.form.boundary", types, status, log.rules())
		}
	}
}
