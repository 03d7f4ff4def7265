package threat

import (
	"strings"
)

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
