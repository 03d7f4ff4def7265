package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/libinjection-go"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/threat"
)

func inspectRows() []row {
	return []row{
		{
			path: "inspect 100 B of clean business text", against: "libinjection-go IsSQLi + IsXSS",
			target:  target{relation: timesFaster, bound: 3, allocs: 0},
			measure: comparison(oneCore, 1, inspectText),
		},
		{
			path: "inspect a request with a 4 KiB JSON product", against: "Coraza + CRS, paranoia 1",
			target:  target{relation: timesFaster, bound: 50, allocs: anyAllocs},
			measure: comparison(oneCore, 1, inspectProduct),
		},
	}
}

// cleanTexts are what manufacturers write, each of 100 bytes.
var cleanTexts = []string{
	"Round acetate frame in light tortoise, hand polished, with five barrel hinges and keyhole bridge. OK",
	"O'Brien & Sons of Galway select from our union collection: 24 frames, 3 sizes, and/or custom colours",
	"Size 52[]18-145, lens height 41.5 mm, EUR 129.90 (VAT incl.); ships in 2-3 days; see care guide p. 7",
	"Polarised lenses, category 3, 100% UV protection. Questions? Write to sales@lunettes.example, please",
}

const attack = `1' UNION SELECT email, password_hash FROM members -- `

func inspectText(*lab) (ours, theirs side, err error) {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		return ours, theirs, err
	}
	inspect := func(text string) bool {
		return len(d.Inspect(nil, threat.Input{Name: "description", Value: text, Location: makerguard.InForm, Kind: makerguard.KindText})) > 0
	}
	inject := func(text string) bool {
		sqli, _ := libinjection.IsSQLi(text)
		return sqli || libinjection.IsXSS(text)
	}
	for name, found := range map[string]func(string) bool{"our detector": inspect, "libinjection": inject} {
		for _, bad := range []string{attack, "<script>alert(document.cookie)</script>"} {
			if !found(bad) {
				return ours, theirs, fmt.Errorf("%s lets %q through", name, bad)
			}
		}
	}
	for _, text := range cleanTexts {
		if len(text) != 100 {
			return ours, theirs, fmt.Errorf("%q has %d bytes, want 100", text, len(text))
		}
	}
	all := func(found func(string) bool) side {
		return side{run: func(n int) error {
			for i := range n {
				if text := cleanTexts[i%len(cleanTexts)]; found(text) {
					return fmt.Errorf("clean text is taken for an attack: %q", text)
				}
			}
			return nil
		}}
	}
	return all(inspect), all(inject), nil
}

// product is a request's body of 4 KiB.
//
//go:embed testdata/product.json
var product []byte

// upload is what a browser sends with the product.
var upload = struct {
	path, query string
	headers     [][2]string
}{
	path: "/products", query: "source=editor&draft=false",
	headers: [][2]string{
		{"Host", "market.example"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{"Accept", "application/json"},
		{"Accept-Language", "en-GB,en;q=0.8,fr;q=0.6"},
		{"Accept-Encoding", "gzip, deflate, br"},
		{"Referer", "https://market.example/products/new"},
		{"Content-Type", "application/json"},
	},
}

// attacked is the product with an attack in its name.
func attacked() ([]byte, error) {
	const name = `"name": "`
	before, after, ok := strings.Cut(string(product), name)
	if !ok {
		return nil, errors.New("the product has no name")
	}
	return []byte(before + name + attack + after), nil
}

func inspectProduct(*lab) (ours, theirs side, err error) {
	if len(product) != 4<<10 {
		return ours, theirs, fmt.Errorf("the product has %d bytes, want 4096", len(product))
	}
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		return ours, theirs, err
	}
	header := http.Header{}
	for _, h := range upload.headers {
		header.Set(h[0], h[1])
	}
	inspection := &middleware.Inspection{Detector: d}
	inspect := func(body []byte) (bool, error) {
		found := inspection.Head(nil, upload.path, upload.query, header)
		return len(d.InspectJSON(found, threat.Input{Name: "body", Value: string(body), Location: makerguard.InJSON})) > 0, nil
	}
	waf, err := newCoraza()
	if err != nil {
		return ours, theirs, err
	}
	bad, err := attacked()
	if err != nil {
		return ours, theirs, err
	}
	sideOf := func(name string, blocks func([]byte) (bool, error)) (side, error) {
		if blocked, err := blocks(bad); err != nil || !blocked {
			return side{}, fmt.Errorf("%s lets an attack in the product through (%v)", name, err)
		}
		return each(func() error {
			blocked, err := blocks(product)
			if err == nil && blocked {
				err = fmt.Errorf("%s takes the clean product for an attack", name)
			}
			return err
		}), nil
	}
	ours, errOurs := sideOf("our detector", inspect)
	theirs, errTheirs := sideOf("Coraza", waf.blocks)
	return ours, theirs, errors.Join(errOurs, errTheirs)
}

// corazaWAF is Coraza with the whole Core Rule Set as it comes: paranoia level 1, blocking.
type corazaWAF struct{ coraza.WAF }

func newCoraza() (*corazaWAF, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(`
Include @coraza.conf-recommended
Include @crs-setup.conf.example
Include @owasp_crs/*.conf
SecRuleEngine On
SecAuditEngine Off
`))
	if err != nil {
		return nil, fmt.Errorf("making Coraza: %w", err)
	}
	return &corazaWAF{waf}, nil
}

// blocks runs the phases of a request: its line and headers, then its body.
func (w *corazaWAF) blocks(body []byte) (blocked bool, err error) {
	tx := w.NewTransaction()
	defer func() { err = errors.Join(err, tx.Close()) }()
	tx.ProcessConnection(client.IP, 40000, "127.0.0.1", 443)
	tx.ProcessURI(upload.path+"?"+upload.query, http.MethodPost, "HTTP/1.1")
	for _, h := range upload.headers {
		tx.AddRequestHeader(h[0], h[1])
	}
	tx.SetServerName("market.example")
	if tx.ProcessRequestHeaders() != nil {
		return true, nil
	}
	if !tx.IsRequestBodyAccessible() {
		return false, errors.New("Coraza does not read the body")
	}
	var it *types.Interruption
	if it, _, err = tx.WriteRequestBody(body); it != nil || err != nil {
		return it != nil, err
	}
	it, err = tx.ProcessRequestBody()
	return it != nil, err
}
