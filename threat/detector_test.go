package threat_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

func ExampleDetector_Inspect() {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		panic(err)
	}
	for _, v := range []string{"O'Brien & Sons", "oak' OR 'a'='a"} {
		fs := d.Inspect(nil, threat.Input{Name: "q", Value: v, Location: makerguard.InQuery})
		if len(fs) == 0 {
			fmt.Println("clean")
		}
		for _, f := range fs {
			fmt.Println(f.Type, f.Rule, f.Evidence)
		}
	}
	// Output:
	// clean
	// sql_injection sqli.tautology ' OR 'a'='a
}

func TestInspect_FindingSaysWhatWhereAndWhy(t *testing.T) {
	d := newDetector(t)
	before := []makerguard.Finding{{Rule: "mine"}}
	fs := d.Inspect(before, threat.Input{Name: "q", Value: "%3Cimg%20src=x%20onerror=alert(1)%3E", Location: makerguard.InQuery})
	want := []makerguard.Finding{{Rule: "mine"}, {
		Type: makerguard.XSS, Severity: makerguard.SeverityCritical, Rule: "xss.event", Input: "q", Location: makerguard.InQuery,
		Description: "An event handler in a tag runs code in the browser of whoever sees it.",
		Evidence:    "<img src=x onerror=alert(1)>", Score: 5,
		Offset: 0, Length: len("%3Cimg%20src=x%20onerror=alert(1)%3E"),
	}}
	if diff := cmp.Diff(want, fs); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// goal: V1.3.3
func TestInspect_EvidenceIsShortAndHarmless(t *testing.T) {
	d := newDetector(t)
	secret := strings.Repeat("secret ", 100)
	for _, v := range []string{
		"<script>" + secret, "' or 1=1 -- " + secret, "${jndi:ldap://x/" + secret + "}", "../../../etc/passwd\x00\x1b[31m" + secret,
		"x\r\nSet-Cookie: a=" + secret, "<script>" + strings.Repeat("é", 200), "日本' or '日'='日" + strings.Repeat("本", 99) + "' or 1=1--",
	} {
		fs := d.Inspect(nil, threat.Input{Name: "v", Value: v, Location: makerguard.InQuery})
		if len(fs) == 0 {
			t.Errorf("nothing found in %q", v)
		}
		for _, f := range fs {
			if len(f.Evidence) > 80 || !utf8.ValidString(f.Evidence) || strings.ContainsAny(f.Evidence, "\r\n\x00\x1b") {
				t.Errorf("evidence of %q = %q, want at most 80 bytes of printable UTF-8", v, f.Evidence)
			}
		}
	}
}

func TestInspect_PlaceAndKindMatter(t *testing.T) {
	d := newDetector(t)
	for _, c := range []struct {
		name string
		in   threat.Input
		want makerguard.ThreatType // "" for none
	}{
		{"link in a parameter", threat.Input{Value: "http://localhost/", Location: makerguard.InQuery}, makerguard.SSRF},
		{"link in prose", threat.Input{Value: "Open http://localhost/ in your browser, then sign in", Location: makerguard.InText}, ""},
		{"line end in a text", threat.Input{Value: "a\nb", Location: makerguard.InText}, ""},
		{"line end in a header", threat.Input{Value: "a\nb", Location: makerguard.InHeader}, makerguard.CRLFInjection},
		{"line end in an address", threat.Input{Value: "a@x.example\nb", Kind: makerguard.KindEmail}, makerguard.CRLFInjection},
		{"page in a text", threat.Input{Value: "<form action=x><input name=p></form>", Location: makerguard.InForm}, makerguard.XSS},
		{"parent in a file name", threat.Input{Value: "a/../b", Location: makerguard.InFilename}, makerguard.PathTraversal},
		{"parent in a link", threat.Input{Value: "[sizes](../sizes.md) and more", Location: makerguard.InText}, ""},
		{"style in HTML", threat.Input{Value: "<style>p{color:red}</style>", Kind: makerguard.KindHTML}, ""},
		{"style in text", threat.Input{Value: "<style>p{color:red}</style>"}, makerguard.XSS},
		{"script in HTML", threat.Input{Value: "<script>1</script>", Kind: makerguard.KindHTML}, makerguard.XSS},
		{"empty", threat.Input{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := d.Inspect(nil, c.in)
			found := c.want == "" && len(fs) == 0
			for _, f := range fs {
				found = found || f.Type == c.want
			}
			if !found {
				t.Errorf("Inspect(%q) = %v, want %q", c.in.Value, rules(fs), c.want)
			}
		})
	}
}

// What is wrapped in encodings is found as if it were bare.
func TestInspect_DecodesThreeLayers(t *testing.T) {
	d := newDetector(t)
	for _, v := range []string{
		"%3cscript%3e1%3c/script%3e", "%253cscript%253e1%253c/script%253e", "%25253cscript%25253e1", "&lt;script&gt;1", "&#60;script&#x3e;1", "&#0000060script&#62;1",
		"&amp;lt;script&amp;gt;1", `\u003cscript\u003e1`, `\u{3c}script\x3e1`, "%u003cscript%u003e1", "\xc0\xbcscript\xc0\xbe1", "＜script＞1", "<scr\x00ipt>1", "+ADw-script+AD4-1",
		"%26lt%3bscript%26gt%3b1", `%5cu003cscript%5cu003e1`,
	} {
		fs := d.Inspect(nil, threat.Input{Value: v, Location: makerguard.InQuery})
		found := false
		for _, f := range fs {
			found = found || f.Type == makerguard.XSS
		}
		if !found {
			t.Errorf("Inspect(%q) = %v, want xss", v, rules(fs))
		}
	}
}

func TestInspect_CleanTextCostsNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector changes what is allocated")
	}
	d := newDetector(t)
	for _, c := range cleanTexts {
		in := threat.Input{Name: "v", Value: c.text, Location: makerguard.InForm}
		if n := testing.AllocsPerRun(100, func() { d.Inspect(nil, in) }); n > 0 {
			t.Errorf("Inspect(%s) allocates %v times, want 0", c.name, n)
		}
	}
}

