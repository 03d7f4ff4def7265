package mongo

import (
	"context"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

const (
	// spentPoints is what is as good as no points at all.
	spentPoints = 0.01
	// keepPoints is how long a score is kept that nothing is added to, however slowly it fades.
	keepPoints = 90 * 24 * time.Hour
	// maxHalvings is how many half-lives after its origin a sum goes on. Its unit is
	// then 2^256 points, far from what a float64 can hold.
	maxHalvings = 256
)

// pointsDoc is a score that halves every HalfLife. It is kept as a sum in a unit that grows
// as fast as points fade: added at a time t, a point is 2^((t-Origin)/HalfLife) of the
// sum, for ever. So fading changes nothing that is stored, and adding is one $inc, which any
// number of nodes can do at once.
type pointsDoc struct {
	Key      string        `bson:"_id"`
	Sum      float64       `bson:"sum"`
	Origin   time.Time     `bson:"origin"`
	HalfLife time.Duration `bson:"half_life"` // nanoseconds
	At       time.Time     `bson:"at"`        // when points were last added
	RemoveAt time.Time     `bson:"remove_at"` // when they are spent
}

// unit is how much of the sum a point is at a time. Clocks of nodes differ a little:
// points do not fade until the time of the newest.
func (d *pointsDoc) unit(now time.Time) float64 {
	return math.Exp2(d.halvings(now))
}

func (d *pointsDoc) halvings(now time.Time) float64 {
	if now.Before(d.At) {
		now = d.At
	}
	return float64(now.Sub(d.Origin)) / float64(d.HalfLife)
}

// score is how many points there are at a time.
func (d *pointsDoc) score(now time.Time) float64 { return d.Sum / d.unit(now) }

// spentAt is when a score that stands at now is spent.
func spentAt(score float64, halfLife time.Duration, now time.Time) time.Time {
	if score <= spentPoints {
		return now
	}
	return now.Add(time.Duration(min(float64(halfLife)*math.Log2(score/spentPoints), float64(keepPoints))))
}

// AddPoints implements threat.Store. It reads the sum's origin, then adds to it.
func (s *Store) AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error) {
	if halfLife <= 0 || math.IsNaN(points) || math.IsInf(points, 0) {
		return 0, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "Points must be a number, and the time in which they halve more than 0."}
	}
	now = asStored(now)
	var score float64
	err := untilDone(ctx, "adding points", func() (done bool, err error) {
		score, done, err = s.addPoints(ctx, key, points, halfLife, now)
		return done, err
	})
	return score, err
}

func (s *Store) addPoints(ctx context.Context, key string, more float64, halfLife time.Duration, now time.Time) (score float64, done bool, err error) {
	c := s.collection(points)
	var d pointsDoc
	err = c.FindOne(ctx, bson.M{"_id": key}).Decode(&d)
	if noDocument(err) {
		_, err = c.InsertOne(ctx, pointsDoc{Key: key, Sum: more, Origin: now, HalfLife: halfLife, At: now, RemoveAt: spentAt(more, halfLife, now)})
		if duplicate(err) {
			return 0, false, nil
		}
		return more, err == nil, err
	}
	if err != nil {
		return 0, false, err
	}
	if d.HalfLife != halfLife || d.halvings(now) > maxHalvings {
		return s.moveOrigin(ctx, &d, more, halfLife, now)
	}
	var after pointsDoc
	err = c.FindOneAndUpdate(ctx, bson.M{"_id": key, "origin": d.Origin, "half_life": d.HalfLife},
		bson.M{
			"$inc": bson.M{"sum": more * d.unit(now)},
			"$max": bson.M{"at": now, "remove_at": spentAt(d.score(now)+more, halfLife, now)},
		},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&after)
	if noDocument(err) {
		return 0, false, nil
	}
	return after.score(now), err == nil, err
}

// moveOrigin is addPoints that also begins a new unit, because the half-life was changed
// or the origin is long ago.
func (s *Store) moveOrigin(ctx context.Context, d *pointsDoc, more float64, halfLife time.Duration, now time.Time) (score float64, done bool, err error) {
	at := now
	if at.Before(d.At) {
		at = d.At
	}
	// What was there has faded at the rate that holds now, as it will go on to.
	before := d.score(d.At) * math.Exp2(-float64(at.Sub(d.At))/float64(halfLife))
	score = before + more
	res, err := s.collection(points).ReplaceOne(ctx,
		bson.M{"_id": d.Key, "origin": d.Origin, "half_life": d.HalfLife, "sum": d.Sum},
		pointsDoc{Key: d.Key, Sum: score, Origin: at, HalfLife: halfLife, At: at, RemoveAt: spentAt(score, halfLife, at)})
	return score, err == nil && res.MatchedCount > 0, err
}
