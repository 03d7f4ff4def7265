package threat

import (
	"strings"

	"github.com/makerguard/makerguard"
)

// Path traversal is judged on the path as a file system would see it: separators of
// both kinds, parent directories, and files that only an attacker asks for.
var (
	ruleTraversalParent = &rule{voiceTraversal, "traversal.parent", makerguard.SeverityHigh, 1, 5, "The path climbs out of its directory."}
	ruleTraversalFile   = &rule{voiceTraversal, "traversal.file", makerguard.SeverityHigh, 1, 5, "The path names a system or configuration file."}
	ruleTraversalNUL    = &rule{voiceTraversal, "traversal.nul", makerguard.SeverityHigh, 1, 5, "A NUL cuts off what an application appends to the file's name."}
	ruleTraversalStream = &rule{voiceTraversal, "traversal.stream", makerguard.SeverityHigh, 1, 5, "A stream of a file as Windows names it, by which a server shows the source of a program."}
	ruleTraversalNamed  = &rule{voiceTraversal, "traversal.mention", makerguard.SeverityLow, 1, 3, "A sentence names a system file."}
	ruleTraversalWeak   = &rule{voiceTraversal, "traversal.relative", makerguard.SeverityLow, 2, 4, "A relative path to a parent directory."}
)

const traversalGate = markSlash | markBack | markDots | markNUL

func (x *inspection) traversal() {
	if !x.has(traversalGate) {
		if secretName(x.text) {
			x.say(ruleTraversalFile, 0, len(x.text))
		}
		if x.has(markColon) && x.has(markDollar) {
			x.stream()
		}
		if strings.Contains(x.text, "0x2") {
			x.hexPath()
		}
		return
	}
	x.parents()
	if !x.sure(voiceTraversal) {
		x.files()
	}
	if !x.sure(voiceTraversal) {
		x.wildcards()
	}
	if x.has(markColon) && x.has(markDollar) && !x.sure(voiceTraversal) {
		x.stream()
	}
	if !x.sure(voiceTraversal) && (strings.Contains(x.text, "0x2") || strings.Contains(x.text, "0x5")) {
		x.hexPath()
	}
}

var hexCharacters = strings.NewReplacer("0x2e", ".", "0x2E", ".", "0x2f", "/", "0x2F", "/", "0x5c", "/", "0x5C", "/", "\x00", "")

// hexPath reads 0x2e, 0x2f and 0x5c as the characters they stand for.
func (x *inspection) hexPath() {
	text, before := x.text, x.found[voiceTraversal]
	x.text = hexCharacters.Replace(text)
	if x.text != text {
		x.parents()
	}
	x.text = text
	if h := &x.found[voiceTraversal]; *h != before { // what was said is not of this text
		h.start, h.end = 0, min(len(text), maxEvidence)
	}
}

// stream finds index.asp::$DATA, which Windows takes for index.asp and a server for a file that
// is not to be run.
func (x *inspection) stream() {
	s := x.text
	i := strings.Index(s, "::$")
	if i > 0 && lower[s[i-1]] != 0 && (hasPrefixFold(s[i+3:], "data") || hasPrefixFold(s[i+3:], "index_allocation")) && !prosaic(s[:i]) {
		x.say(ruleTraversalStream, 0, len(s))
	}
}

// secretName reports whether s is the name of a file with secrets, and nothing else. The names hold
// no mark.
func secretName(s string) bool {
	switch s {
	case ".env", ".htaccess", ".htpasswd", "web.config", "wp-config.php", "wp-config.php.bak", ".npmrc", ".netrc", ".pgpass", ".bash_history":
		return true
	}
	return false
}

func separator(c byte) bool { return c == '/' || c == '\\' }

