package middleware_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/quota"
)

// A period that is remembered is given to nobody whose month is another, nor after its end.
func TestGate_CountsInTheMonthUnderWay(t *testing.T) {
	s := newSite(t, "", nil)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	asked := 0
	g := &middleware.Gate{Access: s.access, Now: func() time.Time { return now }, Period: func(now time.Time, zone string, day int) (makerguard.Period, error) {
		asked++
		return quota.PeriodAt(now, zone, day)
	}}
	zones := []string{"", "Europe/Paris", "Pacific/Auckland", "America/Los_Angeles"}
	times := 0
	for ; now.Year() == 2026; now = now.Add(6 * time.Hour) {
		for _, zone := range zones {
			for _, day := range []int{1, 15, 31} {
				times++
				want, err := quota.PeriodAt(now, zone, day)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, admitted(t, g, zone, day)); diff != "" {
					t.Fatalf("period of %q, day %d, at %v (-want +got):\n%s", zone, day, now, diff)
				}
			}
		}
	}
	if asked > times/4 {
		t.Errorf("periods were looked for %d times for %d requests, want few", asked, times)
	}
}

// A zone that is none is not remembered as one.
func TestGate_AnUnknownZoneIsRefusedEachTime(t *testing.T) {
	s := newSite(t, "", nil)
	g := &middleware.Gate{Access: s.access, Now: time.Now, Period: quota.PeriodAt}
	for range 2 {
		p := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_1", Tier: makerguard.TierFree, Role: makerguard.RoleOwner, TimeZone: "Mars/Olympus"}
		if _, err := g.Admit(t.Context(), p, middleware.Demand{Permission: makerguard.ViewBasicAnalytics}); !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Admit = %v, want VALIDATION_FAILED", err)
		}
	}
}

func TestGate_PeriodsAreSafeForConcurrentUse(t *testing.T) {
	s := newSite(t, "", nil)
	g := &middleware.Gate{Access: s.access, Now: time.Now, Period: func(_ time.Time, zone string, day int) (makerguard.Period, error) {
		start := time.Now().Add(-time.Hour).Truncate(time.Hour)
		return makerguard.Period{Start: start, End: start.Add(time.Duration(len(zone)*100+day+10) * time.Hour)}, nil
	}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for day := range 300 {
				zone := fmt.Sprintf("%0*d", 1+i%4, 7)
				if p := admitted(t, g, zone, day); p.End.Sub(p.Start) != time.Duration(len(zone)*100+day+10)*time.Hour {
					t.Errorf("zone %q, day %d is given another's period", zone, day)
				}
			}
		})
	}
	wg.Wait()
}

// admitted gives the period that the use of an owner counts in.
func admitted(t *testing.T, g *middleware.Gate, zone string, anchorDay int) makerguard.Period {
	t.Helper()
	p := &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_1", Tier: makerguard.TierFree, Role: makerguard.RoleOwner,
		TimeZone: zone, AnchorDay: anchorDay,
	}
	pass, err := g.Admit(t.Context(), p, middleware.Demand{Permission: makerguard.ViewBasicAnalytics})
	if err != nil {
		t.Errorf("Admit: %v", err)
		return makerguard.Period{}
	}
	pass.Done(true)
	return pass.Allowances()[0].Period
}
