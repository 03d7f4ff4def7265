package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// recordDoc is one sealed record.
type recordDoc struct {
	ID             string                    `bson:"_id"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Name           string                    `bson:"name"`
	Sealed         []byte                    `bson:"sealed"`
	KeyVersion     uint32                    `bson:"key_version"`
	CreatedAt      time.Time                 `bson:"created_at"`
	UpdatedAt      time.Time                 `bson:"updated_at"`
	UpdatedBy      makerguard.MemberID       `bson:"updated_by"`
}

func fromRecordDoc(d *recordDoc) makerguard.VaultRecord {
	return makerguard.VaultRecord{
		ManufacturerID: d.ManufacturerID, Name: d.Name, Sealed: d.Sealed, KeyVersion: d.KeyVersion,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, UpdatedBy: d.UpdatedBy,
	}
}

func toRecordDoc(r makerguard.VaultRecord) recordDoc {
	return recordDoc{
		ID:             recordID(r.ManufacturerID, r.Name),
		ManufacturerID: r.ManufacturerID, Name: r.Name, Sealed: r.Sealed, KeyVersion: r.KeyVersion,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy,
	}
}

func recordID(mfr makerguard.ManufacturerID, name string) string { return key(string(mfr), name) }

const noRecord = "The vault has no record of this name."

// PutRecord implements vault.Store. A record that is there is replaced by one command, which
// spares the way back of the sealed bytes. A new one is inserted after that and not by an
// upsert: FerretDB (2.7) tells each of several upserts at once that it was the one that inserted.
func (s *Store) PutRecord(ctx context.Context, r makerguard.VaultRecord) (stored makerguard.VaultRecord, created bool, err error) {
	stored = r
	stored.CreatedAt, stored.UpdatedAt = asStored(r.CreatedAt), asStored(r.UpdatedAt)
	err = untilDone(ctx, "storing a record", func() (bool, error) {
		var before recordDoc
		err := s.collection(vaultRecords).FindOneAndUpdate(ctx, bson.M{"_id": recordID(r.ManufacturerID, r.Name)},
			bson.M{"$set": bson.M{"sealed": r.Sealed, "key_version": r.KeyVersion, "updated_at": r.UpdatedAt, "updated_by": r.UpdatedBy}},
			options.FindOneAndUpdate().SetReturnDocument(options.Before).SetProjection(bson.M{"created_at": 1})).Decode(&before)
		if !noDocument(err) {
			stored.CreatedAt = before.CreatedAt
			return err == nil, err
		}
		_, err = s.collection(vaultRecords).InsertOne(ctx, toRecordDoc(r))
		if duplicate(err) {
			return false, nil // somebody else stored it meanwhile
		}
		created = true
		return err == nil, err
	})
	if err != nil {
		return makerguard.VaultRecord{}, false, err
	}
	return stored, created, nil
}

// Record implements vault.Store.
func (s *Store) Record(ctx context.Context, mfr makerguard.ManufacturerID, name string) (makerguard.VaultRecord, error) {
	var d recordDoc
	if err := s.collection(vaultRecords).FindOne(ctx, bson.M{"_id": recordID(mfr, name)}).Decode(&d); err != nil {
		return makerguard.VaultRecord{}, storeError("reading a record", found(err, noRecord))
	}
	return fromRecordDoc(&d), nil
}

// DeleteRecord implements vault.Store.
func (s *Store) DeleteRecord(ctx context.Context, mfr makerguard.ManufacturerID, name string) error {
	res, err := s.collection(vaultRecords).DeleteOne(ctx, bson.M{"_id": recordID(mfr, name)})
	if err == nil && res.DeletedCount == 0 {
		return missing(noRecord)
	}
	return storeError("deleting a record", err)
}

// Records implements vault.Store.
func (s *Store) Records(ctx context.Context, mfr makerguard.ManufacturerID, after string, limit int) ([]makerguard.VaultRecord, error) {
	if limit < 1 {
		return nil, nil
	}
	cursor, err := s.collection(vaultRecords).Find(ctx,
		bson.M{"manufacturer_id": mfr, "name": bson.M{"$gt": after}},
		options.Find().SetSort(by("name")).SetLimit(int64(limit)).SetProjection(bson.M{"sealed": 0}))
	list, err := all(ctx, cursor, err, fromRecordDoc)
	return list, storeError("listing records", err)
}
