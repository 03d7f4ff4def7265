package threat_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// fakeStore keeps entries in memory and remembers the filter it was asked with.
type fakeStore struct {
	threat.Store // what a test does not expect to be called
	entries      []makerguard.Threat
	asked        makerguard.ThreatFilter
	err          error
}

func (s *fakeStore) AppendThreats(_ context.Context, ts []makerguard.Threat) error {
	if s.err != nil {
		return s.err
	}
	s.entries = append(s.entries, ts...)
	return nil
}

func (s *fakeStore) Threats(_ context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error) {
	s.asked = f
	return s.entries, s.err
}

var testTime = time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CET", 3600))

func newLog(t *testing.T, s threat.Store) *threat.Log {
	t.Helper()
	l, err := threat.NewLog(threat.LogConfig{Store: s, Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNewLog_NeedsAStore(t *testing.T) {
	if _, err := threat.NewLog(threat.LogConfig{}); err == nil {
		t.Error("NewLog without a store gives no error")
	}
}

func TestLog_RecordNamesTheActor(t *testing.T) {
	s := &fakeStore{}
	l := newLog(t, s)
	p := &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1"}
	c := makerguard.Client{IP: "192.0.2.1", UserAgent: "test", RequestID: "req1"}
	fs := []makerguard.Finding{
		{Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.event", Input: "q", Evidence: "<img onerror=x>", Score: 5},
		{Type: makerguard.SQLInjection, Severity: makerguard.SeverityHigh, Rule: "sqli.escape", Input: "q", Evidence: "' or 1", Score: 5},
	}
	ts, err := l.Record(t.Context(), threat.Sighting{Principal: p, Client: c, Route: "POST /products", Blocked: fs[:1], Watched: fs[1:]})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.entries, ts); diff != "" {
		t.Errorf("stored and returned entries differ (-stored +returned):\n%s", diff)
	}
	for i, e := range ts {
		want := makerguard.Threat{
			ID: e.ID, ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1",
			IP: "192.0.2.1", UserAgent: "test", RequestID: "req1",
			Route: "POST /products", Blocked: i == 0, DetectedAt: testTime.UTC(), Finding: fs[i],
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", i, diff)
		}
		if !strings.HasPrefix(string(e.ID), "evt_") {
			t.Errorf("entry %d has id %q, want evt_...", i, e.ID)
		}
	}
	if ts[0].ID == ts[1].ID {
		t.Errorf("both entries have id %s", ts[0].ID)
	}
}

func TestLog_RecordWithoutFindingsStoresNothing(t *testing.T) {
	s := &fakeStore{err: errors.New("must not be called")}
	if ts, err := newLog(t, s).Record(t.Context(), threat.Sighting{}); ts != nil || err != nil {
		t.Errorf("Record(nothing) = %v, %v, want nil, nil", ts, err)
	}
}

func TestLog_FailureOfTheStoreIsReported(t *testing.T) {
	away := &makerguard.Error{Code: makerguard.StoreUnavailable}
	l := newLog(t, &fakeStore{err: away})
	if _, err := l.Record(t.Context(), threat.Sighting{Watched: make([]makerguard.Finding, 1)}); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Record = %v, want STORE_UNAVAILABLE", err)
	}
	if err := l.RecordThreat(t.Context(), makerguard.Threat{}); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("RecordThreat = %v, want STORE_UNAVAILABLE", err)
	}
	if _, err := l.List(t.Context(), makerguard.ThreatFilter{ManufacturerID: "mfr_1"}); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("List = %v, want STORE_UNAVAILABLE", err)
	}
}

