// Package guard assembles makerguard: it opens the store, builds the services and their
// caches over it, and hands out the middleware. A Go service that embeds makerguard
// imports this package and the root, and nothing of HTTP APIs or consoles:
//
//	g, err := guard.Open(ctx, guard.Config{Data: "./data"})
//	if err != nil { ... }
//	defer g.Close()
//	mux := http.NewServeMux()
//	mux.Handle("POST /products", g.Require(makerguard.UploadProducts, makerguard.ProductUploads)(uploadProduct))
//	http.ListenAndServe(":8080", g.Handler(mux))
//
// One data directory is one process's at a time; commands beside a running one open
// it Shared. Whoever can read the root key file and the database can read
// everything: keep the two apart in backups.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/feed"
	"github.com/makerguard/makerguard/gateway"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/job"
	"github.com/makerguard/makerguard/mail"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/quota"
	"github.com/makerguard/makerguard/rbac"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/vault"
)

// Config says what a Guard works with. The zero value is a complete configuration.
type Config struct {
	// Data is the directory of everything that is kept, or with another store, of the root
	// key and of mail that is not sent. It is made if it is not there. Default "./data".
	Data string
	// Store is where data is kept: "sqlite", the default, is a database in Data for one
	// process; mongodb://... is one for several nodes (see package mongo).
	Store makerguard.Secret
	// Shared opens the data beside the process that serves it, for commands.
	Shared bool
	// KEK is the root key. Default: the key in Data/keys/root.json, which is made
	// together with a new database and never again.
	KEK envelope.KEK
	// PolicyFile is a YAML policy; see package rbac. Default: the policy that operators put in
	// force, or the built-in one until they do.
	PolicyFile string
	// Issuer and Audience of access tokens. Default "makerguard" and "makerguard-api".
	Issuer, Audience string
	// UpstreamAudience of the identity that the gateway signs. Default "makerguard-upstream".
	UpstreamAudience string
	// Proxies are those whose forwarding headers are believed. Default none.
	Proxies middleware.Proxies
	// Paranoia of the detector, 1 to 3. Default 1.
	Paranoia int
	// ThreatRetention is how long the threat history is kept. Default 90 days, at least one.
	ThreatRetention time.Duration
	// SignupsPerHour of one address. Default 60.
	SignupsPerHour int
	// HashWorkers is how many passwords are hashed at once; see auth.Config. Default
	// GOMAXPROCS.
	HashWorkers int
	// Argon2 is what a password hash costs. Default auth.DefaultArgon2. Less is
	// refused unless InsecureParams is set, which is for tests and is logged.
	Argon2         auth.Argon2
	InsecureParams bool
	// StoreObserver is told of every command that a MongoDB store sends. Default none.
	StoreObserver mongo.Observer
	// Block lists the kinds of subjects that are blocked automatically when they did too much
	// that looks like an attack; for the others it is proposed to operators. Default addresses.
	Block []makerguard.BlockKind
	// Logger is told what an operator should know. Default none.
	Logger *slog.Logger
	// Now is this machine's clock. Default: the system's. With a store that several nodes
	// share, it is corrected to that store's.
	Now func() time.Time

	examine bool // only look: make and repair nothing
}

// Guard is a running makerguard. Its parts are safe for concurrent use.
type Guard struct {
	Accounts *account.Service
	Access   *rbac.Authorizer
	Audit    *audit.Log
	Auth     *auth.Service
	Defense  *Defense
	Detector *threat.Detector
	Jobs     *job.Runner
	Keyring  *envelope.Keyring
	Meters   *quota.Meters
	Rules    *threat.Rulebooks
	Threats  *threat.Log
	Tokens   *token.Ring
	Vault    *vault.Vault
	Proxies  middleware.Proxies

	cfg        Config
	store      store.Store
	gate       *middleware.Gate
	inspection *middleware.Inspection
	gateway    *gateway.Gateway
	limits     *middleware.Limits
	mail       *mail.Outbox
	feed       *feed.Feed
	clock      *clock
	refresh    *refresher
	keys       keyReader
	identities *token.Ring // signs for upstreams
	setting    sync.Mutex  // one reading of the stored policy at a time
	stored     int64       // the version of the policy in force; 0 is no stored one

	stop    context.CancelFunc // ends the background work
	work    sync.WaitGroup
	release func() error // gives the data directory free

	newRootKey string // the file of the root key that this Open made; "" if it made none
}

