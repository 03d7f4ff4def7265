package threat

import (
	"strings"
)

// union judges UNION at [start, end).
func (j *sqlJudge) union(start, end int) {
	pre := j.before(start)
	l := j.at(end)
	t := l.next()
	if n := l.peek(); t.kind == sqlWord && (equalFold(j.text[t.start:t.end], "values") && n.kind == sqlOpen ||
		equalFold(j.text[t.start:t.end], "table") && n.kind == sqlWord && pre != inProse && pre != atStart && pre != afterOne) {
		j.x.say(ruleSQLUnion, start, n.end)
		return
	}
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
	// Markdown sets code in backquotes, as a text about databases does.
	cited := start > 0 && j.text[start-1] == '`' && prosaic(j.text[:start-1])
	say := func(r *rule) {
		if cited {
			r = ruleSQLMention
		}
		j.x.say(r, start, l.pos)
	}
	for range 16 {
		p := l.peek()
		if p.class == ordinary || p.class == logic {
			l.next()
			if n := l.peek(); n.kind == sqlNumber && equalFold(j.text[p.start:p.end], "top") {
				l.next()
			}
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
		if end < len(j.text) && j.text[end] == '-' && commas == 0 {
			return // the article SELECT-7400
		}
		if fixed > 0 && names == 0 && pre == afterArith && j.nested(start) {
			say(ruleSQLSelect)
		}
		if stars > 0 && names == 0 && from.kind == sqlEnd && (pre == afterSemi || pre == afterClose || pre == afterNote) {
			say(ruleSQLSelect)
		}
		if fixed > 2 && tight > 1 || fixed > 0 && (strong || pre == atStart) && j.ends(*l) == endsNote || fixed > 0 && pre == afterSemi {
			say(ruleSQLSelect)
		}
		return
	}
	table := l.next()
	for l.peek().kind == sqlDot && table.kind == sqlWord {
		l.next()
		table = l.next()
		private++
	}
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
	if isSensitive(j.text[table.start:table.end]) || strings.IndexByte(j.text[table.start:table.end], '$') > 0 {
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
	p := start - 1
	for p >= 0 && isSpace(j.text[p]) && start-p < maxSQLToken {
		p--
	}
	if p < 0 || j.text[p] != '(' {
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