// parents counts parent directories.
func (x *inspection) parents() {
	s := x.text
	count, odd, first := 0, 0, -1
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '.' || s[i+1] != '.' {
			continue
		}
		end := i + 2
		for end < len(s) && s[end] == '.' {
			end++
		}
		dots := end - i
		behind := end < len(s) && (separator(s[end]) || s[end] == ';' && end+1 < len(s) && separator(s[end+1])) // "..;/" is Tomcat's
		before := i == 0 || separator(s[i-1]) || strings.IndexByte("=\"'(:,; @|`", s[i-1]) >= 0
		if behind && (before || i > 0 && lower[s[i-1]] == 0) || end == len(s) && dots == 2 && i > 0 && separator(s[i-1]) {
			count++
			if first < 0 {
				first = i
			}
			// ".../" alone is prose; between separators it is a filter's leftover.
			if dots > 2 && !(i == 0 || separator(s[i-1])) {
				count--
			}
		}
		if i > 0 && separator(s[i-1]) && end < len(s) && !separator(s[end]) {
			odd++
		}
		i = end - 1
	}
	switch {
	case count >= 2 && odd == 0 && x.cited(first):
		x.say(ruleTraversalWeak, first, len(s))
	case count >= 2, count+odd > 3:
		x.say(ruleTraversalParent, max(first, 0), len(s))
	case count == 1:
		link := first > 0 && strings.IndexByte("(\"'", s[first-1]) >= 0
		whole := first <= 1 || separator(s[first-1])
		switch {
		case x.loc == makerguard.InFilename, x.loc == makerguard.InPath, whole && !strings.ContainsAny(s, " \n") && !link, strings.IndexByte(s, 0) >= 0,
			!link && x.kind == makerguard.KindIdentifier:
			x.say(ruleTraversalParent, first, len(s))
		default:
			x.say(ruleTraversalWeak, first, len(s))
		}
	}
}

// cited reports whether the relative path at i is the target of a link, or stands in a sentence of
// a text.
func (x *inspection) cited(i int) bool {
	s := x.text
	if i == 0 || x.layer > 0 || x.loc != makerguard.InText && x.loc != makerguard.InForm && x.loc != makerguard.InJSON {
		return false
	}
	link := strings.HasPrefix(s[max(0, i-2):], "](") || strings.HasPrefix(s[max(0, i-5):], "src=\"") || strings.HasPrefix(s[max(0, i-6):], "href=\"")
	return link || s[i-1] == ' ' && strings.Count(s[max(0, i-80):i], " ") >= 2
}

// secretFiles are files that no business text names by path.
var secretFiles = [...]string{
	"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/master.passwd", "/etc/security/passwd", "/proc/self/", "/proc/version",
	"/windows/win.ini", "/winnt/win.ini", "/windows/system32/", "/winnt/system32/", "/windows/system.ini", "/windows/repair/", "/winnt/repair/",
	"/boot.ini", "/.htpasswd", "/.htaccess", "/.ssh/", "/id_rsa", "/.aws/credentials", "/wp-config.php", "/web.config",
	"/web-inf/web.xml", "/meta-inf/", "/.git/config", "/.git/head", "/.env", "/.bash_history", "/.mysql_history", "/.history", "/inetsrv/metabase",
	"/config/database.yml", "/.docker/config.json", "/etc/subuid", "/etc/subgid", "/etc/gshadow", "/global.asa", "/windows/php.ini",
}

// secretIndex holds secretFiles by their first letter.
var secretIndex = func() (index [256][]string) {
	for _, f := range secretFiles {
		index[f[1]|0x20] = append(index[f[1]|0x20], f)
	}
	return index
}()

// systemRoots are where a path from outside has no business to start.
var systemRoots = byFirst(
	"/etc/", "/etc", "/proc/", "/var/log/", "/var/adm/", "/var/cron/", "/var/db/", "/var/lp/", "/var/run/", "/var/lib/", "/var/mail/",
	"/var/spool/", "/var/cpanel/", "/var/www/", "/library/webserver/", "/srv/www/", "/var/apache", "/var/lock/", "/var/mysql", "/var/nm2/", "/var/opt/", "/var/local/",
	"/var/data/", "/var/webmin/", "/var/saf/", "/root/", "/usr/local/", "/usr/lib/", "/usr/share/", "/usr/pkg/", "/usr/ports/", "/usr/etc/",
	"/usr/home/", "/usr/spool/", "/usr/adm/", "/usr/internet/", "/sys/class/", "/sys/kernel", "/netserver/", "/netware/", "/winnt/",
	"/program files", "/programfiles", "/xampp/", "/web/conf/", "/sbin/",
)

