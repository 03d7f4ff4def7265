package quota_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/quota"
	"github.com/makerguard/makerguard/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const uploads = makerguard.ProductUploads

var acme = makerguard.MeterAccount{ManufacturerID: "mfr_0197f0c2a5b07c00a000000000000001"}

// clock is set by hand.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

// watched counts what reaches a real store, and can cut it off.
type watched struct {
	quota.Store
	leases, spends atomic.Int64
	cut            atomic.Bool
	gate           atomic.Pointer[chan struct{}] // while set, leases and spends wait for it
}

func (w *watched) pass(ctx context.Context, n *atomic.Int64) error {
	n.Add(1)
	if gate := w.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if w.cut.Load() {
		return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "The store is cut off."}
	}
	return nil
}

func (w *watched) Lease(ctx context.Context, r makerguard.LeaseRequest) (makerguard.LeaseResult, error) {
	if err := w.pass(ctx, &w.leases); err != nil {
		return makerguard.LeaseResult{}, err
	}
	return w.Store.Lease(ctx, r)
}

func (w *watched) Spend(ctx context.Context, r makerguard.SpendRequest) (makerguard.SpendResult, error) {
	if err := w.pass(ctx, &w.spends); err != nil {
		return makerguard.SpendResult{}, err
	}
	return w.Store.Spend(ctx, r)
}

func (w *watched) Counts(ctx context.Context, keys []makerguard.CounterKey, now time.Time) ([]makerguard.Count, error) {
	if w.cut.Load() {
		return nil, &makerguard.Error{Code: makerguard.StoreUnavailable}
	}
	return w.Store.Counts(ctx, keys, now)
}

func openStore(t testing.TB) *watched {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "makerguard.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return &watched{Store: s}
}

