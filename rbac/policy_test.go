package rbac_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

func mustParse(t testing.TB, src string) *rbac.Policy {
	t.Helper()
	p, err := rbac.ParsePolicy([]byte(src))
	if err != nil {
		t.Fatalf("ParsePolicy: %v", err)
	}
	return p
}

func TestBuiltIn_HasThePublishedTerms(t *testing.T) {
	const unlimited = makerguard.Unlimited
	p := rbac.BuiltIn()
	for _, tt := range []struct {
		tier         makerguard.Tier
		limits       [4]int64 // in the order of makerguard.Meters
		entitlements [3]int64 // sessions, members, API keys
		mfa          bool
	}{
		{"free", [4]int64{50, 0, 1_000, 0}, [3]int64{3, 3, 0}, false},
		{"professional", [4]int64{1_000, 500, 50_000, 50}, [3]int64{10, 25, 10}, false},
		{"enterprise", [4]int64{unlimited, 10_000, 1_000_000, unlimited}, [3]int64{50, 500, 100}, false},
		{"platform", [4]int64{0, 0, unlimited, 0}, [3]int64{5, 100, 0}, true},
		{"unknown", [4]int64{}, [3]int64{}, true},
	} {
		var limits [4]int64
		for i, m := range makerguard.Meters() {
			limits[i] = p.Limit(tt.tier, m)
		}
		if limits != tt.limits {
			t.Errorf("limits of %s = %v, want %v", tt.tier, limits, tt.limits)
		}
		if got := [3]int64{p.Sessions(tt.tier), p.Members(tt.tier), p.APIKeys(tt.tier)}; got != tt.entitlements {
			t.Errorf("entitlements of %s = %v, want %v", tt.tier, got, tt.entitlements)
		}
		if got := p.RequiresMFA(tt.tier); got != tt.mfa {
			t.Errorf("RequiresMFA(%s) = %v, want %v", tt.tier, got, tt.mfa)
		}
	}
	if diff := cmp.Diff(makerguard.Meters(), p.Meters()); diff != "" {
		t.Errorf("Meters: -want +got\n%s", diff)
	}
	for meter, want := range map[makerguard.Meter]makerguard.Permission{
		makerguard.ProductUploads: makerguard.UploadProducts, makerguard.MLRequests: makerguard.AccessMLTools,
		makerguard.DataExports: makerguard.ExportData, makerguard.APICalls: "", "unknown": "",
	} {
		if got := p.MeterPermission(meter); got != want {
			t.Errorf("MeterPermission(%s) = %q, want %q", meter, got, want)
		}
	}
	if len(p.Routes()) != 0 || p.Default() != rbac.DefaultAllow {
		t.Errorf("built-in routes %v, default %q; want none, allow", p.Routes(), p.Default())
	}
	if again := mustParse(t, "version: 1"); len(rbac.Diff(p, again)) != 0 {
		t.Errorf("a policy that says nothing differs from the built-in one: %v", rbac.Diff(p, again))
	}
}

