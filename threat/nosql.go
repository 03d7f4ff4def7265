package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// NoSQL injection puts an operator where a value is expected. "$gt" in prose is a word; as
// the key of an object, or in brackets behind a parameter's name, it is an operator.
var (
	ruleNoSQLOperator = &rule{voiceNoSQL, "nosql.operator", makerguard.SeverityHigh, 1, 5, "An operator of MongoDB stands as a key, where it changes what a query matches."}
	ruleNoSQLWhere    = &rule{voiceNoSQL, "nosql.javascript", makerguard.SeverityCritical, 1, 5, "JavaScript that the database would run."}
	ruleNoSQLEscape   = &rule{voiceNoSQL, "nosql.escape", makerguard.SeverityHigh, 1, 5, "A quote ends a string and what follows goes on as a condition in JavaScript."}
)

// operators are MongoDB's: query, update, aggregation. Keys of extended JSON that
// carry plain values, such as $oid, are not among them.
var operators = set("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$and", "$or", "$nor", "$not", "$exists", "$type", "$expr", "$jsonschema", "$mod", "$regex", "$options", "$text", "$search", "$where",
	"$all", "$elemmatch", "$size", "$slice", "$meta", "$comment", "$rand", "$set", "$unset", "$inc", "$mul", "$rename", "$push", "$pull", "$pullall", "$addtoset", "$pop", "$each", "$position", "$sort", "$setoninsert", "$currentdate", "$min", "$max", "$bit",
	"$match", "$project", "$group", "$lookup", "$graphlookup", "$unwind", "$out", "$merge", "$limit", "$skip", "$sample", "$facet", "$bucket", "$addfields", "$replaceroot", "$replacewith", "$redact", "$unionwith", "$function", "$accumulator", "$geonear", "$indexstats", "$collstats", "$currentop",
	"$near", "$nearsphere", "$geowithin", "$geointersects", "$func", "$eval", "$script", "$natural", "$query", "$explain", "$cond", "$let", "$map", "$reduce", "$filter", "$concat", "$toint", "$tostring", "$literal", "$getfield", "$setfield", "$isolated", "$box", "$within", "$maxdistance", "$count", "$snapshot", "$hint", "$returnkey", "$showdiskloc", "$orderby")

func (x *inspection) nosql() {
	if x.has(markDollar) {
		x.operators()
	}
	if x.has(markPipe|markAmp|markBrace) && !x.sure(voiceNoSQL) {
		x.goesOnAtOnce()
	}
	if !x.sure(voiceNoSQL) && x.has(markCode|markSemi|markPipe|markAmp) {
		x.serverScript()
	}
}

// operators finds operators in the position of a key.
func (x *inspection) operators() {
	s := x.text
	for i := 0; i < len(s); i++ {
		d := strings.IndexByte(s[i:], '$')
		if d < 0 {
			return
		}
		i += d
		end := i + 1
		for end < len(s) && isLetter(s[end]) {
			end++
		}
		if !inAnyCase(operators, s[i:end]) {
			continue
		}
		if x.keyPosition(i, end) {
			r := ruleNoSQLOperator
			switch strings.ToLower(s[i:end]) {
			case "$where", "$function", "$accumulator", "$expr", "$eval":
				r = ruleNoSQLWhere
			}
			x.say(r, max(0, i-8), len(s))
			return
		}
	}
}

// keyPosition reports whether the operator at [i, end) is a key: {$ne: , "$ne": , [$ne], or .$ne=
func (x *inspection) keyPosition(i, end int) bool {
	s := x.text
	b := i
	for b > 0 && (isSpace(s[b-1]) || s[b-1] == '"' || s[b-1] == '\'' || s[b-1] == '\\') {
		b--
	}
	a := end
	for a < len(s) && (isSpace(s[a]) || s[a] == '"' || s[a] == '\'' || s[a] == '\\') {
		a++
	}
	open, next := byte(0), byte(0)
	if b > 0 {
		open = s[b-1]
	}
	if a < len(s) {
		next = s[a]
	}
	switch {
	case open == '[' && next == ']':
		return true
	case next == ':' && (open == '{' || open == ',' || b == 0):
		return true
	case next == '=' && (open == '.' || i == 0 || s[i-1] == '&'):
		return true
	}
	return false
}

