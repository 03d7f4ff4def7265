package mongo

import (
	"context"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// keyDoc is one version of a key. Its _id is keyID's.
type keyDoc struct {
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Purpose        makerguard.KeyPurpose     `bson:"purpose"`
	Version        uint32                    `bson:"version"`
	State          makerguard.KeyState       `bson:"state"`
	KEKID          string                    `bson:"kek_id"`
	Wrapped        []byte                    `bson:"wrapped"`
	CreatedAt      time.Time                 `bson:"created_at"`
	StateAt        time.Time                 `bson:"state_at"`
}

func toKeyDoc(k makerguard.WrappedKey) keyDoc {
	return keyDoc{
		ManufacturerID: k.ManufacturerID, Purpose: k.Purpose, Version: k.Version, State: k.State,
		KEKID: k.KEKID, Wrapped: k.Wrapped, CreatedAt: k.CreatedAt, StateAt: k.StateAt,
	}
}

func fromKeyDoc(d *keyDoc) makerguard.WrappedKey {
	return makerguard.WrappedKey{
		ManufacturerID: d.ManufacturerID, Purpose: d.Purpose, Version: d.Version, State: d.State,
		KEKID: d.KEKID, Wrapped: d.Wrapped, CreatedAt: d.CreatedAt, StateAt: d.StateAt,
	}
}

func keyID(k makerguard.WrappedKey) string {
	return key(string(k.ManufacturerID), string(k.Purpose), strconv.FormatUint(uint64(k.Version), 10))
}

// AddKey implements envelope.Store.
func (s *Store) AddKey(ctx context.Context, k makerguard.WrappedKey) error {
	// Only an update can have the server set the time. This one matches no document that
	// is stored, so it inserts, or fails because the version is there.
	_, err := s.collection(wrappedKeys).UpdateOne(ctx,
		bson.M{"_id": keyID(k), "changed_at": bson.M{"$exists": false}},
		bson.M{"$setOnInsert": toKeyDoc(k), "$currentDate": touch},
		options.UpdateOne().SetUpsert(true))
	if duplicate(err) {
		return conflict("This version of the key exists already.")
	}
	return storeError("adding a key", err)
}

// SetKeyState implements envelope.Store. A version that is destroyed loses its wrapped
// bytes in the same step.
func (s *Store) SetKeyState(ctx context.Context, k makerguard.WrappedKey, from makerguard.KeyState, now time.Time) error {
	const doing = "changing a key's state"
	set := bson.M{"state": k.State, "state_at": now}
	if k.State == makerguard.KeyDestroyed {
		set["wrapped"] = []byte{}
	}
	res, err := s.collection(wrappedKeys).UpdateOne(ctx,
		bson.M{"_id": keyID(k), "state": from},
		bson.M{"$set": set, "$currentDate": touch})
	if err != nil || res.MatchedCount > 0 {
		return storeError(doing, err)
	}
	err = s.collection(wrappedKeys).FindOne(ctx, bson.M{"_id": keyID(k)}, options.FindOne().SetProjection(bson.M{"_id": 1})).Err()
	if err != nil {
		return storeError(doing, found(err, "There is no such version of the key."))
	}
	return conflict("The key's state was changed meanwhile.")
}

// Keys implements envelope.Store.
func (s *Store) Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error) {
	cursor, err := s.collection(wrappedKeys).Find(ctx, bson.M{"manufacturer_id": mfr, "purpose": purpose}, options.Find().SetSort(by("version")))
	list, err := all(ctx, cursor, err, fromKeyDoc)
	return list, storeError("reading keys", err)
}
