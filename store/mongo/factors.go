package mongo

import (
	"bytes"
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// updateMember makes an update of one member that also fits condition. Where none does it
// returns refused if there is such a member, and NotFound if there is none.
func (s *Store) updateMember(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, condition, update bson.D, refused error) error {
	r, err := s.collection(members).UpdateOne(ctx, append(memberOf(mfr, id), condition...), update)
	if err != nil || r.MatchedCount == 1 {
		return err
	}
	err = s.collection(members).FindOne(ctx, memberOf(mfr, id), options.FindOne().SetProjection(by("_id"))).Err()
	if err != nil {
		return found(err, noMember)
	}
	return refused
}

// octets makes b fit for a filter or an update: nil is an empty value, not null.
func octets(b []byte) bson.Binary { return bson.Binary{Data: b} }

// SetPassword implements auth.Store.
func (s *Store) SetPassword(ctx context.Context, p makerguard.PasswordUpdate) error {
	const doing = "setting a password"
	refused := conflict("The password was changed meanwhile: sign in again.")
	same := bson.D{{Key: "password_hash", Value: string(p.Old)}}
	set := bson.D{
		{Key: "password_hash", Value: string(p.New)}, {Key: "password_short", Value: p.Short}, {Key: "updated_at", Value: p.Now},
	}
	if !p.EndSessions { // the same password, hashed anew
		return storeError(doing, s.updateMember(ctx, p.ManufacturerID, p.MemberID, same, bson.D{{Key: "$set", Value: set}}, refused))
	}
	set = append(set, bson.E{Key: "password_changed_at", Value: p.Now})
	_, err := s.endMember(ctx, memberEnd{
		mfr: p.ManufacturerID, id: p.MemberID, except: p.Except, reason: "password_change", now: p.Now,
		condition: same, set: set, refused: refused,
	})
	return storeError(doing, err)
}

// VerifyEmail implements auth.Store.
func (s *Store) VerifyEmail(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, now time.Time) error {
	return storeError("verifying an address", s.updateMember(ctx, mfr, id, bson.D{absent("email_verified_at")},
		bson.D{{Key: "$set", Value: bson.D{{Key: "email_verified_at", Value: now}, {Key: "updated_at", Value: now}}}}, nil))
}

// SetPendingTOTP implements auth.Store.
func (s *Store) SetPendingTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, sealed []byte, now time.Time) error {
	return storeError("starting a factor", s.updateMember(ctx, mfr, id, bson.D{absent("totp")},
		bson.D{{Key: "$set", Value: bson.D{{Key: "pending_totp", Value: octets(sealed)}, {Key: "updated_at", Value: now}}}},
		conflict("A one-time-code generator is enrolled already: remove it first.")))
}

// ConfirmTOTP implements auth.Store.
func (s *Store) ConfirmTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, pending []byte, step int64, recovery [][]byte, now time.Time) error {
	codes := make(bson.A, len(recovery))
	for i, c := range recovery {
		codes[i] = octets(bytes.Clone(c))
	}
	return storeError("confirming a factor", s.updateMember(ctx, mfr, id,
		bson.D{{Key: "pending_totp", Value: octets(pending)}},
		bson.D{
			{Key: "$set", Value: bson.D{
				{Key: "totp", Value: totpDoc{SealedSeed: pending, ConfirmedAt: now, LastStep: step}},
				{Key: "recovery_codes", Value: codes},
				{Key: "updated_at", Value: now},
			}},
			{Key: "$unset", Value: bson.D{{Key: "pending_totp", Value: ""}}},
			nowChanged,
		},
		conflict("This enrolment is not pending any more: start again.")))
}

// RemoveTOTP implements auth.Store.
func (s *Store) RemoveTOTP(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, except makerguard.SessionID, now time.Time) error {
	_, err := s.endMember(ctx, memberEnd{
		mfr: mfr, id: id, except: except, reason: "factor_reset", now: now,
		condition: there("totp"),
		set:       bson.D{{Key: "recovery_codes", Value: bson.A{}}, {Key: "updated_at", Value: now}},
		unset:     bson.D{{Key: "totp", Value: ""}},
		refused:   missing("No one-time-code generator is enrolled."),
	})
	return storeError("removing a factor", err)
}

// ConsumeTOTPStep implements auth.Store.
func (s *Store) ConsumeTOTPStep(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, step int64) error {
	return storeError("using a one-time code", s.updateMember(ctx, mfr, id,
		bson.D{{Key: "totp.last_step", Value: bson.D{{Key: "$lt", Value: step}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "totp.last_step", Value: step}}}},
		&makerguard.Error{Code: makerguard.MFAInvalid, Message: "The code was used already: wait for the next one."}))
}

// ConsumeRecoveryCode implements auth.Store.
func (s *Store) ConsumeRecoveryCode(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, hash []byte, now time.Time) error {
	return storeError("using a recovery code", s.updateMember(ctx, mfr, id,
		bson.D{{Key: "recovery_codes", Value: octets(hash)}},
		bson.D{
			{Key: "$pull", Value: bson.D{{Key: "recovery_codes", Value: octets(hash)}}},
			{Key: "$set", Value: bson.D{{Key: "updated_at", Value: now}}},
		},
		&makerguard.Error{Code: makerguard.MFAInvalid, Message: "The recovery code is wrong or was used already."}))
}
