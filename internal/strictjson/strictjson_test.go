package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/strictjson"
)

type body struct {
	Email string          `json:"email"`
	N     int             `json:"n"`
	Data  json.RawMessage `json:"data"`
}

// goal: V1.5.2 — one strict decoder: unknown, duplicate and case-variant keys, trailing data, bad UTF-8, depth.
func TestDecode_RefusesWhatParsersDisagreeAbout(t *testing.T) {
	good := `{"email":"a@b.example","n":3,"data":{"a":[1,2]}}`
	var b body
	if err := strictjson.Decode([]byte(good), &b); err != nil || b.Email != "a@b.example" || b.N != 3 {
		t.Fatalf("Decode(%s) = %+v, %v, want it read", good, b, err)
	}
	for name, in := range map[string]string{
		"empty":              ``,
		"not JSON":           `email=a`,
		"cut":                `{"email":"a`,
		"trailing data":      good + `{}`,
		"unknown member":     `{"email":"a","admin":true}`,
		"duplicate member":   `{"email":"a","email":"b"}`,
		"escaped duplicate":  `{"email":"a","\u0065mail":"b"}`,
		"case variant":       `{"Email":"a"}`,
		"nested duplicate":   `{"data":{"a":1,"a":2}}`,
		"invalid UTF-8":      "{\"email\":\"\xff\"}",
		"lone surrogate":     `{"email":"\ud800"}`,
		"wrong type":         `{"email":5}`,
		"number too large":   `{"n":1e400}`,
		"comment":            `{"email":"a"/**/}`,
		"trailing comma":     `{"email":"a",}`,
		"single quotes":      `{'email':'a'}`,
		"NaN":                `{"n":NaN}`,
		"byte order mark":    "\ufeff{}",
		"33 levels":          `{"data":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
		"deep and malformed": strings.Repeat("[", 100_000),
	} {
		var b body
		if err := strictjson.Decode([]byte(in), &b); !errors.Is(err, makerguard.MalformedRequest) {
			t.Errorf("%s: Decode(%.60q) = %v, want MALFORMED_REQUEST", name, in, err)
		}
	}
}

func TestDecode_32LevelsPass(t *testing.T) {
	in := `{"data":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`
	var b body
	if err := strictjson.Decode([]byte(in), &b); err != nil {
		t.Errorf("Decode(32 levels) = %v, want nil", err)
	}
	// Brackets inside strings, escaped quotes before them included, are no levels.
	in = `{"email":"\"` + strings.Repeat("[", 100) + `"}`
	if err := strictjson.Decode([]byte(in), &b); err != nil {
		t.Errorf("Decode(brackets in a string) = %v, want nil", err)
	}
}

func TestDecode_MessageNeverQuotesValues(t *testing.T) {
	err := strictjson.Decode([]byte(`{"email":"canary-secret","x":1}`), &body{})
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || strings.Contains(e.Message, "canary") || e.Message == "" {
		t.Errorf("message = %q, want one without the value", e.Message)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":"c"}]}`, `[[[[`, "\"\xff\"", `{"a":1,"a":2}`, `1e400`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v any
		if strictjson.Decode(in, &v) != nil {
			return
		}
		if !json.Valid(in) { // what we accept, the lenient parser accepts too
			t.Fatalf("Decode accepted %q, which is not JSON", in)
		}
		var out bytes.Buffer
		if err := json.Compact(&out, in); err != nil {
			t.Fatal(err)
		}
		var again any
		if err := strictjson.Decode(out.Bytes(), &again); err != nil {
			t.Fatalf("Decode(compacted %q) = %v", in, err)
		}
	})
}