func newMeters(t testing.TB, s quota.Store, now func() time.Time) *quota.Meters {
	t.Helper()
	m, err := quota.New(quota.Config{Store: s, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func settle(t testing.TB, m *quota.Meters, rounds int) {
	t.Helper()
	for range rounds {
		if err := m.Settle(t.Context()); err != nil {
			t.Fatalf("Settle: %v", err)
		}
	}
}

// march gives the count of the meter in March 2026, as the store has it.
func march(t testing.TB, s quota.Store, now time.Time) makerguard.Count {
	t.Helper()
	counts, err := s.Counts(t.Context(), []makerguard.CounterKey{{
		ManufacturerID: acme.ManufacturerID, Meter: uploads, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}}, now)
	if err != nil {
		t.Fatal(err)
	}
	return counts[0]
}

func use(t testing.TB, m *quota.Meters, amount, limit int64) {
	t.Helper()
	r, _, err := m.Reserve(t.Context(), acme, uploads, amount, limit)
	if err != nil {
		t.Fatalf("Reserve(%d of %d): %v", amount, limit, err)
	}
	r.Commit()
}

// A reservation says which month it counts in: the manufacturer's own, to its last moment.
func TestReserve_TellsTheMonthUnderWay(t *testing.T) {
	c := newClock()
	m := newMeters(t, openStore(t), c.Now)
	zones := []string{"", "Europe/Paris", "Pacific/Auckland", "America/Los_Angeles"}
	for end := c.Now().AddDate(0, 4, 0); c.Now().Before(end); c.advance(6 * time.Hour) {
		for i, zone := range zones {
			for _, day := range []int{1, 15, 31} {
				want, err := quota.PeriodAt(c.Now(), zone, day)
				if err != nil {
					t.Fatal(err)
				}
				who := makerguard.MeterAccount{ManufacturerID: makerguard.ManufacturerID(fmt.Sprintf("mfr_%d_%d", i, day)), TimeZone: zone, AnchorDay: day}
				r, _, err := m.Reserve(t.Context(), who, uploads, 1, makerguard.Unlimited)
				if err != nil {
					t.Fatalf("Reserve: %v", err)
				}
				r.Release()
				if r.Period() != want {
					t.Fatalf("in %q, day %d, at %v: counted in %v, want %v", zone, day, c.Now(), r.Period(), want)
				}
			}
		}
	}
}

func used(t testing.TB, m *quota.Meters) int64 {
	t.Helper()
	_, u, err := m.Usage(t.Context(), acme, []makerguard.Meter{uploads})
	if err != nil {
		t.Fatalf("Usage: %v", err)
	}
	return u[uploads]
}

func wantLimited(t testing.TB, err error) *makerguard.Error {
	t.Helper()
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.UsageLimitExceeded {
		t.Fatalf("error = %v, want USAGE_LIMIT_EXCEEDED", err)
	}
	return e
}

// goal: V2.3.2 V15.4.1
func TestReserve_TwoNodesGiveExactlyTheLimit(t *testing.T) {
	const limit, workers = 1000, 64
	s, c := openStore(t), newClock()
	nodes := []*quota.Meters{newMeters(t, s, c.Now), newMeters(t, s, c.Now)}
	var granted, released atomic.Int64
	var wg sync.WaitGroup
	for _, node := range nodes {
		for w := range workers {
			wg.Go(func() {
				for i := 0; ; i++ {
					r, _, err := node.Reserve(t.Context(), acme, uploads, 1, limit)
					if err != nil {
						wantLimited(t, err)
						return
					}
					if (w+i)%7 == 0 { // what fails gives back
						released.Add(1)
						r.Release()
						continue
					}
					granted.Add(1)
					r.Commit()
					r.Release() // ended already: does nothing
				}
			})
		}
	}
	wg.Wait()
	// A worker may have been refused while another held what it then released.
	for _, node := range nodes {
		for {
			r, _, err := node.Reserve(t.Context(), acme, uploads, 1, limit)
			if err != nil {
				break
			}
			granted.Add(1)
			r.Commit()
		}
	}
	if granted.Load() != limit {
		t.Errorf("%d units granted, want exactly %d", granted.Load(), limit)
	}
	for i, node := range nodes {
		if got := used(t, node); got != limit {
			t.Errorf("node %d: used = %d, want %d", i, got, limit)
		}
		if err := node.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: limit, Spent: limit}); got != want {
		t.Errorf("the store counts %+v, want %+v", got, want)
	}
	t.Logf("2 nodes x %d workers, limit %d: %d granted, %d released, %d store requests", workers, limit, granted.Load(), released.Load(), s.leases.Load())
}

func TestReserve_CountsDownAndGivesBack(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	r1, remaining, err := m.Reserve(t.Context(), acme, uploads, 10, 50)
	if err != nil || remaining != 40 {
		t.Fatalf("Reserve = %d, %v, want 40 remaining", remaining, err)
	}
	r2, remaining, err := m.Reserve(t.Context(), acme, uploads, 30, 50)
	if err != nil || remaining != 10 {
		t.Fatalf("Reserve = %d, %v, want 10 remaining", remaining, err)
	}
	if got := used(t, m); got != 40 {
		t.Errorf("used = %d while all is reserved, want 40", got)
	}
	_, remaining, err = m.Reserve(t.Context(), acme, uploads, 11, 50)
	e := wantLimited(t, err)
	want := &makerguard.Error{
		Code: makerguard.UsageLimitExceeded, Message: e.Message,
		RetryAfter: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(c.Now()),
		Details:    map[string]any{"meter": uploads, "limit": int64(50), "used": int64(40)},
	}
	if diff := cmp.Diff(want, e); diff != "" || remaining != 10 {
		t.Errorf("refused with %d remaining, want 10; -want +got\n%s", remaining, diff)
	}
	r2.Release()
	r2.Release()
	r2.Commit()
	r1.Commit()
	if got := used(t, m); got != 10 {
		t.Errorf("used = %d after giving 30 back, want 10", got)
	}
	if _, remaining, err := m.Reserve(t.Context(), acme, uploads, 40, 50); err != nil || remaining != 0 {
		t.Errorf("Reserve = %d, %v, want all that was given back", remaining, err)
	}
}

func TestReserve_RefusesBadAmountsAndAccounts(t *testing.T) {
	m := newMeters(t, openStore(t), newClock().Now)
	for _, amount := range []int64{0, -1, 1_000_001, -1 << 63, 1<<63 - 1} {
		if _, _, err := m.Reserve(t.Context(), acme, uploads, amount, makerguard.Unlimited); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Reserve of %d = %v, want VALIDATION_FAILED", amount, err)
		}
		if _, err := m.Spend(t.Context(), acme, uploads, amount, makerguard.Unlimited, "", nil); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Spend of %d = %v, want VALIDATION_FAILED", amount, err)
		}
	}
	if _, _, err := m.Reserve(t.Context(), acme, uploads, 1, -2); err == nil {
		t.Error("Reserve under limit -2 succeeded")
	}
	lost := acme
	lost.TimeZone = "Mars/Olympus"
	if _, _, err := m.Reserve(t.Context(), lost, uploads, 1, 10); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("Reserve on Mars = %v, want VALIDATION_FAILED", err)
	}
}

