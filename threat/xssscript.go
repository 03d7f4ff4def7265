package threat

import (
	"strings"
)

// handlers finds event handlers behind a quote: the text was meant for an attribute.
func (x *inspection) handlers() {
	s := x.text
	for i := 0; i+5 < len(s); i++ {
		if s[i]|0x20 != 'o' || s[i+1]|0x20 != 'n' || i > 0 && isWordByte(s[i-1]) {
			continue
		}
		end := i + 2
		for end < len(s) && isLetter(s[end]) {
			end++
		}
		eq := end
		for eq < len(s) && isSpace(s[eq]) {
			eq++
		}
		if end-i < 5 || eq >= len(s) || s[eq] != '=' || eq+1 < len(s) && s[eq+1] == '=' {
			continue
		}
		b := i
		for b > 0 && (isSpace(s[b-1]) || s[b-1] == '/' || s[b-1] == '+') {
			b--
		}
		switch {
		case b > 0 && b <= i && (s[b-1] == '"' || s[b-1] == '\'' || s[b-1] == '`' || s[b-1] == '<'), event(s[i:end]):
			x.say(ruleXSSBreak, b, len(s))
			return
		}
		i = eq
	}
}

// strippedHandlers reads the view as a filter leaves it that drops tags: on<x>focus is onfocus.
func (x *inspection) strippedHandlers() {
	s := x.text
	var b strings.Builder
	done := 0
	for i := 1; i+2 < len(s); i++ {
		lt := strings.IndexByte(s[i:], '<')
		if lt < 0 {
			break
		}
		i += lt
		end := strings.IndexByte(s[i:min(len(s), i+maxSplit)], '>')
		if end < 0 || i+end+1 >= len(s) || !isLetter(s[i-1]) || !isLetter(s[i+end+1]) {
			continue
		}
		b.WriteString(s[done:i])
		done = i + end + 1
		i = done
	}
	if done == 0 {
		return
	}
	b.WriteString(s[done:])
	before := x.found[voiceXSS]
	x.text = b.String()
	x.handlers()
	x.text = s
	if h := &x.found[voiceXSS]; *h != before { // what was said is not of this text
		h.start, h.end = 0, min(len(s), maxEvidence)
	}
}

// maxSplit is how long a tag is, at most, that only splits a word.
const maxSplit = 16

// event reports whether s is the name of an event handler.
func event(s string) bool { return len(s) < maxEvent && events[strings.ToLower(s)] }

// maxEvent bounds the name of an event handler.
const maxEvent = 48

// events are the handlers of HTML and SVG, and those of old browsers.
var events = set("onabort", "onactivate", "onafterprint", "onafterscriptexecute", "onanimationcancel", "onanimationend", "onanimationiteration", "onanimationstart", "onauxclick",
	"onbeforecopy", "onbeforecut", "onbeforeinput", "onbeforematch", "onbeforepaste", "onbeforeprint", "onbeforescriptexecute", "onbeforetoggle", "onbeforeunload", "onbegin", "onblur", "onbounce",
	"oncancel", "oncanplay", "oncanplaythrough", "onchange", "onclick", "onclose", "oncontentvisibilityautostatechange", "oncontextmenu", "oncopy", "oncuechange", "oncut", "ondblclick", "ondrag",
	"ondragend", "ondragenter", "ondragexit", "ondragleave", "ondragover", "ondragstart", "ondrop", "ondurationchange", "onemptied", "onended", "onerror", "onfilterchange", "onfinish", "onfocus",
	"onfocusin", "onfocusout", "onformdata", "onfullscreenchange", "ongesturechange", "ongestureend", "ongesturestart", "ongotpointercapture", "onhashchange", "onhelp", "oninput", "oninvalid",
	"onkeydown", "onkeypress", "onkeyup", "onload", "onloadeddata", "onloadedmetadata", "onloadend", "onloadstart", "onlosecapture", "onlostpointercapture", "onmessage", "onmousedown", "onmouseenter",
	"onmouseleave", "onmousemove", "onmouseout", "onmouseover", "onmouseup", "onmousewheel", "onoffline", "ononline", "onpagehide", "onpagereveal", "onpageshow", "onpageswap", "onpaste", "onpause",
	"onplay", "onplaying", "onpointercancel", "onpointerdown", "onpointerenter", "onpointerleave", "onpointermove", "onpointerout", "onpointerover", "onpointerrawupdate", "onpointerup", "onpopstate",
	"onprogress", "onpropertychange", "onratechange", "onreadystatechange", "onrejectionhandled", "onrepeat", "onreset", "onresize", "onscroll", "onscrollend", "onscrollsnapchange",
	"onscrollsnapchanging", "onsearch", "onsecuritypolicyviolation", "onseeked", "onseeking", "onselect", "onselectionchange", "onselectstart", "onshow", "onslotchange", "onstalled", "onstart",
	"onstorage", "onsubmit", "onsuspend", "ontimeupdate", "ontoggle", "ontouchcancel", "ontouchend", "ontouchmove", "ontouchstart", "ontransitioncancel", "ontransitionend", "ontransitionrun",
	"ontransitionstart", "onunhandledrejection", "onunload", "onvolumechange", "onwaiting", "onwebkitanimationend", "onwebkitanimationstart", "onwebkitplaybacktargetavailabilitychanged",
	"onwebkittransitionend", "onwheel", "onzoom")

