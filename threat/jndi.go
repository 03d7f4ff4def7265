package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// A lookup of Log4j (CVE-2021-44228) is written ${jndi:...}, and hidden in lookups inside of
// lookups, each of which gives a letter.
var (
	ruleJNDI       = &rule{voiceJNDI, "jndi.lookup", makerguard.SeverityCritical, 1, 5, "A lookup that makes a Java logger load code from elsewhere."}
	ruleJNDINested = &rule{voiceJNDI, "jndi.nested", makerguard.SeverityCritical, 1, 5, "Lookups inside of lookups hide what a Java logger is to do."}
)

func (x *inspection) jndi() {
	if !x.has(markDollar) || !x.has(markBrace) {
		return
	}
	s := x.text
	named := indexFold(s, "jndi:") >= 0
	if i := indexFold(s, "{jndi:"); i >= 0 {
		x.say(ruleJNDI, i, len(s))
	}
	for i := 0; i+1 < len(s) && !x.sure(voiceJNDI); i++ {
		if s[i] != '$' {
			continue
		}
		b := i + 1
		for b < len(s) && b-i < 8 && (s[b] == '$' || s[b] == ' ') {
			b++
		}
		if b >= len(s) || s[b] != '{' {
			continue
		}
		if !x.spend(lookPrice) {
			return
		}
		rest := s[b+1 : min(len(s), b+256)]
		for _, w := range [...]string{"jndi:", "env:", "sys:", "lower:", "upper:", "ctx:", "java:", "main:", "::-", ":-", "date:", "bundle:", "log4j:", "docker:", "k8s:", "web:", "marker:", "base64:", "script:", "dns:", "url:", "hostname}", "jndi", "const:", "file:"} {
			if !hasPrefixFold(rest, w) {
				continue
			}
			switch {
			case hasPrefixFold(w, "jndi"):
				x.say(ruleJNDI, i, len(s))
			case strings.Contains(rest, "}") && (strings.Count(s[:min(len(s), 1024)], "${") > 1 || indexFold(rest, "ndi") >= 0 || strings.Contains(rest, "://")), w == "script:" || w == "dns:" || w == "java:" || w == "url:" || w == "env:" || w == "sys:":
				x.say(ruleJNDINested, i, len(s))
			}
		}
		if strings.HasPrefix(rest, "${") || named && strings.HasPrefix(rest, ":") {
			if x.spend(len(rest)); indexFold(rest, "://") > 0 || strings.Contains(rest, ":-") || strings.Contains(rest, "lower:") {
				x.say(ruleJNDINested, i, len(s))
			}
		}
	}
}
