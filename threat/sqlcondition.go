package threat

import (
	"strings"
)

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
	opened := 0
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
		case sqlOpen:
			opened++
			continue
		case sqlBang:
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
			switch {
			case t.class != selectKw:
				return j.name(l, t)
			case opened > 0:
				j.skipQuery(l, opened)
			case l.comments == 0:
				return clauseWord // a subquery stands in parentheses
			}
			return subquery
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

// skipQuery skips the rest of a subquery that stands in so many parentheses, if it ends soon.
func (j *sqlJudge) skipQuery(l *sqlLexer, depth int) {
	end := *l
	for range 48 {
		switch end.next().kind {
		case sqlOpen:
			depth++
		case sqlClose:
			if depth--; depth == 0 {
				*l = end
				return
			}
		case sqlEnd, sqlComment:
			return
		}
	}
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
	case t.kind == sqlBang && next.peek().kind != sqlEnd && next.peek().glued:
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
		case strong && c.right.fixed() && tail && (pre != atStart || c.right == knownCall || c.right == subquery):
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

// itself judges a parenthesis at pos: nobody but a prober compares a number with itself, as in
// (7651=7651)*1 or ELT(7585=7585,1).
func (j *sqlJudge) itself(pos int) {
	const least = 3 // digits; (1=1) may be an example
	s := j.text[pos+1:]
	n := 0
	for n < len(s) && n < maxKey && isDigit(s[n]) {
		n++
	}
	if n < least || len(s) < 2*n+2 || s[n] != '=' || s[n+1:2*n+1] != s[:n] {
		return
	}
	if c := s[2*n+1]; c == ')' || c == ',' {
		j.x.say(ruleSQLTautology, pos, pos+2*n+3)
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
