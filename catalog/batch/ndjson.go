package batch

import (
	"bytes"
	"errors"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/internal/strictjson"
)

// ndjson checks rows of JSON.
func (w *worker) ndjson(data []byte) (res result) {
	for line := range bytes.Lines(data) {
		w.row, w.line, w.failed = res.lines, res.lines, false
		res.lines++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		res.rows++
		w.report.Reset()
		if w.config.Kind == Companies {
			var c catalog.Company
			if w.decode(line, &c) {
				w.config.Validator.Company(&w.report, &c)
			}
		} else {
			var p catalog.Product
			if w.decode(line, &p) {
				w.config.Validator.Product(&w.report, &p)
				if w.config.Unique {
					res.keys = append(res.keys, w.keys(&p))
				}
			}
		}
		w.found(nil)
		if w.failed {
			res.rowsInError++
		}
	}
	res.height = res.lines
	return res
}

// decode reads a document as strictly as the API does, and says what is wrong with it.
func (w *worker) decode(line []byte, v any) bool {
	err := strictjson.Decode(line, v)
	if err == nil {
		return true
	}
	message := "the line is not one well-formed JSON object with members of the right kind"
	if e, ok := errors.AsType[*makerguard.Error](err); ok {
		message = strings.Replace(e.Message, "the body", "the line", 1)
	}
	pointer := ""
	if e, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
		pointer = string(e.JSONPointer)
		switch kind := e.JSONKind; {
		case e.GoType == nil:
		case kind == '0' && e.GoType.Kind() == reflect.String:
			message = "the member is a text: put it between quotation marks"
		case kind == '"' && e.GoType.Kind() == reflect.Float64:
			message = "the member is a number: write it without quotation marks"
		}
	} else if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		pointer = string(e.JSONPointer)
	}
	if errors.Is(err, jsonv2.ErrUnknownName) {
		name := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
		message = unknown("member", w.config.Kind, name)
	}
	w.add(clip(pointer), clip(pointer), "", message)
	return false
}
