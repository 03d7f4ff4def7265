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
	ruleCommandChain  = &rule{voiceCommand, "command.chain", makerguard.SeverityCritical, 5, "A shell separator is followed by a command."}
	ruleCommandSubst  = &rule{voiceCommand, "command.substitution", makerguard.SeverityCritical, 5, "A shell would run the command in this substitution."}
	ruleCommandShell  = &rule{voiceCommand, "command.shell", makerguard.SeverityCritical, 5, "A shell or a downloader is started with arguments of an attack."}
	ruleCommandShock  = &rule{voiceCommand, "command.shellshock", makerguard.SeverityCritical, 5, "A function definition as in Shellshock (CVE-2014-6271)."}
	ruleCommandHidden = &rule{voiceCommand, "command.obfuscated", makerguard.SeverityHigh, 5, "The name of a command is split by what a shell removes."}
	ruleCommandLoop   = &rule{voiceCommand, "command.loop", makerguard.SeverityHigh, 5, "A loop of the Windows command processor."}
)

const commandGate = markSemi | markPipe | markAmp | markTick | markDollar | markLine | markPercent | markSlash | markBrace | markLess | markGreater | markBack | markDashes

// fame is how sure a name means a command.
type fame uint8

const (
	unknownName fame = iota
	english          // also a word: needs arguments of a command
	terse            // no word, but short: needs an end or arguments of a command
	famous           // nothing but a command
)

var commands = func() map[string]fame {
	m := map[string]fame{}
	add := func(f fame, list string) {
		for _, w := range strings.Fields(list) {
			m[w] = f
		}
	}
	add(english, `cat cd echo find sleep ping type time date top more less head tail cut sort touch test last host at ex kill who man
		mail watch net start make mount patch strings split join write open dump copy move del erase rename attrib start call
		print expand screen route nice fold column comm curl bash perl python ruby java node php go install service service
		tar zip link file stat look script source set export alias trap exit read wait jobs history help finger users w
		set unset return exec eval command bridge flock nail tee view yes true false base64 base32 ansible chef puppet docker lua
		dash fish shell finger more tree cls ver vol title pause`)
	add(terse, `id ls ps pwd sh ksh zsh csh tcsh env dir cmd awk gawk mawk sed grep egrep fgrep zgrep ssh scp sftp ftp tftp vim vi ed emacs
		nano pico gcc cc g++ c89 c99 du df su sudo lsof dig nc cp mv rm ln dd rmdir mkdir chmod chown chgrp chroot uniq wc tr nl od xxd
		hexdump rev tac paste diff cmp gdb irb psql mysql sqlite3 git svn npm pip apt yum dnf apk gem cpan tclsh xargs nmap lynx w3m
		rsync socat telnet rlogin rmt perf iex iwr iwmi reg sc wmic wget fetch php5 php7 python2 python3 perl5 pwsh aria2c gzip gunzip zcat bzip2 bzcat xz 7z unzip
		at crontab useradd adduser passwd printenv uptime free dmesg fdisk ip arp jq busybox strace ltrace nohup timeout stdbuf setsid printf xmllint ldapsearch visudo htop`)
	add(famous, `whoami ifconfig ipconfig netstat nslookup traceroute tracert systeminfo sysinfo tasklist taskkill netsh uname hostname
		netcat ncat powershell cmd.exe powershell.exe certutil mshta rundll32 regsvr32 regedit bitsadmin cscript wscript bcdboot
		msiexec schtasks mkfifo mknod nsenter lastlog lastlogin logname userdel usermod groupadd useradd iptables
		base64 uudecode lwp-download lwp-request shutdown reboot poweroff halt init systemctl journalctl ssh-copy-id ssh-keygen
		cpulimit rmt-dump rmt-tar uconv aptitude apt-get gcc10.1 tcpdump wireshark killall pkill pgrep shred mkfs ipconfig.exe ping.exe
		net1 nltest dsquery vssadmin wevtutil icacls takeown diskpart sysctl modprobe insmod lsmod lspci lsusb lscpu getent
		whois ansible-playbook ansible-config ansible-console ansible-doc ansible-galaxy ansible-inventory ansible-pull ansible-vault
		chef-client chef-run chef-shell chef-vault cscli visudo perl.exe python.exe php.exe`)
	return m
}()

