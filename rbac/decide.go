package rbac

import (
	"slices"

	"github.com/makerguard/makerguard"
)

// Reason says why a decision is what it is. Reasons are stable: clients match on them.
type Reason string

// The reasons.
const (
	// Allowed: the caller may.
	Allowed Reason = "ALLOWED"
	// TierLacksPermission: the manufacturer's tier does not hold the permission.
	TierLacksPermission Reason = "TIER_LACKS_PERMISSION"
	// RoleLacksPermission: the tier holds it, but neither role nor grant gives it.
	RoleLacksPermission Reason = "ROLE_LACKS_PERMISSION"
	// UnknownPermission: the policy does not know the permission.
	UnknownPermission Reason = "UNKNOWN_PERMISSION"
	// UnknownMeter: the policy does not know the meter.
	UnknownMeter Reason = "UNKNOWN_METER"
	// UnknownSubject: the caller's kind, tier or role is none the policy knows, or
	// the tier is not one its tenant can have.
	UnknownSubject Reason = "UNKNOWN_SUBJECT"
	// UsageLimitExceeded: the permission is given, but the month's limit leaves too little.
	UsageLimitExceeded Reason = "USAGE_LIMIT_EXCEEDED"
	// NoPrincipal: nobody is authenticated.
	NoPrincipal Reason = "NO_PRINCIPAL"
)

// The rules that are not a tier's or a role's.
const (
	ruleDefault       = "default"
	ruleGrant         = "grant"
	ruleAuthenticated = "authenticated"
	ruleLimit         = "limit"
)

// Decision is an answer with its grounds. The zero value denies.
type Decision struct {
	Allowed    bool
	Reason     Reason
	Permission makerguard.Permission // what was asked
	// Rule is what decided: "tier:free", "role:viewer", "grant", "authenticated",
	// "limit", or "default" where nothing spoke for it.
	Rule string
	// LowestTier is the lowest tier in which the same caller would be allowed; ""
	// when it is allowed already, or when no tier would help.
	LowestTier makerguard.Tier

	// Meter, Limit and Remaining are set by Authorizer when a meter was asked about
	// and the permission is given. Remaining is what the month leaves: before
	// the use for Check, after it for Acquire and Spend. Both are makerguard.Unlimited
	// where there is no limit.
	Meter     makerguard.Meter
	Limit     int64
	Remaining int64
}

// Decide says whether pr may do what perm names. It is a pure function of the policy
// and its arguments, allocates nothing and is safe for concurrent use.
func (p *Policy) Decide(pr *makerguard.Principal, perm makerguard.Permission) Decision {
	if pr == nil {
		return Decision{Reason: NoPrincipal, Permission: perm, Rule: ruleDefault}
	}
	tier, column, ok := place(pr)
	if !ok {
		return Decision{Reason: UnknownSubject, Permission: perm, Rule: ruleDefault}
	}
	r := p.rows.find(perm)
	if r == nil {
		return Decision{Reason: UnknownPermission, Permission: perm, Rule: ruleDefault}
	}
	switch r.cells[tier][column] {
	case roleAllows:
		return Decision{Allowed: true, Reason: Allowed, Permission: perm, Rule: roleRules[column]}
	case roleLacks:
		if slices.Contains(pr.Grants, perm) {
			return Decision{Allowed: true, Reason: Allowed, Permission: perm, Rule: ruleGrant}
		}
		if column == columnKey {
			return Decision{Reason: RoleLacksPermission, Permission: perm, Rule: ruleDefault}
		}
		return Decision{Reason: RoleLacksPermission, Permission: perm, Rule: roleRules[column]}
	case anyoneMay:
		return Decision{Allowed: true, Reason: Allowed, Permission: perm, Rule: ruleAuthenticated}
	case tierLacksRoleHas:
		d := Decision{Reason: TierLacksPermission, Permission: perm, Rule: tierRules[tier]}
		if tier != tierPlatform {
			d.LowestTier = r.lowest
		}
		return d
	case tierLacks:
		d := Decision{Reason: TierLacksPermission, Permission: perm, Rule: tierRules[tier]}
		if tier != tierPlatform && slices.Contains(pr.Grants, perm) {
			d.LowestTier = r.lowest
		}
		return d
	}
	return Decision{Reason: UnknownPermission, Permission: perm, Rule: ruleDefault}
}

// place finds the cell of the matrix that speaks for pr. It refuses a caller whose
// tenant and tier do not go together: the platform's tier is for the platform's
// members alone, and they have no other.
func place(pr *makerguard.Principal) (tier, column int, ok bool) {
	tier, ok = tierIndex(pr.Tier)
	if !ok || pr.ManufacturerID == "" || pr.Operator() != (tier == tierPlatform) {
		return 0, 0, false
	}
	switch pr.Kind {
	case makerguard.KindMember:
		column, ok = roleIndex(pr.Role)
		return tier, column, ok
	case makerguard.KindAPIKey:
		return tier, columnKey, true
	}
	return 0, 0, false
}

// Err gives the error that answers the caller when d denies, and nil when it
// allows: AuthenticationRequired without a principal, UsageLimitExceeded past a
// limit, else InsufficientPermissions. Details tell the reason, the rule, the permission and
// the lowest tier that would allow it.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	e := &makerguard.Error{
		Code:    makerguard.InsufficientPermissions,
		Details: map[string]any{"reason": d.Reason, "rule": d.Rule, "permission": d.Permission},
	}
	if d.LowestTier != "" {
		e.Details["lowest_tier"] = d.LowestTier
	}
	switch d.Reason {
	case NoPrincipal:
		e.Code, e.Message = makerguard.AuthenticationRequired, "Sign in, or send an access token or API key."
	case UsageLimitExceeded:
		e.Code, e.Message = makerguard.UsageLimitExceeded, "This month's limit leaves too little for this request."
		e.Details["meter"], e.Details["limit"], e.Details["remaining"] = d.Meter, d.Limit, d.Remaining
	case TierLacksPermission:
		e.Message = "Your plan does not include this."
		if d.LowestTier != "" {
			e.Message = "Your plan does not include this; the " + string(d.LowestTier) + " plan does."
		}
	case RoleLacksPermission:
		e.Message = "Your role does not allow this; ask an owner or admin of your organisation."
	default:
		e.Message = "You may not do this."
	}
	return e
}
