package threat

import (
	"net/netip"
	"strings"

	"github.com/makerguard/makerguard"
)

// A value that is an URL and nothing else is what a server may be made to fetch. Where it
// points decides: into the own network, at the cloud's metadata, or through a scheme
// that reads files or speaks to other services. URLs inside of prose are links.
var (
	ruleSSRFMetadata = &rule{voiceSSRF, "ssrf.metadata", makerguard.SeverityCritical, 1, 5, "The URL points at a cloud's metadata service, which hands out credentials."}
	ruleSSRFLocal    = &rule{voiceSSRF, "ssrf.local", makerguard.SeverityHigh, 1, 5, "The URL points into the server's own network."}
	ruleSSRFScheme   = &rule{voiceSSRF, "ssrf.scheme", makerguard.SeverityHigh, 1, 5, "The URL's scheme makes a server speak to other services than the web."}
	ruleSSRFNumeric  = &rule{voiceSSRF, "ssrf.obscured", makerguard.SeverityHigh, 1, 5, "The host is an address in disguise."}
	ruleSSRFUserinfo = &rule{voiceSSRF, "ssrf.userinfo", makerguard.SeverityMedium, 1, 5, "The URL shows one host and names another."}
	ruleInclusion    = &rule{voiceInclusion, "inclusion.url", makerguard.SeverityHigh, 1, 5, "The URL points at a script, in a way that makes an application run it."}
	ruleRemote       = &rule{voiceInclusion, "inclusion.remote", makerguard.SeverityMedium, 1, 5, "The URL of another site stands where a parameter is no link."}
	ruleWrapper      = &rule{voiceInclusion, "inclusion.wrapper", makerguard.SeverityHigh, 1, 5, "The scheme makes an interpreter read or run a file."}
)

// fetchers are schemes that browsers do not follow and servers may.
var fetchers = set("gopher", "dict", "ldap", "ldaps", "tftp", "sftp", "ftps", "jar", "netdoc", "imap", "imaps", "pop3", "smtp", "ssh", "telnet", "rtmp", "rsync", "acap", "xri", "irc", "smb", "afp", "dns", "rmi")

// wrappers are schemes of PHP's streams and of files.
var wrappers = set("php", "phar", "zip", "expect", "glob", "ogg", "rar", "compress.zlib", "compress.bzip2", "compress.bz2", "ssh2.exec", "ssh2.shell", "ssh2.tunnel", "ssh2.sftp", "ssh2.scp", "zlib", "file", "local_file", "netdoc", "jar", "view-source")

func (x *inspection) network() {
	if strings.HasPrefix(x.text, `\\`) && x.share() {
		x.say(ruleSSRFScheme, 0, len(x.text))
	}
	x.link()
	if !x.has(markColon) && !strings.HasPrefix(x.text, "//") {
		return
	}
	s := strings.TrimSpace(x.text)
	s = strings.Trim(s, `"'<>`)
	s = strings.TrimPrefix(s, "url=")
	x.wrapper()
	if x.loc == makerguard.InHeader {
		return // Referer and Origin say where a client is, in its own network or a developer's machine
	}
	i := strings.Index(s, "://")
	if i < 0 || i > 24 {
		x.slashes(s)
		x.embedded()
		return
	}
	scheme := strings.ToLower(s[:i])
	if k := strings.LastIndexByte(scheme, ':'); k >= 0 && scheme[:k] != "url" {
		scheme = scheme[k+1:]
	}
	for j := range len(scheme) {
		if lower[scheme[j]] == 0 && strings.IndexByte("+-.:", scheme[j]) < 0 {
			x.embedded()
			return
		}
	}
	// A link followed by prose is prose.
	rest := s[i+3:]
	if sp := strings.IndexAny(rest, " \t\n"); sp >= 0 && !strings.ContainsAny(rest[:min(sp+3, len(rest))], "&@#\\") && prosaic(rest[sp:]+" . .") {
		return
	}
	if !x.foreign(scheme, rest) {
		x.embedded()
	}
}

