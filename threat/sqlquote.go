package threat

import (
	"strings"
)

// quote judges a quote at pos that may end the application's string.
func (j *sqlJudge) quote(pos int, count *int) {
	if j.text[pos] == '`' && prosaic(j.text[:pos]) {
		return // Markdown's code
	}
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
	// "#1E5C99">, "#top", "--": a value that begins like a comment and ends on another line.
	lined := noted && t.start > here.pos && strings.IndexByte("#-", j.text[skipSpace(j.text, here.pos)]) >= 0
	digit := pos > 0 && isDigit(j.text[pos-1]) // 5' may be feet
	if first && j.truncated() && (t.kind == sqlSemi || t.kind == sqlLogic || t.kind == sqlCompare || t.kind == sqlArith && !digit || t.class != other && t.class != ordinary && t.class != function && t.class != verb) {
		j.x.say(ruleSQLTruncate, pos, len(j.text))
		return
	}
	if !continuesQuote(t) {
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
		j.escape(pos, *l, first, digit, lined)
	case sqlCompare:
		if q != '`' && !lined { // Markdown's code: `-O=2`
			j.compared(pos, here, first, digit)
		}
	case sqlArith:
		if q != '`' && !lined && (pos == 0 || j.text[pos-1] != '=') { // the value of an attribute
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
			j.escape(pos, *l, first, digit, lined)
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

// continuesQuote reports whether t is something that the SQL behind a quote may go on with. Mostly it
// is a word of the text, and there is no need to look further.
func continuesQuote(t sqlToken) bool {
	switch t.kind {
	case sqlEnd, sqlComment, sqlSemi, sqlLogic, sqlCompare, sqlArith, sqlCast, sqlComma:
		return true
	case sqlWord:
		switch t.class {
		case logic, match, in, between, is, negation, arith, clause:
			return true
		}
	}
	return false
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
	return p.start+1 >= len(j.text) || strings.IndexByte(" \t\n,.;:!?)]}+&<-/`|", j.text[p.start+1]) >= 0
}

// escape judges a quote at pos and a logical operator that l stands behind, on another line
// if lined.
func (j *sqlJudge) escape(pos int, l sqlLexer, first, digit, lined bool) {
	glued := l.peek().glued
	c := j.condition(l)
	if lined && c.by == notCompared {
		return
	}
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
		case c.by == bySymbol && c.right == quoted && c.left == name && c.ends != endsNote && j.attribute(pos):
			say(ruleSQLMention)
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
		if c.ends == endsNote || c.comments || c.ends == endsSQL && first && !j.opens(pos) {
			say(ruleSQLEscape)
		}
	}
}

// opens reports whether the quote at pos opens direct speech: said, "And where do you go?"
func (j *sqlJudge) opens(pos int) bool {
	return pos > 0 && isSpace(j.text[pos-1]) && pos+1 < len(j.text) && capital(j.text[pos+1])
}

// attribute reports whether the quote at pos closes the value of an attribute, or opens an empty
// one: width="5", alt=""
func (j *sqlJudge) attribute(pos int) bool {
	open := pos
	if pos == 0 || j.text[pos-1] != '=' {
		near := max(0, pos-maxKey)
		open = near + strings.LastIndexByte(j.text[near:pos], j.text[pos])
	}
	return open > 1 && j.text[open-1] == '=' && lower[j.text[open-2]] != 0
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
	case (c.right == quoted || c.right == unended) && (c.by == byWord || !digit || c.right == quoted || j.str < len(j.text) && j.text[j.str] == j.text[pos] && j.str-pos < 4):
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
	case c.left.fixed() && c.ends == endsSQL && !digit && (glued || c.left != quoted):
		say(ruleSQLEscape)
	}
}
