package makerguard

import "time"

// ThreatType is a class of attack or abuse.
type ThreatType string

// The classes the detector finds in inputs.
const (
	SQLInjection      ThreatType = "sql_injection"
	XSS               ThreatType = "xss"
	NoSQLInjection    ThreatType = "nosql_injection"
	CommandInjection  ThreatType = "command_injection"
	CodeInjection     ThreatType = "code_injection"
	PathTraversal     ThreatType = "path_traversal"
	FileInclusion     ThreatType = "file_inclusion"
	SSRF              ThreatType = "ssrf"
	TemplateInjection ThreatType = "template_injection"
	SSIInjection      ThreatType = "ssi_injection"
	LDAPInjection     ThreatType = "ldap_injection"
	XXE               ThreatType = "xxe"
	CRLFInjection     ThreatType = "crlf_injection"
	JNDILookup        ThreatType = "jndi_lookup"
	PrototypePollute  ThreatType = "prototype_pollution"
	Deserialization   ThreatType = "deserialization"
	MalformedInput    ThreatType = "malformed_input"
)

// The classes seen in behaviour; they occur only in the history.
const (
	TokenReuse         ThreatType = "token_reuse"
	BruteForce         ThreatType = "brute_force"
	CredentialStuffing ThreatType = "credential_stuffing"
	PasswordSpraying   ThreatType = "password_spraying"
	RateAbuse          ThreatType = "rate_abuse" // scanning of ids, upload churn, many accounts of one source, a shared key
	AccountEnumeration ThreatType = "account_enumeration"
)

// Severity ranks a threat.
type Severity string

// The severities, least first.
const (
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Location is the place in a request an input comes from.
type Location string

// The locations.
const (
	InQuery    Location = "query"
	InPath     Location = "path"
	InHeader   Location = "header"
	InCookie   Location = "cookie"
	InForm     Location = "form"
	InJSON     Location = "json"
	InFilename Location = "filename"
	InText     Location = "text"
)

// Kind is what an input is meant to be, when that is known. It changes what is
// suspicious: markup is expected where HTML is allowed, nowhere else.
type Kind string

// The kinds. The zero value means unknown.
const (
	KindText       Kind = "text"
	KindIdentifier Kind = "identifier"
	KindHTML       Kind = "html"
	KindURL        Kind = "url"
	KindNumber     Kind = "number"
	KindEmail      Kind = "email"
)

// Finding is one class that the detector recognised in one input.
type Finding struct {
	Type        ThreatType
	Severity    Severity
	Rule        string   // which rule spoke, stable: "sqli.tautology"
	Description string   // why, for a person
	Input       string   // the input's name, with a JSON pointer behind it for a value inside JSON
	Location    Location // where the input stands in the request
	Evidence    string   // the decoded fragment that matched, at most 80 bytes
	Score       int      // what the rule adds to the anomaly score

	// Where the fragment stands in what was inspected (the value, the query string or the
	// JSON text), in bytes, as it was sent: before any decoding. Length 0 means unknown.
	Offset, Length int
}

// Threat is an entry of the history: a finding, or behaviour, with its actor.
type Threat struct {
	ID             EventID
	ManufacturerID ManufacturerID // "" when nobody was authenticated
	MemberID       MemberID
	SessionID      SessionID
	IP             string
	UserAgent      string
	RequestID      string
	Route          string // method and path of the request; "" for behaviour
	Blocked        bool   // whether the request was refused because of it
	DetectedAt     time.Time
	Finding
}

// ThreatFilter selects entries of the history, newest first.
type ThreatFilter struct {
	ManufacturerID ManufacturerID // required unless AllTenants
	AllTenants     bool           // operators only
	Type           ThreatType     // "" is any
	Severity       Severity       // "" is any
	MemberID       MemberID       // "" is any
	Rule           string         // "" is any
	IP             string         // "" is any
	RequestID      string         // "" is any
	Text           string         // part of the input's name or the evidence, without regard to case; "" is any
	Since          time.Time      // zero is any
	Until          time.Time      // only entries before this time; zero is any
	Before         EventID        // only entries older than this one; "" starts at the newest
	Limit          int            // 1 to 200
}
