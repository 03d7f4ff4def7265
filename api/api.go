// Package api holds the types that cross the wire: the bodies of every request and
// answer of the HTTP API (v1). The OpenAPI document is made from them, so the two
// cannot differ. They are separate from the stored types: a member that is not here can
// be neither set nor seen from outside.
//
// JSON, snake_case, RFC 3339 times in UTC. Errors are package problem's.
package api

import (
	"encoding/json"
	"time"

	"github.com/makerguard/makerguard"
)

// Manufacturer is a tenant as its own members see it.
type Manufacturer struct {
	ID          makerguard.ManufacturerID `json:"id" example:"mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f"`
	CompanyName string                    `json:"company_name"`
	Country     string                    `json:"country" doc:"ISO 3166-1 alpha-2"`
	Tier        makerguard.Tier           `json:"tier" enum:"free,professional,enterprise,platform"`
	Status      makerguard.Status         `json:"status" enum:"active,suspended"`
	CreatedAt   time.Time                 `json:"created_at"`
}

// Member is a person who signs in for a manufacturer.
type Member struct {
	ID            makerguard.MemberID `json:"id"`
	Email         string              `json:"email"`
	Name          string              `json:"name,omitempty"`
	Role          makerguard.Role     `json:"role" enum:"owner,admin,editor,viewer"`
	MFA           bool                `json:"mfa" doc:"Whether a second factor is enrolled"`
	EmailVerified bool                `json:"email_verified" doc:"Whether control of the address was proved"`
}

// RegisterRequest is the body of POST /v1/manufacturers.
type RegisterRequest struct {
	Email       string            `json:"email" minLength:"3" maxLength:"254" doc:"Address the owner signs in with" example:"owner@lunettes.example"`
	Password    makerguard.Secret `json:"password" minLength:"1" maxLength:"1024" doc:"At least 15 characters; no other composition rules" example:"oak table under the linden"`
	CompanyName string            `json:"company_name" minLength:"1" maxLength:"200"`
	Country     string            `json:"country" pattern:"^[A-Z]{2}$" doc:"ISO 3166-1 alpha-2" example:"FR"`
	Name        string            `json:"name,omitempty" maxLength:"200" doc:"The owner's name"`
}

// RegisterResponse is the answer to RegisterRequest.
type RegisterResponse struct {
	Manufacturer Manufacturer `json:"manufacturer"`
	Member       Member       `json:"member"`
}

// LoginRequest is the body of POST /v1/auth/login.
type LoginRequest struct {
	Email       string            `json:"email" minLength:"1" maxLength:"254"`
	Password    makerguard.Secret `json:"password" minLength:"1" maxLength:"1024"`
	DeviceToken makerguard.Secret `json:"device_token,omitempty" maxLength:"256" doc:"As an earlier sign-in on this device gave it; spares the owner the throttling that strangers cause"`
}

// SignInResponse is the answer to every step of a sign-in. Its status says which
// members are there.
type SignInResponse struct {
	Status        string        `json:"status" enum:"authenticated,mfa_required,mfa_enrollment_required"`
	AccessToken   string        `json:"access_token,omitempty" doc:"JWT (RFC 9068), for Authorization: Bearer"`
	TokenType     string        `json:"token_type,omitempty" enum:"Bearer"`
	ExpiresIn     int64         `json:"expires_in,omitempty,omitzero" doc:"Seconds until the access token expires"`
	RefreshToken  string        `json:"refresh_token,omitempty" doc:"Opaque; used once, answered by its successor"`
	SessionID     string        `json:"session_id,omitempty"`
	DeviceToken   string        `json:"device_token,omitempty" doc:"Keep it on this device and send it with the next sign-in"`
	MFAToken      string        `json:"mfa_token,omitempty" doc:"For /v1/auth/mfa/verify, or, to enrol, as Bearer at /v1/auth/mfa/totp; 5 minutes"`
	Methods       []string      `json:"methods,omitempty" doc:"Second factors that would be accepted"`
	RecoveryCodes []string      `json:"recovery_codes,omitempty" doc:"Shown once, after an enrolment that finished a sign-in"`
	Manufacturer  *Manufacturer `json:"manufacturer,omitempty"`
	Member        *Member       `json:"member,omitempty"`
}

