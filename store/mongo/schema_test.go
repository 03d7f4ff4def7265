package mongo_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

// TestOpen_LooksOnlyWhereAllIsThere keeps starts fast.
func TestOpen_LooksOnlyWhereAllIsThere(t *testing.T) {
	uri := newURI(t)
	openStore(t, mongo.Config{URI: uri})
	var seen tally
	began := time.Now()
	openStore(t, mongo.Config{URI: uri, Observer: &seen})
	t.Logf("a start with all there took %v and these commands: %v", time.Since(began), seen.list())
	for _, c := range seen.list() {
		switch name, _, _ := strings.Cut(c, " "); name {
		case "ping", "listCollections", "listIndexes", "find":
		default:
			t.Errorf("Open of a database where all is there ran %q", c)
		}
	}
}

func TestOpen_ManyNodesAtOnce(t *testing.T) {
	uri := newURI(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := mongo.Open(t.Context(), mongo.Config{URI: uri})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	wantHealthy(t, openStore(t, mongo.Config{URI: uri}))
}

func wantHealthy(t *testing.T, s *mongo.Store) {
	t.Helper()
	list, err := s.Doctor(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("Doctor = %+v, %v, want nothing wrong", list, err)
	}
}

func TestDoctor_NamesWhatIsMissing(t *testing.T) {
	uri := newURI(t)
	s := openStore(t, mongo.Config{URI: uri})
	db := s.Database()
	run(t, db, bson.D{{Key: "drop", Value: "challenges"}})
	run(t, db, bson.D{{Key: "dropIndexes", Value: "manufacturer_members"}, {Key: "index", Value: "email_key"}})
	run(t, db, bson.D{{Key: "collMod", Value: "counters"}, {Key: "validator", Value: bson.D{}}})
	run(t, db, bson.D{{Key: "dropIndexes", Value: "manufacturers"}, {Key: "index", Value: "registering"}})
	run(t, db, bson.D{{Key: "createIndexes", Value: "manufacturers"}, {Key: "indexes", Value: bson.A{
		bson.D{{Key: "name", Value: "registering"}, {Key: "key", Value: bson.D{{Key: "company_name", Value: 1}}}},
	}}})

	list, err := s.Doctor(t.Context())
	if err != nil {
		t.Fatalf("Doctor: %v", err)
	}
	got := map[string]string{}
	for _, a := range list {
		got[a.Subject] = a.Problem
		if a.Remedy == "" {
			t.Errorf("%s %s, and no word of what to do", a.Subject, a.Problem)
		}
	}
	want := map[string]string{
		"collection challenges":                "is missing",
		"index challenges.expiry":              "is missing",
		"index manufacturer_members.email_key": "is missing",
		"validator of counters":                "is missing or is another version's",
		"index manufacturers.registering":      "has another definition",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is wrong (-want +got):\n%s", diff)
	}

	_, err = mongo.Open(t.Context(), mongo.Config{URI: uri})
	if makerguard.CodeOf(err) != makerguard.Conflict || !strings.Contains(err.Error(), "manufacturers.registering") || !strings.Contains(err.Error(), "drop it") {
		t.Fatalf("Open over another's index = %v, want a conflict that names it and says what to do", err)
	}
	run(t, db, bson.D{{Key: "dropIndexes", Value: "manufacturers"}, {Key: "index", Value: "registering"}})
	wantHealthy(t, openStore(t, mongo.Config{URI: uri}))
}

func run(t *testing.T, db *driver.Database, command bson.D) {
	t.Helper()
	if err := db.RunCommand(t.Context(), command).Err(); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
}

func TestDoctor_TellsOfAClock(t *testing.T) {
	s := openStore(t, mongo.Config{URI: newURI(t), Now: func() time.Time { return time.Now().Add(-time.Minute) }})
	list, err := s.Doctor(t.Context())
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Subject, "clock") {
		t.Errorf("Doctor on a machine a minute behind = %+v, %v, want its clock", list, err)
	}
}

// TestValidators_RefuseWhatThisPackageWouldNotWrite tries one wrong document in each collection that
// has a validator.
func TestValidators_RefuseWhatThisPackageWouldNotWrite(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"manufacturers", "manufacturer_members", "manufacturer_sessions", "challenges", "counters"} {
		_, err := s.Database().Collection(name).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "x"}, {Key: "created_at", Value: "yesterday"}})
		var refused driver.ServerError
		if !errors.As(err, &refused) || !refused.HasErrorCode(121) && !refused.HasErrorMessage("failed validation") { // FerretDB has a code of its own
			t.Errorf("a wrong document in %s: %v, want DocumentValidationFailure", name, err)
		}
	}
}

// TestOpen_WithoutRights says what to make and whom to ask.
func TestOpen_WithoutRights(t *testing.T) {
	err := mongo.WhenCreating("the indexes manufacturer_members.email_key", driver.CommandError{Code: 13, Name: "Unauthorized", Message: "not authorized"})
	for _, want := range []string{"manufacturer_members.email_key", "readWrite and dbAdmin"} {
		if makerguard.CodeOf(err) != makerguard.StoreUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("a start without rights = %v, want STORE_UNAVAILABLE that names %q", err, want)
		}
	}
}

func TestOpen_SaysThatTheServerIsAway(t *testing.T) {
	began := time.Now()
	s, err := mongo.Open(t.Context(), mongo.Config{URI: "mongodb://someone:hunter2@127.0.0.1:1/"})
	if err == nil {
		t.Fatal(s.Close())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Open took %v, want at most 10 s", took)
	}
	if makerguard.CodeOf(err) != makerguard.StoreUnavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Open = %v, want STORE_UNAVAILABLE that names the host", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error: %v", err)
	}
}

func TestOpen_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := mongo.Open(ctx, mongo.Config{URI: "mongodb://127.0.0.1:1/"})
	if makerguard.CodeOf(err) != makerguard.StoreUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want STORE_UNAVAILABLE with the context's error in it", err)
	}
}
