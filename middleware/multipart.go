package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/upload"
)

// multipartType gives the content type of a multipart body. Of several, any of which a reader could
// take, it gives all, so that they are a finding.
func multipartType(h http.Header) (contentType string, ok bool) {
	values := h["Content-Type"]
	for _, v := range values {
		v = strings.TrimSpace(v)
		ok = ok || len(v) >= 10 && strings.EqualFold(v[:10], "multipart/")
	}
	if !ok {
		return "", false
	}
	return strings.Join(values, ", "), true
}

// multipart inspects a multipart body: how it is made up, the names and values of its fields,
// and its files.
func (i *Inspection) multipart(dst []makerguard.Finding, contentType string, body []byte, truncated bool) []makerguard.Finding {
	dst, parts := upload.Parts(dst, contentType, body, truncated)
	for _, p := range parts {
		if p.Name == "" {
			p.Name = "body"
		}
		dst = i.fieldName(dst, p.Name)
		if p.IsFile {
			dst = i.file(dst, upload.File{Field: p.Name, Name: p.FileName, DeclaredType: p.Type, Content: p.Content, Truncated: p.Truncated})
		} else {
			dst = i.text(dst, p.Name, p.Type, string(p.Content), makerguard.InForm, p.Truncated)
		}
	}
	return dst
}

// fieldName inspects the name of a field as the names in other forms are.
func (i *Inspection) fieldName(dst []makerguard.Finding, name string) []makerguard.Finding {
	before := len(dst)
	dst = i.Detector.InspectForm(dst, url.QueryEscape(name))
	for k := before; k < len(dst); k++ {
		dst[k].Offset, dst[k].Length = 0, 0 // they count the escapes
	}
	return dst
}

// file inspects a file of a form: its name, what it is, and its text if it is one.
func (i *Inspection) file(dst []makerguard.Finding, f upload.File) []makerguard.Finding {
	if f.Name != "" {
		dst = i.Detector.Inspect(dst, threat.Input{Name: f.Field, Value: f.Name, Location: makerguard.InFilename})
	}
	dst = upload.Inspect(dst, f)
	if text, ok := upload.Text(f); ok && len(f.Content) > 0 {
		dst = i.text(dst, f.Field, f.DeclaredType, text, makerguard.InText, f.Truncated)
	}
	return dst
}

// text inspects a text that may be JSON.
func (i *Inspection) text(dst []makerguard.Finding, name, contentType, s string, loc makerguard.Location, truncated bool) []makerguard.Finding {
	media, _, _ := strings.Cut(contentType, ";")
	if isJSON(strings.ToLower(strings.TrimSpace(media))) {
		return i.Detector.InspectJSON(dst, threat.Input{Name: name, Value: s, Location: makerguard.InJSON, Truncated: truncated})
	}
	return i.Detector.Inspect(dst, threat.Input{Name: name, Value: s, Location: loc})
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// binary reports whether a body of a media type is a file rather than a text.
func binary(media string) bool {
	switch kind, sub, _ := strings.Cut(media, "/"); kind {
	case "image", "video", "audio", "font", "model":
		return len(kind) < len(media)
	case "application":
		if office, found := strings.CutPrefix(sub, "vnd."); found &&
			(strings.HasPrefix(office, "openxmlformats-officedocument.") || strings.HasPrefix(office, "oasis.opendocument.") || strings.HasPrefix(office, "ms-")) {
			return true
		}
	}
	switch media {
	case "application/octet-stream", "application/pdf", "application/zip", "application/x-zip-compressed", "application/gzip", "application/x-gzip", "application/msword":
		return true
	}
	return false
}
