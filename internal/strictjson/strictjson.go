// Package strictjson is the one JSON decoder of everything that comes from outside
// (OWASP ASVS 5 V1.5.2): two parsers that disagree about one document are how checks
// are slipped past. It refuses duplicate and unknown members, names that
// differ in case, trailing data, invalid UTF-8 and deep nesting.
package strictjson

import (
	"encoding/json"
	"errors"
	"io"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/makerguard/makerguard"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 32

// Decode reads the one JSON value in data into v. Every refusal is MalformedRequest
// with a message that says where; it never quotes the data.
func Decode(data []byte, v any) error {
	if deeper(data, MaxDepth) {
		return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the body nests deeper than 32 levels"}
	}
	err := jsonv2.Unmarshal(data, v, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	return &makerguard.Error{Code: makerguard.MalformedRequest, Message: message(err), Err: err}
}

// Valid reports, as Decode does, what is wrong with data as JSON of any shape.
func Valid(data []byte) error {
	var v json.RawMessage
	return Decode(data, &v)
}

// deeper reports whether brackets outside strings nest deeper than limit. On data that
// is not JSON it may answer either way; the decoder refuses that next.
func deeper(data []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func message(err error) string {
	where := ""
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && e.JSONPointer != "" {
		where = " at " + bounded(string(e.JSONPointer))
	} else if e, ok := errors.AsType[*jsonv2.SemanticError](err); ok && e.JSONPointer != "" {
		where = " at " + bounded(string(e.JSONPointer))
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "the body has a member twice" + where
	case errors.Is(err, jsonv2.ErrUnknownName):
		return "the body has a member that is not known" + where
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the body ends before the JSON value does"
	}
	return "the body is not one well-formed JSON value of the expected shape" + where
}

// bounded keeps a pointer, which holds names the caller chose, short and printable.
func bounded(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			b[i] = '?'
		}
	}
	return string(b)
}
