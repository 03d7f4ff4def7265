package upload_test

import (
	"bytes"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/threat/upload"
)

// crlf writes a body with the line ends that it is to have.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const fieldPart = "--B\nContent-Disposition: form-data; name=\"a\"\n\n1\n"

func TestParts_ReadsWhatClientsSend(t *testing.T) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	must(t, w.WriteField("name", "O'Brien\r\n--x"))
	f, err := w.CreateFormFile("photo", "Brille (1).png")
	must(t, err)
	_, err = f.Write([]byte("\x89PNG\r\n\r\n--"))
	must(t, err)
	must(t, w.Close())
	for name, tc := range map[string]struct {
		contentType string
		body        []byte
		want        []upload.Part
	}{
		"Go": {w.FormDataContentType(), body.Bytes(), []upload.Part{
			{Name: "name", Content: []byte("O'Brien\r\n--x")},
			{Name: "photo", IsFile: true, FileName: "Brille (1).png", Type: "application/octet-stream", Content: []byte("\x89PNG\r\n\r\n--")},
		}},
		"a browser": {
			"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
			crlf("------WebKitFormBoundary7MA4YWxkTrZu0gW\nContent-Disposition: form-data; name=\"a[0]\"\n\n\n------WebKitFormBoundary7MA4YWxkTrZu0gW\n" +
				"Content-Disposition: form-data; name=\"f\"; filename=\"\"\nContent-Type: application/octet-stream\n\n\n------WebKitFormBoundary7MA4YWxkTrZu0gW--\n"),
			[]upload.Part{{Name: "a[0]", Content: []byte{}}, {Name: "f", IsFile: true, Type: "application/octet-stream", Content: []byte{}}},
		},
		".NET": {
			`multipart/form-data; boundary="5ab24b80-0f27-4e0c-9c4b-a6a5fb2e2c5a"`,
			crlf("--5ab24b80-0f27-4e0c-9c4b-a6a5fb2e2c5a\nContent-Type: image/png\nContent-Disposition: form-data; name=file; filename=\"=?utf-8?B?w7YucG5n?=\"; filename*=utf-8''%C3%B6.png\n\nx\n--5ab24b80-0f27-4e0c-9c4b-a6a5fb2e2c5a--\n"),
			[]upload.Part{{Name: "file", IsFile: true, FileName: "ö.png", Type: "image/png", Content: []byte("x")}},
		},
		"related parts": {
			"multipart/related; boundary=B; type=\"application/json\"",
			crlf("--B\nContent-Type: application/json\n\n{}\n--B\nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\nx\n--B--"),
			[]upload.Part{{Type: "application/json", Content: []byte("{}")}, {Type: "image/png", Content: []byte("x")}},
		},
	} {
		found, parts := upload.Parts(nil, tc.contentType, tc.body, false)
		if len(found) != 0 {
			t.Errorf("%s: %v %q, want nothing", name, rulesOf(found), found[0].Evidence)
		}
		if d := cmp.Diff(tc.want, parts); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		// Cut anywhere, nothing is wrong with what was read.
		for n := range len(tc.body) {
			if found, _ := upload.Parts(nil, tc.contentType, tc.body[:n], true); len(found) != 0 {
				t.Errorf("%s cut to %d bytes: %v, want nothing", name, n, rulesOf(found))
				break
			}
		}
	}
}

func TestParts_CutOffPartIsSaidToBe(t *testing.T) {
	_, parts := upload.Parts(nil, "multipart/form-data; boundary=B", crlf(fieldPart+"--B\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\n\n\x89PNG"), true)
	want := []upload.Part{{Name: "a", Content: []byte("1")}, {Name: "f", IsFile: true, FileName: "a.png", Content: []byte("\x89PNG"), Truncated: true}}
	if d := cmp.Diff(want, parts); d != "" {
		t.Errorf("Parts (-want +got):\n%s", d)
	}
}

