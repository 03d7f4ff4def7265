package rbac_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

// The oracle: the published table of tiers and roles, written down a second time and
// evaluated the slow and obvious way.
const (
	freeHas         = "upload_products manage_products view_basic_analytics manage_profile manage_members use_encryption view_security"
	professionalHas = freeHas + " bulk_upload_products view_advanced_analytics access_ml_tools export_data manage_api_keys use_vault view_audit"
	enterpriseHas   = professionalHas + " use_predictive_analytics use_virtual_try_on manage_webhooks manage_encryption_keys introspect_tokens"
	platformHas     = "operate_manufacturers operate_keys operate_policy view_metrics manage_members manage_profile view_security view_audit introspect_tokens use_encryption"
	operatorsOnly   = "operate_manufacturers operate_keys operate_policy view_metrics"

	editorHas = "upload_products manage_products bulk_upload_products access_ml_tools use_predictive_analytics use_virtual_try_on " +
		"export_data view_basic_analytics view_advanced_analytics use_vault use_encryption view_security"
	viewerHas = "view_basic_analytics view_advanced_analytics view_security"
)

func words(s string) []makerguard.Permission {
	var perms []makerguard.Permission
	for w := range strings.FieldsSeq(s) {
		perms = append(perms, makerguard.Permission(w))
	}
	return perms
}

var everyPermission = words(enterpriseHas + " " + operatorsOnly)

func oracleTier(tier makerguard.Tier) []makerguard.Permission {
	return words(map[makerguard.Tier]string{
		"free": freeHas, "professional": professionalHas, "enterprise": enterpriseHas, "platform": platformHas,
	}[tier])
}

func oracleRole(tier makerguard.Tier, role makerguard.Role, perm makerguard.Permission) bool {
	platform := tier == "platform"
	switch role {
	case "owner":
		return true
	case "admin":
		if platform {
			return perm != "operate_keys" && perm != "operate_policy"
		}
		return perm != "manage_encryption_keys"
	case "editor":
		if platform {
			return slices.Contains(words("operate_manufacturers view_metrics view_security"), perm)
		}
		return slices.Contains(words(editorHas), perm)
	case "viewer":
		if platform {
			return slices.Contains(words("view_metrics view_security"), perm)
		}
		return slices.Contains(words(viewerHas), perm)
	}
	return false
}

func member(tier makerguard.Tier, role makerguard.Role, grants ...makerguard.Permission) *makerguard.Principal {
	p := &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: "mfr_0197f0c2a5b07c00a000000000000001",
		MemberID: "mbr_1", SessionID: "ses_1", Tier: tier, Role: role, Grants: grants,
	}
	if tier == makerguard.TierPlatform {
		p.ManufacturerID = makerguard.PlatformID
	}
	return p
}

func allTiers() []makerguard.Tier { return append(makerguard.Tiers(), makerguard.TierPlatform) }

// goal: V8.1.1 V8.2.1 V8.3.1
func TestDecide_MatchesThePublishedMatrix(t *testing.T) {
	policy := rbac.BuiltIn()
	cases := 0
	for _, tier := range allTiers() {
		for _, role := range makerguard.Roles() {
			var want []makerguard.Permission
			for _, perm := range everyPermission {
				for _, granted := range []bool{false, true} {
					cases++
					var grants []makerguard.Permission
					if granted {
						grants = append(grants, perm)
					}
					inTier, inRole := slices.Contains(oracleTier(tier), perm), oracleRole(tier, role, perm)
					allowed := inTier && (inRole || granted)
					got := policy.Decide(member(tier, role, grants...), perm)
					if got.Allowed != allowed {
						t.Errorf("%s %s %s granted=%v: allowed = %v, want %v", tier, role, perm, granted, got.Allowed, allowed)
					}
					if allowed && !granted {
						want = append(want, perm)
					}
					checkGrounds(t, got, tier, role, perm, inTier, inRole, granted)
				}
			}
			got := policy.Permissions(member(tier, role))
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Permissions(%s %s): -want +got\n%s", tier, role, diff)
			}
		}
	}
	t.Logf("%d cells of the matrix compared", cases)
}

