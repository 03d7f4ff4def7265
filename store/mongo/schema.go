package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard"
)

// collection declares one collection: what its documents look like and how they are found.
// Each is declared beside the code that uses it.
type collection struct {
	name      string
	validator bson.D // JSON schema, set where the server has validators; nil for none
	indexes   []index
}

// index is one index of a collection. Its name is what Doctor and explain show.
type index struct {
	name    string
	keys    bson.D
	unique  bool
	partial bson.D // filter of a partial index; nil indexes every document
	expire  bool   // documents may be removed once the time in the one key has passed (TTL)
}

// schema is every collection there is.
func schema() []collection {
	return slices.Concat(identitySchema, ledgerSchema)
}

// state is how far a collection is what its declaration says.
type state struct {
	collection
	exists    bool
	validated bool    // has the validator, or is to have none
	missing   []index // declared and not there
	differing []index // there under the right name with another definition
}

// ensure makes the database have every collection, validator and index. What is there
// already is only looked at. Nodes that do it at once may get in one another's way, so
// what fails for no reason of its own is looked at and tried again.
func (s *Store) ensure(ctx context.Context) error {
	return untilDone(ctx, "preparing the database", func() (bool, error) {
		states, err := s.inspect(ctx)
		if err != nil {
			return false, err
		}
		var g errgroup.Group
		g.SetLimit(8)
		for _, st := range states {
			g.Go(func() error { return s.complete(ctx, st) })
		}
		err = g.Wait()
		if undone(err) {
			return false, nil
		}
		return true, err
	})
}

// inspect compares the database with the schema, in two round trips.
func (s *Store) inspect(ctx context.Context) ([]state, error) {
	validators, err := s.validators(ctx)
	if err != nil {
		return nil, storeError("listing the collections", err)
	}
	states := make([]state, len(schema()))
	g, ctx := errgroup.WithContext(ctx)
	for i, c := range schema() {
		v, exists := validators[c.name]
		states[i] = state{collection: c, exists: exists, validated: c.validator == nil || same(v, c.validator)}
		st := &states[i]
		if !exists {
			st.missing = c.indexes
			continue
		}
		g.Go(func() error { return s.compareIndexes(ctx, st) })
	}
	return states, g.Wait()
}

// validators lists the collections there are with their validators.
func (s *Store) validators(ctx context.Context) (map[string]bson.D, error) {
	cursor, err := s.db.ListCollections(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name    string `bson:"name"`
		Options struct {
			Validator bson.D `bson:"validator"`
		} `bson:"options"`
	}
	if err := cursor.All(ctx, &list); err != nil {
		return nil, err
	}
	found := map[string]bson.D{}
	for _, c := range list {
		found[c.Name] = c.Options.Validator
	}
	return found, nil
}

// listedIndex is an index as a server describes it.
type listedIndex struct {
	Name    string `bson:"name"`
	Key     bson.D `bson:"key"`
	Unique  bool   `bson:"unique"`
	Partial bson.D `bson:"partialFilterExpression"`
	Expire  *int64 `bson:"expireAfterSeconds"`
}

func (s *Store) compareIndexes(ctx context.Context, st *state) error {
	cursor, err := s.db.Collection(st.name).Indexes().List(ctx)
	var list []listedIndex
	if err == nil {
		err = cursor.All(ctx, &list)
	}
	if err != nil {
		return storeError("listing the indexes of "+st.name, err)
	}
	for _, want := range st.indexes {
		i := slices.IndexFunc(list, func(l listedIndex) bool { return l.Name == want.name })
		switch {
		case i < 0:
			st.missing = append(st.missing, want)
		case !want.is(list[i]):
			st.differing = append(st.differing, want)
		}
	}
	return nil
}

// is tells whether a server's index is the one declared.
func (x index) is(l listedIndex) bool {
	expires := l.Expire != nil && *l.Expire == 0
	return sameInOrder(l.Key, x.keys) && l.Unique == x.unique && same(l.Partial, x.partial) && expires == x.expire && (l.Expire == nil || expires)
}

// command is the index in the words of createIndexes.
func (x index) command() bson.D {
	d := bson.D{{Key: "name", Value: x.name}, {Key: "key", Value: x.keys}}
	if x.unique {
		d = append(d, bson.E{Key: "unique", Value: true})
	}
	if x.partial != nil {
		d = append(d, bson.E{Key: "partialFilterExpression", Value: x.partial})
	}
	if x.expire {
		d = append(d, bson.E{Key: "expireAfterSeconds", Value: 0})
	}
	return d
}

