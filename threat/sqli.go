package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// certain is the score that speaks alone at paranoia level 1.
const certain = 5

// SQL injection is judged by grammar. From each place where an injection can begin (a
// quote that may end the application's string, an operator, a keyword) the text
// is read on as SQL for a few tokens. Prose fails at the second token or so: "union
// select" is followed by an expression list, "our union selected" is not.
var (
	ruleSQLUnion     = &rule{voiceSQL, "sqli.union", makerguard.SeverityCritical, 1, 5, "A UNION SELECT in the position of a query appends rows of the attacker's choice."}
	ruleSQLTautology = &rule{voiceSQL, "sqli.tautology", makerguard.SeverityHigh, 1, 5, "A condition such as OR 1=1 is appended to change which rows a query finds."}
	ruleSQLEscape    = &rule{voiceSQL, "sqli.escape", makerguard.SeverityHigh, 1, 5, "A quote ends a string and what follows goes on as SQL."}
	ruleSQLTruncate  = &rule{voiceSQL, "sqli.truncate", makerguard.SeverityHigh, 1, 5, "A quote ends a string and a comment cuts off the rest of the query."}
	ruleSQLStacked   = &rule{voiceSQL, "sqli.stacked", makerguard.SeverityCritical, 1, 5, "A further SQL statement is appended."}
	ruleSQLSelect    = &rule{voiceSQL, "sqli.select", makerguard.SeverityHigh, 1, 5, "The text holds a complete SELECT of SQL."}
	ruleSQLFunction  = &rule{voiceSQL, "sqli.function", makerguard.SeverityHigh, 1, 5, "A database function is called that an attacker uses to wait, to read files, or to leak data by errors."}
	ruleSQLSystem    = &rule{voiceSQL, "sqli.system", makerguard.SeverityHigh, 1, 5, "The database's own tables or variables are named in a query."}
	ruleSQLOrder     = &rule{voiceSQL, "sqli.order", makerguard.SeverityMedium, 1, 5, "An ORDER BY, GROUP BY or HAVING probes the columns of a query."}
	ruleSQLDialect   = &rule{voiceSQL, "sqli.dialect", makerguard.SeverityHigh, 1, 5, "Syntax that occurs only in SQL: a conditional comment, a cast, or a comment in the place of a space."}
	ruleSQLCut       = &rule{voiceSQL, "sqli.fragment", makerguard.SeverityMedium, 1, 5, "The text is a piece of an SQL expression and nothing else."}
	ruleSQLFlood     = &rule{voiceSQL, "sqli.flood", makerguard.SeverityMedium, 1, 5, "The text is packed with pieces of SQL beyond what can be judged."}
	ruleSQLWeak      = &rule{voiceSQL, "sqli.condition", makerguard.SeverityLow, 1, 3, "An SQL condition stands where prose may hold one too."}
	ruleSQLMention   = &rule{voiceSQL, "sqli.mention", makerguard.SeverityLow, 1, 2, "A word of SQL is used as in a query, though not completely."}
)

const (
	sqlGate      = markQuote | markWord | markCode | markColon | markAt | markStar | markPipe | markAmp
	sqlOperators = markLess | markGreater | markEqual | markParen | markHash | markDashes | markBang | markSlash | markSemi
)

// briefSQL is how long a value may be, in bytes, that is SQL by nothing but everyday words: "1 or 2".
const briefSQL = 32

// prose reports whether a text of n bytes has nothing but the words that SQL shares with
// English, and more of them than an injection would.
func prose(m marks, n int) bool {
	return m&^(markLogic|markPercent|markCurly) == 0 && n >= briefSQL
}

func (x *inspection) sqli() {
	if !x.has(sqlGate) && !(x.has(markLogic) && (x.has(sqlOperators) || len(x.text) < briefSQL)) {
		return
	}
	x.memo.view++
	x.sql = sqlJudge{x: x, text: x.text, budget: &x.budget}
	x.sql.expression()
	x.sql.walk()
	if x.budget <= 0 {
		x.say(ruleSQLFlood, 0, len(x.text))
	}
}