// scriptURLs finds script URLs outside of tags.
func (x *inspection) scriptURLs() {
	s := x.text
	for i := strings.IndexByte(s, ':'); i >= 0 && i < len(s); {
		if start := schemeStart(s, i); start >= 0 {
			rest := s[i+1:]
			// "JavaScript: the good parts" is a title.
			if rest != "" && (rest[0] != ' ' || codeAfterSpace(rest)) {
				x.say(ruleXSSURL, start, len(s))
				return
			}
		}
		if i >= 4 && hasPrefixFold(s[i-4:], "data:") && x.dataURL(i) {
			return
		}
		n := strings.IndexByte(s[i+1:], ':')
		if n < 0 {
			break
		}
		i += n + 1
	}
	if x.has(markCode) && x.has(markParen) {
		if i := indexFold(s, "expression("); i > 0 && !isWordByte(s[i-1]) {
			x.say(ruleXSSStyle, i, len(s))
		}
	}
	for i := strings.IndexByte(s, '-'); i >= 0; {
		if hasPrefixFold(s[i:], "-moz-binding") {
			x.say(ruleXSSStyle, i, len(s))
			return
		}
		n := strings.IndexByte(s[i+1:], '-')
		if n < 0 {
			return
		}
		i += n + 1
	}
}

// codeAfterSpace reports whether a script URL with a space behind the colon goes on as code
// rather than as the subtitle of a book.
func codeAfterSpace(s string) bool {
	s = strings.TrimLeft(s, " \t")
	n := 0
	for n < len(s) && (lower[s[n]] != 0 || s[n] == '.' || s[n] == '$') {
		n++
	}
	return n < len(s) && strings.IndexByte("(=`[\\;/%", s[n]) >= 0
}

// dataURL judges the data: URL whose colon is at i.
func (x *inspection) dataURL(i int) bool {
	rest := strings.ToLower(x.text[i+1 : min(len(x.text), i+48)])
	for _, t := range [...]string{"text/html", "text/javascript", "application/javascript", "image/svg+xml", "text/xml", "application/xml", "application/xhtml"} {
		if strings.HasPrefix(rest, t) {
			x.say(ruleXSSURL, i-4, len(x.text))
			return true
		}
	}
	if comma := strings.IndexByte(rest, ','); comma >= 0 && strings.IndexByte(rest[comma:], '<') >= 0 {
		x.say(ruleXSSURL, i-4, len(x.text))
		return true
	}
	return false
}

// schemeStart returns where "javascript" or "vbscript" begins that ends at the colon at
// i, or -1. Browsers ignore white space and controls inside.
func schemeStart(s string, i int) int {
	for _, w := range [...]string{"javascript", "vbscript"} {
		k, b := len(w)-1, i-1
		for b >= 0 && k >= 0 && i-b < 64 {
			switch {
			case lower[s[b]] == w[k]:
				k--
				b--
				continue
			case s[b] <= ' ' || s[b] == '\\' || s[b] == '+':
				b--
				continue
			}
			break
		}
		if k < 0 && (b < 0 || !isLetter(s[b])) {
			return b + 1
		}
	}
	return -1
}

