package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Code injection is the source text of a programming language: its open tags, the calls
// of its functions, and the tricks by which functions are called without being named.
var (
	ruleCodeTag      = &rule{voiceCode, "code.tag", makerguard.SeverityCritical, 5, "An open tag of PHP; what follows would run as code."}
	ruleCodeCall     = &rule{voiceCode, "code.call", makerguard.SeverityHigh, 5, "A call of a function that only program code has."}
	ruleCodeVariable = &rule{voiceCode, "code.variable", makerguard.SeverityHigh, 5, "A variable of PHP or Perl is called or expanded."}
	ruleCodeClass    = &rule{voiceCode, "code.class", makerguard.SeverityHigh, 5, "A class of Java or .NET by which attackers reach the system."}
	ruleCodeLoop     = &rule{voiceCode, "code.loop", makerguard.SeverityMedium, 5, "A loop without end would keep a JavaScript server busy."}
	ruleCodeNode     = &rule{voiceCode, "code.node", makerguard.SeverityCritical, 5, "An object of a JavaScript server by which attackers reach the system."}
	ruleCodeQuery    = &rule{voiceCode, "code.lookup", makerguard.SeverityMedium, 5, "A lookup through the relations of an object-relational mapper."}
)

func (x *inspection) code() {
	if x.has(markLess) {
		x.openTags()
	}
	if x.has(markCode) && x.has(markBracket|markBrace) && !x.sure(voiceCode) {
		x.bracketTags()
	}
	if x.has(markDollar|markAt) && !x.sure(voiceCode) {
		x.variables()
	}
	if x.has(markParen|markBracket|markEqual|markCode) && !x.sure(voiceCode) {
		x.calls()
	}
	if x.has(markCode) && !x.sure(voiceCode) {
		x.classes()
	}
}

// openTags finds <?php, <?= and <? of PHP. XML's <?xml version= and <?xpacket are data.
func (x *inspection) openTags() {
	s := x.text
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '<' || s[i+1] != '?' {
			continue
		}
		rest := s[i+2:]
		switch {
		case hasPrefixFold(rest, "php"), hasPrefixFold(strings.TrimLeft(rest, " \t\n"), "php"), strings.HasPrefix(rest, "="):
			x.say(ruleCodeTag, i, len(s))
			return
		case hasPrefixFold(rest, "xml"):
			t := strings.TrimLeft(rest[3:], " \t\r\n")
			if !hasPrefixFold(t, "version") && !hasPrefixFold(t, "encoding") && !hasPrefixFold(t, "-") && t != "" && strings.ContainsAny(t, "(;:") {
				x.say(ruleCodeTag, i, len(s))
				return
			}
		case rest == "":
			if i > 0 {
				x.say(ruleCodeTag, i, len(s))
			}
			return
		case isSpace(rest[0]):
			if !strings.HasPrefix(strings.TrimLeft(rest, " \t\n"), "?>") {
				x.say(ruleCodeTag, i, len(s))
				return
			}
		}
	}
}

// bracketTags finds [php], [/php] and {php}.
func (x *inspection) bracketTags() {
	if indexFold(x.text, "php") >= 0 {
		x.phpTags()
	}
	if !strings.Contains(x.text, "system") {
		return
	}
	for _, w := range [...]string{"[system]", "['system']", "[\"system\"]"} {
		if i := strings.Index(strings.ReplaceAll(x.text[:min(len(x.text), 256)], " ", ""), w); i >= 0 {
			x.say(ruleCodeCall, 0, len(x.text))
			return
		}
	}
}

func (x *inspection) phpTags() {
	for _, w := range [...]string{"[php]", "[/php]", "[\\php]", "{php}", "{/php}"} {
		// Markdown writes a link [PHP](...).
		if i := indexFold(x.text, w); i >= 0 && !strings.HasPrefix(x.text[i+len(w):], "(") {
			x.say(ruleCodeTag, i, len(x.text))
			return
		}
	}
}

// variables finds calls through variables, superglobals and Perl's @{[ ]}.
func (x *inspection) variables() {
	s := x.text
	for i := 0; i+1 < len(s); i++ {
		switch s[i] {
		case '@':
			j := i + 1
			for j < len(s) && s[j] == '@' && j-i < 8 {
				j++
			}
			if j < len(s) && s[j] == '{' {
				k := skipSpace(s, j+1)
				if k < len(s) && s[k] == '[' {
					x.say(ruleCodeVariable, i, len(s))
					return
				}
			}
		case '$':
			if x.variable(i) {
				x.say(ruleCodeVariable, i, len(s))
				return
			}
		}
	}
}