// Open builds a Guard. Its errors say what to do: a directory that cannot be written, one
// that another process serves, a root key that is missing, readable by others or not
// the one the data was made with, a policy that is not valid.
func Open(ctx context.Context, cfg Config) (_ *Guard, err error) {
	cfg = withDefaults(cfg)
	g := &Guard{
		cfg: cfg, Proxies: cfg.Proxies, clock: &clock{machine: cfg.Now}, refresh: newRefresher(),
		release: func() error { return nil }, stop: func() {},
	}
	g.cfg.Now = g.clock.now
	defer func() {
		if err != nil && g.Auth != nil {
			err = errors.Join(err, g.Auth.Close(ctx))
		}
		if err != nil {
			err = errors.Join(err, g.closeStore())
		}
		if errors.Is(err, makerguard.KeyUnavailable) && g.newRootKey != "" {
			// Another node was quicker to begin this database; this key opens nothing.
			err = errors.Join(err, os.Remove(g.newRootKey))
		}
	}()
	kek, err := g.openData(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := ReadPolicy(cfg.PolicyFile)
	if err != nil {
		return nil, err
	}
	if err := g.build(ctx, kek, policy); err != nil {
		return nil, err
	}
	if err := g.feed.Start(ctx); err != nil {
		return nil, err
	}
	// What was read before the feed began may have changed meanwhile.
	if err := errors.Join(g.readKeys(ctx), g.readStoredPolicy(ctx), g.Rules.Learn(ctx), g.Defense.Abuse.Load(ctx)); err != nil {
		return nil, err
	}
	g.start()
	return g, nil
}

func withDefaults(cfg Config) Config {
	text := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	text(&cfg.Data, "./data")
	text(&cfg.Issuer, "makerguard")
	text(&cfg.Audience, "makerguard-api")
	text(&cfg.UpstreamAudience, "makerguard-upstream")
	if cfg.Paranoia == 0 {
		cfg.Paranoia = 1
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = steady()
	}
	return cfg
}

// build makes the services, each over those it needs.
func (g *Guard) build(ctx context.Context, kek envelope.KEK, policy *rbac.Policy) error {
	cfg, now, logger := g.cfg, g.cfg.Now, g.cfg.Logger
	// The audit record's own key comes from a keyring that cannot yet write to it.
	plain, err := envelope.New(envelope.Config{Store: g.store, KEK: kek, Now: now, Logger: logger})
	if err != nil {
		return err
	}
	keys, err := systemKeys(ctx, plain)
	if err != nil {
		return err
	}
	if g.Audit, err = audit.New(audit.Config{Store: g.store, Key: keys[makerguard.KeyAudit][0].Material, Now: now}); err != nil {
		return err
	}
	if g.Keyring, err = envelope.New(envelope.Config{Store: g.store, KEK: kek, Audit: g.Audit, Now: now, Logger: logger}); err != nil {
		return err
	}
	if g.Threats, err = threat.NewLog(threat.LogConfig{
		Store: g.store, Now: now, Retention: cfg.ThreatRetention,
		Observe: func(ctx context.Context, t makerguard.Threat) { g.Defense.Abuse.ObserveThreat(ctx, t) },
	}); err != nil {
		return err
	}
	if g.Defense, err = newDefense(g, cfg.Block); err != nil {
		return err
	}
	if g.Detector, err = threat.NewDetector(threat.DetectorConfig{Paranoia: cfg.Paranoia}); err != nil {
		return err
	}
	if g.Rules, err = threat.NewRulebooks(threat.RulebooksConfig{Store: g.store, Audit: g.Audit, Paranoia: cfg.Paranoia, Now: now, Logger: logger}); err != nil {
		return err
	}
	signing := signingKeys(keys[makerguard.KeySigning])
	if g.Tokens, err = token.New(token.Config{Issuer: cfg.Issuer, Audience: cfg.Audience, Now: now, Keys: signing}); err != nil {
		return err
	}
	if g.identities, err = token.New(token.Config{
		Issuer: cfg.Issuer, Audience: cfg.UpstreamAudience, Type: identityType, Lifetime: identityLifetime, Now: now, Keys: signing,
	}); err != nil {
		return err
	}
	node := id.New("node")
	if g.Meters, err = quota.New(quota.Config{Store: g.store, Node: node, Now: now, Logger: logger}); err != nil {
		return err
	}
	if g.Jobs, err = job.New(job.Config{
		Store: g.store, Node: node, Now: now, Logger: logger,
		Handlers: map[makerguard.JobKind]job.Handler{makerguard.JobRotateSigning: g.rotateSigning},
	}); err != nil {
		return err
	}
	if g.Access, err = rbac.New(rbac.Config{Policy: policy, Quota: g.Meters}); err != nil {
		return err
	}
	if g.feed, err = feed.New(feed.Config{Store: g.store, Now: now, Logger: logger}); err != nil {
		return err
	}
	if g.Auth, err = auth.New(auth.Config{
		Store: g.store, Sealer: g.Keyring, Tokens: g.Tokens, Audit: g.Defense.watch(g.Audit), Threats: g.Threats,
		Keys: authKeys(keys), RefreshKeys: g.refreshKeys,
		Policy: livePolicy{g.Access}, Feed: g.feed, EmailKey: account.EmailKey, SignupsPerHour: cfg.SignupsPerHour,
		HashWorkers: cfg.HashWorkers, Argon2: cfg.Argon2, InsecureParams: cfg.InsecureParams, Issuer: cfg.Issuer, Now: now, Logger: logger,
	}); err != nil {
		return err
	}
	if g.Accounts, err = account.New(account.Config{
		Store: g.store, Passwords: g.Auth, Audit: g.Audit, Limits: livePolicy{g.Access}, Country: catalog.Country,
		Announce: g.apply, Now: now, Logger: logger,
	}); err != nil {
		return err
	}
	if g.Vault, err = vault.New(vault.Config{Store: g.store, Sealer: g.Keyring, Audit: g.Audit, Now: now}); err != nil {
		return err
	}
	g.mail = &mail.Outbox{Dir: filepath.Join(cfg.Data, outbox), From: "makerguard@localhost.localdomain", Now: now}
	g.feed.Subscribe(g.apply)
	g.gate = &middleware.Gate{Access: g.Access, Now: now, Logger: logger, Denied: g.AccessDenied}
	g.inspection = &middleware.Inspection{Detector: g.Detector, Log: g.Threats, Rules: g.Rules, Logger: logger, Seen: new(middleware.CleanValues)}
	if g.limits, err = middleware.NewLimits(middleware.LimitsConfig{Access: g.Access, Store: g.store, Now: now, Logger: logger}); err != nil {
		return err
	}
	g.gateway = gateway.New(gateway.Config{
		Limits:        g.limits,
		Authenticator: g.Defense.Screen(g.Auth), Observe: g.Defense.Happened, Gate: g.gate, Inspection: g.inspection, Identifier: newIdentifier(g.identities, now),
		Proxies: cfg.Proxies, Logger: logger,
	})
	return nil
}

// livePolicy answers from the policy in force, not the one at start.
type livePolicy struct{ access *rbac.Authorizer }

func (l livePolicy) Sessions(t makerguard.Tier) int64   { return l.access.Policy().Sessions(t) }
func (l livePolicy) Members(t makerguard.Tier) int64    { return l.access.Policy().Members(t) }
func (l livePolicy) RequiresMFA(t makerguard.Tier) bool { return l.access.Policy().RequiresMFA(t) }

// apply brings the caches up to date with a change, made here or read from the feed.
func (g *Guard) apply(c makerguard.Change) {
	switch {
	case c.Kind == makerguard.PolicyChanged:
		g.refresh.request("policy", g.readStoredPolicy)
	case c.Kind == makerguard.KeysChanged && c.ManufacturerID == "":
		g.refresh.request("keys", g.readKeys)
	default:
		g.Auth.Apply(c)
		g.Keyring.Apply(c)
		g.Defense.Abuse.Apply(c)
		g.Rules.Apply(c)
	}
}

// pruneEvery is the pause between removals of what has expired.
const pruneEvery = 10 * time.Minute

// start begins the background work, which ends with Close.
func (g *Guard) start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	run := func(f func(context.Context) error) {
		g.work.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				g.cfg.Logger.Error("background work ended", "error", err)
			}
		})
	}
	run(g.feed.Run)
	run(g.refreshChanged)
	run(g.Meters.Run)
	run(g.Jobs.Run)
	run(g.prune)
	run(g.Defense.Abuse.Run)
	run(g.Defense.Scores.Run)
	if keeper, ok := g.store.(timekeeper); ok {
		run(g.keepTime(keeper))
	}
	if g.cfg.PolicyFile != "" {
		run(g.watchPolicy)
	}
}