func (x *inspection) command() {
	if !x.has(commandGate) {
		return
	}
	s := x.text
	x.startCommand()
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

// shellWord is a word as a shell reads it: without quotes, backslashes and empty expansions.
type shellWord struct {
	text   [maxKey]byte
	n      int
	end    int
	hidden bool // something was removed inside
	path   bool // a directory was given
	quoted bool
}

// How far a shell word is read, and what may stand between a separator and the command.
const (
	maxShellWord = 128
	maxGap       = 32
)

// shellWordAt reads the word at i.
func shellWordAt(s string, i int) shellWord {
	var w shellWord
	start := i
	s = s[:min(len(s), i+maxShellWord)]
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\'':
			w.hidden = w.hidden || w.n > 0 && i+1 < len(s) && (lower[s[i+1]] != 0 || s[i+1] == c && i+2 < len(s) && lower[s[i+2]] != 0)
			w.quoted = w.quoted || w.n == 0
			i++
			continue
		case c == '^' || c == '\\' && i+1 < len(s) && lower[s[i+1]] != 0 && !strings.HasPrefix(s[i:], `\n`):
			w.hidden = w.hidden || w.n > 0
			i++
			continue
		case c == '$' && i+1 < len(s) && strings.IndexByte("@*?$!-_", s[i+1]) >= 0:
			w.hidden = w.hidden || w.n > 0
			i += 2
			continue
		case strings.HasPrefix(s[i:], "$()") || strings.HasPrefix(s[i:], "<()"):
			w.hidden = true
			i += 3
			continue
		case strings.HasPrefix(s[i:], "``"):
			w.hidden = w.hidden || w.n > 0 && i+2 < len(s) && lower[s[i+2]] != 0
			i += 2
			continue
		case c == '/' && i > start || c == '/' && w.n == 0:
			w.path = true
			w.n = 0
			i++
			continue
		}
		if lower[c] == 0 && c != '-' && c != '.' && c != '+' {
			break
		}
		if w.n < len(w.text) {
			w.text[w.n] = c
			if l := lower[c]; l != 0 {
				w.text[w.n] = l
			}
			w.n++
		}
		i++
	}
	w.end = i
	return w
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
	for i < len(s) && i < sep+maxGap && (isSpace(s[i]) || s[i] == '|' || s[i] == '&' || s[i] == ';' || s[i] == '(' || s[i] == '{' || s[i] == '"' || s[i] == '\'' || s[i] == '@' || s[i] == '!') {
		if (s[i] == '"' || s[i] == '\'') && i > sep+3 {
			break
		}
		i++
	}
	if i >= len(s) {
		return
	}
	if s[i] == '`' || s[i] == '$' {
		return // judged there
	}
	for strings.HasPrefix(s[i:], `\n`) {
		i += 2
	}
	if i+1 < len(s) && s[i] == '.' { // commands of SQLite's shell
		dot := shellWordAt(s, skipSpace(s, i+1))
		if inAnyCase(dotCommands, string(dot.text[:dot.n])) {
			x.say(ruleCommandChain, sep, len(s))
		}
		return
	}
	w := shellWordAt(s, i)
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
		if n := i; w.n > 0 && f == unknownName && end < len(s) && s[end] == '=' && s[sep] != '&' && strings.IndexByte(s[n:], ';') > 0 && strings.IndexByte(s[end:], '$') > 0 {
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
		case w.is("reg") && x.subcommand(regCommands, end):
			x.say(ruleCommandChain, sep, len(s))
		case a == wordArgument && !prose && glued && sep == 0 && !capital(s[i]):
			x.say(ruleCommandChain, sep, len(s))
		}
	case english:
		switch a := x.argument(end); {
		case a >= pathArgument && !capital(s[i]), a == flagArgument && !prose, a == numberArgument && !prose && (w.is("sleep") || w.is("ping")) && x.lastArgument(end):
			x.say(ruleCommandChain, sep, len(s))
		case w.is("echo") && !prose && !capital(s[i]) && redirects(s[end:min(len(s), end+200)]),
			w.is("net") && x.subcommand(netCommands, end), w.is("cat") && !prose && ended(s, end):
			x.say(ruleCommandChain, sep, len(s))
		case a == wordArgument && sep == 0 && glued && !capital(s[i]) && s[sep] != '\n' && !x.more(end):
			x.say(ruleCommandChain, sep, len(s))
		}
	}
}

