package threat

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// routePattern is a pattern of net/http's ServeMux without a host: "POST /orders/{id}", "/public/".
type routePattern struct {
	method   string // "" is any
	segments []routeSegment
	rest     bool // whatever follows, at least a slash
}

type routeSegment struct {
	text string // unescaped; "" of a wildcard
	wild bool   // any one segment that is not empty
}

func parseRoute(s string) (*routePattern, error) {
	if len(s) > maxRoute {
		return nil, errors.New("the route is too long")
	}
	p := &routePattern{}
	method, path, found := strings.Cut(s, " ")
	if !found {
		method, path = "", s
	}
	for _, c := range []byte(method) {
		if c < 'A' || c > 'Z' {
			return nil, errors.New("the method is not in upper case")
		}
	}
	if found && method == "" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n?#") {
		return nil, errors.New(`a route is "METHOD /path" or "/path"`)
	}
	p.method = method
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case last && (part == "" || strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}")):
			p.rest = true
		case last && part == "{$}":
			p.segments = append(p.segments, routeSegment{})
		case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") && !strings.ContainsAny(part[1:len(part)-1], "{}.$"):
			p.segments = append(p.segments, routeSegment{wild: true})
		case part == "" || strings.ContainsAny(part, "{}"):
			return nil, errors.New("a segment of the path is empty, or a wildcard is not the whole of one")
		default:
			text, err := url.PathUnescape(part)
			if err != nil {
				return nil, errors.New("the path has a % that begins no escape")
			}
			p.segments = append(p.segments, routeSegment{text: text})
		}
	}
	return p, nil
}

// String gives the pattern in a form that is the same for all that match the same routes.
func (p *routePattern) String() string {
	var b strings.Builder
	b.WriteString(p.method + " ")
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.wild {
			b.WriteString("{}")
		} else {
			b.WriteString(url.PathEscape(s.text))
		}
	}
	if p.rest {
		b.WriteString("/...")
	}
	return b.String()
}

// matches reports whether r is one of the routes that p stands for.
func (p *routePattern) matches(r *route) bool {
	if p.method != "" && p.method != r.method {
		return false
	}
	if n := len(p.segments); len(r.segments) < n || len(r.segments) > n && !p.rest || len(r.segments) == n && p.rest {
		return false
	}
	for i, s := range p.segments {
		if s.wild && r.segments[i] == "" || !s.wild && s.text != r.segments[i] {
			return false
		}
	}
	return true
}

// compareRoutes orders patterns by how narrow they are: at the first segment in which they
// differ a text is narrower than a wildcard, and that than whatever follows; of the same paths
// those of one method come first. It is 0 for two that match the same routes, and for some that
// share none. A pattern that matches part of what another does comes before it.
func compareRoutes(a, b *routePattern) int {
	for i := range max(len(a.segments), len(b.segments)) {
		if x, y := a.kind(i), b.kind(i); x != y {
			return x - y
		}
	}
	switch {
	case a.rest != b.rest:
		if b.rest {
			return -1
		}
		return 1
	case (a.method == "") != (b.method == ""):
		if b.method == "" {
			return -1
		}
		return 1
	}
	return 0
}

// kind ranks what a pattern has for a segment.
func (p *routePattern) kind(i int) int {
	switch {
	case i >= len(p.segments):
		return 2
	case p.segments[i].wild:
		return 1
	}
	return 0
}

// route is where a request went.
type route struct {
	method   string
	segments []string // unescaped
}

// splitRoute reads "METHOD /path", the path as it was sent. It returns nil for a path that two
// parsers could read differently: nobody here knows which of the two the application has.
func splitRoute(s string) *route {
	method, path, found := strings.Cut(s, " ")
	if !found || !strings.HasPrefix(path, "/") {
		return nil
	}
	r := &route{method: method, segments: strings.Split(path[1:], "/")}
	for i, raw := range r.segments {
		text, err := url.PathUnescape(raw)
		if err != nil || text == "." || text == ".." || strings.ContainsAny(text, "/\\\x00") || text == "" && i < len(r.segments)-1 {
			return nil
		}
		r.segments[i] = text
	}
	return r
}

// widen makes a pattern of the route of an event: what names one thing, such as an id, becomes
// a wildcard, so that the pattern holds for the other things too.
func widen(s string) string {
	method, path, _ := strings.Cut(s, " ")
	parts := strings.Split(path, "/")
	n := 0
	for i, part := range parts {
		if wildcard := strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}"); wildcard || !namesOne(part) {
			continue
		}
		if n++; n == 1 {
			parts[i] = "{id}"
		} else {
			parts[i] = "{id" + strconv.Itoa(n) + "}"
		}
	}
	if n := len(parts); n > 1 && parts[n-1] == "" {
		parts[n-1] = "{$}" // the path itself, not all that is below it
	}
	return method + " " + strings.Join(parts, "/")
}

// namesOne reports whether a segment of a path is a number, hexadecimal, a UUID, or another
// text that is masked because nobody would choose it as a name.
func namesOne(s string) bool {
	if strings.Contains(s, masked) || maskOpaque(s) != s && len(s) >= 20 {
		return true
	}
	number, hex := false, len(s) >= 8
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			number = true
		case isHex(c) || c == '-':
			if len(s) < 8 {
				return false
			}
		default:
			return false
		}
	}
	return number && (hex || len(s) < 8)
}

// anyIndex is a finding's input with the indices of arrays replaced by "*": which of an array's
// elements it was differs from request to request.
func anyIndex(input string) string {
	if !strings.ContainsAny(input, "0123456789") {
		return input
	}
	parts := strings.Split(input, "/")
	for i, part := range parts {
		if i > 0 && allDigits(part) {
			parts[i] = "*"
			continue
		}
		parts[i] = anyBracketIndex(part)
	}
	return strings.Join(parts, "/")
}

// anyBracketIndex replaces the numbers in "items[3][name]".
func anyBracketIndex(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "[")
		inside, rest, closed := strings.Cut(after, "]")
		if !found || !closed {
			b.WriteString(s)
			return b.String()
		}
		if allDigits(inside) {
			inside = "*"
		}
		b.WriteString(before + "[" + inside + "]")
		s = rest
	}
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
