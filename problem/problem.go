// Package problem turns errors into HTTP answers: RFC 9457 problem documents. It
// holds the only table from makerguard.Code to HTTP status. An error without a code is
// INTERNAL, and its text is never shown: the answer carries the request id by which
// the log tells the rest.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

// ContentType is the media type of every error answer.
const ContentType = "application/problem+json; charset=utf-8"

// docsURL is where each code is explained; the fragment is the code in lower case.
const docsURL = "https://github.com/makerguard/makerguard/blob/main/docs/errors.md#"

// kind is what the outside sees of a code.
type kind struct {
	status    int
	title     string
	retryable bool
}

var kinds = map[makerguard.Code]kind{
	makerguard.AuthenticationRequired:  {http.StatusUnauthorized, "Sign in first", false},
	makerguard.InvalidCredentials:      {http.StatusUnauthorized, "E-mail or password is wrong", false},
	makerguard.AccountSuspended:        {http.StatusForbidden, "The account is suspended", false},
	makerguard.EmailNotVerified:        {http.StatusForbidden, "The e-mail address is not verified", false},
	makerguard.MFARequired:             {http.StatusUnauthorized, "A second factor is required", false},
	makerguard.MFAInvalid:              {http.StatusUnauthorized, "The second factor was not accepted", false},
	makerguard.TokenExpired:            {http.StatusUnauthorized, "The token has expired", false},
	makerguard.TokenInvalid:            {http.StatusUnauthorized, "The token is not valid", false},
	makerguard.TokenReused:             {http.StatusUnauthorized, "The refresh token was used before", false},
	makerguard.SessionRevoked:          {http.StatusUnauthorized, "The session was ended", false},
	makerguard.SessionExpired:          {http.StatusUnauthorized, "The session has expired", false},
	makerguard.StepUpRequired:          {http.StatusUnauthorized, "Prove again who you are", false},
	makerguard.InsufficientPermissions: {http.StatusForbidden, "Not permitted", false},
	makerguard.EntitlementExceeded:     {http.StatusForbidden, "The plan allows no more of these", false},
	makerguard.UsageLimitExceeded:      {http.StatusTooManyRequests, "The month's limit is used up", true},
	makerguard.RateLimitExceeded:       {http.StatusTooManyRequests, "Too many requests", true},
	makerguard.SecurityThreatDetected:  {http.StatusForbidden, "The request looks like an attack", false},
	makerguard.ValidationFailed:        {http.StatusUnprocessableEntity, "The request is not valid", false},
	makerguard.MalformedRequest:        {http.StatusBadRequest, "The request is malformed", false},
	makerguard.MethodNotAllowed:        {http.StatusMethodNotAllowed, "The method is not allowed here", false},
	makerguard.PayloadTooLarge:         {http.StatusRequestEntityTooLarge, "The request body is too large", false},
	makerguard.UnsupportedMediaType:    {http.StatusUnsupportedMediaType, "The content type is not supported", false},
	makerguard.DecryptionFailed:        {http.StatusUnprocessableEntity, "The ciphertext cannot be opened", false},
	makerguard.NotFound:                {http.StatusNotFound, "There is no such thing", false},
	makerguard.Conflict:                {http.StatusConflict, "The request conflicts with what exists", false},
	makerguard.IdempotencyMismatch:     {http.StatusUnprocessableEntity, "The idempotency key stands for another request", false},
	makerguard.KeyUnavailable:          {http.StatusServiceUnavailable, "The encryption key cannot be reached", true},
	makerguard.Overloaded:              {http.StatusServiceUnavailable, "Too busy at the moment", true},
	makerguard.StoreUnavailable:        {http.StatusServiceUnavailable, "The store cannot be reached", true},
	makerguard.Internal:                {http.StatusInternalServerError, "Something went wrong on our side", false},
}

// Status gives the HTTP status of a code, 500 for an unknown one.
func Status(c makerguard.Code) int {
	if k, ok := kinds[c]; ok {
		return k.status
	}
	return http.StatusInternalServerError
}

