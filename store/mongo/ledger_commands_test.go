package mongo_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/mongo"
)

// commandCount counts the commands that a store sends.
type commandCount struct{ n atomic.Int64 }

func (c *commandCount) Command(string, string, time.Duration, bool) { c.n.Add(1) }
func (*commandCount) Pool(int, int)                                 {}
func (*commandCount) Wait(time.Duration, bool)                      {}

// Each command is a round trip, so what is done often must take few.
func TestLedger_TakesFewCommands(t *testing.T) {
	var count commandCount
	s := openStore(t, mongo.Config{URI: newURI(t), Observer: &count})
	ctx, k := t.Context(), usage(makerguard.APICalls)
	lease := func(need, want, limit int64) func() error {
		return func() error {
			_, err := s.Lease(ctx, makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: limit, Need: need, Want: want, Now: ledgerNow, TTL: time.Minute})
			return err
		}
	}
	spend := func(key string, limit int64) func() error {
		return func() error {
			_, err := s.Spend(ctx, makerguard.SpendRequest{
				CounterKey: k, Limit: limit, Amount: 1, Idempotency: key, Fingerprint: []byte("one"), Now: ledgerNow, KeepUntil: ledgerNow.Add(time.Hour),
			})
			return err
		}
	}
	take := func() error {
		_, err := s.TakeRate(ctx, makerguard.RateRequest{Key: "k", Interval: time.Second, Burst: 2, Amount: 1, Now: ledgerNow})
		return err
	}
	record := func() error {
		_, _, err := s.PutRecord(ctx, makerguard.VaultRecord{ManufacturerID: "mfr_a", Name: "n", CreatedAt: ledgerNow, UpdatedAt: ledgerNow})
		return err
	}
	block := func() error {
		_, err := s.PutBlock(ctx, makerguard.Block{ID: "blk_1", Kind: makerguard.BlockAddress, Subject: "192.0.2.7", CreatedAt: ledgerNow, ExpiresAt: ledgerNow.Add(time.Hour)})
		return err
	}
	addPoints := func() error { _, err := s.AddPoints(ctx, "k", 5, time.Hour, ledgerNow); return err }
	for _, step := range []struct {
		name string
		do   func() error
		want int64
	}{
		{"Lease of a new counter", lease(1, 10, 1000), 3},
		{"Lease", lease(1, 10, 1000), 1},
		{"Lease of what is left", lease(1, 100, 50), 3},
		{"Lease refused", lease(1, 100, 50), 3},
		{"Lease that settles", lease(0, 0, 50), 1},
		{"Spend", spend("", 1000), 1},
		{"Spend refused", spend("", 10), 2},
		{"Spend with a key", spend("key", 1000), 4},
		{"Spend replayed", spend("key", 1000), 3},
		{"Spend with a key refused", spend("another", 10), 2},
		{"Counts", func() error {
			_, err := s.Counts(ctx, []makerguard.CounterKey{k, usage("other")}, ledgerNow)
			return err
		}, 1},
		{"AppendAudit", func() error { return s.AppendAudit(ctx, auditEntry(1)) }, 3},
		{"AuditHead", func() error { _, _, err := s.AuditHead(ctx, "mfr_a"); return err }, 2},
		{"TakeRate of a new key", take, 2},
		{"TakeRate", take, 2},
		{"TakeRate refused", take, 1},
		{"AddPoints to a new key", addPoints, 2},
		{"AddPoints", addPoints, 2},
		{"PutBlock", block, 2},
		{"PutBlock that prolongs", block, 1},
		{"PutRecord of a new record", record, 2},
		{"PutRecord", record, 1},
		{"AppendThreats of three", func() error {
			return s.AppendThreats(ctx, []makerguard.Threat{
				{ID: makerguard.EventID(id.New("evt"))},
				{ID: makerguard.EventID(id.New("evt"))},
				{ID: makerguard.EventID(id.New("evt"))},
			})
		}, 1},
		{"PutPolicy", func() error { return s.PutPolicy(ctx, makerguard.PolicyDocument{Version: 1}) }, 1},
		{"PutRuleSet", func() error { return s.PutRuleSet(ctx, makerguard.RuleSet{Version: 1}) }, 1},
		{"AddKey", func() error { return s.AddKey(ctx, makerguard.WrappedKey{Purpose: makerguard.KeyData, Version: 1}) }, 1},
	} {
		count.n.Store(0)
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := count.n.Load(); got > step.want {
			t.Errorf("%s took %d commands, want at most %d", step.name, got, step.want)
		}
	}
}
