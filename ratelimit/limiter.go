package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/makerguard/makerguard"
)

// DefaultKeys is how many keys a Limiter has room for if its Config does not say: at most 4 MiB.
const DefaultKeys = slotsPerSet << 15

// groupShare is how many keys there are for each group.
const groupShare = 8

// Config is what a Limiter needs.
type Config struct {
	// Store answers TakeExact. Without one every exact limit is StoreUnavailable.
	Store Store
	// Keys is how many keys there is room for, rounded up. Default DefaultKeys.
	Keys int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Limiter gives units of rates. It is safe for concurrent use; Take locks nothing for a key
// seen lately, and allocates only where no key of a page of its memory was seen before.
//
// That memory is bounded. A key needs room from its first unit until its burst is whole again,
// so to fill the room for N keys somebody must use N keys within the time that one unit
// takes to come back. What has room then keeps it, and its limit. A key that finds none is
// counted with its whole group, as if the group were one key, and where there is no room for
// the group either, with all that share its place. So whoever cycles through addresses
// makes newcomers from the same network wait, gains nothing, and frees nobody. With keys
// spread by chance, 2 in 1,000 find no room when a quarter of it is in use, 65 at half.
//
// Keys are told apart by 64 bits of a keyed hash. That any two of those there is room for by
// default share a limit has a chance of 1 in 700 million, and nobody can aim at it.
type Limiter struct {
	store  Store
	source func() time.Time
	clock  clock
	seed   maphash.Seed
	keys   table
	groups table
}

// New returns a Limiter.
func New(cfg Config) (*Limiter, error) {
	if cfg.Keys < 0 {
		return nil, errors.New("ratelimit: Config.Keys is negative")
	}
	if cfg.Keys == 0 {
		cfg.Keys = DefaultKeys
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Limiter{
		store: cfg.Store, source: cfg.Now, clock: clock{source: cfg.Now}, seed: maphash.MakeSeed(),
		keys: newTable(cfg.Keys), groups: newTable(cfg.Keys / groupShare),
	}, nil
}

// Rate is one unit each Interval in the long run, and Burst units at once after a pause.
type Rate struct {
	Interval time.Duration
	Burst    int64
}

// maxSpan bounds how long a burst may take to come back.
const maxSpan = 100 * 365 * 24 * time.Hour

func (r Rate) valid() bool {
	return r.Interval > 0 && r.Burst >= 1 && r.Burst <= int64(maxSpan/r.Interval)
}

// Take asks for one unit of r for key, on this node. group names a wider circle that key
// belongs to, such as an address's network, for when there is no room for each key; nil
// is the key itself. A Rate without interval or burst, or whose burst takes more than
// a hundred years to come back, gives nothing.
func (l *Limiter) Take(key, group []byte, r Rate) makerguard.RateResult {
	if !r.valid() {
		return makerguard.RateResult{}
	}
	d := demand{now: l.clock.now(), interval: int64(r.Interval), span: int64(r.Interval) * r.Burst}
	full, ok, found := l.keys.take(l.hash(key), d)
	if !found {
		if group == nil {
			group = key
		}
		h := l.hash(group)
		if full, ok, found = l.groups.take(h, d); !found {
			full, ok = l.groups.takeCommon(h, d)
		}
	}
	res := makerguard.RateResult{Allowed: ok, Remaining: max((d.now+d.span-full)/d.interval, 0)}
	if !ok {
		res.RetryAfter = time.Duration(full + d.interval - d.now - d.span)
	}
	return res
}

// TakeExact asks the store for one unit of r for key, for all nodes together. While the
// store's last refusal holds, it is not asked again: nothing gives units back before their
// time, so the answer would be the same. The error is the store's; then nothing was given.
func (l *Limiter) TakeExact(ctx context.Context, key []byte, r Rate) (makerguard.RateResult, error) {
	h, now := l.hash(key), l.clock.now()
	if until := l.keys.until(h); until > now {
		return makerguard.RateResult{RetryAfter: time.Duration(until - now)}, nil
	}
	if l.store == nil {
		return makerguard.RateResult{}, &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "exact rate limits need a store; there is none"}
	}
	res, err := l.store.TakeRate(ctx, makerguard.RateRequest{
		Key: string(key), Interval: r.Interval, Burst: r.Burst, Amount: 1, Now: l.source(),
	})
	if err != nil {
		return makerguard.RateResult{}, fmt.Errorf("asking the store for a rate limit: %w", err)
	}
	if !res.Allowed && res.RetryAfter > 0 {
		// A bucket of one unit that is whole again when the wait is over. Without room for it
		// the store is asked each time.
		wait := int64(res.RetryAfter)
		l.keys.take(h, demand{now: now, interval: wait, span: wait})
	}
	return res, nil
}

// hash gives a key of the tables, never 0.
func (l *Limiter) hash(key []byte) uint64 {
	return max(maphash.Bytes(l.seed, key), 1)
}
