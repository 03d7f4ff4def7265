package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

const noChallenge = "There is no such sign-in under way: start again."

// pendingChallenge matches a challenge that has not expired at now. The server removes
// expired ones when it pleases.
func pendingChallenge(tokenHash []byte, now time.Time) bson.D {
	return bson.D{{Key: "_id", Value: octets(tokenHash)}, {Key: "expires_at", Value: bson.D{{Key: "$gt", Value: now}}}}
}

// CreateChallenge implements auth.Store.
func (s *Store) CreateChallenge(ctx context.Context, c makerguard.Challenge) error {
	_, err := s.collection(challenges).InsertOne(ctx, fromChallenge(c))
	return storeError("creating a challenge", err)
}

// Challenge implements auth.Store.
func (s *Store) Challenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error) {
	var d challengeDoc
	if err := s.collection(challenges).FindOne(ctx, pendingChallenge(tokenHash, now)).Decode(&d); err != nil {
		return makerguard.Challenge{}, storeError("reading a challenge", found(err, noChallenge))
	}
	return d.challenge(), nil
}

// TryChallenge implements auth.Store.
func (s *Store) TryChallenge(ctx context.Context, tokenHash []byte, now time.Time) (makerguard.Challenge, error) {
	var d challengeDoc
	err := s.collection(challenges).FindOneAndUpdate(ctx,
		append(pendingChallenge(tokenHash, now), bson.E{Key: "tries_left", Value: bson.D{{Key: "$gt", Value: 0}}}),
		bson.D{{Key: "$inc", Value: bson.D{{Key: "tries_left", Value: -1}}}},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&d)
	if err != nil {
		return makerguard.Challenge{}, storeError("trying a challenge", found(err, noChallenge))
	}
	return d.challenge(), nil
}

// ConsumeChallenge implements auth.Store.
func (s *Store) ConsumeChallenge(ctx context.Context, tokenHash []byte) error {
	r, err := s.collection(challenges).DeleteOne(ctx, bson.D{{Key: "_id", Value: octets(tokenHash)}})
	if err == nil && r.DeletedCount == 0 {
		err = missing(noChallenge)
	}
	return storeError("consuming a challenge", err)
}
