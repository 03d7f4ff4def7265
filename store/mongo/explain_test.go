package mongo_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

// hotCall is a method that requests wait for.
type hotCall struct {
	name string
	do   func(ctx context.Context, s *mongo.Store) error
	most int // commands, each a round trip unless they run side by side
}

// hotCalls lists them over what hotStore prepares. They can be made again and again.
func hotCalls(now time.Time) []hotCall {
	ses := makerguard.Session{
		ID: "ses_1", ManufacturerID: "mfr_1", MemberID: "mbr_1", CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour), AuthTime: now,
	}
	k := makerguard.CounterKey{ManufacturerID: "mfr_1", Meter: makerguard.APICalls, Start: now}
	generation := uint32(0)
	created := 0
	return []hotCall{
		{"MemberByEmail", func(ctx context.Context, s *mongo.Store) error {
			_, _, err := s.MemberByEmail(ctx, "ana@example.com")
			return err
		}, 1},
		{"MemberByID", func(ctx context.Context, s *mongo.Store) error {
			_, _, err := s.MemberByID(ctx, "mfr_1", "mbr_1")
			return err
		}, 1},
		{"Member", func(ctx context.Context, s *mongo.Store) error { _, err := s.Member(ctx, "mfr_1", "mbr_1"); return err }, 1},
		{"Members", func(ctx context.Context, s *mongo.Store) error { _, err := s.Members(ctx, "mfr_1"); return err }, 1},
		{"Manufacturer", func(ctx context.Context, s *mongo.Store) error { _, err := s.Manufacturer(ctx, "mfr_1"); return err }, 1},
		{"Manufacturers, a page", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Manufacturers(ctx, "", "mfr_0", 20)
			return err
		}, 1},
		{"CreateSession", func(ctx context.Context, s *mongo.Store) error {
			created++
			n := ses
			n.ID = makerguard.SessionID(fmt.Sprintf("ses_new_%d", created))
			n.CreatedAt = now.Add(-time.Duration(created) * time.Second)
			return s.CreateSession(ctx, n, 3, now)
		}, 5},
		{"CreateSession without a limit", func(ctx context.Context, s *mongo.Store) error {
			created++
			n := ses
			n.ID, n.ExpiresAt = makerguard.SessionID(fmt.Sprintf("ses_new_%d", created)), now
			return s.CreateSession(ctx, n, makerguard.Unlimited, now)
		}, 3},
		{"LoadSession", func(ctx context.Context, s *mongo.Store) error {
			_, _, _, err := s.LoadSession(ctx, "ses_hot")
			return err
		}, 1},
		{"Sessions", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Sessions(ctx, "mfr_1", "mbr_1", now)
			return err
		}, 2},
		{"AdvanceRefresh", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.AdvanceRefresh(ctx, "mfr_1", "ses_hot", generation, now)
			generation++
			return err
		}, 2},
		{"TouchSessions", func(ctx context.Context, s *mongo.Store) error {
			return s.TouchSessions(ctx, map[makerguard.SessionID]time.Time{"ses_hot": now, "ses_1": now})
		}, 1},
		{"RevokeSession", func(ctx context.Context, s *mongo.Store) error {
			created++
			n := ses
			n.ID = makerguard.SessionID(fmt.Sprintf("ses_new_%d", created))
			if err := s.CreateSession(context.Background(), n, makerguard.Unlimited, now); err != nil {
				return err
			}
			return s.RevokeSession(ctx, "mfr_1", "mbr_1", n.ID, "logout", now)
		}, 1 + 3},
		{"RevokeSessions", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.RevokeSessions(ctx, "mfr_1", "mbr_1", "ses_hot", "logout", now)
			return err
		}, 4},
		{"SetPassword, hashed anew", func(ctx context.Context, s *mongo.Store) error {
			return s.SetPassword(ctx, makerguard.PasswordUpdate{ManufacturerID: "mfr_1", MemberID: "mbr_1", Old: "hash", New: "hash", Now: now})
		}, 1},
		{"ConsumeTOTPStep", func(ctx context.Context, s *mongo.Store) error {
			return s.ConsumeTOTPStep(ctx, "mfr_1", "mbr_1", time.Now().UnixNano())
		}, 1},
		{"ConsumeRecoveryCode, a wrong one", func(ctx context.Context, s *mongo.Store) error {
			return except(makerguard.MFAInvalid, s.ConsumeRecoveryCode(ctx, "mfr_1", "mbr_1", []byte("wrong"), now))
		}, 2},
		{"CreateChallenge", func(ctx context.Context, s *mongo.Store) error {
			return except(makerguard.Conflict, s.CreateChallenge(ctx, makerguard.Challenge{TokenHash: []byte("hash"), TriesLeft: 1000, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
		}, 1},
		{"Challenge", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Challenge(ctx, []byte("hash"), now)
			return err
		}, 1},
		{"TryChallenge", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.TryChallenge(ctx, []byte("hash"), now)
			return err
		}, 1},
		{"ConsumeChallenge, gone", func(ctx context.Context, s *mongo.Store) error {
			return except(makerguard.NotFound, s.ConsumeChallenge(ctx, []byte("gone")))
		}, 1},
		{"BumpCounter", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.BumpCounter(ctx, "key", time.Hour, now)
			return err
		}, 2},
		{"Counter", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Counter(ctx, "key", time.Hour, now)
			return err
		}, 1},
		{"ResetCounter", func(ctx context.Context, s *mongo.Store) error { return s.ResetCounter(ctx, "gone") }, 1},
		{"Changes", func(ctx context.Context, s *mongo.Store) error {
			_, cursor, err := s.Changes(context.Background(), "")
			if err == nil {
				_, _, err = s.Changes(ctx, cursor)
			}
			return err
		}, 7 + 8},
		{"DeleteExpired", func(ctx context.Context, s *mongo.Store) error {
			return s.DeleteExpired(ctx, now.Add(-time.Hour), now.Add(-31*24*time.Hour))
		}, 100},

		{"Lease", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Lease(ctx, makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 1e9, Need: 1, Want: 10, Now: now, TTL: time.Minute})
			return err
		}, 3},
		{"Spend", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Spend(ctx, makerguard.SpendRequest{CounterKey: k, Limit: 1e9, Amount: 1, Now: now})
			return err
		}, 3},
		{"Spend with a key", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Spend(ctx, makerguard.SpendRequest{
				CounterKey: k, Limit: 1e9, Amount: 1, Idempotency: "key", Fingerprint: []byte("one"), Now: now, KeepUntil: now.Add(time.Hour),
			})
			return err
		}, 5},
		{"TakeRate", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.TakeRate(ctx, makerguard.RateRequest{Key: "k", Interval: time.Second, Burst: 2, Amount: 1, Now: now})
			return err
		}, 2},
		{"AuditHead", func(ctx context.Context, s *mongo.Store) error { _, _, err := s.AuditHead(ctx, "mfr_1"); return err }, 2},
		{"PutRecord", func(ctx context.Context, s *mongo.Store) error {
			_, _, err := s.PutRecord(ctx, makerguard.VaultRecord{ManufacturerID: "mfr_1", Name: "n", CreatedAt: now, UpdatedAt: now})
			return err
		}, 2},
		{"Record", func(ctx context.Context, s *mongo.Store) error { _, err := s.Record(ctx, "mfr_1", "n"); return err }, 1},
		{"Keys", func(ctx context.Context, s *mongo.Store) error {
			_, err := s.Keys(ctx, "mfr_1", makerguard.KeyData)
			return err
		}, 1},
	}
}

