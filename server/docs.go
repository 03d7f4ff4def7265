package server

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/makerguard/makerguard/problem"
)

//go:embed docs.html
var docsPage string

// document is what the API says of itself.
type document struct {
	spec []byte // OpenAPI, in JSON
	page []byte // the same for people, in HTML
}

// render makes the document, and changes nothing: requests read the same schemas. Routes do
// not change while the server runs, so once is enough, and only for those who ask: no start
// waits for it or keeps what it needs.
func (s *Server) render() (document, error) {
	spec, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	if err != nil {
		return document{}, fmt.Errorf("rendering the OpenAPI document: %w", err)
	}
	page, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return document{}, fmt.Errorf("parsing the docs page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, s.docsModel()); err != nil {
		return document{}, fmt.Errorf("rendering the docs page: %w", err)
	}
	return document{spec: spec, page: out.Bytes()}, nil
}

// describeProblems puts an operation's problems into the document under the media type they
// have, without its parameters, and says that every other error is one too.
func (s *Server) describeProblems(o *huma.Operation) {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem.Document](), true, "")
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
	for status, r := range o.Responses {
		if status >= "400" {
			r.Content = content
		}
	}
	o.Responses["default"] = &huma.Response{Description: "Any other problem", Content: content}
}

// docsGroup is one section of the docs page.
type docsGroup struct {
	Tag        string
	Operations []docsOperation
}

type docsOperation struct {
	Method, Path, Summary, Access, ID string
	Request, Response                 string // JSON schema, or "" if there is no body
}

// docsModel lists the operations in the order of the route table, by tag.
func (s *Server) docsModel() any {
	var groups []docsGroup
	index := map[string]int{}
	for _, op := range s.operations {
		at, ok := index[op.tag]
		if !ok {
			at = len(groups)
			index[op.tag] = at
			groups = append(groups, docsGroup{Tag: op.tag})
		}
		d := docsOperation{Method: op.method, Path: op.path, Summary: op.summary, ID: operationID(op), Access: "needs a sign-in"}
		switch {
		case op.access.public:
			d.Access = "open to everybody"
		case op.access.permission != "":
			d.Access = "needs the permission " + string(op.access.permission)
		}
		if o := s.findOperation(op); o != nil {
			if o.RequestBody != nil {
				d.Request = s.schemaText(o.RequestBody.Content)
			}
			for status, r := range o.Responses {
				if len(status) == 3 && status[0] == '2' {
					d.Response = s.schemaText(r.Content)
				}
			}
		}
		groups[at].Operations = append(groups[at].Operations, d)
	}
	return struct {
		Version string
		Groups  []docsGroup
	}{s.api.OpenAPI().Info.Version, groups}
}

func (s *Server) findOperation(op operation) *huma.Operation {
	item := s.api.OpenAPI().Paths[op.path]
	for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if o != nil && o.Method == op.method {
			return o
		}
	}
	return nil
}

// schemaText shows a body's schema with its top reference resolved.
func (s *Server) schemaText(content map[string]*huma.MediaType) string {
	for _, mt := range content {
		schema := mt.Schema
		if schema == nil {
			continue
		}
		if schema.Ref != "" {
			schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
		}
		b, err := json.MarshalIndent(schema, "", "  ")
		if err == nil {
			return string(b)
		}
	}
	return ""
}

func (s *Server) serveSpec(w http.ResponseWriter, r *http.Request) {
	d, err := s.document()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header()["Content-Type"] = jsonType
	_, _ = w.Write(d.spec)
}

// docsPolicy lets the page load its one stylesheet and nothing else; it has no script.
var docsPolicy = []string{"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}

func (s *Server) serveDocs(w http.ResponseWriter, r *http.Request) {
	d, err := s.document()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"text/html; charset=utf-8"}
	h["Content-Security-Policy"] = docsPolicy
	h["Cross-Origin-Opener-Policy"] = []string{"same-origin"}
	_, _ = w.Write(d.page)
}

//go:embed docs.css
var docsStyle []byte

func (s *Server) serveDocsStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{"text/css; charset=utf-8"}
	_, _ = w.Write(docsStyle)
}
