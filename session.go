package makerguard

import "time"

// Session is one sign-in of one member on one device.
type Session struct {
	ID             SessionID
	ManufacturerID ManufacturerID
	MemberID       MemberID
	CreatedAt      time.Time
	LastSeenAt     time.Time
	ExpiresAt      time.Time // absolute limit; activity does not move it
	AuthTime       time.Time // when the member last proved who they are
	AMR            []string  // how, in the values of RFC 8176: pwd, otp, mfa, ...
	IP             string
	UserAgent      string

	// RefreshSeed and RefreshGeneration name the one live refresh token: the token of
	// generation n is derived from the seed with a key the store does not hold, so
	// nothing stored can be used as a token. RotatedAt is when the generation
	// was reached.
	RefreshSeed       []byte
	RefreshGeneration uint32
	RotatedAt         time.Time

	RevokedAt    time.Time // zero: not revoked
	RevokeReason string    // logout, reuse, password_change, suspension, ...
}

// ChallengePurpose is what a challenge may be redeemed for, and for nothing else.
type ChallengePurpose string

// The purposes of challenges.
const (
	// ChallengeMFA awaits the second factor of a started sign-in.
	ChallengeMFA ChallengePurpose = "mfa"
	// ChallengeEnrollment awaits the enrolment of a second factor that is required.
	ChallengeEnrollment ChallengePurpose = "mfa_enrollment"
	// ChallengeEmail awaits the token that was sent to an e-mail address.
	ChallengeEmail ChallengePurpose = "email_verification"
)

// Challenge is a started ceremony: a random token, of which only the hash is
// stored, bound to the attempt and the member that made it.
type Challenge struct {
	TokenHash      []byte // SHA-256
	Purpose        ChallengePurpose
	ManufacturerID ManufacturerID
	MemberID       MemberID
	IP             string
	UserAgent      string
	Device         string // known-device id proven at the first step, or ""
	TriesLeft      int
	CreatedAt      time.Time
	ExpiresAt      time.Time
}

// Counter is a count of events within a window, kept for throttling.
type Counter struct {
	Count  int
	LastAt time.Time
}

// ChangeKind tells what a change in the feed concerns.
type ChangeKind string

// The kinds of changes that other nodes, and caches, must see.
const (
	SessionEnded        ChangeKind = "session_ended"
	MemberChanged       ChangeKind = "member_changed" // role, grants, status, credentials; may have ended sessions
	ManufacturerChanged ChangeKind = "manufacturer_changed"
	KeysChanged         ChangeKind = "keys_changed"
	PolicyChanged       ChangeKind = "policy_changed"
	RulesChanged        ChangeKind = "rules_changed"  // the detector's; of the manufacturer named, or the installation's
	BlocksChanged       ChangeKind = "blocks_changed" // somebody was blocked, or a block lifted
)

// Change is one entry of the feed by which nodes learn what others did.
type Change struct {
	Kind           ChangeKind
	ManufacturerID ManufacturerID
	MemberID       MemberID
	SessionID      SessionID
}

// Cursor is a place in the change feed, meaningful only to the store that gave it.
type Cursor string

// PasswordUpdate is a new password for one member.
type PasswordUpdate struct {
	ManufacturerID ManufacturerID
	MemberID       MemberID
	Old            Secret // the stored hash this replaces
	New            Secret
	Short          bool // below the length asked of members without a second factor
	// EndSessions ends the member's sessions but Except. A mere re-hash of the same
	// password ends none.
	EndSessions bool
	Except      SessionID
	Now         time.Time
}