// javascript finds calls and properties that only code has.
func (x *inspection) javascript() {
	s := x.text
	for i := 0; i < len(s); {
		if lower[s[i]] == 0 {
			i++
			continue
		}
		start := i
		for i < len(s) && (lower[s[i]] != 0 || s[i] == '$') {
			i++
		}
		if start > 0 && s[start-1] >= 0x80 {
			continue
		}
		if k := scriptWords[s[start:i]]; k != 0 && x.scriptWord(k, start, i) {
			x.say(ruleXSSCode, start, len(s))
			return
		}
	}
}

// scriptKind says how a word of JavaScript, which minds the case, gives itself away.
type scriptKind uint8

const (
	calledFn   scriptKind = 1 + iota // called with an argument that is code: alert(1)
	objectName                       // an object whose property is used: document.cookie
	property                         // a property name that speaks alone behind a dot
	newName                          // behind "new"
	keyword                          // function (...) {
)

var scriptWords = map[string]scriptKind{
	"alert": calledFn, "confirm": calledFn, "prompt": calledFn, "eval": calledFn,
	"setTimeout": calledFn, "setInterval": calledFn, "setImmediate": calledFn, "execScript": calledFn, "atob": calledFn, "btoa": calledFn,
	"fetch": calledFn, "importScripts": calledFn, "Function": calledFn, "unescape": calledFn, "decodeURIComponent": calledFn, "print": calledFn,
	"require": calledFn, "getElementById": calledFn, "querySelector": calledFn, "msWriteProfilerMark": calledFn, "MsgBox": calledFn,
	"document": objectName, "window": objectName, "location": objectName, "self": objectName, "top": objectName, "parent": objectName, "frames": objectName,
	"globalThis": objectName, "navigator": objectName, "localStorage": objectName, "sessionStorage": objectName, "String": objectName, "history": objectName,
	"this": objectName, "console": objectName, "Reflect": objectName, "Object": objectName, "opener": objectName,
	"innerHTML": property, "outerHTML": property, "fromCharCode": property, "insertAdjacentHTML": property, "srcdoc": property, "__defineGetter__": property,
	"constructor": property, "XMLHttpRequest": newName, "Image": newName, "ActiveXObject": newName, "Worker": newName, "WebSocket": newName,
	"function": keyword, "addEventListener": property, "onerror": property, "appendChild": property, "createElement": property,
}

var scriptProperties = map[string]bool{
	"cookie": true, "domain": true, "write": true, "writeln": true, "location": true, "body": true, "createElement": true, "getElementById": true,
	"querySelector": true, "forms": true, "href": true, "hash": true, "search": true, "assign": true, "replace": true, "open": true,
	"fromCharCode": true, "document": true, "name": true, "opener": true, "execScript": true, "documentElement": true, "URL": true, "referrer": true, "alert": true,
	"eval": true, "sendBeacon": true, "userAgent": true, "getItem": true, "setItem": true, "pushState": true, "log": true, "info": true, "apply": true, "call": true, "defineProperty": true,
	"fromcharcode": true, "getElementsByTagName": true, "vulnerable": true, "innerHTML": true, "setTimeout": true,
}

// maxCode bounds how far around a word of JavaScript what proves it to be code is looked for.
const maxCode = 512

