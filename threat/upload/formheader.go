package upload

import (
	"bytes"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"
)

// headers reads the headers of a part (RFC 7578, 4.2 to 4.8).
func (f *form) headers(p *Part, head []byte) {
	if len(head) > maxHeaders {
		f.sayOf(ruleFormLimits, head)
		head = head[:maxHeaders]
	}
	seen := map[string]bool{}
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		raw, value, found := strings.Cut(string(line), ":")
		name := strings.ToLower(raw)
		if !found || !isToken(raw) || seen[name] || strings.ContainsFunc(value, isControl) {
			// Folded lines begin with a space, so their names are none.
			f.sayOf(ruleFormHeader, line)
		}
		name = strings.TrimSpace(name)
		seen[name] = true
		value = strings.TrimSpace(value)
		switch name {
		case "content-disposition":
			f.disposition(p, value)
		case "content-type":
			f.contentType(p, value)
		case "content-transfer-encoding":
			switch strings.ToLower(value) {
			case "7bit", "8bit", "binary":
			default:
				f.say(ruleFormEncoding, value)
			}
		}
	}
	if !seen["content-disposition"] && f.media == "multipart/form-data" {
		f.say(ruleFormHeader, "")
	}
	// The field that says how the others are encoded (RFC 7578, 4.6).
	if p.Name == "_charset_" && !strings.EqualFold(string(p.Content), "utf-8") {
		f.sayOf(ruleFormEncoding, p.Content)
	}
}

// isControl reports whether a character may not stand in a header's value.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// contentType notes the type of a part. An encoding of a field's text is undone by some.
func (f *form) contentType(p *Part, value string) {
	p.Type = value
	media, params, clean := parameters(value)
	if !clean || len(params.named("charset")) > 1 {
		f.say(ruleFormHeader, value)
	}
	if strings.HasPrefix(strings.ToLower(media), "multipart/") {
		f.say(ruleFormNested, value)
	}
	switch charset := strings.ToLower(params.get("charset")); {
	case charset == "", hasPrefix(charset, []string{"utf-8", "us-ascii", "iso-8859-", "windows-125"}):
	default:
		f.say(ruleFormEncoding, value)
	}
}

// disposition reads the names of a part's field and file.
func (f *form) disposition(p *Part, value string) {
	kind, params, clean := parameters(value)
	if !clean || !strings.EqualFold(kind, "form-data") && f.media == "multipart/form-data" {
		f.say(ruleFormHeader, value)
	}
	names, files, extended := params.named("name"), params.named("filename"), params.named("filename*")
	if len(names) != 1 && f.media == "multipart/form-data" || len(names) > 1 || len(files) > 1 || len(extended) > 1 {
		f.say(ruleFormHeader, value)
	}
	for _, q := range params {
		if strings.HasSuffix(q.name, "*") && q.name != "filename*" || strings.Contains(q.name, "*0") {
			f.say(ruleFormHeader, value) // forms that only readers of mail know (RFC 2231)
		}
	}
	p.Name, p.FileName = params.get("name"), params.get("filename")
	p.IsFile = len(files)+len(extended) > 0
	if len(extended) > 0 {
		f.extended(p, files, extended[0], value)
	}
	for _, name := range []string{p.Name, p.FileName} {
		// Browsers write them as %0A and %22.
		if strings.ContainsAny(name, "\r\n\x00\"") || !utf8.ValidString(name) || hasPrefix(strings.ToLower(name), []string{"'"}) {
			f.say(ruleFormName, value)
		}
	}
}

// extended reads filename*, which does not belong in a form (RFC 7578, 4.2) but which .NET sends
// beside filename. It must say the same.
func (f *form) extended(p *Part, files []string, raw, evidence string) {
	charset, rest, _ := strings.Cut(raw, "'")
	_, escaped, found := strings.Cut(rest, "'")
	name, err := url.PathUnescape(escaped)
	if !found || err != nil || !strings.EqualFold(charset, "utf-8") || !utf8.ValidString(name) {
		f.say(ruleFormName, evidence)
		return
	}
	if len(files) > 0 && files[0] != name {
		decoded, err := new(mime.WordDecoder).DecodeHeader(files[0])
		if err != nil || decoded != name {
			f.say(ruleFormName, evidence)
		}
	}
	p.FileName = name
}

// param is a parameter of a header's value, its name in lower case.
type param struct{ name, value string }

type params []param

func (p params) named(name string) (values []string) {
	for _, q := range p {
		if q.name == name {
			values = append(values, q.value)
		}
	}
	return values
}

// count is how many parameters there are of a name or of one that only goes on from it, as
// boundary* does.
func (p params) count(name string) (n int) {
	for _, q := range p {
		if strings.HasPrefix(q.name, name) {
			n++
		}
	}
	return n
}

func (p params) get(name string) string {
	for _, q := range p {
		if q.name == name {
			return q.value
		}
	}
	return ""
}

// maxParams bounds the parameters that are read of a value.
const maxParams = 16

// parameters reads a value with parameters: form-data; name="a"; filename=b. It is clean if every
// reader understands it so. A backslash before a quote is an escape for some and not for
// others; elsewhere it is part of a Windows path.
func parameters(s string) (value string, list params, clean bool) {
	value, rest, more := strings.Cut(s, ";")
	value, clean = strings.TrimSpace(value), true
	for more && len(list) < maxParams {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return value, list, clean // a semicolon at the end
		}
		i := strings.IndexAny(rest, "=;")
		if i < 0 || rest[i] == ';' {
			return value, list, false
		}
		name := rest[:i]
		p := param{name: strings.ToLower(strings.TrimSpace(name))}
		if !isToken(name) {
			clean = false
		}
		rest = rest[i+1:]
		if strings.HasPrefix(rest, `"`) {
			n := quoted(rest)
			if n < 0 {
				p.value, rest, clean = rest[1:], "", false
			} else {
				p.value, rest = rest[1:n], rest[n+1:]
			}
			if strings.Contains(p.value, `\"`) {
				p.value, clean = strings.ReplaceAll(p.value, `\"`, `"`), false
			}
			rest = strings.TrimLeft(rest, " \t")
			if rest != "" && rest[0] != ';' {
				clean = false
			}
			_, rest, more = strings.Cut(rest, ";")
		} else {
			p.value, rest, more = strings.Cut(rest, ";")
			p.value = strings.TrimRight(p.value, " \t")
			if p.value == "" || strings.ContainsAny(p.value, " \t\"") || p.value[0] == '\'' {
				clean = false
			}
		}
		list = append(list, p)
	}
	return value, list, clean && !more
}

// quoted is where a quoted text ends, or negative. A quote behind a backslash does not end it.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		}
	}
	return -1
}

// isToken reports whether a name is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
