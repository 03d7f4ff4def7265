package mongo

import (
	"bytes"
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// requestDoc is what became of an idempotency key. It is pending until Done: nobody knows from
// it alone whether its operation was counted.
type requestDoc struct {
	ID             string                    `bson:"_id"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Operation      string                    `bson:"operation"`
	Fingerprint    []byte                    `bson:"fingerprint"`
	Start          time.Time                 `bson:"start"`     // of the month in which the operation is counted, if it is
	Abandoned      bool                      `bson:"abandoned"` // nobody may begin to count it any more
	Done           bool                      `bson:"done"`
	Used           int64                     `bson:"used"` // the result, once Done
	KeepUntil      time.Time                 `bson:"keep_until"`
}

// countedRequest says, in the counter, that an operation was counted.
type countedRequest struct {
	Operation string `bson:"operation"`
	Request   string `bson:"request"` // _id of its requestDoc
}

// counted reports whether the counter says that it counted an operation.
func (d *counterDoc) counted(operation string) bool {
	for _, c := range d.Counted {
		if c.Operation == operation {
			return true
		}
	}
	return false
}

// Spend implements quota.Store. An idempotency key belongs to a manufacturer's meter,
// whatever the period.
func (s *Store) Spend(ctx context.Context, r makerguard.SpendRequest) (makerguard.SpendResult, error) {
	if r.Amount < 1 || r.Limit < makerguard.Unlimited {
		return makerguard.SpendResult{}, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The amount must be at least 1."}
	}
	spend := &spending{s: s, r: r, counter: counterID(r.CounterKey)}
	try := spend.once
	if r.Idempotency != "" {
		spend.request = key(string(r.ManufacturerID), string(r.Meter), r.Idempotency)
		try = spend.withKey
	}
	if err := untilDone(ctx, "spending units", func() (bool, error) { return try(ctx) }); err != nil {
		return makerguard.SpendResult{}, err
	}
	return spend.result, nil
}

// spending is one call of Spend.
type spending struct {
	s       *Store
	r       makerguard.SpendRequest
	counter string // _id
	request string // _id
	looks   int    // at a request of somebody else's that stands in the way
	result  makerguard.SpendResult
}

// fits reports whether the amount is left when so many units are taken.
func (p *spending) fits(taken int64) bool { return taken <= ceiling(p.r.Limit)-p.r.Amount }

// once spends without a key: one command, two if the limit refuses it or the counter is new.
func (p *spending) once(ctx context.Context) (done bool, err error) {
	after, err := p.s.updateCounter(ctx,
		bson.M{"_id": p.counter, "taken": bson.M{"$lte": ceiling(p.r.Limit) - p.r.Amount}},
		bson.M{"$inc": bson.M{"spent": p.r.Amount, "taken": p.r.Amount}})
	if err == nil {
		p.result = makerguard.SpendResult{Spent: true, Used: after.Taken}
	}
	if !noDocument(err) {
		return err == nil, err
	}
	d, there, err := p.read(ctx, p.counter)
	switch {
	case err != nil:
		return false, err
	case !p.fits(d.Taken):
		p.result = makerguard.SpendResult{Used: d.Taken}
		return true, nil
	case there:
		return false, nil // units came back meanwhile
	}
	return p.begin(ctx, "")
}

// begin makes the counter with the amount spent already. It is not done if somebody else made it.
func (p *spending) begin(ctx context.Context, operation string) (done bool, err error) {
	d := newCounter(p.r.CounterKey)
	d.Taken, d.Spent = p.r.Amount, p.r.Amount
	if operation != "" {
		d.Counted = []countedRequest{{Operation: operation, Request: p.request}}
	}
	_, err = p.s.collection(usageCounters).InsertOne(ctx, d)
	if duplicate(err) {
		return false, nil
	}
	p.result = makerguard.SpendResult{Spent: true, Used: p.r.Amount}
	return err == nil, err
}

// read gives a counter, an empty one if it is not there.
func (p *spending) read(ctx context.Context, counter string) (d counterDoc, there bool, err error) {
	err = p.s.collection(usageCounters).FindOne(ctx, bson.M{"_id": counter}, options.FindOne().SetProjection(bson.M{"blocks": 0})).Decode(&d)
	if noDocument(err) {
		return counterDoc{}, false, nil
	}
	return d, err == nil, err
}

// withKey spends with an idempotency key:
//
//  1. the request is written down as pending, with the id of an operation;
//  2. the counter counts the amount and, in the same step, notes the operation;
//  3. the result is written to the request, which is then done.
//
// Whoever finds the request pending looks for its operation in the counter. If it is noted
// the writer died, or is about to do step 3, which anybody may do and the first one's
// result stands; if not, anybody may do step 2, of which the note lets one happen.
//
// Notes must go some time, and a writer that was held up between its steps must not
// take that for leave to count once more. So notes of requests that are done are taken out
// in bulk (see forget), and each time Forgotten goes up by one; step 2 asks that it still be
// what it was before the request was found to be pending. A note that went after that
// fails step 2, and before that the request was done.
func (p *spending) withKey(ctx context.Context) (done bool, err error) {
	counter, there, err := p.read(ctx, p.counter)
	if err != nil {
		return false, err
	}
	var req *requestDoc
	if p.fits(counter.Taken) {
		req, err = p.claim(ctx)
	} else {
		req, err = p.find(ctx) // a refusal leaves nothing behind
	}
	if err != nil {
		return false, err
	}
	current := req != nil && req.KeepUntil.UnixMilli() > p.r.Now.UnixMilli()
	same := req != nil && bytes.Equal(req.Fingerprint, p.r.Fingerprint)
	switch {
	case req == nil && p.fits(counter.Taken):
		return false, nil // it has just been removed
	case req == nil:
		p.result = makerguard.SpendResult{Used: counter.Taken}
		return true, nil
	case req.Done && !current:
		return false, p.remove(ctx, req)
	case req.Done && !same:
		return false, &makerguard.Error{Code: makerguard.IdempotencyMismatch, Message: "The idempotency key was used for another request: use a new one."}
	case req.Done:
		p.result = makerguard.SpendResult{Spent: true, Used: req.Used, Replayed: true}
		return true, nil
	}

	home := counter
	if p.homeOf(req) != p.counter { // the month has turned since
		if home, _, err = p.read(ctx, p.homeOf(req)); err != nil {
			return false, err
		}
	}
	switch {
	case home.counted(req.Operation):
		_, err = p.finish(ctx, req, home.Taken, req.KeepUntil)
		return false, err // the next look finds it done
	case !p.fits(counter.Taken):
		p.result = makerguard.SpendResult{Used: counter.Taken}
		return true, nil
	case same && current && p.homeOf(req) == p.counter && !req.Abandoned:
		return p.count(ctx, req, counter, there)
	}
	// What is not counted has been refused, its writer has died, or it is under way.
	const patience = 8
	if p.looks++; p.looks < patience && !req.Abandoned {
		return false, nil
	}
	return false, p.abandon(ctx, req)
}

// homeOf gives the _id of the counter that counts a request.
func (p *spending) homeOf(req *requestDoc) string { return counterID(p.homeKey(req)) }

func (p *spending) homeKey(req *requestDoc) makerguard.CounterKey {
	k := p.r.CounterKey
	k.Start = req.Start
	return k
}

// claim writes the request down, or gives what is there under its key; nil if that
// has just been removed.
func (p *spending) claim(ctx context.Context) (*requestDoc, error) {
	req := &requestDoc{
		ID: p.request, ManufacturerID: p.r.ManufacturerID, Operation: id.New("op"),
		Fingerprint: p.r.Fingerprint, Start: p.r.Start, KeepUntil: p.r.KeepUntil,
	}
	_, err := p.s.collection(usageRequests).InsertOne(ctx, req)
	if duplicate(err) {
		return p.find(ctx)
	}
	if err == nil {
		err = p.s.at("spend.claimed")
	}
	return req, err
}

// find gives the request that is there under the key, nil if there is none.
func (p *spending) find(ctx context.Context) (*requestDoc, error) {
	var req requestDoc
	err := p.s.collection(usageRequests).FindOne(ctx, bson.M{"_id": p.request}).Decode(&req)
	if noDocument(err) {
		return nil, nil
	}
	return &req, err
}

// count does step 2 for a request that was found pending after the counter was read, and
// then the rest.
func (p *spending) count(ctx context.Context, req *requestDoc, counter counterDoc, there bool) (done bool, err error) {
	notes := 1
	if there {
		var after counterDoc
		err = p.s.collection(usageCounters).FindOneAndUpdate(ctx,
			bson.M{
				"_id": p.counter, "taken": bson.M{"$lte": ceiling(p.r.Limit) - p.r.Amount},
				"forgotten": counter.Forgotten, "counted.operation": bson.M{"$ne": req.Operation},
			},
			bson.M{
				"$inc":  bson.M{"spent": p.r.Amount, "taken": p.r.Amount},
				"$push": bson.M{"counted": countedRequest{Operation: req.Operation, Request: req.ID}},
			},
			options.FindOneAndUpdate().SetReturnDocument(options.After).SetProjection(bson.M{"blocks": 0})).Decode(&after)
		if noDocument(err) {
			return false, nil
		}
		p.result = makerguard.SpendResult{Spent: true, Used: after.Taken}
		done, notes, counter = err == nil, len(after.Counted), after
	} else {
		done, err = p.begin(ctx, req.Operation)
	}
	if !done || err != nil {
		return false, err
	}
	if err := p.s.at("spend.counted"); err != nil {
		return false, err
	}
	if p.result.Used, err = p.finish(ctx, req, p.result.Used, p.r.KeepUntil); err != nil {
		return false, err
	}
	if notes >= maxNotes {
		// If this fails, the next one does it.
		_ = p.forget(ctx, counter)
	}
	return true, nil
}

// finish does step 3 for an operation that was counted, and gives the result that stands.
func (p *spending) finish(ctx context.Context, req *requestDoc, used int64, keepUntil time.Time) (int64, error) {
	res, err := p.s.collection(usageRequests).UpdateOne(ctx,
		bson.M{"_id": req.ID, "operation": req.Operation, "done": false},
		bson.M{"$set": bson.M{"done": true, "used": used, "keep_until": keepUntil}})
	if err != nil || res.MatchedCount > 0 {
		return used, err
	}
	stands, err := p.find(ctx)
	if err != nil || stands == nil || stands.Operation != req.Operation {
		return used, err
	}
	return stands.Used, nil
}

// remove removes a request that is done and no longer remembered.
func (p *spending) remove(ctx context.Context, req *requestDoc) error {
	_, err := p.s.collection(usageRequests).DeleteOne(ctx, bson.M{"_id": req.ID, "operation": req.Operation})
	return err
}

// abandon removes a request that was not counted, such as one that was refused, so that its
// key is free. Who finds it abandoned does not count it, and who found it before cannot
// once Forgotten has gone up. If it is counted before that, the next look finds it so.
func (p *spending) abandon(ctx context.Context, req *requestDoc) error {
	requests, counters := p.s.collection(usageRequests), p.s.collection(usageCounters)
	pending := bson.M{"_id": req.ID, "operation": req.Operation, "done": false}
	if _, err := requests.UpdateOne(ctx, pending, bson.M{"$set": bson.M{"abandoned": true}}); err != nil {
		return err
	}
	res, err := counters.UpdateOne(ctx,
		bson.M{"_id": p.homeOf(req), "counted.operation": bson.M{"$ne": req.Operation}},
		bson.M{"$inc": bson.M{"forgotten": 1}})
	if err != nil {
		return err
	}
	if res.MatchedCount == 0 { // counted, or there is no counter yet
		if _, err := counters.InsertOne(ctx, newCounter(p.homeKey(req))); !duplicate(err) {
			return err
		}
		return nil
	}
	_, err = requests.DeleteOne(ctx, pending)
	return err
}

// maxNotes is how many operations a counter notes before those of requests that are done
// are taken out.
const maxNotes = 32

// forget takes the notes of requests out of the counter that are done, or no longer there.
func (p *spending) forget(ctx context.Context, counter counterDoc) error {
	pending := make(map[string]bool) // by operation
	requests := make([]string, len(counter.Counted))
	for i, c := range counter.Counted {
		requests[i] = c.Request
	}
	cursor, err := p.s.collection(usageRequests).Find(ctx, bson.M{"_id": bson.M{"$in": requests}, "done": false},
		options.Find().SetProjection(bson.M{"operation": 1}))
	if _, err := all(ctx, cursor, err, func(r *requestDoc) struct{} { pending[r.Operation] = true; return struct{}{} }); err != nil {
		return err
	}
	gone := make([]string, 0, len(counter.Counted))
	for _, c := range counter.Counted {
		if !pending[c.Operation] {
			gone = append(gone, c.Operation)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	_, err = p.s.collection(usageCounters).UpdateOne(ctx, bson.M{"_id": p.counter, "forgotten": counter.Forgotten},
		bson.M{"$pull": bson.M{"counted": bson.M{"operation": bson.M{"$in": gone}}}, "$inc": bson.M{"forgotten": 1}})
	return err
}