// refreshChanged reads again what the feed said has changed.
func (g *Guard) refreshChanged(ctx context.Context) error {
	return g.refresh.run(ctx, func(name string, err error) {
		g.cfg.Logger.Warn("what another node changed cannot be read yet", "what", name, "error", err)
	})
}

func (g *Guard) prune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := errors.Join(g.Auth.Prune(ctx), g.pruneThreats(ctx), g.destroyRetired(ctx), g.Defense.RecordScores(ctx)); err != nil && ctx.Err() == nil {
				g.cfg.Logger.Warn("removing what has expired", "error", err)
			}
		}
	}
}

// pruneThreats removes entries of the history that are older than they are kept.
func (g *Guard) pruneThreats(ctx context.Context) error {
	n, err := g.Threats.Prune(ctx)
	if n > 0 {
		g.cfg.Logger.Info("threat history pruned", "entries", n)
	}
	return err
}

// closeTimeout bounds what Close waits for: the last writes of caches to the store.
const closeTimeout = 10 * time.Second

// Close ends the background work, gives leased units back, writes what caches hold and
// releases the data directory.
func (g *Guard) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	g.stop()
	g.work.Wait()
	return errors.Join(g.Meters.Close(ctx), g.Auth.Close(ctx), g.closeStore())
}