func TestParsePolicy_FileOverridesOnlyWhatItSays(t *testing.T) {
	src := `
version: 1
permissions: [scan_frames]
meters:
  frame_scans: {permission: scan_frames}
tiers:
  free:
    limits: {product_uploads: 75, frame_scans: 10}
    mfa: required
  professional:
    permissions: [scan_frames, export_data]
    entitlements: {members: 40}
  enterprise:
    limits: {frame_scans: unlimited}
roles:
  viewer: {permissions: [scan_frames]}
routes:
  - {match: "POST /api/products", permission: upload_products, meter: product_uploads, inspect: block}
  - {match: "GET /api/reports/{id}", permission: view_advanced_analytics, step_up: 5m}
  - {match: "/public/", public: true, inspect: "off"}
  - {match: "/account/{$}"}
default: deny
`
	p := mustParse(t, src)
	type terms struct{ Uploads, ML, Scans, Sessions, Members int64 }
	got := map[makerguard.Tier]terms{}
	for _, tier := range makerguard.Tiers() {
		got[tier] = terms{
			p.Limit(tier, makerguard.ProductUploads), p.Limit(tier, makerguard.MLRequests), p.Limit(tier, "frame_scans"),
			p.Sessions(tier), p.Members(tier),
		}
	}
	want := map[makerguard.Tier]terms{
		"free": {75, 0, 10, 3, 3}, "professional": {1_000, 500, 0, 10, 40}, "enterprise": {-1, 10_000, -1, 50, 500},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("terms: -want +got\n%s", diff)
	}
	if !p.RequiresMFA("free") || p.RequiresMFA("professional") {
		t.Error("mfa: required is not free's alone")
	}
	wantRoutes := []rbac.Route{
		{Match: "POST /api/products", Permission: "upload_products", Meter: "product_uploads", Inspect: "block"},
		{Match: "GET /api/reports/{id}", Permission: "view_advanced_analytics", Inspect: "block", StepUp: 5 * time.Minute},
		{Match: "/public/", Inspect: "off", Public: true},
		{Match: "/account/{$}", Permission: rbac.Authenticated, Inspect: "block"},
	}
	if diff := cmp.Diff(wantRoutes, p.Routes()); diff != "" {
		t.Errorf("Routes: -want +got\n%s", diff)
	}
	if p.Default() != rbac.DefaultDeny {
		t.Errorf("Default = %q, want deny", p.Default())
	}
	if string(p.Source()) != src {
		t.Error("Source is not what was parsed")
	}

	changes := rbac.Diff(rbac.BuiltIn(), p)
	for _, want := range []rbac.Change{
		{Tier: "professional", Role: "viewer", Permission: "scan_frames", After: true},
		{Tier: "enterprise", Role: "owner", Permission: "scan_frames", After: true},
		{Tier: "professional", Role: "editor", Permission: "use_vault", Before: true},
		{Tier: "free", Role: "viewer", Permission: "view_security", Before: true},
	} {
		if !slices.Contains(changes, want) {
			t.Errorf("Diff lacks %+v", want)
		}
	}
	if slices.ContainsFunc(changes, func(c rbac.Change) bool { return c.Tier == makerguard.TierPlatform }) {
		t.Error("a change of the manufacturers' roles changed the platform")
	}
}

func TestParsePolicy_RoutesMeanDenyByDefault(t *testing.T) {
	if got := mustParse(t, "version: 1\nroutes: []").Default(); got != rbac.DefaultDeny {
		t.Errorf("Default = %q, want deny", got)
	}
	if got := mustParse(t, "version: 1\nroutes: []\ndefault: allow").Default(); got != rbac.DefaultAllow {
		t.Errorf("Default = %q, want allow", got)
	}
}

