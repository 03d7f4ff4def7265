package threat_test

import (
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

func detectors(tb testing.TB) (at [4]*threat.Detector) {
	tb.Helper()
	for level := 1; level <= 3; level++ {
		d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: level})
		if err != nil {
			tb.Fatal(err)
		}
		at[level] = d
	}
	return at
}

// suspicions has for each rule that level 2 or 3 adds a value of which it speaks, and no
// rule of a lower level.
var suspicions = []struct {
	rule  string
	level int
	in    threat.Input
}{
	{"sqli.comment", 2, threat.Input{Value: "rock 'n roll -- the best", Location: makerguard.InForm}},
	{"sqli.keywords", 2, threat.Input{Value: "select a frame from our shop", Location: makerguard.InForm}},
	{"sqli.quote", 3, threat.Input{Value: "the maker' = me", Location: makerguard.InForm}},
	{"xss.tag", 2, threat.Input{Value: "a <b>bold</b> frame", Location: makerguard.InForm}},
	{"nosql.word", 2, threat.Input{Value: "cheaper than $gt (green)", Location: makerguard.InForm}},
	{"command.word", 2, threat.Input{Value: "read the manual carefully first; ls lists them", Location: makerguard.InForm}},
	{"command.syntax", 3, threat.Input{Value: "type `hello world` in there", Location: makerguard.InForm}},
	{"code.syntax", 3, threat.Input{Value: "then price(\"net\") is shown", Location: makerguard.InForm}},
	{"inclusion.link", 2, threat.Input{Name: "page", Value: "https://maker.example/about/us", Location: makerguard.InQuery}},
	{"ssrf.host", 2, threat.Input{Value: "127.0.0.1:6379", Location: makerguard.InForm}},
	{"template.placeholder", 3, threat.Input{Value: "Dear {{customer}}", Location: makerguard.InForm}},
	{"ldap.syntax", 3, threat.Input{Value: "oak (size=52)", Location: makerguard.InForm}},
	{"xxe.reference", 3, threat.Input{Value: "&frame;", Location: makerguard.InForm}},
	{"crlf.line", 3, threat.Input{Value: "one <b> line\nand another", Location: makerguard.InQuery}},
	{"jndi.expression", 2, threat.Input{Value: "${ctx:user}", Location: makerguard.InForm}},
	{"proto.word", 2, threat.Input{Value: "constructor.name", Location: makerguard.InForm}},
	{"deserialization.packed", 3, threat.Input{Value: "H4sIAAAAAAAAAPNIzcnJVyjPL8pJUQQAlRmFGwwAAAA=", Location: makerguard.InForm}},
	{"traversal.relative", 2, threat.Input{Value: "see a/../b for more of it", Location: makerguard.InForm}},
	{"traversal.mention", 3, threat.Input{Value: "The manual says that users are kept in /etc/passwd as lines", Location: makerguard.InText}},
}

func TestDetector_EachLevelAddsRules(t *testing.T) {
	at := detectors(t)
	for _, c := range suspicions {
		for level := 1; level <= 3; level++ {
			spoke := false
			fs := at[level].Inspect(nil, c.in)
			for _, f := range fs {
				spoke = spoke || f.Rule == c.rule
			}
			if want := level >= c.level; spoke != want {
				t.Errorf("level %d on %q = %v, want %s: %v", level, c.in.Value, rules(fs), c.rule, want)
			}
			if level < c.level && level == 1 && len(fs) > 0 {
				t.Errorf("level 1 on %q = %v, want nothing", c.in.Value, rules(fs))
			}
		}
	}
	// Every rule of level 2 and 3 is in the table.
	listed := map[string]bool{}
	for _, c := range suspicions {
		listed[c.rule] = true
	}
	for _, r := range threat.Rules() {
		if r.Paranoia > 1 && !listed[r.ID] {
			t.Errorf("rule %s of level %d has no example", r.ID, r.Paranoia)
		}
	}
}

// A higher level finds whatever a lower one finds.
func TestDetector_HigherLevelsFindNoLess(t *testing.T) {
	at := detectors(t)
	for _, name := range []string{"testdata/attacks.jsonl", "testdata/clean.jsonl"} {
		for _, r := range readCorpus(t, name) {
			before := 0
			for level := 1; level <= 3; level++ {
				found := min(len(inspect(at[level], r)), 1)
				if found < before {
					t.Errorf("level %d finds nothing in %q, level %d does", level, r.Input, level-1)
				}
				before = found
			}
		}
	}
}

