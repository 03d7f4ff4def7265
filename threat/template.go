package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Template injection is judged on what stands between the delimiters: a placeholder such
// as {{customer_name}} is ordinary text of a shop, a calculation, a call or a walk through
// an object's attributes is not.
var (
	ruleTemplateExpression = &rule{voiceTemplate, "template.expression", makerguard.SeverityHigh, 1, 5, "A template engine would evaluate the expression between these delimiters."}
	ruleTemplateObject     = &rule{voiceTemplate, "template.object", makerguard.SeverityCritical, 1, 5, "The expression walks through the objects of a template engine to run code."}
	ruleTemplateTag        = &rule{voiceTemplate, "template.tag", makerguard.SeverityHigh, 1, 5, "A tag of a template engine."}
)

// maxExpression bounds how far the end of an expression is looked for.
const maxExpression = 1024

func (x *inspection) template() {
	if !x.has(markBrace|markLess|markHash|markBracket|markPercent) && !(x.has(markAt) && x.has(markParen)) {
		return
	}
	s := x.text
	until, plain := 0, 0
	for _, p := range x.points {
		i := int(p.pos)
		if p.word != 0 || i < until || i+1 >= len(s) {
			continue
		}
		if x.sure(voiceTemplate) {
			return
		}
		c, d := s[i], s[i+1]
		switch {
		case c == '{' && d == '{':
			until = x.expression(i, i+2, "}}")
		case c == '{' && d == '%':
			x.templateTag(i, "%}")
		case c == '{' && (strings.HasPrefix(s[i:], "{php") || strings.HasPrefix(s[i:], "{/php}") || strings.HasPrefix(s[i:], "{system(") || strings.HasPrefix(s[i:], "{Smarty") || strings.HasPrefix(s[i:], "{self::") || strings.HasPrefix(s[i:], "{include ") || strings.HasPrefix(s[i:], "{$smarty") || strings.HasPrefix(s[i:], "{math equation") || strings.HasPrefix(s[i:], "{fetch file")):
			x.say(ruleTemplateTag, i, len(s))
		case c == '%' && d == '{':
			if end := strings.IndexByte(s[i:min(len(s), i+maxExpression)], '}'); i >= plain && end > 0 {
				if strings.ContainsAny(s[i:i+end], "#@*+(=") {
					until = x.expression(i, i+2, "}")
				} else {
					plain = i + end // of what begins in between
				}
			}
		case c == '@' && d == '{' && strings.IndexByte(s[i:min(len(s), i+maxExpression)], ';') > 0:
			x.say(ruleTemplateExpression, i, len(s))
		case d == '{' && (c == '$' || c == '#' || c == '*' || c == '@' || c == '!'):
			until = x.expression(i, i+2, "}")
		case c == '$' && strings.HasPrefix(s[i:], "$!{"):
			until = x.expression(i, i+3, "}")
		case c == '<' && d == '%' && i+2 < len(s) && s[i+2] != '>' && !isDigit(s[i+2]):
			until = x.scriptlet(i)
		case (c == '<' || c == '[') && d == '#':
			for _, w := range [...]string{"assign", "include", "import", "list", "if", "function", "macro", "setting", "attempt", "local", "global"} {
				if strings.HasPrefix(s[i+2:], w+" ") {
					x.say(ruleTemplateTag, i, len(s))
				}
			}
		case c == '#' && (i == 0 || !isWordByte(s[i-1])):
			for _, w := range [...]string{"set", "foreach", "evaluate", "parse", "include", "macro", "if"} {
				if n := i + 1 + len(w); strings.HasPrefix(s[i+1:], w) && n < len(s) && (s[n] == '(' || s[n] == ' ' && n+1 < len(s) && s[n+1] == '(') && (s[min(len(s)-1, n+1)] == '$' || s[min(len(s)-1, n+2)] == '$' || w == "evaluate") {
					x.say(ruleTemplateTag, i, len(s))
				}
			}
		case c == '@' && d == '(' && (i == 0 || !isWordByte(s[i-1])):
			until = x.calculation(i, "@(", ")")
		case c == '[' && d == '[':
			until = x.calculation(i, "[[", "]]")
		}
	}
	x.dunder()
}

// calculation judges what stands between delimiters that text has as well; the opening one is at
// pos. Of openings before one closing delimiter the outermost and the innermost are judged. It
// returns where to go on reading.
func (x *inspection) calculation(pos int, opening, closing string) int {
	body := x.text[pos+len(opening) : min(len(x.text), pos+maxExpression)]
	end := strings.Index(body, closing)
	if end < 0 {
		return pos
	}
	body = body[:end]
	inner := body[strings.LastIndex(body, opening)+1:]
	if computes(body) || len(inner) < len(body) && computes(inner[len(opening)-1:]) {
		x.say(ruleTemplateExpression, pos, pos+len(opening)+end)
	}
	return pos + len(opening) + end
}

