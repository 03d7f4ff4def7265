package mongo

import (
	"context"
	"math"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// counterDoc is one meter of one manufacturer in one month. Everything that must hold
// together stands in it, so that each step is one update of one document: Taken is Spent
// and what the blocks hold, and no update may raise it past the limit.
type counterDoc struct {
	ID             string                    `bson:"_id"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Meter          makerguard.Meter          `bson:"meter"`
	Start          time.Time                 `bson:"start"`
	Taken          int64                     `bson:"taken"`
	Spent          int64                     `bson:"spent"`
	Blocks         []leasedBlock             `bson:"blocks"` // at most one of a node

	Counted   []countedRequest `bson:"counted"`   // for Spend with an idempotency key
	Forgotten int64            `bson:"forgotten"` // how often entries were taken out of Counted
}

// leasedBlock is the units that a node holds. It counts as spent after Until.
type leasedBlock struct {
	Node  string    `bson:"node"`
	Held  int64     `bson:"held"`
	Until time.Time `bson:"until"`
}

// withoutRequests is a projection that spares what Lease and Counts have no use for.
var withoutRequests = bson.M{"counted": 0}

func newCounter(k makerguard.CounterKey) counterDoc {
	return counterDoc{
		ID: counterID(k), ManufacturerID: k.ManufacturerID, Meter: k.Meter, Start: k.Start,
		Blocks: []leasedBlock{}, Counted: []countedRequest{},
	}
}

func counterID(k makerguard.CounterKey) string {
	return key(string(k.ManufacturerID), string(k.Meter), strconv.FormatInt(k.Start.UnixMilli(), 10))
}

// ceiling is the limit as a number of units that can be counted.
func ceiling(limit int64) int64 {
	if limit == makerguard.Unlimited {
		return math.MaxInt64
	}
	return limit
}

// expired lists the blocks that count as spent at now, and how many units they are.
func (d *counterDoc) expired(now time.Time) (list []leasedBlock, units int64) {
	for _, b := range d.Blocks {
		if b.Until.UnixMilli() < now.UnixMilli() {
			list = append(list, b)
			units += b.Held
		}
	}
	return list, units
}

func (d *counterDoc) count(now time.Time) makerguard.Count {
	_, expired := d.expired(now)
	return makerguard.Count{Taken: d.Taken, Spent: d.Spent + expired}
}

// block gives the block of a node at now, nil if it has none or it has expired.
func (d *counterDoc) block(node string, now time.Time) *leasedBlock {
	for i, b := range d.Blocks {
		if b.Node == node && b.Until.UnixMilli() >= now.UnixMilli() {
			return &d.Blocks[i]
		}
	}
	return nil
}

// Lease implements quota.Store. Units reported as spent or returned beyond what the node
// still holds are ignored: its block has expired and was counted as spent then.
//
// A node's block is its own element of the counter, which nobody else touches while it is
// alive, so nodes do not get in one another's way: mostly one command does it all. Only
// near the limit, for a node's first block and after a block has expired the counter is
// read first.
func (s *Store) Lease(ctx context.Context, r makerguard.LeaseRequest) (makerguard.LeaseResult, error) {
	if r.Need < 0 || r.Want < r.Need || r.Spent < 0 || r.Return < 0 || r.Return > math.MaxInt64-r.Spent || r.Limit < makerguard.Unlimited {
		return makerguard.LeaseResult{}, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "A lease has a negative number of units, or wants fewer than it needs."}
	}
	var res makerguard.LeaseResult
	err := untilDone(ctx, "leasing units", func() (done bool, err error) {
		whole := leaseStep{spent: r.Spent, returned: r.Return, granted: r.Want}
		d, err := s.moveBlock(ctx, r, whole)
		if noDocument(err) {
			res, done, err = s.leasePart(ctx, r)
			return done, err
		}
		if err != nil {
			return false, err
		}
		// If this fails, they count as spent all the same and the next Lease tries again.
		_, _ = s.spendExpired(ctx, d, r.Now)
		res = leaseResult(d, r.Want, r.Now)
		return true, nil
	})
	return res, err
}

func leaseResult(d *counterDoc, granted int64, now time.Time) makerguard.LeaseResult {
	c := d.count(now)
	return makerguard.LeaseResult{Granted: granted, Taken: c.Taken, Spent: c.Spent}
}

// leaseStep is what becomes of a node's block: units leave it as spent or returned, then
// granted ones join it.
type leaseStep struct{ spent, returned, granted int64 }

// moveBlock makes a step of the node's block and returns the counter after it. It finds
// no document if the node has no block alive, if that holds fewer units than leave it, or
// if fewer than granted are left under the limit.
func (s *Store) moveBlock(ctx context.Context, r makerguard.LeaseRequest, step leaseStep) (*counterDoc, error) {
	filter := bson.M{"_id": counterID(r.CounterKey), "blocks": bson.M{"$elemMatch": bson.M{
		"node": r.Node, "held": bson.M{"$gte": step.spent + step.returned}, "until": bson.M{"$gte": r.Now},
	}}}
	if step.granted > 0 {
		filter["taken"] = bson.M{"$lte": min(ceiling(r.Limit)-step.granted, math.MaxInt64-step.returned) + step.returned}
	}
	return s.updateCounter(ctx, filter, bson.M{
		"$inc": bson.M{"spent": step.spent, "taken": step.granted - step.returned, "blocks.$.held": step.granted - step.spent - step.returned},
		"$set": bson.M{"blocks.$.until": r.Now.Add(r.TTL)},
	})
}

// leasePart is Lease for a counter that has to be read first. It is not done if the
// counter changed meanwhile in a way that matters.
func (s *Store) leasePart(ctx context.Context, r makerguard.LeaseRequest) (res makerguard.LeaseResult, done bool, err error) {
	d := newCounter(r.CounterKey)
	err = s.collection(usageCounters).FindOne(ctx, bson.M{"_id": d.ID}, options.FindOne().SetProjection(withoutRequests)).Decode(&d)
	missing := noDocument(err)
	if err != nil && !missing {
		return res, false, err
	}
	if moved, err := s.spendExpired(ctx, &d, r.Now); moved || err != nil {
		return res, false, err
	}
	var step leaseStep
	own := d.block(r.Node, r.Now)
	if own != nil {
		step.spent = min(r.Spent, own.Held)
		step.returned = min(r.Return, own.Held-step.spent)
	}
	if left := max(ceiling(r.Limit)-(d.Taken-step.returned), 0); left >= r.Need {
		step.granted = min(r.Want, left)
	}
	switch {
	case own != nil:
		after, err := s.moveBlock(ctx, r, step)
		if noDocument(err) {
			return res, false, nil
		}
		if err != nil {
			return res, false, err
		}
		return leaseResult(after, step.granted, r.Now), true, nil
	case step.granted == 0:
		return leaseResult(&d, 0, r.Now), true, nil
	}
	block := leasedBlock{Node: r.Node, Held: step.granted, Until: r.Now.Add(r.TTL)}
	if missing {
		d.Taken, d.Blocks = step.granted, []leasedBlock{block}
		_, err = s.collection(usageCounters).InsertOne(ctx, d)
		if duplicate(err) {
			return res, false, nil
		}
		return leaseResult(&d, step.granted, r.Now), err == nil, err
	}
	after, err := s.updateCounter(ctx,
		bson.M{"_id": d.ID, "blocks.node": bson.M{"$ne": r.Node}, "taken": bson.M{"$lte": ceiling(r.Limit) - step.granted}},
		bson.M{"$push": bson.M{"blocks": block}, "$inc": bson.M{"taken": step.granted}})
	if noDocument(err) {
		return res, false, nil
	}
	if err != nil {
		return res, false, err
	}
	return leaseResult(after, step.granted, r.Now), true, nil
}

func (s *Store) updateCounter(ctx context.Context, filter, update bson.M) (*counterDoc, error) {
	var d counterDoc
	err := s.collection(usageCounters).FindOneAndUpdate(ctx, filter, update,
		options.FindOneAndUpdate().SetReturnDocument(options.After).SetProjection(withoutRequests)).Decode(&d)
	return &d, err
}

// spendExpired takes the blocks that have expired out of the counter and adds their units
// to what is spent, each in a step of its own that happens once, and so keeps nodes that
// are gone from staying in the counter for ever. It reports whether there were any.
func (s *Store) spendExpired(ctx context.Context, d *counterDoc, now time.Time) (bool, error) {
	const atOnce = 100
	list, _ := d.expired(now)
	if len(list) == 0 {
		return false, nil
	}
	moves := make([]mongo.WriteModel, 0, atOnce)
	for _, b := range list[:min(len(list), atOnce)] {
		moves = append(moves, mongo.NewUpdateOneModel().
			SetFilter(bson.M{"_id": d.ID, "blocks": bson.M{"$elemMatch": b}}).
			SetUpdate(bson.M{"$pull": bson.M{"blocks": bson.M{"node": b.Node}}, "$inc": bson.M{"spent": b.Held}}))
	}
	_, err := s.collection(usageCounters).BulkWrite(ctx, moves, options.BulkWrite().SetOrdered(false))
	return true, err
}

// Counts implements quota.Store.
func (s *Store) Counts(ctx context.Context, keys []makerguard.CounterKey, now time.Time) ([]makerguard.Count, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = counterID(k)
	}
	cursor, err := s.collection(usageCounters).Find(ctx, bson.M{"_id": bson.M{"$in": ids}}, options.Find().SetProjection(withoutRequests))
	docs, err := all(ctx, cursor, err, func(d *counterDoc) *counterDoc { return d })
	if err != nil {
		return nil, storeError("reading counters", err)
	}
	stands := make(map[string]makerguard.Count, len(docs))
	for _, d := range docs {
		stands[d.ID] = d.count(now)
	}
	counts := make([]makerguard.Count, len(keys))
	for i, id := range ids {
		counts[i] = stands[id]
	}
	return counts, nil
}