func skipSpace(s string, i int) int {
	for end := min(len(s), i+maxBlank); i < end && isSpace(s[i]); {
		i++
	}
	return i
}

// maxBlank bounds the white space or comment that is skipped within an expression.
const maxBlank = 128

// skipBlank skips white space and comments.
func skipBlank(s string, i int) int {
	for range 8 {
		i = skipSpace(s, i)
		switch {
		case strings.HasPrefix(s[min(i, len(s)):], "/*"):
			end := strings.Index(s[i:min(len(s), i+maxBlank)], "*/")
			if end < 0 {
				return i
			}
			i += end + 2
		case i < len(s) && (s[i] == '#' || strings.HasPrefix(s[i:], "//")):
			end := strings.IndexByte(s[i:min(len(s), i+maxBlank)], '\n')
			if end < 0 {
				return i
			}
			i += end + 1
		default:
			return i
		}
	}
	return i
}

var superglobals = set("_get", "_post", "_request", "_server", "_cookie", "_files", "_env", "_session", "globals")

// variable reports whether "$" at i begins a variable that is called, indexed with code,
// or a superglobal.
func (x *inspection) variable(i int) bool {
	s := x.text
	j := i + 1
	dollars := 1
	for j < len(s) && s[j] == '$' && dollars < 4 {
		j++
		dollars++
	}
	k := skipSpace(s, j)
	if k < len(s) && s[k] == '{' {
		t := skipSpace(s, k+1)
		end := strings.IndexByte(s[t:min(len(s), t+128)], '}')
		if end < 0 {
			return false
		}
		body := s[t : t+end]
		after := skipBlank(s, t+end+1)
		switch {
		case body == "":
			return false
		case body[0] == '\'' || body[0] == '"' || body[0] == '$' || body[0] == '@' && len(body) > 1:
			return true
		case k > j && dollars == 1 && isLetter(body[0]):
			return true // "${x}" is a placeholder, "$ {x}" a way around a filter
		}
		return after < len(s) && s[after] == '(' && after == t+end+1
	}
	n := j
	for n < len(s) && n-j < 64 && (lower[s[n]] != 0 || s[n] >= 0x80) {
		n++
	}
	if n == j || isDigit(s[j]) {
		return false
	}
	if inAnyCase(superglobals, s[j:n]) && n < len(s) && (s[n] == '[' || s[n] == '{') {
		return true
	}
	p := n
	for range 4 {
		p = skipBlank(s, p)
		if p < len(s) && (s[p] == '[' || s[p] == '{') {
			end := strings.IndexAny(s[p:min(len(s), p+64)], "]}")
			if end < 0 {
				return false
			}
			p += end + 1
			continue
		}
		break
	}
	if strings.HasPrefix(s[min(p, len(s)):], "->$") {
		return true
	}
	if p < len(s) && s[p] == '(' {
		// "US$ (net)" has no name, "$price (net)" prose behind it.
		return p == n || p > n && strings.IndexByte(s[p:min(len(s), p+64)], ')') > 0 && !(p == n+1 && isLetter(s[min(p+1, len(s)-1)]))
	}
	return false
}