// except takes a refusal with a code for success.
func except(code makerguard.Code, err error) error {
	if makerguard.CodeOf(err) == code {
		return nil
	}
	return err
}

// hotStore opens a store with one of everything that hotCalls use.
func hotStore(t *testing.T, c mongo.Config, now time.Time) *mongo.Store {
	t.Helper()
	c.URI = newURI(t)
	s := openStore(t, c)
	m := makerguard.Member{
		ID: "mbr_1", ManufacturerID: "mfr_1", Email: "ana@example.com", EmailKey: "ana@example.com", Role: makerguard.RoleOwner, PasswordHash: "hash",
		TOTP: &makerguard.TOTPFactor{SealedSeed: []byte("seed"), ConfirmedAt: now, LastStep: 1}, CreatedAt: now, UpdatedAt: now,
	}
	ses := makerguard.Session{
		ID: "ses_hot", ManufacturerID: "mfr_1", MemberID: "mbr_1", CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour), AuthTime: now,
	}
	for name, err := range map[string]error{
		"CreateManufacturer": s.CreateManufacturer(t.Context(), makerguard.Manufacturer{ID: "mfr_1", CompanyName: "Brillen", CreatedAt: now, UpdatedAt: now}, m),
		"CreateSession":      s.CreateSession(t.Context(), ses, makerguard.Unlimited, now),
		"CreateChallenge":    s.CreateChallenge(t.Context(), makerguard.Challenge{TokenHash: []byte("hash"), TriesLeft: 1000, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}),
		"AddKey":             s.AddKey(t.Context(), makerguard.WrappedKey{ManufacturerID: "mfr_1", Purpose: makerguard.KeyData, Version: 1, CreatedAt: now}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return s
}

// TestCommands_OfHotCalls counts the commands of each method that requests wait for. Each is a round
// trip, so a change that adds one is seen here.
func TestCommands_OfHotCalls(t *testing.T) {
	var seen tally
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := hotStore(t, mongo.Config{Observer: &seen}, now)
	for _, call := range hotCalls(now) {
		for _, round := range []string{"first", "then"} {
			var err error
			list := seen.of(func() { err = call.do(t.Context(), s) })
			if err != nil {
				t.Errorf("%s: %v", call.name, err)
			}
			if len(list) > call.most {
				t.Errorf("%s took %d commands, want at most %d: %q", call.name, len(list), call.most, list)
			}
			t.Logf("%s, %s: %d %q", call.name, round, len(list), list)
		}
	}
}

// TestExplain_NothingHotScans makes each call among many documents, watches what it sends, and has the
// server explain how it finds each of it.
func TestExplain_NothingHotScans(t *testing.T) {
	var (
		mu   sync.Mutex
		sent []bson.Raw
	)
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := hotStore(t, mongo.Config{}.Watching(func(e *event.CommandStartedEvent) {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, slices.Clone(e.Command))
	}), now)
	calls := hotCalls(now)
	for _, call := range calls {
		if err := call.do(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", call.name, err)
		}
	}
	for _, name := range mongo.Collections() {
		multiply(t, s.Database().Collection(name), 1500)
	}
	for _, call := range calls {
		mu.Lock()
		sent = nil
		mu.Unlock()
		if err := call.do(t.Context(), s); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
		mu.Lock()
		queries := slices.Clone(sent)
		mu.Unlock()
		n := 0
		for _, c := range queries {
			for _, q := range lookups(c) {
				n++
				plan, err := s.Database().RunCommand(t.Context(), bson.D{{Key: "explain", Value: q}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
				if err != nil {
					t.Errorf("%s: explain %v: %v", call.name, q, err)
					continue
				}
				if why := scans(plan); why != "" {
					t.Errorf("%s scans (%s): %v\n%v", call.name, why, q, plan)
				}
			}
		}
		if n == 0 && call.name != "CreateChallenge" {
			t.Errorf("%s looks for nothing: is the watch broken?", call.name)
		}
	}
}

// TestExplain_TheTestSeesScans asks for what no index has.
func TestExplain_TheTestSeesScans(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := hotStore(t, mongo.Config{}, now)
	multiply(t, s.Database().Collection("manufacturers"), 1500)
	for _, q := range []bson.D{
		{{Key: "find", Value: "manufacturers"}, {Key: "filter", Value: bson.D{{Key: "company_name", Value: "Brillen"}}}},
		{{Key: "aggregate", Value: "manufacturers"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "country", Value: "DE"}}}}}}, {Key: "cursor", Value: bson.D{}}},
	} {
		plan, err := s.Database().RunCommand(t.Context(), bson.D{{Key: "explain", Value: q}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
		if err != nil {
			t.Fatal(err)
		}
		if scans(plan) == "" {
			t.Errorf("%v is taken for one that uses an index:\n%v", q, plan)
		}
	}
}

// multiply makes n copies of a document of each collection, each with names of its own.
func multiply(t *testing.T, c *driver.Collection, n int) {
	t.Helper()
	var original bson.D
	if err := c.FindOne(t.Context(), bson.D{}).Decode(&original); err != nil {
		return // the calls put nothing there
	}
	copies := make([]any, n)
	for i := range copies {
		d := make(bson.D, len(original))
		for j, e := range original {
			switch v := e.Value.(type) {
			case string:
				e.Value = fmt.Sprintf("%s-%d", v, i)
			case bson.Binary:
				e.Value = bson.Binary{Subtype: v.Subtype, Data: fmt.Appendf(nil, "%s-%d", v.Data, i)}
			}
			d[j] = e
		}
		copies[i] = d
	}
	if _, err := c.InsertMany(t.Context(), copies); err != nil {
		t.Fatalf("filling %s: %v", c.Name(), err)
	}
}

// lookups gives for each way in which a command looks for documents a read that looks for the same: not
// every server explains the writes themselves.
func lookups(c bson.Raw) []bson.D {
	var command bson.D
	if err := bson.Unmarshal(c, &command); err != nil {
		return nil
	}
	get := func(d bson.D, name string) any {
		i := slices.IndexFunc(d, func(e bson.E) bool { return e.Key == name })
		if i < 0 {
			return nil
		}
		return d[i].Value
	}
	pick := func(names ...string) (read bson.D) {
		for _, name := range names {
			if v := get(command, name); v != nil {
				read = append(read, bson.E{Key: name, Value: v})
			}
		}
		return read
	}
	find := func(filter any) bson.D {
		return bson.D{{Key: "find", Value: command[0].Value}, {Key: "filter", Value: filter}}
	}
	var list []bson.D
	switch command[0].Key {
	case "find":
		list = append(list, pick("find", "filter", "sort", "limit", "projection"))
	case "aggregate":
		list = append(list, pick("aggregate", "pipeline", "cursor"))
	case "findAndModify":
		list = append(list, find(get(command, "query")))
	case "update", "delete":
		for _, u := range get(command, command[0].Key+"s").(bson.A) {
			list = append(list, find(get(u.(bson.D), "q")))
		}
	}
	return list
}

// scans tells why a plan reads documents that it need not, "" if it does not. MongoDB names the
// stages of a plan; FerretDB gives the plan of PostgreSQL below it.
func scans(plan bson.Raw) string {
	indexed := false
	why := ""
	walk(plan, func(node bson.Raw) {
		stage := text(node, "stage")
		kind := text(node, "Node Type")
		switch {
		case stage == "COLLSCAN":
			why = "COLLSCAN"
		case strings.Contains(stage, "IXSCAN"), strings.Contains(stage, "IDHACK"), strings.Contains(stage, "EXPRESS"), stage == "EOF":
			indexed = true
		case kind == "Seq Scan" && strings.HasPrefix(text(node, "Relation Name"), "documents_"):
			why = "Seq Scan"
		case strings.Contains(kind, "Index"):
			indexed = true
			// The index of _id begins with the collection's number: with no more than that it is read as a whole.
			if text(node, "Index Name") == "_id_" && !strings.Contains(text(node, "Index Cond"), "object_id") {
				why = "all of _id_"
			}
		}
	})
	if why == "" && !indexed {
		why = "no index"
	}
	return why
}

func text(d bson.Raw, field string) string {
	s, _ := d.Lookup(field).StringValueOK()
	return s
}

// walk calls fn for a document and every one within it, but for plans that were rejected.
func walk(d bson.Raw, fn func(bson.Raw)) {
	fn(d)
	elements, err := d.Elements()
	if err != nil {
		return
	}
	for _, e := range elements {
		if e.Key() == "rejectedPlans" || e.Key() == "command" {
			continue
		}
		if doc, ok := e.Value().DocumentOK(); ok {
			walk(doc, fn)
		} else if array, ok := e.Value().ArrayOK(); ok {
			walk(bson.Raw(array), fn)
		}
	}
}