// expression judges what stands between delimiters, from start on; the opening one is at pos. It
// returns where to go on reading, so that many openings cost no more than one.
func (x *inspection) expression(pos, start int, closing string) int {
	s := x.text
	body := s[start:min(len(s), start+maxExpression)]
	end := strings.Index(body, closing)
	closed := end >= 0
	if closed {
		// The first closing delimiter may belong to something inside.
		body = body[:end]
	}
	t := strings.TrimSpace(body)
	evaluated := closed && strings.HasPrefix(t, "=") && len(t) > 2
	t = strings.TrimLeft(t, "!={-*~")
	switch {
	case t == "" || !closed && len(closing) == 1 && !strings.Contains(t, "("):
	case closing == "}}" && goFunction(t), closing == "}" && inAnyCase(scopes, t[:len(t)-len(strings.TrimLeft(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]) && (strings.IndexByte(t, ' ') < 0), s[pos] == '%' && (t[0] == '#' || t[0] == '@' || strings.HasPrefix(t, "(#")):
		x.say(ruleTemplateExpression, pos, start+len(body)+len(closing))
	case walks(t):
		x.say(ruleTemplateObject, pos, len(s))
	case evaluated, computes(t), strings.Contains(t, "__${"), strings.Count(t, ".") > 3 && !strings.ContainsRune(t, ' ') && closed && strings.Trim(t, ".") != "", closing == "}}" && (inAnyCase(templateNames, strings.TrimRight(t, ".;")) || t[0] == '#' && len(t) > 3 && strings.ContainsRune(t, ' ') || t[0] == '%' || strings.HasPrefix(t, "this.") || strings.HasPrefix(t, "config.") || strings.HasPrefix(t, "settings.") || strings.HasPrefix(t, "lookup ")):
		x.say(ruleTemplateExpression, pos, start+len(body)+len(closing))
	case closing == "}}" && (t[0] == '#' && len(t) > 3 || t == "/each" || t == "/with" || t == "/if" || t == "/unless") || strings.Trim(t, ".") == "":
		x.say(ruleTemplateTag, pos, start+len(body)+len(closing))
	}
	if closed {
		return start + len(body)
	}
	return start + len(body)/2
}

var templateNames = set("this", "self", "config", "request", "settings", "app", "_self", "_context", "env", "dump", "session", "lipsum", "cycler", "joiner",
	"namespace", "constructor", "this.pop", "this.push", "get_flashed_messages", "url_for", "current_app", "debug", "messages", "root")

// scopes are the implicit objects of Java's expression language.
var scopes = set("applicationscope", "sessionscope", "requestscope", "pagescope", "pagecontext", "facescontext", "initparam", "headervalues", "paramvalues", "header", "cookie", "param", "session", "request", "response", "application")

// goFunction reports whether t calls a function of Go's templates on a literal.
func goFunction(t string) bool {
	name, rest, _ := strings.Cut(t, " ")
	if len(name) > 1 && name[0] == '.' && capital(name[1]) && strings.HasPrefix(rest, "\"") {
		return true // a method
	}
	switch name {
	case "printf", "print", "println", "html", "js", "urlquery", "define", "template", "call", "index", "block":
		rest = strings.TrimLeft(rest, " ")
		return rest != "" && (rest[0] == '"' || rest[0] == '`' || rest[0] == '.')
	}
	return false
}

// unescapes reports whether a filter shows what an engine would hide.
func unescapes(filter string) bool {
	switch strings.TrimRight(filter, " }") {
	case "safe", "raw", "attr", "pprint", "dump", "tojson":
		return true
	}
	return false
}

// computes reports whether t calculates, calls or filters rather than names something.
func computes(t string) bool {
	for i := 0; i < len(t); i++ {
		switch c := t[i]; c {
		case '(':
			// name(...) without a space between
			if i > 0 && (lower[t[i-1]] != 0 || t[i-1] == ')' || t[i-1] == ']' || t[i-1] == '`') && strings.IndexByte(t[i:], ')') > 0 {
				return true
			}
		case '*', '+', '/', '^', '%':
			l := strings.TrimRight(t[:i], " '\"")
			r := strings.TrimLeft(t[i+1:], " '\"")
			if l != "" && r != "" && isDigit(l[len(l)-1]) && isDigit(r[0]) {
				return true
			}
		case '-':
			if l, r := strings.TrimSpace(t[:i]), strings.TrimSpace(t[i+1:]); l != "" && r != "" && number10(l) && number10(r) {
				return true
			}
		case '|':
			r := strings.TrimLeft(t[i+1:], " ")
			if l := strings.TrimSpace(t[:i]); l != "" && r != "" && isLetter(r[0]) && (strings.IndexByte("'\"])}", l[len(l)-1]) >= 0 || number10(l) || unescapes(r)) {
				return true
			}
		case '`':
			if strings.IndexByte(t[i+1:], '`') > 0 {
				return true
			}
		case '\'', '"':
			if i == 0 && len(t) > 2 {
				// {"key": is JSON.
				end := strings.IndexByte(t[1:], c)
				if end > 0 {
					return !strings.HasPrefix(strings.TrimLeft(t[end+2:], " "), ":")
				}
				if end == 0 && strings.IndexByte("[.", t[2]) >= 0 {
					return true // the empty string is an object as good as any
				}
			}
		case '=':
			if i > 0 && i+1 < len(t) && (t[i+1] == '=' || lower[t[i-1]] != 0 && (t[i+1] == '\'' || t[i+1] == '"')) {
				return true
			}
		case '[':
			if i > 0 && (lower[t[i-1]] != 0 || t[i-1] == ']') && i+1 < len(t) && (t[i+1] == '\'' || t[i+1] == '"') {
				return true
			}
		}
	}
	return false
}

func number10(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// reaches are what runs code in some engine, by their first letters. Those in anchored do only
// at the start of an expression.
var reaches = func() (index [256][]string) {
	for _, w := range [...]string{
		"__class__", "__globals__", "__init__", "__mro__", "__base", "__subclasses__", "__import__", "__builtins__",
		"getclass", "forname(", "runtime", "classloader", ".class.", "getresource", "processbuilder", "execute", "popen(", "os.system",
		"constructor", "_self.", "self.", "template.", "_context", "passthru", "getattribute", "scriptengine", "mro()", "subclasses()",
		"|attr(", "registerundefined", "java.", "system(", "t(java", "request.", "@java", "new ", ".env", "file(", "ognl", "springframework", "process.", "require(", "import(", "pagecontext", "dwf.", "freemarker", "class.",
	} {
		index[w[0]] = append(index[w[0]], w)
	}
	return index
}()

var anchored = set("self.", "class.", "new ", "request.", "template.", "process.")

// walks reports whether t reaches for what runs code in some engine.
func walks(t string) bool {
	for i := range len(t) {
		c := t[i]
		if l := lower[c]; l != 0 {
			c = l
		}
		for _, w := range reaches[c] {
			if hasPrefixFold(t[i:], w) && (i == 0 && strings.HasPrefix(t, w) || !anchored[w]) {
				return true
			}
		}
	}
	return false
}

// templateTag judges "{%" at pos.
func (x *inspection) templateTag(pos int, closing string) {
	s := x.text
	body := s[pos+2 : min(len(s), pos+maxExpression)]
	end := strings.Index(body, closing)
	if end < 0 {
		return
	}
	t := strings.TrimLeft(body[:end], " -+\t\n")
	n := 0
	for n < len(t) && lower[t[n]] != 0 {
		n++
	}
	if inAnyCase(templateTags, t[:n]) {
		x.say(ruleTemplateTag, pos, pos+2+end+2)
	}
}

var templateTags = set("for", "endfor", "if", "elif", "else", "endif", "set", "endset", "block", "endblock", "include", "import", "from", "extends",
	"with", "endwith", "load", "debug", "csrf_token", "macro", "endmacro", "filter", "endfilter", "call", "raw", "endraw", "autoescape", "endautoescape",
	"do", "print", "embed", "use", "verbatim", "get_admin_log", "assign", "capture", "unless", "case", "url", "now", "while", "sandbox", "apply", "cache", "ssi", "module", "evaluate", "parse")

// scriptlet judges "<%" at pos: JSP, ERB, ASP, Mako. It returns where to go on reading.
func (x *inspection) scriptlet(pos int) int {
	s := x.text
	body := s[pos+2 : min(len(s), pos+maxExpression)]
	end := strings.Index(body, "%>")
	if c := body[0]; c == '=' || c == '@' || c == '!' || c == '#' || end >= 0 || walks(body) {
		x.say(ruleTemplateTag, pos, len(s))
	}
	return pos + len(body)/2
}

// dunder finds Python's special attributes outside of delimiters.
func (x *inspection) dunder() {
	s := x.text
	i := strings.Index(s, "__")
	if i < 0 || !strings.ContainsAny(s, ".[|(") {
		return
	}
	for _, w := range [...]string{"__class__", "__globals__", "__subclasses__", "__builtins__", "__import__", "__mro__"} {
		if k := strings.Index(s, w); k >= 0 {
			x.say(ruleTemplateObject, k, len(s))
			return
		}
	}
}
