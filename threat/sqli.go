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
	ruleSQLUnion     = &rule{voiceSQL, "sqli.union", makerguard.SeverityCritical, 5, "A UNION SELECT in the position of a query appends rows of the attacker's choice."}
	ruleSQLTautology = &rule{voiceSQL, "sqli.tautology", makerguard.SeverityHigh, 5, "A condition such as OR 1=1 is appended to change which rows a query finds."}
	ruleSQLEscape    = &rule{voiceSQL, "sqli.escape", makerguard.SeverityHigh, 5, "A quote ends a string and what follows goes on as SQL."}
	ruleSQLTruncate  = &rule{voiceSQL, "sqli.truncate", makerguard.SeverityHigh, 5, "A quote ends a string and a comment cuts off the rest of the query."}
	ruleSQLStacked   = &rule{voiceSQL, "sqli.stacked", makerguard.SeverityCritical, 5, "A further SQL statement is appended."}
	ruleSQLSelect    = &rule{voiceSQL, "sqli.select", makerguard.SeverityHigh, 5, "The text holds a complete SELECT of SQL."}
	ruleSQLFunction  = &rule{voiceSQL, "sqli.function", makerguard.SeverityHigh, 5, "A database function is called that an attacker uses to wait, to read files, or to leak data by errors."}
	ruleSQLSystem    = &rule{voiceSQL, "sqli.system", makerguard.SeverityHigh, 5, "The database's own tables or variables are named in a query."}
	ruleSQLOrder     = &rule{voiceSQL, "sqli.order", makerguard.SeverityMedium, 5, "An ORDER BY, GROUP BY or HAVING probes the columns of a query."}
	ruleSQLDialect   = &rule{voiceSQL, "sqli.dialect", makerguard.SeverityHigh, 5, "Syntax that occurs only in SQL: a conditional comment, a cast, or a comment in the place of a space."}
	ruleSQLCut       = &rule{voiceSQL, "sqli.fragment", makerguard.SeverityMedium, 5, "The text is a piece of an SQL expression and nothing else."}
	ruleSQLFlood     = &rule{voiceSQL, "sqli.flood", makerguard.SeverityMedium, 5, "The text is packed with pieces of SQL beyond what can be judged."}
	ruleSQLWeak      = &rule{voiceSQL, "sqli.condition", makerguard.SeverityLow, 3, "An SQL condition stands where prose may hold one too."}
	ruleSQLMention   = &rule{voiceSQL, "sqli.mention", makerguard.SeverityLow, 2, "A word of SQL is used as in a query, though not completely."}
)

const (
	sqlGate      = markQuote | markWord | markCode | markColon | markAt | markStar | markPipe | markAmp
	sqlOperators = markLess | markGreater | markEqual | markParen | markHash | markDashes | markBang | markSlash | markSemi
)

