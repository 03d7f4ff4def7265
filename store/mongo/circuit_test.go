package mongo_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
	"github.com/makerguard/makerguard/test/faultproxy"
)

// clock is one that tests move.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

var (
	errAway   = topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}
	errAnswer = errors.New("the server said no")
)

// through counts how many of n operations a circuit lets through; each ends with result.
func through(t *testing.T, c mongo.Circuit, n int, result error) int {
	t.Helper()
	passed := 0
	for range n {
		err := c.Do(t.Context(), func() error {
			passed++
			return result
		})
		if errors.Is(err, makerguard.StoreUnavailable) {
			e, _ := errors.AsType[*makerguard.Error](err)
			if e.RetryAfter <= 0 || e.Message == "" {
				t.Errorf("refused with %+v, want when to try again and what to do", e)
			}
		}
	}
	return passed
}

func TestCircuit_OpensWhenNoServerIsInSight(t *testing.T) {
	now := &clock{time.Now()}
	c := mongo.NewCircuit(func() time.Time { return now.now })
	c.Seen(false)
	now.pass(500 * time.Millisecond)
	if n := through(t, c, 3, errAway); n != 3 {
		t.Errorf("%d of 3 let through half a second after the server was seen, want all: it may be a broken connection", n)
	}
	now.pass(time.Second)
	c.Seen(false)
	for range 3 {
		if n := through(t, c, 10, errAway); n != 1 {
			t.Errorf("%d of 10 let through in a second without a server, want 1", n)
		}
		now.pass(time.Second)
	}
	c.Seen(true)
	if n := through(t, c, 10, nil); n != 10 {
		t.Errorf("%d of 10 let through when the server is back, want all", n)
	}
}

func TestCircuit_OpensWhenNothingIsAnswered(t *testing.T) {
	now := &clock{time.Now()}
	c := mongo.NewCircuit(func() time.Time { return now.now })
	if n := through(t, c, 20, errAway); n != 6 { // the sixth is the first look whether it is back
		t.Errorf("%d of 20 let through to a server that answers nothing, want 5 and one to look again", n)
	}
	now.pass(time.Second)
	if n := through(t, c, 5, errAnswer); n != 5 {
		t.Errorf("%d of 5 let through after an answer, want all: an error of the server is an answer", n)
	}
}

func TestCircuit_StaysClosedWhileOthersAreAnswered(t *testing.T) {
	now := &clock{time.Now()}
	c := mongo.NewCircuit(func() time.Time { return now.now })
	for range 20 { // each is slow, and something else is answered meanwhile
		_ = c.Do(t.Context(), func() error {
			now.pass(time.Second)
			_ = c.Do(t.Context(), func() error { return nil })
			return context.DeadlineExceeded
		})
	}
	if n := through(t, c, 10, nil); n != 10 {
		t.Errorf("%d of 10 let through, want all: the server answers", n)
	}
}

func TestCircuit_ACallerWhoLeavesSaysNothing(t *testing.T) {
	c := mongo.NewCircuit(time.Now)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		_ = c.Do(gone, func() error { return topology.ServerSelectionError{Wrapped: context.Canceled} })
	}
	if n := through(t, c, 10, nil); n != 10 {
		t.Errorf("%d of 10 let through, want all", n)
	}
}

// behind opens a store whose connections pass through a proxy.
func behind(t *testing.T, options string) (*mongo.Store, *faultproxy.Proxy) {
	t.Helper()
	uri := newURI(t)
	p, err := faultproxy.New(hostOf(t, uri))
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, mongo.Config{URI: at(t, uri, p.Addr(), "directConnection=true", options)})
	t.Cleanup(func() { _ = p.Close() })
	return s, p
}

// TestCircuit_NothingPilesUpWhileTheServerIsAway takes the server away under a real store
// and brings it back.
//
// goal: V16.5.2
func TestCircuit_NothingPilesUpWhileTheServerIsAway(t *testing.T) {
	for name, test := range map[string]struct {
		fault   faultproxy.Fault
		options string
	}{
		"stopped":          {faultproxy.Fault{Refuse: true}, "serverSelectionTimeoutMS=500"},
		"answers no more":  {faultproxy.Fault{Silent: true}, "timeoutMS=500"},
		"has no primary":   {faultproxy.Fault{Code: 10107, CodeName: "NotWritablePrimary"}, "timeoutMS=1000"},
		"is shutting down": {faultproxy.Fault{Code: 91, CodeName: "ShutdownInProgress"}, "timeoutMS=1000"},
	} {
		t.Run(name, func(t *testing.T) {
			s, proxy := behind(t, test.options)
			read := func() error {
				_, err := s.Manufacturer(t.Context(), "mfr_none")
				return err
			}
			proxy.Set(test.fault)
			all := func() (slowest time.Duration) {
				var mu sync.Mutex
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						began := time.Now()
						err := read()
						took := time.Since(began)
						mu.Lock()
						defer mu.Unlock()
						slowest = max(slowest, took)
						if makerguard.CodeOf(err) != makerguard.StoreUnavailable {
							t.Errorf("a read while the server is away = %v, want STORE_UNAVAILABLE", err)
						}
					})
				}
				wg.Wait()
				return slowest
			}
			if first := all(); first > 4*time.Second {
				t.Errorf("the slowest of the first 50 reads took %v, want their limit", first)
			}
			proxy.Set(faultproxy.Fault{})
			waitFor(t, func() bool { return makerguard.CodeOf(read()) == makerguard.NotFound })
		})
	}
}

// waitFor waits until something is so, for ten seconds at most.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("it did not come to be so in ten seconds")
		}
	}
}

// TestCircuit_FailsFastOnceTheServerIsKnownToBeAway bounds what a request costs then.
func TestCircuit_FailsFastOnceTheServerIsKnownToBeAway(t *testing.T) {
	s, proxy := behind(t, "serverSelectionTimeoutMS=500")
	proxy.Set(faultproxy.Fault{Refuse: true})
	fast := 0
	for began := time.Now(); fast < 10; {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d reads in a row failed at once, want 10", fast)
		}
		at := time.Now()
		_, err := s.Manufacturer(t.Context(), "mfr_none")
		if makerguard.CodeOf(err) != makerguard.StoreUnavailable {
			t.Fatalf("a read while the server is away = %v, want STORE_UNAVAILABLE", err)
		}
		if fast++; time.Since(at) > 50*time.Millisecond {
			fast = 0 // the one that looks whether it is back
		}
	}
}