// sqlJudge reads one view.
type sqlJudge struct {
	x      *inspection
	text   string
	budget *int
	quotes [3]int // how many of ' " ` stand before the place being read
	str    int    // where the string that was read last starts
	cut    int8   // whether the text ends in a bare comment: 0 unknown, 1 yes, -1 no
}

// truncated reports whether the text ends in a comment that says nothing: it is there to cut
// off what an application appends.
func (j *sqlJudge) truncated() bool {
	if j.cut == 0 {
		j.cut = -1
		t := strings.TrimRight(j.text, " \t\r\n+")
		if n := len(t); n > 3 && lower[t[n-1]] != 0 && (t[n-2] == '-' || t[n-2] == ' ') { // "-- a", "-- -a"
			t = strings.TrimRight(t[:n-1], " ")
		}
		if strings.HasSuffix(t, "-- -") || strings.HasSuffix(t, "--") || strings.HasSuffix(t, "#") || strings.HasSuffix(t, "/*") || strings.HasSuffix(t, ";%00") {
			j.cut = 1
		}
	}
	return j.cut > 0
}

// expression judges a text that is nothing but a calculation with a comment behind it.
func (j *sqlJudge) expression() {
	if !j.truncated() || !j.x.has(markParen|markStar|markAt) {
		return
	}
	l := j.at(0)
	if o := j.operand(l); o.fixed() && j.ends(*l) == endsNote {
		j.x.say(ruleSQLCut, 0, len(j.text))
	}
}

func (j *sqlJudge) at(pos int) *sqlLexer {
	return &sqlLexer{text: j.text, pos: pos, budget: j.budget, memo: &j.x.memo}
}

// walk visits every place where an injection can begin, until one is certain.
func (j *sqlJudge) walk() {
	s := j.text
	for _, p := range j.x.points {
		if j.x.sure(voiceSQL) || *j.budget <= 0 {
			return
		}
		i := int(p.pos)
		if p.word != 0 {
			j.word(&words[p.word], i, i+int(p.size))
			continue
		}
		switch c := s[i]; c {
		case '\'':
			j.quote(i, &j.quotes[0])
		case '"':
			j.quote(i, &j.quotes[1])
		case '`':
			j.quote(i, &j.quotes[2])
		case '|', '&':
			if i+1 < len(s) && s[i+1] == c && (i == 0 || s[i-1] != c) {
				j.logic(i, i+2, true)
			}
		case '(':
			j.itself(i)
		case '/':
			switch {
			case strings.HasPrefix(s[i:], "/*!"):
				j.conditional(i)
			case strings.HasPrefix(s[i:], "/**/"):
				j.splitWord(i)
			}
		case ':':
			if strings.HasPrefix(s[i:], "::") {
				j.cast(i)
			}
		case '@':
			if strings.HasPrefix(s[i:], "@@") {
				j.variable(i)
			}
		}
	}
}

func (j *sqlJudge) word(w *word, start, end int) {
	switch w.class {
	case logic:
		j.logic(start, end, false)
	case match, in, between, is, arith:
		j.operator(w.class, start, end)
	case union:
		j.union(start, end)
	case selectKw:
		j.selection(start, end)
	case verb:
		j.statement(w.text, start, end)
		if w.text == "insert" || w.text == "replace" {
			j.call(function, start, end)
		}
	case clause:
		j.clause(w.text, start, end)
	case function, builtin, dangerous:
		j.call(w.class, start, end)
	case system:
		j.system(w.text, start, end)
	}
}

// setting is what stands before a place.
type setting uint8

const (
	atStart    setting = iota
	inProse            // a word or punctuation
	afterOne           // a single short token, as the value an application expects would be
	afterNum           // a number
	afterText          // a quote
	afterArith         // an operator, a comma or an opening parenthesis
	afterClose         // a closing parenthesis
	afterSemi          // a semicolon
	afterNote          // a comment
)

