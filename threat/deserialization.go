package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Serialised objects are told by their first bytes, in the encodings in which they travel.
var (
	ruleSerialJava   = &rule{voiceDeserialization, "deserialization.java", makerguard.SeverityHigh, 5, "A serialised object of Java."}
	ruleSerialPHP    = &rule{voiceDeserialization, "deserialization.php", makerguard.SeverityHigh, 5, "A serialised object of PHP."}
	ruleSerialPython = &rule{voiceDeserialization, "deserialization.python", makerguard.SeverityHigh, 5, "A pickled object of Python that calls a function when it is read."}
	ruleSerialNet    = &rule{voiceDeserialization, "deserialization.net", makerguard.SeverityHigh, 5, "A serialised object of .NET."}
	ruleSerialNode   = &rule{voiceDeserialization, "deserialization.node", makerguard.SeverityCritical, 5, "A serialised function of Node.js."}
	ruleSerialYAML   = &rule{voiceDeserialization, "deserialization.yaml", makerguard.SeverityHigh, 5, "A YAML tag that makes an object of any class."}
)

// serial reports whether s has a first letter of the encodings of serialised objects; they
// hold no mark.
func serial(s string) bool {
	if len(s) < 6 {
		return false
	}
	switch s[0] {
	case 'r', 'K', 'C', 'a', 'A', 'H', 'g', 'Y', 'B':
		return isBase64Start(s)
	}
	return false
}

func isBase64Start(s string) bool {
	for _, p := range [...]string{"rO0AB", "KztAAU", "Cs7QAF", "aced0005", "ACED0005", "AAEAAAD/////", "H4sIAAAAAAAAAJ", "gASV", "Y29zCnN5c3RlbQ", "BAhv"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

func (x *inspection) deserialization() {
	s := x.text
	switch {
	case strings.HasPrefix(s, "rO0AB"), strings.HasPrefix(s, "KztAAU"), strings.HasPrefix(s, "Cs7QAF"), strings.HasPrefix(s, "\xac\xed\x00\x05"), hasPrefixFold(s, "aced0005"), strings.HasPrefix(s, "H4sIAAAAAAAAAJ") && len(s) > 64:
		x.say(ruleSerialJava, 0, len(s))
	case strings.HasPrefix(s, "AAEAAAD/////"), strings.HasPrefix(s, "/wEyx"), strings.HasPrefix(s, "/wEPD") && len(s) > 64, x.has(markLess|markDollar) && strings.Contains(s, "ObjectDataProvider"), x.has(markDollar) && strings.Contains(s, "\"$type\"") && strings.Contains(s, "System."):
		x.say(ruleSerialNet, 0, len(s))
	case strings.HasPrefix(s, "gASV"), strings.HasPrefix(s, "Y29zCnN5c3RlbQ"), strings.HasPrefix(s, "cos\nsystem"), strings.HasPrefix(s, "c__builtin__\n"), strings.HasPrefix(s, "cposix\n"), strings.HasPrefix(s, "\x80\x04\x95"), strings.HasPrefix(s, "BAhv"), strings.HasPrefix(s, "\x04\bo:"):
		x.say(ruleSerialPython, 0, len(s))
	case x.has(markDollar) && strings.Contains(s, "_$$ND_FUNC$$_"):
		x.say(ruleSerialNode, 0, len(s))
	case !x.has(markBang):
	case strings.Contains(s, "!!python/"), strings.Contains(s, "!ruby/object"), strings.Contains(s, "!!javax."), strings.Contains(s, "!!com.sun"), strings.Contains(s, "!!java."):
		x.say(ruleSerialYAML, 0, len(s))
	}
	if x.has(markColon) && x.has(markBrace) {
		x.phpObject()
	}
}

// phpObject finds O:8:"stdClass":1:{ and C:11:"ArrayObject":...
func (x *inspection) phpObject() {
	s := x.text
	for i := 0; i+6 < len(s); i++ {
		c := strings.IndexByte(s[i:], ':')
		if c < 0 {
			return
		}
		i += c
		if i == 0 || s[i-1] != 'O' && s[i-1] != 'C' || i > 1 && isWordByte(s[i-2]) {
			continue
		}
		j := i + 1
		if j < len(s) && s[j] == '+' {
			j++
		}
		n := j
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if j > n && strings.HasPrefix(s[j:], `:"`) {
			x.say(ruleSerialPHP, i-1, len(s))
			return
		}
	}
}
