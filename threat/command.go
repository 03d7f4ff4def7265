package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Command injection is judged where a shell begins a new command: behind ; | & and
// line ends, in backquotes and $( ). What stands there must be a command, and one whose
// name is also an English word must have arguments that only a command has: "net incl.;
// sleep sofa (5)" is prose.
var (
	ruleCommandChain  = &rule{voiceCommand, "command.chain", makerguard.SeverityCritical, 1, 5, "A shell separator is followed by a command."}
	ruleCommandSubst  = &rule{voiceCommand, "command.substitution", makerguard.SeverityCritical, 1, 5, "A shell would run the command in this substitution."}
	ruleCommandShell  = &rule{voiceCommand, "command.shell", makerguard.SeverityCritical, 1, 5, "A shell or a downloader is started with arguments of an attack."}
	ruleCommandShock  = &rule{voiceCommand, "command.shellshock", makerguard.SeverityCritical, 1, 5, "A function definition as in Shellshock (CVE-2014-6271)."}
	ruleCommandHidden = &rule{voiceCommand, "command.obfuscated", makerguard.SeverityHigh, 1, 5, "The name of a command is split by what a shell removes."}
	ruleCommandCall   = &rule{voiceCommand, "command.call", makerguard.SeverityCritical, 1, 5, "Program code hands a command to a shell."}
	ruleCommandLoop   = &rule{voiceCommand, "command.loop", makerguard.SeverityHigh, 1, 5, "A loop of the Windows command processor."}
	ruleCommandSheet  = &rule{voiceCommand, "command.formula", makerguard.SeverityHigh, 1, 5, "A formula makes a spreadsheet run a program or fetch from elsewhere (CWE-1236)."}
)

const commandGate = markSemi | markPipe | markAmp | markTick | markDollar | markLine | markPercent | markSlash | markBrace | markLess | markGreater | markBack | markDashes | markCaret | markShell

func (x *inspection) command() {
	if x.has(markPipe | markParen) {
		x.formula()
	}
	if !x.has(commandGate) {
		return
	}
	s := x.text
	x.startCommand()
	if x.has(markShell) {
		x.cmdlet()
	}
	until := 0
	for _, p := range x.points {
		i := int(p.pos)
		if p.word != 0 || i < until {
			continue
		}
		switch s[i] {
		case ';', '|', '\n', '\r':
			x.chained(i, i+1)
		case '&':
			if n := entityLength(s[i:]); n > 0 {
				until = i + n
				continue
			}
			x.chained(i, i+1)
		case '`':
			x.backquote(i)
		case '$':
			x.dollar(i)
		case '(':
			if strings.HasPrefix(s[i:], "()") {
				x.function(i)
			}
		case '<', '>':
			x.redirection(i)
		case '/':
			x.binary(i)
		case '%':
			x.percentLoop(i)
		case '\\':
			// A literal \n in the text, as a list or a log writes it.
			if i+2 < len(s) && (s[i+1] == 'n' || s[i+1] == 'r') {
				x.chained(i, i+2)
			}
		default:
			continue
		}
		if x.sure(voiceCommand) {
			return
		}
	}
}

// entityLength returns the length of the HTML entity s starts with, 0 if it is none.
func entityLength(s string) int {
	for i := 1; i < len(s) && i < 12; i++ {
		if s[i] == ';' && i > 1 {
			return i + 1
		}
		if lower[s[i]] == 0 && s[i] != '#' {
			return 0
		}
	}
	return 0
}

// fame says how well known the command is, with or without a version: gcc12, python3.11.
func (w *shellWord) fame() fame {
	if f := commands[string(w.text[:w.n])]; f != unknownName {
		return f
	}
	n := w.n
	for n > 2 && (isDigit(w.text[n-1]) || w.text[n-1] == '.' || w.text[n-1] == '-') {
		n--
	}
	if n < w.n && isDigit(w.text[w.n-1]) && n > 2 {
		return min(commands[string(w.text[:n])], terse)
	}
	return unknownName
}

