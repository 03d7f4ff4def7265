package mongo

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard"
)

const noSession = "There is no such session."

// liveOf matches the sessions of a member that are not marked as ended and not past
// their limit at now.
func liveOf(mfr makerguard.ManufacturerID, member makerguard.MemberID, now time.Time) bson.D {
	return bson.D{
		{Key: "manufacturer_id", Value: string(mfr)},
		{Key: "member_id", Value: string(member)},
		{Key: "live", Value: true},
		{Key: "expires_at", Value: bson.D{{Key: "$gt", Value: now}}},
	}
}

// CreateSession implements auth.Store. A negative limit is none.
//
// The session takes its member's next number, is stored, and then those whose number is
// too low are ended. All who do that at once agree on which these are, and the newest is
// never among them. A crash in between leaves one session too many, of which nobody was
// told; the member's next sign-in ends the oldest.
func (s *Store) CreateSession(ctx context.Context, n makerguard.Session, limit int64, now time.Time) error {
	const doing = "creating a session"
	d := fromSession(n)
	member, manufacturer, err := s.numberSession(ctx, &d)
	if err != nil {
		return storeError(doing, err)
	}
	if err := s.at("session.numbered"); err != nil {
		return err
	}
	if _, err := s.collection(sessions).InsertOne(ctx, d); err != nil {
		return storeError(doing, err)
	}
	if limit < 0 {
		return nil
	}
	if err := s.at("session.stored"); err != nil {
		return err
	}
	cursor, err := s.collection(sessions).Find(ctx, liveOf(n.ManufacturerID, n.MemberID, now), options.Find().SetProjection(bson.D{
		{Key: "live", Value: 1}, {Key: "number", Value: 1}, {Key: "expires_at", Value: 1}, {Key: "member_epoch", Value: 1}, {Key: "manufacturer_epoch", Value: 1},
	}))
	live, err := all(ctx, cursor, err, func(d *sessionDoc) *sessionDoc { return d })
	if err != nil {
		return storeError(doing, err)
	}
	live = slices.DeleteFunc(live, func(d *sessionDoc) bool { return !d.sessionIn(member, manufacturer).RevokedAt.IsZero() })
	slices.SortFunc(live, func(a, b *sessionDoc) int { return cmp.Compare(b.Number, a.Number) })
	keep := int(min(max(limit, 1), int64(len(live))))
	if len(live) == keep {
		return nil
	}
	var over bson.A
	for _, d := range live[keep:] {
		over = append(over, d.ID)
	}
	_, err = s.collection(sessions).UpdateMany(ctx,
		bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: over}}}, {Key: "live", Value: true}},
		append(revoked(now, "session_limit"), nowChanged))
	return storeError(doing, err)
}

// numberSession gives d its member's next number and the epochs it begins in.
func (s *Store) numberSession(ctx context.Context, d *sessionDoc) (member, manufacturer *endedDoc, err error) {
	var (
		m memberDoc
		f manufacturerDoc
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := s.collection(members).FindOneAndUpdate(ctx, memberOf(makerguard.ManufacturerID(d.ManufacturerID), makerguard.MemberID(d.MemberID)),
			bson.D{{Key: "$inc", Value: bson.D{{Key: "sessions", Value: 1}}}},
			options.FindOneAndUpdate().SetReturnDocument(options.After).SetProjection(bson.D{{Key: "ended", Value: 1}, {Key: "sessions", Value: 1}})).Decode(&m)
		return found(err, noMember)
	})
	g.Go(func() error {
		err := s.collection(manufacturers).FindOne(ctx, bson.D{{Key: "_id", Value: d.ManufacturerID}}, options.FindOne().SetProjection(onlyEnded)).Decode(&f)
		return found(err, noManufacturer)
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	d.Number, d.MemberEpoch, d.ManufacturerEpoch = m.Sessions, m.Ended.Epoch, f.Ended.Epoch
	return &m.Ended, &f.Ended, nil
}

// sessionWithOwners is what a look-up of a session gives in one round trip.
type sessionWithOwners struct {
	Doc    sessionDoc        `bson:",inline"`
	Member []memberDoc       `bson:"member"`
	With   []manufacturerDoc `bson:"with"`
}

func (d *sessionWithOwners) session() makerguard.Session {
	return d.Doc.sessionIn(&d.Member[0].Ended, &d.With[0].Ended)
}

// sessionPipeline finds one session with its member and its manufacturer.
func sessionPipeline(match bson.D) bson.A {
	return bson.A{
		bson.D{{Key: "$match", Value: match}},
		bson.D{{Key: "$lookup", Value: bson.D{
			{Key: "from", Value: members},
			{Key: "localField", Value: "member_id"},
			{Key: "foreignField", Value: "_id"},
			{Key: "as", Value: "member"},
		}}},
		joinManufacturer,
		withoutJoinedLists,
	}
}

func (s *Store) findSession(ctx context.Context, match bson.D) (*sessionWithOwners, error) {
	cursor, err := s.collection(sessions).Aggregate(ctx, sessionPipeline(match))
	docs, err := all(ctx, cursor, err, func(d *sessionWithOwners) *sessionWithOwners { return d })
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 || len(docs[0].Member) == 0 || len(docs[0].With) == 0 || docs[0].Member[0].ManufacturerID != docs[0].Doc.ManufacturerID {
		return nil, missing(noSession)
	}
	return docs[0], nil
}

// LoadSession implements auth.Store.
func (s *Store) LoadSession(ctx context.Context, id makerguard.SessionID) (makerguard.Session, makerguard.Member, makerguard.Manufacturer, error) {
	d, err := s.findSession(ctx, bson.D{{Key: "_id", Value: string(id)}})
	if err != nil {
		return makerguard.Session{}, makerguard.Member{}, makerguard.Manufacturer{}, storeError("reading a session", err)
	}
	return d.session(), d.Member[0].member(), d.With[0].manufacturer(), nil
}

// Sessions implements auth.Store.
func (s *Store) Sessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, now time.Time) ([]makerguard.Session, error) {
	var (
		live   []*sessionDoc
		owners []*memberWithManufacturer
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		cursor, err := s.collection(sessions).Find(gctx, liveOf(mfr, member, now), options.Find().SetSort(by("-created_at", "-_id")))
		live, err = all(gctx, cursor, err, func(d *sessionDoc) *sessionDoc { return d })
		return err
	})
	g.Go(func() error {
		cursor, err := s.collection(members).Aggregate(gctx, append(memberPipeline(memberOf(mfr, member)),
			bson.D{{Key: "$project", Value: bson.D{{Key: "ended", Value: 1}, {Key: "with.ended", Value: 1}}}}))
		owners, err = all(gctx, cursor, err, func(d *memberWithManufacturer) *memberWithManufacturer { return d })
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, storeError("listing sessions", err)
	}
	if len(owners) == 0 || len(owners[0].With) == 0 {
		return nil, nil
	}
	var list []makerguard.Session
	for _, d := range live {
		if ses := d.sessionIn(&owners[0].Doc.Ended, &owners[0].With[0].Ended); ses.RevokedAt.IsZero() {
			list = append(list, ses)
		}
	}
	return list, nil
}

