package threat_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

var places = []makerguard.Location{"", makerguard.InQuery, makerguard.InPath, makerguard.InHeader, makerguard.InCookie, makerguard.InForm, makerguard.InJSON, makerguard.InFilename, makerguard.InText}

var kinds = []makerguard.Kind{"", makerguard.KindText, makerguard.KindIdentifier, makerguard.KindHTML, makerguard.KindURL, makerguard.KindNumber, makerguard.KindEmail}

// checkFindings checks what holds for the findings of any input.
func checkFindings(t *testing.T, input string, fs []makerguard.Finding) {
	t.Helper()
	for _, f := range fs {
		if f.Type == "" || f.Severity == "" || f.Rule == "" || f.Description == "" || f.Score < 1 || f.Score > 5 {
			t.Errorf("finding in %q lacks something: %+v", input, f)
		}
		if len(f.Evidence) > 80 || !utf8.ValidString(f.Evidence) {
			t.Errorf("evidence in %q = %q, want at most 80 bytes of UTF-8", input, f.Evidence)
		}
		if f.Offset < 0 || f.Length < 0 || f.Offset+f.Length > len(input) {
			t.Errorf("%s in %q of %d bytes stands at %d, %d long", f.Rule, input, len(input), f.Offset, f.Length)
		}
	}
}

func FuzzInspect(f *testing.F) {
	for i, piece := range stubborn {
		f.Add(piece+piece+"x", uint8(i), uint8(i))
	}
	for _, v := range []string{"' or 1=1--", "%253Cscript%253E", "\xc0\xaf..\xe0\x80\xaf", "${${lower:j}ndi:ldap://x}", "<a href='java\tscript:1'>", "http://[::ffff:127.0.0.1%25z]:80/@x#", "O:8:\"A\":1:{"} {
		f.Add(v, uint8(1), uint8(0))
	}
	f.Fuzz(func(t *testing.T, v string, place, kind uint8) {
		for paranoia := 1; paranoia <= 3; paranoia++ {
			d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: paranoia})
			if err != nil {
				t.Fatal(err)
			}
			in := threat.Input{Name: "v", Value: v, Location: places[int(place)%len(places)], Kind: kinds[int(kind)%len(kinds)]}
			first := d.Inspect(nil, in)
			checkFindings(t, v, first)
			if again := d.Inspect(nil, in); len(again) != len(first) {
				t.Errorf("Inspect(%q) = %v, then %v", v, rules(first), rules(again))
			}
		}
	})
}

func FuzzInspectQuery(f *testing.F) {
	for _, q := range []string{"", "a", "a=b&c", "%", "%2", "a[$ne]=%00", "=&=&&", "a=%ff+%e5%98"} {
		f.Add(q)
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, q string) {
		checkFindings(t, q, d.InspectQuery(nil, q))
		checkFindings(t, q, d.InspectForm(nil, q))
		checkFindings(t, q, d.InspectCookie(nil, q))
	})
}

// The walk calls exactly that JSON malformed which a strict reader refuses.
func FuzzInspectJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,true,false,null,"x\n\u00e9\ud83d\udc53"],"b":{}}`, `{"a":1,"a":2}`, `[[[[1]]]]`, `{"`, `[1,]`, `"\ud800"`, `01`, ` { } `, "\"\xff\"", `1e400`, `-0`, `{"a":}`, `nul`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		fs := d.InspectJSON(nil, threat.Input{Name: "body", Value: string(body), Location: makerguard.InJSON})
		checkFindings(t, string(body), fs)
		said := map[string]bool{}
		for _, f := range fs {
			said[f.Rule] = true
		}
		if said["malformed.depth"] {
			return
		}
		valid := jsontext.Value(bytes.Clone(body)).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if valid == said["malformed.json"] {
			t.Errorf("InspectJSON(%q) says malformed: %v, a strict reader takes it: %v", body, said["malformed.json"], valid)
		}
		if valid && !said["malformed.json"] && utf8.Valid(body) {
			unique := jsontext.Value(bytes.Clone(body)).IsValid(jsontext.AllowInvalidUTF8(true))
			if unique == said["malformed.duplicate_key"] {
				t.Errorf("InspectJSON(%q) says duplicate key: %v, want %v", body, said["malformed.duplicate_key"], !unique)
			}
		}
	})
}
