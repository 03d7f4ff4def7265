package threat

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps the threat history and the rules' settings. Methods are atomic, return
// the codes named and StoreUnavailable when the store cannot be reached, and record a
// makerguard.Change where they say "announces".
type Store interface {
	// AppendThreats stores the entries. When it returns an error, some may be stored.
	AppendThreats(ctx context.Context, ts []makerguard.Threat) error
	// Threats lists entries, newest first.
	Threats(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error)
	// Threat returns one entry. NotFound if there is none, or if it is another
	// manufacturer's than mfr; PlatformID reads everybody's.
	Threat(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.EventID) (makerguard.Threat, error)
	// CountThreats counts a manufacturer's entries since a time, by severity.
	CountThreats(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) (map[makerguard.Severity]int, error)
	// DeleteThreats removes at most limit entries detected before a time, oldest first,
	// and returns how many there were.
	DeleteThreats(ctx context.Context, before time.Time, limit int) (int, error)

	// RuleSet returns the rules' settings, of Version 0 if none were ever stored.
	RuleSet(ctx context.Context, mfr makerguard.ManufacturerID) (makerguard.RuleSet, error)
	// PutRuleSet replaces the settings and announces RulesChanged. Conflict if the stored
	// version is not rs.Version-1.
	PutRuleSet(ctx context.Context, rs makerguard.RuleSet) error
}
