package makerguard

import (
	"errors"
	"time"
)

// Code says what went wrong. Codes are stable: clients match on them. Package problem
// maps each to an HTTP status, docs/errors.md tells what to do about each.
type Code string

// Error makes a Code usable as the target of errors.Is.
func (c Code) Error() string { return string(c) }

// The codes: who is calling.
const (
	AuthenticationRequired Code = "AUTHENTICATION_REQUIRED"
	InvalidCredentials     Code = "INVALID_CREDENTIALS"
	AccountSuspended       Code = "ACCOUNT_SUSPENDED"
	EmailNotVerified       Code = "EMAIL_NOT_VERIFIED"
	MFARequired            Code = "MFA_REQUIRED"
	MFAInvalid             Code = "MFA_INVALID"
	TokenExpired           Code = "TOKEN_EXPIRED"
	TokenInvalid           Code = "TOKEN_INVALID"
	TokenReused            Code = "TOKEN_REUSED"
	SessionRevoked         Code = "SESSION_REVOKED"
	SessionExpired         Code = "SESSION_EXPIRED"
	StepUpRequired         Code = "STEP_UP_REQUIRED"
)

// The codes: what they may do, and how much.
const (
	InsufficientPermissions Code = "INSUFFICIENT_PERMISSIONS"
	EntitlementExceeded     Code = "ENTITLEMENT_EXCEEDED"
	UsageLimitExceeded      Code = "USAGE_LIMIT_EXCEEDED"
	RateLimitExceeded       Code = "RATE_LIMIT_EXCEEDED"
)

// The codes: what they sent.
const (
	SecurityThreatDetected Code = "SECURITY_THREAT_DETECTED"
	ValidationFailed       Code = "VALIDATION_FAILED"
	MalformedRequest       Code = "MALFORMED_REQUEST"
	MethodNotAllowed       Code = "METHOD_NOT_ALLOWED"
	PayloadTooLarge        Code = "PAYLOAD_TOO_LARGE"
	UnsupportedMediaType   Code = "UNSUPPORTED_MEDIA_TYPE"
	DecryptionFailed       Code = "DECRYPTION_FAILED"
	NotFound               Code = "NOT_FOUND"
	Conflict               Code = "CONFLICT"
	IdempotencyMismatch    Code = "IDEMPOTENCY_MISMATCH"
)

// The codes: what we could not do.
const (
	KeyUnavailable   Code = "KEY_UNAVAILABLE"
	Overloaded       Code = "OVERLOADED"
	StoreUnavailable Code = "STORE_UNAVAILABLE"
	Internal         Code = "INTERNAL"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		AuthenticationRequired, InvalidCredentials, AccountSuspended, EmailNotVerified, MFARequired, MFAInvalid,
		TokenExpired, TokenInvalid, TokenReused, SessionRevoked, SessionExpired, StepUpRequired,
		InsufficientPermissions, EntitlementExceeded, UsageLimitExceeded, RateLimitExceeded,
		SecurityThreatDetected, ValidationFailed, MalformedRequest, MethodNotAllowed, PayloadTooLarge,
		UnsupportedMediaType, DecryptionFailed, NotFound, Conflict, IdempotencyMismatch,
		KeyUnavailable, Overloaded, StoreUnavailable, Internal,
	}
}

// Error is the one error type that crosses package borders. Message, Fields and
// Details are safe to show to the caller; Err is for the log alone.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration  // when the same request may succeed; 0: unknown
	Fields     []FieldError   // which members of the request are at fault
	Details    map[string]any // context for the caller: the missing permission, the limit, ...
	Err        error
}

// FieldError says what is wrong with one member of a request.
type FieldError struct {
	Pointer string // RFC 6901: "/frame/size"
	Rule    string // stable name of the rule broken, if it has one: "gtin"
	Message string
}

// Error gives the message, then the cause.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, makerguard.NotFound) hold however deeply e is wrapped.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// CodeOf gives the code of the first Error or Code in err's chain, Internal for any
// other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if c, ok := errors.AsType[Code](err); ok {
		return c
	}
	return Internal
}
