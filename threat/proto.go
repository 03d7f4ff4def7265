package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Prototype pollution names the prototype of all objects as a key.
var (
	ruleProtoKey   = &rule{voiceProto, "proto.key", makerguard.SeverityHigh, 1, 5, "A key names the prototype of JavaScript's objects, which all other objects share."}
	ruleProtoChain = &rule{voiceProto, "proto.constructor", makerguard.SeverityHigh, 1, 5, "The keys constructor and prototype lead to the prototype of all objects."}
)

func (x *inspection) proto() {
	s := x.text
	if !strings.Contains(s, "proto") && !(x.has(markCode|markColon) && strings.Contains(s, "constructor")) {
		return
	}
	if i := strings.Index(s, "__proto__"); i >= 0 {
		x.say(ruleProtoKey, i, len(s))
		return
	}
	if !x.has(markCode | markWord | markColon) {
		return
	}
	if i := strings.Index(s, "Object.prototype."); i >= 0 && x.has(markEqual) {
		x.say(ruleProtoChain, i, len(s))
	}
	if i := strings.Index(s, "constructor"); i >= 0 {
		t := strings.TrimLeft(s[i+len("constructor"):], `]["'.: {`)
		if (strings.HasPrefix(t, "prototype") || strings.HasPrefix(t, "constructor")) && len(t) < len(s)-i-len("constructor") {
			x.say(ruleProtoChain, i, len(s))
		}
	}
}
