package abuse_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
)

func TestNodes_ShareWhatTheyKnow(t *testing.T) {
	w := newWorld(t)
	a, b := w.service(nil), w.service(nil)
	w.attack(a, 6, w.threat(makerguard.SeverityCritical))
	w.attack(b, 6, w.threat(makerguard.SeverityCritical))
	if !blocked(b.CheckAddress(address)) {
		t.Fatal("12 threats on two nodes did not block")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	a.Apply(makerguard.Change{Kind: makerguard.BlocksChanged})
	for deadline := time.Now().Add(5 * time.Second); !blocked(a.CheckAddress(address)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other node does not know of the block")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want the context's error", err)
	}
}

type away struct{ abuse.Store }

func TestStoreAway_KnownBlocksGoOn(t *testing.T) {
	w := newWorld(t)
	store := &switchable{Store: w.store}
	s := w.service(func(c *abuse.Config) { c.Store = store })
	w.attack(s, 10, w.threat(makerguard.SeverityCritical))
	store.set(away{})
	if err := s.Load(t.Context()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Load = %v, want STORE_UNAVAILABLE", err)
	}
	if !blocked(s.CheckAddress(address)) {
		t.Error("a known block is forgotten while the store is away")
	}
	th := w.threat(makerguard.SeverityCritical)
	th.IP = "198.51.100.9"
	w.attack(s, 50, th)
	if got := s.Stats().Dropped; got != 50 {
		t.Errorf("%d dropped, want 50 counted", got)
	}
}

type switchable struct {
	mu sync.Mutex
	abuse.Store
}

func (s *switchable) set(to abuse.Store) { s.mu.Lock(); s.Store = to; s.mu.Unlock() }

func (s *switchable) get() abuse.Store { s.mu.Lock(); defer s.mu.Unlock(); return s.Store }

func (s *switchable) AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error) {
	return s.get().AddPoints(ctx, key, points, halfLife, now)
}

func (s *switchable) Blocks(ctx context.Context, now time.Time, limit int) ([]makerguard.Block, error) {
	return s.get().Blocks(ctx, now, limit)
}

func TestObserve_NeverWaits(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil) // nobody works it off
	for range 5000 {
		s.ObserveThreat(t.Context(), w.threat(makerguard.SeverityLow))
	}
	if got := s.Stats().Dropped; got != 5000-1024 {
		t.Errorf("%d dropped, want all but the 1024 that fit", got)
	}
}

func TestObserve_AddsUpBeforeWriting(t *testing.T) {
	w := newWorld(t)
	store := &counting{Store: w.store}
	s := w.service(func(c *abuse.Config) { c.Store = store })
	w.attack(s, 1000, w.threat(makerguard.SeverityLow))
	if store.writes > 20 {
		t.Errorf("1000 threats of one address cost %d writes, want a few", store.writes)
	}
}

type counting struct {
	abuse.Store
	writes int
}

func (c *counting) AddPoints(ctx context.Context, key string, points float64, halfLife time.Duration, now time.Time) (float64, error) {
	c.writes++
	return c.Store.AddPoints(ctx, key, points, halfLife, now)
}

func TestObserveUse_TellsOfChangesOnly(t *testing.T) {
	w := newWorld(t)
	s := w.service(func(c *abuse.Config) { c.Block = []makerguard.BlockKind{makerguard.BlockMember} })
	p := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1"}
	for range 10_000 { // more than fit in the queue
		s.ObserveUse(p, address)
	}
	if got := s.Stats().Dropped; got != 0 {
		t.Fatalf("%d uses dropped: each was told", got)
	}
	for i := range 9 {
		s.ObserveUse(p, netip.AddrFrom4([4]byte{198, 51, byte(i), 1}).String())
	}
	s.Settle(t.Context())
	if !blocked(s.CheckPrincipal(p)) {
		t.Error("a session used from ten networks at once is not noticed")
	}
}

func TestCheck_DoesNotAllocate(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for _, sub := range []abuse.Request{
		{Kind: makerguard.BlockAddress, Subject: "198.51.100.4"},
		{Kind: makerguard.BlockMember, Subject: "mbr_" + strings.Repeat("a", 32)},
		{Kind: makerguard.BlockManufacturer, Subject: "mfr_" + strings.Repeat("a", 32)},
	} {
		sub.Minutes, sub.Reason = 5, "test"
		if _, err := s.Block(t.Context(), nil, sub, makerguard.Client{}); err != nil {
			t.Fatal(err)
		}
	}
	p := &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1"}
	s.ObserveUse(p, address)
	if n := testing.AllocsPerRun(1000, func() {
		_ = s.CheckAddress(address)
		_ = s.CheckAddress("2001:db8::1")
		_ = s.CheckPrincipal(p)
		s.ObserveUse(p, address)
	}); n != 0 {
		t.Errorf("looking up costs %v allocations, want 0", n)
	}
}

func TestNew_ReportsEverythingMissing(t *testing.T) {
	_, err := abuse.New(abuse.Config{Block: []makerguard.BlockKind{"country"}})
	for _, want := range []string{"Store", "Audit", "Threats", `"country"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to name %s", err, want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s, err := abuse.New(abuse.Config{Store: away{}, Audit: &world{}, Threats: &world{}})
	if err != nil {
		b.Fatal(err)
	}
	p := &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1"}
	b.ReportAllocs()
	for b.Loop() {
		_ = s.CheckAddress(address)
		_ = s.CheckPrincipal(p)
		s.ObserveUse(p, address)
	}
}