// The rule of a finding is one of the catalogue, with the catalogue's words.
func TestInspect_SpeaksTheCatalogue(t *testing.T) {
	known := map[string]threat.Rule{}
	for _, r := range threat.Rules() {
		if !strings.HasPrefix(r.ID, "upload.") { // about files, which the corpus has none of
			known[r.ID] = r
		}
	}
	spoken := map[string]bool{}
	at := detectors(t)
	for _, r := range readCorpus(t, "testdata/attacks.jsonl") {
		for level := 1; level <= 3; level++ {
			for _, f := range inspect(at[level], r) {
				k := known[f.Rule]
				if k.Type != f.Type || k.Severity != f.Severity || k.Description != f.Description || k.Score != f.Score || k.Paranoia > level {
					t.Errorf("level %d: finding %+v is not the catalogue's %+v", level, f, k)
				}
				spoken[f.Rule] = true
			}
		}
	}
	var silent []string
	for id := range known {
		if !spoken[id] {
			silent = append(silent, id)
		}
	}
	t.Logf("%d of %d rules speak in the corpus; not: %s", len(spoken), len(known), strings.Join(silent, " "))
	if len(silent)*4 > len(known) {
		t.Errorf("%d of %d rules are never spoken in the corpus", len(silent), len(known))
	}
}

// Offset and length say where the fragment stands in what was sent.
func TestInspect_FindingsPointIntoWhatWasSent(t *testing.T) {
	d := newDetector(t)
	for _, c := range []struct {
		name, sent, fragment string
		inspect              func(string) []makerguard.Finding
	}{
		{"plain", "oak <script>1</script>", "<script>1</script>", func(s string) []makerguard.Finding {
			return d.Inspect(nil, threat.Input{Value: s})
		}},
		{"percent", "oak %3Cscript%3E1", "%3Cscript%3E1", func(s string) []makerguard.Finding {
			return d.Inspect(nil, threat.Input{Value: s})
		}},
		{"percent twice", "oak %253Cscript%253E1", "%253Cscript%253E1", func(s string) []makerguard.Finding {
			return d.Inspect(nil, threat.Input{Value: s})
		}},
		{"entities", "&eacute; é &lt;script&gt;1", "&lt;script&gt;1", func(s string) []makerguard.Finding {
			return d.Inspect(nil, threat.Input{Value: s})
		}},
		{"query", "a=%41%42&q=oak+%3Cscript%3E1&b=1", "%3Cscript%3E1", func(s string) []makerguard.Finding {
			return d.InspectQuery(nil, s)
		}},
		{"query, value encoded twice", "a=1&q=oak+%253Cscript%253E1", "%253Cscript%253E1", func(s string) []makerguard.Finding {
			return d.InspectQuery(nil, s)
		}},
		{"name in a query", "a=1&%3Cscript%3E1=x", "%3Cscript%3E1", func(s string) []makerguard.Finding {
			return d.InspectQuery(nil, s)
		}},
		{"cookie", "theme=dark; q=%3Cscript%3E1; a=b", "%3Cscript%3E1", func(s string) []makerguard.Finding {
			return d.InspectCookie(nil, s)
		}},
		{"JSON", `{"a":1,"b":["x\n","\u00e9 \u003cscript\u003e1"]}`, `\u003cscript\u003e1`, func(s string) []makerguard.Finding {
			return d.InspectJSON(nil, threat.Input{Name: "body", Value: s, Location: makerguard.InJSON})
		}},
		{"key of JSON", `{"a":1, "\u0024ne":1}`, `\u0024ne`, func(s string) []makerguard.Finding {
			return d.InspectJSON(nil, threat.Input{Name: "body", Value: s, Location: makerguard.InJSON})
		}},
		{"duplicate key", `{"a":1,"b":2,"a":3}`, `a`, func(s string) []makerguard.Finding {
			return d.InspectJSON(nil, threat.Input{Name: "body", Value: s, Location: makerguard.InJSON})
		}},
		{"behind broken JSON", `{"a":1,} <script>1`, `<script>1`, func(s string) []makerguard.Finding {
			fs := d.InspectJSON(nil, threat.Input{Name: "body", Value: s, Location: makerguard.InJSON})
			return fs[len(fs)-1:]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := c.inspect(c.sent)
			if len(fs) == 0 {
				t.Fatalf("nothing found in %q", c.sent)
			}
			f := fs[0]
			if got := c.sent[f.Offset : f.Offset+f.Length]; got != c.fragment {
				t.Errorf("%s of %q points at %q, want %q", f.Rule, c.sent, got, c.fragment)
			}
		})
	}
}

// Whatever is found, where it is said to stand lies within what was sent.
func TestInspect_OffsetsLieWithinTheText(t *testing.T) {
	at := detectors(t)
	for _, r := range readCorpus(t, "testdata/attacks.jsonl") {
		for _, f := range inspect(at[3], r) {
			if f.Offset < 0 || f.Length < 0 || f.Offset+f.Length > len(r.Input) || f.Length == 0 && f.Evidence != "" {
				t.Errorf("%s in %q of %d bytes: offset %d, length %d", f.Rule, r.Input, len(r.Input), f.Offset, f.Length)
			}
		}
	}
}
