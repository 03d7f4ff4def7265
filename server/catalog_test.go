package server_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard/makerguardtest"
)

// A cap on prices is the tier's: the same product is refused to a free manufacturer and not to
// an enterprise one, from the moment the policy or the tier changes.
func TestValidate_PriceCapsAreTheTiers(t *testing.T) {
	s := makerguardtest.NewServer(t, &makerguardtest.Options{Proxies: "127.0.0.1,::1"})
	operator := caller{t: t, s: s, from: "198.51.100.1"}.operator()
	small := caller{t: t, s: s, from: "198.51.100.2"}.member("small")
	large := caller{t: t, s: s, from: "198.51.100.3"}.member("large")
	setTier := func(c caller, tier string) {
		t.Helper()
		_, me, _ := c.do("GET", "/v1/me", nil)
		manufacturer, _ := me["manufacturer"].(map[string]any)
		id, _ := manufacturer["id"].(string)
		if status, out, _ := operator.do("PUT", "/v1/admin/manufacturers/"+id+"/tier", map[string]any{"tier": tier}); status != 200 {
			t.Fatalf("tier of %q: %d %v", id, status, out)
		}
	}
	setTier(large, "enterprise")

	validate := func(c caller, amount int, currency string) []any {
		t.Helper()
		status, out, _ := c.do("POST", "/v1/catalog/validate", map[string]any{"product": map[string]any{"price": map[string]any{"amount_minor": amount, "currency": currency}}})
		if status != 200 {
			t.Fatalf("validate: %d %v", status, out)
		}
		problems, _ := out["errors"].([]any)
		if out["is_valid"] != (len(problems) == 0) {
			t.Errorf("is_valid = %v with errors %v", out["is_valid"], problems)
		}
		return problems
	}
	if got := validate(small, 900_000_000, "EUR"); len(got) != 0 {
		t.Errorf("the built-in policy caps a price: %v", got)
	}

	policy := func(caps map[string]any) map[string]any {
		return map[string]any{"version": 1, "tiers": map[string]any{"free": map[string]any{"price_caps": caps}}}
	}
	yaml := []string{"Content-Type", "application/yaml"}
	caps := policy(map[string]any{"EUR": 500_000, "JPY": 800_000})
	// What it would change can be seen before.
	status, out, _ := operator.do("POST", "/v1/admin/policy/diff", caps, yaml...)
	wantDiff := map[string]any{"changes": []any{}, "more": false, "terms": []any{
		map[string]any{"tier": "free", "term": "price_caps.EUR", "before": "", "after": "500000"},
		map[string]any{"tier": "free", "term": "price_caps.JPY", "before": "", "after": "800000"},
	}}
	if diff := cmp.Diff(wantDiff, out); status != 200 || diff != "" {
		t.Errorf("diff: %d, -want +got\n%s", status, diff)
	}
	if status, out, _ := operator.do("PUT", "/v1/admin/policy", caps, yaml...); status != 200 {
		t.Fatalf("PUT policy: %d %v", status, out)
	}

	want := []any{map[string]any{
		"pointer": "/product/price/amount_minor", "rule": "upload", "severity": "error", "expected": "500000",
		"message": "the price is above what the manufacturer's tier allows", "source": "makerguard",
	}}
	if diff := cmp.Diff(want, validate(small, 500_001, "EUR")); diff != "" {
		t.Errorf("above the free tier's cap: -want +got\n%s", diff)
	}
	for _, tc := range []struct {
		who      caller
		amount   int
		currency string
	}{{small, 500_000, "EUR"}, {small, 900_000, "USD"}, {large, 900_000, "EUR"}, {large, 900_000, "JPY"}} {
		if got := validate(tc.who, tc.amount, tc.currency); len(got) != 0 {
			t.Errorf("%d %s: %v, want none", tc.amount, tc.currency, got)
		}
	}
	setTier(small, "professional")
	if got := validate(small, 500_001, "EUR"); len(got) != 0 {
		t.Errorf("in the professional tier: %v, want none", got)
	}

	// A cap on what is no currency is refused, and the policy in force stays.
	status, out, _ = operator.do("PUT", "/v1/admin/policy", policy(map[string]any{"EUE": 5, "HRK": 5}), yaml...)
	wantErrors := []any{
		map[string]any{"pointer": "/tiers/free/price_caps/EUE", "rule": "policy", "message": "tiers.free.price_caps: EUE is not the code of a currency in use (ISO 4217)"},
		map[string]any{"pointer": "/tiers/free/price_caps/HRK", "rule": "policy", "message": "tiers.free.price_caps: HRK is not the code of a currency in use (ISO 4217)"},
	}
	if diff := cmp.Diff(wantErrors, out["errors"]); status != 422 || out["code"] != "VALIDATION_FAILED" || diff != "" {
		t.Errorf("caps on no currency: %d %v, -want +got\n%s", status, out["code"], diff)
	}
	setTier(small, "free")
	if got := validate(small, 500_001, "EUR"); len(got) != 1 {
		t.Errorf("after a refused policy: %v, want the cap still in force", got)
	}
}
