// Package store says what a backend provides: the interfaces that the domain
// packages declare for themselves, embedded together, and nothing else. A backend
// is proved by package storetest.
package store

import (
	"context"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/feed"
	"github.com/makerguard/makerguard/job"
	"github.com/makerguard/makerguard/quota"
	"github.com/makerguard/makerguard/ratelimit"
	"github.com/makerguard/makerguard/rbac"
	"github.com/makerguard/makerguard/score"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/vault"
)

// Store is everything makerguard keeps. Methods are atomic intents that touch one
// document or need one transaction of a single-node database, and they are safe
// for concurrent use. What a method acknowledged survives a crash. Every error
// carries a makerguard.Code; all times are UTC with at least millisecond precision.
type Store interface {
	abuse.Store
	account.Store
	audit.Store
	auth.Store
	envelope.Store
	feed.Store
	job.Store
	quota.Store
	ratelimit.Store
	rbac.Store
	score.Store
	threat.Store
	vault.Store

	// Doctor checks that what the store needs is there, such as its indexes, and
	// returns what is not; none is healthy.
	Doctor(ctx context.Context) ([]makerguard.Ailment, error)
	// Ping returns StoreUnavailable if the store does not answer.
	Ping(ctx context.Context) error
	// Close waits for what is under way and releases the store.
	Close() error
}
