package account

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps manufacturers and their members. Methods are atomic, return the codes
// named and StoreUnavailable when the store cannot be reached, and record a
// makerguard.Change where they say "announces".
type Store interface {
	// CreateManufacturer stores m and its first member, both or neither. It returns
	// Conflict if m.ID or the owner's EmailKey is taken.
	CreateManufacturer(ctx context.Context, m makerguard.Manufacturer, owner makerguard.Member) error
	// EnsureManufacturer stores m unless its ID exists already.
	EnsureManufacturer(ctx context.Context, m makerguard.Manufacturer) error
	// CreateMember stores m, counting its manufacturer's members in the same step. It
	// returns Conflict if the EmailKey is taken, EntitlementExceeded if the
	// manufacturer has limit members already (a negative limit is none) and
	// NotFound if there is no such manufacturer.
	CreateMember(ctx context.Context, m makerguard.Member, limit int64) error
	// Manufacturer returns NotFound if there is none.
	Manufacturer(ctx context.Context, id makerguard.ManufacturerID) (makerguard.Manufacturer, error)
	// Manufacturers lists at most limit manufacturers, the platform left out, with ids
	// after the given one ("" from the start), in order of id, whose company name or
	// id contains q without regard to case ("" is all).
	Manufacturers(ctx context.Context, q string, after makerguard.ManufacturerID, limit int) ([]makerguard.Manufacturer, error)
	// Member returns NotFound if the manufacturer has no such member.
	Member(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, error)
	// Members lists all members of a manufacturer in order of id.
	Members(ctx context.Context, mfr makerguard.ManufacturerID) ([]makerguard.Member, error)
	// SetRole changes a member's role and announces MemberChanged. NotFound if the
	// manufacturer has no such member, Conflict if nobody else of it is owner and the
	// new role is another.
	SetRole(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, role makerguard.Role, now time.Time) error
	// SetTier changes the tier and announces ManufacturerChanged. NotFound if there is none.
	SetTier(ctx context.Context, id makerguard.ManufacturerID, tier makerguard.Tier, now time.Time) error
	// SetStatus changes the status and announces ManufacturerChanged; unless the new
	// status is active it also revokes every session of the manufacturer with the
	// reason "suspension". NotFound if there is none.
	SetStatus(ctx context.Context, id makerguard.ManufacturerID, status makerguard.Status, reason string, now time.Time) error
}