// commandLine reports whether the value starts with a command and its options.
func (x *inspection) commandLine() bool {
	w := shellWordAt(x.text, 0)
	return w.fame() != unknownName && x.argument(w.end) >= flagArgument
}

// redirects reports whether the output of a command goes to a file.
func redirects(s string) bool {
	i := strings.IndexByte(s, '>')
	if i < 0 {
		return false
	}
	t := strings.TrimLeft(s[i:], "> ")
	return t != "" && (t[0] == '/' || strings.IndexByte(t, '.') > 0 || len(t) > 2 && t[1] == ':')
}

func (w *shellWord) is(name string) bool { return string(w.text[:w.n]) == name }

func capital(c byte) bool { return 'A' <= c && c <= 'Z' }

// more reports whether more than one word follows.
func (x *inspection) more(i int) bool {
	return strings.Count(strings.TrimSpace(x.text[i:min(len(x.text), i+80)]), " ") > 1
}

// prosaic reports whether what stands before a separator is prose: three words or more, or
// markup. An application that builds a command expects one word.
func prosaic(s string) bool {
	if len(s) > 64 {
		s = s[len(s)-64:]
	}
	return strings.Count(strings.TrimSpace(s), " ") >= 2
}

// argumentKind is what stands behind a command.
type argumentKind uint8

const (
	noArgument argumentKind = iota
	proseArgument
	wordArgument
	numberArgument
	flagArgument // -x
	pathArgument // /etc, C:\, an URL, an address, a redirection, a variable
)

// argument looks at the first argument behind i.
func (x *inspection) argument(i int) argumentKind {
	s := x.text
	spaced := false
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '"' || s[i] == '\'') {
		spaced = spaced || s[i] <= ' '
		i++
	}
	if i >= len(s) {
		return noArgument
	}
	rest := s[i:]
	switch c := s[i]; {
	case c == '\\' && len(rest) > 1 && (rest[1] == 'n' || rest[1] == 'r'), c == ';' || c == '|' || c == '&' || c == '#' || c == '`' || c == ')' || c == '\n' || c == '\r':
		return noArgument
	case c == '<' || c == '>':
		return pathArgument
	case !spaced:
		if c == '$' || c == '{' || c == '/' {
			return pathArgument
		}
		return proseArgument
	case c == '-' && len(rest) > 1 && (isLetter(rest[1]) || rest[1] == '-' && len(rest) > 2 && isLetter(rest[2]) || isDigit(rest[1])):
		for _, f := range strings.Fields(rest[:min(len(rest), 160)])[1:] {
			if strings.HasPrefix(f, "/") && len(f) > 1 || strings.Contains(f, ":\\") || strings.Contains(f, "://") || dotted(f) || strings.HasPrefix(f, "/bin") {
				return pathArgument
			}
		}
		return flagArgument
	case c == '/' && len(rest) > 1 && (isLetter(rest[1]) || rest[1] == '?' || rest[1] == '*'):
		return pathArgument
	case c == '$' || c == '%' && len(rest) > 3 && isLetter(rest[1]), c == '~' && len(rest) > 1 && rest[1] == '/', strings.HasPrefix(rest, "../"), strings.HasPrefix(rest, "./"):
		if c == '$' && len(rest) > 1 && isDigit(rest[1]) {
			return proseArgument
		}
		return pathArgument
	}
	n := strings.IndexAny(rest, " \t\n;|&`)")
	if n < 0 {
		n = len(rest)
	}
	arg := rest[:n]
	switch {
	case len(arg) > 2 && isLetter(arg[0]) && arg[1] == ':' && (arg[2] == '\\' || arg[2] == '/'), strings.Index(arg, "://") > 0 && strings.Index(arg, "://") < 7, dotted(arg),
		strings.Contains(arg, "/") && strings.Contains(arg, "."), strings.HasPrefix(arg, "etc/"):
		return pathArgument
	case arg != "" && isDigit(arg[0]):
		return numberArgument
	}
	return wordArgument
}