// sharedRoots are directories of systems whose names web sites use too, as in
// ?next=/home/orders. A path that starts there is one to a file of the system if its end says so.
var sharedRoots = byFirst(
	"/opt/", "/private/", "/apache", "/volumes/", "/dev/", "/boot/", "/home/", "/srv/", "/mnt/", "/logs/", "/log/", "/bin/", "/mysql/", "/php/",
	"/php4/", "/php5/", "/web/", "/windows/",
)

// byFirst sorts paths by the letter behind their slash.
func byFirst(paths ...string) (index [256][]string) {
	for _, p := range paths {
		index[p[1]] = append(index[p[1]], p)
	}
	return index
}

// startsAt reports whether path is one of roots, or below one.
func startsAt(roots *[256][]string, path string) bool {
	k := 0
	for k < len(path) && (separator(path[k]) || path[k] == '.' && k+1 < len(path) && separator(path[k+1])) {
		k++
	}
	if k == len(path) {
		return false
	}
	for _, root := range roots[path[k]|0x20] {
		if pathPrefix(path, root, false) || equalName(path, strings.TrimSuffix(root, "/")) {
			return true
		}
	}
	return false
}

// systemFile reports whether a path ends in a file that systems have and sites do not serve.
func systemFile(path string) bool {
	base := path[strings.LastIndexAny(path, `/\`)+1:]
	ext := base[strings.LastIndexByte(base, '.')+1:]
	return len(ext) < len(base) && inAnyCase(configTypes, ext) || inAnyCase(systemNames, base) || logFile(path)
}

// document reports whether a path ends in a file of a type that attackers do not ask for: a table, an
// image, a header. They are after settings, logs, keys, sources and data, and what has no type at all.
func document(path string) bool {
	base := path[strings.LastIndexAny(path, `/\`)+1:]
	name, ext, _ := strings.Cut(base, ".")
	if dot := strings.LastIndexByte(ext, '.'); dot >= 0 {
		ext = ext[dot+1:]
	}
	if name == "" || equalFold(name, "hostname") || inAnyCase(systemNames, name) || ext == "" || len(ext) > 5 || number10(ext) || inAnyCase(configTypes, ext) || inAnyCase(soughtTypes, ext) {
		return false
	}
	for i := range len(ext) {
		if lower[ext[i]] == 0 {
			return false
		}
	}
	return true
}

// files looks for files that only an attacker asks for.
func (x *inspection) files() {
	s := x.text
	climbs, spaces := strings.Contains(s, "../"), strings.Count(s, " ")
	for i := 0; i < len(s); i++ {
		if !separator(s[i]) && i != 0 {
			continue
		}
		// Of separators in a row, with dots between them or not, the last one counts.
		k := i
		if separator(s[i]) {
			k++
		}
		if k == len(s) || separator(s[k]) || s[k] == '.' && k+1 < len(s) && separator(s[k+1]) {
			continue
		}
		first := s[k] | 0x20
		for _, f := range secretIndex[first] {
			if pathPrefix(s[i:], f, i == 0) {
				if !climbs && x.prose(i, spaces) {
					x.say(ruleTraversalNamed, i, len(s))
					continue
				}
				x.say(ruleTraversalFile, i, len(s))
				return
			}
		}
	}
	if !x.wholePath() {
		return
	}
	t := s
	if len(t) > 3 && separator(t[0]) && t[2] == ':' {
		t = t[1:]
	}
	drive := len(t) > 2 && isLetter(t[0]) && t[1] == ':' && separator(t[2])
	if drive {
		x.drivePath(t[2:])
		return
	}
	if startsAt(&systemRoots, t) && !document(t) || startsAt(&sharedRoots, t) && systemFile(t) {
		x.say(ruleTraversalFile, 0, len(s))
		return
	}
	if i := strings.IndexByte(s, 0); i > 0 && strings.IndexByte(s[:i], '.') >= 0 {
		x.say(ruleTraversalNUL, 0, len(s))
	}
	if logFile(s) {
		x.say(ruleTraversalFile, 0, len(s))
	}
}

// prose reports whether the path at i stands in a sentence: a manual names files, and Markdown
// sets them in backquotes. The view holds so many spaces.
func (x *inspection) prose(i, spaces int) bool {
	s := x.text
	if i == 0 || s[i-1] != ' ' && s[i-1] != '`' {
		return false
	}
	return strings.Count(s[max(0, i-200):i], " ") >= 3 && !x.has(markSemi|markPipe|markAmp|markDollar|markLess|markGreater) || s[i-1] == '`' && spaces > 4
}

// wholePath reports whether the value is nothing but a path, as a parameter for a file is. The
// path of a request is one of the site, not of its files.
func (x *inspection) wholePath() bool {
	s := x.text
	if x.loc == makerguard.InPath || x.loc == makerguard.InText || x.loc == makerguard.InForm || x.kind == makerguard.KindURL || len(s) > 256 || len(s) < 5 {
		return false
	}
	return (separator(s[0]) || len(s) > 2 && s[1] == ':' && separator(s[2]) || logFile(s)) && !strings.ContainsAny(s, "?|\"\n")
}

// drivePath judges a path on a Windows drive.
func (x *inspection) drivePath(t string) {
	base := t[strings.LastIndexAny(t, `/\`)+1:]
	dot := strings.LastIndexByte(base, '.')
	ext := ""
	if dot >= 0 {
		ext = base[dot+1:]
	}
	switch {
	case pathPrefix(t, "/windows/", false), pathPrefix(t, "/winnt/", false), pathPrefix(t, "/xampp/", false), pathPrefix(t, "/php/", false), pathPrefix(t, "/php4/", false), pathPrefix(t, "/php5/", false), pathPrefix(t, "/program files/", false), pathPrefix(t, "/sysprep", false), pathPrefix(t, "/unattend", false),
		inAnyCase(configTypes, ext), inAnyCase(systemNames, base), logFile(t), indexFold(t, "apache") > 0, indexFold(t, "mysql") > 0, indexFold(t, "inetpub") >= 0, indexFold(t, "system32") > 0 && strings.Count(t, `\`) != 3:
		x.say(ruleTraversalFile, 0, len(x.text))
	}
}

var (
	configTypes = set("ini", "conf", "cnf", "inc", "log", "dat", "sam", "cfg", "err", "bak", "asa", "reg", "config", "myd", "frm", "pol", "evt", "sav", "mdb", "passwd", "properties", "xml", "yml", "htpasswd", "edb")
	soughtTypes = set("pid", "pdb", "db", "gz", "txt", "pub", "pem", "key", "crt", "cer", "pfx", "p12", "jks", "ppk", "errs", "warn", "info", "debug", "crit", "alert", "all", "notice", "list", "lst", "allow", "deny", "rules", "repo", "d", "sql", "old", "orig", "save", "swp", "tmp", "env", "lock", "sock", "php", "phtml", "asp", "aspx", "jsp", "py", "pl", "rb", "sh", "cgi", "yaml", "toml", "json", "sqlite", "dump", "local", "types", "zone", "cache", "tab", "user", "users", "pwd", "pass")
	systemNames = set("access_log", "error_log", "hosts", "sam", "system", "security", "software", "default", "services", "passwd", "shadow", "mysql-bin.log", "mysql.bin", "repair", "php.exe", "cmd.exe")
)

// logFile reports whether s names a server's log.
func logFile(s string) bool {
	base := s[strings.LastIndexAny(s, `/\`)+1:]
	if i := strings.IndexByte(base, 0); i >= 0 {
		base = base[:i]
	}
	for _, w := range [...]string{"access_log", "error_log", "access.log", "error.log", "acces_log", "acces.log", "httpd.conf", "php.ini", "my.cnf", "my.ini", "proftpd.conf", "vsftpd.conf", "nginx.conf"} {
		if equalName(base, w) {
			return true
		}
	}
	return false
}

func equalName(s, t string) bool { return len(s) == len(t) && hasPrefixFold(s, t) }

// pathPrefix reports whether s starts with path, which is in lower case: separators of both
// kinds match, and repeated ones count as one. bare lets the first separator be missing.
func pathPrefix(s, path string, bare bool) bool {
	i := 0
	if bare && s != "" && !separator(s[0]) {
		path = path[1:]
	}
	for j := 0; j < len(path); j++ {
		if i >= len(s) {
			return false
		}
		c := s[i]
		if path[j] == '/' {
			if !separator(c) {
				return false
			}
			for i < len(s) && (separator(s[i]) || s[i] == '.' && i+1 < len(s) && separator(s[i+1])) && i < 256 {
				i++
			}
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != path[j] {
			return false
		}
		i++
	}
	return true
}