func (x *inspection) sqli() {
	if !x.has(sqlGate) && !(x.has(markLogic) && (x.has(sqlOperators) || len(x.text) < 32)) {
		return
	}
	x.budget = 64*len(x.text) + 4096
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
	return &sqlLexer{text: j.text, pos: pos, budget: j.budget}
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
		case '/':
			if strings.HasPrefix(s[i:], "/*!") {
				j.conditional(i)
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
			case logic, union, selectKw:
				return endsSQL
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
	for i := t.start; i < t.end; i++ {
		if isWordByte(j.text[i]) {
			letters++
		}
	}
	if letters == 0 || letters <= 8 && !strings.ContainsRune(strings.TrimSpace(strings.TrimLeft(j.text[t.start:t.end], "-#+ ")), ' ') && j.text[t.start] == '-' && t.start+2 < t.end && letters < 8 {
		return endsNote
	}
	return endsInNote
}

// operand is what an operator works on.
type operand uint8

const (
	noOperand operand = iota
	missing           // the text ends
	number
	quoted
	unended // a string that nothing ends
	constant
	name
	variable
	knownCall
	otherCall
	subquery
	clauseWord // a word that cannot be an operand
)

// fixed reports whether o has a value of its own; prose seldom compares such.
func (o operand) fixed() bool {
	switch o {
	case number, quoted, unended, constant, variable, knownCall, subquery:
		return true
	}
	return false
}

// operand reads one operand with its signs, parentheses and arithmetic.
func (j *sqlJudge) operand(l *sqlLexer) operand {
	o := j.term(l)
	for range 16 {
		if o == noOperand || o == missing || o == clauseWord || o == unended {
			return o
		}
		next := *l
		t := next.next()
		for t.kind == sqlClose {
			t = next.next()
		}
		if t.kind != sqlArith && t.class != arith && t.kind != sqlCast {
			return o
		}
		n := j.term(&next)
		switch {
		case t.kind == sqlCast:
		case n == unended:
			o = n
		case n == noOperand || n == clauseWord || n == name && o != name:
			return o // "5 - red": a dash, not a minus
		case n.fixed() && !o.fixed() && j.text[t.start] != '-':
			o = n
		}
		*l = next
	}
	return o
}

func (j *sqlJudge) term(l *sqlLexer) operand {
	for range 12 {
		t := l.next()
		switch t.kind {
		case sqlEnd:
			return missing
		case sqlArith:
			if c := j.text[t.start]; c == '+' || c == '-' || c == '~' || c == '*' {
				continue
			}
			return noOperand
		case sqlBang, sqlOpen:
			continue
		case sqlNumber:
			// "10 x" is a number with a unit; "10x" is not SQL.
			return number
		case sqlString:
			j.str = t.start
			if t.open {
				return unended
			}
			return quoted
		case sqlVariable:
			return variable
		case sqlWord:
			return j.name(l, t)
		default:
			return noOperand
		}
	}
	return noOperand
}

// name reads on from a word: a constant, an identifier with dots, or a call.
func (j *sqlJudge) name(l *sqlLexer, t sqlToken) operand {
	switch t.class {
	case literal:
		return constant
	case selectKw:
		return subquery
	case negation:
		return j.term(l)
	case ordinary: // ANY (SELECT ...)
		if n := *l; n.next().kind == sqlOpen && n.next().class == selectKw {
			return subquery
		}
	case logic, match, in, between, is, union, clause:
		if l.peek().kind != sqlOpen {
			return clauseWord
		}
	}
	for l.peek().kind == sqlDot {
		l.next()
		if l.peek().kind == sqlWord {
			t = l.next()
		}
	}
	p := l.peek()
	if p.kind != sqlOpen {
		switch t.class {
		case dangerous, system:
			return knownCall
		}
		return name
	}
	known := t.class == function || t.class == builtin || t.class == dangerous || t.class == verb
	if !p.glued && !known {
		return name // "steel (brushed)"
	}
	j.arguments(l)
	if known {
		return knownCall
	}
	return otherCall
}

// arguments skips a parenthesis with what is in it.
func (j *sqlJudge) arguments(l *sqlLexer) {
	depth := 0
	for range 48 {
		switch l.next().kind {
		case sqlOpen:
			depth++
		case sqlClose:
			if depth--; depth <= 0 {
				return
			}
		case sqlEnd, sqlComment:
			return
		}
	}
}

// comparison is how two operands are compared.
type comparison uint8

const (
	notCompared comparison = iota
	bySymbol
	byWord
)

// condition is an expression as far as it could be read.
type condition struct {
	left, right operand
	by          comparison
	ends        ending
	comments    bool // comments in the place of spaces
	glued       bool // no space before the left operand
	first       int  // where the left operand starts
	end         int
}

// condition reads "operand [comparison operand]".
func (j *sqlJudge) condition(l sqlLexer) condition {
	seen := l.comments
	p := l.peek()
	c := condition{glued: p.glued, first: p.start}
	c.left = j.operand(&l)
	j.compare(&l, &c)
	c.comments = l.comments > seen
	c.end = l.pos
	c.ends = j.ends(l)
	return c
}

// compare reads the comparison and its right side, if there is one.
func (j *sqlJudge) compare(l *sqlLexer, c *condition) {
	next := *l
	t := next.next()
	for t.kind == sqlClose {
		t = next.next()
	}
	if t.kind == sqlWord && t.class == negation {
		t = next.next()
	}
	switch {
	case t.kind == sqlCompare:
		c.by = bySymbol
	case t.kind == sqlBang && next.peek().kind != sqlEnd:
		c.by = bySymbol
	case t.kind == sqlWord && t.class == match:
		for p := next.peek(); p.class == match; p = next.peek() {
			next.next()
		}
		c.by = byWord
	case t.kind == sqlWord && t.class == in:
		if next.peek().kind != sqlOpen {
			return
		}
		list := next
		c.by, c.right = byWord, j.operand(&list)
		if c.right.fixed() && c.right != subquery {
			j.arguments(&next)
			*l = next
			return
		}
	case t.kind == sqlWord && (t.class == between || t.class == is):
		c.by = byWord
	default:
		return
	}
	c.right = j.operand(&next)
	if t.class == between {
		if and := next.peek(); and.class == logic {
			next.next()
			j.operand(&next)
		}
	}
	for next.peek().kind == sqlCompare { // 1=1=1
		next.next()
		j.operand(&next)
	}
	*l = next
}

// logic judges AND, OR, XOR, && and || at [start, end).
func (j *sqlJudge) logic(start, end int, symbol bool) {
	pre := j.before(start)
	if pre == afterText {
		return // judged from the quote
	}
	l := j.at(end)
	c := j.condition(*l)
	strong := pre == atStart || pre == afterNum || pre == afterClose || pre == afterNote || pre == afterArith || c.comments
	plain := strong || pre == afterOne
	tail := c.ends != endsOpen && c.ends != endsInNote
	say := func(r *rule) { j.x.say(r, start, c.end) }
	switch {
	case c.by != notCompared && c.left.fixed() && c.right.fixed():
		switch {
		case c.ends == endsNote, tail && (c.by == bySymbol || plain), strong && c.ends == endsInNote:
			say(ruleSQLTautology)
		case strong && c.left == unended, c.left == subquery, c.right == subquery:
			say(ruleSQLTautology)
		case c.left == knownCall && c.by == bySymbol:
			say(ruleSQLTautology)
		case strong && c.by == bySymbol && !symbol:
			say(ruleSQLTautology)
		default:
			say(ruleSQLMention)
		}
	case c.by == bySymbol && c.left.fixed() && c.right == missing:
		if strong {
			say(ruleSQLTautology)
		} else {
			say(ruleSQLWeak)
		}
	case c.by != notCompared && c.left != noOperand && c.left != clauseWord && c.left != missing:
		switch {
		case c.ends == endsNote && (c.by == bySymbol || c.right.fixed()):
			say(ruleSQLTautology)
		case symbol && pre == afterArith && c.left == name && c.ends == endsText:
		case strong && c.by == bySymbol && (tail || c.right == missing || c.right == unended):
			say(ruleSQLTautology)
		case strong && c.right.fixed() && tail && pre != atStart:
			say(ruleSQLTautology)
		case pre == atStart && (c.right == unended || c.right == quoted):
			say(ruleSQLTautology)
		case c.comments:
			say(ruleSQLTautology)
		case c.by == bySymbol:
			say(ruleSQLMention)
		}
	case c.left == subquery && plain:
		say(ruleSQLTautology)
	case c.left.fixed() && c.left != subquery:
		switch {
		case c.ends == endsNote && (plain || c.left == constant || !symbol):
			say(ruleSQLTautology)
		case pre == atStart && c.ends == endsText && (c.left == number || c.left == constant || c.left == knownCall):
			say(ruleSQLTautology)
		case (pre == afterNum || pre == afterClose) && c.ends == endsText && (c.left == constant || c.left == knownCall):
			say(ruleSQLTautology)
		case c.comments && c.ends != endsOpen:
			say(ruleSQLTautology)
		case c.left == unended && pre == atStart && c.end-start <= 8:
			say(ruleSQLTautology)
		}
	}
}

// operator judges LIKE, IN, BETWEEN, IS, DIV and MOD at [start, end): what compares two
// fixed values, as prose does not.
func (j *sqlJudge) operator(k class, start, end int) {
	pre := j.before(start)
	switch pre {
	case atStart, afterNum, afterClose, afterNote, afterOne:
	default:
		return // judged from what stands before, or prose
	}
	l := j.at(start)
	var c condition
	if k == arith {
		l.pos = end
		c.by, c.right = byWord, j.operand(l)
	} else {
		j.compare(l, &c)
	}
	tail := j.ends(*l)
	if c.by == notCompared || !c.right.fixed() {
		return
	}
	closed := tail == endsText || tail == endsNote || tail == endsSQL
	switch {
	case pre == afterOne && k != match && c.right != subquery, k == is && pre != afterNum, pre == atStart && k == between:
	case c.right == subquery || c.right == unended || c.comments:
		j.x.say(ruleSQLTautology, start, l.pos)
	case k == match && closed && (c.right == knownCall || c.right == quoted && pre == atStart && strings.IndexByte(j.text[start:], '%') > 0),
		k == in && closed && pre != afterOne, k == match && closed && pre == afterNum, tail == endsNote,
		k == is && c.right == constant && closed, k == arith && closed && pre == afterNum && j.text[end-1]|0x20 == 'd' && tail == endsNote:
		j.x.say(ruleSQLTautology, start, l.pos)
	}
}

// quote judges a quote at pos that may end the application's string.
func (j *sqlJudge) quote(pos int, count *int) {
	first := *count%2 == 0 // nothing is open, so nothing is being closed: an apostrophe, or an escape
	*count++
	q := j.text[pos]
	l := j.at(pos + 1)
	for l.at(0) == q && l.pos < pos+8 {
		l.pos++
	}
	closed := 0
	for closed < 16 && l.peek().kind == sqlClose {
		l.next()
		closed++
	}
	seen := l.comments
	here := *l
	t := l.next()
	noted := l.comments > seen
	digit := pos > 0 && isDigit(j.text[pos-1]) // 5' may be feet
	if first && j.truncated() && (t.kind == sqlSemi || t.kind == sqlLogic || t.kind == sqlCompare || t.kind == sqlArith && !digit || t.class != other && t.class != ordinary && t.class != function && t.class != verb) {
		j.x.say(ruleSQLTruncate, pos, len(j.text))
		return
	}
	if t.glued && closed == 0 && j.quotedWord(pos, here, q) {
		return
	}
	say := func(r *rule) { j.x.say(r, pos, l.pos) }
	switch t.kind {
	case sqlEnd:
		if noted && first {
			say(ruleSQLTruncate)
		}
	case sqlComment:
		switch {
		case j.note(t) == endsNote && (first || closed > 0) && pos > 0 && !isSpace(j.text[pos-1]):
			say(ruleSQLTruncate)
		case j.note(t) == endsNote && pos == 0 && first:
			say(ruleSQLTruncate)
		case t.glued && first && j.text[t.start] == '-' && !digit:
			say(ruleSQLWeak)
		}
	case sqlSemi:
		switch n := l.next(); {
		case n.kind == sqlComment && (j.note(n) == endsNote || first && n.glued):
			say(ruleSQLTruncate)
		case n.kind == sqlEnd && first && closed > 0:
			say(ruleSQLWeak)
		case n.class == selectKw && first && n.glued:
			say(ruleSQLStacked)
		}
	case sqlLogic:
		j.escape(pos, *l, first, digit)
	case sqlCompare:
		if q != '`' { // Markdown's code: `-O=2`
			j.compared(pos, here, first, digit)
		}
	case sqlArith:
		if q != '`' && (pos == 0 || j.text[pos-1] != '=') { // the value of an attribute
			j.computed(pos, here, first, digit)
		}
	case sqlCast:
		j.cast(t.start)
	case sqlComma:
		n := *l
		switch o := j.operand(&n); {
		case o == constant && first && closed == 0, o == subquery, o == constant && closed > 0:
			j.x.say(ruleSQLEscape, pos, n.pos)
		}
	case sqlWord:
		switch t.class {
		case logic:
			j.escape(pos, *l, first, digit)
		case match, in, between, is, negation:
			j.compared(pos, here, first, digit)
		case arith:
			j.computed(pos, here, first, digit)
		case clause:
			if lower[j.text[t.start]] == 'c' || lower[j.text[t.start]] == 'n' || lower[j.text[t.start]] == 'i' {
				c := j.condition(*l)
				if c.ends == endsNote && first || noted {
					j.x.say(ruleSQLEscape, pos, c.end)
				}
			}
		}
	}
}

// quotedWord reports whether the quote at pos opens a quoted operator, as in: the "LIKE" stamp.
// An injection closes a string that something stands in, or compares what follows.
func (j *sqlJudge) quotedWord(pos int, l sqlLexer, q byte) bool {
	if pos > 0 && (isWordByte(j.text[pos-1]) || strings.IndexByte(")%\\", j.text[pos-1]) >= 0) {
		return false
	}
	t := l.next()
	p := l.peek()
	if p.kind != sqlString || !p.glued || j.text[p.start] != q {
		return false
	}
	// Nothing but the quoted operator is the shortest of attacks on a login.
	if q == '\'' && pos == 0 && p.end == len(j.text) && p.end-p.start == 1 {
		return t.class == is || t.class == in
	}
	// Behind the closing quote prose has a space or punctuation, SQL an operand.
	return p.start+1 >= len(j.text) || strings.IndexByte(" \t\n,.;:!?)+&<-/", j.text[p.start+1]) >= 0
}

// escape judges a quote at pos and a logical operator that l stands behind.
func (j *sqlJudge) escape(pos int, l sqlLexer, first, digit bool) {
	glued := l.peek().glued
	c := j.condition(l)
	say := func(r *rule) { j.x.say(r, pos, c.end) }
	tail := c.ends != endsOpen && c.ends != endsInNote
	switch {
	case c.by != notCompared && c.left.fixed() && (c.right.fixed() || c.right == missing):
		switch {
		case tail, c.ends == endsInNote && first, c.left == unended, c.right == unended, c.left == quoted && first, c.comments:
			say(ruleSQLTautology)
		case c.by == bySymbol && first:
			say(ruleSQLTautology)
		default:
			say(ruleSQLMention)
		}
	case c.by != notCompared && c.left != noOperand && c.left != clauseWord && c.left != missing:
		switch {
		case first && c.by == bySymbol, c.ends == endsNote, c.comments:
			say(ruleSQLTautology)
		case first && (c.right.fixed() && (tail || c.right == unended) || c.ends == endsSQL):
			say(ruleSQLTautology)
		case c.by == bySymbol && c.right.fixed() && tail:
			say(ruleSQLTautology)
		default:
			say(ruleSQLMention)
		}
	case c.left == subquery, c.left == variable, c.left == knownCall && (first || tail):
		say(ruleSQLEscape)
	case c.left == otherCall && (first && tail || c.ends == endsNote):
		say(ruleSQLEscape)
	case c.left == missing:
		if first && pos > 0 {
			say(ruleSQLWeak)
		}
	case c.left == unended || c.left == quoted:
		switch {
		case c.left == unended && !glued && !plainWord(j.text[j.str+1:c.end]):
		case first && (glued || c.left == unended || tail) && c.ends != endsInNote && (tail || c.left == unended), c.ends == endsNote, c.comments:
			say(ruleSQLEscape)
		case c.left == unended && c.end == len(j.text) && j.short(l.pos):
			say(ruleSQLEscape)
		}
	case c.left == number || c.left == constant:
		switch {
		case c.ends == endsNote, tail && first && (!digit || c.left == constant || glued), c.comments && tail:
			say(ruleSQLEscape)
		case tail && first && isOne(j.text[c.first:c.end]):
			say(ruleSQLEscape)
		}
	case c.left == name:
		if c.ends == endsNote || c.comments || c.ends == endsSQL && first {
			say(ruleSQLEscape)
		}
	}
}

// plainWord reports whether s is at most one short word.
func plainWord(s string) bool {
	for i := range len(s) {
		if lower[s[i]] == 0 || i > 8 {
			return false
		}
	}
	return true
}

// short reports whether at most an empty string is left from pos, as in: ' or '
func (j *sqlJudge) short(pos int) bool { return len(strings.TrimSpace(j.text[pos:])) <= 2 }

func isOne(s string) bool { return strings.TrimSpace(s) == "1" }

// compared judges a quote at pos and a comparison that l stands before.
func (j *sqlJudge) compared(pos int, l sqlLexer, first, digit bool) {
	var c condition
	seen := l.comments
	if p := l.peek(); p.class == negation {
		next := l
		next.next()
		if n := next.peek(); n.class != match && n.class != in && n.class != between && n.class != is {
			l = next
			c.by, c.right = byWord, j.operand(&l)
			if j.ends(l) == endsNote {
				j.x.say(ruleSQLEscape, pos, l.pos)
			}
			return
		}
	}
	j.compare(&l, &c)
	if c.by == notCompared {
		if j.ends(l) == endsNote && first {
			j.x.say(ruleSQLTruncate, pos, l.pos)
		}
		return
	}
	ends := j.ends(l)
	say := func(r *rule) { j.x.say(r, pos, l.pos) }
	switch {
	case ends == endsNote && c.right != clauseWord, l.comments > seen && first:
		say(ruleSQLEscape)
	case !first:
	case c.right == subquery, c.right == variable, c.right == knownCall:
		say(ruleSQLEscape)
	case (c.right == quoted || c.right == unended) && (c.by == byWord || !digit || c.right == quoted):
		say(ruleSQLEscape)
	case (c.right == number || c.right == constant) && (ends == endsSQL || ends == endsText && !digit):
		say(ruleSQLEscape)
	}
}

// computed judges a quote at pos and an arithmetic operator that l stands before.
func (j *sqlJudge) computed(pos int, l sqlLexer, first, digit bool) {
	seen := l.comments
	op := l.next()
	glued := op.glued && l.peek().glued
	c := j.condition(l)
	say := func(r *rule) { j.x.say(r, pos, c.end) }
	switch {
	case c.left == knownCall && c.ends != endsOpen, c.left == knownCall && first && glued, c.left == subquery, c.left == variable && first:
		say(ruleSQLEscape)
	case !first:
	case c.ends == endsNote && c.left != noOperand && c.left != clauseWord, l.comments > seen && c.left.fixed():
		say(ruleSQLEscape)
	case c.by == bySymbol && (c.left.fixed() || c.right.fixed()) && !digit, c.by == byWord && (glued || c.right.fixed()) && c.left != clauseWord:
		say(ruleSQLEscape)
	case c.left == unended && c.end == len(j.text) && len(j.text)-j.str <= 4 && j.str > c.first && j.text[j.str] == j.text[pos]:
		say(ruleSQLEscape)
	case c.left == unended && !digit && c.end == len(j.text) && !strings.ContainsAny(j.text[op.end:], ",.:") && strings.Count(strings.TrimSpace(j.text[op.end:]), " ") == 0 && (pos == 0 || isWordByte(j.text[pos-1])):
		say(ruleSQLEscape)
	case (c.left == quoted || c.left == unended) && glued && j.text[c.first] == j.text[pos] && (!digit || op.end-op.start == 1 && j.text[op.start] == '+'):
		say(ruleSQLEscape)
	case c.left.fixed() && c.ends == endsSQL && !digit:
		say(ruleSQLEscape)
	}
}

// union judges UNION at [start, end).
func (j *sqlJudge) union(start, end int) {
	pre := j.before(start)
	l := j.at(end)
	t := l.next()
	for range 8 {
		if t.class != ordinary && t.kind != sqlOpen {
			break
		}
		t = l.next()
	}
	if t.class != selectKw {
		if pre == afterNote && (t.kind == sqlEnd || t.kind == sqlComment) {
			j.x.say(ruleSQLUnion, start, l.pos)
		}
		return
	}
	strong := pre != inProse || l.comments > 0
	item := *l
	star := item.peek()
	if item.peek().class == ordinary { // DISTINCT, ALL, TOP
		item.next()
		strong = true
	}
	o := j.operand(&item)
	n := item.next()
	switch {
	case o.fixed(), o == otherCall, item.comments > 0,
		o == name && (n.kind == sqlComma && j.list(item, pre) || n.kind == sqlDot || n.kind == sqlComment || n.kind == sqlCast || n.class == clause),
		star.kind == sqlArith && j.text[star.start] == '*', strong && pre != atStart && pre != afterOne && (o == missing || n.kind == sqlEnd):
		j.x.say(ruleSQLUnion, start, item.pos)
	}
}

// list reports whether a list of names goes on, behind its first comma, as that of a query.
func (j *sqlJudge) list(l sqlLexer, pre setting) bool {
	if l.peek().glued {
		return true
	}
	for range 16 {
		if o := j.operand(&l); o == noOperand || o == missing {
			return false
		}
		n := l.next()
		switch {
		case n.kind == sqlComma:
		case n.kind == sqlComment, n.class == clause:
			return true
		default:
			return n.kind == sqlEnd && (pre == afterNum || pre == afterText || pre == afterClose)
		}
	}
	return false
}

// sensitive names make a bare SELECT x FROM y a query rather than prose.
var sensitive = []string{
	"user", "users", "username", "usernames", "password", "passwords", "passwd", "pwd", "pass", "admin", "admins",
	"account", "accounts", "login", "logins", "member", "members", "credentials", "credit_card", "dual", "mysql", "master", "customers",
}

func isSensitive(s string) bool {
	for _, w := range sensitive {
		if equalFold(s, w) {
			return true
		}
	}
	return false
}

// selection judges SELECT at [start, end): a list of expressions, then FROM and a table.
func (j *sqlJudge) selection(start, end int) {
	pre := j.before(start)
	strong := pre == afterSemi || pre == afterArith || pre == afterNote || pre == afterClose
	l := j.at(end)
	fixed, calls, stars, commas, tight, names, private := 0, 0, 0, 0, 0, 0, 0
	say := func(r *rule) { j.x.say(r, start, l.pos) }
	for range 16 {
		p := l.peek()
		if p.class == ordinary || p.class == logic {
			l.next()
			continue
		}
		if p.kind == sqlArith && j.text[p.start] == '*' {
			stars++
			l.next()
		} else {
			first := p.start
			o := j.operand(l)
			switch o {
			case knownCall:
				if p.end < len(j.text) && j.text[p.end] == '(' || strong {
					calls++
				}
			case otherCall:
				if strong {
					calls++
				}
			case name:
				if t := strings.ToLower(j.text[first:p.end]); (t == "current_user" || t == "session_user") && j.ends(*l) != endsOpen {
					calls++
				}
				names++
				if isSensitive(j.text[first:p.end]) {
					private++
				}
			case subquery:
				calls++
			case clauseWord:
				if p.kind == sqlOpen {
					calls++
				}
			case number, quoted, unended, constant, variable:
				fixed++
				if o == variable || o == constant && pre != inProse {
					calls++
				}
			default:
			}
		}
		n := l.peek()
		if n.kind == sqlLogic { // 'a'||'b'
			l.next()
			calls++
			continue
		}
		if n.kind == sqlWord && n.class == other && stars+calls > 0 { // an alias
			l.next()
			n = l.peek()
		}
		if n.kind == sqlWord && n.class == clause && equalFold(j.text[n.start:n.end], "as") {
			l.next()
			l.next()
			n = l.peek()
		}
		if n.kind != sqlComma {
			break
		}
		l.next()
		commas++
		if l.peek().glued {
			tight++
		}
	}
	if l.comments > 0 && (fixed+calls+names+stars > 0 || l.peek().class == clause) {
		say(ruleSQLSelect)
		return
	}
	if calls > 0 {
		say(ruleSQLSelect)
		return
	}
	for l.peek().kind == sqlClose {
		l.next()
	}
	from := l.next()
	if !(from.kind == sqlWord && equalFold(j.text[from.start:from.end], "from")) {
		if fixed > 0 && names == 0 && pre == afterArith && j.nested(start) {
			say(ruleSQLSelect)
		}
		if fixed > 2 && tight > 1 || fixed > 0 && (strong || pre == atStart) && j.ends(*l) == endsNote || fixed > 0 && pre == afterSemi {
			say(ruleSQLSelect)
		}
		return
	}
	table := l.next()
	switch {
	case table.kind == sqlOpen && l.peek().class == selectKw, stars > 0 && table.kind == sqlWord && pre != inProse,
		stars > 0, table.class == system, fixed > 0 && table.kind == sqlWord && (strong || names == 0 && j.ends(*l) != endsOpen):
		say(ruleSQLSelect)
		return
	case table.kind == sqlEnd:
		if fixed+stars > 0 && commas > 0 || strong {
			say(ruleSQLSelect)
		}
		return
	}
	for l.peek().kind == sqlDot {
		l.next()
		table = l.next()
		private++
	}
	if isSensitive(j.text[table.start:table.end]) {
		private++
	}
	ends := j.ends(*l)
	next := l.peek()
	conditional := false
	if next.class == clause {
		n := *l
		n.next()
		c := j.condition(n)
		conditional = c.by == bySymbol || c.left == number || c.left == unended || c.left == quoted
	}
	switch {
	case ends == endsNote, conditional && names > 0, private > 1 && names > 0, private > 0 && (strong || tight > 0),
		tight > 0 && (ends == endsText || ends == endsSQL), strong && pre != afterSemi && names > 0 && ends != endsOpen, table.start < len(j.text) && j.text[table.start] == '`':
		say(ruleSQLSelect)
	case names > 0 && ends != endsOpen && pre != inProse:
		say(ruleSQLMention)
	}
}

// nested reports whether SELECT at start stands in a parenthesis that an expression, not
// prose, has before it: "1 - (SELECT 1)", "ANY(SELECT 1)".
func (j *sqlJudge) nested(start int) bool {
	p := strings.LastIndexByte(j.text[:start], '(')
	if p < 0 {
		return false
	}
	if p > 0 && isWordByte(j.text[p-1]) {
		return true
	}
	switch j.before(p) {
	case afterArith, afterClose, afterText, afterNum:
		return true
	}
	return false
}

// objects are what statements create, change and drop.
var objects = set("table", "database", "view", "index", "trigger", "function", "procedure", "user", "schema", "login", "role", "column")

// statement judges the first word of a statement at [start, end).
func (j *sqlJudge) statement(text string, start, end int) {
	pre := j.before(start)
	l := j.at(end)
	t := l.next()
	arg := func(w string) bool { return t.kind == sqlWord && equalFold(j.text[t.start:t.end], w) }
	say := func(r *rule) { j.x.say(r, start, l.pos) }
	stacked := pre == afterSemi || pre == afterNote || pre == afterText || pre == afterClose
	switch text {
	case "waitfor":
		if arg("delay") || arg("time") {
			say(ruleSQLFunction)
		}
	case "insert", "merge", "replace":
		if arg("into") {
			j.object(l)
			switch n := l.next(); {
			case n.kind == sqlOpen, n.class == selectKw, n.class == clause && lower[j.text[n.start]] == 'v',
				n.class == verb && stacked, n.kind == sqlEnd && pre == afterSemi:
				say(ruleSQLStacked)
			}
		} else if t.kind == sqlEnd && pre == afterSemi && l.comments > 0 {
			say(ruleSQLStacked)
		}
	case "update":
		if t.kind != sqlWord {
			return
		}
		l.pos = t.start
		j.object(l)
		if n := l.next(); n.kind == sqlWord && equalFold(j.text[n.start:n.end], "set") {
			if c := j.condition(*l); c.by == bySymbol {
				say(ruleSQLStacked)
			}
		}
	case "delete":
		if stacked && (arg("ignore") || arg("low_priority") || arg("quick")) {
			t = l.next()
		}
		if arg("from") {
			j.object(l)
			j.destroys(pre, start, l)
		}
	case "drop", "truncate", "alter", "create", "rename", "backup", "restore":
		if t.kind == sqlWord && inAnyCase(objects, j.text[t.start:t.end]) {
			j.changes(text, pre, start, l)
		}
	case "exec", "execute", "call":
		name := j.text[t.start:t.end]
		switch {
		case t.class == dangerous, strings.HasPrefix(strings.ToLower(name), "xp_"), strings.HasPrefix(strings.ToLower(name), "sp_"),
			arg("immediate"), arg("master") && l.peek().kind == sqlDot, t.kind == sqlVariable,
			t.kind == sqlOpen && l.peek().kind == sqlString && stacked, t.kind == sqlOpen && l.peek().kind == sqlVariable:
			say(ruleSQLStacked)
		}
	case "declare":
		if t.kind == sqlVariable || stacked && l.peek().class == ordinary {
			say(ruleSQLStacked)
		}
	case "set":
		if t.kind == sqlVariable && (stacked || pre == atStart || pre == afterArith || l.peek().kind == sqlCompare) {
			say(ruleSQLStacked)
		}
	case "shutdown":
		if pre == afterSemi && (t.kind == sqlEnd || t.kind == sqlComment || t.kind == sqlSemi || arg("with")) || pre == afterText && t.kind == sqlComment {
			say(ruleSQLStacked)
		}
	case "grant", "revoke":
		for range 6 {
			if l.peek().kind == sqlEnd {
				return
			}
			n := l.next()
			if n.kind == sqlWord && equalFold(j.text[n.start:n.end], "on") && (stacked || t.class == selectKw || arg("all")) && l.peek().kind != sqlWord {
				say(ruleSQLStacked)
			}
		}
	case "load":
		if arg("data") || arg("xml") && stacked {
			if n := l.next(); n.class == clause || l.peek().class == clause {
				say(ruleSQLFunction)
			}
		}
	case "copy":
		if t.kind == sqlWord || t.kind == sqlOpen {
			if t.kind == sqlOpen {
				l.pos = t.start
				j.arguments(l)
			}
			n := l.next()
			if n.kind == sqlOpen {
				l.pos = n.start
				j.arguments(l)
				n = l.next()
			}
			if n.kind == sqlWord && (equalFold(j.text[n.start:n.end], "from") || equalFold(j.text[n.start:n.end], "to")) {
				m := l.next()
				if m.kind == sqlString || equalFold(j.text[m.start:m.end], "program") || m.kind == sqlArith && j.text[m.start] == '/' {
					say(ruleSQLStacked)
				}
			}
		}
	case "handler", "attach", "prepare":
		n := l.next()
		if l.comments == 0 && (stacked || t.kind == sqlString || n.kind == sqlString) && (n.class == clause || equalFold(j.text[n.start:n.end], "open") || t.class == ordinary && n.kind == sqlString) {
			say(ruleSQLStacked)
		}
	}
}

// object reads the name of a table, with dots and quotes.
func (j *sqlJudge) object(l *sqlLexer) {
	if t := l.next(); t.kind == sqlOther && t.end > t.start && j.text[t.start] == '[' {
		l.next()
		l.next()
	}
	for l.peek().kind == sqlDot {
		l.next()
		l.next()
	}
}

// destroys judges DELETE FROM x, behind which l stands.
func (j *sqlJudge) destroys(pre setting, start int, l *sqlLexer) {
	n := *l
	t := n.next()
	switch {
	case t.class == clause && lower[j.text[t.start]] == 'w':
		if c := j.condition(n); c.by != notCompared && (c.right.fixed() || c.by == bySymbol) {
			j.x.say(ruleSQLStacked, start, c.end)
		}
	case pre != inProse && pre != atStart && pre != afterArith && j.ends(*l) != endsOpen, j.ends(*l) == endsNote:
		j.x.say(ruleSQLStacked, start, l.pos)
	}
}

// changes judges DROP TABLE and its like, behind which l stands.
func (j *sqlJudge) changes(text string, pre setting, start int, l *sqlLexer) {
	stacked := pre == afterSemi || pre == afterNote || pre == afterText || pre == afterClose || pre == afterNum
	t := l.next()
	if t.kind == sqlWord && equalFold(j.text[t.start:t.end], "if") {
		if n := l.next(); n.class == clause || n.class == negation {
			j.x.say(ruleSQLStacked, start, l.pos)
		}
		return
	}
	if t.kind != sqlWord && t.kind != sqlOther && t.kind != sqlArith {
		if stacked && t.kind != sqlEnd {
			j.x.say(ruleSQLStacked, start, l.pos)
		}
		return
	}
	l.pos = t.start
	j.object(l)
	ends := j.ends(*l)
	n := l.peek()
	switch {
	case ends == endsNote, stacked && ends != endsOpen && ends != endsInNote, l.comments > 0 && ends != endsOpen,
		pre == atStart && isSensitive(j.text[t.start:t.end]) && ends != endsOpen,
		pre == atStart && ends == endsText && strings.HasSuffix(strings.TrimRight(j.text, " \n"), ";"),
		text == "alter" && (n.class == verb || lookup(j.text[n.start:n.end]).text == "set" || equalFold(j.text[n.start:n.end], "add") ||
			equalFold(j.text[n.start:n.end], "change") || equalFold(j.text[n.start:n.end], "modify")) && n.kind == sqlWord,
		text == "create" && n.kind == sqlOpen && (n.glued || stacked || pre == atStart), text == "create" && n.kind == sqlWord && equalFold(j.text[n.start:n.end], "identified"):
		j.x.say(ruleSQLStacked, start, l.pos)
	}
}

// clause judges the word of a clause at [start, end).
func (j *sqlJudge) clause(text string, start, end int) {
	pre := j.before(start)
	plain := pre == atStart || pre == afterNum || pre == afterText || pre == afterClose || pre == afterNote
	l := j.at(end)
	switch text {
	case "order", "group":
		if by := l.next(); by.kind != sqlWord || !equalFold(j.text[by.start:by.end], "by") {
			return
		}
		o := j.operand(l)
		for l.peek().kind == sqlComma {
			l.next()
			o = max(o, j.operand(l))
		}
		ends := j.ends(*l)
		switch {
		case o == knownCall && plain, o == number && plain && ends != endsOpen && ends != endsInNote,
			o == name && ends == endsNote && pre != inProse, l.comments > 0 && o != missing, o == subquery:
			j.x.say(ruleSQLOrder, start, l.pos)
		}
	case "having", "where", "when":
		c := j.condition(*l)
		if text == "having" && c.left.fixed() && c.ends == endsSQL && c.by == notCompared {
			j.x.say(ruleSQLOrder, start, c.end)
		}
		if c.by == notCompared || c.left == name && c.right == name {
			return
		}
		ends := c.ends != endsOpen && c.ends != endsInNote
		switch {
		case c.left.fixed() && (c.right.fixed() || c.right == missing) && (plain || ends && c.by == bySymbol),
			c.ends == endsNote, plain && c.by == bySymbol && ends && c.right.fixed() && text != "when":
			j.x.say(ruleSQLOrder, start, c.end)
		}
	case "into":
		if t := l.next(); t.class == clause && (l.peek().kind == sqlString || l.peek().kind == sqlEnd || l.peek().kind == sqlOpen) {
			j.x.say(ruleSQLFunction, start, l.pos)
		}
	case "procedure":
		if t := l.next(); equalFold(j.text[t.start:t.end], "analyse") && l.peek().kind == sqlOpen {
			j.x.say(ruleSQLFunction, start, l.pos)
		}
	case "limit":
		o := j.operand(l)
		if o == number && l.peek().kind == sqlComma && l.peek().glued && (pre == atStart || pre == afterNum || pre == afterText) {
			l.next()
			if j.operand(l) == number && j.ends(*l) != endsOpen {
				j.x.say(ruleSQLOrder, start, l.pos)
			}
		}
	case "from":
		if pre == afterClose && strings.IndexByte(j.text[:start], ')') <= 8 {
			n := *l
			j.object(&n)
			if w := n.next(); w.class == clause && equalFold(j.text[w.start:w.end], "where") && j.condition(n).by != notCompared {
				j.x.say(ruleSQLSelect, start, n.pos)
			}
		}
		if t := l.next(); t.kind == sqlOpen && t.glued && l.peek().class == selectKw {
			j.x.say(ruleSQLSelect, start, l.pos)
		}
	case "as":
		// A value that begins by closing the query's parenthesis.
		if head := strings.TrimLeft(j.text[:start], " "); head == "" || head[0] != ')' && head[0] != '`' || len(head) > 3 {
			return
		}
		l.next()
		if f := l.next(); f.class == clause && l.peek().kind == sqlEnd {
			j.x.say(ruleSQLCut, start, l.pos)
		}
	case "case", "begin", "if", "exists":
		t := l.next()
		if t.kind == sqlOpen && l.peek().class == selectKw {
			j.x.say(ruleSQLSelect, start, l.pos)
		}
		if t.class == clause && text == "case" {
			if c := j.condition(*l); (c.left.fixed() || c.left == otherCall) && (c.by != notCompared || c.ends == endsSQL && c.left != name) {
				j.x.say(ruleSQLSelect, start, c.end)
			}
		} else if t.kind == sqlString || t.kind == sqlNumber {
			if w := l.next(); text == "case" && w.kind == sqlWord && equalFold(j.text[w.start:w.end], "when") {
				j.x.say(ruleSQLSelect, start, l.pos)
			}
		}
	case "values":
		if t := l.next(); t.kind == sqlOpen && (pre == atStart || pre == afterClose) {
			if o := j.operand(l); o == missing || o.fixed() && pre == afterClose {
				j.x.say(ruleSQLCut, start, l.pos)
			}
		}
	}
}

// call judges a function's name at [start, end).
func (j *sqlJudge) call(k class, start, end int) {
	l := j.at(end)
	p := l.next()
	if p.kind != sqlOpen {
		if k == dangerous && (strings.IndexByte(j.text[start:end], '_') > 0) {
			j.x.say(ruleSQLFunction, start, end)
		}
		return
	}
	pre := j.before(start)
	// The name, an opening parenthesis, and nothing else.
	if l.peek().kind == sqlEnd && (pre == atStart || k == dangerous) {
		if pre == atStart && strings.TrimSpace(j.text[end:]) == "(" || k == dangerous {
			j.x.say(ruleSQLCut, start, l.pos)
		}
		return
	}
	nested, fixed, vars, hex, commas, names := 0, 0, 0, 0, 0, 0
	depth := 1
	for range 32 {
		t := l.next()
		switch t.kind {
		case sqlOpen:
			depth++
		case sqlClose:
			depth--
		case sqlNumber:
			fixed++
			if t.end-t.start > 2 && j.text[t.start+1]|0x20 == 'x' {
				hex++
			}
		case sqlString:
			fixed++
		case sqlVariable:
			vars++
		case sqlComma:
			commas++
		case sqlWord:
			switch t.class {
			case function, builtin, dangerous:
				if n := l.peek(); n.kind == sqlOpen && n.glued {
					nested++
				}
			case system, selectKw:
				vars++
			case literal, clause, logic, ordinary:
			default:
				names++
			}
		}
		if depth == 0 || t.kind == sqlEnd {
			break
		}
	}
	say := func(r *rule) { j.x.say(r, start, l.pos) }
	placed := pre == afterArith || pre == afterText || pre == afterSemi || pre == afterClose || pre == afterNum || pre == afterNote
	switch k {
	case dangerous:
		switch {
		case p.glued, placed, pre == atStart, commas > 0 && fixed > 0, nested > 0, j.wordBefore(start):
			say(ruleSQLFunction)
		}
	case builtin:
		switch {
		case nested > 0, hex > 0, vars > 0, l.comments > 0, placed && fixed > 0 && depth <= 0, commas > 0 && fixed > 0 && p.glued:
			say(ruleSQLFunction)
		case pre == atStart && depth == 0 && p.glued:
			say(ruleSQLMention)
		}
	case function:
		if !p.glued && l.comments == 0 {
			return
		}
		n := l.peek()
		switch {
		case nested > 0 && (commas > 0 || names == 0 || placed), hex > 0, vars > 0,
			fixed > 0 && n.kind == sqlArith && j.text[n.start] == '+' && j.repeats(start, end, n.end),
			pre == afterArith && fixed > 0 && names == 0 && commas > 0 && depth == 0:
			say(ruleSQLFunction)
		}
	}
}

// wordBefore reports whether a word of SQL's grammar stands before start.
func (j *sqlJudge) wordBefore(start int) bool {
	i := start
	for i > 0 && isSpace(j.text[i-1]) {
		i--
	}
	b := i
	for b > 0 && isWordByte(j.text[b-1]) && i-b < maxKey {
		b--
	}
	switch lookup(j.text[b:i]).class {
	case logic, negation, selectKw, clause:
		return b < i
	}
	return false
}

// repeats reports whether the name at [start, end) stands again behind pos: char(65)+char(66).
func (j *sqlJudge) repeats(start, end, pos int) bool {
	n := end - start
	return pos+n < len(j.text) && strings.EqualFold(j.text[pos:pos+n], j.text[start:end])
}

// system judges the name of one of the database's own tables at [start, end).
func (j *sqlJudge) system(text string, start, end int) {
	pre := j.before(start)
	l := j.at(end)
	n := l.next()
	switch {
	case strings.Contains(text, "schema") && n.kind == sqlDot, strings.HasPrefix(text, "sys"), strings.HasPrefix(text, "msys"),
		strings.HasPrefix(text, "pg_"), strings.HasPrefix(text, "sqlite_"), strings.HasSuffix(text, "_schema") && text != "table_schema":
		j.x.say(ruleSQLSystem, start, l.pos)
	case pre == afterArith || pre == afterText || n.kind == sqlCompare || n.kind == sqlComma || n.kind == sqlClose:
		j.x.say(ruleSQLMention, start, l.pos)
	}
}

// variable judges "@@" at pos.
func (j *sqlJudge) variable(pos int) {
	l := j.at(pos)
	t := l.next()
	if t.kind != sqlVariable {
		return
	}
	name := strings.TrimLeft(j.text[t.start:t.end], "@")
	for _, v := range [...]string{
		"version", "version_compile_os", "hostname", "datadir", "basedir", "servername", "global",
		"session", "microsoftversion", "identity", "language", "langid", "spid", "tmpdir", "max_connections", "secure_file_priv", "plugin_dir", "sql_mode",
	} {
		if equalFold(name, v) || strings.HasPrefix(strings.ToLower(name), v+".") {
			j.x.say(ruleSQLSystem, t.start, l.pos)
			return
		}
	}
	j.x.say(ruleSQLMention, t.start, l.pos)
}

// conditional judges "/*!" at pos, by which MySQL runs what others take for a comment.
func (j *sqlJudge) conditional(pos int) {
	l := j.at(pos)
	t := l.next()
	if isDigit(j.text[min(pos+3, len(j.text)-1)]) || t.kind == sqlWord && t.class != other && t.class != ordinary {
		j.x.say(ruleSQLDialect, pos, l.pos)
	}
}

// cast judges "::" at pos, PostgreSQL's cast.
func (j *sqlJudge) cast(pos int) {
	l := j.at(pos)
	l.next()
	t := l.next()
	if t.kind != sqlWord || !t.glued {
		return
	}
	for _, typ := range [...]string{"int", "integer", "bigint", "smallint", "text", "varchar", "char", "json", "jsonb", "bool", "boolean", "numeric", "float", "regclass", "date", "timestamp", "bytea", "money", "xml", "uuid", "int4", "int8"} {
		if !equalFold(j.text[t.start:t.end], typ) {
			continue
		}
		if pre := j.before(pos); pre == afterText || pre == afterClose || pre == afterNum {
			j.x.say(ruleSQLDialect, pos, l.pos)
		}
		return
	}
}
