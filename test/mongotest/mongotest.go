// Package mongotest gives tests databases on a real server of the MongoDB protocol.
package mongotest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Variable names the server that tests use.
const Variable = "MAKERGUARD_TEST_MONGO_URI"

// server is the tests' own connection to the server.
var server = sync.OnceValues(func() (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(os.Getenv(Variable)))
})

// Client gives the tests' own connection. Where no server is named, the test fails on CI, and is
// skipped for somebody who runs bare go test.
func Client(t testing.TB) *mongo.Client {
	t.Helper()
	if os.Getenv(Variable) == "" {
		const advice = Variable + " is not set: use make test, or give it what test/services/mongodb start prints"
		if os.Getenv("CI") != "" {
			t.Fatal(advice)
		}
		t.Skip(advice)
	}
	c, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// URI names a new database, which is dropped when t ends.
func URI(t testing.TB) string {
	t.Helper()
	return Named(t, "mg_test_"+strings.ToLower(rand.Text()))
}

// Named is URI with a name of the caller's.
func Named(t testing.TB, database string) string {
	t.Helper()
	c := Client(t)
	u, err := url.Parse(os.Getenv(Variable))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Database(database).Drop(ctx); err != nil {
			t.Errorf("dropping %s: %v", database, err)
		}
	})
	return u.String()
}