// goal: V13.2.2
func TestParsePolicy_RefusesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"empty", "", "empty"},
		{"only a comment", "# nothing", "empty"},
		{"not YAML", "version: [1", "line"},
		{"not a mapping", "- version", "the policy must be a mapping"},
		{"no version", "default: deny", "version: 1 is missing"},
		{"another version", "version: 2", "version must be 1"},
		{"two documents", "version: 1\n---\nversion: 1", "one YAML document"},
		{"unknown key", "version: 1\nrule: []", `line 2: unknown key "rule"`},
		{"repeated key", "version: 1\nversion: 1", `line 2: "version" is given again; first on line 1`},
		{"alias", "version: 1\ntiers: {free: &a {mfa: required}, enterprise: *a}", "tiers.enterprise must be a mapping"},
		{"merge", "version: 1\ntiers: {free: {<<: {mfa: required}}}", "a key must be a plain text"},
		{"unknown tier", "version: 1\ntiers: {gold: {}}", `unknown key "gold"`},
		{"unknown role", "version: 1\nroles: {root: {all: true}}", `unknown key "root"`},
		{"unknown permission", "version: 1\ntiers: {free: {permissions: [fly]}}", `unknown permission "fly"`},
		{"permission twice", "version: 1\ntiers: {free: {permissions: [use_vault, use_vault]}}", "listed twice"},
		{"operator permission in a tier", "version: 1\ntiers: {free: {permissions: [operate_keys]}}", "is for operators"},
		{"operator permission in a role", "version: 1\nroles: {viewer: {permissions: [view_metrics]}}", "is for operators"},
		{"roles in a manufacturer's tier", "version: 1\ntiers: {free: {roles: {}}}", `unknown key "roles"`},
		{"operators without a factor", "version: 1\ntiers: {platform: {mfa: optional}}", "second factor"},
		{"mfa misspelt", "version: 1\ntiers: {free: {mfa: yes}}", `it must be required or optional`},
		{"negative limit", "version: 1\ntiers: {free: {limits: {api_calls: -1}}}", "whole number"},
		{"limit too large", "version: 1\ntiers: {free: {limits: {api_calls: 9223372036854775807}}}", "whole number"},
		{"limit not a number", "version: 1\ntiers: {free: {limits: {api_calls: 1e3}}}", "whole number"},
		{"limit of an unknown meter", "version: 1\ntiers: {free: {limits: {flights: 1}}}", `unknown meter "flights"`},
		{"unlimited members", "version: 1\ntiers: {free: {entitlements: {members: unlimited}}}", "whole number"},
		{"no sessions", "version: 1\ntiers: {free: {entitlements: {sessions: 0}}}", "at least 1"},
		{"price cap of no code", "version: 1\ntiers: {free: {price_caps: {euro: 5}}}", `line 2: "euro" is not the code of a currency`},
		{"price cap in small letters", "version: 1\ntiers: {free: {price_caps: {eur: 5}}}", "three capital letters"},
		{"price cap of no number", "version: 1\ntiers: {free: {price_caps: {EUR: 50.00}}}", "tiers.free.price_caps.EUR must be a whole number"},
		{"negative price cap", "version: 1\ntiers: {free: {price_caps: {EUR: -1}}}", "whole number"},
		{"price cap without end", "version: 1\ntiers: {free: {price_caps: {EUR: unlimited}}}", "whole number"},
		{"price cap twice", "version: 1\ntiers: {free: {price_caps: {EUR: 1, EUR: 2}}}", `"EUR" is given again`},
		{"price caps that are a list", "version: 1\ntiers: {free: {price_caps: [EUR]}}", "tiers.free.price_caps must be a mapping"},
		{"price caps that are nothing", "version: 1\ntiers: {free: {price_caps: }}", "tiers.free.price_caps must be a mapping"},
		{"price caps of operators", "version: 1\ntiers: {platform: {price_caps: {EUR: 5}}}", `unknown key "price_caps"`},
		{"all and permissions", "version: 1\nroles: {owner: {all: true, permissions: []}}", "exclude each other"},
		{"except without all", "version: 1\nroles: {admin: {except: [use_vault]}}", "needs all: true"},
		{"all: false alone", "version: 1\nroles: {admin: {all: false}}", "give all: true or permissions"},
		{"all is not a boolean", "version: 1\nroles: {admin: {all: yes}}", "must be true or false"},
		{"own permission exists", "version: 1\npermissions: [use_vault]", "exists already"},
		{"own permission reserved", "version: 1\npermissions: [authenticated]", "exists already"},
		{"own permission badly named", "version: 1\npermissions: [Fly]", "not a name"},
		{"own meter exists", "version: 1\nmeters: {api_calls: {permission: use_vault}}", "exists already"},
		{"own meter without permission", "version: 1\nmeters: {scans: {}}", "needs a permission"},
		{"own meter badly named", "version: 1\nmeters: {Scans: {permission: use_vault}}", "not a name"},
		{"default misspelt", "version: 1\ndefault: Deny", "must be deny or allow"},
		{"route without match", "version: 1\nroutes: [{public: true}]", "match is missing"},
		{"route not a mapping", "version: 1\nroutes: [/x]", "must be a mapping"},
		{"route twice", "version: 1\nroutes: [{match: /x}, {match: /x}]", "given again"},
		{"public with permission", "version: 1\nroutes: [{match: /x, public: true, permission: use_vault}]", "public route"},
		{"public with meter", "version: 1\nroutes: [{match: /x, public: true, meter: api_calls}]", "public route"},
		{"public with step-up", "version: 1\nroutes: [{match: /x, public: true, step_up: 5m}]", "public route"},
		{"route with an unknown permission", "version: 1\nroutes: [{match: /x, permission: fly}]", "unknown permission"},
		{"route with an unknown meter", "version: 1\nroutes: [{match: /x, meter: flights}]", "unknown meter"},
		{"inspect misspelt", "version: 1\nroutes: [{match: /x, inspect: warn}]", "block or monitor or off"},
		{"step-up of no time", "version: 1\nroutes: [{match: /x, step_up: 0s}]", "1s to 24h"},
		{"step-up without unit", `{version: 1, routes: [{match: /x, step_up: "5"}]}`, "1s to 24h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rbac.ParsePolicy([]byte(tt.src))
			if !errors.Is(err, makerguard.ValidationFailed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParsePolicy(%q) = %v, want VALIDATION_FAILED saying %q", tt.src, err, tt.want)
			}
		})
	}
	if _, err := rbac.ParsePolicy([]byte("version: 1\n#" + strings.Repeat("x", 1<<20))); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("ParsePolicy of more than 1 MiB = %v, want VALIDATION_FAILED", err)
	}
}