func TestReserve_LimitZeroNeverAsksTheStore(t *testing.T) {
	s := openStore(t)
	m := newMeters(t, s, newClock().Now)
	for range 100 {
		_, _, err := m.Reserve(t.Context(), acme, uploads, 1, 0)
		wantLimited(t, err)
	}
	if n := s.leases.Load(); n != 0 {
		t.Errorf("%d store requests, want none", n)
	}
}

func TestReserve_SeldomAsksTheStore(t *testing.T) {
	s := openStore(t)
	m := newMeters(t, s, newClock().Now)
	const n = 10_000
	for range n {
		use(t, m, 1, makerguard.Unlimited)
	}
	// Blocks of 256, 512, 1024, ... as the clock stands still.
	if got, most := s.leases.Load(), int64(8); got > most {
		t.Errorf("%d store requests for %d uses, want at most %d", got, n, most)
	}
	if got := used(t, m); got != n {
		t.Errorf("used = %d without a limit, want %d", got, n)
	}
	for range 60 {
		use(t, m, 1, n+50)
		if _, _, err := m.Reserve(t.Context(), acme, uploads, 1, n); err == nil {
			t.Fatal("a unit beyond a lowered limit was granted")
		}
		if used(t, m) == n+50 {
			break
		}
	}
	settle(t, m, 1) // all is spent and known to be
	before := s.leases.Load()
	for range 1000 {
		_, _, err := m.Reserve(t.Context(), acme, uploads, 1, n+50)
		wantLimited(t, err)
	}
	if got := s.leases.Load() - before; got > 1 {
		t.Errorf("%d store requests for 1,000 refusals past a spent limit, want at most 1", got)
	}
}

func TestReserve_CallersShareOneStoreRequest(t *testing.T) {
	const callers = 64
	s := openStore(t)
	m := newMeters(t, s, newClock().Now)
	use(t, m, 1, makerguard.Unlimited)
	before := s.leases.Load()
	gate := make(chan struct{})
	s.gate.Store(&gate)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { use(t, m, 1, makerguard.Unlimited) })
	}
	close(gate)
	wg.Wait()
	if got := s.leases.Load() - before; got != 1 {
		t.Errorf("%d callers made %d store requests, want 1", callers, got)
	}
}

func TestReserve_ChangedLimitCountsAtOnce(t *testing.T) {
	s := openStore(t)
	m := newMeters(t, s, newClock().Now)
	for range 30 {
		use(t, m, 1, 1000)
	}
	if got := march(t, s, time.Time{}).Taken; got <= 30 {
		t.Fatalf("taken = %d, want a block in hand for this test", got)
	}
	_, _, err := m.Reserve(t.Context(), acme, uploads, 1, 30) // a downgrade
	if e := wantLimited(t, err); e.Details["used"] != int64(30) {
		t.Errorf("details = %v, want used 30", e.Details)
	}
	if _, remaining, err := m.Reserve(t.Context(), acme, uploads, 1, 31); err != nil || remaining != 0 {
		t.Errorf("Reserve = %d, %v, want the 31st unit", remaining, err)
	}
	if _, remaining, err := m.Reserve(t.Context(), acme, uploads, 1, 2000); err != nil || remaining != 1968 {
		t.Errorf("Reserve after an upgrade = %d, %v, want 1968 remaining", remaining, err)
	}
}

func TestReserve_MonthEndBeginsANewCounter(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	use(t, m, 49, 50)
	last, _, err := m.Reserve(t.Context(), acme, uploads, 1, 50)
	if err != nil {
		t.Fatal(err)
	}
	c.advance(22 * 24 * time.Hour) // 1 April
	use(t, m, 20, 50)
	last.Commit() // on the month it was reserved in
	settle(t, m, 3)
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: 50, Spent: 50}); got != want {
		t.Errorf("March = %+v, want %+v", got, want)
	}
	period, u, err := m.Usage(t.Context(), acme, makerguard.Meters())
	want := map[makerguard.Meter]int64{uploads: 20, makerguard.MLRequests: 0, makerguard.APICalls: 0, makerguard.DataExports: 0}
	if diff := cmp.Diff(want, u); err != nil || diff != "" || period.Start != time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("Usage = %v, %v, want April; -want +got\n%s", period, err, diff)
	}
}

