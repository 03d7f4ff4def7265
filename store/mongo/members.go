package mongo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// memberOf matches a member of a manufacturer.
func memberOf(mfr makerguard.ManufacturerID, id makerguard.MemberID) bson.D {
	return bson.D{{Key: "_id", Value: string(id)}, {Key: "manufacturer_id", Value: string(mfr)}}
}

// CreateMember implements account.Store.
//
// The member's id takes a place in the manufacturer's list first, if one is left, and is
// noted there as settling; then the member is stored; then the note goes. A crash before
// the second step leaves a place taken, which repair gives back; a crash after it a member
// who is complete but for the note.
func (s *Store) CreateMember(ctx context.Context, m makerguard.Member, limit int64) error {
	const doing = "creating a member"
	id := string(m.ID)
	took, err := s.takePlace(ctx, m.ManufacturerID, id, limit)
	if err != nil {
		return storeError(doing, err)
	}
	if err := s.at("member.place"); err != nil {
		return err
	}
	if err := s.insertMember(ctx, m); err != nil {
		if !duplicate(err) {
			return storeError(doing, err)
		}
		if took {
			if err := s.forget(ctx, string(m.ManufacturerID), id); err != nil {
				return storeError(doing, err)
			}
		}
		return conflict("This e-mail address is registered already.")
	}
	if err := s.at("member.stored"); err != nil {
		return err
	}
	return storeError(doing, s.settled(ctx, string(m.ManufacturerID), id, m.Role))
}

// insertMember stores a member's document.
func (s *Store) insertMember(ctx context.Context, m makerguard.Member) error {
	return s.turns.do(ctx, m.EmailKey, func() error {
		return untilDone(ctx, "storing a member", func() (bool, error) {
			_, err := s.collection(members).InsertOne(ctx, fromMember(m))
			if undone(err) {
				return false, nil
			}
			return true, err
		})
	})
}

// takePlace puts a member into its manufacturer's list, unless it is there already.
func (s *Store) takePlace(ctx context.Context, mfr makerguard.ManufacturerID, id string, limit int64) (took bool, err error) {
	free := append(known(mfr), bson.E{Key: "member_ids", Value: bson.D{{Key: "$ne", Value: id}}})
	if limit > 0 {
		free = append(free, absent(fmt.Sprintf("member_ids.%d", limit-1)))
	}
	if limit != 0 {
		r, err := s.collection(manufacturers).UpdateOne(ctx, free, bson.D{{Key: "$push", Value: bson.D{
			{Key: "member_ids", Value: id},
			{Key: "settling", Value: settlingMember{ID: id, At: s.now()}},
		}}})
		if err != nil || r.MatchedCount == 1 {
			return true, err
		}
	}
	var d manufacturerDoc
	err = s.collection(manufacturers).FindOne(ctx, known(mfr), options.FindOne().SetProjection(bson.D{{Key: "member_ids", Value: 1}})).Decode(&d)
	switch {
	case err != nil:
		return false, found(err, noManufacturer)
	case slices.Contains(d.MemberIDs, id):
		return false, nil
	}
	return false, &makerguard.Error{
		Code:    makerguard.EntitlementExceeded,
		Message: "The tier allows no more members: remove one or change to a higher tier.",
		Details: map[string]any{"limit": limit},
	}
}

// settled brings the manufacturer's lists to where a stored member's role says, and
// removes the note that this was to be done.
func (s *Store) settled(ctx context.Context, mfr, id string, role makerguard.Role) error {
	update := bson.D{{Key: "$pull", Value: bson.D{
		{Key: "settling", Value: bson.D{{Key: "id", Value: id}}},
		{Key: "owner_ids", Value: id},
	}}}
	if role == makerguard.RoleOwner {
		update = bson.D{
			{Key: "$pull", Value: bson.D{{Key: "settling", Value: bson.D{{Key: "id", Value: id}}}}},
			{Key: "$addToSet", Value: bson.D{{Key: "owner_ids", Value: id}}},
		}
	}
	_, err := s.collection(manufacturers).UpdateOne(ctx, bson.D{{Key: "_id", Value: mfr}}, update)
	return err
}

// forget gives back the place of a member that is not stored.
func (s *Store) forget(ctx context.Context, mfr, id string) error {
	_, err := s.collection(manufacturers).UpdateOne(ctx, bson.D{{Key: "_id", Value: mfr}}, bson.D{{Key: "$pull", Value: bson.D{
		{Key: "member_ids", Value: id},
		{Key: "owner_ids", Value: id},
		{Key: "settling", Value: bson.D{{Key: "id", Value: id}}},
	}}})
	return err
}

// Member implements account.Store.
func (s *Store) Member(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, error) {
	var d memberDoc
	if err := s.collection(members).FindOne(ctx, memberOf(mfr, id)).Decode(&d); err != nil {
		return makerguard.Member{}, storeError("reading a member", found(err, noMember))
	}
	return d.member(), nil
}

