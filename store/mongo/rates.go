package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// rateDoc is a limit, kept as the time at which its burst is whole again: the theoretical arrival
// time of ITU-T I.371 annex A. Each unit puts it off by an interval, and it may never
// be further away than a whole burst takes.
type rateDoc struct {
	Key      string    `bson:"_id"`
	FullAt   int64     `bson:"full_at"` // nanoseconds since 1970: a rounded interval would change the rate
	RemoveAt time.Time `bson:"remove_at"`
}

// TakeRate implements ratelimit.Store. It returns ValidationFailed for a request out of
// its ranges, or whose burst takes more than a hundred years to come back.
//
// A request that is refused takes one command, and one that is allowed two: the second
// asks once more whether there is room, so it matters not who comes between.
func (s *Store) TakeRate(ctx context.Context, r makerguard.RateRequest) (makerguard.RateResult, error) {
	const longest = 100 * 365 * 24 * time.Hour
	if r.Interval <= 0 || r.Burst < 1 || r.Burst > int64(longest/r.Interval) || r.Amount < 1 || r.Amount > r.Burst {
		return makerguard.RateResult{}, &makerguard.Error{
			Code:    makerguard.ValidationFailed,
			Message: "A rate limit needs an interval and a burst, and can give 1 unit to a whole burst.",
		}
	}
	var (
		now     = r.Now.UnixNano()
		cost    = r.Amount * int64(r.Interval)
		span    = r.Burst * int64(r.Interval)
		fullAt  int64
		allowed bool
	)
	err := untilDone(ctx, "taking units of a rate limit", func() (done bool, err error) {
		var d rateDoc
		err = s.collection(rates).FindOne(ctx, bson.M{"_id": r.Key}).Decode(&d)
		if err != nil && !noDocument(err) {
			return false, err
		}
		fullAt = d.FullAt
		if max(fullAt, now)+cost > now+span {
			return true, nil
		}
		allowed, fullAt, err = s.putOff(ctx, r.Key, d.FullAt, now, cost, span)
		return allowed, err
	})
	if err != nil {
		return makerguard.RateResult{}, err
	}
	left := span - (max(fullAt, now) - now) // of the burst, in time
	res := makerguard.RateResult{Allowed: allowed, Remaining: max(left/int64(r.Interval), 0)}
	if !allowed {
		res.RetryAfter = time.Duration(cost - left)
	}
	return res, nil
}

// putOff puts the time at which a burst is whole off by cost, from now if it was whole
// when seen. It fails if there is no room any more, or if it is no longer whole.
func (s *Store) putOff(ctx context.Context, key string, seen, now, cost, span int64) (ok bool, fullAt int64, err error) {
	// No later than this is the burst whole again.
	removeAt := time.Unix(0, now+span).Add(time.Millisecond)
	filter, update := bson.M{"_id": key}, bson.M{"$max": bson.M{"remove_at": removeAt}}
	if seen > now {
		filter["full_at"] = bson.M{"$gt": now, "$lte": now + span - cost}
		update["$inc"] = bson.M{"full_at": cost}
	} else {
		filter["full_at"] = bson.M{"$lte": now}
		update["$set"] = bson.M{"full_at": now + cost}
	}
	var d rateDoc
	err = s.collection(rates).FindOneAndUpdate(ctx, filter, update,
		options.FindOneAndUpdate().SetReturnDocument(options.After).SetUpsert(seen == 0)).Decode(&d)
	if duplicate(err) || noDocument(err) {
		return false, 0, nil
	}
	return err == nil, d.FullAt, err
}
