package abuse_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"pgregory.net/rapid"
)

// readEvents reads a recorded sequence, one event a line.
func readEvents(t *testing.T, path string) []abuse.Event {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var events []abuse.Event
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e abuse.Event
		dec := json.NewDecoder(strings.NewReader(lines.Text()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		events = append(events, e)
	}
	return events
}

// Each scenario ships with sequences that must make it fire, and no other, and with
// sequences of honest use that must make nothing fire.
func TestScenarios_FireOnTheirFixturesOnly(t *testing.T) {
	fires, quiet := 0, 0
	for _, s := range abuse.Scenarios() {
		has := map[string]bool{}
		files, err := filepath.Glob(filepath.Join("testdata", s.ID, "*.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			kind, _, _ := strings.Cut(filepath.Base(path), "-")
			has[kind] = true
			fired := map[string]bool{}
			e := abuse.NewEngine(abuse.Scenarios(), 100)
			for _, ev := range readEvents(t, path) {
				for _, f := range e.Observe(ev) {
					fired[f.Scenario.ID] = true
					if kind == "quiet" {
						t.Errorf("%s: %s fires: %s", path, f.Scenario.ID, f.Reason())
					}
				}
			}
			switch kind {
			case "fires":
				fires++
				if !fired[s.ID] || len(fired) != 1 {
					t.Errorf("%s: fired %v, want %s alone", path, fired, s.ID)
				}
			case "quiet":
				quiet++
			default:
				t.Errorf("%s: the name begins with neither fires nor quiet", path)
			}
		}
		if !has["fires"] || !has["quiet"] {
			t.Errorf("%s has fixtures %v, want some that fire and some that must not", s.ID, has)
		}
	}
	t.Logf("%d sequences fire, %d stay quiet", fires, quiet)
}

// At one moment, a full bucket holds and one event more makes it overflow, whatever the scenario.
func TestScenarios_OverflowWithOneMore(t *testing.T) {
	another := map[string]func(*abuse.Event){ // one that counts anew
		"spraying":        func(e *abuse.Event) { e.Object += "9" },
		"id_scanning":     func(e *abuse.Event) { e.Object += "9" },
		"upload_churn":    func(*abuse.Event) {},
		"account_farming": func(e *abuse.Event) { e.Object = "new@other.example" },
		"alias_farming":   func(e *abuse.Event) { e.Object = "max+9@mail.example" },
		"key_sharing":     func(e *abuse.Event) { e.Address = "192.0.2.1" },
	}
	for _, s := range abuse.Scenarios() {
		events := readEvents(t, filepath.Join("testdata", s.ID, "quiet-near.ndjson"))
		e := abuse.NewEngine(abuse.Scenarios(), 100)
		for _, ev := range events {
			if fired := e.Observe(ev); len(fired) > 0 {
				t.Fatalf("%s fires before its capacity is exceeded", s.ID)
			}
		}
		more := events[len(events)-1]
		if s.Credit != "" {
			credit := more
			credit.Kind = s.Credit
			e.Observe(credit)
		}
		another[s.ID](&more)
		fired := e.Observe(more)
		if len(fired) != 1 || fired[0].Scenario.ID != s.ID || fired[0].Count != s.Capacity+1 {
			t.Errorf("%s: one event above its capacity fires %+v, want it once with a count of %d", s.ID, fired, s.Capacity+1)
		}
		if fired := e.Observe(more); len(fired) > 0 {
			t.Errorf("%s fires again at once: the bucket was not emptied", s.ID)
		}
	}
}

// A bucket that has leaked dry has forgotten everything, so that a firing depends on
// nothing before it.
func TestEngine_ForgetsWhatLeaked(t *testing.T) {
	for _, s := range abuse.Scenarios() {
		events := readEvents(t, filepath.Join("testdata", s.ID, "quiet-near.ndjson"))
		e := abuse.NewEngine(abuse.Scenarios(), 100)
		for range 5 {
			for i := range events {
				if fired := e.Observe(events[i]); len(fired) > 0 {
					t.Fatalf("%s fires after its bucket leaked dry: %s", s.ID, fired[0].Reason())
				}
				events[i].At = events[i].At.Add(time.Duration(s.Capacity+1) * s.Leak)
			}
		}
	}
}

// Strangers push out whoever was longest quiet, and nobody who is busy.
func TestEngine_IsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := abuse.NewEngine(abuse.Scenarios(), 3)
	scan := func(member string, from, to int) (fired int) {
		for i := from; i < to; i++ {
			fired += len(e.Observe(abuse.Event{Kind: abuse.Missed, At: now, MemberID: makerguard.MemberID(member), Object: strconv.Itoa(i)}))
		}
		return fired
	}
	scan("quiet", 0, 20)
	fired := 0
	for i := range 40 {
		scan("stranger"+strconv.Itoa(i), 0, 1)
		fired += scan("busy", i, i+1)
	}
	if fired != 1 {
		t.Errorf("a member that goes on all the time fires %d times, want once", fired)
	}
	if n := scan("quiet", 20, 40); n != 0 {
		t.Errorf("a member that was pushed out by 40 others fires %d times, want 0: it starts anew", n)
	}
}

// Whatever comes in whatever order, firings need more than a capacity of events, and time never
// makes anything fire that would not have fired without it.
func TestEngine_FiresOnlyAboveCapacity(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	kinds := []abuse.EventKind{abuse.SignInFailed, abuse.Missed, abuse.Created, abuse.Deleted, abuse.Registered, abuse.Used, "unknown"}
	rapid.Check(t, func(t *rapid.T) {
		e, still := abuse.NewEngine(abuse.Scenarios(), 3), abuse.NewEngine(abuse.Scenarios(), 3)
		since := map[string]int{}
		fired, firedStill := 0, 0
		for range rapid.IntRange(0, 300).Draw(t, "events") {
			ev := abuse.Event{
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: start.Add(time.Duration(rapid.IntRange(-100, 5000).Draw(t, "seconds")) * time.Second),
				Address:        rapid.SampledFrom([]string{"", "203.0.113.1", "2001:db8::1", "nonsense"}).Draw(t, "address"),
				ManufacturerID: "mfr_1", MemberID: "mbr_1", Credential: "ses_1",
				Object: rapid.StringMatching(`[a-z]{0,2}@?[a-z0-9+.]{0,3}`).Draw(t, "object"),
			}
			for _, f := range e.Observe(ev) {
				fired++
				if f.Count <= f.Scenario.Capacity {
					t.Fatalf("%s fired with %d events, want more than %d", f.Scenario.ID, f.Count, f.Scenario.Capacity)
				}
				if f.Within < 0 || f.Reason() == "" {
					t.Fatalf("%s fired within %v: %q", f.Scenario.ID, f.Within, f.Reason())
				}
				since[f.Scenario.ID]++
			}
			ev.At = start
			firedStill += len(still.Observe(ev))
		}
		if fired > firedStill {
			t.Fatalf("%d firings where time passed, %d where it stood still", fired, firedStill)
		}
	})
}

// A recorded event is only data: whatever it holds, nothing breaks.
func FuzzEngine(f *testing.F) {
	f.Add([]byte(`{"kind":"registered","at":"2026-01-01T00:00:00Z","address":"203.0.113.1","object":"a+b@c"}`))
	f.Add([]byte(`{"kind":"used","at":"9999-01-01T00:00:00Z","address":"::ffff:1.2.3.4","credential":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev abuse.Event
		if json.Unmarshal(data, &ev) != nil {
			return
		}
		e := abuse.NewEngine(abuse.Scenarios(), 2)
		for range 40 {
			for _, fired := range e.Observe(ev) {
				_ = fired.Reason()
			}
			ev.Object += "x"
		}
	})
}