func TestParts_FindsWhatReadersTakeDifferently(t *testing.T) {
	const form = "multipart/form-data; boundary=B"
	part := func(headers string) []byte { return crlf("--B\n" + headers + "\n\nx\n--B--\n") }
	disposition := func(params string) []byte { return part("Content-Disposition: form-data; " + params) }
	for name, tc := range map[string]struct {
		contentType string
		body        []byte
		want        string
	}{
		"no boundary":             {"multipart/form-data", crlf(fieldPart + "--B--"), "upload.form.boundary"},
		"two boundaries":          {form + "; boundary=C", crlf(fieldPart + "--B--"), "upload.form.boundary"},
		"two types":               {"text/plain, " + form, crlf(fieldPart + "--B--"), "upload.form.boundary"},
		"a boundary in pieces":    {form + "; boundary*0=C", crlf(fieldPart + "--B--"), "upload.form.boundary"},
		"a boundary with a space": {`multipart/form-data; boundary=B C`, crlf("--B C\n"), "upload.form.boundary"},
		"a quote that is open":    {`multipart/form-data; boundary="B`, crlf(fieldPart + "--B--"), "upload.form.boundary"},
		"a long boundary":         {"multipart/form-data; boundary=" + strings.Repeat("B", 71), nil, "upload.form.boundary"},
		"no end":                  {form, crlf(fieldPart), "upload.form.boundary"},
		"text in front":           {form, crlf("hidden\n" + fieldPart + "--B--"), "upload.form.boundary"},
		"text behind":             {form, crlf(fieldPart + "--B--\n" + fieldPart), "upload.form.boundary"},
		"line feeds":              {form, []byte(fieldPart + "--B--\n"), "upload.form.boundary"},
		"a longer boundary":       {form, crlf(fieldPart + "--Bx\nContent-Disposition: form-data; name=\"b\"\n\n1\n--B--"), "upload.form.boundary"},
		"padding":                 {form, crlf("--B \nContent-Disposition: form-data; name=\"a\"\n\n1\n--B--"), "upload.form.boundary"},

		"no headers":            {form, crlf("--B\n\n1\n--B--"), "upload.form.header"},
		"no disposition":        {form, part("Content-Type: text/plain"), "upload.form.header"},
		"no end of headers":     {form, crlf("--B\nContent-Disposition: form-data; name=\"a\"\n--B--"), "upload.form.header"},
		"a folded header":       {form, disposition("name=\"a\";\n filename=\"a.php\""), "upload.form.header"},
		"two dispositions":      {form, disposition("name=\"a\"\nContent-Disposition: form-data; name=\"b\""), "upload.form.header"},
		"a space and a colon":   {form, part("Content-Disposition : form-data; name=\"a\""), "upload.form.header"},
		"a line feed alone":     {form, []byte("--B\r\nContent-Disposition: form-data; name=\"a\"\nX: y\r\n\r\n1\r\n--B--"), "upload.form.header"},
		"two names":             {form, disposition(`name="a"; name="b"`), "upload.form.header"},
		"two file names":        {form, disposition(`name="a"; filename="a.png"; filename="a.php"`), "upload.form.header"},
		"no name":               {form, disposition(`filename="a.png"`), "upload.form.header"},
		"a name in pieces":      {form, disposition(`name="a"; filename*0="a."; filename*1="php"`), "upload.form.header"},
		"an apostrophe":         {form, disposition(`name='a'`), "upload.form.header"},
		"text behind a quote":   {form, disposition(`name="a"b`), "upload.form.header"},
		"an escaped quote":      {form, disposition(`name="a"; filename="a\".php"`), "upload.form.header"},
		"another kind of part":  {form, part(`Content-Disposition: attachment; name="a"`), "upload.form.header"},
		"a second file name":    {form, disposition(`name="a"; filename="a.png"; filename*=utf-8''a.php`), "upload.form.name"},
		"one in another set":    {form, disposition(`name="a"; filename*=utf-7''a.png`), "upload.form.name"},
		"a line in a name":      {form, disposition(`name="a"; filename*=utf-8''a%0d%0ab`), "upload.form.name"},
		"bytes in a name":       {form, disposition("name=\"a\xff\""), "upload.form.name"},
		"base64":                {form, disposition("name=\"a\"\nContent-Transfer-Encoding: base64"), "upload.form.encoding"},
		"EBCDIC":                {form, disposition("name=\"a\"\nContent-Type: text/plain; charset=ibm037"), "upload.form.encoding"},
		"a charset for all":     {form, crlf("--B\nContent-Disposition: form-data; name=\"_charset_\"\n\nutf-7\n--B--"), "upload.form.encoding"},
		"parts in a part":       {form, disposition("name=\"a\"\nContent-Type: multipart/mixed; boundary=C"), "upload.form.nested"},
		"too many parts":        {form, crlf(strings.Repeat(fieldPart, upload.MaxParts+1) + "--B--"), "upload.form.limits"},
		"headers without bound": {form, part("Content-Disposition: form-data; name=\"a\"\nX: " + strings.Repeat("x", 9000)), "upload.form.limits"},
	} {
		found, parts := upload.Parts(nil, tc.contentType, tc.body, false)
		if !slices.Contains(rulesOf(found), tc.want) {
			t.Errorf("%s: %v, want %s", name, rulesOf(found), tc.want)
		}
		if len(parts) > upload.MaxParts {
			t.Errorf("%s: %d parts, want at most %d", name, len(parts), upload.MaxParts)
		}
		checkFindings(t, upload.File{Field: "body", Content: tc.body}, found)
	}
}
