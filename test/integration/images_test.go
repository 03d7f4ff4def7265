package integration

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whereabouts stands in the photo's metadata and nowhere in what comes back.
const whereabouts = "48.8584N,2.2945E"

// photo is a JPEG as a camera writes it: turned on its side, with a comment and more behind its end.
func photo(t testing.TB) (plain, full []byte) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 48, 20))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 7)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	segment := func(marker byte, data string) []byte {
		return append([]byte{0xff, marker, 0, byte(len(data) + 2)}, data...)
	}
	turned := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02" +
		"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" + "\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x26" + "\x00\x00\x00\x00" + whereabouts
	plain = b.Bytes()
	return plain, bytes.Join([][]byte{plain[:2], segment(0xe1, turned), segment(0xfe, whereabouts), plain[2:], []byte(whereabouts)}, nil)
}

func (s *server) clean(t testing.TB, token, contentType string, body io.Reader) answer {
	t.Helper()
	return s.do(t, request{method: http.MethodPost, path: "/v1/catalog/images/clean", token: token, body: body, header: map[string]string{"Content-Type": contentType}})
}

// A photo comes back with its pixels and its orientation, and without where it was taken; cleaning it
// again changes nothing.
func TestImages_CleanLeavesNothingButTheImage(t *testing.T) {
	s := start(t, "")
	_, token := s.signUp(t, "photographer")
	plain, full := photo(t)
	a := s.clean(t, token, "image/jpeg", bytes.NewReader(full)).want(t, 200, "")
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Content-Disposition": `attachment; filename="image.jpg"`, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Makerguard-Removed": "exif, gps, comment, trailing data",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if bytes.Contains(a.raw, []byte(whereabouts)) {
		t.Error("the answer tells where the photo was taken")
	}
	if !bytes.HasSuffix(a.raw, plain[2:]) || !bytes.Contains(a.raw, []byte("\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06")) {
		t.Errorf("the answer %q is not the image with its orientation", a.raw[:60])
	}
	again := s.clean(t, token, "image/jpeg; charset=binary", bytes.NewReader(a.raw)).want(t, 200, "")
	if !bytes.Equal(again.raw, a.raw) || again.header.Values("Makerguard-Removed") != nil {
		t.Errorf("cleaned again: removed %q, want nothing", again.header.Get("Makerguard-Removed"))
	}
}

// What is no image, another one than it says, cut off, too large or not cleaned is refused with a
// problem and no bytes.
func TestImages_CleanRefuses(t *testing.T) {
	s := start(t, "")
	_, token := s.signUp(t, "refused")
	plain, full := photo(t)
	bomb := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00\x00\x00\x00\x00"
	s.clean(t, "", "image/jpeg", bytes.NewReader(full)).want(t, 401, "AUTHENTICATION_REQUIRED")
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"another content type": {"application/json", string(full), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"avif":                 {"image/avif", "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"a drawing":            {"image/png", "<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "VALIDATION_FAILED"},
		"another image":        {"image/png", string(full), 422, "VALIDATION_FAILED"},
		"too many pixels":      {"image/png", bomb, 422, "VALIDATION_FAILED"},
		"cut off":              {"image/jpeg", string(plain[:len(plain)-10]), 422, "VALIDATION_FAILED"},
		"nothing":              {"image/jpeg", "", 400, "MALFORMED_REQUEST"},
		"too long":             {"image/jpeg", string(full) + strings.Repeat("a", 20<<20), 413, "PAYLOAD_TOO_LARGE"},
	} {
		a := s.clean(t, token, tc.contentType, strings.NewReader(tc.body))
		if a.status != tc.status || a.str("code") != tc.code {
			t.Errorf("%s: %v, want %d %s", name, a, tc.status, tc.code)
			continue
		}
		a.problem(t, name)
		if a.header.Values("Makerguard-Removed") != nil || a.header.Values("Content-Disposition") != nil {
			t.Errorf("%s: headers %v, want none of an image", name, a.header)
		}
	}
	// The largest that is taken, of which nearly all is removed.
	most := string(full) + strings.Repeat("a", 20<<20-len(full))
	s.clean(t, token, "image/jpeg", strings.NewReader(most)).want(t, 200, "")
}

// The command and the API make the same bytes.
func TestImages_CommandAndAPIAgree(t *testing.T) {
	s := start(t, "")
	_, token := s.signUp(t, "agreeing")
	_, full := photo(t)
	name := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(name, full, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := command(t, "", "images", "clean", "--in-place", name); code != 0 {
		t.Fatalf("images clean: exit %d\n%s", code, out)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := s.clean(t, token, "image/jpeg", bytes.NewReader(full)).want(t, 200, ""); !bytes.Equal(got, want.raw) {
		t.Error("the command's result is not the API's")
	}
}
