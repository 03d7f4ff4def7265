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

// A reader that looks ahead without bound would need 1,024 times as long for a text 32 times
// as long.
func TestInspect_TimeIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	d := newDetector(t)
	ways := map[string]func(string) func(){
		"value": func(s string) func() {
			in := threat.Input{Name: "v", Value: s, Location: makerguard.InQuery}
			return func() { d.Inspect(nil, in) }
		},
		"json": func(s string) func() {
			body := []byte(s)
			return func() { d.InspectJSON(nil, "b", body, makerguard.InJSON) }
		},
		"query": func(s string) func() { return func() { d.InspectQuery(nil, s) } },
	}
	check := func(t *testing.T, name, piece string, size, times int, way func(string) func()) {
		fill := func(n int) string { return strings.Repeat(piece, n/len(piece)+1)[:n] }
		// The floor is for what every call costs, the factor for caches and a shared machine.
		const floor, factor = 5 * time.Microsecond, 5
		small := max(best(20, way(fill(size))), floor)
		big := best(3, way(fill(size*times)))
		if big > time.Duration(factor*times)*small {
			t.Errorf("%d KiB of %.20q as %s take %v, %d KiB %v: %d times as long", size*times>>10, piece, name, big, size>>10, small, big/small)
		}
	}
	all := strings.Join(stubborn, " ")
	for name, way := range ways {
		for _, piece := range stubborn {
			check(t, name, piece, 4<<10, 32, way)
		}
		check(t, name, all, 1<<10, 1024, way)
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
