package mongo_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/store/storetest"
	"github.com/makerguard/makerguard/test/mongotest"
)

var _ store.Store = (*mongo.Store)(nil)

// newURI names a database that no one else uses and drops it when t ends.
func newURI(t testing.TB) makerguard.Secret {
	t.Helper()
	return makerguard.Secret(mongotest.URI(t))
}

// at is a URI with another host and more options.
func at(t testing.TB, uri makerguard.Secret, host string, more ...string) makerguard.Secret {
	t.Helper()
	u, err := url.Parse(string(uri))
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		u.Host = host
	}
	u.RawQuery = strings.Trim(u.RawQuery+"&"+strings.Join(more, "&"), "&")
	return makerguard.Secret(u.String())
}

// hostOf gives the host of a URI, of which there must be one.
func hostOf(t testing.TB, uri makerguard.Secret) string {
	t.Helper()
	u, err := url.Parse(string(uri))
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
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
