package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/store/sqlite"
)

// The files in the data directory.
const (
	databaseFile = "makerguard.db"
	keyDirectory = "keys"
	rootKeyFile  = "root.json"
	outbox       = "outbox"
)

// openData opens the store and finds the root key.
func (g *Guard) openData(ctx context.Context) (envelope.KEK, error) {
	keys := filepath.Join(g.cfg.Data, keyDirectory)
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, &makerguard.Error{
			Code: makerguard.StoreUnavailable, Err: err,
			Message: fmt.Sprintf("the data directory %s cannot be made; give one that can be written with --data", g.cfg.Data),
		}
	}
	rootKey := filepath.Join(keys, rootKeyFile)
	switch uri := string(g.cfg.Store); {
	case g.embedded():
		return g.openSQLite(ctx, rootKey)
	case strings.HasPrefix(uri, "mongodb://") || strings.HasPrefix(uri, "mongodb+srv://"):
		return g.openMongo(ctx, rootKey)
	}
	return nil, &makerguard.Error{
		Code:    makerguard.ValidationFailed,
		Message: "the store is unknown: give sqlite, or a mongodb:// address, with --store",
	}
}

// embedded tells whether the data is in this process's own database.
func (g *Guard) embedded() bool { return g.cfg.Store == "" || g.cfg.Store == "sqlite" }

// EmbeddedStats tells what the embedded store did so far; false if there is another one.
func (g *Guard) EmbeddedStats() (sqlite.Stats, bool) {
	if s, ok := g.store.(*sqlite.Store); ok {
		return s.Stats(), true
	}
	return sqlite.Stats{}, false
}

// openSQLite takes hold of the data directory and opens the database in it.
func (g *Guard) openSQLite(ctx context.Context, rootKey string) (envelope.KEK, error) {
	if !g.cfg.Shared {
		release, err := sqlite.Lock(g.cfg.Data)
		if err != nil {
			return nil, err
		}
		g.release = release
	}
	database := filepath.Join(g.cfg.Data, databaseFile)
	_, err := os.Stat(database)
	kek, kerr := g.rootKey(rootKey, database, errors.Is(err, fs.ErrNotExist))
	if kerr != nil {
		return nil, kerr
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: database, Logger: g.cfg.Logger, Now: g.cfg.Now})
	if err != nil {
		return nil, err
	}
	g.store = s
	return kek, nil
}

// openMongo opens the database that several nodes share, and takes its clock.
func (g *Guard) openMongo(ctx context.Context, rootKey string) (envelope.KEK, error) {
	s, err := mongo.Open(ctx, mongo.Config{URI: g.cfg.Store, Logger: g.cfg.Logger, Now: g.cfg.Now, Observer: g.cfg.StoreObserver, Examine: g.cfg.examine})
	if err != nil {
		return nil, err
	}
	g.store = s
	if err := g.setClock(ctx, s); err != nil {
		return nil, err
	}
	empty, err := withoutKeys(ctx, s)
	if err != nil {
		return nil, err
	}
	return g.rootKey(rootKey, "the database", empty)
}

// withoutKeys tells whether a store has never had a key, so that no data can depend on one.
func withoutKeys(ctx context.Context, s store.Store) (bool, error) {
	for _, purpose := range systemPurposes {
		keys, err := s.Keys(ctx, "", purpose)
		if err != nil || len(keys) > 0 {
			return false, err
		}
	}
	return true, nil
}

// rootKey gives the root key, making one only together with a new database: one made for
// data that exists could open none of it.
func (g *Guard) rootKey(path, database string, empty bool) (envelope.KEK, error) {
	if g.cfg.KEK != nil {
		return g.cfg.KEK, nil
	}
	kek, err := envelope.ReadKEKFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return kek, err
	}
	if !empty || g.cfg.examine {
		return nil, &makerguard.Error{
			Code: makerguard.KeyUnavailable,
			Message: fmt.Sprintf("there is no root key in %s for what is in %s: put the key file there "+
				"(a new node is given a copy of another node's), or name it with --kek file:PATH", path, database),
		}
	}
	content, err := envelope.GenerateKEK()
	if err != nil {
		return nil, fmt.Errorf("making a root key: %w", err)
	}
	if err := envelope.WriteKEKFile(path, content); err != nil {
		return nil, err
	}
	g.newRootKey = path
	g.cfg.Logger.Info("made a new root key; keep a copy apart from the data", "file", path)
	return envelope.ParseKEK(content)
}
