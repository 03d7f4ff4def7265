package middleware_test

import (
	"context"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
)

func TestLimits_AskingAllocatesNothing(t *testing.T) {
	s := newSite(t, "rates: [{per: address, rate: 1000000/s}, {per: member, rate: 1000000/s}, {per: manufacturer, rate: 1000000/s}]", nil)
	p := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f", MemberID: "mbr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f", Tier: makerguard.TierFree}
	ctx := makerguard.WithClient(t.Context(), &makerguard.Client{IP: "2001:db8::1"})
	if n := testing.AllocsPerRun(1000, func() { askAll(s.limits, ctx, p) }); n > 0 {
		t.Errorf("three limits allocate %v times, want 0", n)
	}
}

func askAll(l *middleware.Limits, ctx context.Context, p *makerguard.Principal) {
	var hold middleware.Hold
	defer hold.Leave()
	if l.Address(ctx, &hold) != nil || l.Caller(ctx, &hold, p, nil) != nil {
		panic("refused")
	}
}

func BenchmarkLimits(b *testing.B) {
	p := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f", MemberID: "mbr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f", Tier: makerguard.TierFree}
	ctx := makerguard.WithClient(b.Context(), &makerguard.Client{IP: "2001:db8::1"})
	for _, bc := range []struct{ name, policy string }{
		{"none", ""},
		{"address", "rates: [{per: address, rate: 1000000/s}]"},
		{"address, member and manufacturer", "rates: [{per: address, rate: 1000000/s}, {per: member, rate: 1000000/s}, {per: manufacturer, rate: 1000000/s}]"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			access, err := rbac.New(rbac.Config{Policy: policy(b, bc.policy), Quota: new(unlimited)})
			if err != nil {
				b.Fatal(err)
			}
			var asked time.Duration // the clock runs ahead, so that the rate is never used up
			now := func() time.Time { asked += 2 * time.Microsecond; return time.Now().Add(asked) }
			l, err := middleware.NewLimits(middleware.LimitsConfig{Access: access, Now: now})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				askAll(l, ctx, p)
			}
		})
	}
}
