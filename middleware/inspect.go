package middleware

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/upload"
)

// MaxInspected is how many bytes of a body are inspected; what follows them is passed
// on as it is.
const MaxInspected = 1 << 20

// ThreatLog keeps what was found. *threat.Log is one.
type ThreatLog interface {
	Record(ctx context.Context, s threat.Sighting) ([]makerguard.Threat, error)
}

// Rules say what becomes of findings. *threat.Rulebooks are some.
type Rules interface {
	// Judge parts findings into those the request is to be refused for and those that are
	// only to be noted; what is in neither is to be overlooked. It may reuse fs.
	Judge(ctx context.Context, mfr makerguard.ManufacturerID, route string, fs []makerguard.Finding) (blocking, watched []makerguard.Finding)
}

// Inspection looks for attacks in requests: path, query, the headers and cookies that
// applications print or parse, and bodies in JSON, forms, text, multipart and files.
type Inspection struct {
	Detector *threat.Detector
	Log      ThreatLog
	Rules    Rules // nil: every finding blocks
	Logger   *slog.Logger
	// Monitor writes findings to the history and lets the request through, whatever the
	// rules say.
	Monitor bool
	// Seen, if set, remembers what was clean of headers, cookies, paths and queries. It may be shared.
	Seen *CleanValues
}

// Handler inspects requests before next sees them; one with a finding is answered 403
// SecurityThreatDetected.
func (i *Inspection) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := i.Head(nil, r.URL.Path, r.URL.RawQuery, r.Header)
		found = i.host(found, r.Host)
		found, err := i.body(found, r)
		if err == nil && len(found) > 0 {
			p, _ := makerguard.PrincipalFrom(r.Context())
			err = i.Refuse(r.Context(), p, Route(r), found)
		}
		if err != nil {
			fail(w, r, i.Logger, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Head inspects what stands before the body. The path is decoded, the query is not.
func (i *Inspection) Head(dst []makerguard.Finding, path, rawQuery string, h http.Header) []makerguard.Finding {
	dst = i.query(i.path(dst, path), rawQuery)
	return i.headers(dst, h)
}

func (i *Inspection) query(dst []makerguard.Finding, raw string) []makerguard.Finding {
	if raw == "" {
		return dst
	}
	r, clean := i.Seen.find(queryValue, raw)
	if clean {
		return dst
	}
	before := len(dst)
	if dst = i.Detector.InspectQuery(dst, raw); len(dst) == before {
		r.keep()
	}
	return dst
}

func (i *Inspection) path(dst []makerguard.Finding, path string) []makerguard.Finding {
	r, clean := i.Seen.find(pathValue, path)
	if clean {
		return dst
	}
	before := len(dst)
	if dst = i.Detector.Inspect(dst, threat.Input{Name: "path", Value: path, Location: makerguard.InPath}); len(dst) == before {
		r.keep()
	}
	return dst
}

// body reads up to MaxInspected bytes, inspects them and puts them back.
func (i *Inspection) body(dst []makerguard.Finding, r *http.Request) ([]makerguard.Finding, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return dst, nil
	}
	text, err := readStart(r.Body, r.ContentLength)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return dst, &makerguard.Error{Code: makerguard.PayloadTooLarge, Message: "the body is larger than this route takes", Details: map[string]any{"limit": tooLarge.Limit}}
		}
		return dst, &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the body could not be read to its end", Err: err}
	}
	r.Body = &replay{start: text, rest: r.Body}
	truncated := len(text) == MaxInspected && r.ContentLength != MaxInspected
	if truncated && i.Logger != nil {
		i.Logger.DebugContext(r.Context(), "body inspected in part", "route", Route(r), "bytes", len(text))
	}
	media := mediaType(r.Header)
	if media == "" || strings.HasPrefix(media, "multipart/") { // of several types, too, one may be
		if contentType, ok := multipartType(r.Header); ok {
			return i.multipart(dst, contentType, []byte(text), truncated), nil
		}
	}
	if binary(media) {
		return upload.Inspect(dst, upload.File{Field: "body", DeclaredType: media, Content: []byte(text), Truncated: truncated}), nil
	}
	if truncated {
		text = whole(text)
	}
	in := threat.Input{Name: "body", Value: text, Location: makerguard.InText, Truncated: truncated}
	switch {
	case isJSON(media) || media == "" && looksLikeJSON(text):
		in.Location = makerguard.InJSON
		return i.Detector.InspectJSON(dst, in), nil
	case media == "application/x-www-form-urlencoded":
		return i.Detector.InspectForm(dst, text), nil
	}
	return i.Detector.Inspect(dst, in), nil
}