func TestParsePolicy_TellsEveryProblemAtOnce(t *testing.T) {
	_, err := rbac.ParsePolicy([]byte(`
version: 1
tiers:
  free:
    permissions: [fly, use_vault]
    limits: {api_calls: many}
roles:
  viewer: {permissions: [swim]}
routes:
  - {match: "get /x", public: true}
`))
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok {
		t.Fatalf("ParsePolicy = %v, want a *makerguard.Error", err)
	}
	want := []makerguard.FieldError{
		{Pointer: "/tiers/free/permissions/0", Rule: "policy", Message: `line 5: unknown permission "fly"; declare it under permissions`},
		{Pointer: "/tiers/free/limits/api_calls", Rule: "policy", Message: `line 6: tiers.free.limits.api_calls must be a whole number from 0 to 1000000000000, or "unlimited"`},
		{Pointer: "/roles/viewer/permissions/0", Rule: "policy", Message: `line 8: unknown permission "swim"; declare it under permissions`},
		{Pointer: "/routes/0/match", Rule: "policy", Message: `line 10: match "get /x": "get" is not a method in upper case`},
	}
	if diff := cmp.Diff(want, e.Fields); diff != "" {
		t.Errorf("Fields: -want +got\n%s", diff)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(rbac.BuiltIn().Source())
	f.Add([]byte("version: 1\nroutes:\n  - {match: \"POST /api/{id...}\", permission: upload_products, step_up: 5m}\n"))
	f.Add([]byte("version: 1\npermissions: [a]\nmeters: {b: {permission: a}}\ntiers: {free: {limits: {b: unlimited}}}\n"))
	f.Add([]byte("version: 1\ntiers: {free: {price_caps: {EUR: 500000, JPY: 0}}}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := rbac.ParsePolicy(src)
		if err != nil {
			if !errors.Is(err, makerguard.ValidationFailed) {
				t.Errorf("ParsePolicy = %v, want VALIDATION_FAILED", err)
			}
			return
		}
		// Whatever a file says, these hold.
		if !p.RequiresMFA(makerguard.TierPlatform) {
			t.Error("operators need no second factor")
		}
		for _, tier := range makerguard.Tiers() {
			for _, perm := range words(operatorsOnly) {
				if p.Decide(member(tier, makerguard.RoleOwner, perm), perm).Allowed {
					t.Errorf("a manufacturer of tier %s may %s", tier, perm)
				}
			}
		}
		if again, err := rbac.ParsePolicy(p.Source()); err != nil || len(rbac.Diff(p, again)) != 0 || len(rbac.DiffTerms(p, again)) != 0 {
			t.Errorf("parsed again: %v", err)
		}
	})
}
