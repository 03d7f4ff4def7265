package auth

import (
	"fmt"
	"time"

	"github.com/makerguard/makerguard"
)

// The states of a sign-in.
const (
	// StatusAuthenticated: Tokens are there.
	StatusAuthenticated = "authenticated"
	// StatusMFARequired: VerifyMFA with MFAToken and one of Methods comes next.
	StatusMFARequired = "mfa_required"
	// StatusMFAEnrollmentRequired: the member must have a second factor and has
	// none; MFAToken opens its enrolment and nothing else.
	StatusMFAEnrollmentRequired = "mfa_enrollment_required"
)

// The second factors.
const (
	MethodTOTP         = "totp"          // a code of RFC 6238
	MethodRecoveryCode = "recovery_code" // one of the codes given at enrolment
)

// Login is what a sign-in begins with.
type Login struct {
	Email    string
	Password makerguard.Secret
	// DeviceToken is one that an earlier sign-in of this member gave, or "".
	DeviceToken makerguard.Secret
}

// SignIn is how a sign-in stands.
type SignIn struct {
	Status   string
	Tokens   *Tokens           // only when authenticated
	MFAToken makerguard.Secret // only when a second factor is needed; good for 5 minutes
	Methods  []string          // what MFAToken can be used with
	// DeviceToken lets this device be known at the next sign-in; only when authenticated.
	DeviceToken  makerguard.Secret
	Manufacturer makerguard.Manufacturer
	Member       makerguard.Member
	// RecoveryCodes are those made by ConfirmTOTP. They are never shown again.
	RecoveryCodes []makerguard.Secret
}

// Tokens are the credentials of a session.
type Tokens struct {
	Access    makerguard.Secret
	Refresh   makerguard.Secret
	ExpiresIn time.Duration // of Access
	SessionID makerguard.SessionID
}

// Enrolment is a one-time code generator that awaits its first code. It is shown once.
type Enrolment struct {
	Secret makerguard.Secret // the seed in base32
	URI    makerguard.Secret // otpauth://totp/...
	QRPNG  []byte            // URI as a picture
}

// Introspection is what RFC 7662 section 2.2 asks for. The zero value is inactive.
type Introspection struct {
	Active         bool
	TokenType      string // "access_token" or "refresh_token"
	Issuer         string
	Audience       string
	TokenID        string
	ClientID       string
	Subject        makerguard.MemberID
	SessionID      makerguard.SessionID
	ManufacturerID makerguard.ManufacturerID
	Tier           makerguard.Tier
	Role           makerguard.Role
	AMR            []string
	AuthTime       time.Time
	IssuedAt       time.Time
	NotBefore      time.Time
	Expires        time.Time
}

// Secrets redact themselves, but fmt shows the fields of a nested pointer as they are when
// the verb does not fit it ("%s" of a struct that points to Tokens). So what is handed
// out by pointer and holds secrets says itself how it is printed.

// Format prints whose tokens they are, whatever the verb.
func (t Tokens) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "tokens of session %s", t.SessionID)
}

// Format prints how the sign-in stands, whatever the verb.
func (in SignIn) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "sign-in of member %s: %s", in.Member.ID, in.Status)
}

// Format prints nothing of the seed, whatever the verb.
func (Enrolment) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "enrolment of a second factor") }
