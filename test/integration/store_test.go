package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard/test/mongotest"
)

// The suite runs on the store that MAKERGUARD_TEST_STORE names: sqlite, the default, or mongodb, on
// the server of MAKERGUARD_TEST_MONGO_URI.
var onMongo = os.Getenv("MAKERGUARD_TEST_STORE") == "mongodb"

// sqliteOnly skips tests of what the embedded store alone has, its files.
func sqliteOnly(t testing.TB) {
	t.Helper()
	if onMongo {
		t.Skip("about the files of the embedded store")
	}
}

// storeArgs gives the arguments that make a server keep its data in the suite's store. What
// belongs to one data directory is in one database, dropped with the test.
func storeArgs(t testing.TB, data string) []string {
	t.Helper()
	if !onMongo {
		return nil
	}
	return []string{"--store", mongoDatabase(t, data)}
}

// mongoDatabase gives the address of the database that belongs to a name.
func mongoDatabase(t testing.TB, name string) string {
	t.Helper()
	return mongotest.Named(t, databaseName(name))
}

func databaseName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "mg_test_" + hex.EncodeToString(sum[:8])
}

// stored gives everything in the store of a data directory, by file or collection.
func stored(t testing.TB, data string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	if !onMongo {
		files, err := filepath.Glob(filepath.Join(data, "makerguard.db*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no database in %s: %v", data, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(f)] = b
		}
		return out
	}
	db := mongotest.Client(t).Database(databaseName(data))
	names, err := db.ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var docs []bson.Raw
		cursor, err := db.Collection(name).Find(t.Context(), bson.D{})
		if err == nil {
			err = cursor.All(t.Context(), &docs)
		}
		if err != nil {
			t.Fatalf("reading %s: %v", name, err)
		}
		var b bytes.Buffer
		for _, d := range docs {
			b.Write(d) // as it is stored, so that bytes are found too
			fmt.Fprintln(&b, d.String())
		}
		out[name] = b.Bytes()
	}
	return out
}

// givesStore tells whether arguments name a store already.
func givesStore(args []string) bool {
	return slices.Contains(args, "--store") || slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "MAKERGUARD_STORE") })
}
