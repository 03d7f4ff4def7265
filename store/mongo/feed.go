package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard"
)

// What changes carries the time of its last change, changed_at, set by the server's clock
// in the change itself. So no announcement can be lost, nor one be made of something that
// was refused. A reader asks for what changed since its last look, and since that is a time
// and not a number, for a little more: see overlap.

const (
	// clockSkew is by how much the clocks of the servers of one database may differ.
	clockSkew = 5 * time.Second
	// maxSeen bounds a cursor. If more changes than that lie within the overlap, some are told again.
	maxSeen = 2000
)

// overlap is how far before its cursor a read begins: a change shows up as late as a write
// takes to be acknowledged, the cursor's time is asked for while the collections are read,
// and another server's clock may be behind.
func (s *Store) overlap() time.Duration { return 2*s.timeout + clockSkew }

// changedDoc is what the feed reads of a document.
type changedDoc struct {
	ID             string    `bson:"_id"`
	ManufacturerID string    `bson:"manufacturer_id"`
	MemberID       string    `bson:"member_id"`
	ChangedAt      time.Time `bson:"changed_at"`
}

// feedSources are the collections that the feed tells of, and what it tells.
var feedSources = []struct {
	collection string
	change     func(d *changedDoc) makerguard.Change
}{
	{manufacturers, func(d *changedDoc) makerguard.Change {
		return makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: makerguard.ManufacturerID(d.ID)}
	}},
	{members, func(d *changedDoc) makerguard.Change {
		return makerguard.Change{
			Kind: makerguard.MemberChanged, ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID), MemberID: makerguard.MemberID(d.ID),
		}
	}},
	{sessions, func(d *changedDoc) makerguard.Change {
		return makerguard.Change{
			Kind: makerguard.SessionEnded, ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID),
			MemberID: makerguard.MemberID(d.MemberID), SessionID: makerguard.SessionID(d.ID),
		}
	}},
	{wrappedKeys, func(d *changedDoc) makerguard.Change {
		return makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID)}
	}},
	{settings, func(d *changedDoc) makerguard.Change {
		if mfr, ok := strings.CutPrefix(d.ID, rulesPrefix); ok {
			return makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: makerguard.ManufacturerID(mfr)}
		}
		return makerguard.Change{Kind: makerguard.PolicyChanged}
	}},
	{blocks, func(*changedDoc) makerguard.Change {
		return makerguard.Change{Kind: makerguard.BlocksChanged}
	}},
}

// Changes implements feed.Store. The cursor is a time of the server and what was told
// already of the time shortly before it.
func (s *Store) Changes(ctx context.Context, after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor, error) {
	const doing = "reading the change feed"
	if after == "" {
		now, err := s.ServerTime(ctx)
		if err != nil {
			return nil, "", storeError(doing, err)
		}
		_, next, err := s.changesAfter(ctx, place{at: now})
		return nil, next, storeError(doing, err)
	}
	from, ok := parseCursor(after)
	if !ok {
		return nil, "", &makerguard.Error{Code: makerguard.ValidationFailed, Message: "This is no cursor of this store."}
	}
	list, next, err := s.changesAfter(ctx, from)
	return list, next, storeError(doing, err)
}

// changedSince is the filter of what changed at a time or later.
func changedSince(at time.Time) bson.D {
	return bson.D{{Key: "changed_at", Value: bson.D{{Key: "$gte", Value: at}}}}
}

func (s *Store) changesAfter(ctx context.Context, from place) ([]makerguard.Change, makerguard.Cursor, error) {
	var (
		changed = make([][]*changedDoc, len(feedSources))
		next    place
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		next.at, err = s.ServerTime(gctx)
		return err
	})
	for i, source := range feedSources {
		g.Go(func() error {
			cursor, err := s.collection(source.collection).Find(gctx, changedSince(from.at.Add(-s.overlap())),
				options.Find().SetSort(by("changed_at")).SetProjection(bson.D{
					{Key: "manufacturer_id", Value: 1}, {Key: "member_id", Value: 1}, {Key: "changed_at", Value: 1},
				}))
			changed[i], err = all(gctx, cursor, err, func(d *changedDoc) *changedDoc { return d })
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, "", err
	}
	var (
		list []makerguard.Change
		told = map[makerguard.Change]bool{}
		seen = map[mark]bool{}
		keep = next.at.Add(-s.overlap())
	)
	for _, m := range from.seen {
		seen[m] = true
	}
	for i, source := range feedSources {
		for _, d := range changed[i] {
			mark := markOf(source.collection, d)
			if !d.ChangedAt.Before(keep) {
				next.seen = append(next.seen, mark)
			}
			c := source.change(d)
			if seen[mark] || told[c] {
				continue
			}
			told[c] = true
			list = append(list, c)
		}
	}
	return list, next.cursor(), nil
}

// place is where a reader of the feed has got to.
type place struct {
	at   time.Time
	seen []mark // what it was told of already, of the time from which the next read begins
}

// mark names one change of one document.
type mark [12]byte

func markOf(collection string, d *changedDoc) mark {
	sum := sha256.Sum256([]byte(collection + "\x00" + d.ID + "\x00" + strconv.FormatInt(d.ChangedAt.UnixMilli(), 10)))
	return mark(sum[:len(mark{})])
}

// cursor writes a place down: the time in milliseconds and the marks, in base64url.
func (p *place) cursor() makerguard.Cursor {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.at.UnixMilli()))
	if len(p.seen) <= maxSeen {
		for _, m := range p.seen {
			b = append(b, m[:]...)
		}
	}
	return makerguard.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// parseCursor reads what cursor wrote.
func parseCursor(c makerguard.Cursor) (place, bool) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) < 8 || (len(b)-8)%len(mark{}) != 0 {
		return place{}, false
	}
	ms := int64(binary.BigEndian.Uint64(b))
	if ms < 0 || ms > maxCursorTime {
		return place{}, false
	}
	p := place{at: time.UnixMilli(ms).UTC()}
	for b = b[8:]; len(b) > 0; b = b[len(mark{}):] {
		p.seen = append(p.seen, mark(b[:len(mark{})]))
	}
	return p, len(p.seen) <= maxSeen
}

// maxCursorTime is the end of the year 9999, in milliseconds.
const maxCursorTime = 253402300799999
