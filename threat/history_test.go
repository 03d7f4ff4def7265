package threat_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/sqlite"
	"github.com/makerguard/makerguard/threat"
)

// openHistory gives a log over a real store, with a clock that the test may move.
func openHistory(t *testing.T, retention time.Duration) (*threat.Log, *time.Time) {
	t.Helper()
	now := testTime.Truncate(time.Millisecond)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := threat.NewLog(threat.LogConfig{Store: s, Now: func() time.Time { return now }, Retention: retention})
	if err != nil {
		t.Fatal(err)
	}
	return l, &now
}

// sighted records n requests of a manufacturer with one finding each.
func sighted(t *testing.T, l *threat.Log, mfr makerguard.ManufacturerID, n int) []makerguard.EventID {
	t.Helper()
	var ids []makerguard.EventID
	for i := range n {
		ts, err := l.Record(t.Context(), threat.Sighting{
			Principal: &makerguard.Principal{ManufacturerID: mfr}, Route: "POST /notes",
			Blocked: []makerguard.Finding{{Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.tag", Input: fmt.Sprint("q", i), Score: 5}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ts[0].ID)
	}
	slices.Reverse(ids)
	return ids
}

func TestLog_ExportVisitsEveryEntryOnce(t *testing.T) {
	l, _ := openHistory(t, 0)
	want := sighted(t, l, "mfr_1", 450) // three pages
	sighted(t, l, "mfr_2", 3)
	var got []makerguard.EventID
	visit := func(e makerguard.Threat) error { got = append(got, e.ID); return nil }
	if err := l.Export(t.Context(), makerguard.ThreatFilter{ManufacturerID: "mfr_1"}, visit); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	got = nil
	if err := l.Export(t.Context(), makerguard.ThreatFilter{AllTenants: true}, visit); err != nil || len(got) != 453 {
		t.Errorf("Export of all: %d entries, %v, want 453", len(got), err)
	}
}

func TestLog_ExportEndsEarly(t *testing.T) {
	l, _ := openHistory(t, 0)
	sighted(t, l, "mfr_1", 250)
	enough := errors.New("enough")
	n := 0
	err := l.Export(t.Context(), makerguard.ThreatFilter{ManufacturerID: "mfr_1"}, func(makerguard.Threat) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("Export = %v after %d entries, want %v after 3", err, n, enough)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err = l.Export(ctx, makerguard.ThreatFilter{ManufacturerID: "mfr_1"}, func(makerguard.Threat) error {
		if n++; n == 200 { // the last of a page
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 200 {
		t.Errorf("Export = %v after %d entries, want %v after 200", err, n, context.Canceled)
	}
	if err := l.Export(t.Context(), makerguard.ThreatFilter{}, nil); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("Export of nobody's = %v, want VALIDATION_FAILED", err)
	}
}

func TestLog_PruneRemovesWhatIsOlderThanTheRetention(t *testing.T) {
	l, now := openHistory(t, 30*24*time.Hour)
	old := sighted(t, l, "mfr_1", 3)
	*now = now.Add(30 * 24 * time.Hour)
	kept := sighted(t, l, "mfr_1", 2)
	if n, err := l.Prune(t.Context()); err != nil || n != 0 {
		t.Errorf("Prune at 30 days removed %d, %v, want none", n, err)
	}
	*now = now.Add(time.Millisecond)
	if n, err := l.Prune(t.Context()); err != nil || n != len(old) {
		t.Errorf("Prune after 30 days removed %d, %v, want %d", n, err, len(old))
	}
	ts, err := l.List(t.Context(), makerguard.ThreatFilter{ManufacturerID: "mfr_1"})
	if err != nil || len(ts) != 2 || ts[0].ID != kept[0] {
		t.Errorf("left %v, %v, want the two of later", ts, err)
	}
}

// pruned counts what is asked to be removed.
type pruned struct {
	threat.Store
	left  int
	steps []int
	err   error
}

func (s *pruned) DeleteThreats(_ context.Context, _ time.Time, limit int) (int, error) {
	n := min(s.left, limit)
	s.left -= n
	s.steps = append(s.steps, limit)
	return n, s.err
}

func TestLog_PruneGoesInBoundedSteps(t *testing.T) {
	for _, c := range []struct{ left, steps, removed int }{{0, 1, 0}, {999, 1, 999}, {1000, 2, 1000}, {2500, 3, 2500}, {1_000_000, 200, 200_000}} {
		s := &pruned{left: c.left}
		n, err := newLog(t, s).Prune(t.Context())
		if err != nil || n != c.removed || len(s.steps) != c.steps || slices.Max(s.steps) > 1000 {
			t.Errorf("Prune of %d: %d in %d steps, %v, want %d in %d", c.left, n, len(s.steps), err, c.removed, c.steps)
		}
	}
	away := &pruned{left: 10, err: makerguard.StoreUnavailable}
	if n, err := newLog(t, away).Prune(t.Context()); !errors.Is(err, makerguard.StoreUnavailable) || n != 10 {
		t.Errorf("Prune = %d, %v, want 10, STORE_UNAVAILABLE", n, err)
	}
}

func TestNewLog_RetentionIsADayAtLeast(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, -time.Hour} {
		if _, err := threat.NewLog(threat.LogConfig{Store: &fakeStore{}, Retention: d}); err == nil {
			t.Errorf("NewLog with a retention of %v gives no error", d)
		}
	}
}

// A request that holds many findings does not fill the history, and hides none of its kinds.
func TestLog_RecordIsBounded(t *testing.T) {
	s := &fakeStore{}
	fs := make([]makerguard.Finding, 20_000)
	for i := range fs {
		fs[i] = finding("xss.tag", fmt.Sprint("q", i), 5)
	}
	fs[19_000].Rule = "sqli.union"
	watched := []makerguard.Finding{finding("jndi.lookup", "h", 5), finding("xss.tag", "h", 5)}
	ts, err := newLog(t, s).Record(t.Context(), threat.Sighting{Route: "POST /", Blocked: fs, Watched: watched})
	if err != nil {
		t.Fatal(err)
	}
	if len(ts) != 20_002 || len(s.entries) != 102 {
		t.Errorf("%d entries, %d of them stored, want 20002 and 102", len(ts), len(s.entries))
	}
	if last := s.entries[100:]; last[0].Rule != "sqli.union" || !last[0].Blocked || last[1].Rule != "jndi.lookup" || last[1].Blocked {
		t.Errorf("the last two stored are %v, want one of each rule", last)
	}
	for i, e := range ts {
		stored := i < 100 || e.Rule != "xss.tag"
		if (e.ID != "") != stored {
			t.Errorf("entry %d of %s has id %q, and stored is %v", i, e.Rule, e.ID, stored)
		}
	}
}

// goal: V16.2.5
func TestLog_NoSecretReachesTheStore(t *testing.T) {
	s := &fakeStore{}
	const canary = "c4n4ryXk29QpLm7ZtR"
	l := newLog(t, s)
	if _, err := l.Record(t.Context(), threat.Sighting{
		Client: makerguard.Client{UserAgent: "x password=" + canary, RequestID: "req_1"}, Route: "GET /reset/0" + canary + "9aa",
		Watched: []makerguard.Finding{{Rule: "xss.tag", Input: "body/password=" + canary, Evidence: `<b token="` + canary + `">`}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.RecordThreat(t.Context(), makerguard.Threat{Finding: makerguard.Finding{Evidence: "Bearer " + canary}}); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.entries {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, canary[4:]) {
			t.Errorf("stored %s", text)
		}
	}
}

// What is told of an entry is what was stored, and nothing that was not.
func TestLog_ObserveIsToldOfWhatIsStored(t *testing.T) {
	s := &fakeStore{}
	var told []makerguard.Threat
	l, err := threat.NewLog(threat.LogConfig{Store: s, Observe: func(_ context.Context, e makerguard.Threat) { told = append(told, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Record(t.Context(), threat.Sighting{Route: "GET /", Blocked: make([]makerguard.Finding, 150)}); err != nil {
		t.Fatal(err)
	}
	if err := l.RecordThreat(t.Context(), makerguard.Threat{Finding: makerguard.Finding{Rule: "auth.refresh_reuse"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.entries, told); diff != "" || len(told) != 101 {
		t.Errorf("%d entries told of; (-stored +told):\n%s", len(told), diff)
	}
	s.err = makerguard.StoreUnavailable
	if err := l.RecordThreat(t.Context(), makerguard.Threat{}); err == nil || len(told) != 101 {
		t.Errorf("RecordThreat = %v, and %d entries told of, want an error and 101", err, len(told))
	}
}
