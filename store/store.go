// Package store says what a backend provides: the interfaces that the domain
// packages declare for themselves, embedded together, and nothing else. A backend
// is proved by package storetest.
package store

import (
	"context"

	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/feed"
	"github.com/makerguard/makerguard/quota"
	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/vault"
)

// Store is everything makerguard keeps. Methods are atomic intents that touch one
// document or need one transaction of a single-node database, and they are safe
// for concurrent use. What a method acknowledged survives a crash. Every error
// carries a makerguard.Code; all times are UTC with at least millisecond precision.
type Store interface {
	account.Store
	audit.Store
	auth.Store
	envelope.Store
	feed.Store
	quota.Store
	threat.Store
	vault.Store

	// Ping returns StoreUnavailable if the store does not answer.
	Ping(ctx context.Context) error
	// Close waits for what is under way and releases the store.
	Close() error
}
