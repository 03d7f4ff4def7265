package threat

import (
	"strings"
)

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
	w := x.wordAt(i + 1 + len(body) - len(strings.TrimLeft(body, " ")))
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
	case known && (before == "echo" || before == "print" || before == "return"), alone && known && (f != english || x.argument(w.end) > wordArgument || w.end == i+1+end),
		known && w.end == i+1+end && i > 0 && isWordByte(s[i-1]) && (after == "" || after[0] != ' ') && f >= terse, // name.png`id`
		known && i > 0 && isWordByte(s[i-1]) && after == "" && x.argument(w.end) > wordArgument,                    // a`sleep 60`
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
	case strings.HasPrefix(rest, "IFS"), strings.HasPrefix(rest, "{IFS"), strings.HasPrefix(rest, "{SHELL}"), len(rest) > 5 && (strings.HasPrefix(rest, "{PATH") || strings.HasPrefix(rest, "{HOME")) && strings.IndexByte("}:#%", rest[5]) >= 0:
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
		w := x.wordAt(i + 1 + j)
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
		if w := x.wordAt(b); w.fame() != unknownName {
			x.say(ruleCommandHidden, b, len(s))
		}
	case rest != "" && isLetter(rest[0]) && i > 0 && (s[i-1] == ';' || s[i-1] == '|' || s[i-1] == '&'):
		e := 0
		for e < len(rest) && lower[rest[e]] != 0 {
			e++
		}
		if (e == len(rest) && capital(rest[0]) || e < len(rest) && rest[e] == ' ') && !prosaic(s[:i]) {
			x.say(ruleCommandHidden, i-1, len(s))
		}
	}
}

// cmdlets are what PowerShell fetches and runs code with.
var cmdlets = [...]string{"invoke-expression", "invoke-webrequest", "invoke-restmethod", "invoke-command", "invoke-item", "invoke-mimikatz", "iex(", "iex (", "iex $", "iwr http", "|iex", "| iex"}

// cmdlet finds PowerShell's own commands, which need no separator to give themselves away.
func (x *inspection) cmdlet() {
	s := x.text
	for i := range len(s) {
		if s[i]|0x20 != 'i' && s[i] != '|' || i > 0 && isWordByte(s[i-1]) {
			continue
		}
		for _, c := range cmdlets {
			if !hasPrefixFold(s[i:], c) {
				continue
			}
			if rest := s[i+len(c):]; rest != "" && (c[len(c)-1] != 'x' || rest[0] == ' ') && !prosaic(s[:i]) {
				x.say(ruleCommandShell, i, len(s))
				return
			}
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
		if w := x.wordAt(b); w.fame() != unknownName {
			x.say(ruleCommandShell, b, len(s))
		}
	case strings.HasPrefix(rest, "<()"):
		if i > 0 && lower[s[i-1]] != 0 {
			x.say(ruleCommandHidden, i, len(s))
		}
	case strings.HasPrefix(rest, "<("), strings.HasPrefix(rest, ">("):
		w := x.wordAt(i + 2)
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
		x.spend(lookPrice)
		if dir[1] == 'd' {
			x.say(ruleCommandShell, i, len(s))
			return
		}
		w := x.wordAt(i)
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

// percentLoop judges "%" at i: FOR %a IN (...) DO, and variables of Windows that name system folders.
func (x *inspection) percentLoop(i int) {
	s := x.text
	if i+3 > len(s) || isSpace(s[i+1]) && s[i+1] == '\n' {
		return
	}
	if s[i+1] == 'x' && strings.IndexByte("({[", s[i+2]) >= 0 { // Ruby's %x(id)
		if w := x.wordAt(i + 3); w.fame() != unknownName {
			x.say(ruleCommandSubst, i, len(s))
			return
		}
	}
	for _, v := range [...]string{"%systemroot%", "%systemdrive%", "%windir%", "%comspec%", "%appdata%", "%userprofile%", "%programfiles%"} {
		if hasPrefixFold(s[i:], v) && (i > 0 && strings.ContainsAny(s[max(0, i-maxLine):i], "|&;") || i+len(v) < len(s) && (s[i+len(v)] == '\\' || s[i+len(v)] == ':')) {
			x.say(ruleCommandShell, i, len(s))
			return
		}
	}
	rest := s[i:min(len(s), i+24)]
	if n := indexFold(rest, " in"); n > 0 && n < 12 && indexFold(s[max(0, i-40):i], "for") >= 0 && indexFold(s[i:min(len(s), i+512)], "do ") > 0 && strings.IndexByte(rest, '(') > 0 {
		x.say(ruleCommandLoop, max(0, i-4), len(s))
	}
}