// goal: V1.3.3
func TestLog_TextsFromClientsAreBoundedAndHarmless(t *testing.T) {
	s := &fakeStore{}
	long := strings.Repeat("é", 5000)
	err := newLog(t, s).RecordThreat(t.Context(), makerguard.Threat{
		IP: long, UserAgent: "a\r\nX: \x1b[31m\u202e" + long, RequestID: long,
		Finding: makerguard.Finding{Type: makerguard.TokenReuse, Input: long, Evidence: "x\x00\xff\u2028" + long},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := s.entries[0]
	for _, c := range []struct {
		name, text string
		most       int
	}{{"IP", e.IP, 128}, {"UserAgent", e.UserAgent, 256}, {"RequestID", e.RequestID, 128}, {"Input", e.Input, 256}, {"Evidence", e.Evidence, 80}} {
		if len(c.text) > c.most || len(c.text) < c.most-4 {
			t.Errorf("%s has %d bytes, want at most %d and no fewer than needed", c.name, len(c.text), c.most)
		}
		if !utf8.ValidString(c.text) || strings.ContainsAny(c.text, "\r\n\x00\x1b\u202e\u2028") {
			t.Errorf("%s = %q holds control characters or is cut inside a rune", c.name, c.text)
		}
	}
	if e.DetectedAt != testTime.UTC() || e.ID == "" {
		t.Errorf("RecordThreat leaves id %q and time %v", e.ID, e.DetectedAt)
	}
}

func TestLog_RecordThreatKeepsTheTimeOfTheEvent(t *testing.T) {
	s := &fakeStore{}
	at := testTime.Add(-time.Minute)
	if err := newLog(t, s).RecordThreat(t.Context(), makerguard.Threat{ID: "evt_x", DetectedAt: at}); err != nil {
		t.Fatal(err)
	}
	if e := s.entries[0]; e.ID != "evt_x" || !e.DetectedAt.Equal(at) {
		t.Errorf("RecordThreat stored %s %v, want evt_x %v", e.ID, e.DetectedAt, at)
	}
}

func TestLog_List(t *testing.T) {
	ok := makerguard.ThreatFilter{ManufacturerID: "mfr_1"}
	for _, c := range []struct {
		name    string
		change  func(*makerguard.ThreatFilter)
		limit   int
		pointer string // of the field at fault
	}{
		{"default limit", func(*makerguard.ThreatFilter) {}, 50, ""},
		{"limit 1", func(f *makerguard.ThreatFilter) { f.Limit = 1 }, 1, ""},
		{"limit 200", func(f *makerguard.ThreatFilter) { f.Limit = 200 }, 200, ""},
		{"limit 201", func(f *makerguard.ThreatFilter) { f.Limit = 201 }, 0, "/limit"},
		{"negative limit", func(f *makerguard.ThreatFilter) { f.Limit = -1 }, 0, "/limit"},
		{"no tenant", func(f *makerguard.ThreatFilter) { f.ManufacturerID = "" }, 0, "/manufacturer_id"},
		{"all tenants", func(f *makerguard.ThreatFilter) { f.ManufacturerID, f.AllTenants = "", true }, 50, ""},
		{"type", func(f *makerguard.ThreatFilter) { f.Type = makerguard.BruteForce }, 50, ""},
		{"unknown type", func(f *makerguard.ThreatFilter) { f.Type = "sqli" }, 0, "/type"},
		{"severity", func(f *makerguard.ThreatFilter) { f.Severity = makerguard.SeverityLow }, 50, ""},
		{"unknown severity", func(f *makerguard.ThreatFilter) { f.Severity = "severe" }, 0, "/severity"},
		{"cursor", func(f *makerguard.ThreatFilter) { f.Before = "evt_1" }, 50, ""},
		{"long text", func(f *makerguard.ThreatFilter) { f.Text = strings.Repeat("a", 129) }, 0, "/text"},
		{"no text", func(f *makerguard.ThreatFilter) { f.Rule = "\xff" }, 0, "/rule"},
		{"until before since", func(f *makerguard.ThreatFilter) { f.Since, f.Until = testTime, testTime.Add(-1) }, 0, "/until"},
		{"until", func(f *makerguard.ThreatFilter) { f.Until = testTime }, 50, ""},
		{"foreign cursor", func(f *makerguard.ThreatFilter) { f.Before = "ses_1" }, 0, "/before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fakeStore{}
			f := ok
			c.change(&f)
			_, err := newLog(t, s).List(t.Context(), f)
			if c.pointer == "" {
				if err != nil || s.asked.Limit != c.limit {
					t.Errorf("List(%+v) = %v with limit %d, want no error and %d", f, err, s.asked.Limit, c.limit)
				}
				return
			}
			e, typed := errors.AsType[*makerguard.Error](err)
			if !typed || e.Code != makerguard.ValidationFailed || len(e.Fields) != 1 || e.Fields[0].Pointer != c.pointer {
				t.Errorf("List(%+v) = %v, want VALIDATION_FAILED at %s", f, err, c.pointer)
			}
		})
	}
}
