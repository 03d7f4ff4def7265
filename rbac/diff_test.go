package rbac_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

func TestPriceCaps_AreTheTiersOwn(t *testing.T) {
	p := mustParse(t, `
version: 1
tiers:
  free:
    price_caps: {EUR: 500_000, JPY: 0}
  professional:
    price_caps: {EUR: 2000000}
`)
	for tier, want := range map[makerguard.Tier]map[string]int64{
		"free": {"EUR": 500_000, "JPY": 0}, "professional": {"EUR": 2_000_000}, "enterprise": nil, "platform": nil, "unknown": nil,
	} {
		if diff := cmp.Diff(want, p.PriceCaps(tier)); diff != "" {
			t.Errorf("PriceCaps(%s): -want +got\n%s", tier, diff)
		}
		if caps := rbac.BuiltIn().PriceCaps(tier); caps != nil {
			t.Errorf("the built-in policy has the caps %v for %s, want none", caps, tier)
		}
	}
	p.PriceCaps("free")["EUR"] = 1
	if got := p.PriceCaps("free")["EUR"]; got != 500_000 {
		t.Errorf("the cap is %d after its caller changed the map, want 500000", got)
	}
	// Its text is the policy: what is stored, exported and read again.
	again := mustParse(t, string(p.Source()))
	if diff := cmp.Diff(p.PriceCaps("free"), again.PriceCaps("free")); diff != "" {
		t.Errorf("PriceCaps of the source parsed again: -want +got\n%s", diff)
	}
}

func TestDiffTerms_ListsWhatChanges(t *testing.T) {
	before := mustParse(t, `
version: 1
tiers:
  free: {price_caps: {EUR: 500000, JPY: 800000}}
`)
	after := mustParse(t, `
version: 1
permissions: [scan_frames]
meters: {frame_scans: {permission: scan_frames}}
tiers:
  free:
    price_caps: {EUR: 400000, USD: 1}
    limits: {frame_scans: 7}
    mfa: required
  enterprise:
    limits: {product_uploads: 5000, frame_scans: unlimited}
    entitlements: {members: 400}
`)
	want := []rbac.TermChange{
		{Tier: "free", Term: "limits.frame_scans", After: "7"},
		{Tier: "free", Term: "mfa", Before: "optional", After: "required"},
		{Tier: "free", Term: "price_caps.EUR", Before: "500000", After: "400000"},
		{Tier: "free", Term: "price_caps.JPY", Before: "800000"},
		{Tier: "free", Term: "price_caps.USD", After: "1"},
		{Tier: "professional", Term: "limits.frame_scans", After: "0"},
		{Tier: "enterprise", Term: "entitlements.members", Before: "500", After: "400"},
		{Tier: "enterprise", Term: "limits.frame_scans", After: "unlimited"},
		{Tier: "enterprise", Term: "limits.product_uploads", Before: "unlimited", After: "5000"},
		{Tier: "platform", Term: "limits.frame_scans", After: "0"},
	}
	if diff := cmp.Diff(want, rbac.DiffTerms(before, after)); diff != "" {
		t.Errorf("DiffTerms: -want +got\n%s", diff)
	}
	if got := rbac.DiffTerms(after, after); got != nil {
		t.Errorf("a policy differs from itself: %v", got)
	}
}