// certainCalls are functions whose names are no words: a parenthesis behind them is enough.
var certainCalls = set("phpinfo", "phpversion", "shell_exec", "passthru", "proc_open", "popen", "pcntl_exec", "create_function", "preg_replace", "preg_match", "file_get_contents",
	"file_put_contents", "fopen", "fwrite", "fputs", "readfile", "fsockopen", "pfsockopen", "base64_decode", "base64_encode", "gzinflate", "gzuncompress", "gzdecode", "gzencode", "gzcompress", "str_rot13", "strrev",
	"call_user_func", "call_user_func_array", "unserialize", "move_uploaded_file", "getenv", "putenv", "ini_set", "ini_get", "set_time_limit", "highlight_file", "show_source",
	"print_r", "var_dump", "var_export", "printf", "sprintf", "vprintf", "fputcsv", "fgetcsv", "fgets", "fread", "feof", "is_array", "is_string", "is_file", "is_dir", "is_numeric", "isset", "in_array", "array_map", "array_filter",
	"array_walk", "strip_tags", "addslashes", "stripslashes", "htmlspecialchars", "htmlentities", "strtolower", "strtoupper", "strlen", "substr_replace", "str_replace", "str_repeat",
	"intval", "floatval", "ucfirst", "implode", "bzdecompress", "bzcompress", "gethostbyname", "gethostbyaddr", "chr", "pack", "scandir", "opendir", "readdir", "glob", "unlink", "mkdir", "chmod", "mysql_query", "mysqli_query",
	"zlib_decode", "zlib_encode", "md5", "sha1", "crc32", "dechex", "hexdec", "bin2hex", "hex2bin", "parse_str", "extract", "escapeshellarg", "escapeshellcmd", "simplexml_load_string", "error_reporting", "ob_start", "get_defined_vars",
	"get_defined_functions", "func_get_args", "function_exists", "class_exists", "method_exists", "include_once", "require_once", "__halt_compiler", "inotify_init", "dl", "symlink", "readlink", "tempnam", "tmpfile", "mb_ereg_replace",
	"execsync", "spawnsync", "readfilesync", "writefilesync", "readdirsync", "createreadstream", "childprocess", "getruntime", "newinstance", "getclass", "runinnewcontext", "runinthiscontext", "os.system", "__import__", "execfile", "check_output", "getattr", "setattr", "ftok", "downloadstring", "downloadfile")

// families are prefixes of PHP's function names.
var families = [...]string{
	"apc_", "array_", "assert_", "base64_", "bz", "curl_", "date_", "dba_", "dom_", "exif_", "file_", "ftp_", "get_", "gz", "hash_", "iconv_", "image_", "imap_",
	"ini_", "json_", "ldap_", "libxml_", "mb_", "mcrypt_", "mysql_", "mysqli_", "ob_", "oci_", "odbc_", "openssl_", "pcntl_", "pg_", "posix_", "preg_", "proc_", "readline_", "register_",
	"session_", "set_", "shmop_", "simplexml_", "snmp_", "socket_", "sodium_", "spl_", "sqlite_", "stream_", "str_", "tidy_", "utf8_", "wddx_", "xml_", "xmlwriter_", "zend_", "zip_", "zlib_", "is_", "php_", "inotify_", "mhash_", "iptc", "gnupg_", "ssh2_", "yaml_", "event_", "apache_", "func_", "call_", "highlight_", "sys_", "uopz_",
}

// literalCalls are words: only an argument that is code makes a call of them.
var literalCalls = set("system", "exec", "eval", "assert", "include", "require", "file", "define", "echo", "print", "die", "exit", "spawn", "fork", "execute", "call", "open", "copy", "rename", "dir", "pos", "crypt", "link", "header", "mail", "sleep", "usleep", "key", "end", "current", "reset", "compile", "import", "load", "invoke", "range", "compact", "list", "filegroup", "delete", "cmd", "getattr")

// calls finds calls of functions of PHP, Node.js and Python.
func (x *inspection) calls() {
	s := x.text
	for _, p := range x.points {
		i := int(p.pos)
		if p.word == 0 && (s[i] == '\'' || s[i] == '"' || s[i] == ')' || s[i] == ']') && x.stringCall(i) {
			return
		}
	}
	if !x.has(markCode) {
		return
	}
	for i := 0; i < len(s); {
		if lower[s[i]] == 0 {
			i++
			continue
		}
		start := i
		for i < len(s) && lower[s[i]] != 0 {
			i++
		}
		if i-start < 2 || i < len(s) && (s[i] == ',' || s[i] == ' ' && i+1 < len(s) && lower[s[i+1]] != 0) && s[start] != '_' {
			continue // most words are followed by another
		}
		if x.callAt(start, i) {
			return
		}
	}
}

// nameNoise is what a computed name is put together with.
var nameNoise = strings.NewReplacer(`"`, "", "'", "", ".", "", "(", "", ")", "", "\\x73", "s", "/* comment */", "")

