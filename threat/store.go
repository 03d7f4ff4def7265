package threat

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps the threat history.
type Store interface {
	// AppendThreats stores all entries or none.
	AppendThreats(ctx context.Context, ts []makerguard.Threat) error
	// Threats lists entries, newest first.
	Threats(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error)
	// CountThreats counts a manufacturer's entries since a time, by severity.
	CountThreats(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) (map[makerguard.Severity]int, error)
}