// key judges the name of a parameter or the key of an object.
func (x *inspection) key(name string) {
	if len(name) > 6 && relational(name) {
		x.say(ruleCodeQuery, 0, len(x.text))
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 && i+1 < len(name) && name[i+1] == '$' {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "[")
	if len(name) < 3 || name[0] != '$' || !inAnyCase(operators, name) {
		return
	}
	x.say(ruleNoSQLOperator, 0, len(x.text))
}

// goesOnAtOnce judges a value that goes on the application's query from its first byte: || 1==1,
// and }, {key: /.*/} for an object.
func (x *inspection) goesOnAtOnce() {
	t := strings.TrimLeft(x.text[:min(len(x.text), maxCode)], " '\"")
	switch {
	case strings.HasPrefix(t, "||"), strings.HasPrefix(t, "&&"):
		t = strings.TrimLeft(t[2:], " (")
		n := scriptOperand(t)
		t = strings.TrimLeft(t[n:], " )")
		rest := strings.TrimLeft(t, "=!")
		if ops := len(t) - len(rest); n > 0 && (ops == 2 || ops == 3) && t[1] == '=' && scriptOperand(strings.TrimLeft(rest, " ")) > 0 {
			x.say(ruleNoSQLEscape, 0, len(x.text))
		}
	case strings.HasPrefix(t, "}"):
		t = strings.TrimLeft(t, "} )\n")
		key, value, ok := strings.Cut(t, ":")
		value = strings.TrimLeft(value, " ")
		if inner := strings.TrimLeft(key, ", \n"); ok && inner != key && strings.HasPrefix(inner, "{") && len(value) > 2 && value[0] == '/' && value[1] != '/' && strings.IndexByte(value[1:], '/') > 0 && fieldName(strings.Trim(inner, "{ '\"\n")) {
			x.say(ruleNoSQLEscape, 0, len(x.text))
		}
	}
}

// scriptOperand returns the length of the number or string that s starts with, 0 if it is none.
func scriptOperand(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n == 0 && s != "" && (s[0] == '\'' || s[0] == '"') {
		return strings.IndexByte(s[1:], s[0]) + 2 // nothing closes it: the application's quote does
	}
	return n
}

// fieldName reports whether s is the name of a field.
func fieldName(s string) bool {
	for i := range len(s) {
		if lower[s[i]] == 0 && s[i] != '.' && s[i] != '$' {
			return false
		}
	}
	return s != ""
}

// serverScript finds what breaks out of a string in $where, and the shell's own objects.
func (x *inspection) serverScript() {
	s := x.text
	for _, p := range x.points {
		i := int(p.pos)
		c := s[i]
		if p.word != 0 || c != ';' && (c != '|' && c != '&' || i+1 >= len(s) || s[i+1] != c) {
			continue
		}
		b := i
		for b > 0 && (isSpace(s[b-1]) || s[b-1] == ')' || s[b-1] == '}' || s[b-1] == ']') {
			b--
		}
		if b < i && s[b] == ')' || b > 0 && (s[b-1] == '\'' || s[b-1] == '"' || isDigit(s[b-1])) {
			x.afterQuote(max(0, b-1), i)
		}
	}
	if x.has(markCode) && !x.sure(voiceNoSQL) {
		x.shellObjects()
	}
}

// shellCalls are what is called on the shell's database and its collections.
var shellCalls = []string{".insert(", ".find(", ".findOne(", ".remove(", ".drop(", ".update(", ".mapReduce(", ".count(", ".aggregate(", "getCollectionNames", "version(", "dropDatabase"}

// present returns those of words that s holds.
func present(s string, words []string) (found []string) {
	for _, w := range words {
		if strings.Contains(s, w) {
			found = append(found, w)
		}
	}
	return found
}

// shellObjects finds "db", which is the shell's, and "this" as $where uses it.
func (x *inspection) shellObjects() {
	s := x.text
	var called []string // of shellCalls, those that the text holds, if we asked
	asked := false
	for i := 0; i < len(s); i++ {
		d := strings.IndexByte(s[i:], '.')
		if d < 0 {
			return
		}
		i += d
		switch {
		case wordBefore(s, i, "db"):
			if !asked {
				called, asked = present(s, shellCalls), true
			}
			rest := s[i+1 : min(len(s), i+80)]
			for _, w := range called {
				if strings.Contains(rest, w) {
					x.say(ruleNoSQLWhere, i-2, len(s))
					return
				}
			}
		case wordBefore(s, i, "this"):
			e := i + 1
			for e < len(s) && (lower[s[e]] != 0 || s[e] == '.') {
				e++
			}
			k := skipSpace(s, e)
			name := s[i:e]
			matches := strings.HasSuffix(name, ".match") || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".search") || strings.HasSuffix(name, ".constructor")
			compares := k+1 < len(s) && (s[k] == '=' && s[k+1] == '=' || s[k] == '!' && s[k+1] == '=' || (s[k] == '>' || s[k] == '<') && i == 4)
			if matches && k < len(s) && s[k] == '(' || compares {
				x.say(ruleNoSQLWhere, i-4, len(s))
				return
			}
			i = e - 1
		}
	}
}

// wordBefore reports whether word, and no longer one, ends at i.
func wordBefore(s string, i int, word string) bool {
	b := i - len(word)
	return b >= 0 && s[b:i] == word && (b == 0 || !isWordByte(s[b-1]))
}

// afterQuote judges the code at j that a quote or number at i ends before.
func (x *inspection) afterQuote(i, j int) {
	s := x.text
	rest := s[min(j, len(s)):]
	switch {
	case strings.HasPrefix(rest, ";"):
		t := strings.TrimLeft(rest[1:], " \t")
		for _, w := range [...]string{"return", "sleep(", "while(", "var ", "it=", "do{", "throw ", "db."} {
			if !strings.HasPrefix(t, w) {
				continue
			}
			// "8; return within 30 days" is prose.
			n := strings.TrimLeft(t[len(w):], " ")
			if w != "return" || n != "" && (strings.IndexByte("'\"(!;", n[0]) >= 0 || strings.HasPrefix(n, "true") || strings.HasPrefix(n, "false") || isDigit(n[0]) && strings.ContainsAny(n, ";=}")) {
				x.say(ruleNoSQLEscape, i, len(s))
			}
			return
		}
	case strings.HasPrefix(rest, "||"), strings.HasPrefix(rest, "&&"):
		t := strings.TrimLeft(rest[2:], " ('\"")
		if strings.HasPrefix(t, "this.") || strings.HasPrefix(t, "this[") || strings.HasPrefix(t, "obj.") || strings.Contains(rest[:min(len(rest), 32)], "==") {
			x.say(ruleNoSQLEscape, i, len(s))
		}
	}
}
