package threat

import "strings"

// sqlKind is the kind of a token of SQL.
type sqlKind uint8

const (
	sqlEnd sqlKind = iota
	sqlNumber
	sqlString
	sqlWord     // a word that package words knows, or an identifier
	sqlVariable // @x, @@x
	sqlCompare  // = <> < > <= >= != <=> := and the JSON operators of PostgreSQL
	sqlArith    // + - * / % ^ ~ & | << >>
	sqlLogic    // || &&
	sqlBang     // !
	sqlOpen     // (
	sqlClose    // )
	sqlComma
	sqlSemi
	sqlDot
	sqlCast    // ::
	sqlComment // -- or #, to the end of the line
	sqlOther
)

// sqlToken is one token, text[start:end].
type sqlToken struct {
	sqlShape   // apart, since the compiler keeps no struct of more than four fields in registers
	start, end int
}

type sqlShape struct {
	kind  sqlKind
	class class // of a word; function classes stand also for a word without "("
	open  bool  // a string or comment that nothing ends
	glued bool  // no white space before it
}

// maxSQLToken bounds how far the lexer looks for the end of a string or comment. Longer ones
// count as open: the detector only looks ahead a few tokens from many places, and this
// keeps the whole linear.
const maxSQLToken = 256

// sqlLexer reads SQL as the most lenient of the dialects would: backslash and doubled
// quotes escape, comments of all kinds are white space, "/*!" comments are code.
// It is a value; a copy is a place to come back to.
type sqlLexer struct {
	text     string
	pos      int
	comments int  // comments skipped so far
	code     bool // inside "/*!", whose end is to be skipped
	budget   *int // bytes that may still be read; shared by all copies
	memo     *sqlMemo
}

// sqlMemo remembers the long tokens of a view. The same string or comment is looked ahead at from many
// places before it, and again for every peek.
type sqlMemo struct {
	view    int // counts the views; what was remembered of another one is void
	entries [64]struct {
		view, pos int
		code      bool
		token     sqlToken
		after     struct {
			pos, comments int
			code          bool
		}
	}
}

// tokenPrice is what a token costs beside its bytes, in bytes.
const tokenPrice = 16

// minRemembered is how long a token, with what is skipped before it, must be to be remembered.
const minRemembered = 16

// skip passes over white space and bracketed comments.
func (l *sqlLexer) skip() {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case isSpace(c), c == 0:
			l.pos++
		case c == 0xC2 && l.at(1) == 0xA0: // no-break space
			l.pos += 2
		case c == '/' && l.at(1) == '*':
			l.comments++
			if l.at(2) == '!' {
				l.pos += 3
				for isDigit(l.at(0)) {
					l.pos++
				}
				l.code = true
				continue
			}
			l.pos += 2
			for n := 0; ; n++ {
				if l.pos >= len(l.text) || n == maxSQLToken {
					l.pos = len(l.text)
					return
				}
				if l.text[l.pos] == '*' && l.at(1) == '/' {
					l.pos += 2
					break
				}
				l.pos++
			}
		case c == '#' && !l.path(), c == '-' && l.at(1) == '-':
			// A comment to the end of its line is white space if another line follows.
			end := strings.IndexByte(l.text[l.pos:min(len(l.text), l.pos+maxSQLToken)], '\n')
			if end < 0 {
				return
			}
			l.comments++
			l.pos += end + 1
		case c == '*' && l.at(1) == '/' && l.code:
			l.code = false
			l.pos += 2
		default:
			return
		}
	}
}

// at returns the byte n places on, 0 behind the end.
func (l *sqlLexer) at(n int) byte {
	if l.pos+n < len(l.text) {
		return l.text[l.pos+n]
	}
	return 0
}

// peek returns the next token without moving.
func (l *sqlLexer) peek() sqlToken {
	next := *l
	return next.next()
}

// next returns the next token, sqlEnd for ever behind the last one.
func (l *sqlLexer) next() sqlToken {
	if *l.budget <= 0 {
		return sqlToken{sqlShape{glued: true}, l.pos, l.pos}
	}
	before, code, comments := l.pos, l.code, l.comments
	known := &l.memo.entries[before%len(l.memo.entries)]
	if known.view == l.memo.view && known.pos == before && known.code == code {
		l.pos, l.code = known.after.pos, known.after.code
		l.comments += known.after.comments
		*l.budget -= tokenPrice
		return known.token
	}
	t := l.read()
	*l.budget -= min(l.pos-before, maxSQLToken) + tokenPrice // what nothing ends counts as reaching to the end of the text, but is not read
	if l.pos-before >= minRemembered {
		known.view, known.pos, known.code, known.token = l.memo.view, before, code, t
		known.after.pos, known.after.code, known.after.comments = l.pos, l.code, l.comments-comments
	}
	return t
}