func TestReserve_TimeZoneDecidesTheMonth(t *testing.T) {
	s, c := openStore(t), newClock()
	c.now.Store(time.Date(2026, 3, 31, 16, 0, 0, 0, time.UTC).UnixNano()) // 1 April in Tokyo
	m := newMeters(t, s, c.Now)
	tokyo := acme
	tokyo.TimeZone, tokyo.AnchorDay = "Asia/Tokyo", 1
	for _, a := range []makerguard.MeterAccount{acme, tokyo, acme, tokyo} {
		if _, _, err := m.Reserve(t.Context(), a, uploads, 1, 2); err != nil {
			t.Errorf("Reserve in %q: %v", a.TimeZone, err)
		}
	}
	_, _, err := m.Reserve(t.Context(), tokyo, uploads, 1, 2)
	if e := wantLimited(t, err); e.RetryAfter != 30*24*time.Hour-time.Hour {
		t.Errorf("RetryAfter = %v, want the end of April in Tokyo", e.RetryAfter)
	}
}

// A node that is killed loses its block to over-counting, no more, and lets nothing
// through that the others could also use.
func TestReserve_KilledNodeLosesAtMostItsBlock(t *testing.T) {
	const limit = 1000
	s, c := openStore(t), newClock()
	killed, alive := newMeters(t, s, c.Now), newMeters(t, s, c.Now)
	var total int64
	for range 100 {
		use(t, killed, 1, limit)
		total++
	}
	settle(t, killed, 1)
	block := march(t, s, c.Now()).Taken - total
	if block < 1 {
		t.Fatal("the killed node held nothing")
	}
	c.advance(11 * time.Second) // longer than the lease
	for {
		r, _, err := alive.Reserve(t.Context(), acme, uploads, 1, limit)
		if err != nil {
			wantLimited(t, err)
			break
		}
		r.Commit()
		total++
	}
	if lost := limit - total; lost < 0 || lost > block || block > 63 {
		t.Errorf("%d units lost with a block of %d", lost, block)
	}
	settle(t, alive, 2)
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: limit, Spent: limit}); got != want {
		t.Errorf("the store counts %+v, want %+v", got, want)
	}
	// Should it come back from a long pause instead, what it still hands out was counted.
	for {
		r, _, err := killed.Reserve(t.Context(), acme, uploads, 1, limit)
		if err != nil {
			break
		}
		r.Commit()
		total++
	}
	if total != limit {
		t.Errorf("%d units granted in all, want %d", total, limit)
	}
}

func TestSettle_ReturnsIdleBlocks(t *testing.T) {
	s, c := openStore(t), newClock()
	a, b := newMeters(t, s, c.Now), newMeters(t, s, c.Now)
	for range 20 {
		use(t, a, 1, 1000)
	}
	settle(t, a, 3)
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: 20, Spent: 20}); got != want {
		t.Errorf("the store counts %+v, want %+v", got, want)
	}
	use(t, b, 980, 1000)
	_, _, err := a.Reserve(t.Context(), acme, uploads, 1, 1000)
	wantLimited(t, err)
}

func TestSettle_KeepsALeaseAlive(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	r, _, err := m.Reserve(t.Context(), acme, uploads, 5, 50) // a long upload
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		c.advance(time.Second)
		settle(t, m, 1)
	}
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: 5}); got != want {
		t.Errorf("after a minute the store counts %+v, want %+v", got, want)
	}
	r.Release()
	settle(t, m, 2)
	if got := march(t, s, c.Now()); got != (makerguard.Count{}) {
		t.Errorf("after its release the store counts %+v, want nothing", got)
	}
}

