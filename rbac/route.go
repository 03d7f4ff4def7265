package rbac

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/makerguard/makerguard"
)

// Default is what happens to a request that no route of the policy matches.
type Default string

// The defaults. The zero value is neither and must be treated as DefaultDeny.
const (
	// DefaultDeny refuses it.
	DefaultDeny Default = "deny"
	// DefaultAllow lets any authenticated caller pass; it is what a policy without a
	// routes section means.
	DefaultAllow Default = "allow"
)

// Inspect is what happens to a request in which a threat is found.
type Inspect string

// The modes of inspection.
const (
	InspectBlock   Inspect = "block"   // refuse it and record the threat
	InspectMonitor Inspect = "monitor" // record the threat, let it pass
	InspectOff     Inspect = "off"     // do not look
)

// Route is a rule of the gateway for the requests that Match matches.
type Route struct {
	// Match is a pattern of http.ServeMux: "POST /api/products", "/reports/{id}",
	// "/public/". The most specific match decides. Its syntax has been checked;
	// whether two patterns conflict is for the mux to say.
	Match string
	// Permission is what it takes to pass: Authenticated if any caller may, "" only
	// when Public.
	Permission makerguard.Permission
	// Meter counts one unit for each request that passes; "" counts none.
	Meter makerguard.Meter
	// Inspect is what happens to a request in which a threat is found; InspectBlock
	// unless the policy says otherwise.
	Inspect Inspect
	// StepUp is how recent the caller's authentication must be; 0 asks for nothing.
	StepUp time.Duration
	// Public lets anyone pass, authenticated or not.
	Public bool
	// Rates limit the requests on this route, besides what limits all requests. They are
	// in the order in which they are to be asked; nobody may change them.
	Rates []Rate
}

// maxStepUp bounds Route.StepUp: no session lives longer.
const maxStepUp = 24 * time.Hour

// checkPattern refuses what http.ServeMux would panic on, and three things that it
// would accept and never match or that are surely mistakes: a method in lower case,
// a path that is not clean, and a method that is not a token.
func checkPattern(pattern string) error {
	method, rest, found := strings.Cut(pattern, " ")
	if !found {
		method, rest = "", pattern
	}
	if found && !isMethod(method) {
		return fmt.Errorf("%q is not a method in upper case", method)
	}
	rest = strings.TrimLeft(rest, " ")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return errors.New(`no path: a pattern is "METHOD /path" or "/path"`)
	}
	if strings.ContainsAny(rest, " \t\r\n") {
		return errors.New("space within the path")
	}
	if host := rest[:slash]; strings.ContainsAny(host, "{}") {
		return errors.New("wildcard in the host")
	}
	return checkPath(rest[slash:])
}

func checkPath(p string) error {
	if clean := path.Clean(p); clean != p && (clean == "/" || clean+"/" != p) {
		return fmt.Errorf("the path can never match; write %q", clean)
	}
	seen := make(map[string]bool)
	segments := strings.Split(p[1:], "/")
	for i, seg := range segments {
		last := i == len(segments)-1
		if !strings.ContainsRune(seg, '{') {
			if _, err := url.PathUnescape(seg); err != nil {
				return fmt.Errorf("segment %q: bad escape", seg)
			}
			continue
		}
		name, ok := strings.CutPrefix(seg, "{")
		name, closed := strings.CutSuffix(name, "}")
		if !ok || !closed {
			return fmt.Errorf("segment %q: a wildcard must be the whole segment", seg)
		}
		if name == "$" {
			if !last {
				return errors.New("{$} is not at the end")
			}
			continue
		}
		name, multi := strings.CutSuffix(name, "...")
		switch {
		case multi && !last:
			return fmt.Errorf("{%s...} is not at the end", name)
		case !isIdentifier(name):
			return fmt.Errorf("%q is not a name for a wildcard", name)
		case seen[name]:
			return fmt.Errorf("wildcard %q occurs twice", name)
		}
		seen[name] = true
	}
	return nil
}

func isMethod(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return s != ""
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if !unicode.IsLetter(r) && r != '_' && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