// Document is an RFC 9457 problem with our extension members.
type Document struct {
	Type      string         `json:"type" format:"uri" doc:"Documentation of the code"`
	Title     string         `json:"title" doc:"What kind of problem it is; the same for every occurrence"`
	Status    int            `json:"status" doc:"The HTTP status"`
	Detail    string         `json:"detail,omitempty" doc:"What went wrong this time, and what to do"`
	Code      string         `json:"code" doc:"Stable code to match on"`
	RequestID string         `json:"request_id" doc:"Quote it when asking for help"`
	Retryable bool           `json:"retryable" doc:"Whether the same request may succeed later"`
	Errors    []Field        `json:"errors,omitempty" doc:"Which members of the request are at fault"`
	Context   map[string]any `json:"context,omitempty" doc:"Facts about the refusal: the permission missing, the limit reached"`

	retryAfter time.Duration
	challenge  string
}

// Field says what is wrong with one member of the request.
type Field struct {
	Pointer string `json:"pointer" doc:"JSON pointer (RFC 6901) to the member"`
	Rule    string `json:"rule,omitempty" doc:"The rule broken"`
	Message string `json:"message" doc:"What is wrong with it"`
}

// From makes the document of an error. Of an error without a code nothing is told.
func From(err error, requestID string) *Document {
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok {
		e = &makerguard.Error{Code: makerguard.CodeOf(err)}
	}
	k, known := kinds[e.Code]
	if !known {
		e = &makerguard.Error{Code: makerguard.Internal}
		k = kinds[makerguard.Internal]
	}
	d := &Document{
		Type: docsURL + strings.ToLower(string(e.Code)), Title: k.title, Status: k.status, Detail: e.Message,
		Code: string(e.Code), RequestID: requestID, Retryable: k.retryable, Context: e.Details,
		retryAfter: e.RetryAfter, challenge: challenge(e),
	}
	if e.Code == makerguard.Internal {
		d.Detail = "The log has the details under the request id."
		d.Context = nil
	}
	if d.retryAfter == 0 && d.Status == http.StatusServiceUnavailable {
		d.retryAfter = time.Second // whoever was told nothing would come back at once
	}
	for _, f := range e.Fields {
		d.Errors = append(d.Errors, Field(f))
	}
	return d
}

// challenge gives the WWW-Authenticate value of RFC 6750 and RFC 9470.
func challenge(e *makerguard.Error) string {
	switch e.Code {
	case makerguard.AuthenticationRequired:
		return `Bearer realm="makerguard"`
	case makerguard.TokenExpired, makerguard.TokenInvalid, makerguard.TokenReused, makerguard.SessionRevoked, makerguard.SessionExpired:
		return `Bearer realm="makerguard", error="invalid_token"`
	case makerguard.StepUpRequired:
		return `Bearer realm="makerguard", error="insufficient_user_authentication", max_age="300"`
	case makerguard.InsufficientPermissions:
		return `Bearer realm="makerguard", error="insufficient_scope"`
	default:
		if Status(e.Code) == http.StatusUnauthorized {
			return `Bearer realm="makerguard"` // RFC 9110: a 401 carries a challenge
		}
		return ""
	}
}

// Error gives the code, so that a Document can be returned as an error.
func (d *Document) Error() string { return d.Code }

// GetStatus gives the HTTP status.
func (d *Document) GetStatus() int { return d.Status }

// ContentType gives the media type, whatever was negotiated.
func (d *Document) ContentType(string) string { return ContentType }

// GetHeaders gives the headers that belong to the answer besides its content type:
// Retry-After in whole seconds, rounded up, and WWW-Authenticate.
func (d *Document) GetHeaders() http.Header {
	h := http.Header{}
	if d.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((d.retryAfter+time.Second-1)/time.Second), 10))
	}
	if d.challenge != "" {
		h.Set("WWW-Authenticate", d.challenge)
	}
	return h
}

// Write answers with the problem of err.
func Write(w http.ResponseWriter, err error, requestID string) {
	d := From(err, requestID)
	h := w.Header()
	for name, v := range d.GetHeaders() {
		h[name] = v
	}
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	body, merr := json.Marshal(d)
	if merr != nil { // a value in Context that JSON cannot hold
		d.Context = nil
		body, _ = json.Marshal(d)
	}
	w.WriteHeader(d.Status)
	_, _ = w.Write(body)
}