// stringCall judges ("system")("id") and (system)(id), whose closing quote, bracket or
// parenthesis is at i.
func (x *inspection) stringCall(i int) bool {
	s := x.text
	if i+1 < len(s) && (lower[s[i+1]] != 0 || s[i+1] == ',' || s[i+1] == '.' || s[i+1] == ':') {
		return false
	}
	j := skipBlank(s, i+1)
	for range 8 {
		if j >= len(s) || s[j] != ')' && s[j] != ']' && s[j] != '}' {
			break
		}
		j = skipBlank(s, j+1)
	}
	if j >= len(s) || s[j] != '(' {
		if s[i] == ')' && j < len(s) && s[j] == '[' {
			e := strings.IndexByte(s[j:min(len(s), j+16)], ']')
			if e > 0 && j+e+1 < len(s) && (s[j+e+1] == '(' || s[j+e+1] == '[') && (isDigit(s[j+1]) || s[j+1] == '\'' || s[j+1] == '"') {
				x.say(ruleCodeCall, 0, len(s))
				return true
			}
		}
		return false
	}
	// What is being called?
	b := i
	if s[i] == '\'' || s[i] == '"' {
		b = strings.LastIndexByte(s[max(0, i-48):i], s[i])
		if b < 0 {
			return false
		}
		b += max(0, i-48) + 1
	} else {
		for b > 0 && i-b < 48 && s[b-1] != '(' && s[b-1] != '[' {
			b--
		}
	}
	name := strings.ToLower(strings.Trim(s[b:i], "\"' \t)]}/*"))
	name = nameNoise.Replace(name)
	if k := strings.LastIndexByte(name, '/'); k >= 0 {
		name = strings.TrimSpace(name[k+1:])
	}
	quoted := s[i] == '\'' || s[i] == '"'
	if certainCalls[name] || literalCalls[name] || len(name) > 0 && (quoted || strings.HasPrefix(name, "$")) && inAnyCase(commandish, name) ||
		strings.HasPrefix(name, "$") && len(name) < 24 && len(name) > 1 {
		x.say(ruleCodeCall, b, len(s))
		return true
	}
	// (x)('uname'): a call whose name is computed, with a literal command.
	if s[i] == ')' && j+2 < len(s) && (s[j+1] == '\'' || s[j+1] == '"') && j == i+1 {
		w := shellWordAt(s, j+2)
		if w.fame() != unknownName && (strings.Contains(s[:i], "define(") || strings.ContainsAny(s[b:i], ".$[")) {
			x.say(ruleCodeCall, b, len(s))
			return true
		}
	}
	return false
}

var commandish = set("system", "exec", "passthru", "eval", "assert", "popen", "shell_exec", "phpinfo")

// callAt judges the word at [start, end).
func (x *inspection) callAt(start, end int) bool {
	s := x.text
	word := s[start:end]
	j := skipBlank(s, end)
	if j >= len(s) {
		return false
	}
	glued := j == end
	say := func(r *rule) bool { x.say(r, start, len(s)); return true }
	switch s[j] {
	case '(':
		switch {
		case inAnyCase(certainCalls, word) && (glued || strings.IndexByte(word, '_') > 0 || strings.IndexByte(s[j:], ')') == 1), x.family(word), trailing(word) && glued:
			if !glued && strings.HasPrefix(word, "get_") {
				return false
			}
			return say(ruleCodeCall)
		case inAnyCase(literalCalls, word):
			if j > end && j-end <= 1 && !quotedString(s, j+1) {
				// "exec (" may be prose; comments and line ends between are not.
				return false
			}
			if codeString(s, j+1) || strings.ContainsAny(s[end:j], "#/*\n\r") || x.commandArgument(word, j+1) {
				return say(ruleCodeCall)
			}
		case equalFold(word, "while"):
			return x.endless(start, j)
		case word == "Function" && start >= 4 && s[start-4:start] == "new ":
			return say(ruleCodeNode)
		case equalFold(word, "require") && glued, word == "console":
			return false
		case start > 1 && s[start-1] == '$' && s[start-2] == ':' && glued:
			return say(ruleCodeVariable)
		}
	case '.':
		if glued && x.member(word, start, end) {
			return true
		}
	case '[':
		if glued && (word == "process" || word == "require" || word == "console" || word == "global") && j+1 < len(s) && (isLetter(s[j+1]) || s[j+1] == '"' || s[j+1] == '\'') && len(s) > j+3 {
			return say(ruleCodeNode)
		}
	case '=':
		if j+1 < len(s) && s[j+1] == '(' && glued && (certainCalls[strings.ToLower(word)] && strings.IndexByte(word, '_') > 0) {
			return say(ruleCodeCall)
		}
	case '"', '\'':
		if glued && word == "return" || glued && (word == "qq" || word == "qx") {
			e := strings.IndexByte(s[j+1:min(len(s), j+40)], s[j])
			if e > 0 && strings.HasPrefix(s[j+e+2:], "(") {
				return say(ruleCodeCall)
			}
		}
	}
	if strings.HasPrefix(word, "_") && strings.HasPrefix(s[start:], "_$$ND_FUNC$$_") {
		return say(ruleCodeNode)
	}
	return false
}

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