// mediaType gives the media type without parameters, in lower case; "" if there is none,
// or more than one to choose from.
func mediaType(h http.Header) string {
	v := h["Content-Type"]
	if len(v) != 1 {
		return ""
	}
	if v[0] == "application/json" { // as most send it
		return v[0]
	}
	media, _, _ := strings.Cut(v[0], ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// readStart reads up to MaxInspected bytes. length is how many to expect, or negative.
func readStart(r io.Reader, length int64) (string, error) {
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	if length >= 0 && length <= chunkSize {
		n, err := io.ReadFull(r, chunk[:length])
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return "", err
		}
		return string(chunk[:n]), nil
	}
	var text strings.Builder
	text.Grow(int(min(max(length, chunkSize), MaxInspected)))
	_, err := io.CopyBuffer(&text, io.LimitReader(r, MaxInspected), chunk[:])
	return text.String(), err
}

// whole gives the beginning of a text without the character that it ends in the midst of, whether
// that stands there as UTF-8 or in percent escapes.
func whole(text string) string {
	if cut := strings.LastIndexByte(text, '%'); cut >= 0 && cut > len(text)-len("%00") {
		text = text[:cut]
	}
	var last [utf8.UTFMax]byte // bytes of the last character
	at := len(text)
	for n := 1; n <= len(last); n++ {
		i := len(last) - n
		if escape := at - len("%00"); escape >= 0 && text[escape] == '%' {
			b, err := hex.DecodeString(text[escape+1 : at])
			if err != nil {
				break
			}
			last[i], at = b[0], escape
		} else if at > 0 {
			at--
			last[i] = text[at]
		}
		if utf8.RuneStart(last[i]) {
			if !utf8.FullRune(last[i:]) {
				return text[:at]
			}
			break
		}
	}
	return text
}

const chunkSize = 4 << 10

// chunks are what bodies are read through.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// replay is a body whose beginning was read already.
type replay struct {
	start string // not handed out yet
	rest  io.ReadCloser
}

func (r *replay) Read(p []byte) (int, error) {
	if r.start == "" {
		return r.rest.Read(p)
	}
	n := copy(p, r.start)
	r.start = r.start[n:]
	return n, nil
}

func (r *replay) Close() error { return r.rest.Close() }

func looksLikeJSON(text string) bool {
	t := strings.TrimLeft(text, " \t\r\n")
	return t != "" && (t[0] == '{' || t[0] == '[')
}

// Route names where a request goes for the rules: the method and the pattern that the
// application's router found, if it says as much as the path, or else the path as it was sent.
func Route(r *http.Request) string {
	path := r.URL.EscapedPath()
	if _, pattern, found := strings.Cut(r.Pattern, " "); found && precise(pattern) {
		path = pattern
	} else if !found && precise(r.Pattern) {
		path = r.Pattern
	}
	return r.Method + " " + path
}

// precise reports whether a pattern of http.ServeMux is of one path, but for wildcards of one
// segment, and of no host.
func precise(pattern string) bool {
	return strings.HasPrefix(pattern, "/") && !strings.HasSuffix(pattern, "/") && !strings.HasSuffix(pattern, "...}") && !strings.HasSuffix(pattern, "{$}")
}

// maxRefused is how many findings the answer to a refused request names.
const maxRefused = 50

// Refuse has the rules judge findings, writes to the history what they do not overlook, and
// gives the error that answers the caller: SecurityThreatDetected, or nil if nothing
// blocks. A request that is to be refused is refused even if that cannot be written.
func (i *Inspection) Refuse(ctx context.Context, p *makerguard.Principal, route string, found []makerguard.Finding) error {
	blocking, watched := found, []makerguard.Finding(nil)
	if i.Rules != nil {
		var mfr makerguard.ManufacturerID
		if p != nil {
			mfr = p.ManufacturerID
		}
		blocking, watched = i.Rules.Judge(ctx, mfr, route, found)
	}
	if i.Monitor {
		blocking, watched = nil, append(watched, blocking...)
	}
	_, err := i.Log.Record(ctx, threat.Sighting{Principal: p, Client: makerguard.ClientFrom(ctx), Route: route, Blocked: blocking, Watched: watched})
	if len(blocking) == 0 {
		if err != nil && i.Logger != nil {
			i.Logger.ErrorContext(ctx, "finding not recorded", "error", err)
		}
		return nil
	}
	e := &makerguard.Error{Code: makerguard.SecurityThreatDetected, Message: "the request was refused because it looks like an attack", Err: err}
	for _, f := range blocking[:min(len(blocking), maxRefused)] {
		e.Fields = append(e.Fields, makerguard.FieldError{Pointer: f.Input, Rule: f.Rule, Message: f.Description})
	}
	return e
}
