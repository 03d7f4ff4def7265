package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// scoreDoc is a manufacturer's score of one day.
type scoreDoc struct {
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Day            time.Time                 `bson:"day"`
	Score          int                       `bson:"score"`
}

func fromScoreDoc(d *scoreDoc) makerguard.ScorePoint { return makerguard.ScorePoint(*d) }

// PutScore implements threat.Store.
func (s *Store) PutScore(ctx context.Context, p makerguard.ScorePoint) error {
	return untilDone(ctx, "storing a score", func() (bool, error) {
		_, err := s.collection(scores).UpdateOne(ctx,
			bson.M{"_id": key(string(p.ManufacturerID), p.Day.UTC().Format(time.DateOnly))},
			bson.M{"$set": scoreDoc(p)}, options.UpdateOne().SetUpsert(true))
		if duplicate(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// Scores implements threat.Store.
func (s *Store) Scores(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) ([]makerguard.ScorePoint, error) {
	cursor, err := s.collection(scores).Find(ctx,
		bson.M{"manufacturer_id": mfr, "day": bson.M{"$gte": since}}, options.Find().SetSort(by("day")))
	list, err := all(ctx, cursor, err, fromScoreDoc)
	return list, storeError("listing scores", err)
}
