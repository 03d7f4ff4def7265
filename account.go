package makerguard

import "time"

// Tier is a manufacturer's plan.
type Tier string

// The tiers. Each of the first three has the permissions of those before it.
// TierPlatform is the built-in tenant's own and cannot be given to a manufacturer.
const (
	TierFree         Tier = "free"
	TierProfessional Tier = "professional"
	TierEnterprise   Tier = "enterprise"
	TierPlatform     Tier = "platform"
)

// Tiers lists the tiers a manufacturer can have, lowest first.
func Tiers() []Tier { return []Tier{TierFree, TierProfessional, TierEnterprise} }

// Role is what a member is within its manufacturer.
type Role string

// The roles, most powerful first.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleEditor Role = "editor"
	RoleViewer Role = "viewer"
)

// Roles lists the roles, most powerful first.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleEditor, RoleViewer} }

// Status tells whether a manufacturer or member may act. The zero value may not.
type Status string

// The states of a manufacturer or member.
const (
	StatusActive    Status = "active"
	StatusSuspended Status = "suspended"
)

// Manufacturer is a tenant. All times are UTC.
type Manufacturer struct {
	ID          ManufacturerID
	CompanyName string
	Country     string // ISO 3166-1 alpha-2
	Tier        Tier
	Status      Status
	// StatusReason is what the operator gave when suspending.
	StatusReason string
	// TimeZone (IANA name, "" is UTC) and AnchorDay (1-31, 0 is 1) say when the
	// month of its meters begins.
	TimeZone  string
	AnchorDay int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Member is a person who signs in for one manufacturer, with everything that
// proves who they are, in one record so that every change to it is atomic.
type Member struct {
	ID             MemberID
	ManufacturerID ManufacturerID
	Email          string // as entered; the store compares EmailKey
	EmailKey       string // normalised, unique over all manufacturers
	Name           string
	Role           Role
	Grants         []Permission // given beyond the role, within the tier
	Status         Status

	PasswordHash      Secret // encoded with its parameters; see package auth
	PasswordShort     bool   // below the length asked of members without a second factor
	PasswordChangedAt time.Time
	EmailVerifiedAt   time.Time // zero: not verified

	TOTP          *TOTPFactor // confirmed, or nil
	PendingTOTP   []byte      // sealed seed awaiting its first code, or nil
	RecoveryCodes [][]byte    // SHA-256 of each unused recovery code

	CreatedAt time.Time
	UpdatedAt time.Time
}

// TOTPFactor is a confirmed one-time-code generator (RFC 6238).
type TOTPFactor struct {
	SealedSeed  []byte
	ConfirmedAt time.Time
	LastStep    int64 // the newest time step accepted; it and all before are used up
}