func checkGrounds(t *testing.T, got rbac.Decision, tier makerguard.Tier, role makerguard.Role, perm makerguard.Permission, inTier, inRole, granted bool) {
	t.Helper()
	want := rbac.Decision{Allowed: got.Allowed, Permission: perm}
	switch {
	case !inTier:
		want.Reason, want.Rule = rbac.TierLacksPermission, "tier:"+string(tier)
		if tier != makerguard.TierPlatform && (inRole || granted) {
			for _, higher := range slices.Backward(makerguard.Tiers()) {
				if slices.Contains(oracleTier(higher), perm) {
					want.LowestTier = higher
				}
			}
		}
	case inRole:
		want.Reason, want.Rule = rbac.Allowed, "role:"+string(role)
	case granted:
		want.Reason, want.Rule = rbac.Allowed, "grant"
	default:
		want.Reason, want.Rule = rbac.RoleLacksPermission, "role:"+string(role)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %s %s granted=%v: -want +got\n%s", tier, role, perm, granted, diff)
	}
}

// goal: V8.2.1
func TestDecide_DeniesWhatItDoesNotKnow(t *testing.T) {
	owner := func(change func(*makerguard.Principal)) *makerguard.Principal {
		p := member(makerguard.TierEnterprise, makerguard.RoleOwner)
		change(p)
		return p
	}
	for _, tt := range []struct {
		name string
		who  *makerguard.Principal
		perm makerguard.Permission
		want rbac.Reason
	}{
		{"nobody", nil, makerguard.ViewSecurity, rbac.NoPrincipal},
		{"nobody, authenticated", nil, rbac.Authenticated, rbac.NoPrincipal},
		{"zero principal", &makerguard.Principal{}, makerguard.ViewSecurity, rbac.UnknownSubject},
		{"zero principal, authenticated", &makerguard.Principal{}, rbac.Authenticated, rbac.UnknownSubject},
		{"no kind", owner(func(p *makerguard.Principal) { p.Kind = "" }), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"no tenant", owner(func(p *makerguard.Principal) { p.ManufacturerID = "" }), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"unknown tier", owner(func(p *makerguard.Principal) { p.Tier = "platinum" }), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"unknown role", owner(func(p *makerguard.Principal) { p.Role = "root" }), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"role in another case", owner(func(p *makerguard.Principal) { p.Role = "Owner" }), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"unknown role with a grant", owner(func(p *makerguard.Principal) {
			p.Role, p.Grants = "", []makerguard.Permission{makerguard.ViewSecurity}
		}), makerguard.ViewSecurity, rbac.UnknownSubject},
		{"manufacturer with the platform's tier", owner(func(p *makerguard.Principal) { p.Tier = makerguard.TierPlatform }), makerguard.OperateKeys, rbac.UnknownSubject},
		{"platform with a manufacturer's tier", owner(func(p *makerguard.Principal) { p.ManufacturerID = makerguard.PlatformID }), makerguard.UploadProducts, rbac.UnknownSubject},
		{"empty permission", owner(func(*makerguard.Principal) {}), "", rbac.UnknownPermission},
		{"unknown permission", owner(func(*makerguard.Principal) {}), "fly", rbac.UnknownPermission},
		{"unknown permission granted", owner(func(p *makerguard.Principal) { p.Grants = []makerguard.Permission{"fly", ""} }), "fly", rbac.UnknownPermission},
		{"operator permission granted", owner(func(p *makerguard.Principal) {
			p.Grants = []makerguard.Permission{makerguard.OperateKeys}
		}), makerguard.OperateKeys, rbac.TierLacksPermission},
		{"authenticated granted to nobody known", owner(func(p *makerguard.Principal) {
			p.Kind, p.Grants = "robot", []makerguard.Permission{rbac.Authenticated}
		}), rbac.Authenticated, rbac.UnknownSubject},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rbac.BuiltIn().Decide(tt.who, tt.perm)
			if got.Allowed || got.Reason != tt.want || got.LowestTier != "" {
				t.Errorf("Decide = %+v, want a denial for %s", got, tt.want)
			}
			if got.Err() == nil {
				t.Error("Err of a denial = nil")
			}
		})
	}
	var zero rbac.Decision
	if zero.Allowed || zero.Err() == nil {
		t.Errorf("the zero decision allows: %+v", zero)
	}
}

func TestDecide_APIKeyHasWhatItWasGivenWithinTheTier(t *testing.T) {
	key := member(makerguard.TierProfessional, makerguard.RoleOwner, makerguard.ExportData, makerguard.UseVirtualTryOn, makerguard.OperateKeys)
	key.Kind = makerguard.KindAPIKey
	got := rbac.BuiltIn().Permissions(key)
	if diff := cmp.Diff([]makerguard.Permission{makerguard.ExportData}, got); diff != "" {
		t.Errorf("Permissions of a key: -want +got\n%s", diff)
	}
	if d := rbac.BuiltIn().Decide(key, makerguard.UseVirtualTryOn); d.LowestTier != makerguard.TierEnterprise {
		t.Errorf("LowestTier = %q, want enterprise", d.LowestTier)
	}
	if d := rbac.BuiltIn().Decide(key, rbac.Authenticated); !d.Allowed || d.Rule != "authenticated" {
		t.Errorf("Decide(authenticated) = %+v, want allowed", d)
	}
}

