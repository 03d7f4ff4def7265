package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Code injection is the source text of a programming language: its open tags, the calls
// of its functions, and the tricks by which functions are called without being named.
var (
	ruleCodeTag      = &rule{voiceCode, "code.tag", makerguard.SeverityCritical, 1, 5, "An open tag of PHP, JSP or ColdFusion; what follows would run as code."}
	ruleCodeCall     = &rule{voiceCode, "code.call", makerguard.SeverityHigh, 1, 5, "A call of a function that only program code has."}
	ruleCodeVariable = &rule{voiceCode, "code.variable", makerguard.SeverityHigh, 1, 5, "A variable of PHP or Perl is called or expanded."}
	ruleCodeClass    = &rule{voiceCode, "code.class", makerguard.SeverityHigh, 1, 5, "A class of Java or .NET by which attackers reach the system."}
	ruleCodeLoop     = &rule{voiceCode, "code.loop", makerguard.SeverityMedium, 1, 5, "A loop without end would keep a JavaScript server busy."}
	ruleCodeNode     = &rule{voiceCode, "code.node", makerguard.SeverityCritical, 1, 5, "An object of a JavaScript server by which attackers reach the system."}
	ruleCodeQuery    = &rule{voiceCode, "code.lookup", makerguard.SeverityMedium, 1, 5, "A lookup through the relations of an object-relational mapper."}
)

func (x *inspection) code() {
	if x.has(markLess) {
		x.openTags()
	}
	if x.has(markCode) && x.has(markBracket|markBrace) && !x.sure(voiceCode) {
		x.bracketTags()
	}
	if x.has(markDollar|markAt) && !x.sure(voiceCode) {
		x.variables()
	}
	if x.has(markParen|markBracket|markEqual|markCode|markWord) && !x.sure(voiceCode) {
		x.calls()
	}
	if x.has(markCode) && !x.sure(voiceCode) {
		x.classes()
	}
}

// openTags finds <?php, <?= and <? of PHP. XML's <?xml version= and <?xpacket are data.
func (x *inspection) openTags() {
	s := x.text
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '<' && (s[i+1]|0x20 == 'j' && hasPrefixFold(s[i+2:], "sp:") || s[i+1]|0x20 == 'c' && (hasPrefixFold(s[i+2:], "fexecute") || hasPrefixFold(s[i+2:], "fscript") || hasPrefixFold(s[i+2:], "ffile") || hasPrefixFold(s[i+2:], "fquery") || hasPrefixFold(s[i+2:], "finclude"))) {
			x.say(ruleCodeTag, i, len(s)) // JSP and ColdFusion
			return
		}
		if s[i] != '<' || s[i+1] != '?' {
			continue
		}
		rest := s[i+2:]
		switch {
		case hasPrefixFold(rest, "php"), hasPrefixFold(strings.TrimLeft(rest, " \t\n"), "php"), strings.HasPrefix(rest, "="):
			x.say(ruleCodeTag, i, len(s))
			return
		case hasPrefixFold(rest, "xml"):
			t := strings.TrimLeft(rest[3:], " \t\r\n")
			if !hasPrefixFold(t, "version") && !hasPrefixFold(t, "encoding") && !hasPrefixFold(t, "-") && strings.ContainsAny(t[:min(len(t), maxCode)], "(;:") {
				x.say(ruleCodeTag, i, len(s))
				return
			}
		case rest == "":
			if i > 0 {
				x.say(ruleCodeTag, i, len(s))
			}
			return
		case isSpace(rest[0]):
			if !strings.HasPrefix(strings.TrimLeft(rest, " \t\n"), "?>") {
				x.say(ruleCodeTag, i, len(s))
				return
			}
		}
	}
}

// bracketTags finds [php], [/php] and {php}.
func (x *inspection) bracketTags() {
	if indexFold(x.text, "php") >= 0 {
		x.phpTags()
	}
	if !strings.Contains(x.text, "system") {
		return
	}
	for _, w := range [...]string{"[system]", "['system']", "[\"system\"]"} {
		if i := strings.Index(strings.ReplaceAll(x.text[:min(len(x.text), 256)], " ", ""), w); i >= 0 {
			x.say(ruleCodeCall, 0, len(x.text))
			return
		}
	}
}

func (x *inspection) phpTags() {
	for _, w := range [...]string{"[php]", "[/php]", "[\\php]", "{php}", "{/php}"} {
		// Markdown writes a link [PHP](...).
		if i := indexFold(x.text, w); i >= 0 && !strings.HasPrefix(x.text[i+len(w):], "(") {
			x.say(ruleCodeTag, i, len(x.text))
			return
		}
	}
}

// variables finds calls through variables, superglobals and Perl's @{[ ]}.
func (x *inspection) variables() {
	s := x.text
	for i := 0; i+1 < len(s); i++ {
		switch s[i] {
		case '@':
			if annotation(s[i+1:]) {
				x.say(ruleCodeClass, i, len(s))
				return
			}
			j := i + 1
			for j < len(s) && s[j] == '@' && j-i < 8 {
				j++
			}
			if j < len(s) && s[j] == '{' {
				k := skipSpace(s, j+1)
				if k < len(s) && s[k] == '[' {
					x.say(ruleCodeVariable, i, len(s))
					return
				}
			}
		case '$':
			if x.variable(i) {
				x.say(ruleCodeVariable, i, len(s))
				return
			}
		}
	}
}

