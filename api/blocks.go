package api

import (
	"time"

	"github.com/makerguard/makerguard"
)

// Block is a refusal of requests for a time.
type Block struct {
	ID             string                    `json:"id,omitempty" doc:"blk_...; a block that is only proposed has none"`
	Kind           makerguard.BlockKind      `json:"kind" enum:"address,member,manufacturer"`
	Subject        string                    `json:"subject" doc:"The address (IPv6: its /64), or the id"`
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer_id,omitempty" doc:"Whose events led to it, if they are of one"`
	Scenario       string                    `json:"scenario,omitempty" doc:"What decided it: threats, manual, or a scenario"`
	Reason         string                    `json:"reason"`
	Points         float64                   `json:"points" doc:"The score that led to it; points halve every ten minutes"`
	CreatedAt      time.Time                 `json:"created_at"`
	ExpiresAt      time.Time                 `json:"expires_at,omitzero" doc:"Absent from a block that is only proposed"`
	Proposed       bool                      `json:"proposed" doc:"Whether it is not in force: this installation does not block this kind by itself"`
}

// BlocksResponse is the answer to GET /v1/admin/blocks, newest first.
type BlocksResponse struct {
	Blocks []Block `json:"blocks"`
}

// BlockRequest is the body of POST /v1/admin/blocks.
type BlockRequest struct {
	Kind    makerguard.BlockKind `json:"kind" enum:"address,member,manufacturer"`
	Subject string               `json:"subject" minLength:"1" maxLength:"64" doc:"An address (IPv6: its whole /64 is blocked), or the id of a member or manufacturer"`
	Minutes int                  `json:"minutes" minimum:"1" maximum:"43200"`
	Reason  string               `json:"reason" minLength:"1" maxLength:"500"`
}

// LiftRequest is the body of DELETE /v1/admin/blocks/{id}.
type LiftRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}