// read reads the next token.
func (l *sqlLexer) read() sqlToken {
	before := l.pos
	l.skip()
	t := sqlToken{sqlShape{glued: l.pos == before}, l.pos, l.pos}
	if l.pos >= len(l.text) {
		return t
	}
	c := l.text[l.pos]
	switch {
	case isDigit(c) || c == '.' && isDigit(l.at(1)):
		t.kind = sqlNumber
		l.number()
	case isWordByte(c):
		t.kind = sqlWord
		for l.pos < len(l.text) && (isWordByte(l.text[l.pos]) || l.text[l.pos] == '$') {
			l.pos++
		}
		if c := l.at(0); (c == '\'' || c == '"') && l.pos == t.start+1 && strings.IndexByte("nNxXbBeE", l.text[t.start]) >= 0 {
			t.kind = sqlString // N'text', X'41', B'01', E'text'
			t.open = !l.quoted(c)
			break
		}
		t.class = lookup(l.text[t.start:l.pos]).class
	case c == '\'' || c == '"':
		t.kind = sqlString
		t.open = !l.quoted(c)
	case c == '`':
		t.kind = sqlWord
		t.open = !l.quoted(c)
	case c == '@':
		t.kind = sqlVariable
		for l.at(0) == '@' {
			l.pos++
		}
		for l.pos < len(l.text) && (isWordByte(l.text[l.pos]) || l.text[l.pos] == '.') {
			l.pos++
		}
		if l.pos-t.start <= 1 && (l.at(0) == ' ' || l.at(0) == 0) {
			t.kind = sqlOther
		}
	case c == '\\' && l.at(1) == 'N': // NULL of MySQL
		t.kind, t.class = sqlWord, literal
		l.pos += 2
	default:
		t.kind = l.operator(c)
	}
	t.end = l.pos
	return t
}

// number reads a decimal, a hexadecimal or binary number, with fraction and exponent.
func (l *sqlLexer) number() {
	if l.text[l.pos] == '0' && (l.at(1)|0x20 == 'x' || l.at(1)|0x20 == 'b') {
		for l.pos += 2; isHex(l.at(0)); l.pos++ {
		}
		return
	}
	for isDigit(l.at(0)) {
		l.pos++
	}
	if l.at(0) == '.' {
		for l.pos++; isDigit(l.at(0)); l.pos++ {
		}
	}
	if l.at(0)|0x20 == 'e' {
		n := 1
		if l.at(1) == '+' || l.at(1) == '-' {
			n = 2
		}
		if isDigit(l.at(n)) {
			for l.pos += n; isDigit(l.at(0)); l.pos++ {
			}
		}
	}
}

// quoted reads a string and reports whether it ends.
func (l *sqlLexer) quoted(q byte) bool {
	l.pos++
	for n := 0; n < maxSQLToken && l.pos < len(l.text); n++ {
		switch c := l.text[l.pos]; {
		case c == '\\' && l.pos+1 < len(l.text):
			l.pos += 2
		case c == q && l.at(1) == q:
			l.pos += 2
		case c == q:
			l.pos++
			return true
		default:
			l.pos++
		}
	}
	return false
}

// operator reads everything else.
func (l *sqlLexer) operator(c byte) sqlKind {
	two := func(k sqlKind) sqlKind { l.pos += 2; return k }
	one := func(k sqlKind) sqlKind { l.pos++; return k }
	d := l.at(1)
	switch c {
	case '-':
		if d == '-' {
			l.line()
			return sqlComment
		}
		if d == '>' {
			return two(sqlCompare)
		}
		return one(sqlArith)
	case '?': // the operators ?, ?| and ?& of PostgreSQL's JSON
		switch {
		case d == '|' || d == '&':
			return two(sqlCompare)
		case d == ' ' && l.at(2) == '\'':
			return one(sqlCompare)
		}
	case '#':
		if l.path() {
			return two(sqlCompare)
		}
		l.line()
		return sqlComment
	case '=', '<', '>':
		l.pos++
		for n := 0; n < 2; n++ {
			if e := l.at(0); e != '=' && e != '>' && e != '<' && e != '@' {
				break
			}
			l.pos++
		}
		return sqlCompare
	case '!':
		if d == '=' || d == '<' || d == '>' {
			return two(sqlCompare)
		}
		return one(sqlBang)
	case ':':
		switch d {
		case ':':
			return two(sqlCast)
		case '=':
			return two(sqlCompare)
		}
	case '|', '&':
		if d == c {
			return two(sqlLogic)
		}
		return one(sqlArith)
	case '+', '*', '/', '%', '^', '~':
		return one(sqlArith)
	case '(':
		return one(sqlOpen)
	case ')':
		return one(sqlClose)
	case ',':
		return one(sqlComma)
	case ';':
		return one(sqlSemi)
	case '.':
		return one(sqlDot)
	}
	return one(sqlOther)
}

// path reports whether "#" begins one of PostgreSQL's operators for JSON paths: #> #>> #-
func (l *sqlLexer) path() bool {
	return l.at(1) == '>' || l.at(1) == '-' && l.at(2) == ' '
}

// line moves to the end of the line.
func (l *sqlLexer) line() {
	for n := 0; l.pos < len(l.text); n++ {
		if c := l.text[l.pos]; c == '\n' {
			return
		}
		if n == maxSQLToken {
			l.pos = len(l.text)
			return
		}
		l.pos++
	}
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
