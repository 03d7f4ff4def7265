package threat

import (
	"strings"
)

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
		if w := l.peek(); w.kind == sqlWord && (equalFold(j.text[w.start:w.end], "asc") || equalFold(j.text[w.start:w.end], "desc")) {
			l.next()
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
		if pre == afterClose && strings.IndexByte(j.text[:min(start, 9)], ')') >= 0 {
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
		if start > maxSQLToken {
			return
		}
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
	nested, fixed, vars, hex, commas, names, compares := 0, 0, 0, 0, 0, 0, 0
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
		case sqlCompare:
			compares++
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
		case p.glued, (placed || pre == atStart) && j.ends(*l) != endsOpen, commas > 0 && fixed > 0, nested > 0, j.wordBefore(start):
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
			compares > 0 && commas > 1 && fixed > 1 && depth == 0 && (pre == atStart || placed),
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
		if hasPrefixFold(name, v) && (len(name) == len(v) || name[len(v)] == '.') {
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

// splitWord judges the empty comment at pos: in some places UN/**/ION is one word when it reaches the
// database.
func (j *sqlJudge) splitWord(pos int) {
	const most = 12
	start, end := pos, pos+len("/**/")
	for start > 0 && pos-start < most && lower[j.text[start-1]] != 0 {
		start--
	}
	behind := end
	for end < len(j.text) && end-behind < most && lower[j.text[end]] != 0 {
		end++
	}
	if start == pos || end == behind {
		return
	}
	switch lookup(j.text[start:pos] + j.text[behind:end]).class {
	case union, selectKw, verb, dangerous:
		j.x.say(ruleSQLDialect, start, end)
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
