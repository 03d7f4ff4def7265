package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// keepBlocks is how long a block is kept after its end, for who looks into it.
const keepBlocks = 90 * 24 * time.Hour

// blockDoc is the newest block of a subject. That a subject has one document makes two blocks
// of it impossible and needs no more than the atomicity of one document; the price is
// that a block which has ended goes when the subject is blocked anew. What led to it stays
// in the audit record and the threat history.
type blockDoc struct {
	ID             string                    `bson:"id"`
	Kind           makerguard.BlockKind      `bson:"kind"`
	Subject        string                    `bson:"subject"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Scenario       string                    `bson:"scenario"`
	Reason         string                    `bson:"reason"`
	Points         float64                   `bson:"points"`
	CreatedAt      time.Time                 `bson:"created_at"`
	ExpiresAt      time.Time                 `bson:"expires_at"`
	LiftedAt       time.Time                 `bson:"lifted_at"` // zero: not lifted
	LiftedBy       makerguard.MemberID       `bson:"lifted_by"`
	LiftReason     string                    `bson:"lift_reason"`
	RemoveAt       time.Time                 `bson:"remove_at"`
}

// blockKey is the _id of a subject's document.
func blockKey(b makerguard.Block) string { return key(string(b.Kind), b.Subject) }

func toBlockDoc(b makerguard.Block) blockDoc {
	return blockDoc{
		ID: b.ID, Kind: b.Kind, Subject: b.Subject, ManufacturerID: b.ManufacturerID,
		Scenario: b.Scenario, Reason: valid(b.Reason), Points: b.Points, CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt,
		LiftedAt: b.LiftedAt, LiftedBy: b.LiftedBy, LiftReason: valid(b.LiftReason), RemoveAt: b.ExpiresAt.Add(keepBlocks),
	}
}

func fromBlockDoc(d *blockDoc) makerguard.Block {
	return makerguard.Block{
		ID: d.ID, Kind: d.Kind, Subject: d.Subject, ManufacturerID: d.ManufacturerID,
		Scenario: d.Scenario, Reason: d.Reason, Points: d.Points, CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt,
		LiftedAt: d.LiftedAt, LiftedBy: d.LiftedBy, LiftReason: d.LiftReason,
	}
}

// inForce is the condition that a block has neither ended at a time nor been lifted.
func inForce(at time.Time) bson.M {
	return bson.M{"expires_at": bson.M{"$gt": at}, "lifted_at": time.Time{}}
}

// PutBlock implements threat.Store. A block in force is prolonged by one command; a new
// one takes a second, which replaces the one that has ended, if there is any.
func (s *Store) PutBlock(ctx context.Context, b makerguard.Block) (makerguard.Block, error) {
	var stands makerguard.Block
	err := untilDone(ctx, "blocking", func() (bool, error) {
		standing := inForce(b.CreatedAt)
		standing["_id"] = blockKey(b)
		var d blockDoc
		err := s.collection(blocks).FindOneAndUpdate(ctx, standing, bson.M{
			"$max":         bson.M{"expires_at": b.ExpiresAt, "remove_at": b.ExpiresAt.Add(keepBlocks)},
			"$currentDate": touch,
		}, options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&d)
		if noDocument(err) {
			err = s.collection(blocks).FindOneAndUpdate(ctx,
				bson.M{"_id": blockKey(b), "$or": bson.A{bson.M{"expires_at": bson.M{"$lte": b.CreatedAt}}, bson.M{"lifted_at": bson.M{"$ne": time.Time{}}}}},
				bson.M{"$set": toBlockDoc(b), "$currentDate": touch},
				options.FindOneAndUpdate().SetReturnDocument(options.After).SetUpsert(true)).Decode(&d)
		}
		if duplicate(err) {
			return false, nil // somebody else blocked it meanwhile
		}
		stands = fromBlockDoc(&d)
		return err == nil, err
	})
	if err != nil {
		return makerguard.Block{}, err
	}
	return stands, nil
}

// Blocks implements threat.Store. It reads all blocks in force, whatever the limit, but
// none that has ended.
func (s *Store) Blocks(ctx context.Context, now time.Time, limit int) ([]makerguard.Block, error) {
	if limit < 1 {
		return nil, nil
	}
	cursor, err := s.collection(blocks).Find(ctx, inForce(now), options.Find().SetSort(by("-created_at", "-id")).SetLimit(int64(limit)))
	list, err := all(ctx, cursor, err, fromBlockDoc)
	return list, storeError("listing blocks", err)
}

// LiftBlock implements threat.Store.
func (s *Store) LiftBlock(ctx context.Context, id string, by makerguard.MemberID, reason string, now time.Time) error {
	filter := inForce(now)
	filter["id"] = id
	res, err := s.collection(blocks).UpdateOne(ctx, filter, bson.M{
		"$set":         bson.M{"lifted_at": now, "lifted_by": by, "lift_reason": valid(reason)},
		"$currentDate": touch,
	})
	if err == nil && res.MatchedCount == 0 {
		return missing("There is no such block in force.")
	}
	return storeError("lifting a block", err)
}
