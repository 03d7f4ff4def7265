package upload

import "strings"

// token is a piece of markup.
type token int

const (
	tokenText        token = iota // data, with its entities
	tokenCDATA                    // data
	tokenStart                    // name, attrs, closed
	tokenEnd                      // name
	tokenInstruction              // data, the target in front
	tokenDoctype                  // data, with the internal subset
	tokenComment
)

// attr is an attribute as it was written, its entities not decoded.
type attr struct{ name, value string }

// lexer takes XML apart, and most of HTML. It is lenient: a reader of either kind must not see
// an element that it does not. Every byte is read a bounded number of times.
type lexer struct {
	text string
	pos  int

	token    token
	start    int    // of the token
	name     string // of the element, with its prefix
	data     string
	attrs    []attr // reused
	closed   bool   // the element ends where it starts
	declares bool   // there was a document type
}

// next reads a token; false at the end.
func (l *lexer) next() bool {
	l.start = l.pos
	rest := l.text[l.pos:]
	if rest == "" {
		return false
	}
	if rest[0] != '<' {
		l.token, l.data = tokenText, l.upTo("<", false)
		return true
	}
	switch {
	case strings.HasPrefix(rest, "<!--"):
		l.comment()
	case len(rest) >= 9 && strings.EqualFold(rest[:9], "<![CDATA["):
		l.pos += 9
		l.token, l.data = tokenCDATA, l.upTo("]]>", true)
	case strings.HasPrefix(rest, "<!"):
		l.doctype()
	case strings.HasPrefix(rest, "<?"):
		l.pos += 2
		l.token, l.data = tokenInstruction, l.upTo("?>", true)
	case strings.HasPrefix(rest, "</"):
		l.pos += 2
		l.token, l.name = tokenEnd, l.word()
		l.upTo(">", true)
	case len(rest) > 1 && nameStart(rest[1]):
		l.pos++
		l.token, l.name, l.closed = tokenStart, l.word(), false
		l.attributes()
	default:
		l.pos++
		l.token, l.data = tokenText, rest[:1]
	}
	return true
}

// upTo reads up to an end mark, or to the end of the text if there is none, and steps behind
// the mark if skip is set.
func (l *lexer) upTo(mark string, skip bool) string {
	rest := l.text[l.pos:]
	i := strings.Index(rest, mark)
	if i < 0 {
		l.pos = len(l.text)
		return rest
	}
	l.pos += i
	if skip {
		l.pos += len(mark)
	}
	return rest[:i]
}

// comment ends where the first reader thinks so: HTML has it that <!--> is one, and that --!>
// ends one; XML does not.
func (l *lexer) comment() {
	l.token = tokenComment
	l.pos += 4
	rest := l.text[l.pos:]
	for _, short := range [...]string{">", "->"} {
		if strings.HasPrefix(rest, short) {
			l.pos += len(short)
			return
		}
	}
	for {
		l.upTo("--", true)
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, ">"):
			l.pos++
			return
		case strings.HasPrefix(rest, "!>"):
			l.pos += 2
			return
		case rest == "":
			return
		case rest[0] == '-':
			l.pos-- // the second of three dashes may begin the mark
		}
	}
}

// doctype reads a declaration with what is in brackets and quotes.
func (l *lexer) doctype() {
	l.token = tokenDoctype
	from, depth := l.pos, 0
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		l.pos++
		switch c {
		case '"', '\'':
			l.upTo(string(c), true)
		case '[', '<':
			depth++
		case ']':
			depth--
		case '>':
			if depth--; depth <= 0 {
				l.data, l.declares = l.text[from:l.pos], true
				return
			}
		}
	}
	l.data, l.declares = l.text[from:], true
}

func (l *lexer) word() string {
	from := l.pos
	for l.pos < len(l.text) && !ends(l.text[l.pos]) {
		l.pos++
	}
	return l.text[from:l.pos]
}

// attributes reads the rest of a start tag.
func (l *lexer) attributes() {
	l.attrs = l.attrs[:0]
	for {
		l.space()
		if l.pos >= len(l.text) {
			return
		}
		switch l.text[l.pos] {
		case '>':
			l.pos++
			return
		case '/':
			l.pos++
			l.closed = strings.HasPrefix(l.text[l.pos:], ">")
			continue
		}
		a := attr{name: l.word()}
		if a.name == "" { // a lone mark of equality
			l.pos++
			continue
		}
		l.space()
		if l.pos < len(l.text) && l.text[l.pos] == '=' {
			l.pos++
			l.space()
			a.value = l.value()
		}
		l.attrs = append(l.attrs, a)
	}
}

func (l *lexer) value() string {
	if l.pos >= len(l.text) {
		return ""
	}
	if q := l.text[l.pos]; q == '"' || q == '\'' {
		l.pos++
		return l.upTo(string(q), true)
	}
	from := l.pos
	for l.pos < len(l.text) && l.text[l.pos] != '>' && !isSpace(l.text[l.pos]) {
		l.pos++
	}
	return l.text[from:l.pos]
}

func (l *lexer) space() {
	for l.pos < len(l.text) && isSpace(l.text[l.pos]) {
		l.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// ends reports whether a byte ends a name.
func ends(c byte) bool { return isSpace(c) || c == '>' || c == '/' || c == '=' }

func nameStart(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == ':' || c >= 0x80
}

// local is a name without its prefix.
func local(name string) string {
	return name[strings.LastIndexByte(name, ':')+1:]
}