// MFAVerifyRequest is the body of POST /v1/auth/mfa/verify.
type MFAVerifyRequest struct {
	MFAToken makerguard.Secret `json:"mfa_token" minLength:"1" maxLength:"256"`
	Method   string            `json:"method" enum:"totp,recovery_code"`
	Code     string            `json:"code" minLength:"1" maxLength:"64"`
}

// RefreshRequest is the body of POST /v1/auth/refresh.
type RefreshRequest struct {
	RefreshToken makerguard.Secret `json:"refresh_token" minLength:"1" maxLength:"512"`
}

// TokenResponse is the answer to a refresh and to a step-up.
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type" enum:"Bearer"`
	ExpiresIn    int64  `json:"expires_in" doc:"Seconds until the access token expires"`
	RefreshToken string `json:"refresh_token,omitempty"`
	SessionID    string `json:"session_id"`
}

// StepUpRequest is the body of POST /v1/auth/step-up: a code from members with a
// second factor, the password from the others.
type StepUpRequest struct {
	Password makerguard.Secret `json:"password,omitempty" maxLength:"1024"`
	Code     string            `json:"code,omitempty" maxLength:"64"`
}

// PasswordChangeRequest is the body of POST /v1/auth/password/change.
type PasswordChangeRequest struct {
	CurrentPassword makerguard.Secret `json:"current_password" minLength:"1" maxLength:"1024"`
	NewPassword     makerguard.Secret `json:"new_password" minLength:"1" maxLength:"1024"`
}

// VerifyEmailRequest is the body of POST /v1/auth/email/verify.
type VerifyEmailRequest struct {
	Token makerguard.Secret `json:"token" minLength:"1" maxLength:"256"`
}

// Session is a sign-in as its member sees it.
type Session struct {
	ID         makerguard.SessionID `json:"id"`
	CreatedAt  time.Time            `json:"created_at"`
	LastSeenAt time.Time            `json:"last_seen_at"`
	ExpiresAt  time.Time            `json:"expires_at"`
	IP         string               `json:"ip"`
	UserAgent  string               `json:"user_agent"`
	Current    bool                 `json:"current" doc:"Whether it is the one that asks"`
}

// SessionsResponse is the answer to GET /v1/auth/sessions.
type SessionsResponse struct {
	Sessions []Session `json:"sessions"`
}

// RevokedResponse is the answer to DELETE /v1/auth/sessions.
type RevokedResponse struct {
	Revoked int `json:"revoked" doc:"How many sessions were ended"`
}

// TOTPEnrolment is the answer to POST /v1/auth/mfa/totp: pending until confirmed.
type TOTPEnrolment struct {
	Secret     string `json:"secret" doc:"Base32, for typing into an authenticator app"`
	OTPAuthURI string `json:"otpauth_uri"`
	QRPNG      string `json:"qr_png" doc:"The URI as a QR code, PNG in base64"`
}

// TOTPConfirmRequest is the body of POST /v1/auth/mfa/totp/confirm.
type TOTPConfirmRequest struct {
	Code string `json:"code" minLength:"1" maxLength:"64"`
}

// Me is the answer to GET /v1/me.
type Me struct {
	Manufacturer Manufacturer            `json:"manufacturer"`
	Member       Member                  `json:"member"`
	SessionID    makerguard.SessionID    `json:"session_id"`
	Permissions  []makerguard.Permission `json:"permissions"`
}

// MeterUsage is how one meter stands this month. A null limit is unlimited.
type MeterUsage struct {
	Used      int64  `json:"used" doc:"Units committed and reserved"`
	Limit     *int64 `json:"limit" doc:"Units a month; null is unlimited"`
	Remaining *int64 `json:"remaining" doc:"Units left; null is unlimited"`
}

// UsageResponse is the answer to GET /v1/usage.
type UsageResponse struct {
	PeriodStart time.Time             `json:"period_start"`
	PeriodEnd   time.Time             `json:"period_end"`
	Meters      map[string]MeterUsage `json:"meters"`
}

