package feed_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/feed"
	"github.com/makerguard/makerguard/store/sqlite"
)

// TestRun_FollowsARealStore has one node learn what another did to the same database.
func TestRun_FollowsARealStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "makerguard.db")
	var nodes [2]*sqlite.Store
	for i := range nodes {
		store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		nodes[i] = store
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	setTier := func(tier makerguard.Tier) {
		t.Helper()
		if err := nodes[0].SetTier(t.Context(), "mfr_1", tier, now); err != nil {
			t.Fatalf("SetTier: %v", err)
		}
	}
	if err := nodes[0].EnsureManufacturer(t.Context(), makerguard.Manufacturer{
		ID: "mfr_1", Tier: makerguard.TierFree, Status: makerguard.StatusActive, CreatedAt: now, UpdatedAt: now,
	}); err != nil {
		t.Fatalf("EnsureManufacturer: %v", err)
	}
	setTier(makerguard.TierProfessional)

	f := newFeed(t, feed.Config{Store: nodes[1], Interval: time.Millisecond})
	changes := make(chan makerguard.Change, 10)
	f.Subscribe(func(c makerguard.Change) { changes <- c })
	if err := f.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	setTier(makerguard.TierEnterprise)
	run(t, f)
	setTier(makerguard.TierFree)
	for range 2 {
		want := makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_1"}
		if diff := cmp.Diff(want, <-changes); diff != "" {
			t.Errorf("change (-want +got):\n%s", diff)
		}
	}
}
