package abuse_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/store/sqlite"
)

type world struct {
	t     *testing.T
	store *sqlite.Store

	mu      sync.Mutex
	now     time.Time
	entries []makerguard.AuditEntry
	history []makerguard.Threat
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.store = s
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Record(_ context.Context, e makerguard.AuditEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, e)
	return nil
}

func (w *world) RecordThreat(_ context.Context, t makerguard.Threat) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, t)
	return nil
}

func (w *world) audited(action string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		if e.Action == action {
			n++
		}
	}
	return n
}

func (w *world) service(change func(*abuse.Config)) *abuse.Service {
	w.t.Helper()
	cfg := abuse.Config{Store: w.store, Audit: w, Threats: w, Now: w.clock}
	if change != nil {
		change(&cfg)
	}
	s, err := abuse.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

const address = "203.0.113.7"

func (w *world) threat(severity makerguard.Severity) makerguard.Threat {
	return makerguard.Threat{
		IP: address, Route: "POST /api/products", Blocked: true, DetectedAt: w.clock(),
		Finding: makerguard.Finding{Type: makerguard.SQLInjection, Severity: severity, Rule: "sqli.tautology"},
	}
}

func (w *world) attack(s *abuse.Service, n int, t makerguard.Threat) {
	for range n {
		t.DetectedAt = w.clock()
		s.ObserveThreat(w.t.Context(), t)
	}
	s.Settle(w.t.Context())
}

func (w *world) blocks(s *abuse.Service) []makerguard.Block {
	w.t.Helper()
	bs, err := s.Blocks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return bs
}

func blocked(err error) bool { return errors.Is(err, makerguard.SecurityThreatDetected) }
