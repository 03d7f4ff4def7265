package makerguard

import "time"

// Mode says what a finding of a rule does.
type Mode string

// The modes. A rule that nobody set a mode for, and that is not new, blocks.
const (
	ModeBlock   Mode = "block"   // counts towards the refusal of a request
	ModeMonitor Mode = "monitor" // is written to the history only
	ModeOff     Mode = "off"     // is not looked at
)

// RuleMode sets the mode of a rule, everywhere or on one route.
type RuleMode struct {
	Rule  string `json:"rule"`            // "sqli.tautology"; "sqli.*" is a class; "*" is all
	Route string `json:"route,omitempty"` // pattern as in the policy file, "POST /api/products"; "" is everywhere
	Mode  Mode   `json:"mode"`
}

// Exclusion makes one rule overlook one field of one route: the narrowest mend for a
// false alarm.
type Exclusion struct {
	ID        string    `json:"id"` // "exc_..."
	Rule      string    `json:"rule"`
	Route     string    `json:"route"` // method and path as in the event
	Field     string    `json:"field"` // the input's name as in Finding.Input, array indices as "*"
	Reason    string    `json:"reason"`
	Event     EventID   `json:"event,omitempty"` // the event it was made from
	CreatedBy MemberID  `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// KnownRule is a rule of the detector that an installation has met.
type KnownRule struct {
	Rule  string    `json:"rule"`
	Since time.Time `json:"since,omitzero"` // when an upgrade brought it; zero: from the beginning
}

// RuleSet is how the detector's rules are set, for the installation or for one
// manufacturer, in one record so that it changes as a whole.
type RuleSet struct {
	ManufacturerID ManufacturerID // "" is the installation's
	Version        int64          // counts up from 1; 0 is none
	Modes          []RuleMode
	Exclusions     []Exclusion
	Known          []KnownRule // in the installation's set alone: a rule not in it is new, and only watches at first
	UpdatedAt      time.Time
	UpdatedBy      MemberID
}

// BlockKind says what a block stands in the way of.
type BlockKind string

// The kinds of blocks.
const (
	BlockAddress      BlockKind = "address"      // an IPv4 address or an IPv6 /64, as AddressKey gives it
	BlockManufacturer BlockKind = "manufacturer" // everybody of one manufacturer
	BlockMember       BlockKind = "member"
)

// Block refuses requests for a time, because of what was seen before.
type Block struct {
	ID             string // "blk_..."
	Kind           BlockKind
	Subject        string         // the address, manufacturer or member
	ManufacturerID ManufacturerID // whose events led to it; "" if nobody's or several
	Scenario       string         // which scenario or rule decided it
	Reason         string         // what happened, for a person
	Points         float64        // the score that led to it
	CreatedAt      time.Time
	ExpiresAt      time.Time
	LiftedAt       time.Time // zero: not lifted
	LiftedBy       MemberID
	LiftReason     string
}

// ScorePoint is a manufacturer's security score on one day.
type ScorePoint struct {
	ManufacturerID ManufacturerID
	Day            time.Time // midnight UTC
	Score          int
}

// RateRequest asks for units of a rate limit kept by the generic cell rate algorithm.
type RateRequest struct {
	Key      string
	Interval time.Duration // between units at the sustained rate
	Burst    int64         // units that may be used at once after a pause, at least 1
	Amount   int64         // units asked for, 1 to Burst
	Now      time.Time
}

// RateResult is what became of a RateRequest.
type RateResult struct {
	Allowed    bool
	Remaining  int64         // units that could be used at once now
	RetryAfter time.Duration // until Amount can be had; 0 if allowed
}
