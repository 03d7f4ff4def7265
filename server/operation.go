package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/validation"
	jsonv2 "github.com/go-json-experiment/json"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/strictjson"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/problem"
)

// Limits on request bodies in bytes (64 KiB, 1 MiB where free data is sent,
// and room for its ciphertext in base64).
const (
	smallBody  = 64 << 10
	largeBody  = 1 << 20
	sealedBody = 2 << 20
)

// access says who may call an operation. Its zero value is nobody.
type access struct {
	public     bool                  // anyone; the service behind it limits by address
	signedIn   bool                  // any authenticated caller
	enrollment bool                  // an enrolment token is accepted too
	permission makerguard.Permission // a caller with this permission
}

var (
	anyone   = access{public: true}
	signedIn = access{signedIn: true}
	enroller = access{signedIn: true, enrollment: true}
)

func with(p makerguard.Permission) access { return access{permission: p} }

// operation is one row of the route table.
type operation struct {
	method, path string
	tag          string
	summary      string
	status       int      // of success; 0 is 200
	maxBody      int64    // bytes; 0 is smallBody
	media        string   // of a plain route's answers; "" if they have no body
	takes        []string // media types of a body that is not JSON; nil for JSON
	access       access
}

// call is what a handler knows about the request besides its input.
type call struct {
	principal  *makerguard.Principal // nil for public operations
	client     makerguard.Client
	enrollment makerguard.Secret // the enrolment token the caller came with, if any
}

type enrollmentKey struct{}

// handle adds an operation to the router and to the OpenAPI document. The order is
// fixed: who calls, may they, is the body of the right type and size, is it well
// formed, is it valid; then the handler, whose errors become problems here.
func handle[I, O any](s *Server, op operation, h func(ctx context.Context, c call, in *I) (*O, error)) {
	if op.access == (access{}) {
		panic("operation " + op.method + " " + op.path + " says nothing about who may call it")
	}
	if op.maxBody == 0 {
		op.maxBody = smallBody
	}
	o := huma.Operation{
		Method: op.method, Path: op.path, OperationID: operationID(op), Tags: []string{op.tag}, Summary: op.summary,
		DefaultStatus: op.status, MaxBodyBytes: op.maxBody + 1, // huma refuses a body of exactly its limit
		Errors:      []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable},
		Middlewares: huma.Middlewares{s.admit(op)},
	}
	if op.takes != nil {
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, media := range op.takes {
			o.RequestBody.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	if !op.access.public {
		o.Security = []map[string][]string{{"bearer": {}}}
		o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden)
		if op.access.permission != "" {
			o.Description = "Needs the permission `" + string(op.access.permission) + "`."
		}
	}
	s.operations = append(s.operations, op)
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*O, error) {
		c := call{client: makerguard.ClientFrom(ctx)}
		c.principal, _ = makerguard.PrincipalFrom(ctx)
		c.enrollment, _ = ctx.Value(enrollmentKey{}).(makerguard.Secret)
		out, err := h(ctx, c, in)
		if err != nil {
			s.logFailure(ctx, err)
			return nil, problem.From(err, c.client.RequestID)
		}
		return out, nil
	})
}

// plain adds a route whose answers are no JSON bodies or not huma's to write, with an
// access rule and a place in the OpenAPI document like the others. One without a
// method takes any. Machines ask them again and again, proxies and probes, so what
// they are answered well is logged at the level debug only.
func (s *Server) plain(op operation, h http.HandlerFunc) {
	if op.access == (access{}) {
		panic("route " + op.path + " says nothing about who may call it")
	}
	pattern := op.path
	if op.method == "" {
		op.method = http.MethodGet // what the document shows
	} else {
		pattern = op.method + " " + op.path
	}
	o := &huma.Operation{
		Method: op.method, Path: op.path, OperationID: operationID(op), Tags: []string{op.tag}, Summary: op.summary,
		Responses: map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK)}},
	}
	if op.media != "" {
		o.Responses["200"].Content = map[string]*huma.MediaType{op.media: {}}
	}
	if !op.access.public {
		o.Security = []map[string][]string{{"bearer": {}}}
		o.Description = "Needs the permission `" + string(op.access.permission) + "`."
	}
	s.api.OpenAPI().AddOperation(o)
	s.operations = append(s.operations, op)
	s.quiet[pattern] = true
	if op.access.public {
		s.mux.HandleFunc(pattern, h)
		return
	}
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var hold middleware.Hold
		defer hold.Leave()
		ctx, err := s.authorize(r, op.access, &hold)
		middleware.SetBurst(w.Header(), hold.Burst())
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h(w, r.WithContext(ctx))
	})
}

