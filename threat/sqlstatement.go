package threat

import (
	"strings"
)

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
	case "bulk":
		if arg("insert") && stacked {
			say(ruleSQLStacked)
		}
	case "drop", "truncate", "alter", "create", "rename", "backup", "restore":
		for range 3 { // CREATE OR REPLACE FUNCTION, CREATE UNIQUE INDEX
			if t.class != logic && !arg("replace") && !arg("temporary") && !arg("unique") && !arg("global") {
				break
			}
			t = l.next()
		}
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
			equalFold(j.text[n.start:n.end], "change") || equalFold(j.text[n.start:n.end], "modify") || stacked && equalFold(j.text[n.start:n.end], "with")) && n.kind == sqlWord,
		text == "create" && n.kind == sqlOpen && (n.glued || stacked || pre == atStart), text == "create" && stacked && n.kind == sqlWord && equalFold(j.text[n.start:n.end], "returns"), text == "create" && n.kind == sqlWord && equalFold(j.text[n.start:n.end], "identified"):
		j.x.say(ruleSQLStacked, start, l.pos)
	}
}