// Members implements account.Store.
func (s *Store) Members(ctx context.Context, mfr makerguard.ManufacturerID) ([]makerguard.Member, error) {
	cursor, err := s.collection(members).Find(ctx, bson.D{{Key: "manufacturer_id", Value: string(mfr)}}, options.Find().SetSort(by("_id")))
	list, err := all(ctx, cursor, err, (*memberDoc).member)
	return list, storeError("listing members", err)
}

// SetRole implements account.Store.
//
// A new owner is stored as such before the manufacturer's list of owners has him; somebody
// who is to be owner no longer leaves the list first, and only if another is on it. So the
// list never has anybody who is not owner while others rely on it, and two owners who
// remove each other cannot both succeed. A crash between the steps leaves the member
// noted as settling; repair makes the list follow the member's own document.
func (s *Store) SetRole(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID, role makerguard.Role, now time.Time) error {
	const doing = "setting a role"
	if err := s.collection(members).FindOne(ctx, memberOf(mfr, id), options.FindOne().SetProjection(by("_id"))).Err(); err != nil {
		return storeError(doing, found(err, noMember))
	}
	filter := bson.D{{Key: "_id", Value: string(mfr)}}
	update := bson.D{{Key: "$push", Value: bson.D{{Key: "settling", Value: settlingMember{ID: string(id), At: s.now()}}}}}
	if role != makerguard.RoleOwner {
		filter = append(filter, bson.E{Key: "owner_ids", Value: bson.D{{Key: "$elemMatch", Value: bson.D{{Key: "$ne", Value: string(id)}}}}})
		update = append(update, bson.E{Key: "$pull", Value: bson.D{{Key: "owner_ids", Value: string(id)}}})
	}
	r, err := s.collection(manufacturers).UpdateOne(ctx, filter, update)
	if err == nil && r.MatchedCount == 0 {
		err = conflict("A manufacturer needs an owner: make somebody else owner first.")
	}
	if err != nil {
		return storeError(doing, err)
	}
	if err := s.at("role.noted"); err != nil {
		return err
	}
	if _, err := s.collection(members).UpdateOne(ctx, memberOf(mfr, id), bson.D{
		{Key: "$set", Value: bson.D{{Key: "role", Value: string(role)}, {Key: "updated_at", Value: now}}},
		nowChanged,
	}); err != nil {
		return storeError(doing, err)
	}
	if err := s.at("role.stored"); err != nil {
		return err
	}
	return storeError(doing, s.settled(ctx, string(mfr), string(id), role))
}

// memberWithManufacturer is what a look-up of a member gives in one round trip.
type memberWithManufacturer struct {
	Doc  memberDoc         `bson:",inline"`
	With []manufacturerDoc `bson:"with"`
}

// joinManufacturer adds to each document, as with, the manufacturer it belongs to.
var joinManufacturer = bson.D{{Key: "$lookup", Value: bson.D{
	{Key: "from", Value: manufacturers},
	{Key: "localField", Value: "manufacturer_id"},
	{Key: "foreignField", Value: "_id"},
	{Key: "as", Value: "with"},
}}}

// withoutJoinedLists is withoutLists for what joinManufacturer adds.
var withoutJoinedLists = bson.D{{Key: "$project", Value: bson.D{
	{Key: "with.member_ids", Value: 0}, {Key: "with.owner_ids", Value: 0}, {Key: "with.settling", Value: 0},
}}}

// memberPipeline finds one member with its manufacturer.
func memberPipeline(match bson.D) bson.A {
	return bson.A{bson.D{{Key: "$match", Value: match}}, joinManufacturer, withoutJoinedLists}
}

// MemberByEmail implements auth.Store.
func (s *Store) MemberByEmail(ctx context.Context, emailKey string) (makerguard.Member, makerguard.Manufacturer, error) {
	return s.findMember(ctx, bson.D{{Key: "email_key", Value: emailKey}})
}

// MemberByID implements auth.Store.
func (s *Store) MemberByID(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.MemberID) (makerguard.Member, makerguard.Manufacturer, error) {
	return s.findMember(ctx, memberOf(mfr, id))
}

func (s *Store) findMember(ctx context.Context, match bson.D) (makerguard.Member, makerguard.Manufacturer, error) {
	const doing = "reading a member"
	cursor, err := s.collection(members).Aggregate(ctx, memberPipeline(match))
	docs, err := all(ctx, cursor, err, func(d *memberWithManufacturer) *memberWithManufacturer { return d })
	if err == nil && (len(docs) == 0 || len(docs[0].With) == 0) {
		err = missing("There is no such member.")
	}
	if err != nil {
		return makerguard.Member{}, makerguard.Manufacturer{}, storeError(doing, err)
	}
	f := &docs[0].With[0]
	if !f.Registering.IsZero() { // the registration stored this member and then crashed
		if _, err := s.finishRegistration(ctx, f.ID); err != nil {
			return makerguard.Member{}, makerguard.Manufacturer{}, storeError(doing, err)
		}
	}
	return docs[0].Doc.member(), f.manufacturer(), nil
}
