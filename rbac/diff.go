package rbac

import (
	"maps"
	"slices"
	"strconv"

	"github.com/makerguard/makerguard"
)

// Change is one permission that a tier and role gain or lose by a change of policy.
type Change struct {
	Tier       makerguard.Tier
	Role       makerguard.Role
	Permission makerguard.Permission
	Before     bool
	After      bool
}

// DiffPrincipal lists what pr gains or loses when after replaces before.
func DiffPrincipal(before, after *Policy, pr *makerguard.Principal) []Change {
	var changes []Change
	for _, perm := range knownToEither(before, after) {
		b, a := before.Decide(pr, perm).Allowed, after.Decide(pr, perm).Allowed
		if b != a {
			changes = append(changes, Change{Tier: pr.Tier, Role: pr.Role, Permission: perm, Before: b, After: a})
		}
	}
	return changes
}

func knownToEither(before, after *Policy) []makerguard.Permission {
	known := slices.Clone(after.permissions)
	for _, perm := range before.permissions {
		if !slices.Contains(known, perm) {
			known = append(known, perm)
		}
	}
	return known
}

// Diff lists what each tier and role gain or lose when after replaces before.
func Diff(before, after *Policy) []Change {
	known := knownToEither(before, after)
	var changes []Change
	for t, tier := range tierNames {
		for r, role := range roleNames {
			for _, perm := range known {
				b, a := before.allows(t, r, perm), after.allows(t, r, perm)
				if b != a {
					changes = append(changes, Change{Tier: tier, Role: role, Permission: perm, Before: b, After: a})
				}
			}
		}
	}
	return changes
}

func (p *Policy) allows(tier, role int, perm makerguard.Permission) bool {
	r := p.rows.find(perm)
	return r != nil && r.cells[tier][role] == roleAllows
}

// TermChange is one of a tier's terms, besides its permissions, that a change of policy alters.
type TermChange struct {
	Tier makerguard.Tier
	Term string // as the policy file has it: limits.product_uploads, entitlements.members, mfa, price_caps.EUR
	// Before and After are written as in the file too; "" is what a policy does not have: the cap
	// of a price, or a meter.
	Before, After string
}

// DiffTerms lists which limits, entitlements, demands for a second factor and caps on prices
// differ when after replaces before, in the order of tiers and then by name.
func DiffTerms(before, after *Policy) []TermChange {
	var changes []TermChange
	for t, tier := range tierNames {
		b, a := before.written(t), after.written(t)
		names := make(map[string]bool, len(a))
		for term := range b {
			names[term] = true
		}
		for term := range a {
			names[term] = true
		}
		for _, term := range slices.Sorted(maps.Keys(names)) {
			if b[term] != a[term] {
				changes = append(changes, TermChange{Tier: tier, Term: term, Before: b[term], After: a[term]})
			}
		}
	}
	return changes
}

// written gives a tier's terms as the policy file writes them.
func (p *Policy) written(tier int) map[string]string {
	t := p.tiers[tier]
	terms := map[string]string{
		"entitlements.sessions": amount(t.sessions),
		"entitlements.members":  amount(t.members),
		"entitlements.api_keys": amount(t.apiKeys),
		"mfa":                   "optional",
	}
	if t.mfa {
		terms["mfa"] = "required"
	}
	for _, m := range p.meters {
		terms["limits."+string(m)] = amount(t.limits[m])
	}
	for currency, most := range t.priceCaps {
		terms["price_caps."+currency] = amount(most)
	}
	return terms
}

func amount(n int64) string {
	if n == makerguard.Unlimited {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}
