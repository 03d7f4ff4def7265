package quota_test

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/quota"
)

func TestPeriodAt(t *testing.T) {
	for _, tt := range []struct {
		name, now, zone string
		anchor          int
		start, end      string
	}{
		{"calendar month", "2026-03-15T12:00:00Z", "", 0, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"first instant is in", "2026-03-01T00:00:00Z", "UTC", 1, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"last instant is in", "2026-03-31T23:59:59.999Z", "UTC", 1, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"over the year's end", "2026-01-10T00:00:00Z", "", 15, "2025-12-15T00:00:00Z", "2026-01-15T00:00:00Z"},
		{"into the next year", "2025-12-20T00:00:00Z", "", 15, "2025-12-15T00:00:00Z", "2026-01-15T00:00:00Z"},
		{"31st in a short month", "2026-04-30T00:00:00Z", "", 31, "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"},
		{"31st before a short month", "2026-04-29T23:00:00Z", "", 31, "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"},
		{"31st in February", "2026-02-28T00:00:00Z", "", 31, "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"30th in February", "2026-03-01T00:00:00Z", "", 30, "2026-02-28T00:00:00Z", "2026-03-30T00:00:00Z"},
		{"leap day", "2028-02-29T10:00:00Z", "", 29, "2028-02-29T00:00:00Z", "2028-03-29T00:00:00Z"},
		{"29th without leap day", "2027-02-28T10:00:00Z", "", 29, "2027-02-28T00:00:00Z", "2027-03-29T00:00:00Z"},
		{"century that is no leap year", "2100-02-28T10:00:00Z", "", 29, "2100-02-28T00:00:00Z", "2100-03-29T00:00:00Z"},
		{"east of UTC", "2026-02-28T16:00:00Z", "Asia/Tokyo", 1, "2026-02-28T15:00:00Z", "2026-03-31T15:00:00Z"},
		{"west of UTC", "2026-03-01T04:59:59Z", "America/New_York", 1, "2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"},
		{"summer time begins within", "2026-03-15T00:00:00Z", "Europe/Paris", 1, "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		{"summer time ends within", "2026-10-30T00:00:00Z", "Europe/Paris", 1, "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},
		{"the day of the change to summer", "2026-03-29T12:00:00Z", "Europe/Paris", 29, "2026-03-28T23:00:00Z", "2026-04-28T22:00:00Z"},
		{"half an hour", "2026-05-01T00:00:00Z", "Asia/Kolkata", 1, "2026-04-30T18:30:00Z", "2026-05-31T18:30:00Z"},
		// Beirut's clocks went from 24:00 on 27 March 2021 to 01:00: the 28th began at 01:00.
		{"midnight leapt over", "2021-03-28T12:00:00Z", "Asia/Beirut", 28, "2021-03-27T22:00:00Z", "2021-04-27T21:00:00Z"},
		{"before the midnight leapt over", "2021-03-27T21:59:59Z", "Asia/Beirut", 28, "2021-02-27T22:00:00Z", "2021-03-27T22:00:00Z"},
		// Sao Paulo leapt from 24:00 on 3 November 2018 to 01:00.
		{"midnight leapt over, west", "2018-11-04T12:00:00Z", "America/Sao_Paulo", 4, "2018-11-04T03:00:00Z", "2018-12-04T02:00:00Z"},
		// Havana's clocks went from 01:00 on 1 November 2020 back to 00:00.
		{"midnight twice", "2020-11-01T12:00:00Z", "America/Havana", 1, "2020-11-01T04:00:00Z", "2020-12-01T05:00:00Z"},
		{"between the two midnights", "2020-11-01T04:30:00Z", "America/Havana", 1, "2020-11-01T04:00:00Z", "2020-12-01T05:00:00Z"},
		// Sao Paulo's went from 24:00 on 17 February 2018 back to 23:00.
		{"back from midnight", "2018-02-18T12:00:00Z", "America/Sao_Paulo", 18, "2018-02-18T03:00:00Z", "2018-03-18T03:00:00Z"},
		// Samoa skipped 30 December 2011.
		{"day skipped", "2011-12-30T12:00:00Z", "Pacific/Apia", 30, "2011-12-30T10:00:00Z", "2012-01-29T10:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := quota.PeriodAt(at(t, tt.now), tt.zone, tt.anchor)
			if err != nil {
				t.Fatal(err)
			}
			if want := (makerguard.Period{Start: at(t, tt.start), End: at(t, tt.end)}); got != want {
				t.Errorf("PeriodAt(%s, %s, %d) = %v, want %v", tt.now, tt.zone, tt.anchor, got, want)
			}
		})
	}
}

func TestPeriodAt_RefusesWhatIsNoZoneOrDay(t *testing.T) {
	for _, tt := range []struct {
		zone   string
		anchor int
	}{{"Mars/Olympus", 1}, {"Local", 1}, {"../../etc/passwd", 1}, {"", -1}, {"", 32}} {
		if _, err := quota.PeriodAt(time.Unix(0, 0), tt.zone, tt.anchor); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("PeriodAt(%q, %d) = %v, want VALIDATION_FAILED", tt.zone, tt.anchor, err)
		}
	}
}

// Periods tile time: each instant lies in its period, and the instant at its end begins
// the next one, 28 to 31 days and a change of clocks long.
func TestPeriodAt_TilesTime(t *testing.T) {
	zones := []string{
		"", "Europe/Paris", "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Asia/Beirut", "Asia/Kolkata",
		"Africa/Cairo", "Pacific/Apia", "Pacific/Kiritimati", "Australia/Lord_Howe", "Asia/Tehran", "America/Asuncion", "Pacific/Chatham",
	}
	from, to := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		day := rapid.IntRange(1, 31).Draw(t, "anchor")
		now := time.Unix(rapid.Int64Range(from, to).Draw(t, "now"), 0)
		for range 24 {
			p, err := quota.PeriodAt(now, zone, day)
			if err != nil {
				t.Fatal(err)
			}
			if now.Before(p.Start) || !now.Before(p.End) {
				t.Fatalf("PeriodAt(%v, %s, %d) = %v, which does not hold it", now.UTC(), zone, day, p)
			}
			if days := p.End.Sub(p.Start).Hours() / 24; days < 27 || days > 32 {
				t.Fatalf("PeriodAt(%v, %s, %d) = %v, %v days long", now.UTC(), zone, day, p, days)
			}
			for _, inside := range []time.Time{p.Start, p.End.Add(-1)} {
				if q, _ := quota.PeriodAt(inside, zone, day); q != p {
					t.Fatalf("PeriodAt(%v, %s, %d) = %v, want %v", inside, zone, day, q, p)
				}
			}
			now = p.End
		}
	})
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}