func TestSettle_ForgetsUnusedCounters(t *testing.T) {
	s, c := openStore(t), newClock()
	m, err := quota.New(quota.Config{Store: s, Now: c.Now, MaxCounters: 3})
	if err != nil {
		t.Fatal(err)
	}
	reserve := func(n int) error {
		a := makerguard.MeterAccount{ManufacturerID: makerguard.ManufacturerID(fmt.Sprintf("mfr_%d", n))}
		r, _, err := m.Reserve(t.Context(), a, uploads, 1, 10)
		r.Commit()
		return err
	}
	for n := range 3 {
		if err := reserve(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := reserve(3); !errors.Is(err, makerguard.Overloaded) {
		t.Errorf("a fourth counter = %v, want OVERLOADED", err)
	}
	settle(t, m, 62)
	for n := 3; n < 6; n++ {
		if err := reserve(n); err != nil {
			t.Errorf("after the others were forgotten: %v", err)
		}
	}
}

func TestRun_SettlesEachSecondUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		var log bytes.Buffer
		m, err := quota.New(quota.Config{Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		r, _, err := m.Reserve(t.Context(), acme, uploads, 5, 50)
		if err != nil {
			t.Fatal(err)
		}
		r.Commit()
		key := makerguard.CounterKey{ManufacturerID: acme.ManufacturerID, Meter: uploads, Start: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
		spent := func() int64 {
			counts, err := s.Counts(t.Context(), []makerguard.CounterKey{key}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return counts[0].Spent
		}
		before := spent()
		time.Sleep(1500 * time.Millisecond)
		if after := spent(); before != 0 || after != 5 {
			t.Errorf("spent = %d at once and %d after a second, want 0 and 5", before, after)
		}
		s.cut.Store(true)
		r, _, err = m.Reserve(t.Context(), makerguard.MeterAccount{ManufacturerID: "mfr_2"}, uploads, 1, 50)
		if err == nil {
			t.Error("Reserve without a store succeeded")
		}
		s.cut.Store(false)
		use(t, m, 1, 50)
		s.cut.Store(true)
		time.Sleep(3 * time.Second)
		s.cut.Store(false)
		time.Sleep(3 * time.Second)
		if got := spent(); got != 6 {
			t.Errorf("spent = %d after the outage, want 6", got)
		}
		cancel()
		wg.Wait()
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "level=INFO") {
			t.Errorf("log of one outage:\n%s", log.String())
		}
		r.Release()
	})
}

func TestClose_GivesEverythingBack(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	for range 7 {
		use(t, m, 1, 1000)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: 7, Spent: 7}); got != want {
		t.Errorf("the store counts %+v, want %+v", got, want)
	}
	if _, _, err := m.Reserve(t.Context(), acme, uploads, 1, 1000); !errors.Is(err, makerguard.Overloaded) {
		t.Errorf("Reserve after Close = %v, want OVERLOADED", err)
	}
}

func TestReserve_StoreAway(t *testing.T) {
	const limit = 160
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	var total int64
	take := func() error {
		r, _, err := m.Reserve(t.Context(), acme, uploads, 1, limit)
		if err == nil {
			total++
			r.Commit()
		}
		return err
	}
	for range 3 {
		if err := take(); err != nil {
			t.Fatal(err)
		}
	}
	s.cut.Store(true)
	if err := take(); err != nil {
		t.Errorf("from the block in hand: %v", err)
	}
	var err error
	for err == nil {
		err = take()
	}
	if !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("past the block = %v, want STORE_UNAVAILABLE", err)
	}
	if err := m.Settle(t.Context()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Settle = %v, want STORE_UNAVAILABLE", err)
	}
	if _, err := m.Spend(t.Context(), acme, uploads, 1, limit, "k", nil); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Spend = %v, want STORE_UNAVAILABLE", err)
	}
	if _, _, err := m.Usage(t.Context(), acme, makerguard.Meters()); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Usage = %v, want STORE_UNAVAILABLE", err)
	}
	c.advance(time.Minute) // the lease runs out meanwhile
	s.cut.Store(false)
	for take() == nil {
	}
	settle(t, m, 3)
	if got, want := march(t, s, c.Now()), (makerguard.Count{Taken: limit, Spent: limit}); total != limit || got != want {
		t.Errorf("%d granted, the store counts %+v; want %d and %+v", total, got, limit, want)
	}
}

