package upload_test

import (
	"bytes"
	"encoding/binary"
	"mime"
	"mime/multipart"
	"testing"

	"github.com/makerguard/makerguard/threat/upload"
)

func FuzzInspect(f *testing.F) {
	for _, content := range [][]byte{
		pngFile(f)[:200], pngChunk(pngFile(f)[:200], "iTXt", append([]byte("k\x00\x01\x00en\x00k\x00"), deflated(f, 1000)...)), jpegFile(f)[:700], gifFile(f, 2), webpFile(40, 20, 2), []byte(pdfFile), []byte(logo),
		zipFile(f, zipped{name: "a.txt", content: "some text"}, zipped{name: "b/"}), rawZip(f, "a", []byte("b"), 1<<40),
		gzipFile(f, []byte(logo)), utf16File("<svg onload=a>", binary.LittleEndian, false), []byte("S\xf6hne"), []byte("BM;"), []byte("<!DOCTYPE a [<!ENTITY b 'c>'>]><a>"),
	} {
		f.Add("a.png", "image/png", content, false)
		f.Add("a.php%00.svgz", "application/zip", content, true)
	}
	f.Fuzz(func(t *testing.T, name, declared string, content []byte, truncated bool) {
		file := upload.File{Field: "f", Name: name, DeclaredType: declared, Content: content, Truncated: truncated}
		before := bytes.Clone(content)
		checkFindings(t, file, upload.Inspect(nil, file))
		upload.Text(file)
		if !bytes.Equal(before, content) {
			t.Error("the content was changed")
		}
	})
}

// FuzzParts holds the reader against the standard library's: of a body without findings both see
// the same parts.
func FuzzParts(f *testing.F) {
	for _, body := range []string{fieldPart + "--B--", "--B\nContent-Disposition: form-data; name=\"a\"; filename=\"b\\c\"\nContent-Type: text/plain\n\n\n--B--\n", "\n" + fieldPart + fieldPart + "--B--"} {
		f.Add("multipart/form-data; boundary=B", crlf(body), false)
		f.Add("multipart/mixed; boundary=\"B\"", []byte(body), true)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte, truncated bool) {
		found, parts := upload.Parts(nil, contentType, body, truncated)
		checkFindings(t, upload.File{Field: "body", Content: body}, found)
		if len(found) > 0 || truncated {
			return
		}
		_, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			return
		}
		r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for i, p := range parts {
			other, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("part %d of %d: the standard library: %v", i, len(parts), err)
			}
			var content bytes.Buffer
			_, err = content.ReadFrom(other)
			if err != nil || !bytes.Equal(content.Bytes(), p.Content) || other.FormName() != p.Name && other.FormName() != "" {
				t.Errorf("part %d is %q with %q, for the standard library %q with %q (%v)", i, p.Name, p.Content, other.FormName(), content.Bytes(), err)
			}
		}
		if p, err := r.NextRawPart(); err == nil {
			t.Errorf("the standard library sees another part: %v", p.Header)
		}
	})
}
