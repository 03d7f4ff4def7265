package threat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// stubborn are pieces that make a careless reader look ahead from every one of them.
var stubborn = []string{
	"a", "or ", "or a ", "and (", "' or ", "' \" ` ", "'(", "((((", "select a ", "select a,", "union all ", "order by a,", "a.a.", "- - ", "/* ", "/*", "-- \n", "# \n",
	"insert into ", "concat(", "@a ", "x'", "a='", "<a ", "<a b=\"", "<a b='<a c=\"", "<", "<!--", "<![", "<%", "</", "a=", "on", "javascript :", "alert ", "eval (", ":", "::",
	"{{", "{{a", "{% ", "${", "${a", "#{", "$", "$(", "$a[", "@{", "@(", "[[", "`", "`a", "; a", ";", "|", "&", "&#", "&#0", "&a", "%", "%2", "%25", "%u00", "\\", "\\u00", "\\x4", "+A", "+AD",
	"../a", "..", "./", "/", "\\\\", "0x2", "(a", ")(", "*)", "(&", "{\"$", "$ne", "[$", "this.a ", "db.", "\r\n", "a: ", "\x00", "\xc0", "\xe5", "。", "’", "Ａ", "é", "__", "a__a__", "O:1", "://", "http://",
	"%3c", "&lt;", "\\u003c", "for %a", "<<<", "<()", "()", "() {", "while(", "require[", "a(", "a_b(", "'.'", "'+'", "?>", "<?", "AA AA",
}

// A reader that looks ahead from every byte would need a million times as long for a
// text a thousand times as long.
func TestInspect_TimeIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	d := newDetector(t)
	const kib, mib = 1 << 10, 1 << 20
	for _, piece := range stubborn {
		fill := func(n int) string { return strings.Repeat(piece, n/len(piece)+1)[:n] }
		short, long := fill(kib), fill(mib)
		for _, as := range []string{"value", "json", "query"} {
			run := func(s string) func() {
				switch as {
				case "json":
					body := []byte(s)
					return func() { d.InspectJSON(nil, "b", body, makerguard.InJSON) }
				case "query":
					return func() { d.InspectQuery(nil, s) }
				}
				in := threat.Input{Name: "v", Value: s, Location: makerguard.InQuery}
				return func() { d.Inspect(nil, in) }
			}
			small, big := best(20, run(short)), best(1, run(long))
			// The smallest sizes are dominated by what each call costs, hence the floor; the factor
			// of 4 is for caches and the noise of a shared machine.
			if limit := 4 * 1000 * max(small, 2*time.Microsecond); big > limit {
				big = min(big, best(2, run(long)))
				if big > limit {
					t.Errorf("1 MiB of %q as %s takes %v, 1 KiB %v: ratio %d", piece, as, big, small, big/small)
				}
			}
		}
	}
}

// best is the shortest of n runs.
func best(n int, f func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for range n {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return least
}
