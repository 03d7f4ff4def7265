package makerguard

import "time"

// AuditEntry is one link of a tenant's audit chain.
type AuditEntry struct {
	ID             EventID
	ManufacturerID ManufacturerID // whose record it is
	Seq            int64          // 1, 2, 3, ... without gap within the tenant
	At             time.Time
	Action         string // stable and catalogued: "session.created"
	Outcome        string // "success", "failure", "denied"
	ActorKind      string // "member", "api_key", "system", "anonymous"
	ActorID        string
	Target         string
	IP             string
	RequestID      string
	Detail         string // short, free of secrets
	Hash           []byte // chains this entry to all before it; see package audit
}

// AuditFilter selects entries of one tenant, newest first.
type AuditFilter struct {
	ManufacturerID ManufacturerID
	Before         int64 // only entries with a smaller Seq; 0 starts at the newest
	Limit          int   // 1 to 1000
}
