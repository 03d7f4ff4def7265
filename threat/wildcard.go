package threat

import (
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
)

// A shell spells out /???/p?ss?? by itself, so a filter that knows /etc/passwd does not see it. Each
// part of such a path is matched with the directories, files and programs that attackers ask for.
var ruleTraversalWildcard = &rule{voiceTraversal, "traversal.wildcard", makerguard.SeverityHigh, 1, 5, "A path with wildcards that a shell completes to a system file."}

var (
	wildFiles = paths(
		"etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", "etc/sudoers", "etc/hosts", "etc/crontab", "etc/fstab", "etc/resolv.conf",
		"etc/ssh/sshd_config", "proc/self/environ", "proc/self/cmdline", "proc/version", "root/.ssh/id_rsa", "root/.bash_history", "var/log/auth.log",
	)
	accountFiles = set("passwd", "shadow", "gshadow", "sudoers") // whose names are no words
	wildPrograms = paths("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin")
	programNames = func() (names []string) {
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}()
)

func paths(list ...string) (split [][]string) {
	for _, p := range list {
		split = append(split, strings.Split(p, "/"))
	}
	return split
}

// maxWildcard bounds a path with wildcards.
const maxWildcard = 128

// wildcards finds paths that a shell completes to those of the system.
func (x *inspection) wildcards() {
	s := x.text
	if !x.has(markSlash) || !x.has(markStar|markBracket|markBrace) && strings.IndexByte(s, '?') < 0 {
		return
	}
	spaces := -1
	for i := strings.IndexByte(s, '/'); i >= 0 && i < len(s); {
		end := i + 1
		for end < min(len(s), i+maxWildcard) && strings.IndexByte(" \t\r\n\"'`;|&<>()=+$\\", s[end]) < 0 {
			end++
		}
		begins := i == 0 || strings.IndexByte(" \t\r\n\"'`;|&<>(=+,", s[i-1]) >= 0
		// An address goes on with the value of a parameter.
		if p := s[i+1 : end]; begins && strings.ContainsAny(p, "?*[{") && (end == len(s) || s[end] != '=') {
			if spaces < 0 {
				spaces = strings.Count(s, " ")
			}
			if !x.spend(lookPrice) {
				return
			}
			r := x.wildcard(strings.Split(p, "/"))
			if r != nil && !x.prose(i, spaces) {
				x.say(r, i, len(s))
				return
			}
		}
		next := strings.IndexByte(s[end:], '/')
		if next < 0 {
			return
		}
		i = end + next
	}
}

// wildcard says what the path with these parts is completed to, if that is certain: a pattern of
// nothing but wildcards fits anything, so the last part has to tell a letter, or two beside a star,
// and /*/find may be a route of a site.
func (x *inspection) wildcard(parts []string) *rule {
	for i, p := range parts {
		if strings.ContainsAny(p, "[{") {
			parts[i] = unbracket(p)
		}
	}
	last := parts[len(parts)-1]
	// A question ends in its mark.
	if whole := strings.Join(parts, "/"); len(parts) < 2 || !strings.ContainsAny(whole[:len(whole)-min(1, len(whole))], "?*") {
		return nil
	}
	if told(last) < 1+min(1, strings.Count(last, "*")) {
		return nil
	}
	anywhere := told(parts[0]) == 0 && strings.Contains(parts[0], "*")
	for _, f := range wildFiles {
		if len(f) == len(parts) && matchParts(parts, f) && (!anywhere || told(last) > 3 && accountFiles[f[len(f)-1]]) {
			return ruleTraversalWildcard
		}
	}
	for _, f := range wildPrograms {
		if len(f)+1 != len(parts) || !matchParts(parts[:len(f)], f) || !x.spend(8*lookPrice) {
			continue
		}
		if dir := strings.Join(parts[:len(f)], ""); told(dir) == 0 && strings.Contains(dir+last, "*") {
			continue
		}
		if slices.ContainsFunc(programNames, func(name string) bool { return matchGlob(last, name) }) {
			return ruleCommandHidden
		}
	}
	return nil
}

// unbracket writes [p] as ? and {etc,bin} as *.
func unbracket(p string) string {
	var b strings.Builder
	for p != "" {
		closing, sign := byte(0), byte('?')
		switch p[0] {
		case '[':
			closing = ']'
		case '{':
			closing, sign = '}', '*'
		}
		end := strings.IndexByte(p, closing)
		if closing == 0 || end < 2 || closing == '}' && strings.IndexByte(p[:end], ',') < 0 {
			b.WriteByte(p[0])
			p = p[1:]
			continue
		}
		b.WriteByte(sign)
		p = p[end+1:]
	}
	return b.String()
}

// told counts the letters and digits of a pattern: what it says of the name.
func told(pattern string) (n int) {
	for i := range len(pattern) {
		if lower[pattern[i]] != 0 {
			n++
		}
	}
	return n
}

// matchParts reports whether each pattern fits its name.
func matchParts(patterns, names []string) bool {
	for i, name := range names {
		if !matchGlob(patterns[i], name) {
			return false
		}
	}
	return true
}

// matchGlob reports whether a pattern with ? and * fits a name, which is in lower case.
func matchGlob(pattern, name string) bool {
	p, n := 0, 0
	star, from := -1, 0 // the last * and how far it reaches
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p]|0x20 == name[n] || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
