package mongo

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/makerguard/makerguard"
)

// The collections of what is counted, kept and recorded.
const (
	usageCounters = "usage_counters" // a meter's month: spent units and the nodes' blocks
	usageRequests = "usage_requests" // idempotency keys
	auditEntries  = "audit_entries"
	auditHeads    = "audit_heads"
	wrappedKeys   = "keys"
	vaultRecords  = "vault_records"
	threats       = "threats"
	settings      = "settings" // the policy and the rules' settings
	blocks        = "blocks"
	points        = "points"
	scores        = "scores"
	rates         = "rates"
	jobs          = "jobs"
)

// ledgerSchema is what is counted, kept and recorded. What is found by _id alone needs no
// index of its own.
var ledgerSchema = []collection{
	{name: usageCounters, validator: validatorOf(counterDoc{})},
	{name: usageRequests, validator: validatorOf(requestDoc{}), indexes: []index{expiry("keep_until")}},
	{name: auditEntries, validator: validatorOf(auditDoc{}), indexes: []index{{name: "chain", keys: by("manufacturer_id", "-seq")}}},
	{name: auditHeads, validator: validatorOf(headDoc{})},
	{name: wrappedKeys, validator: validatorOf(keyDoc{}), indexes: []index{{name: "versions", keys: by("manufacturer_id", "purpose", "version")}, changedAt}},
	{name: vaultRecords, validator: validatorOf(recordDoc{}), indexes: []index{{name: "names", keys: by("manufacturer_id", "name")}}},
	{name: threats, validator: validatorOf(threatDoc{}), indexes: []index{
		{name: "history", keys: by("manufacturer_id", "-_id")},
		{name: "counted", keys: by("manufacturer_id", "detected_at", "severity")},
		{name: "age", keys: by("detected_at")},
		// What is asked for when something is looked into, and is rare among the others' entries.
		{name: "request", keys: by("request_id", "-_id")},
		{name: "address", keys: by("ip", "-_id")},
		{name: "rule", keys: by("rule", "-_id")},
	}},
	{name: settings, validator: validatorOf(settingDoc{}), indexes: []index{changedAt}},
	{name: blocks, validator: validatorOf(blockDoc{}), indexes: []index{
		{name: "id", keys: by("id")},
		{name: "in_force", keys: by("lifted_at", "expires_at")},
		expiry("remove_at"),
		changedAt,
	}},
	{name: points, validator: validatorOf(pointsDoc{}), indexes: []index{expiry("remove_at")}},
	{name: scores, validator: validatorOf(scoreDoc{}), indexes: []index{{name: "days", keys: by("manufacturer_id", "day")}}},
	{name: rates, validator: validatorOf(rateDoc{}), indexes: []index{expiry("remove_at")}},
	{name: jobs, validator: validatorOf(jobDoc{}), indexes: []index{
		// One of a kind at a time.
		{name: "running", keys: by("kind", "manufacturer_id"), unique: true, partial: bson.D{{Key: "state", Value: string(makerguard.JobRunning)}}},
		// In the order in which they are claimed.
		{name: "waiting", keys: by("state", "created_at", "_id")},
		expiry("remove_at"),
	}},
}

// changedAt is the index by which the feed finds documents that changed.
var changedAt = index{name: "changed_at", keys: by("changed_at")}

// expiry is the index by which the server removes documents once the time in field has
// passed. It does so when it pleases, so whoever reads them checks the time.
func expiry(field string) index { return index{name: "expiry", keys: by(field), expire: true} }

// by gives an order by fields, downwards by those that begin with a minus.
func by(fields ...string) bson.D {
	keys := make(bson.D, len(fields))
	for i, f := range fields {
		name, down := strings.CutPrefix(f, "-")
		keys[i] = bson.E{Key: name, Value: 1}
		if down {
			keys[i].Value = -1
		}
	}
	return keys
}

// key makes one _id of several parts that may hold anything. Different parts give
// different ids.
func key(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(p)
	}
	return strings.Join(escaped, "/")
}

// touch has the server set changed_at, by which the feed finds the document.
var touch = bson.M{"changed_at": true}

// asStored is a time as it comes back: to a millisecond, in UTC.
func asStored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// valid makes text from outside fit for a document, which holds UTF-8 only.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// duplicate reports whether err says that a document with this _id, or these unique
// fields, is there already. FerretDB (2.7) gives an upserting findAndModify that loses a race
// PostgreSQL's words in place of MongoDB's code.
func duplicate(err error) bool {
	if mongo.IsDuplicateKeyError(err) {
		return true
	}
	e, ok := errors.AsType[mongo.CommandError](err)
	return ok && strings.Contains(e.Message, "duplicate key value violates unique constraint")
}

// noDocument reports whether err says that no document matches.
func noDocument(err error) bool { return errors.Is(err, mongo.ErrNoDocuments) }

const (
	// maxTries bounds how often a step that lost a race is tried again, and the pauses between tries
	// grow from a millisecond to longestPause: with 24 tries, about a second in all.
	maxTries     = 24
	triesAtOnce  = 4
	longestPause = 64 * time.Millisecond
)

// untilDone calls try until it reports that it is done, fails, or has lost too many
// races. Each try reads anew what it depends on.
func untilDone(ctx context.Context, doing string, try func() (done bool, err error)) error {
	for n := range maxTries {
		if err := pause(ctx, n); err != nil {
			return storeError(doing, err)
		}
		if done, err := try(); done || err != nil && !undone(err) {
			return storeError(doing, err)
		}
	}
	return &makerguard.Error{
		Code: makerguard.StoreUnavailable, Message: "Too many change the same thing at once. Try again.", RetryAfter: time.Second,
		Err: errors.New(doing + ": lost every race"),
	}
}

// pause waits before the n-th try.
func pause(ctx context.Context, n int) error {
	if n < triesAtOnce {
		return ctx.Err()
	}
	timer := time.NewTimer(min(time.Millisecond<<(n-triesAtOnce), longestPause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// all reads a cursor to its end and turns each document into what it stands for.
func all[D, T any](ctx context.Context, cursor *mongo.Cursor, err error, from func(*D) T) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var docs []D
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, err
	}
	list := make([]T, len(docs))
	for i := range docs {
		list[i] = from(&docs[i])
	}
	return list, nil
}
