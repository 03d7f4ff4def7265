package audit

import (
	"slices"

	"github.com/makerguard/makerguard"
)

// The actions an entry can be about. They are stable: searches and alerts match on them.
const (
	ManufacturerRegistered = "manufacturer.registered"
	ManufacturerSuspended  = "manufacturer.suspended"
	ManufacturerRestored   = "manufacturer.restored"
	TierChanged            = "manufacturer.tier_changed"
	OperatorCreated        = "operator.created"

	SessionCreated         = "session.created"
	SessionEnded           = "session.ended"
	SessionSteppedUp       = "session.stepped_up"
	ReauthenticationFailed = "reauthentication.failed"
	MemberUnlocked         = "member.unlocked"
	SigninFailed           = "signin.failed"
	SigninRefused          = "signin.refused"
	SigninThrottled        = "signin.throttled"
	TokenReused            = "token.reused"

	MFAEnrolled      = "mfa.enrolled"
	MFARemoved       = "mfa.removed"
	MFAFailed        = "mfa.failed"
	MFADisabled      = "mfa.disabled"
	RecoveryCodeUsed = "recovery_code.used"
	PasswordChanged  = "password.changed"
	EmailVerified    = "email.verified"
	RoleChanged      = "member.role_changed"

	KeyCreated = "key.created"
	KeyRotated = "key.rotated"
	// SystemKeyChanged is about a key of the installation; its detail is the state reached.
	SystemKeyChanged = "key.system_changed"
	VaultWritten     = "vault.written"
	VaultRead        = "vault.read"
	VaultDeleted     = "vault.deleted"

	AccessDenied   = "access.denied"
	QuotaExceeded  = "quota.exceeded"
	ThreatDetected = "threat.detected"
	BlockImposed   = "block.imposed"
	BlockLifted    = "block.lifted"
	PolicyReloaded = "policy.reloaded"
	PolicyChanged  = "policy.changed"

	RulesChanged     = "rules.changed"
	ExclusionCreated = "rules.exclusion_created"
	ExclusionRemoved = "rules.exclusion_removed"
)

// Event says what an action means.
type Event struct {
	Action   string
	Meaning  string
	Severity makerguard.Severity
}

var catalogue = []Event{
	{ManufacturerRegistered, "A manufacturer signed up, with its first member as the owner.", makerguard.SeverityLow},
	{ManufacturerSuspended, "An operator suspended a manufacturer; its sessions ended.", makerguard.SeverityHigh},
	{ManufacturerRestored, "An operator lifted a suspension.", makerguard.SeverityMedium},
	{TierChanged, "An operator gave a manufacturer another tier.", makerguard.SeverityMedium},
	{OperatorCreated, "An operator account was made.", makerguard.SeverityHigh},

	{SessionCreated, "A member signed in.", makerguard.SeverityLow},
	{SessionEnded, "A session ended before its time; the detail says why.", makerguard.SeverityLow},
	{SessionSteppedUp, "A member proved again who they are within a session.", makerguard.SeverityLow},
	{ReauthenticationFailed, "A member who is signed in gave a wrong password or code; the detail says which.", makerguard.SeverityMedium},
	{MemberUnlocked, "Failed tries of a member were forgotten by somebody in charge, so that they may try again.", makerguard.SeverityHigh},
	{SigninFailed, "A sign-in failed; the detail says why, the caller was not told.", makerguard.SeverityMedium},
	{SigninRefused, "The password was right, but the manufacturer or the member is suspended or the address unverified.", makerguard.SeverityMedium},
	{SigninThrottled, "A sign-in or sign-up was put off after too many from this account or address.", makerguard.SeverityHigh},
	{TokenReused, "A refresh token was used a second time; the session was revoked, because it may have been stolen.", makerguard.SeverityCritical},

	{MFAEnrolled, "A second factor was confirmed.", makerguard.SeverityMedium},
	{MFARemoved, "A second factor was removed; the member's other sessions ended.", makerguard.SeverityHigh},
	{MFAFailed, "A wrong or used second-factor code was given.", makerguard.SeverityMedium},
	{MFADisabled, "A factor failed too often in a row and takes no more tries.", makerguard.SeverityHigh},
	{RecoveryCodeUsed, "A recovery code stood in for the second factor and is used up.", makerguard.SeverityHigh},
	{EmailVerified, "A member proved control of the e-mail address.", makerguard.SeverityLow},
	{RoleChanged, "A member was given another role.", makerguard.SeverityMedium},
	{PasswordChanged, "A member changed the password; other sessions ended.", makerguard.SeverityMedium},

	{KeyCreated, "The first version of a key was made.", makerguard.SeverityLow},
	{KeyRotated, "A new version of a key was made.", makerguard.SeverityMedium},
	{SystemKeyChanged, "A key of the installation was published, made active, retired or destroyed.", makerguard.SeverityMedium},
	{VaultWritten, "A sealed record was stored.", makerguard.SeverityLow},
	{VaultRead, "A sealed record was opened.", makerguard.SeverityLow},
	{VaultDeleted, "A sealed record was deleted.", makerguard.SeverityMedium},

	{AccessDenied, "A member lacked the permission for what was asked.", makerguard.SeverityMedium},
	{QuotaExceeded, "A use was refused because the month's limit is reached.", makerguard.SeverityLow},
	{ThreatDetected, "An input looked like an attack; the threat history has the finding.", makerguard.SeverityHigh},
	{BlockImposed, "An address, a member or a manufacturer was blocked for a time; the detail says why.", makerguard.SeverityHigh},
	{BlockLifted, "An operator lifted a block before its time.", makerguard.SeverityMedium},
	{PolicyReloaded, "The policy file was read anew, or refused.", makerguard.SeverityHigh},
	{PolicyChanged, "An operator put another policy in force.", makerguard.SeverityHigh},
	{RulesChanged, "An operator set modes of the detector's rules.", makerguard.SeverityHigh},
	{ExclusionCreated, "An operator made the detector overlook a field of a route for one rule; the detail says which and why.", makerguard.SeverityHigh},
	{ExclusionRemoved, "An operator removed such an exclusion.", makerguard.SeverityMedium},
}

// Catalogue lists every action that Record accepts, with its meaning and severity.
func Catalogue() []Event { return slices.Clone(catalogue) }

func catalogued(action string) bool {
	return slices.ContainsFunc(catalogue, func(e Event) bool { return e.Action == action })
}