func (g *Guard) closeStore() error {
	var err error
	if g.store != nil {
		err = g.store.Close()
	}
	return errors.Join(err, g.release())
}

// Ready reports whether the store answers.
func (g *Guard) Ready(ctx context.Context) error { return g.store.Ping(ctx) }

// Gateway is the policy's routes, for forward-auth.
func (g *Guard) Gateway() *gateway.Gateway { return g.gateway }

// Limits are the policy's rates.
func (g *Guard) Limits() *middleware.Limits { return g.limits }

// Handler wraps an application: request id, recovery, log line, blocked and rates of addresses,
// authentication, rates of callers and inspection, in this order. What a route demands
// besides is Require's.
func (g *Guard) Handler(next http.Handler) http.Handler {
	edge := middleware.Edge{Proxies: g.Proxies, Logger: g.cfg.Logger, Now: g.cfg.Now}
	watched := middleware.Watch(g.Defense.Happened)(next)
	inner := middleware.Authenticate(g.Defense.Screen(g.Auth), g.cfg.Logger)(g.limits.Callers(g.inspection.Handler(watched)))
	return edge.Handler(g.Defense.Blocks(nil).Handler(g.limits.Addresses(inner, nil)))
}

// Require lets through to a handler only callers with the permission and with a unit
// left of each meter; the units are given back unless the answer is below 400. It
// counts an API call besides. It must stand inside Handler, which authenticates.
func (g *Guard) Require(permission makerguard.Permission, meters ...makerguard.Meter) func(http.HandlerFunc) http.Handler {
	demand := middleware.Demand{Permission: permission, Meters: meters}
	return func(next http.HandlerFunc) http.Handler { return g.gate.Require(demand, next) }
}