// annotations make Groovy run or load code while it compiles a script.
var annotations = [...]string{"ASTTest", "Grab", "GrabResolver", "GrabConfig", "Grapes", "GroovyASTTransformationClass"}

// annotation reports whether s, behind "@", is such an annotation with its arguments.
func annotation(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "groovy.transform."), "groovy.lang.")
	for _, a := range annotations {
		t, ok := strings.CutPrefix(s, a)
		if !ok || !strings.HasPrefix(t, "(") {
			continue
		}
		t = t[min(len(t), skipSpace(t, 1)):]
		n := 0
		for n < len(t) && isLetter(t[n]) {
			n++
		}
		rest := t[min(len(t), skipSpace(t, n)):]
		return n > 0 && strings.HasPrefix(rest, "=") || n == 0 && t != "" && (t[0] == '\'' || t[0] == '"' || t[0] == '@' || t[0] == '[' || t[0] == '{')
	}
	return false
}

func skipSpace(s string, i int) int {
	for end := min(len(s), i+maxBlank); i < end && isSpace(s[i]); {
		i++
	}
	return i
}

// maxBlank bounds the white space or comment that is skipped within an expression.
const maxBlank = 128

// skipBlank skips white space and comments.
func skipBlank(s string, i int) int {
	for range 8 {
		i = skipSpace(s, i)
		switch {
		case strings.HasPrefix(s[min(i, len(s)):], "/*"):
			end := strings.Index(s[i:min(len(s), i+maxBlank)], "*/")
			if end < 0 {
				return i
			}
			i += end + 2
		case i < len(s) && (s[i] == '#' || strings.HasPrefix(s[i:], "//")):
			end := strings.IndexByte(s[i:min(len(s), i+maxBlank)], '\n')
			if end < 0 {
				return i
			}
			i += end + 1
		default:
			return i
		}
	}
	return i
}

var superglobals = set("_get", "_post", "_request", "_server", "_cookie", "_files", "_env", "_session", "globals")

// variable reports whether "$" at i begins a variable that is called, indexed with code,
// or a superglobal.
func (x *inspection) variable(i int) bool {
	s := x.text
	j := i + 1
	dollars := 1
	for j < len(s) && s[j] == '$' && dollars < 4 {
		j++
		dollars++
	}
	k := skipSpace(s, j)
	if k < len(s) && s[k] == '{' {
		t := skipSpace(s, k+1)
		end := strings.IndexByte(s[t:min(len(s), t+128)], '}')
		if end < 0 {
			return false
		}
		body := s[t : t+end]
		after := skipBlank(s, t+end+1)
		switch {
		case body == "":
			return false
		case i > 0 && s[i-1] == '{' && strings.IndexByte(body, '(') > 0: // PHP evaluates {${x()}} in a string
			return true
		case body[0] == '\'' || body[0] == '"' || body[0] == '$' || body[0] == '@' && len(body) > 1:
			return true
		case k > j && dollars == 1 && isLetter(body[0]):
			return true // "${x}" is a placeholder, "$ {x}" a way around a filter
		}
		return after < len(s) && s[after] == '(' && after == t+end+1
	}
	n := j
	for n < len(s) && n-j < 64 && (lower[s[n]] != 0 || s[n] >= 0x80) {
		n++
	}
	if n == j || isDigit(s[j]) {
		return false
	}
	if inAnyCase(superglobals, s[j:n]) && n < len(s) && (s[n] == '[' || s[n] == '{') {
		return true
	}
	p := n
	for range 4 {
		p = skipBlank(s, p)
		if p < len(s) && (s[p] == '[' || s[p] == '{') {
			end := strings.IndexAny(s[p:min(len(s), p+64)], "]}")
			if end < 0 {
				return false
			}
			p += end + 1
			continue
		}
		break
	}
	if strings.HasPrefix(s[min(p, len(s)):], "->$") {
		return true
	}
	if p < len(s) && s[p] == '(' {
		// "US$ (net)" has no name, "$price (net)" prose behind it.
		return p == n && !x.quotedIndex(i, p) || p > n && strings.IndexByte(s[p:min(len(s), p+64)], ')') > 0 && !(p == n+1 && isLetter(s[min(p+1, len(s)-1)]))
	}
	return false
}

// quotedIndex reports whether the variable at i, whose parenthesis is at p, is one of the arrays
// that Tcl writes $name(index), named in a sentence.
func (x *inspection) quotedIndex(i, p int) bool {
	s := x.text
	end := p + 1
	for end < len(s) && end-p < maxKey && lower[s[end]] != 0 {
		end++
	}
	return prosaic(s[:i]) && (end == len(s) || end > p+1 && !isDigit(s[p+1]) && s[end] == ')' && (end+1 == len(s) || isSpace(s[end+1]) || strings.IndexByte(".,)", s[end+1]) >= 0))
}
