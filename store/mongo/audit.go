package mongo

import (
	"context"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// maxAuditEntries is the most that AuditEntries lists at once.
const maxAuditEntries = 1000

// auditDoc is one entry. Its _id, auditID's, makes manufacturer and number unique.
type auditDoc struct {
	Key            string                    `bson:"_id"`
	ID             makerguard.EventID        `bson:"id"`
	ManufacturerID makerguard.ManufacturerID `bson:"manufacturer_id"`
	Seq            int64                     `bson:"seq"`
	At             time.Time                 `bson:"at"`
	Action         string                    `bson:"action"`
	Outcome        string                    `bson:"outcome"`
	ActorKind      string                    `bson:"actor_kind"`
	ActorID        string                    `bson:"actor_id"`
	Target         string                    `bson:"target"`
	IP             string                    `bson:"ip"`
	RequestID      string                    `bson:"request_id"`
	Detail         string                    `bson:"detail"`
	Hash           []byte                    `bson:"hash"`
}

func auditID(mfr makerguard.ManufacturerID, seq int64) string {
	return key(string(mfr), strconv.FormatInt(seq, 10))
}

func toAuditDoc(e makerguard.AuditEntry) auditDoc {
	return auditDoc{
		Key: auditID(e.ManufacturerID, e.Seq), ID: e.ID, ManufacturerID: e.ManufacturerID, Seq: e.Seq, At: e.At,
		Action: e.Action, Outcome: e.Outcome, ActorKind: e.ActorKind, ActorID: e.ActorID, Target: e.Target,
		IP: e.IP, RequestID: e.RequestID, Detail: e.Detail, Hash: e.Hash,
	}
}

func fromAuditDoc(d *auditDoc) makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ID: d.ID, ManufacturerID: d.ManufacturerID, Seq: d.Seq, At: d.At,
		Action: d.Action, Outcome: d.Outcome, ActorKind: d.ActorKind, ActorID: d.ActorID, Target: d.Target,
		IP: d.IP, RequestID: d.RequestID, Detail: d.Detail, Hash: d.Hash,
	}
}

// headDoc is the end of a manufacturer's chain.
type headDoc struct {
	ManufacturerID makerguard.ManufacturerID `bson:"_id"`
	Seq            int64                     `bson:"seq"`
	Hash           []byte                    `bson:"hash"`
}

// AuditHead implements audit.Store. An entry that was stored and whose writer died before it
// moved the head belongs to the chain: then the head is moved first.
func (s *Store) AuditHead(ctx context.Context, mfr makerguard.ManufacturerID) (seq int64, hash []byte, err error) {
	const doing = "reading the head of an audit chain"
	head, err := s.auditHead(ctx, mfr)
	if err != nil {
		return 0, nil, storeError(doing, err)
	}
	var next auditDoc
	err = s.collection(auditEntries).FindOne(ctx, bson.M{"_id": auditID(mfr, head.Seq+1)}).Decode(&next)
	if noDocument(err) {
		return head.Seq, head.Hash, nil
	}
	if err == nil {
		err = s.moveHead(ctx, next)
	}
	if err == nil {
		head, err = s.auditHead(ctx, mfr) // others may have gone on meanwhile
	}
	if err != nil {
		return 0, nil, storeError(doing, err)
	}
	return head.Seq, head.Hash, nil
}

// auditHead gives the head as it is stored, at 0 if there is none.
func (s *Store) auditHead(ctx context.Context, mfr makerguard.ManufacturerID) (headDoc, error) {
	var head headDoc
	err := s.collection(auditHeads).FindOne(ctx, bson.M{"_id": mfr}).Decode(&head)
	if noDocument(err) {
		return headDoc{}, nil
	}
	return head, err
}

// moveHead moves the head to e from the entry before it. That it has moved already is as well.
func (s *Store) moveHead(ctx context.Context, e auditDoc) error {
	_, err := s.collection(auditHeads).UpdateOne(ctx,
		bson.M{"_id": e.ManufacturerID, "seq": e.Seq - 1},
		bson.M{"$set": bson.M{"seq": e.Seq, "hash": e.Hash}},
		options.UpdateOne().SetUpsert(e.Seq == 1))
	if duplicate(err) {
		return nil
	}
	return err
}

// AppendAudit implements audit.Store. The entry is stored first and the head moved then, so
// the head never names an entry that is not there. Nobody can store the entry after next
// before the head has moved, so a crash leaves one entry past the head at most, which
// AuditHead takes in.
func (s *Store) AppendAudit(ctx context.Context, e makerguard.AuditEntry) error {
	const doing = "appending to an audit chain"
	head, err := s.auditHead(ctx, e.ManufacturerID)
	if err != nil {
		return storeError(doing, err)
	}
	const lost = "Another entry was written first: try again."
	if e.Seq < 1 || head.Seq != e.Seq-1 {
		return conflict(lost)
	}
	doc := toAuditDoc(e)
	_, err = s.collection(auditEntries).InsertOne(ctx, doc)
	if duplicate(err) {
		return conflict(lost)
	}
	if err == nil {
		err = s.at("audit.stored")
	}
	if err == nil {
		err = s.moveHead(ctx, doc)
	}
	return storeError(doing, err)
}

// AuditEntries implements audit.Store.
func (s *Store) AuditEntries(ctx context.Context, f makerguard.AuditFilter) ([]makerguard.AuditEntry, error) {
	limit := min(f.Limit, maxAuditEntries)
	if limit < 1 {
		return nil, nil
	}
	filter := bson.M{"manufacturer_id": f.ManufacturerID}
	if f.Before != 0 {
		filter["seq"] = bson.M{"$lt": f.Before}
	}
	cursor, err := s.collection(auditEntries).Find(ctx, filter, options.Find().SetSort(by("-seq")).SetLimit(int64(limit)))
	list, err := all(ctx, cursor, err, fromAuditDoc)
	return list, storeError("listing an audit chain", err)
}
