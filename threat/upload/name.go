package upload

import (
	"net/url"
	"path"
	"strings"
	"unicode"

	"github.com/makerguard/makerguard"
)

var (
	ruleNamePath    = &rule{"upload.name.path", makerguard.PathTraversal, makerguard.SeverityHigh, certain, "The file's name is a path, by which it could be stored in another directory."}
	ruleNameControl = &rule{"upload.name.control", makerguard.PathTraversal, makerguard.SeverityHigh, certain, "Characters in the file's name that end it for some readers, or that show it differently from what it is."}
	ruleNameDevice  = &rule{"upload.name.device", makerguard.PathTraversal, makerguard.SeverityMedium, certain, "Windows takes the file's name for a device or for a hidden stream of another file."}
	ruleNameConfig  = &rule{"upload.name.config", makerguard.CodeInjection, makerguard.SeverityCritical, certain, "A web server would take the file for its settings, and run what they name."}
	ruleNameScript  = &rule{"upload.name.script", makerguard.CodeInjection, makerguard.SeverityCritical, certain, "A web server could run the file as a script because of an ending in its name."}
	ruleNameProgram = &rule{"upload.name.program", makerguard.CodeInjection, makerguard.SeverityHigh, certain, "A program or script by its name, which runs where somebody opens it."}
)

// serverEndings are those that a web server runs, wherever they stand in a name: servers look
// at each of several endings (Apache's mod_mime).
var serverEndings = endings(`php php2 php3 php4 php5 php6 php7 php8 phps pht phtm phtml phar
	asp aspx asa asax ascx ashx asmx cshtml vbhtml jsp jspx jspf jspa jhtml cfm cfml cfc cgi fcgi shtml shtm`)

// programEndings are those that run by themselves. Only the last ending counts: catalog.pl.csv is
// Polish.
var programEndings = endings(`exe dll com bat cmd msi msp mst scr pif cpl lnk url scf inf reg hta jar war ear class
	ps1 psm1 psd1 vb vbs vbe js mjs cjs jse ws wsf wsh sct chm hlp xll xlam xlsm xltm docm dotm pptm potm ppam ppsm
	sh bash zsh csh ksh py pyc pyw pl pm rb lua tcl so dylib ko app command apk ipa deb rpm dmg pkg desktop appimage iso img vhd vhdx swf htc`)

var configNames = endings(`.htaccess .htpasswd .user.ini web.config php.ini .env`)

var devices = endings(`con prn aux nul conin$ conout$ clock$ com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 com¹ com² com³
	lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 lpt¹ lpt² lpt³`)

func endings(list string) map[string]bool {
	m := map[string]bool{}
	for _, e := range strings.Fields(list) {
		m[e] = true
	}
	return m
}

// maxName bounds in bytes what is looked at of a name; file systems take 255.
const maxName = 1024

// fileName inspects the file's name as it is, and as it is once its escapes are decoded.
func (x *inspection) fileName() {
	name := x.file.Name
	if name == "" {
		return
	}
	x.named(name[:min(len(name), maxName)])
	if decoded, err := url.PathUnescape(name[:min(len(name), maxName)]); err == nil && decoded != name {
		x.named(decoded)
	}
}

func (x *inspection) named(name string) {
	say := func(r *rule) { x.note(r, name, makerguard.InFilename) }
	if isPath(name) {
		say(ruleNamePath)
	}
	if strings.ContainsFunc(name, misleading) {
		say(ruleNameControl)
	}
	base := strings.ToLower(plainName(name))
	first, _, _ := strings.Cut(base, ".")
	if devices[strings.TrimRight(first, " ")] || strings.Contains(name, "::$") {
		say(ruleNameDevice)
	}
	if configNames[base] {
		say(ruleNameConfig)
	}
	switch runnable(base) {
	case runsOnServer:
		say(ruleNameScript)
	case runsOnOpening:
		say(ruleNameProgram)
	}
}

// isPath reports whether a name says where to store the file.
func isPath(name string) bool {
	return strings.ContainsAny(name, `/\`) || name == ".." || name == "." ||
		len(name) >= 2 && name[1] == ':' && ('a' <= name[0]|0x20 && name[0]|0x20 <= 'z')
}

// misleading are controls, and what turns the direction of writing around: "gpj.exe" reads
// "exe.jpg".
func misleading(r rune) bool {
	return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// plainName is the name that a file is stored under: without directories, what Windows and
// servers cut off (a NUL, a stream's name, a path parameter), and dots and spaces at its end.
func plainName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if i := strings.IndexAny(name, ":;\x00"); i > 0 {
		if rest := strings.TrimRight(name[:i], ". "); runnable(strings.ToLower(rest)) != runsNowhere {
			name = rest
		}
	}
	return strings.TrimRight(name, ". \t\r\n\x00")
}

// danger is where a file is run.
type danger int

const (
	runsNowhere danger = iota
	runsOnOpening
	runsOnServer
)

// runnable judges a name in lower case by its endings.
func runnable(base string) danger {
	d := runsNowhere
	if programEndings[strings.TrimPrefix(path.Ext(base), ".")] {
		d = runsOnOpening
	}
	_, rest, found := strings.Cut(base, ".")
	for found {
		var ending string
		ending, rest, found = strings.Cut(rest, ".")
		if i := strings.IndexAny(ending, ":; \x00"); i >= 0 {
			ending = ending[:i]
		}
		if serverEndings[ending] {
			return runsOnServer
		}
	}
	return d
}