// AdvanceRefresh implements auth.Store. A session past its absolute limit is refused
// like a revoked one.
func (s *Store) AdvanceRefresh(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.SessionID, from uint32, now time.Time) (makerguard.Session, error) {
	const doing = "advancing a refresh generation"
	match := bson.D{{Key: "_id", Value: string(id)}, {Key: "manufacturer_id", Value: string(mfr)}}
	d, err := s.findSession(ctx, match)
	if err != nil {
		return makerguard.Session{}, storeError(doing, err)
	}
	refused := conflict("The session has moved on or ended.")
	if ses := d.session(); !ses.RevokedAt.IsZero() || ses.RefreshGeneration != from || !ses.ExpiresAt.After(now) {
		return ses, refused
	}
	var advanced sessionDoc
	err = s.collection(sessions).FindOneAndUpdate(ctx,
		append(match, bson.E{Key: "refresh_generation", Value: int64(from)}, bson.E{Key: "live", Value: true}),
		bson.D{
			{Key: "$inc", Value: bson.D{{Key: "refresh_generation", Value: 1}}},
			{Key: "$set", Value: bson.D{{Key: "rotated_at", Value: now}, {Key: "last_seen_at", Value: now}}},
		},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&advanced)
	switch {
	case err == nil:
		return advanced.session(), nil
	case !noDocument(err):
		return makerguard.Session{}, storeError(doing, err)
	}
	if d, err = s.findSession(ctx, match); err != nil {
		return makerguard.Session{}, storeError(doing, err)
	}
	return d.session(), refused
}

// TouchSessions implements auth.Store.
func (s *Store) TouchSessions(ctx context.Context, seen map[makerguard.SessionID]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	touches := make([]mongo.WriteModel, 0, len(seen))
	for id, at := range seen {
		touches = append(touches, mongo.NewUpdateOneModel().
			SetFilter(bson.D{{Key: "_id", Value: string(id)}}).
			SetUpdate(bson.D{{Key: "$max", Value: bson.D{{Key: "last_seen_at", Value: at}}}}))
	}
	_, err := s.collection(sessions).BulkWrite(ctx, touches, options.BulkWrite().SetOrdered(false))
	return storeError("touching sessions", err)
}

// RevokeSession implements auth.Store.
func (s *Store) RevokeSession(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, id makerguard.SessionID, reason string, now time.Time) error {
	const doing = "revoking a session"
	match := bson.D{
		{Key: "_id", Value: string(id)}, {Key: "manufacturer_id", Value: string(mfr)}, {Key: "member_id", Value: string(member)},
	}
	r, err := s.collection(sessions).UpdateOne(ctx, append(match, bson.E{Key: "live", Value: true}), append(revoked(now, reason), nowChanged))
	if err != nil || r.MatchedCount == 1 {
		return storeError(doing, err)
	}
	err = s.collection(sessions).FindOne(ctx, match, options.FindOne().SetProjection(by("_id"))).Err()
	return storeError(doing, found(err, noSession))
}

// RevokeSessions implements auth.Store.
func (s *Store) RevokeSessions(ctx context.Context, mfr makerguard.ManufacturerID, member makerguard.MemberID, except makerguard.SessionID, reason string, now time.Time) (int, error) {
	ended, err := s.endMember(ctx, memberEnd{mfr: mfr, id: member, except: except, reason: reason, now: now})
	if makerguard.CodeOf(err) == makerguard.NotFound {
		return 0, nil
	}
	return ended, storeError("revoking sessions", err)
}
