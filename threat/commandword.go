package threat

import (
	"strings"
)

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
		at crontab useradd adduser passwd printenv uptime free dmesg fdisk ip arp jq busybox strace ltrace nohup timeout stdbuf setsid printf xmllint ldapsearch visudo htop
		expr openssl ss calc notepad msg`)
	add(famous, `whoami ifconfig ipconfig netstat nslookup traceroute tracert systeminfo sysinfo tasklist taskkill netsh uname hostname
		netcat ncat powershell cmd.exe powershell.exe certutil mshta rundll32 regsvr32 regedit bitsadmin cscript wscript bcdboot
		msiexec schtasks mkfifo mknod nsenter lastlog lastlogin logname userdel usermod groupadd useradd iptables
		base64 uudecode lwp-download lwp-request shutdown reboot poweroff halt init systemctl journalctl ssh-copy-id ssh-keygen
		cpulimit rmt-dump rmt-tar uconv aptitude apt-get gcc10.1 tcpdump wireshark killall pkill pgrep shred mkfs ipconfig.exe ping.exe
		net1 nltest dsquery vssadmin wevtutil icacls takeown diskpart sysctl modprobe insmod lsmod lspci lsusb lscpu getent
		whois ansible-playbook ansible-config ansible-console ansible-doc ansible-galaxy ansible-inventory ansible-pull ansible-vault
		chef-client chef-run chef-shell chef-vault cscli visudo perl.exe python.exe php.exe calc.exe notepad.exe`)
	return m
}()

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
	maxLine      = 512 // of a command with its arguments
)

// shellWordAt reads the word at i.
func shellWordAt(s string, i int) shellWord {
	var w shellWord
	closing := -1
	s = s[:min(len(s), i+maxShellWord)]
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\'':
			if i != closing {
				// In a word, a quote that nothing closes there is an apostrophe, or ends a string.
				if closing = closes(s, i); closing < 0 && w.n > 0 {
					w.end = i
					return w
				}
				goes := closing >= 0 && closing+1 < len(s) && lower[s[closing+1]] != 0
				w.hidden = w.hidden || goes || w.n > 0 && closing > i+1
			}
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
		case c == '$' && w.n > 0 && i+2 < len(s) && isDigit(s[i+1]) && isLetter(s[i+2]):
			w.hidden = true
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
		case c == '/' && w.n > 0 && !w.path && !w.is("usr") && !w.is("bin") && !w.is("sbin"):
			w.end = i // true/false, dir/s
			return w
		case c == '/':
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

// wordAt reads the word of a shell at i in the view. The words of a text seldom overlap; one
// whose words do, so that reading them takes many times its length, is a finding by itself.
func (x *inspection) wordAt(i int) shellWord {
	if i >= len(x.text) || !x.spend(0) {
		return shellWord{end: i}
	}
	if i != x.wordStart {
		x.word, x.wordStart = shellWordAt(x.text, i), i
		x.spend(x.word.end - i)
	}
	return x.word
}

// closes returns where the quote at i is closed within a word, -1 if it is not.
func closes(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == s[i]:
			return j
		case lower[s[j]] == 0 && s[j] != '-' && s[j] != '.' && s[j] != '/':
			return -1
		}
	}
	return -1
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
		switch {
		case c == '$' || c == '{':
			return pathArgument
		case c == '/' && len(rest) > 1 && isLetter(rest[1]) && (len(rest) == 2 || lower[rest[2]] == 0):
			return flagArgument // dir/s
		}
		return proseArgument
	case c == '-' && len(rest) > 1 && (isLetter(rest[1]) || rest[1] == '-' && len(rest) > 2 && isLetter(rest[2]) || isDigit(rest[1])):
		for _, f := range strings.Fields(rest[:min(len(rest), 160)])[1:] {
			if strings.HasPrefix(f, "/") && len(f) > 1 || strings.Contains(f, ":\\") || strings.Contains(f, "://") || dotted(f) || strings.HasPrefix(f, "/bin") {
				return pathArgument
			}
		}
		return flagArgument
	case c == '/' && len(rest) > 1 && (isLetter(rest[1]) || rest[1] == '?' || rest[1] == '*' || strings.HasPrefix(rest, "/ -")):
		return pathArgument
	case c == '$' || c == '%' && len(rest) > 3 && isLetter(rest[1]), c == '~' && len(rest) > 1 && rest[1] == '/', strings.HasPrefix(rest, "../"), strings.HasPrefix(rest, "./"):
		if c == '$' && len(rest) > 1 && isDigit(rest[1]) {
			return proseArgument
		}
		return pathArgument
	}
	n := strings.IndexAny(rest, " \t\n;|`)")
	if n < 0 {
		n = len(rest)
	}
	arg := rest[:n]
	switch {
	case len(arg) > 2 && isLetter(arg[0]) && arg[1] == ':' && (arg[2] == '\\' || arg[2] == '/'), strings.Index(arg, "://") > 0 && strings.Index(arg, "://") < 7, dotted(arg),
		strings.Contains(arg, "/") && strings.Contains(arg, "."), strings.HasPrefix(arg, "etc/"), strings.Contains(arg, ">&"):
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

func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}
