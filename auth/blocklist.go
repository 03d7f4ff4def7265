package auth

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The list of passwords that are refused (SP 800-63B-4 section 3.1.1.2, ASVS 6.2.4). It is
// not stored in full but defined by a small grammar, since a minimum of 15 characters
// makes people lengthen a short common password in the few ways that everybody uses:
//
//	password = unit, repeated
//	unit     = word, walks, fillers in any order: at most one word (or two top words
//	           side by side), and that or a walk at least
//	filler   = at most 8 digits and other signs in all
//	word     = an entry of blocklist.txt.gz (passwords seen in breaches, the most frequent
//	           first, then names and frequent words), of moreWords, or one that belongs to
//	           the account; also with the usual signs for letters, as in p@ssw0rd
//	walk     = at least 3 signs along a track: keyboard rows and columns, the alphabet,
//	           digits, in either direction; or one sign, repeated
//
// so "password2024!", "qwertyuiopasdfgh", "dragondragondragon" and "123456789012345" are in
// it. The whole password is compared, in lower case, never a part of it: words inside
// a longer password are no reason to refuse it.
//
//go:generate go run blocklist_gen.go package/lib/frequency_lists.js
//go:embed blocklist.txt.gz
var blocklistFile []byte

// topWords is how many of the first entries also count when two stand side by side.
const topWords = 300

// moreWords are those of our own trade, and what administrators use.
var moreWords = []string{
	"makerguard", "manufacturer", "manufacturers", "marketplace", "eyewear", "eyeglasses", "sunglasses",
	"glasses", "spectacles", "optician", "platform", "operator", "admin", "administrator", "superuser",
	"supervisor", "changeme", "default", "guest", "demo", "root", "login", "user", "username", "company",
	"welcome", "letmein", "letmeinplease", "pass", "passphrase", "mypassword", "thisismypassword",
	"correcthorsebatterystaple", "thequickbrownfox", "thequickbrownfoxjumpsoverthelazydog",
	"tobeornottobe", "loremipsumdolorsitamet", "opensesame", "secretpassword", "supersecretpassword",
	"nopassword", "temporary", "temp", "test", "testing", "spring", "summer", "autumn", "fall", "winter",
	"january", "february", "march", "april", "june", "july", "august", "september", "october", "november",
	"december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
}

// tracks are what fingers and counting follow; circular ones are written twice.
var tracks = func() []string {
	forward := []string{
		"qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertyuiopasdfghjklzxcvbnm",
		"qwertzuiopü", "asdfghjklöä", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
		"`1234567890-=", "!@#$%^&*()_+", "!\"§$%&/()=",
		"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qazwsxedcrfvtgbyhnujmikolp", "1q2w3e4r5t6y7u8i9o0p",
		"q1w2e3r4t5y6u7i8o9p0", "1qaz", "zaq12wsxcde34rfvbgt56yhnmju7", "qweasdzxc", "qawsedrftgyhujikolp",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "01234567890123456789", "a1b2c3d4e5f6g7h8i9j0",
		"1a2b3c4d5e6f7g8h9i0j", "147258369", "159753", "112233445566778899", "13579", "24680",
	}
	all := make([]string, 0, 2*len(forward))
	for _, t := range forward {
		all = append(all, t, reverse(t))
	}
	return all
}()

func reverse(s string) string {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeLastRuneInString(s)
		out = utf8.AppendRune(out, r)
		s = s[:len(s)-n]
	}
	return string(out)
}

// commonWords holds the words as sorted hashes, which takes a tenth of the room of their text.
// The seed is random, so nobody can choose a collision.
type commonWords struct {
	seed maphash.Seed
	all  []uint64
	top  []uint64 // the first topWords, and moreWords
}