func TestReserve_CallerWhoLeavesStopsWaiting(t *testing.T) {
	s := openStore(t)
	m := newMeters(t, s, newClock().Now)
	gate := make(chan struct{})
	s.gate.Store(&gate)
	var wg sync.WaitGroup
	wg.Go(func() { use(t, m, 1, 50) })
	for s.leases.Load() == 0 { // until the first caller is at the store
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.Reserve(ctx, acme, uploads, 1, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("Reserve = %v, want context.Canceled", err)
	}
	close(gate)
	wg.Wait()
}

func TestSpend_OnceForEachKey(t *testing.T) {
	s, c := openStore(t), newClock()
	m, other := newMeters(t, s, c.Now), newMeters(t, s, c.Now)
	first, err := m.Spend(t.Context(), acme, uploads, 30, 50, "order-1", []byte("a"))
	if want := (makerguard.SpendResult{Spent: true, Used: 30}); err != nil || first != want {
		t.Fatalf("Spend = %+v, %v, want %+v", first, err, want)
	}
	again, err := other.Spend(t.Context(), acme, uploads, 30, 50, "order-1", []byte("a"))
	if want := (makerguard.SpendResult{Spent: true, Used: 30, Replayed: true}); err != nil || again != want {
		t.Errorf("Spend again = %+v, %v, want %+v", again, err, want)
	}
	if _, err := m.Spend(t.Context(), acme, uploads, 30, 50, "order-1", []byte("b")); !errors.Is(err, makerguard.IdempotencyMismatch) {
		t.Errorf("Spend of another request = %v, want IDEMPOTENCY_MISMATCH", err)
	}
	refused, err := m.Spend(t.Context(), acme, uploads, 21, 50, "order-2", []byte("c"))
	if e := wantLimited(t, err); e.RetryAfter <= 0 || refused.Used != 30 {
		t.Errorf("Spend = %+v, RetryAfter %v, want 30 used", refused, e.RetryAfter)
	}
	if res, err := m.Spend(t.Context(), acme, uploads, 21, 100, "order-2", []byte("c")); err != nil || !res.Spent {
		t.Errorf("Spend of what had been refused = %+v, %v, want it spent", res, err)
	}
	c.advance(25 * time.Hour)
	if res, err := m.Spend(t.Context(), acme, uploads, 30, 100, "order-1", []byte("a")); err != nil || res.Replayed {
		t.Errorf("Spend a day later = %+v, %v, want it spent anew", res, err)
	}
}

func TestSpend_TwiceInFlightCountsOnce(t *testing.T) {
	const callers = 64
	s, c := openStore(t), newClock()
	nodes := []*quota.Meters{newMeters(t, s, c.Now), newMeters(t, s, c.Now)}
	var fresh, replayed atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			res, err := nodes[i%2].Spend(t.Context(), acme, uploads, 5, 50, "order", []byte("a"))
			switch {
			case err != nil || res.Used != 5:
				t.Errorf("Spend = %+v, %v", res, err)
			case res.Replayed:
				replayed.Add(1)
			default:
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 || replayed.Load() != callers-1 {
		t.Errorf("%d spent and %d replayed, want 1 and %d", fresh.Load(), replayed.Load(), callers-1)
	}
	if got := used(t, nodes[0]); got != 5 {
		t.Errorf("used = %d, want 5", got)
	}
}

func TestSpend_OwnBlockDoesNotStandInTheWay(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	for range 3 {
		use(t, m, 1, 100)
	}
	if _, err := m.Spend(t.Context(), acme, uploads, 97, 100, "", nil); err != nil {
		t.Errorf("Spend of all that is left: %v", err)
	}
	if got := used(t, m); got != 100 {
		t.Errorf("used = %d, want 100", got)
	}
	_, _, err := m.Reserve(t.Context(), acme, uploads, 1, 100)
	wantLimited(t, err)
}

func TestUsage_IsExactWhileOthersCount(t *testing.T) {
	s, c := openStore(t), newClock()
	m := newMeters(t, s, c.Now)
	// started counts before and ended after, so true use lies between them.
	var started, ended atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				started.Add(1)
				use(t, m, 1, 100_000)
				ended.Add(1)
			}
		})
	}
	for range 50 {
		least := ended.Load()
		got := used(t, m)
		if most := started.Load(); got < least || got > most {
			t.Errorf("used = %d, want %d to %d", got, least, most)
		}
		settle(t, m, 1)
	}
	wg.Wait()
	if got := used(t, m); got != 4000 {
		t.Errorf("used = %d, want 4000", got)
	}
}