// dotted reports whether s starts with an IPv4 address or a name with two dots.
func dotted(s string) bool {
	dots := 0
	for i := range len(s) {
		switch {
		case s[i] == '.' && i > 0:
			dots++
		case !isDigit(s[i]):
			return dots >= 3
		}
	}
	return dots == 3
}

// lastArgument reports whether one number ends the command.
func (x *inspection) lastArgument(i int) bool {
	s := strings.TrimLeft(x.text[i:min(len(x.text), i+32)], " \t")
	n := 0
	for n < len(s) && (isDigit(s[n]) || s[n] == '.') {
		n++
	}
	s = strings.TrimLeft(s[n:], " \ts'\"")
	return s == "" || strings.IndexByte(";|&#`)\n", s[0]) >= 0
}

// subcommand reports whether i is followed by one of list.
func (x *inspection) subcommand(list map[string]bool, i int) bool {
	f := strings.Fields(x.text[i:min(len(x.text), i+40)])
	return len(f) > 0 && inAnyCase(list, strings.TrimRight(f[0], "\"';|&"))
}

var (
	dotCommands = set("shell", "system", "sh", "databases", "read", "import", "output", "once", "load", "open", "dump", "excel")
	regCommands = set("add", "query", "delete", "save", "export", "import")
	netCommands = set("user", "users", "localgroup", "group", "view", "share", "start", "stop", "accounts", "use", "session", "config")
)

// ended reports whether a command ends at i.
func ended(s string, i int) bool {
	t := strings.TrimLeft(s[i:min(len(s), i+16)], " \t'\"")
	return t == "" || strings.IndexByte(";|&#`)\n\r%<>\\", t[0]) >= 0
}

