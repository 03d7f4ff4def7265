package threat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
	")(a=b", "*(|(", "(select 1)=", "case when (", "%{a", "@{", "{{a|", "c\"a", "c'a'", "\\n", "\\r\\n", "invoke ", "/?/", "a://b", "=http://a.b/", "\"$type\":", "union table ", "if(1=1,", "`a`b", "a`", "x-a:", "\rX-A:", "^a", "Reflect.", "classloader",
	"/???", "/e?c/", "/e*c/p*d ", "/[a", "/{a,", " /???/?", "(&(", "(&", "(uid=*)", "a::$", "x:1.2.3.4:=", "count(/", "child::", "'] ", "'] | ", "a<b>c", "on<b>", "top[a", "\\/", "/\\", "@Grab(", "}, {", "a\n--", "$a(b",
}

// ways are how a text reaches the detector.
var ways = map[string]func(*threat.Detector, string){
	"value": func(d *threat.Detector, s string) {
		d.Inspect(nil, threat.Input{Name: "v", Value: s, Location: makerguard.InQuery})
	},
	"json": func(d *threat.Detector, s string) {
		d.InspectJSON(nil, threat.Input{Name: "b", Value: s, Location: makerguard.InJSON})
	},
	"query": func(d *threat.Detector, s string) { d.InspectQuery(nil, s) },
}

func fill(piece string, n int) string { return strings.Repeat(piece, n/len(piece)+1)[:n] }

// stepsOf, in the environment of a test binary that counts statements, says what to inspect:
// way, size, then the piece.
const stepsOf = "MAKERGUARD_COUNT_STEPS_OF"

// TestCountSteps does the work that TestInspect_StepsAreLinear counts.
func TestCountSteps(t *testing.T) {
	order := os.Getenv(stepsOf)
	if order == "" {
		t.Skip("run by TestInspect_StepsAreLinear")
	}
	way, rest, _ := strings.Cut(order, " ")
	digits, piece, _ := strings.Cut(rest, " ")
	size, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: 3})
	if err != nil {
		t.Fatal(err)
	}
	piece, err = strconv.Unquote(piece) // an environment holds no NUL
	if err != nil {
		t.Fatal(err)
	}
	ways[way](d, fill(piece, size))
}

// A text sixteen times as long may cost sixteen times as many statements, whatever it is
// made of. A reader that looks ahead without bound would need 256 times as many.
func TestInspect_StepsAreLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary that counts statements")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "steps.test")
	build := exec.Command("go", "test", "-c", "-cover", "-covermode=count", "-coverpkg=.", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the counting binary: %v\n%s", err, out)
	}
	steps := func(t *testing.T, way, piece string, size int) float64 {
		profile := filepath.Join(t.TempDir(), "steps")
		cmd := exec.Command(binary, "-test.run=^TestCountSteps$", "-test.coverprofile="+profile)
		cmd.Env = append(os.Environ(), stepsOf+"="+way+" "+strconv.Itoa(size)+" "+strconv.QuoteToASCII(piece))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("counting: %v\n%s", err, out)
		}
		return statements(t, profile)
	}
	const small, times = 2 << 10, 16
	start := steps(t, "value", "a", 1) // making the tables of words
	pieces := append(slices.Clone(stubborn), strings.Join(stubborn, " "))
	for i, piece := range pieces {
		for _, way := range []string{"value", "json", "query"} {
			if way != "value" && i%4 != 0 && i != len(pieces)-1 {
				continue // they read strings as values are read; a part shows how they are cut
			}
			t.Run(way+" "+strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				one, many := steps(t, way, piece, small)-start, steps(t, way, piece, small*times)-start
				// A short text may get by with less than a byte's fair share; a careless reader takes thousands.
				if many > 1.5*times*max(one, 64*small) {
					t.Errorf("%d bytes of %.20q cost %.0f statements, %d bytes %.0f: %.0f times as many", small, piece, one, small*times, many, many/one)
				}
			})
		}
	}
}

// statements sums up how often each statement of a coverage profile was run.
func statements(t *testing.T, profile string) float64 {
	t.Helper()
	data, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 { // place, statements, times
			n, _ := strconv.ParseFloat(f[1], 64)
			runs, _ := strconv.ParseFloat(f[2], 64)
			sum += n * runs
		}
	}
	if sum == 0 {
		t.Fatal("the profile counts nothing")
	}
	return sum
}

// What the count of statements does not see is how far the standard library's searches read.
// Time does, but needs a quiet machine.
func TestInspect_TimeIsLinear(t *testing.T) {
	if os.Getenv("MAKERGUARD_TIMING") == "" {
		t.Skip("needs a quiet machine; set MAKERGUARD_TIMING to run it")
	}
	d := newDetector(t)
	check := func(t *testing.T, name, piece string, size, times int) {
		run := func(n int) func() {
			text := fill(piece, n)
			return func() { ways[name](d, text) }
		}
		// The floor is for what every call costs, the factor for caches.
		const floor, factor = 5 * time.Microsecond, 5
		small := max(best(20, run(size)), floor)
		big := best(3, run(size*times))
		if big > time.Duration(factor*times)*small {
			t.Errorf("%d KiB of %.20q as %s take %v, %d KiB %v: %d times as long", size*times>>10, piece, name, big, size>>10, small, big/small)
		}
	}
	all := strings.Join(stubborn, " ")
	for name := range ways {
		for _, piece := range stubborn {
			check(t, name, piece, 4<<10, 32)
		}
		check(t, name, all, 1<<10, 1024)
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