// UseRequest is the body of POST /v1/usage/{meter}.
type UseRequest struct {
	Amount int64 `json:"amount" minimum:"1" maximum:"1000000"`
}

// EvaluationSubject names who is asked about (AuthZEN 1.0).
type EvaluationSubject struct {
	Type       string          `json:"type" enum:"member,manufacturer,api_key"`
	ID         string          `json:"id" maxLength:"128"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// EvaluationAction names what they would do.
type EvaluationAction struct {
	Name       string          `json:"name" minLength:"1" maxLength:"64" doc:"A permission"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// EvaluationResource names what it would be done to.
type EvaluationResource struct {
	Type       string          `json:"type" maxLength:"64" doc:"manufacturer"`
	ID         string          `json:"id" maxLength:"128"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// EvaluationRequest is the body of POST /access/v1/evaluation. An omitted subject is
// the caller, an omitted resource the caller's own manufacturer.
type EvaluationRequest struct {
	Subject  *EvaluationSubject  `json:"subject,omitempty"`
	Action   EvaluationAction    `json:"action"`
	Resource *EvaluationResource `json:"resource,omitempty"`
	Context  json.RawMessage     `json:"context,omitempty" doc:"Free JSON object; its members meter and amount ask about a quota too"`
}

// MeterContext is what we read of an evaluation's context: the meter that the action
// would use, and how much of it. Other members are free and ignored.
type MeterContext struct {
	Meter  makerguard.Meter `json:"meter"`
	Amount int64            `json:"amount"`
}

// EvaluationResponse is the decision and why.
type EvaluationResponse struct {
	Decision bool            `json:"decision"`
	Context  DecisionContext `json:"context"`
}

// DecisionContext explains a decision.
type DecisionContext struct {
	Reason     string          `json:"reason" doc:"Stable code of the reason"`
	Rule       string          `json:"rule" doc:"The rule that decided"`
	Remaining  *int64          `json:"remaining" doc:"Units left of the meter asked about; null when none was, or it is unlimited"`
	LowestTier makerguard.Tier `json:"lowest_tier,omitempty" doc:"The lowest tier that would allow it to this role"`
}

// SealContext binds a ciphertext to where it belongs: it opens for the same record
// and field only.
type SealContext struct {
	Record string `json:"record,omitempty" maxLength:"256"`
	Field  string `json:"field,omitempty" maxLength:"256"`
}

// EncryptRequest is the body of POST /v1/encryption/encrypt.
type EncryptRequest struct {
	Data    json.RawMessage `json:"data" doc:"Any JSON value"`
	Context SealContext     `json:"context,omitempty,omitzero"`
}

// EncryptResponse is the answer to EncryptRequest.
type EncryptResponse struct {
	Ciphertext string    `json:"ciphertext" doc:"Base64 (RFC 4648 section 4)"`
	KeyVersion uint32    `json:"key_version"`
	Algorithm  string    `json:"algorithm"`
	CreatedAt  time.Time `json:"created_at"`
}

// DecryptRequest is the body of POST /v1/encryption/decrypt.
type DecryptRequest struct {
	Ciphertext string      `json:"ciphertext" maxLength:"2097152" doc:"As it was given; base64"`
	Context    SealContext `json:"context,omitempty,omitzero"`
}

// DecryptResponse is the answer to DecryptRequest.
type DecryptResponse struct {
	Data       json.RawMessage `json:"data"`
	KeyVersion uint32          `json:"key_version"`
}

// VaultPutRequest is the body of PUT /v1/vault/{name}.
type VaultPutRequest struct {
	Data json.RawMessage `json:"data" doc:"Any JSON value"`
}

// VaultRecord is a sealed business record; its data is there only when it was asked for.
type VaultRecord struct {
	Name       string          `json:"name"`
	Data       json.RawMessage `json:"data,omitempty"`
	KeyVersion uint32          `json:"key_version"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

// VaultList is the answer to GET /v1/vault.
type VaultList struct {
	Records    []VaultRecord `json:"records"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

// InspectInput is one value to inspect.
type InspectInput struct {
	Name     string          `json:"name" maxLength:"256"`
	Value    json.RawMessage `json:"value" doc:"A string or any JSON value"`
	Location string          `json:"location,omitempty" enum:"query,path,header,cookie,form,json,filename,text" default:"text"`
	Kind     string          `json:"kind,omitempty" enum:"text,identifier,html,url,number,email"`
}

// InspectRequest is the body of POST /v1/security/inspect.
type InspectRequest struct {
	Inputs []InspectInput `json:"inputs" minItems:"1" maxItems:"1000"`
}

// Issue is one rule that a business document breaks.
type Issue struct {
	Pointer  string `json:"pointer" doc:"JSON pointer (RFC 6901)"`
	Rule     string `json:"rule"`
	Severity string `json:"severity" enum:"error,warning"`
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty" doc:"What would be right, such as the check digit"`
	Source   string `json:"source,omitempty" doc:"Where the rule comes from"`
}

// ValidationResponse is the answer to inspect and validate. It is valid when it has
// neither errors nor threats.
type ValidationResponse struct {
	IsValid  bool     `json:"is_valid"`
	Errors   []Issue  `json:"errors"`
	Warnings []Issue  `json:"warnings"`
	Threats  []Threat `json:"threats"`
}

// ScoreFactor is one part of the security score.
type ScoreFactor struct {
	Name   string `json:"name"`
	Points int    `json:"points"`
	Max    int    `json:"max"`
	Advice string `json:"advice,omitempty" doc:"What would win the points lost"`
}

// ScoreResponse is the answer to GET /v1/security/score.
type ScoreResponse struct {
	Score   int           `json:"score" minimum:"0" maximum:"100"`
	Grade   string        `json:"grade"`
	Factors []ScoreFactor `json:"factors"`
}

// AuditEntry is one entry of the audit record.
type AuditEntry struct {
	ID        makerguard.EventID `json:"id"`
	Seq       int64              `json:"seq"`
	At        time.Time          `json:"at"`
	Action    string             `json:"action"`
	Outcome   string             `json:"outcome"`
	ActorKind string             `json:"actor_kind"`
	ActorID   string             `json:"actor_id,omitempty"`
	Target    string             `json:"target,omitempty"`
	IP        string             `json:"ip,omitempty"`
	RequestID string             `json:"request_id,omitempty"`
	Detail    string             `json:"detail,omitempty"`
	Hash      string             `json:"hash" doc:"Hexadecimal; chains the entry to all before it"`
}

// AuditResponse is the answer to GET /v1/audit, newest first.
type AuditResponse struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// ManufacturersResponse is the answer to GET /v1/admin/manufacturers.
type ManufacturersResponse struct {
	Manufacturers []Manufacturer `json:"manufacturers"`
	NextCursor    string         `json:"next_cursor,omitempty"`
}

// SetTierRequest is the body of PUT /v1/admin/manufacturers/{id}/tier.
type SetTierRequest struct {
	Tier makerguard.Tier `json:"tier" enum:"free,professional,enterprise"`
}

// SuspendRequest is the body of POST /v1/admin/manufacturers/{id}/suspend.
type SuspendRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// IntrospectionResponse is RFC 7662's: nothing but active:false unless the token is
// live and the caller's to ask about.
type IntrospectionResponse struct {
	Active       bool     `json:"active"`
	TokenType    string   `json:"token_type,omitempty"`
	Issuer       string   `json:"iss,omitempty"`
	Subject      string   `json:"sub,omitempty"`
	Audience     string   `json:"aud,omitempty"`
	ExpiresAt    int64    `json:"exp,omitempty,omitzero"`
	IssuedAt     int64    `json:"iat,omitempty,omitzero"`
	NotBefore    int64    `json:"nbf,omitempty,omitzero"`
	TokenID      string   `json:"jti,omitempty"`
	ClientID     string   `json:"client_id,omitempty"`
	Session      string   `json:"sid,omitempty"`
	Manufacturer string   `json:"mfr,omitempty"`
	Tier         string   `json:"tier,omitempty"`
	Role         string   `json:"role,omitempty"`
	AMR          []string `json:"amr,omitempty"`
}