func TestInspect_ConcurrentUseKeepsValuesApart(t *testing.T) {
	d := newDetector(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				v := fmt.Sprintf("<script>%d</script>", i)
				fs := d.Inspect(nil, threat.Input{Name: "v", Value: v})
				if len(fs) != 1 || fs[0].Evidence != v {
					t.Errorf("Inspect(%q) = %v, want one finding with that evidence", v, fs)
					return
				}
				if fs := d.Inspect(nil, threat.Input{Name: "v", Value: "O'Brien & Sons"}); len(fs) > 0 {
					t.Errorf("Inspect(clean) = %v, want nothing", fs)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestInspectQuery_NamesAndValues(t *testing.T) {
	d := newDetector(t)
	for _, c := range []struct {
		query, name string
		want        makerguard.ThreatType
	}{
		{"a=1&q=%27+or+1%3D1--", "q", makerguard.SQLInjection},
		{"user[$ne]=1", "user[$ne]", makerguard.NoSQLInjection},
		{"user%5B%24ne%5D=1", "user[$ne]", makerguard.NoSQLInjection},
		{"$where=1", "$where", makerguard.NoSQLInjection},
		{"%3Cscript%3E=1", "<script>", makerguard.XSS},
		{"a=1&&b=%3Cscript%3E1&c", "b", makerguard.XSS},
		{"price__category__name__startswith=a", "price__category__name__startswith", makerguard.CodeInjection},
	} {
		for as, f := range map[makerguard.Location]func([]makerguard.Finding, string) []makerguard.Finding{makerguard.InQuery: d.InspectQuery, makerguard.InForm: d.InspectForm} {
			fs := f(nil, c.query)
			if len(fs) == 0 || fs[0].Type != c.want || fs[0].Input != c.name || fs[0].Location != as {
				t.Errorf("inspecting %q as %s = %+v, want %s in %q", c.query, as, fs, c.want, c.name)
			}
		}
	}
}

func TestInspectJSON_NamesTheValueByPointer(t *testing.T) {
	d := newDetector(t)
	for _, c := range []struct {
		body, input string
		want        makerguard.ThreatType
	}{
		{`{"name":"<script>1</script>"}`, "body/name", makerguard.XSS},
		{`{"images":[{"name":"a"},{"alt":"' or 1=1--"}]}`, "body/images/1/alt", makerguard.SQLInjection},
		{`["a",["b","../../etc/passwd"]]`, "body/1/1", makerguard.PathTraversal},
		{`{"a/b":{"m~n":"<script>1"}}`, "body/a~1b/m~0n", makerguard.XSS},
		{`{"<script>1</script>":1}`, "body/<script>1<~1script>", makerguard.XSS},
		{`{"q":{"$gt":""}}`, "body/q/$gt", makerguard.NoSQLInjection},
		{`"' or 1=1--"`, "body", makerguard.SQLInjection},
		{`{"t":"\u003cscript\u003e1"}`, "body/t", makerguard.XSS},
		{`{"constructor":{"prototype":{}}}`, "body/constructor/prototype", makerguard.PrototypePollute},
	} {
		fs := d.InspectJSON(nil, threat.Input{Name: "body", Value: c.body, Location: makerguard.InJSON})
		if len(fs) == 0 || fs[0].Type != c.want || fs[0].Input != c.input || fs[0].Location != makerguard.InJSON {
			t.Errorf("InspectJSON(%s) = %+v, want %s in %s", c.body, fs, c.want, c.input)
		}
	}
}

// goal: V1.5.2
func TestInspectJSON_ReportsWhatReadersDisagreeOn(t *testing.T) {
	d := newDetector(t)
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":1,`, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, body, rule string }{
		{"depth 32", strings.Repeat("[", 32) + strings.Repeat("]", 32), ""},
		{"depth 33", strings.Repeat("[", 33) + strings.Repeat("]", 33), "malformed.depth"},
		{"depth 33 of objects", strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "malformed.depth"},
		{"duplicate key", `{"a":1,"b":2,"a":3}`, "malformed.duplicate_key"},
		{"duplicate key by escape", `{"a":1,"\u0061":2}`, "malformed.duplicate_key"},
		{"same key in siblings", `[{"a":1},{"a":1}]`, ""},
		{"same key above", `{"a":{"a":1}}`, ""},
		{"many keys", "{" + wide(200) + `"z":1}`, ""},
		{"duplicate early key of many", "{" + wide(200) + `"k3":1}`, "malformed.duplicate_key"},
		{"duplicate late key of many", "{" + wide(200) + `"k150":1}`, "malformed.duplicate_key"},
		{"many keys twice", "[{" + wide(50) + `"z":1},{` + wide(50) + `"z":1}]`, ""},
		{"nothing", ``, "malformed.json"},
		{"trailing data", `{} {}`, "malformed.json"},
		{"trailing comma", `[1,]`, "malformed.json"},
		{"single quotes", `{'a':1}`, "malformed.json"},
		{"comment", `{/* a */}`, "malformed.json"},
		{"NaN", `[NaN]`, "malformed.json"},
		{"leading zero", `01`, "malformed.json"},
		{"bare minus", `-`, "malformed.json"},
		{"no fraction", `1.`, "malformed.json"},
		{"no exponent", `1e+`, "malformed.json"},
		{"control in string", "\"a\x01\"", "malformed.json"},
		{"open string", `"a`, "malformed.json"},
		{"bad escape", `"\a"`, "malformed.json"},
		{"bad unicode escape", `"\u12g4"`, "malformed.json"},
		{"no colon", `{"a" 1}`, "malformed.json"},
		{"invalid UTF-8", "\"\xff\"", "malformed.utf8"},
		{"NUL", `"a\u0000b"`, "malformed.nul"},
		{"surrogate pair", `"\ud83d\ude00"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := d.InspectJSON(nil, threat.Input{Name: "body", Value: c.body, Location: makerguard.InJSON})
			if c.rule == "" {
				if len(fs) > 0 {
					t.Errorf("InspectJSON(%.60s) = %v, want nothing", c.body, rules(fs))
				}
				return
			}
			if len(fs) == 0 || fs[0].Rule != c.rule || fs[0].Type != makerguard.MalformedInput {
				t.Errorf("InspectJSON(%.60s) = %v, want %s", c.body, rules(fs), c.rule)
			}
		})
	}
}

// An attack behind the place where parsing stops is found all the same.
func TestInspectJSON_ReadsOnBehindGarbage(t *testing.T) {
	d := newDetector(t)
	for _, body := range []string{
		`{"a":1,} "<script>1</script>"`, strings.Repeat("[", 40) + `"<script>1</script>"`, `{'a':'<script>1</script>'}`, `"open <script>1</script>`,
	} {
		found := false
		for _, f := range d.InspectJSON(nil, threat.Input{Name: "body", Value: body, Location: makerguard.InJSON}) {
			found = found || f.Type == makerguard.XSS
		}
		if !found {
			t.Errorf("InspectJSON(%.60s) misses the script", body)
		}
	}
}

func TestInspectCookie_NamesAndValues(t *testing.T) {
	d := newDetector(t)
	for _, c := range []struct {
		header, name string
		want         makerguard.ThreatType // "" for none
	}{
		{"session=0d9b7e2c-61c4; theme=dark; _ga=GA1.2.12345.67890; cart=eyJhIjoxfQ==", "", ""},
		{"lang=de-DE; consent=a:1|b:0&c:1; seen=2026-01-01T00:00:00Z", "", ""},
		{"theme=dark; q=' or 1=1--", "q", makerguard.SQLInjection},
		{"a=b;<script>1=2", "<script>1", makerguard.XSS},
		{"prefs=O:8:\"Evil\":0:{}", "prefs", makerguard.Deserialization},
		{"a=1\r\nSet-Cookie: b=2", "a", makerguard.CRLFInjection},
		{"__proto__=1", "__proto__", makerguard.PrototypePollute},
		{";;=; =", "", ""},
	} {
		fs := d.InspectCookie(nil, c.header)
		if c.want == "" {
			if len(fs) > 0 {
				t.Errorf("InspectCookie(%q) = %v, want nothing", c.header, rules(fs))
			}
			continue
		}
		if len(fs) == 0 || fs[0].Type != c.want || fs[0].Input != c.name || fs[0].Location != makerguard.InCookie {
			t.Errorf("InspectCookie(%q) = %+v, want %s in %q", c.header, fs, c.want, c.name)
		}
	}
}
