package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Serialised objects are told by their first bytes, in the encodings in which they travel.
var (
	ruleSerialJava   = &rule{voiceDeserialization, "deserialization.java", makerguard.SeverityHigh, 1, 5, "A serialised object of Java."}
	ruleSerialPHP    = &rule{voiceDeserialization, "deserialization.php", makerguard.SeverityHigh, 1, 5, "A serialised object of PHP."}
	ruleSerialPython = &rule{voiceDeserialization, "deserialization.python", makerguard.SeverityHigh, 1, 5, "A pickled object of Python that calls a function when it is read."}
	ruleSerialNet    = &rule{voiceDeserialization, "deserialization.net", makerguard.SeverityHigh, 1, 5, "A serialised object of .NET."}
	ruleSerialNode   = &rule{voiceDeserialization, "deserialization.node", makerguard.SeverityCritical, 1, 5, "A serialised function of Node.js."}
	ruleSerialType   = &rule{voiceDeserialization, "deserialization.type", makerguard.SeverityHigh, 1, 5, "A key makes the reader of the JSON build an object of any class."}
	ruleSerialYAML   = &rule{voiceDeserialization, "deserialization.yaml", makerguard.SeverityHigh, 1, 5, "A YAML tag that makes an object of any class."}
)

// unmarked reports whether s is, by its first bytes, one of the attacks that hold no mark:
// serialised objects in their encodings, and names of files.
func unmarked(s string) bool {
	if len(s) < 4 {
		return false
	}
	if s[0] == '.' || s[0] == 'w' {
		return secretName(s)
	}
	for _, p := range serialStarts[s[0]] {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// serialStarts are how serialised objects begin in hexadecimal and base64, by their first byte.
var serialStarts = func() (index [256][]string) {
	for _, p := range [...]string{
		"rO0AB", "KztAAU", "Cs7QAF", "aced0005", "ACED0005", "AAEAAAD/////", "H4sIAAAAAAAAAJ", "gASV", "gAN9", "gANj", "gAJj",
		"KGxwM", "KGRwM", "Y29zCnN5c3RlbQ", "Y3Bvc2l4", "BAhv",
	} {
		index[p[0]] = append(index[p[0]], p)
	}
	return index
}()

func (x *inspection) deserialization() {
	s := x.text
	switch {
	case strings.HasPrefix(s, "rO0AB"), strings.HasPrefix(s, "KztAAU"), strings.HasPrefix(s, "Cs7QAF"), strings.HasPrefix(s, "\xac\xed\x00\x05"), hasPrefixFold(s, "aced0005"), strings.HasPrefix(s, "H4sIAAAAAAAAAJ") && len(s) > 64:
		x.say(ruleSerialJava, 0, len(s))
	case strings.HasPrefix(s, "AAEAAAD/////"), strings.HasPrefix(s, "/wEyx"), strings.HasPrefix(s, "/wEPDw"), x.has(markLess|markDollar) && strings.Contains(s, "ObjectDataProvider"), x.has(markDollar) && strings.Contains(s, "\"$type\"") && strings.Contains(s, "System."):
		x.say(ruleSerialNet, 0, len(s))
	case strings.HasPrefix(s, "gASV"), strings.HasPrefix(s, "gAN9"), strings.HasPrefix(s, "gANj"), strings.HasPrefix(s, "gAJj"), strings.HasPrefix(s, "KGxwM"), strings.HasPrefix(s, "KGRwM"), strings.HasPrefix(s, "Y3Bvc2l4"), strings.HasPrefix(s, "Y29zCnN5c3RlbQ"), pickled(s), strings.HasPrefix(s, "\x80\x04\x95"), strings.HasPrefix(s, "BAhv"), strings.HasPrefix(s, "\x04\bo:"):
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

// pickled reports whether s starts as a pickle of protocol 0 does that fetches a function.
func pickled(s string) bool {
	if s == "" || s[0] != 'c' {
		return false
	}
	module, _, ok := strings.Cut(s[1:min(len(s), 24)], "\n")
	if !ok {
		return false
	}
	switch module {
	case "os", "posix", "nt", "subprocess", "builtins", "__builtin__", "sys", "commands", "pty", "runpy", "__main__":
		return true
	}
	return false
}

// polymorphic reports whether a member of a JSON object chooses the class of what a reader
// builds: the keys of Jackson, fastjson, Json.NET, jsonpickle and Ruby, with a class as value.
// schema.org's "@type": "Product" is data.
func polymorphic(key, value string) bool {
	switch key {
	case "py/object", "py/reduce", "py/type", "json_class", "^o", "^u":
		return value != ""
	case "@type", "@class", "$type", "_class", "javaClass":
	default:
		return false
	}
	dots := 0
	for i := range len(value) {
		switch c := value[i]; {
		case c == '.' || c == '$':
			dots++
		case c == ',' || c == ' ' || c == '`' || c == '[' || c == ']':
			return dots > 0 && key == "$type"
		case lower[c] == 0:
			return false
		}
	}
	return dots > 1 || dots > 0 && key == "$type"
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
