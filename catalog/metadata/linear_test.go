package metadata_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/catalog/metadata"
)

// stubborn are files of about a length that is asked for, with as many parts as fit: what begins
// them, what is repeated, what ends them.
func stubborn(t testing.TB) map[string]func(n int) []byte {
	t.Helper()
	jpg, pngf, giff := jpegFile(t), pngFile(t), gifFile(t)
	last := len(giff) - 1
	entry := "\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00\x00\x08" // a directory that has itself for the camera's
	fill := func(begin, part, end []byte) func(n int) []byte {
		return func(n int) []byte { return slices.Concat(begin, bytes.Repeat(part, n/len(part)), end) }
	}
	webps := func(flags byte, part []byte) func(n int) []byte {
		return func(n int) []byte {
			return webp(measures(flags), piece("VP8L", lossless()), frame(piece("VP8L", lossless())), bytes.Repeat(part, n/len(part)))
		}
	}
	return map[string]func(n int) []byte{
		"segments":    fill(jpg[:2], app(4, ""), jpg[2:]),
		"directories": fill(jpg[:2], app(1, "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x01\xf4"+strings.Repeat(entry, 500)), jpg[2:]),
		"filling":     fill(append(bytes.Clone(jpg[:2]), app(4, "")...), []byte{0xff}, jpg[2:]),
		"restarts":    fill(jpg[:len(jpg)-2], []byte("\xff\xd0"), jpg[len(jpg)-2:]),
		"scans":       fill(jpg[:len(jpg)-2], segment(0xda, "\x00\x00\x00\x00"), jpg[len(jpg)-2:]),
		"trailing":    fill(jpg, []byte("\xff\xd8"), nil),
		"chunks":      fill(pngf[:33], chunk("IDAT", ""), pngf[33:]),
		"texts":       fill(pngf[:33], chunk("tEXt", ""), pngf[33:]),
		"profiles":    fill(pngf[:33], chunk("iCCP", "abcd"), pngf[33:]),
		"sub-blocks":  fill(append(bytes.Clone(giff[:last]), 0x21, 0xfe), []byte("\x01a"), []byte("\x00;")),
		"extensions":  fill(giff[:last], extension(0xff), giff[last:]),
		"loops":       fill(giff[:last], extension(0xff, "NETSCAPE2.0", "\x01\x00\x00"), giff[last:]),
		"pieces":      webps(0, piece("teSt", "")),
		"frames":      webps(2, frame(piece("VP8L", lossless()))),
		"exif":        webps(8, piece("EXIF", upright(6))),
	}
}

// stepsOf, in the environment of a test binary that counts statements, says what to strip: a length
// and a name.
const stepsOf = "MAKERGUARD_COUNT_STEPS_OF"

// TestCountSteps does the work that TestStrip_StepsAreLinear counts.
func TestCountSteps(t *testing.T) {
	order := os.Getenv(stepsOf)
	if order == "" {
		t.Skip("run by TestStrip_StepsAreLinear")
	}
	digits, name, _ := strings.Cut(order, " ")
	n, err := strconv.Atoi(digits)
	must(t, err)
	_, err = metadata.Strip(io.Discard, bytes.NewReader(stubborn(t)[name](n)), metadata.Limits{})
	must(t, err)
}

// A file sixteen times as long may cost sixteen times as many statements, whatever it is made of.
func TestStrip_StepsAreLinear(t *testing.T) {
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
	const small, times = 8 << 10, 16
	for _, name := range slices.Sorted(maps.Keys(stubborn(t))) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, many := steps(t, name, small), steps(t, name, small*times)
			if many > 1.5*times*max(one, small/8) {
				t.Errorf("%d bytes cost %.0f statements, %d bytes %.0f: %.0f times as many", small, one, small*times, many, many/one)
			}
			if most := 30.0 * small * times; many > most {
				t.Errorf("%d bytes cost %.0f statements, want at most %.0f", small*times, many, most)
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
