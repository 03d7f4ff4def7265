package mongo

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

const (
	noManufacturer = "There is no such manufacturer."
	noMember       = "The manufacturer has no such member."
)

// folded is how names are compared in searches.
func folded(s string) string { return strings.ToLower(s) }

// known matches a manufacturer whose registration is complete.
func known(id makerguard.ManufacturerID) bson.D {
	return bson.D{{Key: "_id", Value: string(id)}, absent("registering")}
}

// CreateManufacturer implements account.Store.
//
// The manufacturer is stored first, as registering, which nobody sees; then its owner,
// whose address must be free; then it is made visible. A crash before the second step
// leaves a manufacturer that repair removes, and no address taken. A crash after
// it leaves one that repair, or the owner's first sign-in, makes visible.
func (s *Store) CreateManufacturer(ctx context.Context, m makerguard.Manufacturer, owner makerguard.Member) error {
	const doing = "creating a manufacturer"
	taken := conflict("This manufacturer or e-mail address is registered already.")
	owner.ManufacturerID = m.ID
	d := fromManufacturer(m)
	d.Registering = s.now()
	d.MemberIDs = []string{string(owner.ID)}
	if owner.Role == makerguard.RoleOwner {
		d.OwnerIDs = d.MemberIDs
	}
	if _, err := s.collection(manufacturers).InsertOne(ctx, d); err != nil {
		if duplicate(err) {
			return taken
		}
		return storeError(doing, err)
	}
	if err := s.at("register.manufacturer"); err != nil {
		return err
	}
	if err := s.insertMember(ctx, owner); err != nil {
		if !duplicate(err) {
			return storeError(doing, err)
		}
		if _, err := s.collection(manufacturers).DeleteOne(ctx, append(bson.D{{Key: "_id", Value: d.ID}}, there("registering")...)); err != nil {
			return storeError(doing, err)
		}
		return taken
	}
	if err := s.at("register.owner"); err != nil {
		return err
	}
	r, err := s.finishRegistration(ctx, d.ID)
	if err != nil {
		return storeError(doing, err)
	}
	if r.MatchedCount == 0 { // this took so long that repair gave it up
		if _, err := s.collection(members).DeleteOne(ctx, bson.D{{Key: "_id", Value: string(owner.ID)}}); err != nil {
			return storeError(doing, err)
		}
		return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: adviceSlow}
	}
	return nil
}

// finishRegistration makes a manufacturer whose owner is stored visible.
func (s *Store) finishRegistration(ctx context.Context, id string) (*mongo.UpdateResult, error) {
	return s.collection(manufacturers).UpdateOne(ctx, bson.D{{Key: "_id", Value: id}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "registering", Value: ""}}}})
}

// EnsureManufacturer implements account.Store.
func (s *Store) EnsureManufacturer(ctx context.Context, m makerguard.Manufacturer) error {
	_, err := s.collection(manufacturers).InsertOne(ctx, fromManufacturer(m))
	if duplicate(err) {
		return nil
	}
	return storeError("ensuring a manufacturer", err)
}

// Manufacturer implements account.Store.
func (s *Store) Manufacturer(ctx context.Context, id makerguard.ManufacturerID) (makerguard.Manufacturer, error) {
	var d manufacturerDoc
	err := s.collection(manufacturers).FindOne(ctx, known(id), options.FindOne().SetProjection(withoutLists)).Decode(&d)
	if err != nil {
		return makerguard.Manufacturer{}, storeError("reading a manufacturer", found(err, noManufacturer))
	}
	return d.manufacturer(), nil
}

// withoutLists leaves out of a manufacturer what can be long.
var withoutLists = bson.D{{Key: "member_ids", Value: 0}, {Key: "owner_ids", Value: 0}, {Key: "settling", Value: 0}}

// Manufacturers implements account.Store. A search reads every manufacturer after the
// given one until limit are found.
func (s *Store) Manufacturers(ctx context.Context, q string, after makerguard.ManufacturerID, limit int) ([]makerguard.Manufacturer, error) {
	if limit <= 0 {
		return nil, storeError("listing manufacturers", ctx.Err())
	}
	filter := bson.D{
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: string(after)}, {Key: "$ne", Value: string(makerguard.PlatformID)}}},
		absent("registering"),
	}
	if q != "" {
		filter = append(filter, bson.E{Key: "$expr", Value: bson.D{{Key: "$or", Value: bson.A{
			contains("$folded_name", q),
			contains(bson.D{{Key: "$toLower", Value: "$_id"}}, q),
		}}}})
	}
	cursor, err := s.collection(manufacturers).Find(ctx, filter,
		options.Find().SetSort(by("_id")).SetLimit(int64(limit)).SetProjection(withoutLists))
	list, err := all(ctx, cursor, err, (*manufacturerDoc).manufacturer)
	return list, storeError("listing manufacturers", err)
}

// contains is the expression that text has q in it, as it stands: q is a value, not a pattern.
func contains(text any, q string) bson.D {
	at := bson.D{{Key: "$indexOfBytes", Value: bson.A{text, bson.D{{Key: "$literal", Value: valid(folded(q))}}}}}
	return bson.D{{Key: "$gte", Value: bson.A{at, 0}}}
}

// nowChanged is the part of an update that announces it: see feed.go.
var nowChanged = bson.E{Key: "$currentDate", Value: bson.D{{Key: "changed_at", Value: true}}}

// SetTier implements account.Store.
func (s *Store) SetTier(ctx context.Context, id makerguard.ManufacturerID, tier makerguard.Tier, now time.Time) error {
	r, err := s.collection(manufacturers).UpdateOne(ctx, known(id), bson.D{
		{Key: "$set", Value: bson.D{{Key: "tier", Value: string(tier)}, {Key: "updated_at", Value: now}}},
		nowChanged,
	})
	if err == nil && r.MatchedCount == 0 {
		err = missing(noManufacturer)
	}
	return storeError("setting a tier", err)
}

// SetStatus implements account.Store.
//
// Status and end of all sessions are one update of the manufacturer; that the
// sessions' own documents are marked afterwards is for lists, and completed by repair.
func (s *Store) SetStatus(ctx context.Context, id makerguard.ManufacturerID, status makerguard.Status, reason string, now time.Time) error {
	const doing = "setting a status"
	set := bson.D{{Key: "status", Value: string(status)}, {Key: "status_reason", Value: reason}, {Key: "updated_at", Value: now}}
	update := bson.D{nowChanged}
	ends := status != makerguard.StatusActive
	if ends {
		set = append(set, bson.D{
			{Key: "ended.reason", Value: "suspension"}, {Key: "ended.at", Value: now}, {Key: "ended.marking", Value: true},
		}...)
		update = append(update, bson.E{Key: "$inc", Value: bson.D{{Key: "ended.epoch", Value: 1}}})
	}
	update = append(update, bson.E{Key: "$set", Value: set})
	var d manufacturerDoc
	err := s.collection(manufacturers).FindOneAndUpdate(ctx, known(id), update,
		options.FindOneAndUpdate().SetReturnDocument(options.After).SetProjection(onlyEnded)).Decode(&d)
	if err != nil {
		return storeError(doing, found(err, noManufacturer))
	}
	if !ends {
		return nil
	}
	if err := s.at("status.epoch"); err != nil {
		return err
	}
	_, err = s.markEnded(ctx, endedOf{manufacturer: string(id)}, d.Ended)
	return storeError(doing, err)
}

// onlyEnded is the projection of a member or manufacturer to the ends of sessions.
var onlyEnded = bson.D{{Key: "ended", Value: 1}}
