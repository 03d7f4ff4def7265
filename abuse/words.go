package abuse

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/makerguard/makerguard"
)

// spoken says a duration as a person would, rounded up.
func spoken(d time.Duration) string {
	switch {
	case d <= time.Minute:
		return "a minute"
	case d <= 90*time.Minute:
		return fmt.Sprintf("%d minutes", roundUp(d, time.Minute))
	case d <= 48*time.Hour:
		return fmt.Sprintf("%d hours", roundUp(d, time.Hour))
	}
	return fmt.Sprintf("%d days", roundUp(d, 24*time.Hour))
}

func roundUp(d, unit time.Duration) int64 { return int64((d + unit - 1) / unit) }

// attempts names threats of a type, as they are counted in a reason.
var attempts = map[makerguard.ThreatType]string{
	makerguard.SQLInjection:       "SQL injection attempt",
	makerguard.XSS:                "cross-site scripting attempt",
	makerguard.NoSQLInjection:     "NoSQL injection attempt",
	makerguard.SSRF:               "server-side request forgery attempt",
	makerguard.SSIInjection:       "server-side include attempt",
	makerguard.LDAPInjection:      "LDAP injection attempt",
	makerguard.XXE:                "XML external entity attempt",
	makerguard.CRLFInjection:      "CRLF injection attempt",
	makerguard.JNDILookup:         "JNDI lookup attempt",
	makerguard.Deserialization:    "unsafe deserialization attempt",
	makerguard.MalformedInput:     "malformed input",
	makerguard.TokenReuse:         "reused token",
	makerguard.BruteForce:         "password guessing run",
	makerguard.CredentialStuffing: "credential stuffing run",
	makerguard.PasswordSpraying:   "password spraying run",
}

// times says "14 SQL injection attempts".
func times(n int, t makerguard.ThreatType) string {
	name, ok := attempts[t]
	if !ok {
		name = strings.ReplaceAll(string(t), "_", " ") + " attempt"
	}
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}

// maxRoute is how much of a route a reason shows, in bytes.
const maxRoute = 80

// printable keeps what a client chose from garbling a reason.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