// family reports whether word has a prefix of PHP's functions and goes on in lower case.
func (x *inspection) family(word string) bool {
	if len(word) < 6 || strings.IndexByte(word, '_') <= 0 {
		return false
	}
	for _, f := range families {
		if hasPrefixFold(word, f) && len(word) > len(f)+2 {
			return true
		}
	}
	return false
}

// trailing reports whether word ends in the name of an unmistakable function: FOOgzdecode.
func trailing(word string) bool {
	if len(word) > maxKey {
		return false
	}
	for _, f := range [...]string{"gzinflate", "gzdecode", "gzuncompress", "call_user_func", "fsockopen", "base64_decode", "shell_exec", "file_get_contents", "phpinfo", "unserialize", "proc_open", "bzdecompress", "zlib_decode"} {
		if len(word) > len(f) && hasPrefixFold(word[len(word)-len(f):], f) {
			return true
		}
	}
	return false
}

// quotedString reports whether an argument at i is a literal.
func quotedString(s string, i int) bool {
	return i < len(s) && (s[i] == '\'' || s[i] == '"' || s[i] == '$')
}

// codeString reports whether an argument at i is a literal or a variable, or there is none
// but the text goes on as code.
func codeString(s string, i int) bool {
	i = skipSpace(s, i)
	if i >= len(s) {
		return false
	}
	switch s[i] {
	case '\'', '"', '$', '`', '/', '[', '@', '\\':
		return true
	}
	n := i
	for n < len(s) && lower[s[n]] != 0 {
		n++
	}
	return n > i && n < len(s) && (s[n] == '(' || s[n] == '.' && n+1 < len(s) && isLetter(s[n+1])) && !isDigit(s[i])
}

// commandArgument reports whether the argument of word at i is a command: system(whoami).
func (x *inspection) commandArgument(word string, i int) bool {
	w := shellWordAt(x.text, i)
	return w.fame() >= terse && w.end < len(x.text) && x.text[w.end] == ')' && !equalFold(word, "print") && !equalFold(word, "key")
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
		hit = p == "mainModule" || p == "binding" || called && (p == "env" || p == "exit" || p == "kill")
	case "Process":
		hit = p == "spawn" || p == "Start" && called
	case "console":
		hit = called && (p == "log" || p == "info" || p == "error" || p == "debug")
	case "child_process", "subprocess", "IO", "Kernel", "os":
		hit = called && (p == "exec" || p == "execSync" || p == "spawn" || p == "spawnSync" || p == "system" || p == "popen" || p == "Popen" || p == "call" || p == "run" || p == "check_output")
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
	"com.sun.rowset", "org.springframework.", "org.codehaus.groovy", "springframework.context.support", "ognl.", "freemarker.template", "processbuilder.", "system.diagnostics.process", "sun.misc.", "com.mchange.", "org.hibernate.", "bsh.interpreter", "groovy.lang.",
}

var gadgetNames = [...]string{"invokertransformer", "instantiatetransformer", "instantiatefactory", "clonetransformer", "prototypeclonefactory", "prototypeserializationfactory", "whileclosure", "forclosure", "constanttransformer", "chainedtransformer", "templatesimpl", "jdbcrowsetimpl", "xwork.methodaccessor", "memberaccess", "#_memberaccess", "getruntime"}

// classes finds names of Java's classes.
func (x *inspection) classes() {
	s := x.text
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
		for _, g := range gadgetNames {
			if hasPrefixFold(rest, g) {
				x.say(ruleCodeClass, b, len(s))
				return
			}
		}
	}
}
