package api

import (
	"time"

	"github.com/makerguard/makerguard"
)

// Threat is one finding, or an entry of the history. One without an id is not in the history,
// which keeps at most 100 entries of one request and the first of each rule.
type Threat struct {
	ID             makerguard.EventID        `json:"id,omitempty"`
	Type           makerguard.ThreatType     `json:"type"`
	Severity       makerguard.Severity       `json:"severity" enum:"low,medium,high,critical"`
	Rule           string                    `json:"rule,omitempty"`
	Score          int                       `json:"score" doc:"What the rule added to the anomaly score; 0 for behaviour"`
	Description    string                    `json:"description"`
	Input          string                    `json:"input" doc:"Name of the input, with a JSON pointer for a value inside JSON"`
	Location       string                    `json:"location,omitempty"`
	Evidence       string                    `json:"evidence" doc:"The decoded fragment that matched, at most 80 bytes, with what looks like a secret masked"`
	Offset         int                       `json:"offset,omitzero" doc:"Where the fragment begins in what was sent, in bytes"`
	Length         int                       `json:"length,omitzero" doc:"Bytes of the fragment as it was sent; none if unknown"`
	Route          string                    `json:"route,omitempty" doc:"Method and path of the request; none for behaviour"`
	Blocked        bool                      `json:"blocked" doc:"Whether the request was refused because of it"`
	DetectedAt     time.Time                 `json:"detected_at"`
	SourceIP       string                    `json:"source_ip,omitempty"`
	UserAgent      string                    `json:"user_agent,omitempty"`
	RequestID      string                    `json:"request_id,omitempty"`
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer_id,omitempty"`
	MemberID       makerguard.MemberID       `json:"member_id,omitempty"`
	SessionID      makerguard.SessionID      `json:"session_id,omitempty"`
}

// ThreatsResponse is the answer to GET /v1/security/threats, newest first.
type ThreatsResponse struct {
	Threats    []Threat `json:"threats"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// RuleMode sets what a rule does.
type RuleMode struct {
	Rule  string          `json:"rule" minLength:"1" maxLength:"64" doc:"The id of a rule, a class such as sqli.*, or *" example:"sqli.tautology"`
	Route string          `json:"route,omitempty" maxLength:"256" doc:"Pattern as in the policy file, without a host; none is everywhere" example:"POST /api/products"`
	Mode  makerguard.Mode `json:"mode" enum:"block,monitor,off"`
}

// SetModesRequest is the body of PUT /v1/admin/rules: all modes there are to be.
type SetModesRequest struct {
	Modes []RuleMode `json:"modes" maxItems:"500"`
}

// Exclusion makes one rule overlook one field of one route.
type Exclusion struct {
	ID        string              `json:"id"`
	Rule      string              `json:"rule"`
	Route     string              `json:"route" doc:"Method and path, with braces for what differs"`
	Field     string              `json:"field" doc:"The input, with * for the index of an array"`
	Reason    string              `json:"reason"`
	Event     makerguard.EventID  `json:"event,omitempty" doc:"The entry of the history it was made from"`
	CreatedBy makerguard.MemberID `json:"created_by"`
	CreatedAt time.Time           `json:"created_at"`
}

// ExclusionRequest is the body of POST /v1/admin/threats/{id}/exclusion.
type ExclusionRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
	Scope  string `json:"scope,omitempty" enum:"manufacturer,installation" default:"manufacturer" doc:"For whom: the event's manufacturer or everybody"`
}

// Rule is one thing that the detector can say, and what it does now.
type Rule struct {
	ID          string                `json:"id"`
	Type        makerguard.ThreatType `json:"type"`
	Severity    makerguard.Severity   `json:"severity" enum:"low,medium,high,critical"`
	Paranoia    int                   `json:"paranoia" doc:"The lowest level at which it speaks, 1 to 3"`
	Score       int                   `json:"score"`
	Description string                `json:"description"`
	Mode        makerguard.Mode       `json:"mode" enum:"block,monitor,off" doc:"But for routes with a mode of their own"`
	ModeFrom    string                `json:"mode_from" enum:"default,new,installation,manufacturer" doc:"Whose setting says so; new: an upgrade brought the rule less than seven days ago"`
}

// RulesResponse is the answer to GET and PUT /v1/admin/rules. Modes and exclusions are the
// manufacturer's own, or without one the installation's.
type RulesResponse struct {
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer_id,omitempty"`
	Version        int64                     `json:"version" doc:"0 if nothing was ever set"`
	Modes          []RuleMode                `json:"modes"`
	Exclusions     []Exclusion               `json:"exclusions"`
	Rules          []Rule                    `json:"rules"`
}
