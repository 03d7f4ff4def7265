package threat_test

import (
	"fmt"
	"strings"
	"testing"

	libinjection "github.com/corazawaf/libinjection-go"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// cleanTexts are 100 bytes each, as products are described.
var cleanTexts = []struct{ name, text string }{
	{"Prose", "The Harbour frame is made by hand in Italy and ships to all countries in five days for EUR 129.90 ok"},
	{"Punctuation", "O'Brien & Sons: oak frame, size 52[]18-145 (unisex), \"best in class\"; price EUR 129.90 incl. VAT 19%"},
	{"French", "Monture en acétate fabriquée à la main en Italie, légère et très élégante, livrée avec son étui rigide"},
}

func newDetector(tb testing.TB) *threat.Detector {
	tb.Helper()
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func BenchmarkInspect(b *testing.B) {
	d := newDetector(b)
	for _, c := range cleanTexts {
		in := threat.Input{Name: "description", Value: c.text, Location: makerguard.InForm}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if fs := d.Inspect(nil, in); fs != nil {
					b.Fatal(fs)
				}
			}
		})
		b.Run(c.name+"/libinjection", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				libinjection.IsSQLi(c.text)
				libinjection.IsXSS(c.text)
			}
		})
	}
}

// product is a JSON product of about n bytes.
func product(n int) string {
	var b strings.Builder
	b.WriteString(`{"sku":"HB-52_18","name":"O'Brien & Sons \"Harbour\"","price":{"amount_minor":12990,"currency":"EUR"},"frame":{"size":"52[]18-145","material":"plastic","lens_width":52.5},"images":[`)
	for i := 0; b.Len() < n-200; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"harbour-front-%d.jpg","content_type":"image/jpeg","alt":"Acetate frame, tortoise (front %d), with spring hinges & case; 100%% hand-made"}`, i, i)
	}
	b.WriteString(`],"description":"Light, strong & made by hand. Select the size you like: 50, 52 or 54. Fits narrow and medium faces."}`)
	return b.String()
}

func BenchmarkInspectJSON(b *testing.B) {
	d := newDetector(b)
	for _, n := range []int{4 << 10, 128 << 10} {
		body := product(n)
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if fs := d.InspectJSON(nil, threat.Input{Name: "body", Value: body, Location: makerguard.InJSON}); fs != nil {
					b.Fatal(fs)
				}
			}
		})
	}
}
