package audit

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps the audit chains. It has no way to change or remove an entry.
type Store interface {
	// AuditHead returns the sequence number and hash of a tenant's newest entry, 0 and
	// nil if it has none. The head is kept apart from the entries, so that entries
	// cut off the end are missed.
	AuditHead(ctx context.Context, mfr makerguard.ManufacturerID) (seq int64, hash []byte, err error)
	// AppendAudit stores e and moves the head to it. Conflict, and no change, if the
	// head is not e.Seq-1.
	AppendAudit(ctx context.Context, e makerguard.AuditEntry) error
	// AuditEntries lists a tenant's entries, newest first.
	AuditEntries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error)
}