// before looks back from pos.
func (j *sqlJudge) before(pos int) setting {
	i := pos
	line := false
	for i > 0 && pos-i < maxSQLToken && (isSpace(j.text[i-1]) || j.text[i-1] == 0 || j.text[i-1] == 0xA0 || j.text[i-1] == 0xC2) {
		i--
		line = line || j.text[i] == '\n'
	}
	if i == 0 {
		return atStart
	}
	if line {
		// A comment on the line before reaches to its end.
		l := j.text[max(0, i-64):i]
		if n := strings.LastIndexByte(l, '\n'); n >= 0 {
			l = l[n:]
		}
		if strings.IndexByte(l, '#') >= 0 || strings.Contains(l, "--") {
			return afterNote
		}
	}
	switch c := j.text[i-1]; {
	case c == '/' && i > 1 && j.text[i-2] == '*':
		return afterNote
	case c == '\'', c == '"', c == '`':
		return afterText
	case c == ')':
		return afterClose
	case c == ';':
		return afterSemi
	case c == '>' && (i == 1 || isSpace(j.text[i-2]) || j.text[i-2] == '>'):
		return inProse // how mail quotes
	case strings.IndexByte("=<>!+-*/%^|&~(,", c) >= 0:
		return afterArith
	case isWordByte(c), c == '.':
		n := i
		digits := true
		for n > 0 && i-n < maxKey && (isWordByte(j.text[n-1]) || j.text[n-1] == '.') {
			n--
			digits = digits && (isDigit(j.text[n]) || j.text[n] == '.')
		}
		for n > 0 && i-n < maxKey && (j.text[n-1] == '-' || j.text[n-1] == '+') {
			n--
		}
		switch {
		case digits && (n == 0 || strings.IndexByte("=&?(,", j.text[n-1]) >= 0):
			return afterNum
		case n == 0:
			return afterOne
		}
	}
	return inProse
}

// ending is what follows an expression.
type ending uint8

const (
	endsOpen   ending = iota // prose, or anything else
	endsText                 // the text
	endsNote                 // a comment with nothing behind it
	endsInNote               // a comment that says something
	endsSQL                  // more SQL, or a semicolon
)

// ends looks at what follows, behind any closing parentheses.
func (j *sqlJudge) ends(l sqlLexer) ending {
	seen := l.comments
	for range 16 {
		t := l.next()
		switch t.kind {
		case sqlClose:
			continue
		case sqlEnd:
			if l.comments > seen {
				return endsNote // a bracketed comment that nothing ends
			}
			return endsText
		case sqlComment:
			return j.note(t)
		case sqlSemi:
			switch n := l.next(); {
			case n.kind == sqlEnd, n.kind == sqlString && n.end-n.start <= 2:
				return endsText
			case n.kind == sqlComment:
				return endsNote
			case n.kind == sqlWord && (n.class == verb || n.class == selectKw || n.class == clause):
				return endsSQL
			}
			return endsOpen
		case sqlLogic:
			return endsSQL
		case sqlWord:
			switch t.class {
			case logic, selectKw:
				return endsSQL
			case union:
				if n := l.peek(); n.class == selectKw || n.class == ordinary || n.kind == sqlOpen {
					return endsSQL
				}
			case clause:
				if continues[strings.ToLower(j.text[t.start:t.end])] {
					return endsSQL
				}
			}
		}
		return endsOpen
	}
	return endsOpen
}

// continues are the words by which a query goes on behind a condition, and prose seldom.
var continues = set("where", "limit", "order", "group", "having", "into", "procedure", "escape", "collate", "offset", "join", "then", "from")

// note tells a comment that only cuts off the query from one that says something.
func (j *sqlJudge) note(t sqlToken) ending {
	letters := 0
	for i := t.start; i < t.end && letters <= 8; i++ {
		if isWordByte(j.text[i]) {
			letters++
		}
	}
	if letters == 0 || letters <= 8 && !strings.ContainsRune(strings.TrimSpace(strings.TrimLeft(j.text[t.start:t.end], "-#+ ")), ' ') && j.text[t.start] == '-' && t.start+2 < t.end && letters < 8 {
		return endsNote
	}
	return endsInNote
}
