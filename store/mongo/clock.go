package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ServerTime returns the server's time, to a millisecond: the one clock that all nodes share.
func (s *Store) ServerTime(ctx context.Context) (time.Time, error) {
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	if err := s.run(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return time.Time{}, storeError("asking for the time", err)
	}
	if hello.LocalTime.IsZero() {
		return time.Time{}, storeError("asking for the time", errors.New("the server does not tell its time"))
	}
	return hello.LocalTime.UTC(), nil
}