// Whatever two nodes do, in whatever order and over outages, use never exceeds the limit,
// and in the end the store has counted what was used, plus at most what outages and
// the killed node cost.
func TestMeters_NeverExceedTheLimit(t *testing.T) {
	s := openStore(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		a := makerguard.MeterAccount{ManufacturerID: makerguard.ManufacturerID(fmt.Sprintf("mfr_%d", n))}
		key := makerguard.CounterKey{ManufacturerID: a.ManufacturerID, Meter: uploads, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
		c := newClock()
		limit := rapid.Int64Range(1, 400).Draw(rt, "limit")
		nodes := []*quota.Meters{newMeters(t, s, c.Now), newMeters(t, s, c.Now)}
		s.cut.Store(false)
		lossy := false
		var spent, reserved int64
		type open struct {
			r makerguard.Reservation
			n int64
		}
		var pending []open
		node := rapid.SampledFrom(nodes)
		amount := rapid.Int64Range(1, 40)
		check := func() {
			if spent+reserved > limit {
				rt.Fatalf("%d spent and %d reserved exceed the limit of %d", spent, reserved, limit)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": func(rt *rapid.T) {
				amount := amount.Draw(rt, "amount")
				r, _, err := node.Draw(rt, "node").Reserve(t.Context(), a, uploads, amount, limit)
				if err == nil {
					pending, reserved = append(pending, open{r, amount}), reserved+amount
				}
				check()
			},
			"end": func(rt *rapid.T) {
				if len(pending) == 0 {
					rt.Skip("none open")
				}
				o := pending[0]
				pending, reserved = pending[1:], reserved-o.n
				if rapid.Bool().Draw(rt, "commit") {
					spent += o.n
					o.r.Commit()
				} else {
					o.r.Release()
				}
			},
			"spend": func(rt *rapid.T) {
				amount := amount.Draw(rt, "amount")
				if _, err := node.Draw(rt, "node").Spend(t.Context(), a, uploads, amount, limit, "", nil); err == nil {
					spent += amount
				}
				check()
			},
			"settle": func(rt *rapid.T) { _ = node.Draw(rt, "node").Settle(t.Context()) },
			"pause": func(rt *rapid.T) {
				lossy = true // a lease may run out
				c.advance(time.Duration(rapid.IntRange(1, 15).Draw(rt, "seconds")) * time.Second)
			},
			"outage": func(*rapid.T) {
				lossy = true
				s.cut.Store(!s.cut.Load())
			},
		})
		s.cut.Store(false)
		for _, o := range pending {
			spent += o.n
			o.r.Commit()
		}
		for _, m := range nodes {
			if err := m.Close(t.Context()); err != nil {
				rt.Fatalf("Close: %v", err)
			}
		}
		c.advance(time.Minute)
		counts, err := s.Counts(t.Context(), []makerguard.CounterKey{key}, c.Now())
		if err != nil {
			rt.Fatal(err)
		}
		got := counts[0]
		if got.Spent != got.Taken || got.Spent < spent || got.Spent > limit || !lossy && got.Spent != spent {
			rt.Fatalf("the store counts %+v, want at least %d and at most %d, exactly so without outage or pause: %v", got, spent, limit, !lossy)
		}
	})
}

func TestReserve_AllocatesNothing(t *testing.T) {
	m := newMeters(t, openStore(t), newClock().Now)
	use(t, m, 1, makerguard.Unlimited)
	use(t, m, 1, makerguard.Unlimited)
	ctx := t.Context()
	n := testing.AllocsPerRun(100, func() {
		r, _, err := m.Reserve(ctx, acme, uploads, 1, makerguard.Unlimited)
		if err != nil {
			t.Fatal(err)
		}
		r.Commit()
	})
	if n != 0 {
		t.Errorf("Reserve and Commit allocate %v times", n)
	}
}

func TestNew_TellsEverythingWrong(t *testing.T) {
	_, err := quota.New(quota.Config{LeaseTTL: time.Second, KeepKeys: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("New = %v, want three problems", err)
	}
}

func BenchmarkReserve(b *testing.B) {
	m := newMeters(b, openStore(b), time.Now)
	ctx := b.Context()
	b.Run("commit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _, err := m.Reserve(ctx, acme, uploads, 1, makerguard.Unlimited)
			if err != nil {
				b.Fatal(err)
			}
			r.Commit()
		}
	})
	b.Run("release", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _, err := m.Reserve(ctx, acme, uploads, 1, 1_000_000_000)
			if err != nil {
				b.Fatal(err)
			}
			r.Release()
		}
	})
}