var common = sync.OnceValue(func() commonWords {
	c := commonWords{seed: maphash.MakeSeed()}
	z, err := gzip.NewReader(bytes.NewReader(blocklistFile))
	if err != nil {
		panic("the embedded blocklist is damaged: " + err.Error())
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		c.all = append(c.all, maphash.Bytes(c.seed, lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		panic("the embedded blocklist is damaged: " + err.Error())
	}
	c.top = slices.Clone(c.all[:topWords])
	for _, w := range moreWords {
		c.top = append(c.top, maphash.String(c.seed, w))
	}
	c.all = append(c.all, c.top...)
	slices.Sort(c.all)
	slices.Sort(c.top)
	return c
})

// The longest and shortest text taken for a word, and the longest password that is taken apart.
// A longer one is refused only as a repetition of such a part.
const (
	minWord  = 3
	maxWord  = 40
	maxParse = 64
)

// isCommon reports whether pw is in the list for an account with these words of its own.
func isCommon(pw string, own []string) bool {
	g := grammar{common: common(), own: ownWords(own)}
	pw = strings.ToLower(pw)
	if g.own[pw] || g.unit(pw) {
		return true
	}
	// A repetition is one of a prefix that divides it.
	for n := 1; n <= len(pw)/2; n++ {
		if len(pw)%n == 0 && strings.Count(pw, pw[:n]) == len(pw)/n && strings.Repeat(pw[:n], len(pw)/n) == pw {
			return utf8.RuneCountInString(pw[:n]) <= 4 || g.unit(pw[:n])
		}
	}
	return false
}

type grammar struct {
	common commonWords
	own    map[string]bool
}

// How a text can be taken apart: into fillers alone, with walks, with a word.
const (
	onlyFillers = iota
	withWalk
	withWord
	kinds
)

// unit reports whether s is a unit of the grammar above. It keeps, for each place in s and each
// kind, the least filling with which the text before it can be taken apart.
func (g grammar) unit(s string) bool {
	if s == "" || len(s) > maxParse {
		return false
	}
	const maxFilling, impossible = 8, 99
	least := make([][kinds]int, len(s)+1)
	for i := range least {
		least[i] = [kinds]int{impossible, impossible, impossible}
	}
	least[0][onlyFillers] = 0
	reach := func(to, kind, filling int) {
		if filling <= maxFilling {
			least[to][kind] = min(least[to][kind], filling)
		}
	}
	for i, r := range s { // at the beginning of each character
		from := least[i]
		if slices.Min(from[:]) == impossible {
			continue
		}
		if unicode.IsDigit(r) || isSign(r) {
			for kind, filling := range from {
				reach(i+utf8.RuneLen(r), kind, filling+1)
			}
		}
		for j := i + 1; j <= len(s); j++ {
			if j < len(s) && !utf8.RuneStart(s[j]) {
				continue
			}
			if isWalk(s[i:j]) {
				reach(j, withWalk, min(from[onlyFillers], from[withWalk]))
				reach(j, withWord, from[withWord])
			} else if from[onlyFillers] != impossible || from[withWalk] != impossible {
				if g.word(s[i:j]) || g.twoTopWords(s[i:j]) {
					reach(j, withWord, min(from[onlyFillers], from[withWalk]))
				}
			}
		}
	}
	end := least[len(s)]
	return end[withWalk] <= maxFilling || end[withWord] <= maxFilling
}

func (g grammar) word(s string) bool {
	if len(s) < minWord || len(s) > maxWord {
		return false
	}
	return g.has(s, g.common.all) || g.has(plainL.Replace(s), g.common.all) || g.has(plainI.Replace(s), g.common.all)
}

func (g grammar) twoTopWords(s string) bool {
	for i := minWord; i <= len(s)-minWord && len(s) <= maxWord; i++ {
		if g.has(s[:i], g.common.top) && g.has(s[i:], g.common.top) {
			return true
		}
	}
	return false
}

// has reports whether s is among words, or belongs to the account.
func (g grammar) has(s string, words []uint64) bool {
	if g.own[s] {
		return true
	}
	_, found := slices.BinarySearch(words, maphash.String(g.common.seed, s))
	return found
}

// The signs that are used for letters; 1 and ! stand for either of two.
var (
	plainL = strings.NewReplacer("0", "o", "1", "l", "!", "l", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "8", "b")
	plainI = strings.NewReplacer("0", "o", "1", "i", "!", "i", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "8", "b")
)

func isWalk(s string) bool {
	n := utf8.RuneCountInString(s)
	if n < 3 {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(s); strings.Count(s, string(r)) == n {
		return true
	}
	for _, t := range tracks {
		if strings.Contains(t, s) {
			return true
		}
	}
	return false
}

func isSign(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r) }

// ownWords gives the words an attacker would take from an account's e-mail address and
// names: each as it is, without what is no letter or digit, and piece by piece.
func ownWords(texts []string) map[string]bool {
	words := map[string]bool{}
	isGap := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	add := func(w string) {
		if len(w) >= minWord {
			words[w] = true
		}
	}
	for _, t := range texts {
		t = strings.ToLower(norm.NFKC.String(t))
		add(t)
		local, domain, _ := strings.Cut(t, "@")
		for _, piece := range append([]string{t, local, domain}, strings.Split(domain, ".")...) {
			add(piece)
			add(strings.Join(strings.FieldsFunc(piece, isGap), ""))
		}
		for _, piece := range strings.FieldsFunc(t, isGap) {
			add(piece)
		}
	}
	return words
}
