package auth

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
)

// Store keeps what sign-in needs. Methods are atomic, return the codes named and
// StoreUnavailable when the store cannot be reached, and record a makerguard.Change
// where they say "announces". Every method on something a manufacturer owns takes
// the manufacturer's id and acts on nothing of anybody else.
type Store interface {
	// MemberByEmail finds a member of any manufacturer by normalised e-mail, with its
	// manufacturer. NotFound if there is none.
	MemberByEmail(ctx context.Context, emailKey string) (makerguard.Member, makerguard.Manufacturer, error)
	// MemberByID is MemberByEmail by id.
	MemberByID(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, makerguard.Manufacturer, error)

	// SetPassword replaces the password hash if it still is old, else Conflict. With
	// endSessions it revokes the member's sessions except the one named (reason
	// "password_change"); it announces MemberChanged then.
	SetPassword(ctx context.Context, p makerguard.PasswordUpdate) error

	// VerifyEmail sets EmailVerifiedAt to now unless it is set already. NotFound if there
	// is no such member.
	VerifyEmail(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, now time.Time) error

	// SetPendingTOTP stores a sealed seed that awaits its first code, replacing one
	// that was waiting. Conflict if a factor is confirmed already.
	SetPendingTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, sealed []byte, now time.Time) error
	// ConfirmTOTP makes the pending seed the confirmed factor if it still is pending (Conflict
	// otherwise), with step as used up, and stores the hashes of the recovery codes.
	// It announces MemberChanged.
	ConfirmTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, pending []byte, step int64, recovery [][]byte, now time.Time) error
	// RemoveTOTP removes the factor and the recovery codes, and revokes the member's
	// sessions except the one named (reason "factor_reset"). It announces
	// MemberChanged. NotFound if there is no factor.
	RemoveTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, except makerguard.SessionID, now time.Time) error
	// ConsumeTOTPStep marks step and all before it as used. MFAInvalid if step is not
	// newer than the last used, so of many concurrent calls with one step exactly one succeeds.
	ConsumeTOTPStep(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, step int64) error
	// ConsumeRecoveryCode removes the code with this hash. MFAInvalid if it is not there,
	// so of many concurrent calls exactly one succeeds.
	ConsumeRecoveryCode(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, hash []byte, now time.Time) error

	// CreateChallenge stores a challenge.
	CreateChallenge(ctx context.Context, c makerguard.Challenge) error
	// Challenge returns NotFound if there is none or it has expired at now.
	Challenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error)
	// TryChallenge takes one of the tries away and returns the challenge as it is
	// then. NotFound if there is none, it has expired at now, or no try was left.
	TryChallenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error)
	// ConsumeChallenge deletes a challenge. NotFound if it is gone, so that of many
	// concurrent calls exactly one succeeds.
	ConsumeChallenge(ctx context.Context, tokenHash []byte) error

	// CreateSession stores s and, where the member then has more than limit live
	// sessions, revokes the oldest (reason "session_limit") and announces SessionEnded
	// for each of them.
	CreateSession(ctx context.Context, s makerguard.Session, limit int64, now time.Time) error
	// LoadSession returns a session, revoked or expired ones too, with its member and
	// manufacturer as they are now. NotFound if there is none.
	LoadSession(ctx context.Context, id makerguard.SessionID) (makerguard.Session, makerguard.Member, makerguard.Manufacturer, error)
	// Sessions lists a member's sessions that are neither revoked nor past their
	// absolute limit, newest first.
	Sessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, now time.Time) ([]makerguard.Session, error)
	// AdvanceRefresh moves a live session from refresh generation from to from+1, sets
	// RotatedAt and LastSeenAt to now, and returns the session after it. If the generation
	// is not from any more, or the session is revoked, it changes nothing
	// and returns the session as it stands with Conflict.
	AdvanceRefresh(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.SessionID, from uint32, now time.Time) (makerguard.Session, error)
	// TouchSessions moves LastSeenAt forward, never back, for each session named.
	TouchSessions(ctx context.Context, seen map[makerguard.SessionID]time.Time) error
	// RevokeSession ends one session of a member with reason and announces
	// SessionEnded. NotFound if the member has no such session; ending one that has
	// ended already changes nothing and succeeds.
	RevokeSession(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, id makerguard.SessionID, reason string, now time.Time) error
	// RevokeSessions ends all live sessions of a member but the one named ("" spares
	// none), announces SessionEnded for each and returns how many there were.
	RevokeSessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, except makerguard.SessionID, reason string, now time.Time) (int, error)

	// BumpCounter adds one to a counter and returns it. A counter untouched for longer
	// than window starts again from zero.
	BumpCounter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error)
	// Counter returns the counter, zero if it is absent or was untouched for longer than window.
	Counter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error)
	// ResetCounter removes a counter.
	ResetCounter(ctx context.Context, key string) error

	// DeleteExpired removes challenges and counters of no more use at now, and
	// sessions that ended or expired before keepSessionsSince.
	DeleteExpired(ctx context.Context, now, keepSessionsSince time.Time) error
}
