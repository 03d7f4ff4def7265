package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// documents is a collection whose every operation has a limit of time and fails at once
// while the server is known to be away. It has the driver's methods; those that it does
// not name are not used.
type documents struct {
	*mongo.Collection
	timeout time.Duration
	circuit *circuit
}

// unsentPauses are the pauses after which an operation that was not sent is tried again.
var unsentPauses = []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond}

// guarded runs an operation of one command within the time limit and tells the circuit how
// it went. When one connection breaks, the driver gives up all that wait for another:
// those, of which nothing was sent, are tried again, since the server may well be there.
func guarded[T any](ctx context.Context, timeout time.Duration, c *circuit, op func(context.Context) (T, error)) (T, error) {
	return guardedOnce(ctx, timeout, c, func(ctx context.Context) (T, error) {
		result, err := op(ctx)
		for i := 0; unsent(err) && i < len(unsentPauses); i++ {
			timer := time.NewTimer(unsentPauses[i])
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return result, err
			}
			result, err = op(ctx)
		}
		return result, err
	})
}

// guardedOnce is guarded for what may take several commands, some of which may have been sent.
func guardedOnce[T any](ctx context.Context, timeout time.Duration, c *circuit, op func(context.Context) (T, error)) (T, error) {
	began, err := c.enter()
	if err != nil {
		var none T
		return none, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := op(limited)
	c.leave(ctx, began, err)
	return result, err
}

// guardedOne is guarded for what gives one document, which is read before the limit ends.
func guardedOne(ctx context.Context, timeout time.Duration, c *circuit, op func(context.Context) *mongo.SingleResult) *mongo.SingleResult {
	result, err := guarded(ctx, timeout, c, func(ctx context.Context) (*mongo.SingleResult, error) {
		r := op(ctx)
		return r, r.Err()
	})
	if result == nil {
		return mongo.NewSingleResultFromDocument(bson.D{}, err, nil)
	}
	return result
}

func (d documents) FindOne(ctx context.Context, filter any, opts ...options.Lister[options.FindOneOptions]) *mongo.SingleResult {
	return guardedOne(ctx, d.timeout, d.circuit, func(ctx context.Context) *mongo.SingleResult {
		return d.Collection.FindOne(ctx, filter, opts...)
	})
}

func (d documents) FindOneAndUpdate(ctx context.Context, filter, update any, opts ...options.Lister[options.FindOneAndUpdateOptions]) *mongo.SingleResult {
	return guardedOne(ctx, d.timeout, d.circuit, func(ctx context.Context) *mongo.SingleResult {
		return d.Collection.FindOneAndUpdate(ctx, filter, update, opts...)
	})
}

func (d documents) FindOneAndReplace(ctx context.Context, filter, doc any, opts ...options.Lister[options.FindOneAndReplaceOptions]) *mongo.SingleResult {
	return guardedOne(ctx, d.timeout, d.circuit, func(ctx context.Context) *mongo.SingleResult {
		return d.Collection.FindOneAndReplace(ctx, filter, doc, opts...)
	})
}

func (d documents) FindOneAndDelete(ctx context.Context, filter any, opts ...options.Lister[options.FindOneAndDeleteOptions]) *mongo.SingleResult {
	return guardedOne(ctx, d.timeout, d.circuit, func(ctx context.Context) *mongo.SingleResult {
		return d.Collection.FindOneAndDelete(ctx, filter, opts...)
	})
}

func (d documents) Find(ctx context.Context, filter any, opts ...options.Lister[options.FindOptions]) (*mongo.Cursor, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.Cursor, error) {
		return d.Collection.Find(ctx, filter, opts...)
	})
}

func (d documents) Aggregate(ctx context.Context, pipeline any, opts ...options.Lister[options.AggregateOptions]) (*mongo.Cursor, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.Cursor, error) {
		return d.Collection.Aggregate(ctx, pipeline, opts...)
	})
}

func (d documents) InsertOne(ctx context.Context, doc any, opts ...options.Lister[options.InsertOneOptions]) (*mongo.InsertOneResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.InsertOneResult, error) {
		return d.Collection.InsertOne(ctx, doc, opts...)
	})
}

func (d documents) InsertMany(ctx context.Context, docs any, opts ...options.Lister[options.InsertManyOptions]) (*mongo.InsertManyResult, error) {
	return guardedOnce(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.InsertManyResult, error) {
		return d.Collection.InsertMany(ctx, docs, opts...)
	})
}

func (d documents) UpdateOne(ctx context.Context, filter, update any, opts ...options.Lister[options.UpdateOneOptions]) (*mongo.UpdateResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.UpdateResult, error) {
		return d.Collection.UpdateOne(ctx, filter, update, opts...)
	})
}

func (d documents) UpdateMany(ctx context.Context, filter, update any, opts ...options.Lister[options.UpdateManyOptions]) (*mongo.UpdateResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.UpdateResult, error) {
		return d.Collection.UpdateMany(ctx, filter, update, opts...)
	})
}

func (d documents) ReplaceOne(ctx context.Context, filter, doc any, opts ...options.Lister[options.ReplaceOptions]) (*mongo.UpdateResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.UpdateResult, error) {
		return d.Collection.ReplaceOne(ctx, filter, doc, opts...)
	})
}

func (d documents) BulkWrite(ctx context.Context, models []mongo.WriteModel, opts ...options.Lister[options.BulkWriteOptions]) (*mongo.BulkWriteResult, error) {
	return guardedOnce(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.BulkWriteResult, error) {
		return d.Collection.BulkWrite(ctx, models, opts...)
	})
}

func (d documents) DeleteOne(ctx context.Context, filter any, opts ...options.Lister[options.DeleteOneOptions]) (*mongo.DeleteResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.DeleteResult, error) {
		return d.Collection.DeleteOne(ctx, filter, opts...)
	})
}

func (d documents) DeleteMany(ctx context.Context, filter any, opts ...options.Lister[options.DeleteManyOptions]) (*mongo.DeleteResult, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (*mongo.DeleteResult, error) {
		return d.Collection.DeleteMany(ctx, filter, opts...)
	})
}

func (d documents) CountDocuments(ctx context.Context, filter any, opts ...options.Lister[options.CountOptions]) (int64, error) {
	return guarded(ctx, d.timeout, d.circuit, func(ctx context.Context) (int64, error) {
		return d.Collection.CountDocuments(ctx, filter, opts...)
	})
}