// operationID makes "get-v1-me" of GET /v1/me.
func operationID(op operation) string {
	return strings.ToLower(op.method) + idWriting.Replace(op.path)
}

var idWriting = strings.NewReplacer("/", "-", "{", "", "}", "", ".", "-")

// admit is what stands before every operation: authentication, permission, media type.
func (s *Server) admit(op operation) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		var hold middleware.Hold
		defer hold.Leave()
		rctx, err := s.authorize(r, op.access, &hold)
		middleware.SetBurst(w.Header(), hold.Burst())
		if err == nil {
			err = checkSingle(r)
		}
		if err == nil {
			err = checkMediaType(r, ctx.Operation())
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		next(huma.WithContext(ctx, rctx))
		s.watch(rctx, r, ctx.Status())
	}
}

// authorize finds out who calls, asks the policy's rates for the caller, which hold keeps until the
// request has ended, and whether the caller may.
func (s *Server) authorize(r *http.Request, a access, hold *middleware.Hold) (context.Context, error) {
	ctx := r.Context()
	if a.public {
		return ctx, nil
	}
	tok, err := middleware.Bearer(r.Header)
	if err != nil {
		return nil, err
	}
	if tok == "" {
		return nil, &makerguard.Error{Code: makerguard.AuthenticationRequired, Message: "send an access token in the header Authorization: Bearer"}
	}
	p, err := s.screen.Authenticate(ctx, tok)
	if err != nil && a.enrollment && !strings.Contains(tok, ".") { // no JWT: perhaps an enrolment token
		if ep, eerr := s.guard.Auth.AuthenticateEnrollment(ctx, makerguard.Secret(tok)); eerr == nil {
			ctx = context.WithValue(ctx, enrollmentKey{}, makerguard.Secret(tok))
			p, err = ep, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.guard.Limits().Caller(ctx, hold, p, nil); err != nil {
		return nil, err
	}
	if a.permission != "" {
		if err := s.guard.Access.Policy().Decide(p, a.permission).Err(); err != nil {
			s.guard.AccessDenied(ctx, p, string(a.permission))
			return nil, err
		}
	}
	return makerguard.WithPrincipal(ctx, p), nil
}

// singleHeaders are those of which an operation reads one: of two copies, a proxy may have
// looked at the other.
var singleHeaders = []string{"Authorization", "Content-Type", "Idempotency-Key"}

// checkSingle refuses a query parameter or header that is given twice (OWASP ASVS 5
// V15.3.7), and a query that is not well formed.
func checkSingle(r *http.Request) error {
	for _, name := range singleHeaders {
		if len(r.Header[name]) > 1 {
			return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the request has more than one " + name + " header"}
		}
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the query is not well formed", Err: err}
	}
	for name, values := range query {
		if len(values) > 1 {
			return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the query parameter " + printable(name) + " occurs more than once"}
		}
	}
	return nil
}

// checkMediaType refuses a body of another media type than the operation takes, and a
// body without one (OWASP ASVS 5 V4.1.1).
func checkMediaType(r *http.Request, op *huma.Operation) error {
	if op.RequestBody == nil || r.ContentLength == 0 {
		return nil
	}
	values := r.Header["Content-Type"]
	if len(values) == 1 {
		if mt, _, err := mime.ParseMediaType(values[0]); err == nil && op.RequestBody.Content[mt] != nil {
			return nil
		}
	}
	var want []string
	for mt := range op.RequestBody.Content {
		want = append(want, mt)
	}
	return &makerguard.Error{Code: makerguard.UnsupportedMediaType, Message: "send the body as " + strings.Join(want, " or ")}
}

// jsonFormat is how every JSON body is read and written.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error { return jsonv2.MarshalWrite(w, v, jsonv2.Deterministic(true)) },
	Unmarshal: func(data []byte, v any) error {
		err := strictjson.Decode(data, v)
		if e, ok := errors.AsType[*makerguard.Error](err); ok {
			return malformed(e.Message)
		}
		return err
	},
}

// malformed carries a safe message through huma's error details, which keep only text.
type malformed string

const malformedMark = "malformed: "

func (m malformed) Error() string { return malformedMark + string(m) }

// configureHuma makes huma's own refusals our problems. Its hooks are package variables,
// so they are set once for the process.
var configureHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		requestID := ""
		if ctx != nil {
			requestID = makerguard.ClientFrom(ctx.Context()).RequestID
		}
		e := refusal(status, msg, errs)
		if e.Code == makerguard.PayloadTooLarge && ctx != nil {
			e.Message = fmt.Sprintf("the body is larger than the %d bytes this operation takes", ctx.Operation().MaxBodyBytes-1)
		}
		return problem.From(e, requestID)
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return problem.From(refusal(status, msg, errs), "")
	}
})

