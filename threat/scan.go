package threat

import (
	"strings"
	"unicode/utf8"
)

// marks says which bytes and words of interest a text holds. Each voice has a
// gate of marks without which it cannot have anything to say.
type marks uint64

const (
	markSingle     marks = 1 << iota // '
	markDouble                       // "
	markTick                         // `
	markLess                         // <
	markGreater                      // >
	markSlash                        // /
	markBack                         // \
	markPercent                      // %
	markAmp                          // &
	markSemi                         // ;
	markPipe                         // |
	markDollar                       // $
	markBrace                        // { }
	markParen                        // ( )
	markBracket                      // [ ]
	markEqual                        // =
	markHash                         // #
	markStar                         // *
	markAt                           // @
	markColon                        // :
	markBang                         // !
	markPlus                         // +
	markDots                         // ..
	markDashes                       // --
	markLine                         // CR, LF
	markControl                      // other control bytes, but TAB
	markNUL                          // NUL
	markFold                         // runes that fold to ASCII under NFKC, or that break filters
	markHidden                       // runes and escapes that become punctuation of attacks
	markCurly                        // typographic quotes
	markInvalid                      // bytes that are not UTF-8
	markWord                         // a word of the SQL grammar that is no everyday English
	markLogic                        // AND, OR and other SQL words that are
	markCaret                        // ^
	markEscape                       // % or & with what follows in an escape
	markWideSign                     // ; | & ` ( of full width: everyday signs of Chinese,
	markWideLetter                   // but not beside letters of full width
	markPair                         // @ with what follows in code
	markNoun                         // of words with markCode: also an everyday noun
	markShell                        // a program that attackers start on Windows
	markCode                         // a word that code calls or takes apart, followed by what code has there

	markQuote = markSingle | markDouble | markTick
)

// byteMarks gives the mark of every ASCII byte; 0 for what needs none.
var byteMarks = [utf8.RuneSelf]marks{
	'\'': markSingle, '"': markDouble, '`': markTick, '<': markLess, '>': markGreater,
	'/': markSlash, '\\': markBack, '%': markPercent, '&': markAmp, ';': markSemi, '|': markPipe,
	'$': markDollar, '{': markBrace, '}': markBrace, '(': markParen, ')': markParen,
	'[': markBracket, ']': markBracket, '=': markEqual, '#': markHash, '*': markStar, '@': markAt,
	':': markColon, '!': markBang, '^': markCaret, '+': markPlus, '\r': markLine, '\n': markLine, 0: markNUL,
	1: markControl, 2: markControl, 3: markControl, 4: markControl, 5: markControl, 6: markControl,
	7: markControl, 8: markControl, 11: markControl, 12: markControl, 14: markControl,
	15: markControl, 16: markControl, 17: markControl, 18: markControl, 19: markControl,
	20: markControl, 21: markControl, 22: markControl, 23: markControl, 24: markControl,
	25: markControl, 26: markControl, 27: markControl, 28: markControl, 29: markControl,
	30: markControl, 31: markControl, 127: markControl,
}

// lower maps ASCII letters to lower case, digits and the underscore to themselves and all
// else to 0: it answers "is this part of a word" and folds it at once.
var lower = func() (t [256]byte) {
	for b := range t {
		switch c := byte(b); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
			t[b] = c
		case 'A' <= c && c <= 'Z':
			t[b] = c + 'a' - 'A'
		}
	}
	return t
}()

// scan is the first pass. It reads every byte once, hashing words on the way, and does
// not allocate.
func scan(s string) marks {
	var m marks
	for i := 0; i < len(s); {
		c := s[i]
		if l := lower[c]; l != 0 {
			start, h := i, uint32(wordSeed)
			if isDigit(c) {
				// "1or 1=1" is SQL: a word begins behind the digits.
				for i++; i < len(s) && isDigit(s[i]); i++ {
				}
				start = i
			}
			for i < len(s) {
				if l = lower[s[i]]; l == 0 {
					break
				}
				h = (h ^ uint32(l)) * wordPrime
				i++
			}
			if i-start < 2 {
				continue
			}
			if known := wordAt(s[start:i], h); known != 0 {
				w := words[known].marks
				if w&markCode != 0 && !goesOn(s, i) || w&markNoun != 0 && !codeFollows(s, i) {
					w &^= markCode
				}
				m |= w &^ markNoun
			}
			if i < len(s) && s[i] <= '(' && called(s, start, i) {
				m |= markCode
			}
			continue
		}
		if c < utf8.RuneSelf {
			m |= byteMarks[c]
			if i++; i < len(s) && c != ' ' {
				m |= pairMark(c, s[i])
			}
			continue
		}
		if c == 0xC2 && i+1 < len(s) && s[i+1] == 0xA0 { // a no-break space ends a word as others do
			i += 2
			continue
		}
		n, extra := scanRune(s[i:])
		m |= extra
		i += n
		// Letters behind it belong to the same word, which is no keyword.
		for i < len(s) && lower[s[i]] != 0 {
			i++
		}
	}
	if m&markWideSign != 0 && m&markWideLetter != 0 {
		m |= markHidden
	}
	return m
}

// pairMark gives the mark of two bytes in a row.
func pairMark(c, d byte) marks {
	switch c {
	case '.':
		if d == '.' {
			return markDots
		}
	case '-':
		if d == '-' {
			return markDashes
		}
	case '+':
		if d == 'A' { // UTF-7
			return markHidden
		}
	case '%':
		if lower[d] != 0 || d == '%' || d == '{' {
			return markEscape
		}
	case '@':
		if d == '@' || d == '(' || d == '{' {
			return markPair
		}
	case '&':
		if isLetter(d) || d == '#' {
			return markEscape
		}
	}
	return 0
}

