package api

import (
	"time"

	"github.com/makerguard/makerguard"
)

// MembersResponse is the answer to GET /v1/members.
type MembersResponse struct {
	Members []Member `json:"members"`
}

// SetRoleRequest is the body of PATCH /v1/members/{id}.
type SetRoleRequest struct {
	Role makerguard.Role `json:"role" enum:"owner,admin,editor,viewer"`
}

// SystemKey is one version of a key of the installation.
type SystemKey struct {
	Purpose makerguard.KeyPurpose `json:"purpose" enum:"signing,refresh,pepper,device,audit"`
	Version uint32                `json:"version"`
	State   makerguard.KeyState   `json:"state" enum:"published,active,retiring,destroyed"`
	RootKey string                `json:"root_key" doc:"Fingerprint of the root key that wraps it"`
	Created time.Time             `json:"created_at"`
}

// KeysResponse is the answer to GET /v1/admin/keys.
type KeysResponse struct {
	Keys []SystemKey `json:"keys"`
}

// RotateKeysRequest is the body of POST /v1/admin/keys/rotate.
type RotateKeysRequest struct {
	Scope string `json:"scope" enum:"signing" doc:"What to rotate: the key that signs access tokens"`
}

// JobStarted is the answer to an operation that goes on in the background.
type JobStarted struct {
	JobID makerguard.JobID `json:"job_id"`
}

// Job is work in the background.
type Job struct {
	ID        makerguard.JobID    `json:"id"`
	Kind      makerguard.JobKind  `json:"kind"`
	State     makerguard.JobState `json:"state" enum:"running,done,failed"`
	Done      int64               `json:"done" doc:"Steps done"`
	Total     int64               `json:"total" doc:"Steps there are; 0 until it is known"`
	Error     string              `json:"error,omitempty"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at"`
}

// PolicyChange is one permission that a member would gain or lose.
type PolicyChange struct {
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer_id"`
	MemberID       makerguard.MemberID       `json:"member_id,omitempty"`
	Permission     makerguard.Permission     `json:"permission"`
	Before         bool                      `json:"before"`
	After          bool                      `json:"after"`
}

// TermChange is one of a tier's terms, besides its permissions, that would change.
type TermChange struct {
	Tier   makerguard.Tier `json:"tier"`
	Term   string          `json:"term" doc:"As the policy file has it: limits.product_uploads, entitlements.members, mfa, price_caps.EUR"`
	Before string          `json:"before" doc:"As the policy file writes it; empty for what the policy does not have"`
	After  string          `json:"after"`
}

// PolicyDiff is the answer to POST /v1/admin/policy/diff.
type PolicyDiff struct {
	Changes []PolicyChange `json:"changes"`
	More    bool           `json:"more" doc:"Whether there are more changes than are listed"`
	Terms   []TermChange   `json:"terms"`
}