// unreadableBody is what huma says, with status 500, when reading a request body fails.
const unreadableBody = "cannot read request body"

// refusal gives the error that stands for one of huma's. Values of the request, which
// huma would echo, are left out.
func refusal(status int, msg string, errs []error) *makerguard.Error {
	if msg == unreadableBody { // broken chunks, or a client that went away
		return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the request body could not be read to its end"}
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		return &makerguard.Error{Code: makerguard.PayloadTooLarge}
	case http.StatusUnsupportedMediaType:
		return &makerguard.Error{Code: makerguard.UnsupportedMediaType, Message: "send the body as application/json"}
	case http.StatusRequestTimeout:
		return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the request body did not arrive in time"}
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
	default:
		return &makerguard.Error{Code: makerguard.Internal, Err: errors.Join(append(errs, errors.New(msg))...)}
	}
	e := &makerguard.Error{Code: makerguard.ValidationFailed, Message: "see errors for what to change"}
	if status == http.StatusBadRequest {
		e = &makerguard.Error{Code: makerguard.MalformedRequest, Message: msg}
	}
	for _, err := range errs {
		d, ok := err.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		detail := d.ErrorDetail()
		if text, ok := strings.CutPrefix(detail.Message, malformedMark); ok {
			return &makerguard.Error{Code: makerguard.MalformedRequest, Message: text}
		}
		if detail.Message == validation.MsgUnexpectedProperty {
			return &makerguard.Error{Code: makerguard.MalformedRequest, Message: "the body has a member that is not known", Fields: []makerguard.FieldError{
				{Pointer: pointer(detail.Location), Rule: "known", Message: "unknown member"},
			}}
		}
		e.Fields = append(e.Fields, schemaField(detail))
	}
	return e
}

// schemaField says which member breaks the schema, and how. One that is missing is pointed
// at where it should be, not at the object that lacks it.
func schemaField(d *huma.ErrorDetail) makerguard.FieldError {
	f := makerguard.FieldError{Pointer: pointer(d.Location), Rule: "schema", Message: d.Message}
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	if name, ok := strings.CutPrefix(d.Message, before); ok {
		f.Pointer, f.Message = f.Pointer+"/"+strings.TrimSuffix(name, after), "this member is required"
	}
	return f
}

// pointer turns huma's "body.items[3].tags" into the JSON pointer "/items/3/tags". A
// parameter, which no pointer can reach, is named as it is: "query.limit".
func pointer(location string) string {
	rest, ok := strings.CutPrefix(location, "body")
	if !ok {
		return location
	}
	return pointerWriting.Replace(rest)
}

var pointerWriting = strings.NewReplacer(".", "/", "[", "/", "]", "")