// chained judges what stands behind a separator at [sep, i).
func (x *inspection) chained(sep, i int) {
	s := x.text
	doubled := i < len(s) && (s[sep] == '&' || s[sep] == '|') && s[i] == s[sep]
	for i < len(s) && i < sep+maxGap && (isSpace(s[i]) || s[i] == '+' || s[i] == '|' || s[i] == '&' || s[i] == ';' || s[i] == '(' || s[i] == '{' || s[i] == '"' || s[i] == '\'' || s[i] == '@' || s[i] == '!') {
		if s[i] == '"' || s[i] == '\'' {
			if e := closes(s, i); i > sep+3 || e >= 0 && e+1 < len(s) && lower[s[e+1]] != 0 {
				break
			}
		}
		i++
	}
	if i >= len(s) {
		return
	}
	if s[i] == '$' && !prosaic(s[:sep]) {
		x.emptied(sep, i)
	}
	if s[i] == '`' || s[i] == '$' {
		return // judged there
	}
	if strings.HasPrefix(s[i:], "base64,") {
		return // of a data: URL
	}
	for i < sep+maxGap && strings.HasPrefix(s[i:], `\n`) {
		i += 2
	}
	if globbed(s[i:]) {
		x.say(ruleCommandHidden, sep, len(s))
		return
	}
	if i+1 < len(s) && s[i] == '.' {
		// ./x and . /x run a file; .shell is a command of SQLite's shell.
		if rest := s[i+1:]; (rest[0] == '/' || strings.HasPrefix(rest, " /") || strings.HasPrefix(rest, " ./")) && !strings.HasPrefix(rest, "//") && (sep == 0 || !prosaic(s[:sep]) && s[sep] != '\n') && strings.IndexByte(strings.TrimSpace(rest[:min(len(rest), maxLine)]), ' ') < 2 {
			x.say(ruleCommandChain, sep, len(s))
			return
		}
		dot := x.wordAt(skipSpace(s, i+1))
		if inAnyCase(dotCommands, string(dot.text[:dot.n])) {
			x.say(ruleCommandChain, sep, len(s))
		}
		return
	}
	w := x.wordAt(i)
	if w.n == 0 {
		return
	}
	f := w.fame()
	end := w.end
	glued := i == sep+1
	// "a&curl=1" is a query string, "a; id=b" a cookie.
	if f == unknownName || end < len(s) && s[end] == '=' {
		if w.path && (strings.Contains(s[i:end], "bin/") || strings.HasPrefix(s[i:end], "/bin")) && strings.ContainsAny(s[i:min(len(s), end+4)], "?*") {
			x.say(ruleCommandHidden, sep, len(s))
		}
		if n := i; w.n > 0 && f == unknownName && end < len(s) && s[end] == '=' && s[sep] != '&' && strings.IndexByte(s[n:min(len(s), n+maxLine)], ';') > 0 && strings.IndexByte(s[end:min(len(s), end+maxLine)], '$') > 0 {
			x.say(ruleCommandHidden, sep, len(s))
		}
		return
	}
	if w.hidden {
		x.say(ruleCommandHidden, sep, len(s))
		return
	}
	if w.path {
		x.say(ruleCommandChain, sep, len(s))
		return
	}
	prose := prosaic(s[:sep]) && !x.commandLine()
	if f != famous && capital(s[i]) && end-i > 1 && !capital(s[i+1]) {
		return // a word at the start of a sentence or a title
	}
	switch f {
	case famous:
		if !prose || x.argument(end) >= pathArgument || ended(s, end) {
			x.say(ruleCommandChain, sep, len(s))
		}
	case terse:
		if s[sep] == '|' && strings.HasPrefix(strings.TrimLeft(s[end:min(len(s), end+32)], " "), "| ") && strings.HasPrefix(s[end:], " ") {
			return // a row of a table
		}
		switch a := x.argument(end); {
		case a >= pathArgument, a == flagArgument && !prose, a == noArgument && !prose && !capital(s[i]) && ended(s, end):
			x.say(ruleCommandChain, sep, len(s))
		case a == numberArgument && !prose && strings.Contains(s[end:min(len(s), end+32)], " /"):
			x.say(ruleCommandChain, sep, len(s))
		case w.is("reg") && x.subcommand(regCommands, end):
			x.say(ruleCommandChain, sep, len(s))
		case w.is("sc") && x.subcommand(regCommands, end), a == numberArgument && !prose && (w.is("timeout") || w.is("expr")):
			x.say(ruleCommandChain, sep, len(s))
		case a == wordArgument && !prose && glued && sep == 0 && !capital(s[i]):
			x.say(ruleCommandChain, sep, len(s))
		}
	case english:
		switch a := x.argument(end); {
		case a >= pathArgument && !capital(s[i]), a == flagArgument && !prose, a == numberArgument && !prose && (w.is("sleep") || w.is("ping")) && x.lastArgument(end):
			x.say(ruleCommandChain, sep, len(s))
		case w.is("echo") && !prose && !capital(s[i]) && (doubled || sep == 0) && a > proseArgument,
			sep == 0 && a == noArgument && ended(s, end) && !capital(s[i]) && s[sep] != '\n',
			w.is("echo") && !prose && !capital(s[i]) && redirects(s[end:min(len(s), end+200)]),
			w.is("net") && x.subcommand(netCommands, end), w.is("cat") && !prose && ended(s, end):
			x.say(ruleCommandChain, sep, len(s))
		case a == wordArgument && sep == 0 && glued && !capital(s[i]) && s[sep] != '\n' && !x.more(end):
			x.say(ruleCommandChain, sep, len(s))
		}
	}
}