// startCommand judges a value that is a command line from its first byte.
func (x *inspection) startCommand() {
	s := x.text
	i := 0
	for i < len(s) && (isSpace(s[i]) || s[i] == '"' || s[i] == '\'' || s[i] == '@') {
		i++
	}
	w := shellWordAt(s, i)
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
	t := strings.TrimLeft(rest, " \t")
	switch {
	case w.is("rm") && strings.HasPrefix(t, "-"), (w.is("nc") || w.is("ncat") || w.is("netcat")) && strings.HasPrefix(t, "-") && len(strings.Fields(t)) > 2,
		(w.is("wget") || w.is("curl") || w.is("fetch")) && (strings.Contains(t, "://") && !prosaic(t)),
		(w.is("bash") || w.is("sh")) && (strings.HasPrefix(t, "-i") || strings.HasPrefix(t, "-c ")),
		(w.is("cmd") || w.is("cmd.exe")) && hasPrefixFold(t, "/c"), (w.is("powershell") || w.is("powershell.exe")) && strings.HasPrefix(t, "-"),
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

// backquote judges a backquote at i. Markdown writes code between them, so a command there
// counts only where no prose stands around it.
func (x *inspection) backquote(i int) {
	s := x.text
	end := strings.IndexByte(s[i+1:min(len(s), i+512)], '`')
	if end < 0 {
		return
	}
	body := s[i+1 : i+1+end]
	after := s[i+end+2:]
	if body == "" {
		// pi``ng
		if i > 0 && lower[s[i-1]] != 0 && (after != "" && (lower[after[0]] != 0 || after[0] == ' ')) && !strings.HasPrefix(after, "`") && !strings.HasPrefix(after, " `") {
			x.say(ruleCommandHidden, i, len(s))
		}
		return
	}
	w := shellWordAt(s, i+1+len(body)-len(strings.TrimLeft(body, " ")))
	f := w.fame()
	known := f != unknownName && w.end <= i+1+end
	if !known && !strings.Contains(body, "$IFS") && !strings.Contains(body, "${") {
		return
	}
	before := strings.TrimRight(s[:i], " ")
	alone := before == "" && strings.Trim(after, " #'\"") == ""
	shell := before != "" && strings.IndexByte(";|&=(<$\"'{", before[len(before)-1]) >= 0 || i > 0 && isDigit(s[i-1]) ||
		before != "" && before[len(before)-1] == '`' && len(before) == i || strings.HasPrefix(after, "`")
	switch {
	case prosaic(s[:i]) && !strings.Contains(body, "${IFS}"):
	case alone && known && (f != english || x.argument(w.end) > wordArgument || w.end == i+1+end),
		shell && (f == famous || f == terse || w.path || known && x.argument(w.end) > wordArgument || strings.Contains(body, "IFS") || lastByte(before) == '=' && known),
		known && strings.Contains(body, " /etc/"), strings.Contains(body, "${IFS}"):
		x.say(ruleCommandSubst, i, len(s))
	}
}

// dollar judges $( ) and the variables that shells provide.
func (x *inspection) dollar(i int) {
	s := x.text
	rest := s[i+1:]
	switch {
	case strings.HasPrefix(rest, "IFS"), strings.HasPrefix(rest, "{IFS"), strings.HasPrefix(rest, "{SHELL}"), strings.HasPrefix(rest, "{PATH"), strings.HasPrefix(rest, "{HOME"):
		x.say(ruleCommandHidden, i, len(s))
	case strings.HasPrefix(rest, "(("):
		if end := strings.Index(rest[:min(len(rest), 64)], "))"); end > 0 && !prosaic(s[:i]) {
			x.say(ruleCommandSubst, i, len(s))
		}
	case strings.HasPrefix(rest, "()"):
		if i > 0 && lower[s[i-1]] != 0 {
			x.say(ruleCommandHidden, i, len(s))
		}
	case strings.HasPrefix(rest, "("):
		j := 1
		for j < len(rest) && (isSpace(rest[j]) || rest[j] == '`' || rest[j] == '"' || rest[j] == '\'') {
			j++
		}
		w := shellWordAt(s, i+1+j)
		closed := strings.IndexByte(rest[:min(len(rest), 512)], ')') > 0
		jquery := j > 1 && w.fame() == unknownName || w.is("document") || w.is("this") || w.is("window") || w.is("function")
		if w.n > 0 && closed && !jquery && (w.fame() != unknownName || !capital(s[i+1+j]) && !isDigit(s[i+1+j]) && !prosaic(s[:i])) {
			x.say(ruleCommandSubst, i, len(s))
		}
	case strings.HasPrefix(rest, "{") && len(rest) > 2:
		if rest[1] == '`' || strings.HasPrefix(rest[1:], "$(") {
			x.say(ruleCommandSubst, i, len(s))
		}
	case len(rest) > 1 && strings.IndexByte("@*?-!$_", rest[0]) >= 0 && i > 0 && isLetter(s[i-1]) && isLetter(rest[1]):
		// c$@at: the parts around an empty variable are one word.
		b := i
		for b > 0 && i-b < maxKey && isLetter(s[b-1]) {
			b--
		}
		if w := shellWordAt(s, b); w.fame() != unknownName {
			x.say(ruleCommandHidden, b, len(s))
		}
	case rest != "" && isLetter(rest[0]) && i > 0 && (s[i-1] == ';' || s[i-1] == '|' || s[i-1] == '&'):
		e := 0
		for e < len(rest) && lower[rest[e]] != 0 {
			e++
		}
		if e < len(rest) && rest[e] == ' ' && !prosaic(s[:i]) {
			x.say(ruleCommandHidden, i-1, len(s))
		}
	}
}

// function judges "()" at i: a function of a shell.
func (x *inspection) function(i int) {
	s := x.text
	j := i + 2
	for j < len(s) && isSpace(s[j]) {
		j++
	}
	if j >= len(s) || s[j] != '{' {
		return
	}
	end := strings.IndexByte(s[j:min(len(s), j+256)], '}')
	if end < 0 {
		return
	}
	body := s[j+1 : j+end]
	name := i
	for name > 0 && i-name < maxKey && lower[s[name-1]] != 0 {
		name--
	}
	switch {
	case strings.Contains(body, ":;") || strings.Contains(body, ": ;") || strings.TrimSpace(body) == ":" || strings.Contains(body, "_;"):
		x.say(ruleCommandShock, i, len(s))
	case name == i && strings.HasPrefix(s[j+end:], "};"):
		x.say(ruleCommandShock, i, len(s))
	case name < i && strings.Count(body, s[name:i]) >= 2 && strings.ContainsAny(body, "|&"):
		x.say(ruleCommandLoop, name, len(s))
	}
}

// redirection judges "<" or ">" at i.
func (x *inspection) redirection(i int) {
	s := x.text
	rest := s[i:]
	switch {
	case strings.HasPrefix(rest, "<<<"):
		b := i
		for b > 0 && i-b < maxShellWord && (isSpace(s[b-1]) || lower[s[b-1]] != 0 || s[b-1] == '.') {
			b--
		}
		for b < i && isSpace(s[b]) {
			b++
		}
		if w := shellWordAt(s, b); w.fame() != unknownName {
			x.say(ruleCommandShell, b, len(s))
		}
	case strings.HasPrefix(rest, "<()"):
		if i > 0 && lower[s[i-1]] != 0 {
			x.say(ruleCommandHidden, i, len(s))
		}
	case strings.HasPrefix(rest, "<("), strings.HasPrefix(rest, ">("):
		w := shellWordAt(s, i+2)
		if w.fame() != unknownName && strings.IndexByte(rest[:min(len(rest), 256)], ')') > 0 {
			x.say(ruleCommandSubst, i, len(s))
		}
	case strings.HasPrefix(rest, ">&") && strings.Contains(rest[:min(len(rest), 24)], "/dev/"), strings.HasPrefix(rest, ">/dev/"), strings.HasPrefix(rest, "> /dev/"):
		x.say(ruleCommandShell, max(0, i-24), len(s))
	}
}

// binary judges a path to a program at i.
func (x *inspection) binary(i int) {
	s := x.text
	rest := s[i:]
	if len(rest) < 5 || strings.IndexByte("busd", rest[1]) < 0 {
		return
	}
	for _, dir := range [...]string{"/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/", "/dev/tcp/", "/dev/udp/"} {
		if !strings.HasPrefix(rest, dir) {
			continue
		}
		if dir[1] == 'd' {
			x.say(ruleCommandShell, i, len(s))
			return
		}
		w := shellWordAt(s, i)
		f := w.fame()
		if f == unknownName {
			return
		}
		before := strings.TrimRight(s[:i], " ")
		after := s[w.end:]
		switch {
		case before == "" && !prosaic(after) || strings.IndexByte(";|&`(\n\"'=", lastByte(before)) >= 0,
			(w.is("sh") || w.is("bash")) && (strings.HasPrefix(after, " -") || after != "" && (after[0] == ';' || after[0] == '|' || after[0] == '$')),
			f != unknownName && x.argument(w.end) >= pathArgument:
			x.say(ruleCommandShell, i, len(s))
		}
		return
	}
}

func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}

// percentLoop judges "%" at i: FOR %a IN (...) DO, and variables of Windows that name system folders.
func (x *inspection) percentLoop(i int) {
	s := x.text
	if i+3 > len(s) || isSpace(s[i+1]) && s[i+1] == '\n' {
		return
	}
	for _, v := range [...]string{"%systemroot%", "%systemdrive%", "%windir%", "%comspec%", "%appdata%", "%userprofile%", "%programfiles%"} {
		if hasPrefixFold(s[i:], v) && (i > 0 && strings.ContainsAny(s[:i], "|&;") || i+len(v) < len(s) && (s[i+len(v)] == '\\' || s[i+len(v)] == ':')) {
			x.say(ruleCommandShell, i, len(s))
			return
		}
	}
	b := strings.TrimRight(s[max(0, i-40):i], " \t%")
	if k := indexFold(b, "for"); k < 0 {
		return
	}
	rest := s[i:min(len(s), i+24)]
	if n := indexFold(rest, " in"); n > 0 && n < 12 && indexFold(s[i:min(len(s), i+512)], "do ") > 0 && strings.IndexByte(rest, '(') > 0 {
		x.say(ruleCommandLoop, max(0, i-4), len(s))
	}
}