// slashes judges http:127.0.0.1, http:/127.0.0.1 and http:\\127.0.0.1, which many readers take
// for the URL with two slashes, and filters do not.
func (x *inspection) slashes(s string) {
	rest, ok := s, hasPrefixFold(s, "//")
	for _, scheme := range [...]string{"http:", "https:"} {
		if hasPrefixFold(s, scheme) {
			rest, ok = s[len(scheme):], true
		}
	}
	if !ok {
		return
	}
	rest = strings.TrimLeft(rest, `/\`)
	if end := strings.IndexAny(rest, "/\\:?# "); end > 0 {
		x.host(strings.ToLower(rest[:end]), "", false)
	} else {
		x.host(strings.ToLower(rest), "", false)
	}
}

// share reports whether the value is a path to a share of Windows, \\host\share, on a host of the
// Internet or a drive that only administrators open.
func (x *inspection) share() bool {
	s := strings.TrimLeft(x.text, `\`)
	host, path, _ := strings.Cut(s, `\`)
	if len(x.text)-len(s) != 2 || len(host) < 3 || path == "" || strings.ContainsAny(s, " \t\n") {
		return false
	}
	share, _, _ := strings.Cut(path, `\`)
	if strings.IndexByte(host, '.') > 0 || equalName(share, "c$") || equalName(share, "admin$") || equalName(share, "ipc$") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// wrapper finds php:// and its like anywhere, data: with a payload, and jar: and url:file.
func (x *inspection) wrapper() {
	s := x.text
	for i := 0; i < len(s); i++ {
		c := strings.IndexByte(s[i:], ':')
		if c < 0 {
			return
		}
		i += c
		b := i
		for b > 0 && (lower[s[b-1]] != 0 || s[b-1] == '.') && i-b < 20 {
			b--
		}
		name := s[b:i]
		switch {
		case equalFold(name, "data") && (b == 0 || s[b-1] == '=' || s[b-1] == '/' || s[b-1] == '"') && (hasPrefixFold(s[i:], ":text/") || hasPrefixFold(s[i:], ":;base64") || hasPrefixFold(s[i:], "://text") || hasPrefixFold(s[i:], ":application/x-php")):
			x.say(ruleWrapper, b, len(s))
			return
		case strings.HasPrefix(s[i:], "://") || strings.HasPrefix(s[i:], ":/%2f") || strings.HasPrefix(s[i:], ":%2f"):
			if inAnyCase(wrappers, name) && !(equalFold(name, "file") && prosaic(s[:b])) {
				x.say(ruleWrapper, b, len(s))
				return
			}
		case equalFold(name, "jar") && hasPrefixFold(s[i:], ":http"), equalFold(name, "expect") && hasPrefixFold(s[i:], "://"):
			x.say(ruleWrapper, b, len(s))
			return
		}
	}
}

// embedded looks at the URL in a parameter of an URL, and at //host without a scheme.
func (x *inspection) embedded() {
	s := x.text
	if strings.HasPrefix(s, "//") && len(s) > 3 && s[2] != '/' {
		x.foreign("", s[2:])
	}
	if !strings.Contains(s, "://") {
		return
	}
	for _, sep := range [...]string{"=http://", "=https://", "/http://", "/https://"} {
		if i := indexFold(s, sep); i > 0 && !prosaic(s) {
			rest := s[i+len(sep):]
			if x.loc != makerguard.InText && x.foreign("http", rest) {
				return
			}
			if file := strings.IndexByte(rest, '/'); file > 0 && i > 8 && strings.Contains(s[:i], ".php?") {
				x.say(ruleInclusion, i, len(s))
			}
		}
	}
}

// foreign judges scheme://rest and reports whether it spoke.
func (x *inspection) foreign(scheme, rest string) bool {
	s := x.text
	web := scheme == "http" || scheme == "https" || scheme == "" || scheme == "ftp" || scheme == "ws" || scheme == "wss"
	if fetchers[scheme] || scheme == "file" {
		x.say(ruleSSRFScheme, 0, len(s))
		return true
	}
	authority := rest
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority = authority[:i]
	}
	if strings.ContainsAny(authority, "\\") || strings.Contains(authority, "#@") || strings.Contains(authority, " &@") || strings.Count(authority, "@") > 1 {
		if web {
			x.say(ruleSSRFUserinfo, 0, len(s))
			return true
		}
	}
	if i := strings.IndexByte(authority, '#'); i >= 0 {
		authority = authority[:i]
	}
	userinfo := false
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo = true
		if name := authority[:i]; strings.IndexByte(name, '.') > 0 && strings.IndexByte(name, ':') < 0 || strings.Trim(name, ";,:!$&'()*+=~") == "" {
			x.say(ruleSSRFUserinfo, 0, len(s))
		}
		authority = authority[i+1:]
	}
	if p := rest[min(len(rest), len(authority)):]; strings.HasPrefix(p, "/@") || strings.HasPrefix(p, "/:") && strings.Contains(p, "@") {
		x.say(ruleSSRFUserinfo, 0, len(s))
		return true
	}
	host := strings.ToLower(authority)
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return false
		}
		return x.literal6(host[1:end], rest)
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if strings.Count(host, ":") > 2 && web { // IPv6 without brackets
			x.say(ruleSSRFNumeric, 0, len(s))
			if script(rest) {
				x.say(ruleInclusion, 0, len(s))
			}
			return true
		}
		host = host[:i]
	}
	host = strings.TrimRight(host, ".")
	if x.host(host, rest, userinfo) {
		return true
	}
	return web && x.remote(scheme, host, rest)
}

// remote judges the URL of another site by what an application that includes it would get.
func (x *inspection) remote(scheme, host, rest string) bool {
	if x.loc != makerguard.InQuery || x.kind == makerguard.KindURL {
		return false
	}
	path, query, asked := strings.Cut(rest, "?")
	path, _, _ = strings.Cut(path, "#")
	link := carriesURL(x.name)
	truncated := asked && strings.Trim(query, "?") == "" && !link || strings.IndexByte(rest, 0) >= 0 || strings.Contains(rest, "%00")
	file := path[strings.LastIndexByte(path, '/')+1:]
	name, ext, _ := strings.Cut(strings.ToLower(file), ".")
	bare := path == host || path == host+"/" || strings.HasPrefix(path, host+":") && strings.IndexByte(path, '/') >= len(path)-1
	switch {
	case scheme == "ftp", truncated, !bare && ext == "txt", !bare && sources[ext] && (shells[name] || strings.HasPrefix(query, "cmd=")):
		x.say(ruleInclusion, 0, len(x.text))
		return true
	case bare && scheme != "" && strings.IndexByte(host, '.') > 0 && !link:
		x.say(ruleRemote, 0, len(x.text))
		return true
	}
	return false
}

// sources are the extensions of files that servers run; shells the names under which
// attackers keep theirs.
var (
	sources = set("php", "php3", "php4", "php5", "php7", "phtml", "inc", "jsp", "jspx", "asp", "aspx", "ashx", "cgi", "pl", "py", "sh", "ps1", "txt", "gif", "jpg", "png")
	shells  = set("shell", "webshell", "cmd", "c99", "r57", "b374k", "wso", "evil", "backdoor", "exploit", "rfi", "rfiinc", "inc", "xpl", "pwn", "payload", "malicious", "id")
)

// linkNames are what the names of parameters hold that carry links, and of those that take
// whatever somebody types.
var linkNames = [...]string{
	"ur", "link", "href", "src", "site", "web", "host", "domain", "origin", "redirect", "return", "next", "ref", "callback", "continue", "goto", "target", "dest", "iss",
	"aud", "resource", "realm", "service", "idp", "client", "image", "img", "avatar", "logo", "feed", "home", "shop", "api", "q", "search", "text", "message", "comment", "note", "description", "title",
}

// carriesURL reports whether a parameter of this name may well be a link. Where nothing is
// known of it, the name is "".
func carriesURL(name string) bool {
	for _, w := range linkNames {
		if indexFold(name, w) >= 0 {
			return true
		}
	}
	return name == "u"
}

// metadata services of the clouds.
var metadataHosts = set("169.254.169.254", "metadata.google.internal", "metadata", "metadata.packet.net", "instance-data", "100.100.100.200", "192.0.0.192", "169.254.170.2", "metadata.tencentyun.com", "metadata.azure.com", "metadata.platformequinix.com", "rancher-metadata", "kubernetes.default", "kubernetes.default.svc", "metadata.oraclecloud.com")

func (x *inspection) host(host, rest string, userinfo bool) bool {
	s := x.text
	if i := strings.IndexByte(rest, '/'); i >= 0 && (strings.HasPrefix(rest[i:], "/latest/meta-data") || strings.HasPrefix(rest[i:], "/computeMetadata/") || strings.HasPrefix(rest[i:], "/latest/user-data") || strings.HasPrefix(rest[i:], "/2018-06-01/runtime/")) {
		x.say(ruleSSRFMetadata, 0, len(s))
		return true
	}
	switch {
	case metadataHosts[host]:
		x.say(ruleSSRFMetadata, 0, len(s))
		return true
	case host == "localhost", host == "localhost.localdomain", host == "loopback", host == "unix" && strings.Contains(rest, ".sock"), host == "ip6-localhost", strings.HasSuffix(host, ".localhost"), strings.HasSuffix(host, ".internal"), host == "0", host == "localtest.me", strings.HasSuffix(host, ".localtest.me"), host == "host.docker.internal",
		host == "spoofed.burpcollaborator.net", strings.HasSuffix(host, ".burpcollaborator.net"), strings.HasSuffix(host, ".oastify.com"), strings.HasSuffix(host, ".interact.sh"), strings.HasSuffix(host, ".oast.fun"), strings.HasSuffix(host, "r3dir.me"), strings.HasSuffix(host, "lvh.me"), strings.HasSuffix(host, "1u.ms"), strings.HasSuffix(host, "rbndr.us"):
		x.say(ruleSSRFLocal, 0, len(s))
		return true
	}
	for _, top := range [...]string{".local", ".lan", ".corp", ".intranet", ".home.arpa", ".consul", ".svc"} {
		if strings.HasSuffix(host, top) {
			x.say(ruleSSRFLocal, 0, len(s))
			return true
		}
	}
	for _, dns := range [...]string{".nip.io", ".sslip.io", ".xip.io"} {
		if strings.HasSuffix(host, dns) {
			x.say(ruleSSRFNumeric, 0, len(s))
			return true
		}
	}
	if !numericHost(host) {
		return false
	}
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil: // decimal, octal, hexadecimal or shortened
		x.say(ruleSSRFNumeric, 0, len(s))
		return true
	case a.IsLoopback(), a.IsPrivate(), a.IsLinkLocalUnicast(), a.IsUnspecified(), a.IsMulticast():
		x.say(ruleSSRFLocal, 0, len(s))
		return true
	case script(rest):
		x.say(ruleInclusion, 0, len(s))
		return true
	}
	return userinfo
}

// script reports whether an URL's path names a script.
func script(rest string) bool {
	path := rest
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	for _, ext := range [...]string{".php", ".txt", ".jsp", ".asp", ".aspx", ".sh", ".py", ".pl", ".exe", ".ps1"} {
		if strings.HasSuffix(path, ext) {
			return true
		}
	}
	return false
}

// numericHost reports whether a host consists of numbers only, in any base.
func numericHost(h string) bool {
	if h == "" || !isDigit(h[0]) {
		return false
	}
	for _, part := range strings.Split(h, ".") {
		if strings.HasPrefix(part, "0x") {
			part = part[2:]
			for i := range len(part) {
				if !isHex(part[i]) {
					return false
				}
			}
			continue
		}
		if part == "" || !number10(part) {
			return false
		}
	}
	return true
}

// literal6 judges an IPv6 address in brackets.
func (x *inspection) literal6(h, rest string) bool {
	zone := strings.IndexByte(h, '%')
	if zone >= 0 {
		h = h[:zone]
	}
	a, err := netip.ParseAddr(h)
	switch {
	case err != nil:
		if strings.Trim(h, "0123456789abcdef:.") != "" {
			return false
		}
		x.say(ruleSSRFNumeric, 0, len(x.text))
	case zone >= 0, a.IsLoopback(), a.IsUnspecified(), a.Is4In6(), a.IsLinkLocalUnicast(), a.IsPrivate():
		x.say(ruleSSRFLocal, 0, len(x.text))
	case script(rest):
		x.say(ruleInclusion, 0, len(x.text))
	default:
		x.say(ruleSSRFNumeric, 0, len(x.text)) // a service of the public has a name
	}
	return true
}
