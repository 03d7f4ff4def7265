package makerguard

// Identifiers are UUIDv7 (RFC 9562) in 32 hexadecimal digits behind a prefix that
// tells their kind, so that they sort by time of creation and cannot be mistaken
// for one another in a log line. They are names, never secrets.
type (
	// ManufacturerID names a tenant: "mfr_" and 32 hexadecimal digits, or PlatformID.
	ManufacturerID string
	// MemberID names a person who signs in for a manufacturer: "mbr_...".
	MemberID string
	// SessionID names a session: "ses_...".
	SessionID string
	// EventID names an entry of the threat history or of the audit record: "evt_...".
	EventID string
	// JobID names work in the background: "job_...".
	JobID string
)

// PlatformID is the built-in tenant whose members are the operators.
const PlatformID ManufacturerID = "platform"
