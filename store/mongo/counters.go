package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// BumpCounter implements auth.Store. Clocks of nodes differ a little; the newest event
// decides when the count goes stale. One command counts; one more begins a counter.
func (s *Store) BumpCounter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error) {
	var d counterOfEventsDoc
	since := bson.E{Key: "last_at", Value: bson.D{{Key: "$gte", Value: now.Add(-window)}}}
	before := bson.E{Key: "last_at", Value: bson.D{{Key: "$lt", Value: now.Add(-window)}}}
	after := options.FindOneAndUpdate().SetReturnDocument(options.After)
	err := untilDone(ctx, "counting", func() (bool, error) {
		err := s.collection(counters).FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: key}, since}, bson.D{
			{Key: "$inc", Value: bson.D{{Key: "count", Value: int64(1)}}},
			{Key: "$max", Value: bson.D{{Key: "last_at", Value: now}, {Key: "stale_at", Value: now.Add(window)}}},
		}, after).Decode(&d)
		if !noDocument(err) {
			return true, err
		}
		err = s.collection(counters).FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: key}, before}, bson.D{
			{Key: "$set", Value: bson.D{{Key: "count", Value: int64(1)}, {Key: "last_at", Value: now}}},
			{Key: "$max", Value: bson.D{{Key: "stale_at", Value: now.Add(window)}}},
		}, after.SetUpsert(true)).Decode(&d)
		if duplicate(err) { // somebody else began it meanwhile; nothing was counted
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return makerguard.Counter{}, err
	}
	return makerguard.Counter{Count: int(d.Count), LastAt: d.LastAt}, nil
}

// Counter implements auth.Store.
func (s *Store) Counter(ctx context.Context, key string, window time.Duration, now time.Time) (makerguard.Counter, error) {
	var d counterOfEventsDoc
	err := s.collection(counters).FindOne(ctx, bson.D{
		{Key: "_id", Value: key}, {Key: "last_at", Value: bson.D{{Key: "$gte", Value: now.Add(-window)}}},
	}).Decode(&d)
	if err != nil && !noDocument(err) {
		return makerguard.Counter{}, storeError("reading a counter", err)
	}
	return makerguard.Counter{Count: int(d.Count), LastAt: d.LastAt}, nil
}

// ResetCounter implements auth.Store.
func (s *Store) ResetCounter(ctx context.Context, key string) error {
	_, err := s.collection(counters).DeleteOne(ctx, bson.D{{Key: "_id", Value: key}})
	return storeError("resetting a counter", err)
}

const (
	// expireChunk is how many documents of a collection are removed at a time, and
	// expireChunks how often in one call, so that others can write in between and a call ends.
	expireChunk  = 500
	expireChunks = 20
)

// DeleteExpired implements auth.Store. It does what the server's own removal does, sooner,
// in every collection that has an index for it, and completes what a crash left half done.
// A call removes at most 10,000 documents of a collection.
func (s *Store) DeleteExpired(ctx context.Context, now, keepSessionsSince time.Time) error {
	for _, c := range schema() {
		for _, x := range c.indexes {
			before := now
			if c.name == sessions {
				before = keepSessionsSince.Add(keepEnded)
			}
			if x.expire {
				if err := s.deleteBefore(ctx, c.name, x.keys[0].Key, before); err != nil {
					return storeError("deleting what has expired", err)
				}
			}
		}
	}
	return s.repair(ctx)
}

// deleteBefore removes the documents whose field is a time before the one given.
func (s *Store) deleteBefore(ctx context.Context, collection, field string, before time.Time) error {
	old := bson.D{{Key: field, Value: bson.D{{Key: "$lt", Value: before}}}}
	for range expireChunks {
		cursor, err := s.collection(collection).Find(ctx, old, options.Find().SetLimit(expireChunk).SetProjection(by("_id")))
		ids, err := all(ctx, cursor, err, func(d *struct {
			ID any `bson:"_id"`
		},
		) any {
			return d.ID
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		_, err = s.collection(collection).DeleteMany(ctx, append(bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, old...))
		if err != nil || len(ids) < expireChunk {
			return err
		}
	}
	return nil
}
