package feed_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore is a feed whose every answer the test decides; a real store cannot be made
// to hang or fail at a given moment.
type fakeStore struct {
	mu      sync.Mutex
	changes []makerguard.Change
	err     error
	hang    time.Duration // how long a call takes unless its context ends
	lost    bool          // answer with the empty cursor
	calls   int
}

func (s *fakeStore) Changes(ctx context.Context, after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor, error) {
	s.mu.Lock()
	s.calls++
	hang := s.hang
	s.mu.Unlock()
	select {
	case <-time.After(hang):
	case <-ctx.Done():
		return nil, "", &makerguard.Error{Code: makerguard.StoreUnavailable, Err: ctx.Err()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, "", s.err
	}
	if s.lost {
		return nil, "", nil
	}
	end := makerguard.Cursor(strconv.Itoa(len(s.changes)))
	if after == "" {
		return nil, end, nil
	}
	n, err := strconv.Atoi(string(after))
	if err != nil {
		return nil, "", err
	}
	return s.changes[n:], end, nil
}

func (s *fakeStore) announce(ids ...makerguard.MemberID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.changes = append(s.changes, makerguard.Change{Kind: makerguard.MemberChanged, MemberID: id})
	}
}

func (s *fakeStore) set(f func(*fakeStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// inbox is a subscriber that remembers.
type inbox struct {
	mu  sync.Mutex
	got []makerguard.MemberID
}

func (b *inbox) apply(c makerguard.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, c.MemberID)
}

func (b *inbox) want(t *testing.T, when string, want ...makerguard.MemberID) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.got); diff != "" {
		t.Errorf("changes handed out %s (-want +got):\n%s", when, diff)
	}
}

func newFeed(t *testing.T, c feed.Config) *feed.Feed {
	t.Helper()
	f, err := feed.New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return f
}

// run runs f until the test is over.
func run(t *testing.T, f *feed.Feed) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
}

// pass lets d of the bubble's time go by, and all that happens then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRun_HandsEachChangeToEachSubscriberInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		f := newFeed(t, feed.Config{Store: store})
		var first, second inbox
		var order []string
		f.Subscribe(func(c makerguard.Change) { order = append(order, "first "+string(c.MemberID)); first.apply(c) })
		f.Subscribe(func(c makerguard.Change) { order = append(order, "second "+string(c.MemberID)); second.apply(c) })
		run(t, f)
		synctest.Wait()
		store.announce("a", "b")
		pass(250 * time.Millisecond)
		first.want(t, "within an interval", "a", "b")
		second.want(t, "within an interval", "a", "b")
		store.announce("c")
		pass(250 * time.Millisecond)
		first.want(t, "after the next", "a", "b", "c")
		want := []string{"first a", "second a", "first b", "second b", "first c", "second c"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order of calls (-want +got):\n%s", diff)
		}
		pass(time.Second)
		first.want(t, "when nothing is new", "a", "b", "c")
	})
}

// TestRun_MissesNothingSinceStart has changes made between Start, after which caches may
// be filled, and Run handed out.
func TestRun_MissesNothingSinceStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		store.announce("before")
		f := newFeed(t, feed.Config{Store: store})
		var in inbox
		f.Subscribe(in.apply)
		if err := f.Start(t.Context()); err != nil {
			t.Fatalf("Start: %v", err)
		}
		store.announce("between")
		if err := f.Start(t.Context()); err != nil { // must not move the place
			t.Fatalf("Start again: %v", err)
		}
		run(t, f)
		synctest.Wait()
		in.want(t, "at once", "between")
	})
}

func TestStart_TellsThatTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{err: &makerguard.Error{Code: makerguard.StoreUnavailable}}
		f := newFeed(t, feed.Config{Store: store})
		if err := f.Start(t.Context()); !errors.Is(err, makerguard.StoreUnavailable) {
			t.Errorf("Start = %v, want STORE_UNAVAILABLE", err)
		}
		if f.Fresh(time.Now()) {
			t.Error("Fresh = true though nothing was read")
		}
		store.set(func(s *fakeStore) { s.err = nil })
		if err := f.Start(t.Context()); err != nil {
			t.Errorf("Start again: %v", err)
		}
		if !f.Fresh(time.Now()) {
			t.Error("Fresh = false after Start")
		}
	})
}

// TestFresh_EndsWhenTheFeedCannotBeRead is the bound on how long a revoked session can be honoured.
//
// goal: V16.5.2
func TestFresh_EndsWhenTheFeedCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		f := newFeed(t, feed.Config{Store: store})
		var in inbox
		f.Subscribe(in.apply)
		if f.Fresh(time.Now()) {
			t.Error("Fresh = true before anything was read")
		}
		run(t, f)
		synctest.Wait()
		lastRead := time.Now()
		store.set(func(s *fakeStore) { s.err = errors.New("gone") })
		store.announce("meanwhile")
		pass(5 * time.Second)
		if !f.Fresh(time.Now()) {
			t.Error("Fresh = false 5 s after the last read, want true")
		}
		if f.Fresh(lastRead.Add(5*time.Second + time.Millisecond)) {
			t.Error("Fresh = true later than 5 s after the last read")
		}
		pass(time.Second)
		if f.Fresh(time.Now()) {
			t.Error("Fresh = true 6 s after the last read")
		}
		store.set(func(s *fakeStore) { s.err = nil })
		pass(250 * time.Millisecond)
		if !f.Fresh(time.Now()) {
			t.Error("Fresh = false after the store came back")
		}
		in.want(t, "after the store came back", "meanwhile")
	})
}