// point is a place in a view that a voice may begin to read at: a byte with a mark, or a word
// that the table knows.
type point struct {
	pos  uint32
	size uint16 // of the word; longer than 2^16 none is
	word uint16 // index in words; 0 for a byte
}

// index collects the points of s. The voices go from point to point, not from byte to byte.
func index(points []point, s string) []point {
	for i := 0; i < len(s); {
		c := s[i]
		if lower[c] != 0 {
			start, h := i, uint32(wordSeed)
			if isDigit(c) {
				for i++; i < len(s) && isDigit(s[i]); i++ {
				}
				start = i
			}
			for ; i < len(s) && lower[s[i]] != 0; i++ {
				h = (h ^ uint32(lower[s[i]])) * wordPrime
			}
			if i-start < 2 {
				continue
			}
			w := wordAt(s[start:i], h)
			// Some databases end the number in 1e0UNION and begin the word by themselves.
			if w == 0 && start > 0 && isDigit(s[start-1]) && i-start > 5 && i-start < 9 && equalFold(s[i-5:i], "union") {
				start = i - 5
				w = wordAt(s[start:i], hash("union"))
			}
			if words[w].class != other {
				points = append(points, point{uint32(start), uint16(i - start), uint16(w)})
			}
			continue
		}
		if c < utf8.RuneSelf {
			if byteMarks[c] != 0 {
				points = append(points, point{pos: uint32(i), size: 1})
			}
			i++
			continue
		}
		if c == 0xC2 && i+1 < len(s) && s[i+1] == 0xA0 {
			i += 2
			continue
		}
		for i < len(s) && isWordByte(s[i]) && (s[i] != 0xC2 || i+1 >= len(s) || s[i+1] != 0xA0) {
			i++
		}
	}
	return points
}

// called reports whether the word [start, i) stands before a parenthesis and may be the
// name of a function that no table holds.
func called(s string, start, i int) bool {
	if s[i] == ' ' && i+1 < len(s) && s[i+1] == '(' || s[i] == '(' {
		return i-start > 10 || strings.IndexByte(s[start:i], '_') >= 0
	}
	return false
}

// codeFollows reports whether a noun that ends at i is followed by what it has in code only:
// "top.location" and "frames[0]", but not "top, frames".
func codeFollows(s string, i int) bool {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i+1 >= len(s) {
		return false
	}
	switch s[i] {
	case '(', '[', ']', '=', '`', '/':
		return true
	case '.', '?':
		return s[i+1] == '.' || lower[s[i+1]] != 0
	}
	return false
}

// goesOn reports whether a word that ends at i is followed by what code has there.
func goesOn(s string, i int) bool {
	if i < len(s) && isSpace(s[i]) {
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		return i < len(s) && (s[i] == '(' || s[i] == '[' || s[i] == '=' || s[i] == '`' || s[i] == '/' || s[i] == '#')
	}
	if i < len(s) {
		switch s[i] {
		case '(', '[', ']', '=', '`', '/', '<', '#', '}', ';', ')', ',':
			return true
		case '.', '?':
			return i+1 < len(s) && (lower[s[i+1]] != 0 || s[i+1] == '.')
		}
	}
	return false
}

// scanRune classifies the non-ASCII rune that s starts with.
func scanRune(s string) (int, marks) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n == 1:
		return 1, markInvalid
	case curly(r) != 0:
		return n, markCurly
	case folds(r):
		// A comma or a bracket of full width is everyday Chinese.
		switch f := bestFit(r); f {
		case '<', '>', '\'', '"', '%', '{', '}', '=', '\\', '/', '$', '.', '\n', '\r':
			return n, markFold | markHidden
		case ';', '|', '&', '`', '(', ')':
			return n, markFold | markWideSign
		default:
			if lower[byte(f&0x7F)] != 0 && f < utf8.RuneSelf {
				return n, markFold | markWideLetter
			}
		}
		return n, markFold
	}
	return n, 0
}

// folds reports whether r may become ASCII further on: by NFKC, by a best-fit
// mapping, or by a cut to its low byte.
func folds(r rune) bool {
	switch {
	case r < 0x2000:
		return false
	case r >= 0xFF01 && r <= 0xFF5E, // fullwidth forms
		r >= 0x2460 && r <= 0x24FF,                                      // enclosed alphanumerics
		r >= 0xFE50 && r <= 0xFE6F,                                      // small form variants
		r >= 0x1D400 && r <= 0x1D7FF,                                    // mathematical alphanumerics
		r == 0x2044, r == 0x2215, r == 0x2216, r == 0x29F5, r == 0x29F8, // slashes
		r == 0x2024, r == 0x3002, r == 0xFF61, // full stops
		r == 0x212A,              // Kelvin sign
		r == 0xEFC8, r == 0xF025, // private use, mapped to "/" by old servers
		r == 0x560A, r == 0x560D, // low bytes LF, CR
		r == 0x563C, r == 0x563E: // low bytes <, >
		return true
	}
	return false
}

// curly gives the straight quote for a typographic one, 0 for any other rune.
func curly(r rune) byte {
	switch r {
	case '\u2018', '\u2019', '\u2032', '\u02BC', '\u201B':
		return '\''
	case '\u201C', '\u201D', '\u2033':
		return '"'
	}
	return 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isWordByte reports whether c belongs to a word; bytes of multi-byte runes do.
func isWordByte(c byte) bool { return lower[c] != 0 || c >= utf8.RuneSelf }

// isSpace covers what SQL, HTML and shells take for white space.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
