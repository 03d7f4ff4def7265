package mongo_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/store/storetest"
)

var _ store.Store = (*mongo.Store)(nil)

// serverVariable names the server the tests use, each in databases of its own.
const serverVariable = "MAKERGUARD_TEST_MONGO_URI"

// newURI names a database that no one else uses and drops it when t ends.
func newURI(t testing.TB) makerguard.Secret {
	t.Helper()
	server := os.Getenv(serverVariable)
	if server == "" {
		t.Skipf("%s is not set: `test/services/mongodb start` prints a value", serverVariable)
	}
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	name := "mg_test_" + hex.EncodeToString(random)
	t.Cleanup(func() { drop(t, server, name) })
	base, query, _ := strings.Cut(server, "?")
	scheme, hosts, _ := strings.Cut(base, "://")
	hosts, _, _ = strings.Cut(hosts, "/")
	return makerguard.Secret(scheme + "://" + hosts + "/" + name + "?" + query)
}

func drop(t testing.TB, server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := driver.Connect(options.Client().ApplyURI(server))
	if err != nil {
		t.Errorf("Connect: %v", err)
		return
	}
	if err := client.Database(name).Drop(ctx); err != nil {
		t.Errorf("dropping %s: %v", name, err)
	}
	if err := client.Disconnect(ctx); err != nil {
		t.Errorf("Disconnect: %v", err)
	}
}

// openStore opens a store and closes it when t ends.
func openStore(t testing.TB, c mongo.Config) *mongo.Store {
	t.Helper()
	s, err := mongo.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// newStore opens an empty store that no one else uses.
func newStore(t testing.TB) *mongo.Store {
	t.Helper()
	return openStore(t, mongo.Config{URI: newURI(t)})
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return newStore(t) })
}
