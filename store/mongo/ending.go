package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// memberEnd is a change of a member that ends its sessions.
type memberEnd struct {
	mfr       makerguard.ManufacturerID
	id        makerguard.MemberID
	except    makerguard.SessionID
	reason    string
	now       time.Time
	condition bson.D // on the member, besides who it is
	set       bson.D
	unset     bson.D
	refused   error // returned if the member does not fit condition
}

// endMember changes a member and ends its live sessions but one, in one update of the
// member: it begins a new epoch, and whoever reads a session of an old one sees it as
// ended. It returns how many sessions it ended.
//
// The sessions' own documents are marked afterwards, for lists and for the feed. A crash
// before that leaves the member marked as ending; the next such change of it or repair completes it.
func (s *Store) endMember(ctx context.Context, e memberEnd) (int, error) {
	var next endedDoc
	err := untilDone(ctx, "ending sessions", func() (bool, error) {
		var d memberDoc
		err := s.collection(members).FindOne(ctx, memberOf(e.mfr, e.id), options.FindOne().SetProjection(onlyEnded)).Decode(&d)
		if err != nil {
			return false, found(err, noMember)
		}
		if d.Ended.Marking { // under their own reason, before a new one takes its place
			if _, err := s.markEnded(ctx, endedOf{string(e.mfr), string(e.id)}, d.Ended); err != nil {
				return false, err
			}
		}
		next = d.Ended.next(e)
		filter := append(memberOf(e.mfr, e.id), bson.E{Key: "ended.epoch", Value: d.Ended.Epoch})
		update := bson.D{
			{Key: "$set", Value: append(bson.D{{Key: "ended", Value: next}}, e.set...)},
			nowChanged,
		}
		if e.unset != nil {
			update = append(update, bson.E{Key: "$unset", Value: e.unset})
		}
		r, err := s.collection(members).UpdateOne(ctx, append(filter, e.condition...), update)
		if err != nil || r.MatchedCount == 1 {
			return true, err
		}
		// Either it does not fit, or somebody else began an epoch and it has to be read again.
		err = s.collection(members).FindOne(ctx, filter, options.FindOne().SetProjection(by("_id"))).Err()
		if noDocument(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return false, e.refused
	})
	if err != nil {
		return 0, err
	}
	if err := s.at("end.epoch"); err != nil {
		return 0, err
	}
	return s.markEnded(ctx, endedOf{string(e.mfr), string(e.id)}, next)
}

// next is the end after this one. A session that is spared once more stays so from the epoch
// it was first spared in; another is spared only if it is live now, so one that was ended never comes back.
func (e endedDoc) next(by memberEnd) endedDoc {
	n := endedDoc{Epoch: e.Epoch + 1, Reason: by.reason, At: by.now, Spared: string(by.except), Marking: true}
	if n.Spared != "" {
		n.SparedSince = e.Epoch
		if n.Spared == e.Spared {
			n.SparedSince = e.SparedSince
		}
	}
	return n
}

// endedOf says whose sessions were ended: a member's, or without one the whole manufacturer's.
type endedOf struct{ manufacturer, member string }

// markEnded marks the session documents that e ended and then takes away the mark that
// this is to be done. It may be done again, and by several at once. It returns how many
// it marked.
func (s *Store) markEnded(ctx context.Context, of endedOf, e endedDoc) (int, error) {
	owner, id, epoch := manufacturers, of.manufacturer, "manufacturer_epoch"
	filter := bson.D{{Key: "manufacturer_id", Value: of.manufacturer}}
	update := revoked(e.At, e.Reason)
	if of.member != "" {
		owner, id, epoch = members, of.member, "member_epoch"
		filter = append(filter, bson.E{Key: "member_id", Value: of.member})
		update = append(update, nowChanged)
	}
	filter = append(filter, bson.D{
		{Key: "live", Value: true},
		{Key: epoch, Value: bson.D{{Key: "$lt", Value: e.Epoch}}},
		{Key: "expires_at", Value: bson.D{{Key: "$gt", Value: e.At}}},
	}...)
	if e.Spared != "" {
		filter = append(filter, bson.E{Key: "$nor", Value: bson.A{bson.D{
			{Key: "_id", Value: e.Spared}, {Key: epoch, Value: bson.D{{Key: "$gte", Value: e.SparedSince}}},
		}}})
	}
	r, err := s.collection(sessions).UpdateMany(ctx, filter, update)
	if err != nil {
		return 0, err
	}
	if err := s.at("end.marked"); err != nil {
		return 0, err
	}
	_, err = s.collection(owner).UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "ended.epoch", Value: e.Epoch}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "ended.marking", Value: ""}}}})
	return int(r.ModifiedCount), err
}

// revoked is the update that ends sessions.
func revoked(at time.Time, reason string) bson.D {
	return bson.D{
		{Key: "$set", Value: bson.D{{Key: "revoked_at", Value: at}, {Key: "revoke_reason", Value: reason}}},
		{Key: "$unset", Value: bson.D{{Key: "live", Value: ""}}},
		{Key: "$min", Value: bson.D{{Key: "remove_at", Value: at.Add(keepEnded)}}},
	}
}