// complete creates what one collection lacks.
func (s *Store) complete(ctx context.Context, st state) error {
	if len(st.differing) > 0 {
		return &makerguard.Error{
			Code: makerguard.Conflict,
			Message: fmt.Sprintf("The index %s.%s has another definition than this version of makerguard needs. "+
				"If no other program made it for itself, drop it and start again: it is made anew.", st.name, st.differing[0].name),
		}
	}
	if !st.exists {
		err := s.db.RunCommand(ctx, bson.D{{Key: "create", Value: st.name}}).Err()
		if err != nil && !hasCode(err, namespaceExists) {
			return createError("the collection "+st.name, err)
		}
	}
	if !st.validated {
		s.setValidator(ctx, st.collection)
	}
	if len(st.missing) == 0 {
		return nil
	}
	var commands bson.A
	var names []string
	for _, x := range st.missing {
		commands = append(commands, x.command())
		names = append(names, st.name+"."+x.name)
	}
	err := s.db.RunCommand(ctx, bson.D{{Key: "createIndexes", Value: st.name}, {Key: "indexes", Value: commands}}).Err()
	return createError("the indexes "+strings.Join(names, ", "), err)
}

// setValidator has the server check documents. That is a second look at what this package
// writes, so a server that cannot, or a user who may not, is noted and not in the way.
func (s *Store) setValidator(ctx context.Context, c collection) {
	err := s.db.RunCommand(ctx, bson.D{{Key: "collMod", Value: c.name}, {Key: "validator", Value: c.validator}}).Err()
	if err != nil {
		s.logger.WarnContext(ctx, "the database will not check the documents of a collection: it has no validators, or the user lacks the role dbAdmin",
			slog.String("collection", c.name), slog.Any("error", err))
	}
}

// Codes of MongoDB's error_codes.yml.
const (
	unauthorized    = 13
	namespaceExists = 48
	writeConflict   = 112
)

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

// createError tells what could not be made, and what to do.
func createError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case hasCode(err, unauthorized):
		return &makerguard.Error{
			Code:    makerguard.StoreUnavailable,
			Message: "The database lacks " + what + " and its user may not make that. Start makerguard once with a user that has the roles readWrite and dbAdmin.",
			Err:     err,
		}
	case mongo.IsDuplicateKeyError(err):
		return &makerguard.Error{
			Code:    makerguard.Conflict,
			Message: "One of " + what + " cannot be made because documents contradict it. Find those with the same value and remove one of them.",
			Err:     err,
		}
	}
	return storeError("making "+what, err)
}

// Doctor names collections, validators and indexes that are missing or differ, and a clock
// that is not the server's.
func (s *Store) Doctor(ctx context.Context) ([]makerguard.Ailment, error) {
	states, err := s.inspect(ctx)
	if err != nil {
		return nil, err
	}
	const start = "start makerguard once with a user that has the roles readWrite and dbAdmin"
	var list []makerguard.Ailment
	add := func(subject, problem, remedy string) {
		list = append(list, makerguard.Ailment{Subject: subject, Problem: problem, Remedy: remedy})
	}
	for _, st := range states {
		if !st.exists {
			add("collection "+st.name, "is missing", start)
		}
		if st.exists && !st.validated {
			add("validator of "+st.name, "is missing or is another version's", start+"; a server without validators works as well")
		}
		for _, x := range st.missing {
			add("index "+st.name+"."+x.name, "is missing", start)
		}
		for _, x := range st.differing {
			add("index "+st.name+"."+x.name, "has another definition", "drop it if no other program made it for itself, and start makerguard")
		}
	}
	server, err := s.ServerTime(ctx)
	if err != nil {
		return nil, err
	}
	if off := s.now().Sub(server).Round(time.Second); off.Abs() > clockSkew {
		add("clock of this machine", "is "+off.String()+" ahead of the database's", "keep the clocks of all machines together, by NTP for instance")
	}
	return list, nil
}

// same compares two documents by what they mean: servers give fields back in an order and
// with number types of their own.
func same(a, b bson.D) bool { return canonical(stored(a), true) == canonical(stored(b), true) }

// sameInOrder is same where the order of fields matters.
func sameInOrder(a, b bson.D) bool {
	return canonical(stored(a), false) == canonical(stored(b), false)
}

// stored gives a document with the types it has when it is read from a database.
func stored(d bson.D) any {
	var read bson.D
	b, err := bson.Marshal(bson.D{{Key: "", Value: d}})
	if err == nil {
		err = bson.Unmarshal(b, &read)
	}
	if err != nil {
		panic("mongo: a declaration is no document: " + err.Error()) // a mistake in this package, found by any test
	}
	return read[0].Value
}

// canonical writes a value in a form that is the same for values of the same meaning.
func canonical(v any, sorted bool) string {
	switch v := v.(type) {
	case bson.D:
		fields := make([]string, len(v))
		for i, e := range v {
			fields[i] = fmt.Sprintf("%q:%s", e.Key, canonical(e.Value, sorted))
		}
		if sorted {
			slices.Sort(fields)
		}
		return "{" + strings.Join(fields, ",") + "}"
	case bson.A:
		items := make([]string, len(v))
		for i, e := range v {
			items[i] = canonical(e, sorted)
		}
		return "[" + strings.Join(items, ",") + "]"
	case int32:
		return fmt.Sprint(float64(v))
	case int64:
		return fmt.Sprint(float64(v))
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}