// TestFresh_CountsFromTheBeginningOfTheRead allows for a change that is announced
// while a slow store makes up its answer.
func TestFresh_CountsFromTheBeginningOfTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{hang: 900 * time.Millisecond}
		f := newFeed(t, feed.Config{Store: store})
		began := time.Now()
		if err := f.Start(t.Context()); err != nil {
			t.Fatalf("Start: %v", err)
		}
		if !f.Fresh(began.Add(5 * time.Second)) {
			t.Error("Fresh = false 5 s after the read began")
		}
		if f.Fresh(began.Add(5*time.Second + 1)) {
			t.Error("Fresh = true later than 5 s after the read began")
		}
	})
}

// TestFresh_OnlyAfterTheChangesWereHandedOut has no moment when a cache is trusted again
// that has not yet dropped what it must.
func TestFresh_OnlyAfterTheChangesWereHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		f := newFeed(t, feed.Config{Store: store})
		var during []bool
		f.Subscribe(func(makerguard.Change) { during = append(during, f.Fresh(time.Now())) })
		if err := f.Start(t.Context()); err != nil {
			t.Fatalf("Start: %v", err)
		}
		store.announce("a")
		time.Sleep(6 * time.Second)
		run(t, f)
		synctest.Wait()
		if diff := cmp.Diff([]bool{false}, during); diff != "" {
			t.Errorf("Fresh while changes are handed out (-want +got):\n%s", diff)
		}
		if !f.Fresh(time.Now()) {
			t.Error("Fresh = false afterwards")
		}
	})
}

// goal: V16.5.2
func TestRun_GivesUpAReadThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		f := newFeed(t, feed.Config{Store: store})
		var in inbox
		f.Subscribe(in.apply)
		run(t, f)
		synctest.Wait()
		store.set(func(s *fakeStore) { s.hang, s.calls = time.Hour, 0 })
		store.announce("meanwhile")
		pass(10 * time.Second)
		if f.Fresh(time.Now()) {
			t.Error("Fresh = true while every read hangs")
		}
		store.mu.Lock()
		if store.calls < 8 || store.calls > 12 {
			t.Errorf("%d reads in 10 s, want about one a second", store.calls)
		}
		store.mu.Unlock()
		store.set(func(s *fakeStore) { s.hang = 0 })
		pass(1250 * time.Millisecond)
		if !f.Fresh(time.Now()) {
			t.Error("Fresh = false after reads work again")
		}
		in.want(t, "after reads work again", "meanwhile")
	})
}

// TestRun_TakesNoAnswerWithoutACursor refuses one that would skip changes in silence.
func TestRun_TakesNoAnswerWithoutACursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{lost: true}
		f := newFeed(t, feed.Config{Store: store})
		if err := f.Start(t.Context()); err == nil || f.Fresh(time.Now()) {
			t.Errorf("Start = %v and Fresh = %v, want an error and false", err, f.Fresh(time.Now()))
		}
	})
}

func TestRun_LogsOnceForARowOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		store := &fakeStore{err: errors.New("the disk is on fire")}
		f := newFeed(t, feed.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		run(t, f)
		pass(3 * time.Second)
		store.set(func(s *fakeStore) { s.err = nil })
		pass(time.Second)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "the disk is on fire") || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[1], "level=INFO") {
			t.Errorf("log has %d lines, want a warning with the cause and an all-clear:\n%s", len(lines), out.String())
		}
	})
}

func TestSubscribe_WhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		f := newFeed(t, feed.Config{Store: store})
		run(t, f)
		synctest.Wait()
		var boxes [50]inbox
		for i := range boxes {
			go func() {
				f.Subscribe(boxes[i].apply)
				f.Fresh(time.Now())
			}()
		}
		synctest.Wait()
		store.announce("a")
		pass(250 * time.Millisecond)
		for i := range boxes {
			boxes[i].want(t, "to a late subscriber", "a")
		}
	})
}

func TestNew_ReportsEverythingWrong(t *testing.T) {
	_, err := feed.New(feed.Config{Interval: -1, MaxAge: -2})
	if err == nil {
		t.Fatal("New gave no error")
	}
	for _, want := range []string{"store", "interval", "maximum age"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want it to mention %q", err, want)
		}
	}
	if _, err := feed.New(feed.Config{Store: &fakeStore{}, Interval: time.Second, MaxAge: time.Second}); err == nil {
		t.Error("New with an interval as long as the maximum age gave no error")
	}
}
