package threat

import (
	"strings"
)

// certainCalls are functions whose names are no words: a parenthesis behind them is enough.
var certainCalls = set("phpinfo", "phpversion", "shell_exec", "passthru", "proc_open", "popen", "pcntl_exec", "create_function", "preg_replace", "preg_match", "file_get_contents",
	"file_put_contents", "fopen", "fwrite", "fputs", "readfile", "fsockopen", "pfsockopen", "base64_decode", "base64_encode", "gzinflate", "gzuncompress", "gzdecode", "gzencode", "gzcompress", "str_rot13", "strrev",
	"call_user_func", "call_user_func_array", "unserialize", "move_uploaded_file", "getenv", "putenv", "ini_set", "ini_get", "set_time_limit", "highlight_file", "show_source",
	"print_r", "var_dump", "var_export", "printf", "sprintf", "vprintf", "fputcsv", "fgetcsv", "fgets", "fread", "feof", "is_array", "is_string", "is_file", "is_dir", "is_numeric", "isset", "in_array", "array_map", "array_filter",
	"array_walk", "strip_tags", "addslashes", "stripslashes", "htmlspecialchars", "htmlentities", "strtolower", "strtoupper", "strlen", "substr_replace", "str_replace", "str_repeat",
	"intval", "floatval", "ucfirst", "implode", "bzdecompress", "bzcompress", "gethostbyname", "gethostbyaddr", "chr", "pack", "scandir", "opendir", "readdir", "glob", "unlink", "mkdir", "chmod", "mysql_query", "mysqli_query",
	"zlib_decode", "zlib_encode", "md5", "sha1", "crc32", "dechex", "hexdec", "bin2hex", "hex2bin", "parse_str", "extract", "escapeshellarg", "escapeshellcmd", "simplexml_load_string", "error_reporting", "ob_start", "get_defined_vars",
	"get_defined_functions", "func_get_args", "function_exists", "class_exists", "method_exists", "include_once", "require_once", "__halt_compiler", "inotify_init", "dl", "symlink", "readlink", "tempnam", "tmpfile", "mb_ereg_replace",
	"createobject", "processbuilder", "execsync", "spawnsync", "readfilesync", "writefilesync", "readdirsync", "createreadstream", "childprocess", "getruntime", "newinstance", "getclass", "runinnewcontext", "runinthiscontext", "os.system", "__import__", "execfile", "check_output", "getattr", "setattr", "ftok", "downloadstring", "downloadfile")

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
	if !x.has(markCode | markWord) {
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
	if s[i] == ']' && j == i+1 && linkTarget(s[j+1:]) {
		return false
	}
	if !x.spend(2 * lookPrice) {
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
		w := x.wordAt(j + 2)
		if w.fame() != unknownName && (strings.Contains(s[max(0, i-maxCode):i], "define(") || strings.ContainsAny(s[b:i], ".$[")) {
			x.say(ruleCodeCall, b, len(s))
			return true
		}
	}
	return false
}

// linkTarget reports whether s goes on as the target of a link of Markdown.
func linkTarget(s string) bool {
	for _, p := range [...]string{"http", "#", "./", "../", "/", "mailto:"} {
		if strings.HasPrefix(s, p) {
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
	if s[j] == '(' && inAnyCase(starters, word) && x.startsCommand(j+1) {
		x.say(ruleCommandCall, start, len(s))
	}
	switch s[j] {
	case '(':
		switch {
		case inAnyCase(certainCalls, word) && (glued || strings.IndexByte(word, '_') > 0 || strings.HasPrefix(s[j:], "()")), x.family(word), trailing(word) && glued:
			if !glued && strings.HasPrefix(word, "get_") || glued && strings.HasPrefix(s[j:], "()") && prosaic(s[:start]) && !strings.HasPrefix(s[j:], "();") {
				return false // a text names the function
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
		if glued && inAnyCase(superglobals, word) && (start == 0 || s[start-1] != '$') && (start == 0 || s[start-1] == '&' || s[start-1] == '?') {
			return say(ruleCodeVariable)
		}
		if glued && (word == "process" || word == "require" || word == "console" || word == "global") && j+1 < len(s) && (isLetter(s[j+1]) || s[j+1] == '"' || s[j+1] == '\'') && len(s) > j+3 {
			return say(ruleCodeNode)
		}
	case '=':
		if j+1 < len(s) && s[j+1] == '(' && glued && (certainCalls[strings.ToLower(word)] && strings.IndexByte(word, '_') > 0) {
			return say(ruleCodeCall)
		}
	case '"', '\'':
		if e := j + 1; j > end && inAnyCase(includers, word) && (strings.Contains(s[e:min(len(s), e+12)], "://") || e < len(s) && separator(s[e])) {
			return say(ruleCodeCall)
		}
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

// starters hand their argument to a shell; includers run the file they name.
var (
	starters  = set("system", "exec", "shell_exec", "passthru", "popen", "proc_open", "pcntl_exec", "execsync", "spawn", "spawnsync", "check_output", "eval", "run", "call", "getoutput")
	includers = set("include", "include_once", "require", "require_once")
)

// startsCommand reports whether the argument at i is a literal with a command of a shell.
func (x *inspection) startsCommand(i int) bool {
	s := x.text
	i = skipSpace(s, i)
	if i < len(s) && s[i] == '[' {
		i++
	}
	if i >= len(s) || s[i] != '\'' && s[i] != '"' && s[i] != '`' {
		return false
	}
	w := x.wordAt(i + 1)
	return w.fame() != unknownName && w.end < len(s) && (isSpace(s[w.end]) || s[w.end] == s[i] || s[w.end] == '%' || w.end > 0 && s[w.end-1] == s[i])
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
	w := x.wordAt(i)
	return w.fame() >= terse && w.end < len(x.text) && x.text[w.end] == ')' && !equalFold(word, "print") && !equalFold(word, "key")
}
