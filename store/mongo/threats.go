package mongo

import (
	"context"
	"regexp"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// maxThreats is the most that Threats lists at once.
const maxThreats = 200

// threatDoc is one entry of the history.
type threatDoc struct {
	ID             makerguard.EventID        `bson:"_id"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"` // "" when nobody was authenticated
	MemberID       makerguard.MemberID       `bson:"member_id"`
	SessionID      makerguard.SessionID      `bson:"session_id"`
	IP             string                    `bson:"ip"`
	UserAgent      string                    `bson:"user_agent"`
	RequestID      string                    `bson:"request_id"`
	Route          string                    `bson:"route"`
	Blocked        bool                      `bson:"blocked"`
	DetectedAt     time.Time                 `bson:"detected_at"`
	Type           makerguard.ThreatType     `bson:"type"`
	Severity       makerguard.Severity       `bson:"severity"`
	Rule           string                    `bson:"rule"`
	Description    string                    `bson:"description"`
	Input          string                    `bson:"input"`
	Location       makerguard.Location       `bson:"location"`
	Evidence       string                    `bson:"evidence"`
	Score          int                       `bson:"score"`
	Offset         int                       `bson:"offset"` // bytes
	Length         int                       `bson:"length"` // bytes; 0: unknown
}

func toThreatDoc(t *makerguard.Threat) threatDoc {
	return threatDoc{
		ID: t.ID, ManufacturerID: t.ManufacturerID, MemberID: t.MemberID, SessionID: t.SessionID,
		IP: valid(t.IP), UserAgent: valid(t.UserAgent), RequestID: valid(t.RequestID), Route: valid(t.Route), Blocked: t.Blocked,
		DetectedAt: t.DetectedAt, Type: t.Type, Severity: t.Severity, Rule: t.Rule, Description: valid(t.Description),
		Input: valid(t.Input), Location: t.Location, Evidence: valid(t.Evidence), Score: t.Score, Offset: t.Offset, Length: t.Length,
	}
}

func fromThreatDoc(d *threatDoc) makerguard.Threat {
	return makerguard.Threat{
		ID: d.ID, ManufacturerID: d.ManufacturerID, MemberID: d.MemberID, SessionID: d.SessionID,
		IP: d.IP, UserAgent: d.UserAgent, RequestID: d.RequestID, Route: d.Route, Blocked: d.Blocked, DetectedAt: d.DetectedAt,
		Finding: makerguard.Finding{
			Type: d.Type, Severity: d.Severity, Rule: d.Rule, Description: d.Description,
			Input: d.Input, Location: d.Location, Evidence: d.Evidence, Score: d.Score, Offset: d.Offset, Length: d.Length,
		},
	}
}

// AppendThreats implements threat.Store. Entries are stored in their order, so what is
// there after an error is the first of them.
func (s *Store) AppendThreats(ctx context.Context, ts []makerguard.Threat) error {
	if len(ts) == 0 {
		return nil
	}
	docs := make([]threatDoc, len(ts))
	for i := range ts {
		docs[i] = toThreatDoc(&ts[i])
	}
	_, err := s.collection(threats).InsertMany(ctx, docs)
	return storeError("appending to the threat history", err)
}

// Threats implements threat.Store. Entries are ordered by id, which is the order in
// which they were made.
func (s *Store) Threats(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error) {
	if f.ManufacturerID == "" && !f.AllTenants {
		return nil, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "Name the manufacturer whose history is asked for."}
	}
	limit := min(f.Limit, maxThreats)
	if limit < 1 {
		return nil, nil
	}
	cursor, err := s.collection(threats).Find(ctx, threatQuery(f), options.Find().SetSort(by("-_id")).SetLimit(int64(limit)))
	list, err := all(ctx, cursor, err, fromThreatDoc)
	return list, storeError("listing the threat history", err)
}

// threatQuery is the condition that a filter stands for. Each has an index that gives its
// entries in the order asked for: by request, by address, by rule, by manufacturer, or,
// for all tenants, by id.
func threatQuery(f makerguard.ThreatFilter) bson.M {
	q := make(bson.M)
	if !f.AllTenants {
		q["manufacturer_id"] = f.ManufacturerID
	}
	for field, value := range map[string]string{
		"type": string(f.Type), "severity": string(f.Severity), "member_id": string(f.MemberID),
		"rule": f.Rule, "ip": f.IP, "request_id": f.RequestID,
	} {
		if value != "" {
			q[field] = valid(value)
		}
	}
	if f.Before != "" {
		q["_id"] = bson.M{"$lt": f.Before}
	}
	detected := make(bson.M)
	if !f.Since.IsZero() {
		detected["$gte"] = f.Since
	}
	if !f.Until.IsZero() {
		detected["$lt"] = f.Until
	}
	if len(detected) > 0 {
		q["detected_at"] = detected
	}
	if f.Text != "" {
		// No character of it is a pattern; the pattern's encoding ends at a NUL.
		pattern := bson.Regex{Pattern: strings.ReplaceAll(regexp.QuoteMeta(valid(f.Text)), "\x00", `\x00`), Options: "i"}
		q["$or"] = bson.A{bson.M{"input": pattern}, bson.M{"evidence": pattern}}
	}
	return q
}

// Threat implements threat.Store.
func (s *Store) Threat(ctx context.Context, mfr makerguard.ManufacturerID, id makerguard.EventID) (makerguard.Threat, error) {
	filter := bson.M{"_id": id}
	if mfr != makerguard.PlatformID {
		filter["manufacturer_id"] = mfr
	}
	var d threatDoc
	if err := s.collection(threats).FindOne(ctx, filter).Decode(&d); err != nil {
		return makerguard.Threat{}, storeError("reading an entry of the threat history", found(err, "The history has no such entry."))
	}
	return fromThreatDoc(&d), nil
}

// CountThreats implements threat.Store.
func (s *Store) CountThreats(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) (map[makerguard.Severity]int, error) {
	cursor, err := s.collection(threats).Aggregate(ctx, bson.A{
		bson.M{"$match": bson.M{"manufacturer_id": mfr, "detected_at": bson.M{"$gte": since}}},
		bson.M{"$group": bson.M{"_id": "$severity", "count": bson.M{"$sum": 1}}},
	})
	type group struct {
		Severity makerguard.Severity `bson:"_id"`
		Count    int                 `bson:"count"`
	}
	groups, err := all(ctx, cursor, err, func(g *group) group { return *g })
	if err != nil {
		return nil, storeError("counting threats", err)
	}
	counts := make(map[makerguard.Severity]int, len(groups))
	for _, g := range groups {
		counts[g.Severity] = g.Count
	}
	return counts, nil
}

// DeleteThreats implements threat.Store.
func (s *Store) DeleteThreats(ctx context.Context, before time.Time, limit int) (int, error) {
	const doing = "deleting from the threat history"
	if limit < 1 {
		return 0, nil
	}
	cursor, err := s.collection(threats).Find(ctx, bson.M{"detected_at": bson.M{"$lt": before}},
		options.Find().SetSort(by("detected_at")).SetLimit(int64(limit)).SetProjection(bson.M{"_id": 1}))
	ids, err := all(ctx, cursor, err, func(d *threatDoc) makerguard.EventID { return d.ID })
	if err != nil || len(ids) == 0 {
		return 0, storeError(doing, err)
	}
	res, err := s.collection(threats).DeleteMany(ctx, bson.M{"_id": bson.M{"$in": ids}})
	if err != nil {
		return 0, storeError(doing, err)
	}
	return int(res.DeletedCount), nil
}