// Random graphs of tenants, members, roles and grants under random policies: whatever
// they are, a grant stays within the tier, and neither side of the border between
// operators and manufacturers gets at the other's permissions.
//
// goal: V8.2.1 V8.4.1
func TestDecide_NothingCrossesTierOrTenant(t *testing.T) {
	policies := []*rbac.Policy{rbac.BuiltIn(), mustParse(t, `
version: 1
permissions: [own_thing]
tiers:
  free: {permissions: [own_thing]}
  platform: {permissions: [operate_keys, view_metrics]}
roles:
  viewer: {permissions: [own_thing, manage_encryption_keys]}
`)}
	grants := rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(everyPermission), "own_thing", "fly", "", rbac.Authenticated)), 0, 6)
	graphs := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 100 {
			graphs++
			policy := rapid.SampledFrom(policies).Draw(t, "policy")
			tier := rapid.SampledFrom(allTiers()).Draw(t, "tier")
			role := rapid.SampledFrom(append(makerguard.Roles(), "", "root")).Draw(t, "role")
			p := member(tier, role, grants.Draw(t, "grants")...)
			p.Kind = rapid.SampledFrom([]makerguard.PrincipalKind{makerguard.KindMember, makerguard.KindAPIKey, ""}).Draw(t, "kind")
			if rapid.IntRange(0, 9).Draw(t, "foreign") == 0 {
				p.ManufacturerID = rapid.SampledFrom([]makerguard.ManufacturerID{"", "mfr_x", makerguard.PlatformID}).Draw(t, "tenant")
			}
			owner := member(tier, makerguard.RoleOwner)
			for _, perm := range policy.Known() {
				d := policy.Decide(p, perm)
				if !d.Allowed {
					continue
				}
				if !policy.Decide(owner, perm).Allowed {
					t.Fatalf("%+v may %s, which the %s tier does not hold", p, perm, tier)
				}
				operator := slices.Contains(words(operatorsOnly), perm)
				if operator && (p.ManufacturerID != makerguard.PlatformID || p.Tier != makerguard.TierPlatform) {
					t.Fatalf("%+v is no operator and may %s", p, perm)
				}
				if p.ManufacturerID == makerguard.PlatformID && !slices.Contains(policy.Permissions(member(makerguard.TierPlatform, makerguard.RoleOwner)), perm) {
					t.Fatalf("operator %+v may %s", p, perm)
				}
			}
		}
	})
	t.Logf("%d random role graphs", graphs)
}

func TestDecide_AllocatesNothing(t *testing.T) {
	policy := rbac.BuiltIn()
	who := []*makerguard.Principal{
		member(makerguard.TierEnterprise, makerguard.RoleOwner),
		member(makerguard.TierFree, makerguard.RoleViewer, makerguard.UploadProducts),
		nil,
	}
	n := testing.AllocsPerRun(100, func() {
		for _, p := range who {
			for _, perm := range everyPermission {
				sink = policy.Decide(p, perm)
			}
		}
	})
	if n != 0 {
		t.Errorf("Decide allocates %v times", n)
	}
}

var sink rbac.Decision

func BenchmarkDecide(b *testing.B) {
	policy := rbac.BuiltIn()
	for _, bb := range []struct {
		name string
		who  *makerguard.Principal
		perm makerguard.Permission
	}{
		{"role", member(makerguard.TierProfessional, makerguard.RoleEditor), makerguard.UploadProducts},
		{"grant", member(makerguard.TierProfessional, makerguard.RoleViewer, makerguard.UseVault, makerguard.UploadProducts), makerguard.UploadProducts},
		{"denied", member(makerguard.TierFree, makerguard.RoleViewer), makerguard.UseVirtualTryOn},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = policy.Decide(bb.who, bb.perm)
			}
		})
	}
}

func ExamplePolicy_Decide() {
	p := &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_1",
		Tier: makerguard.TierFree, Role: makerguard.RoleEditor,
	}
	d := rbac.BuiltIn().Decide(p, makerguard.ExportData)
	fmt.Println(d.Allowed, d.Reason, d.Rule, d.LowestTier)
	// Output: false TIER_LACKS_PERMISSION tier:free professional
}
