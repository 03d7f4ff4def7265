package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard"
)

// repairAge is how old something half done must be to count as left by a crash. No method
// takes that long: each of its few writes has a time limit of seconds. The clocks of the
// nodes must not differ by more.
const repairAge = time.Minute

// repair completes what a crash left half done. It runs at every start and with DeleteExpired.
// All that it looks for stands in indexes that are empty as a rule, so it is one round trip.
func (s *Store) repair(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return storeError("completing registrations", s.repairRegistrations(ctx)) })
	g.Go(func() error { return storeError("settling members", s.repairSettling(ctx)) })
	for _, name := range []string{members, manufacturers} {
		g.Go(func() error { return storeError("marking ended sessions", s.repairEndings(ctx, name)) })
	}
	return g.Wait()
}

// repairRegistrations makes manufacturers visible whose owner was stored, and removes those whose was not.
func (s *Store) repairRegistrations(ctx context.Context) error {
	cursor, err := s.collection(manufacturers).Find(ctx, registeringBefore(s.now().Add(-repairAge)),
		options.Find().SetProjection(bson.D{{Key: "registering", Value: 1}}))
	list, err := all(ctx, cursor, err, func(d *manufacturerDoc) *manufacturerDoc { return d })
	if err != nil {
		return err
	}
	for _, d := range list {
		err := s.collection(members).FindOne(ctx, bson.D{{Key: "manufacturer_id", Value: d.ID}}, options.FindOne().SetProjection(by("_id"))).Err()
		switch {
		case err == nil:
			_, err = s.finishRegistration(ctx, d.ID)
		case noDocument(err):
			_, err = s.collection(manufacturers).DeleteOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "registering", Value: d.Registering}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// registeringBefore matches registrations that began before a time. That the field is there is
// said as the index says it: not every server concludes it from the comparison.
func registeringBefore(at time.Time) bson.D {
	return bson.D{{Key: "registering", Value: bson.D{{Key: "$exists", Value: true}, {Key: "$lt", Value: at}}}}
}

// repairSettling makes the lists of manufacturers follow the documents of their members.
func (s *Store) repairSettling(ctx context.Context) error {
	before := s.now().Add(-repairAge)
	cursor, err := s.collection(manufacturers).Find(ctx, settlingBefore(before), options.Find().SetProjection(bson.D{{Key: "settling", Value: 1}}))
	list, err := all(ctx, cursor, err, func(d *manufacturerDoc) *manufacturerDoc { return d })
	if err != nil {
		return err
	}
	for _, d := range list {
		for _, m := range d.Settling {
			if !m.At.Before(before) {
				continue
			}
			if err := s.settle(ctx, d.ID, m.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// settlingBefore matches manufacturers with a member that began to settle before a time.
func settlingBefore(at time.Time) bson.D {
	return append(there("settling"), bson.E{Key: "settling.at", Value: bson.D{{Key: "$lt", Value: at}}})
}

// settle makes a manufacturer's lists follow the document of one member.
func (s *Store) settle(ctx context.Context, mfr, id string) error {
	var d memberDoc
	err := s.collection(members).FindOne(ctx, memberOf(makerguard.ManufacturerID(mfr), makerguard.MemberID(id)),
		options.FindOne().SetProjection(bson.D{{Key: "role", Value: 1}})).Decode(&d)
	if noDocument(err) {
		return s.forget(ctx, mfr, id)
	}
	if err != nil {
		return err
	}
	return s.settled(ctx, mfr, id, makerguard.Role(d.Role))
}

// toMark matches members or manufacturers whose ended sessions are still to be marked.
func toMark() bson.D { return bson.D{{Key: "ended.marking", Value: true}} }

// repairEndings marks the sessions that members, or manufacturers, had ended.
func (s *Store) repairEndings(ctx context.Context, owners string) error {
	cursor, err := s.collection(owners).Find(ctx, toMark(), options.Find().SetProjection(bson.D{{Key: "ended", Value: 1}, {Key: "manufacturer_id", Value: 1}}))
	list, err := all(ctx, cursor, err, func(d *memberDoc) *memberDoc { return d })
	if err != nil {
		return err
	}
	for _, d := range list {
		of := endedOf{manufacturer: d.ManufacturerID, member: d.ID}
		if owners == manufacturers {
			of = endedOf{manufacturer: d.ID}
		}
		if _, err := s.markEnded(ctx, of, d.Ended); err != nil {
			return err
		}
	}
	return nil
}