// scriptWord judges the word at [start, end).
func (x *inspection) scriptWord(k scriptKind, start, end int) bool {
	s := x.text
	next := byte(0)
	i := end
	for i < len(s) && (isSpace(s[i]) || strings.HasPrefix(s[i:], "/*")) {
		if s[i] == '/' {
			c := strings.Index(s[i:min(len(s), i+64)], "*/")
			if c < 0 {
				break
			}
			i += c + 1
		}
		i++
	}
	if i < len(s) {
		next = s[i]
	}
	glued := i == end
	switch k {
	case calledFn:
		switch next {
		case '(':
			return codeArgument(s[i+1:], glued)
		case '`':
			// Not the end of Markdown's code: `prompt`
			return glued && i+1 < len(s) && strings.Count(s[max(0, start-maxShellWord):start], "`")%2 == 0
		}
		if glued && strings.HasPrefix(s[i:], "?.(") {
			return true
		}
		if next == '.' && i+5 < len(s) {
			return strings.HasPrefix(s[i:], ".call(") || strings.HasPrefix(s[i:], ".apply(") || strings.HasPrefix(s[i:], ".bind(") || strings.HasPrefix(s[i:], ".call`")
		}
		b := start
		for b > 0 && isSpace(s[b-1]) {
			b--
		}
		if next == ')' && b > 0 && s[b-1] == '(' && i+1 < len(s) && s[i+1] == '(' || next == ',' && b > 0 && s[b-1] == '=' {
			return true // (alert)(1) and a=alert,a(1)
		}
		// onerror=alert, [1].find(alert), ${alert}
		if next == '}' || next == ';' || next == ')' {
			return b > 1 && (s[b-1] == '{' && s[b-2] == '$' || s[b-1] == '=' && next == ';' || s[b-1] == '(' && b > 1 && isWordByte(s[b-2]) && b == start && next == ')' && strings.IndexByte(s[max(0, b-maxCode):b-1], '.') >= 0)
		}
	case objectName:
		switch {
		case next == '.' && glued:
			p := i + 1
			for p < len(s) && lower[s[p]] != 0 {
				p++
			}
			if !scriptProperties[s[i+1:p]] {
				return false
			}
			if len(s) > p && s[p] == '.' {
				return p+1 < len(s) && isLetter(s[p+1])
			}
			// "see document.name" is prose; code goes on.
			return p < len(s) && strings.IndexByte("(=;[)`,+'\"/}<|&", s[p]) >= 0 || p == len(s) && start == 0
		case next == '[':
			p := i + 1
			for p < len(s) && isSpace(s[p]) {
				p++
			}
			if computedCall(s[p:min(len(s), p+maxKey)]) {
				return true
			}
			return p < len(s) && (strings.IndexByte("'\"`/", s[p]) >= 0 || strings.HasPrefix(s[p:], "atob") || s[p] == '(' || s[p] == '!')
		case next == '=' && equalFold(s[start:end], "location") && glued:
			rest := s[i+1:]
			return rest != "" && (rest[0] == '\'' || rest[0] == '"' || rest[0] == '`' || strings.HasPrefix(rest, "name") || strings.HasPrefix(rest, "java"))
		}
	case property:
		return start > 0 && s[start-1] == '.' && (next == '(' || next == '=' || next == '[' || next == '`' || next == '.' && strings.HasPrefix(s[end:], ".constructor"))
	case newName:
		b := start
		for b > 0 && isSpace(s[b-1]) {
			b--
		}
		return next == '(' && b >= 3 && strings.HasSuffix(s[:b], "new")
	case keyword:
		if next != '(' {
			return false
		}
		c := strings.IndexByte(s[i:min(len(s), i+64)], ')')
		return c >= 0 && strings.HasPrefix(strings.TrimLeft(s[i+c+1:], " \n\t"), "{")
	}
	return false
}

// computedCall reports whether s, behind the bracket after an object, computes the name of what is
// called: top[a+b](1). Markdown has links of that form, [top](#up) behind another.
func computedCall(s string) bool {
	end := strings.IndexByte(s, ']')
	return end > 0 && end+2 < len(s) && s[end+1] == '(' && !number10(s[:end]) && strings.IndexByte(s[:end], ' ') < 0 && !linkTarget(s[end+2:])
}

// codeArgument reports whether what stands behind an opening parenthesis is an argument
// of code rather than "(s)" or "(orange)".
func codeArgument(s string, glued bool) bool {
	s = strings.TrimLeft(s, " \t\r\n(")
	if s == "" {
		return false
	}
	switch c := s[0]; {
	case c == '\'' || c == '"' || c == '`' || c == '/' || c == '[' || c == '{' || c == '!':
		return glued || strings.IndexByte(s[:min(len(s), maxCode)], ')') >= 0
	case isDigit(c):
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		return glued && n < len(s) && (s[n] == ')' || s[n] == ',' || s[n] == '+' || s[n] == '/')
	case c == ')':
		return glued
	}
	n := 0
	for n < len(s) && (lower[s[n]] != 0 || s[n] == '$') {
		n++
	}
	if n == 0 || n >= len(s) || !glued {
		return false
	}
	return s[n] == '.' || s[n] == '(' || s[n] == '`' || s[n] == '[' || s[n] == '+' || scriptWords[s[:n]] != 0 || n > 1 && (s[n] == ')' || s[n] == ',')
}
