package upload_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/threat/upload"
)

// stubborn are files of a length that is asked for which make a careless reader start again
// from every place.
var stubborn = map[string]func(n int) []byte{
	"text":               fill("", "a "),
	"tags":               fill("<svg>", "<g a='"),
	"attributes":         fill("<svg ", "a='url(' "),
	"events":             fill("<svg ", "on="),
	"open tags":          fill("<svg>", "<"),
	"comments":           fill("<svg>", "<!--"),
	"dashes":             fill("<svg><!--", "--"),
	"closed comments":    fill("<svg>", "<!-- -->"),
	"data":               fill("<svg>", "<![CDATA["),
	"declarations":       fill("<svg>", "<!x '["),
	"instructions":       fill("<svg>", "<?"),
	"styles":             fill("<svg>", "<style>@"),
	"a style":            fill("<svg><style>", "url(/*\\7"),
	"entities":           fill("<svg a='", "&#x6a;&"),
	"no root":            fill("<!--", "--> <!--"),
	"wide":               fill("\xff\xfe", "<\x00"),
	"server tags":        fill("", "<% <script <?"),
	"chunks of a PNG":    fill("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x02zTXt\x00\x00\x00\x00\x00\x00"),
	"segments of a JPEG": fill("\xff\xd8\xff\xda\x00\x02", "\xff\x00\xff\xd0"),
	"blocks of a GIF":    fill("GIF89a\x01\x00\x01\x00\x00\x00\x00", "\x21\xff\x01\x00\x00"),
	"chunks of a WebP":   fill("RIFF\xff\xff\xff\xffWEBP", "ANMF\x00\x00\x00\x00"),
	"extents":            fill("\x00\x00\x00\x10ftypavif\x00\x00\x00\x00", "ispe"),
	"ends of archives":   fill("\x89PNG\r\n\x1a\n", "PK\x05\x06"),
	"headers of a zip":   fill("", "PK\x03\x04\x00\x00\x08\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
	"names of a PDF":     fill("%PDF-1.7 \x00", "/#4a/"),
	"names of one file":  fill("%PDF-1.7 \x00", "/JavaScrip"),
}

func fill(start, piece string) func(n int) []byte {
	return func(n int) []byte { return []byte(start + strings.Repeat(piece, n/len(piece)+1)[:n]) }
}

// forms are multipart bodies of that kind.
var forms = map[string]func(n int) []byte{
	"parts":       fill("", "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"),
	"delimiters":  fill("--B", "\r\n--B"),
	"returns":     fill("--B\r\n", "\r--B"),
	"no end":      fill("--B\r\n", "a: b\r\n"),
	"parameters":  fill("--B\r\nContent-Disposition: form-data; ", "a=\"\\\";"),
	"half quotes": fill("--B\r\n\r\n--B\r\nContent-Disposition: a;", "b=\""),
}

func inspectStubborn(name string, n int) {
	if make, ok := forms[name]; ok {
		upload.Parts(nil, "multipart/form-data; boundary=B", make(n), true)
		return
	}
	upload.Inspect(nil, upload.File{Name: "a.png", Content: stubborn[name](n)})
}

// stepsOf, in the environment of a test binary that counts statements, says what to inspect: a
// length and a name.
const stepsOf = "MAKERGUARD_COUNT_STEPS_OF"

// TestCountSteps does the work that TestInspect_StepsAreLinear counts.
func TestCountSteps(t *testing.T) {
	order := os.Getenv(stepsOf)
	if order == "" {
		t.Skip("run by TestInspect_StepsAreLinear")
	}
	digits, name, _ := strings.Cut(order, " ")
	n, err := strconv.Atoi(digits)
	must(t, err)
	inspectStubborn(name, n)
}

// A file sixteen times as long may cost sixteen times as many statements, whatever it is made of.
func TestInspect_StepsAreLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary that counts statements")
	}
	binary := filepath.Join(t.TempDir(), "steps.test")
	if out, err := exec.Command("go", "test", "-c", "-cover", "-covermode=count", "-coverpkg=.,../../internal/imagefile", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the counting binary: %v\n%s", err, out)
	}
	steps := func(t *testing.T, name string, n int) float64 {
		profile := filepath.Join(t.TempDir(), "steps")
		cmd := exec.Command(binary, "-test.run=^TestCountSteps$", "-test.coverprofile="+profile)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", stepsOf, n, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("counting: %v\n%s", err, out)
		}
		return statements(t, profile)
	}
	const small, times = 2 << 10, 16
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(stubborn)), slices.Sorted(maps.Keys(forms))) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, many := steps(t, name, small), steps(t, name, small*times)
			if many > 1.5*times*max(one, small) {
				t.Errorf("%d bytes cost %.0f statements, %d bytes %.0f: %.0f times as many", small, one, small*times, many, many/one)
			}
		})
	}
}

// statements sums up how often each statement of a coverage profile was run.
func statements(t *testing.T, profile string) (sum float64) {
	t.Helper()
	data, err := os.ReadFile(profile)
	must(t, err)
	for line := range bytes.Lines(data) {
		var place string
		var n, runs float64
		if _, err := fmt.Sscan(string(line), &place, &n, &runs); err == nil {
			sum += n * runs
		}
	}
	if sum == 0 {
		t.Fatal("the profile counts nothing")
	}
	return sum
}

func BenchmarkInspect(b *testing.B) {
	for name, f := range map[string]upload.File{
		"photo":      {Name: "a.png", DeclaredType: "image/png", Content: pngFile(b)},
		"price list": {Name: "a.csv", DeclaredType: "text/csv", Content: []byte(priceList())},
		"drawing":    {Name: "a.svg", DeclaredType: "image/svg+xml", Content: []byte(logo)},
		"archive":    {Name: "a.zip", DeclaredType: "application/zip", Content: zipFile(b, zipped{name: "a.csv", content: priceList()})},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(f.Content)))
			b.ReportAllocs()
			for b.Loop() {
				if found := upload.Inspect(nil, f); found != nil {
					b.Fatal(found)
				}
			}
		})
	}
}