// emptied judges a variable at i behind the separator at sep. One that is not set vanishes, and what
// stands behind it is the command: ; $u cat /etc/hosts
func (x *inspection) emptied(sep, i int) {
	s := x.text
	end := i + 1
	for end < len(s) && end < i+maxGap && lower[s[end]] != 0 {
		end++
	}
	if end == i+1 || end >= len(s) || s[end] != ' ' {
		return
	}
	w := x.wordAt(skipSpace(s, end))
	if w.fame() == famous || w.fame() != unknownName && x.argument(w.end) >= flagArgument {
		x.say(ruleCommandHidden, sep, len(s))
	}
}

// globbed reports whether s starts with the path of a program in wildcards: /???/??t
func globbed(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	slashes, wild := 0, 0
	for i := 0; i < len(s) && i < maxShellWord && s[i] > ' '; i++ {
		switch s[i] {
		case '/':
			slashes++
		case '?', '*':
			wild++
		case '=', '&':
			return false // an address with a query
		}
	}
	return slashes > 1 && wild > 1
}

// commandLine reports whether the value starts with a command and its options.
func (x *inspection) commandLine() bool {
	w := x.wordAt(0)
	return w.fame() != unknownName && x.argument(w.end) >= flagArgument
}

// startCommand judges a value that is a command line from its first byte.
func (x *inspection) startCommand() {
	s := x.text
	i := 0
	for i < len(s) && (isSpace(s[i]) || s[i] == '"' || s[i] == '\'' || s[i] == '@') {
		i++
	}
	w := x.wordAt(i)
	f := w.fame()
	if f == unknownName || w.path {
		return
	}
	if w.hidden && !w.quoted {
		x.say(ruleCommandHidden, i, len(s))
		return
	}
	if w.end >= len(s) {
		return
	}
	rest := s[w.end:]
	t := strings.TrimLeft(rest, " \t+")
	switch {
	case w.is("rm") && strings.HasPrefix(t, "-"), (w.is("nc") || w.is("ncat") || w.is("netcat")) && strings.HasPrefix(t, "-") && len(strings.Fields(t)) > 2,
		(w.is("wget") || w.is("curl") || w.is("fetch")) && (strings.Contains(t, "://") && !prosaic(t)),
		(w.is("bash") || w.is("sh")) && (strings.HasPrefix(t, "-i") || strings.HasPrefix(t, "-c ")),
		(w.is("cmd") || w.is("cmd.exe")) && hasPrefixFold(t, "/c") && (len(t) == 2 || lower[t[2]] == 0), (w.is("powershell") || w.is("powershell.exe")) && strings.HasPrefix(t, "-"),
		f == famous && x.argument(w.end) >= flagArgument && (w.end < i+12 && strings.HasPrefix(t, "-") || strings.HasPrefix(t, "/") || strings.Contains(t, "://")),
		w.is("net") && x.subcommand(netCommands, w.end) && indexFold(rest[:min(len(rest), maxLine)], " /add") > 0,
		w.is("cd") && strings.HasPrefix(t, "/"), f == famous && t != "" && (t[0] == ';' || t[0] == '|' || t[0] == '`'):
		x.say(ruleCommandShell, i, len(s))
	case strings.HasPrefix(t, "<<<"), strings.HasPrefix(t, "$(") || strings.HasPrefix(t, "`") && strings.Count(t, "`") > 1 && w.end == len(s)-len(t):
		x.say(ruleCommandSubst, i, len(s))
	}
	if p := strings.LastIndexByte(s, '|'); p > 0 {
		switch strings.Trim(strings.TrimSpace(s[p+1:]), `"'#& `+"`") {
		case "sh", "bash", "zsh", "ksh", "dash", "sh #", "cmd", "powershell", "iex", "python", "perl", "php":
			x.say(ruleCommandShell, i, len(s))
		}
	}
}
