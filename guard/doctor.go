package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
)

// Examine looks for what is wrong with an installation and changes nothing; none is healthy. It
// may run beside a process that serves the data. It returns StoreUnavailable if the store
// cannot be opened at all.
func Examine(ctx context.Context, cfg Config) (found []makerguard.Ailment, err error) {
	cfg = withDefaults(cfg)
	cfg.Shared, cfg.examine = true, true
	g := &Guard{cfg: cfg, clock: &clock{machine: cfg.Now}, release: func() error { return nil }}
	defer func() { err = errors.Join(err, g.closeStore()) }()
	if g.embedded() {
		path := filepath.Join(cfg.Data, databaseFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, &makerguard.Error{
				Code: makerguard.StoreUnavailable, Err: err,
				Message: fmt.Sprintf("there is no database in %s: name its directory with --data, or its address with --store", cfg.Data),
			}
		}
	}
	kek, err := g.openData(ctx)
	switch {
	case g.store == nil && err != nil && !errors.Is(err, makerguard.KeyUnavailable):
		return nil, err
	case err != nil:
		return []makerguard.Ailment{keyAilment(err)}, nil
	}
	if err := g.checkRootKey(ctx, kek); errors.Is(err, makerguard.KeyUnavailable) {
		found = append(found, keyAilment(err))
	} else if err != nil {
		return nil, err
	}
	ailments, err := g.store.Doctor(ctx)
	return append(found, ailments...), err
}

// checkRootKey opens every key of the installation that there is.
func (g *Guard) checkRootKey(ctx context.Context, kek envelope.KEK) error {
	ring, err := envelope.New(envelope.Config{Store: g.store, KEK: kek, Now: g.cfg.Now})
	if err != nil {
		return err
	}
	for _, purpose := range systemPurposes {
		rows, err := g.store.Keys(ctx, "", purpose)
		if err != nil {
			return fmt.Errorf("reading the installation's keys: %w", err)
		}
		if len(rows) == 0 {
			continue // asking the ring would make one
		}
		if _, err := ring.SystemKey(ctx, purpose); err != nil {
			return err
		}
	}
	return nil
}

func keyAilment(err error) makerguard.Ailment {
	a := makerguard.Ailment{Subject: "root key", Problem: "does not open this installation's keys", Remedy: "name the right key file with --kek file:PATH"}
	if e, ok := errors.AsType[*makerguard.Error](err); ok && e.Message != "" {
		a.Problem = e.Message
	}
	return a
}
