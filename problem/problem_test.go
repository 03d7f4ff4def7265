package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/problem"
)

// A code without status or documentation fails here.
func TestEveryCodeHasStatusAndDocumentation(t *testing.T) {
	docs, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range makerguard.Codes() {
		d := problem.From(&makerguard.Error{Code: c, Message: "m"}, "req_1")
		if d.Code != string(c) || d.Status < 400 || d.Title == "" {
			t.Errorf("%s: document %+v, want its own status and title", c, d)
		}
		_, section, ok := strings.Cut(string(docs), "\n### "+strings.ToLower(string(c))+"\n")
		if !ok {
			t.Errorf("%s: docs/errors.md has no section for it", c)
			continue
		}
		if want := fmt.Sprintf("%d. ", d.Status); !strings.HasPrefix(section, want) {
			t.Errorf("%s: its section begins %.10q, want the status %q", c, section, want)
		}
		if !strings.HasSuffix(d.Type, "#"+strings.ToLower(string(c))) {
			t.Errorf("%s: type = %q, want one that leads to its section", c, d.Type)
		}
	}
}

// The statuses that the contract fixes; a drift breaks clients.
func TestStatus(t *testing.T) {
	for c, want := range map[makerguard.Code]int{
		makerguard.AuthenticationRequired: 401, makerguard.InvalidCredentials: 401, makerguard.AccountSuspended: 403,
		makerguard.MFARequired: 401, makerguard.StepUpRequired: 401, makerguard.InsufficientPermissions: 403,
		makerguard.EntitlementExceeded: 403, makerguard.UsageLimitExceeded: 429, makerguard.RateLimitExceeded: 429,
		makerguard.SecurityThreatDetected: 403, makerguard.ValidationFailed: 422, makerguard.DecryptionFailed: 422,
		makerguard.IdempotencyMismatch: 422, makerguard.MalformedRequest: 400, makerguard.MethodNotAllowed: 405,
		makerguard.PayloadTooLarge: 413, makerguard.UnsupportedMediaType: 415, makerguard.NotFound: 404,
		makerguard.Conflict: 409, makerguard.KeyUnavailable: 503, makerguard.Overloaded: 503,
		makerguard.StoreUnavailable: 503, makerguard.Internal: 500, "NO_SUCH_CODE": 500,
	} {
		if got := problem.Status(c); got != want {
			t.Errorf("Status(%s) = %d, want %d", c, got, want)
		}
	}
}

// goal: V16.5.1 — code and request id, never the text of a Go error.
func TestWrite_TellsNothingOfAnUntypedError(t *testing.T) {
	for name, err := range map[string]error{
		"untyped":           errors.New("canary: SELECT * FROM members"),
		"internal with why": &makerguard.Error{Code: makerguard.Internal, Message: "canary", Err: errors.New("canary")},
		"unknown code":      &makerguard.Error{Code: "CANARY_CODE", Message: "canary"},
		"cause of a typed":  &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "try later", Err: errors.New("canary /var/lib")},
		"wrapped":           fmt.Errorf("canary: %w", &makerguard.Error{Code: makerguard.NotFound, Message: "no such thing"}),
	} {
		w := httptest.NewRecorder()
		problem.Write(w, err, "req_1")
		if strings.Contains(strings.ToLower(w.Body.String()), "canary") {
			t.Errorf("%s: body %s tells the cause", name, w.Body)
		}
		var d problem.Document
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.RequestID != "req_1" || d.Code == "" || d.Status != w.Code {
			t.Errorf("%s: body %s (%v), want a document with the request id and the status %d", name, w.Body, err, w.Code)
		}
		if got := w.Header().Get("Content-Type"); got != problem.ContentType {
			t.Errorf("%s: Content-Type = %q, want %q", name, got, problem.ContentType)
		}
	}
}

func TestWrite_Headers(t *testing.T) {
	w := httptest.NewRecorder()
	problem.Write(w, &makerguard.Error{Code: makerguard.RateLimitExceeded, RetryAfter: 1500 * time.Millisecond}, "req_1")
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After = %q, want 2: whole seconds, rounded up", got)
	}
	for _, c := range makerguard.Codes() {
		w := httptest.NewRecorder()
		problem.Write(w, c, "req_1")
		challenge := w.Header().Get("WWW-Authenticate")
		if w.Code == http.StatusUnauthorized && !strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: a 401 without a challenge (RFC 9110 section 11.6.1)", c)
		}
	}
	// RFC 9470 section 3, RFC 6750 section 3.1.
	for c, want := range map[makerguard.Code]string{
		makerguard.StepUpRequired:          `error="insufficient_user_authentication"`,
		makerguard.TokenExpired:            `error="invalid_token"`,
		makerguard.InsufficientPermissions: `error="insufficient_scope"`,
	} {
		w := httptest.NewRecorder()
		problem.Write(w, c, "req_1")
		if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, want) {
			t.Errorf("%s: WWW-Authenticate = %q, want %s in it", c, got, want)
		}
	}
}

func TestWrite_ContextThatJSONCannotHold(t *testing.T) {
	w := httptest.NewRecorder()
	problem.Write(w, &makerguard.Error{Code: makerguard.Conflict, Details: map[string]any{"x": func() {}}}, "req_1")
	var d problem.Document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.Code != "CONFLICT" || w.Code != 409 {
		t.Errorf("body %s (%v), want the document without its context", w.Body, err)
	}
}
