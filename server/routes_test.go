package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
)

// newServer gives a server over a guard in a temporary directory.
func newServer(t testing.TB) *Server {
	t.Helper()
	g, err := guard.Open(context.WithoutCancel(t.Context()), guard.Config{
		Data: t.TempDir(), Argon2: auth.Argon2{Memory: 8, Time: 1, Threads: 1}, InsecureParams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	s, err := New(Config{Guard: g, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A route that says nothing about who may call it stops the program before it serves.
//
// goal: V8.1.1 V8.2.1
func TestRoutes_OneWithoutARuleDoesNotStart(t *testing.T) {
	s := newServer(t)
	for name, add := range map[string]func(){
		"operation": func() {
			handle(s, operation{method: "GET", path: "/v1/forgotten"}, func(context.Context, call, *none) (*none, error) { return nil, nil })
		},
		"plain": func() {
			s.plain(operation{method: "GET", path: "/forgotten"}, func(http.ResponseWriter, *http.Request) {})
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a route without a rule (%s) was accepted", name)
				}
			}()
			add()
		}()
	}
}

// What is routed, what is documented and what has a rule is the same.
//
// goal: API9 — route inventory = OpenAPI = router, both ways.
func TestRoutes_InventoryIsTheDocument(t *testing.T) {
	s := newServer(t)
	var routed, documented []string
	for _, op := range s.operations {
		routed = append(routed, op.method+" "+op.path)
		probe := httptest.NewRequest(op.method, strings.NewReplacer("{", "", "}", "").Replace(op.path), nil)
		if _, pattern := s.mux.Handler(probe); pattern != op.method+" "+op.path && pattern != op.path {
			t.Errorf("%s %s is served by the pattern %q", op.method, op.path, pattern)
		}
		o := s.findOperation(op)
		if o == nil {
			continue // told below
		}
		if (len(o.Security) == 0) != op.access.public {
			t.Errorf("%s %s: the document's security is %v, the rule is %+v", op.method, op.path, o.Security, op.access)
		}
		if o.Responses["default"] == nil {
			t.Errorf("%s %s: the document does not tell of problems", op.method, op.path)
		}
	}
	for path, item := range s.api.OpenAPI().Paths {
		for method, o := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete, "HEAD": item.Head, "OPTIONS": item.Options, "TRACE": item.Trace,
		} {
			if o != nil {
				documented = append(documented, method+" "+path)
			}
		}
	}
	slices.Sort(routed)
	slices.Sort(documented)
	if d := cmp.Diff(routed, documented); d != "" {
		t.Errorf("routes (-) and document (+) differ:\n%s", d)
	}
}

// huma's own refusals become our problems, without the values they are about.
//
// goal: V16.5.1
func TestRefusal(t *testing.T) {
	detail := func(location, message string) error {
		return &huma.ErrorDetail{Location: location, Message: message, Value: "canary"}
	}
	for _, tc := range []struct {
		name    string
		status  int
		message string
		errs    []error
		want    *makerguard.Error
	}{
		{"schema", 422, "validation failed", []error{detail("body.items[3].tag", "expected string")}, &makerguard.Error{
			Code: makerguard.ValidationFailed, Fields: []makerguard.FieldError{{Pointer: "/items/3/tag", Rule: "schema", Message: "expected string"}},
		}},
		{"a member is missing", 422, "validation failed", []error{detail("body.price", "expected required property currency to be present")}, &makerguard.Error{
			Code: makerguard.ValidationFailed, Fields: []makerguard.FieldError{{Pointer: "/price/currency", Rule: "schema", Message: "this member is required"}},
		}},
		{"a parameter", 422, "validation failed", []error{detail("query.limit", "expected number <= 200")}, &makerguard.Error{
			Code: makerguard.ValidationFailed, Fields: []makerguard.FieldError{{Pointer: "query.limit", Rule: "schema", Message: "expected number <= 200"}},
		}},
		{"an unknown member", 422, "validation failed", []error{detail("body.x", "unexpected property")}, &makerguard.Error{
			Code: makerguard.MalformedRequest, Fields: []makerguard.FieldError{{Pointer: "/x", Rule: "known", Message: "unknown member"}},
		}},
		{"not JSON", 400, "validation failed", []error{detail("body", malformedMark+"the body has a member twice")}, &makerguard.Error{Code: makerguard.MalformedRequest}},
		{"no body", 400, "request body is required", nil, &makerguard.Error{Code: makerguard.MalformedRequest}},
		{"too large", 413, "request body is too large", nil, &makerguard.Error{Code: makerguard.PayloadTooLarge}},
		{"media type", 415, "unknown content type", nil, &makerguard.Error{Code: makerguard.UnsupportedMediaType}},
		{"slow body", 408, "request body read timeout", nil, &makerguard.Error{Code: makerguard.MalformedRequest}},
		{"broken body", 500, unreadableBody, []error{errors.New("canary")}, &makerguard.Error{Code: makerguard.MalformedRequest}},
		{"anything else", 500, "canary", []error{errors.New("canary")}, &makerguard.Error{Code: makerguard.Internal}},
		{"an unknown status", 418, "canary", nil, &makerguard.Error{Code: makerguard.Internal}},
	} {
		got := refusal(tc.status, tc.message, tc.errs)
		if got.Code != tc.want.Code || strings.Contains(got.Message, "canary") {
			t.Errorf("%s: %s %q, want %s without the value", tc.name, got.Code, got.Message, tc.want.Code)
		}
		if d := cmp.Diff(tc.want.Fields, got.Fields); d != "" {
			t.Errorf("%s: fields differ (-want +got):\n%s", tc.name, d)
		}
	}
}

// A form gives one token or an error, whatever is in it.
func FuzzFormToken(f *testing.F) {
	for _, s := range []string{"token=a", "token=a&token=b", "token=%zz", "token=", "", "a;b", "token=a&token_type_hint=access_token", "token=a&\x00=b&\x00=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		tok, err := (&form{RawBody: []byte(body)}).token()
		if (tok == "") == (err == nil) {
			t.Fatalf("token of %q = %q, %v, want one of both", body, tok, err)
		}
		if code := makerguard.CodeOf(err); err != nil && code != makerguard.MalformedRequest && code != makerguard.ValidationFailed {
			t.Fatalf("token of %q: %v, want the caller told what is wrong", body, err)
		}
	})
}
