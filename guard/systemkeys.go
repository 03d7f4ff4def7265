package guard

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/job"
)

// systemPurposes are the keys of the installation that services hold unwrapped.
var systemPurposes = []makerguard.KeyPurpose{
	makerguard.KeyAudit, makerguard.KeyPepper, makerguard.KeyRefresh, makerguard.KeyDevice, makerguard.KeySigning,
}

// systemKeys reads them from a keyring.
func systemKeys(ctx context.Context, ring *envelope.Keyring) (map[makerguard.KeyPurpose][]envelope.SystemKey, error) {
	keys := map[makerguard.KeyPurpose][]envelope.SystemKey{}
	for _, purpose := range systemPurposes {
		var err error
		if keys[purpose], err = ring.SystemKey(ctx, purpose); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// signingKeys gives the access tokens' keys: each version's material is an Ed25519 seed.
func signingKeys(ks []envelope.SystemKey) []token.Key {
	out := make([]token.Key, 0, len(ks))
	for _, k := range ks {
		out = append(out, token.Key{Version: k.Version, State: k.State, Private: ed25519.NewKeyFromSeed(k.Material)})
	}
	return out
}

func authKeys(keys map[makerguard.KeyPurpose][]envelope.SystemKey) auth.Keys {
	versioned := func(purpose makerguard.KeyPurpose) []auth.VersionedKey {
		out := make([]auth.VersionedKey, 0, len(keys[purpose]))
		for _, k := range keys[purpose] {
			if k.State != makerguard.KeyPublished {
				out = append(out, auth.VersionedKey{Version: k.Version, Key: k.Material})
			}
		}
		return out
	}
	return auth.Keys{Pepper: versioned(makerguard.KeyPepper), Refresh: versioned(makerguard.KeyRefresh), Device: versioned(makerguard.KeyDevice)}
}

// refreshPause is the least time between two readings of the keys that tokens with unknown
// key ids ask for, so that a flood of made-up tokens costs the store one reading a second.
const refreshPause = time.Second

// keyReader brings the keys that services hold up to date.
type keyReader struct {
	group  singleflight.Group
	mu     sync.Mutex
	readAt time.Time
}

// refreshKeys reads the keys again unless that was done a moment ago. It serves tokens
// whose key this node does not know.
func (g *Guard) refreshKeys(ctx context.Context) error {
	g.keys.mu.Lock()
	recent := g.cfg.Now().Sub(g.keys.readAt) < refreshPause
	g.keys.mu.Unlock()
	if recent {
		return nil
	}
	return g.readKeys(ctx)
}

// readKeys gives the rings and the sign-in service the keys as they are in the store. Callers
// at the same time share one reading.
func (g *Guard) readKeys(ctx context.Context) error {
	_, err, _ := g.keys.group.Do("", func() (any, error) {
		g.keys.mu.Lock()
		g.keys.readAt = g.cfg.Now()
		g.keys.mu.Unlock()
		// It serves all who wait, not only the one that came first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		keys, err := systemKeys(ctx, g.Keyring)
		if err != nil {
			return nil, err
		}
		signing := signingKeys(keys[makerguard.KeySigning])
		if err := errors.Join(g.Tokens.SetKeys(signing), g.identities.SetKeys(signing), g.Auth.SetKeys(authKeys(keys))); err != nil {
			return nil, err
		}
		g.Auth.Apply(makerguard.Change{Kind: makerguard.KeysChanged})
		return nil, nil
	})
	if err != nil {
		return fmt.Errorf("reading the installation's keys: %w", err)
	}
	return nil
}

// The life of a signing key. It is published for long enough that every node knows it by the
// feed, and readers of the key set that poll it often do, before it signs. What it
// signed expires before it is destroyed, whatever the nodes' clocks say.
const (
	publishFor = 5 * time.Second
	retireFor  = token.MaxLifetime + 2*token.MaxLeeway
)

// rotateSigning is the job that replaces the signing key. Each step is in the store before
// the next begins, so the job can be gone on with anywhere.
func (g *Guard) rotateSigning(ctx context.Context, j makerguard.Job, report job.Report) error {
	const steps = 3
	// Whether this job made the key already. A node whose clock is a little behind may have done it;
	// the last rotation's is older than publishFor, and the first key is nobody's.
	begun := func(k envelope.SystemKey) bool {
		return k.Version > 1 && k.CreatedAt.After(j.CreatedAt.Add(-publishFor/2))
	}
	keys, err := g.Keyring.SystemKey(ctx, makerguard.KeySigning)
	if err != nil {
		return err
	}
	if newest := keys[len(keys)-1]; !begun(newest) {
		if err := g.Keyring.PublishSystemKey(ctx, makerguard.KeySigning); err != nil {
			return err
		}
		if err := g.readKeys(ctx); err != nil {
			return err
		}
		if keys, err = g.Keyring.SystemKey(ctx, makerguard.KeySigning); err != nil {
			return err
		}
	}
	if err := report(1, steps); err != nil {
		return err
	}
	newest := keys[len(keys)-1]
	if newest.State == makerguard.KeyPublished {
		if err := g.sleep(ctx, newest.StateAt.Add(publishFor).Sub(g.cfg.Now())); err != nil {
			return err
		}
		if err := g.setSigningState(ctx, newest.Version, makerguard.KeyPublished, makerguard.KeyActive); err != nil {
			return err
		}
	}
	if err := report(2, steps); err != nil {
		return err
	}
	for _, k := range keys[:len(keys)-1] {
		if k.State == makerguard.KeyActive {
			if err := g.setSigningState(ctx, k.Version, makerguard.KeyActive, makerguard.KeyRetiring); err != nil {
				return err
			}
		}
	}
	if err := g.readKeys(ctx); err != nil {
		return err
	}
	return report(steps, steps)
}

// setSigningState moves a signing key on. That somebody else did already is as good.
func (g *Guard) setSigningState(ctx context.Context, version uint32, from, to makerguard.KeyState) error {
	err := g.Keyring.SetSystemKeyState(ctx, makerguard.KeySigning, version, from, to)
	if errors.Is(err, makerguard.Conflict) {
		return nil
	}
	return err
}

// destroyRetired destroys signing keys of which no token can be valid any more.
func (g *Guard) destroyRetired(ctx context.Context) error {
	keys, err := g.Keyring.SystemKey(ctx, makerguard.KeySigning)
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(k envelope.SystemKey) bool {
		return k.State != makerguard.KeyRetiring || g.cfg.Now().Before(k.StateAt.Add(retireFor))
	})
	for _, k := range keys {
		if err := g.setSigningState(ctx, k.Version, makerguard.KeyRetiring, makerguard.KeyDestroyed); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits for d or the end of ctx.
func (g *Guard) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// SystemKeys lists every version of the installation's keys, destroyed ones too.
func (g *Guard) SystemKeys(ctx context.Context) ([]makerguard.WrappedKey, error) {
	var all []makerguard.WrappedKey
	for _, purpose := range systemPurposes {
		keys, err := g.store.Keys(ctx, "", purpose)
		if err != nil {
			return nil, fmt.Errorf("listing the installation's keys: %w", err)
		}
		all = append(all, keys...)
	}
	return all, nil
}

// RotateSigningKey starts the job that replaces the key which signs access tokens. No token is
// refused because of it. Conflict if that is under way already.
func (g *Guard) RotateSigningKey(ctx context.Context, actor *makerguard.Principal, c makerguard.Client) (makerguard.Job, error) {
	err := g.Audit.Record(ctx, makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: audit.SystemKeyChanged, Outcome: audit.Success, ActorKind: string(actor.Kind), ActorID: string(actor.MemberID),
		Target: string(makerguard.KeySigning), Detail: "rotation asked for", IP: c.IP, RequestID: c.RequestID,
	})
	if err != nil {
		return makerguard.Job{}, fmt.Errorf("recording a rotation: %w", err)
	}
	return g.Jobs.Start(ctx, makerguard.JobRotateSigning, "")
}
