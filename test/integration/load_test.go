package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loadFor = flag.Duration("load", time.Second, "how long each stage of TestLoad drives the server")

// clients is how many connections drive the server at once.
const clients = 16

// load is what one stage measured.
type load struct {
	requests int
	took     time.Duration
	latency  []time.Duration // sorted
}

func (l load) String() string {
	at := func(q float64) time.Duration { return l.latency[int(q*float64(len(l.latency)-1))] }
	return fmt.Sprintf("%7.0f requests/s, p50 %v, p99 %v (%d requests)",
		float64(l.requests)/l.took.Seconds(), at(.5).Round(time.Microsecond), at(.99).Round(time.Microsecond), l.requests)
}

// drive has clients send requests for a while and fails on the first that is not
// answered 200.
func drive(t *testing.T, d time.Duration, request func() *http.Request) load {
	t.Helper()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		all      []time.Duration
		problems []error
	)
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			var err error
			for time.Since(begin) < d && err == nil {
				start := time.Now()
				var res *http.Response
				if res, err = client.Do(request()); err != nil {
					break
				}
				_, err = io.Copy(io.Discard, res.Body)
				err = errors.Join(err, res.Body.Close())
				if res.StatusCode != http.StatusOK {
					err = errors.Join(err, fmt.Errorf("status %d", res.StatusCode))
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				problems = append(problems, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(problems...); err != nil {
		t.Fatalf("under load: %v", err)
	}
	slices.Sort(all)
	return load{requests: len(all), took: time.Since(begin), latency: all}
}

// Validation, forward-auth and a storm of sign-ins, with their figures printed. Only that
// nothing fails is asserted; how fast is for docs/evidence.
func TestLoad(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1", "--log-level", "error")
	a, token := s.signUp(t, "load")
	s.setTier(t, s.operator(t), a, "enterprise") // a free manufacturer's API calls would be used up
	get := func(path string, header map[string]string) func() *http.Request {
		return func() *http.Request {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
			if err != nil {
				panic(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			for k, v := range header {
				r.Header.Set(k, v)
			}
			return r
		}
	}
	sessions := get("/v1/auth/sessions", nil)
	forward := get("/v1/forward-auth", map[string]string{"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/api/products/52_18-140?page=2"})
	drive(t, *loadFor/4, forward) // warm up
	t.Logf("forward-auth:                       %v", drive(t, *loadFor, forward))
	t.Logf("sessions, read from the store:      %v", drive(t, *loadFor, sessions))

	// goal: V15.1.3 — a storm of sign-ins is bounded, and everything else goes on meanwhile.
	var in, later atomic.Int64
	var storm sync.WaitGroup
	body, err := json.Marshal(m{"email": s.register(t, "storm").email, "password": password}) // whose sessions may push one another out
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		storm.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/auth/login", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := client.Do(req)
			if err != nil {
				t.Errorf("sign-in in the storm: %v", err)
				return
			}
			defer res.Body.Close()
			switch {
			case res.StatusCode == http.StatusOK:
				in.Add(1)
			case (res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests) && res.Header.Get("Retry-After") != "":
				later.Add(1)
			default:
				t.Errorf("sign-in in the storm: %d with Retry-After %q, want 200, or 503 or 429 with Retry-After", res.StatusCode, res.Header.Get("Retry-After"))
			}
		})
	}
	during := drive(t, *loadFor, forward)
	storm.Wait()
	t.Logf("forward-auth, 200 sign-ins at once: %v", during)
	t.Logf("the sign-ins: %d went through, %d were asked to come later", in.Load(), later.Load())
	if in.Load() == 0 {
		t.Error("no sign-in of the storm went through")
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)); err == nil {
		for line := range bytes.Lines(status) {
			if bytes.HasPrefix(line, []byte("VmHWM")) {
				t.Logf("peak memory: %s", bytes.TrimSpace(line))
			}
		}
	}
}
