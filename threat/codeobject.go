package threat

import (
	"strings"
)

// relational reports whether word is a lookup of Django's: user__profile__city__startswith.
func relational(word string) bool {
	if strings.Count(word, "__") < 2 || word[0] == '_' {
		return false
	}
	for _, suffix := range [...]string{"__startswith", "__istartswith", "__endswith", "__contains", "__icontains", "__regex", "__iregex", "__exact", "__iexact", "__gt", "__lt", "__in", "__isnull"} {
		if strings.HasSuffix(word, suffix) {
			return true
		}
	}
	return false
}

// endless judges while( at start, whose parenthesis is at j.
func (x *inspection) endless(start, j int) bool {
	s := x.text
	end := strings.IndexByte(s[j:min(len(s), j+48)], ')')
	if end < 0 || j > start+5 {
		return false
	}
	arg := strings.TrimLeft(strings.TrimSpace(s[j+1:j+end]), "!+-(")
	neg := len(arg) < len(strings.TrimSpace(s[j+1:j+end]))
	switch arg {
	case "true", "1", "this", "Infinity", "String", "new Date", "Object", "Math", "Array", "Date":
		if arg == "true" && neg && s[j+1] == '!' {
			return false
		}
		x.say(ruleCodeLoop, start, len(s))
		return true
	case "0", "false", "null", "undefined", "NaN", `""`, "''", "``", "[]", "{}":
		if neg {
			x.say(ruleCodeLoop, start, len(s))
			return true
		}
	}
	return false
}

// member judges the object word at [start, end) and the property behind its dot.
func (x *inspection) member(word string, start, end int) bool {
	rest := x.text[end+1:]
	n := 0
	for n < len(rest) && lower[rest[n]] != 0 {
		n++
	}
	p := rest[:n]
	called := n < len(rest) && (rest[n] == '(' || rest[n] == '.' || rest[n] == '[')
	hit := false
	switch word {
	case "process":
		hit = p == "mainModule" || p == "binding" || called && (p == "env" || p == "exit" || p == "kill") || p == "env" && rest == p
	case "Process":
		hit = p == "spawn" || p == "Start" && called
	case "console":
		hit = called && (p == "log" || p == "info" || p == "error" || p == "debug")
	case "child_process", "subprocess", "IO", "Kernel", "os":
		hit = called && (p == "exec" || p == "execSync" || p == "spawn" || p == "spawnSync" || p == "system" || p == "popen" || p == "Popen" || p == "call" || p == "run" || p == "check_output")
	case "pickle", "marshal", "yaml", "cPickle", "jsonpickle":
		hit = called && (p == "loads" || p == "load" || p == "unsafe_load" || p == "decode")
	case "Reflect":
		hit = called && (p == "construct" || p == "apply" || p == "get")
	case "Response", "response":
		hit = called && (p == "Write" || p == "write")
	case "require":
		hit = p == "main"
	case "runtime", "Runtime":
		hit = called && (p == "exec" || p == "getRuntime")
	case "CORE":
		hit = true
	}
	if hit {
		x.say(ruleCodeNode, start, len(x.text))
	}
	return hit
}

// javaPackages begin the names of classes that text from outside has no use for.
var javaPackages = [...]string{
	"java.lang.", "java.io.", "java.util.", "java.net.", "java.nio.", "javax.script.", "javax.naming.", "javax.el.", "java.beans.", "java.sql.", "java.rmi.", "java.security.", "java.evil.", "org.apache.commons", "org.omg.corba", "com.sun.org.apache", "com.opensymphony.xwork2",
	"com.sun.rowset", "org.springframework.", "org.codehaus.groovy", "springframework.context.support", "ognl.", "freemarker.template", "processbuilder.", "system.diagnostics.process", "system.io.file", "system.reflection.", "sun.misc.", "com.mchange.", "org.hibernate.", "bsh.interpreter", "groovy.lang.",
}

var gadgetNames = [...]string{"invokertransformer", "instantiatetransformer", "instantiatefactory", "clonetransformer", "prototypeclonefactory", "prototypeserializationfactory", "whileclosure", "forclosure", "constanttransformer", "chainedtransformer", "templatesimpl", "jdbcrowsetimpl", "xwork.methodaccessor", "methodaccessor.deny", "memberaccess", "#_memberaccess", "getruntime"}

// classes finds names of Java's classes.
func (x *inspection) classes() {
	s := x.text
	if x.has(markHash) {
		if i := indexFold(s, "#_memberaccess"); i >= 0 {
			x.say(ruleCodeClass, i, len(s))
			return
		}
	}
	for i := 0; i < len(s); i++ {
		dot := strings.IndexByte(s[i:], '.')
		if dot < 0 {
			return
		}
		i += dot
		b := i
		for b > 0 && isLetter(s[b-1]) && i-b < 24 {
			b--
		}
		if b == i || b > 0 && isWordByte(s[b-1]) {
			continue
		}
		for _, p := range javaPackages {
			if hasPrefixFold(s[b:], p) && len(s)-b >= len(p) {
				if strings.HasSuffix(p, ".") && (b+len(p) >= len(s) || !isLetter(s[b+len(p)])) {
					continue
				}
				x.say(ruleCodeClass, b, len(s))
				return
			}
		}
		rest := s[i+1 : min(len(s), i+48)]
		if hasPrefixFold(rest, "classloader.") {
			x.say(ruleCodeClass, b, len(s)) // CVE-2022-22965
			return
		}
		for _, g := range gadgetNames {
			if hasPrefixFold(rest, g) {
				x.say(ruleCodeClass, b, len(s))
				return
			}
		}
	}
}
