package middleware

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// readHeader says how a header is inspected.
type readHeader int

const (
	unread     readHeader = iota
	readOnce              // clients send the same few values: what was clean is remembered
	readAlways            // its values vary
	readCookies
)

// howToRead chooses the headers that end up in pages, logs and queries: those named here and
// everything that an application defined for itself. Credentials are opaque, and belong to
// nobody's log.
func howToRead(name string) readHeader {
	switch name {
	case "User-Agent", "Referer", "Accept-Language", "Origin", "Content-Type", "X-Forwarded-Host":
		return readOnce
	case "Forwarded", "From", "Via", "Content-Disposition", "Client-Ip", "True-Client-Ip":
		return readAlways
	case "Cookie":
		return readCookies
	case "X-Forwarded-Uri", "X-Original-Uri", // the target, which is inspected as one
		"X-Forwarded-Client-Cert":
		return unread
	}
	if strings.HasPrefix(name, "X-") {
		return readAlways
	}
	return unread
}

// headers inspects headers. Their bytes are bounded by the server that read them.
func (i *Inspection) headers(dst []makerguard.Finding, h http.Header) []makerguard.Finding {
	first := len(dst)
	for name, values := range h {
		how := howToRead(name)
		if how == unread {
			continue
		}
		for _, v := range values {
			switch how {
			case readCookies:
				dst = i.cookies(dst, v)
			case readOnce:
				dst = i.header(dst, name, v)
			default:
				before := len(dst)
				dst = i.Detector.Inspect(dst, threat.Input{Name: name, Value: v, Location: makerguard.InHeader})
				if len(dst) > before && secretive(name) {
					dst = dst[:before]
				}
			}
		}
	}
	if len(dst) > first+1 { // the order of a map is by chance
		slices.SortStableFunc(dst[first:], func(a, b makerguard.Finding) int { return cmp.Compare(a.Input, b.Input) })
	}
	return dst
}

// header inspects a header whose values are few.
func (i *Inspection) header(dst []makerguard.Finding, name, v string) []makerguard.Finding {
	r, clean := i.Seen.find(headerValue, v)
	if clean || name == "Content-Type" && strings.HasPrefix(v, "multipart/") { // that is read with the body, strictly
		return dst
	}
	before := len(dst)
	if dst = i.Detector.Inspect(dst, threat.Input{Name: name, Value: v, Location: makerguard.InHeader}); len(dst) == before {
		r.keep()
	}
	return dst
}

// host inspects the host that a request is for, unless it is plainly one.
func (i *Inspection) host(dst []makerguard.Finding, host string) []makerguard.Finding {
	for k := range len(host) {
		if c := host[k]; !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= ':' || c == '.' || c == '-' || c == '[' || c == ']') {
			return i.Detector.Inspect(dst, threat.Input{Name: "Host", Value: host, Location: makerguard.InHeader})
		}
	}
	return dst
}

// ownCookies are the prefix of makerguard's cookies, whose values it reads itself.
const ownCookies = "__Host-mg_"

// cookies inspects the names and values of cookies (RFC 6265, 5.4). They may be credentials: no
// evidence is kept of one whose name says that it is one.
func (i *Inspection) cookies(dst []makerguard.Finding, header string) []makerguard.Finding {
	r, clean := i.Seen.find(cookieHeader, header)
	if clean {
		return dst
	}
	before := len(dst)
	if dst = i.eachCookie(dst, header); len(dst) == before {
		r.keep()
	}
	return dst
}

func (i *Inspection) eachCookie(dst []makerguard.Finding, header string) []makerguard.Finding {
	for pair, rest, more := strings.Cut(header, ";"); ; pair, rest, more = strings.Cut(rest, ";") {
		name, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !found { // a cookie without a name
			name, value = "", name
		}
		if !strings.HasPrefix(name, ownCookies) {
			dst = i.cookie(dst, name, value)
		}
		if !more {
			return dst
		}
	}
}

func (i *Inspection) cookie(dst []makerguard.Finding, name, value string) []makerguard.Finding {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	before := len(dst)
	dst = i.Detector.Inspect(dst, threat.Input{Name: "Cookie", Value: name, Location: makerguard.InCookie})
	dst = i.Detector.Inspect(dst, threat.Input{Name: name, Value: value, Location: makerguard.InCookie})
	for k := before; k < len(dst); k++ {
		if secretive(name) {
			dst[k].Evidence = "***"
		}
	}
	return dst
}

// secretive reports whether a header or a cookie holds a credential, by its name.
func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"auth", "token", "key", "secret", "signature", "sess", "sid", "csrf", "xsrf", "pass", "cookie", "credential", "jwt", "login", "remember", "__host-", "__secure-"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
