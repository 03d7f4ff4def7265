package rbac

import (
	"regexp"

	"github.com/makerguard/makerguard"
)

func (p *parser) tiers(e entry) {
	for _, te := range p.mapping(e.value, e.pointer, names(tierNames[:])...) {
		t, _ := tierIndex(makerguard.Tier(te.key))
		keys := []string{"permissions", "limits", "entitlements", "mfa", "rates"}
		if t == tierPlatform {
			keys = append(keys, "roles")
		} else {
			keys = append(keys, "price_caps")
		}
		for _, f := range p.mapping(te.value, te.pointer, keys...) {
			p.tierField(t, f)
		}
	}
}

func (p *parser) tierField(t int, f entry) {
	tier := &p.spec.tiers[t]
	switch f.key {
	case "permissions":
		tier.permissions = p.permissionList(f, t == tierPlatform)
	case "limits":
		if tier.limits == nil {
			tier.limits = make(map[makerguard.Meter]int64)
		}
		for _, l := range p.mapping(f.value, f.pointer) {
			if !p.knowsMeter(makerguard.Meter(l.key)) {
				p.failf(l.value, l.pointer, "unknown meter %q; declare it under meters", clip(l.key))
				continue
			}
			if v, ok := p.number(l.value, l.pointer, true); ok {
				tier.limits[makerguard.Meter(l.key)] = v
			}
		}
	case "entitlements":
		for _, l := range p.mapping(f.value, f.pointer, "sessions", "members", "api_keys") {
			v, _ := p.number(l.value, l.pointer, false)
			switch l.key {
			case "sessions":
				tier.sessions = v
			case "members":
				tier.members = v
			case "api_keys":
				tier.apiKeys = v
			}
			if v == 0 && l.key != "api_keys" {
				p.failf(l.value, l.pointer, "%s must be at least 1, or nobody could sign in", l.key)
			}
		}
	case "mfa":
		s, ok := p.choice(f.value, f.pointer, "required", "optional")
		tier.mfa = s == "required"
		if ok && !tier.mfa && t == tierPlatform {
			p.failf(f.value, f.pointer, "operators must have a second factor; mfa cannot be optional")
		}
	case "roles":
		p.roles(f, &p.spec.platformRoles, true)
	case "price_caps":
		p.priceCaps(tier, f)
	case "rates":
		tier.rates = p.rates(f, tierPlace(tierNames[t]))
	}
}

// currencyForm is that of the codes of ISO 4217.
var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

// priceCaps reads the highest price that a tier allows in each currency.
func (p *parser) priceCaps(tier *tierSpec, f entry) {
	if tier.priceCaps == nil {
		tier.priceCaps = make(map[string]int64)
	}
	for _, c := range p.mapping(f.value, f.pointer) {
		if !currencyForm.MatchString(c.key) {
			p.failf(c.value, c.pointer, "%q is not the code of a currency: three capital letters, as EUR", clip(c.key))
			continue
		}
		if v, ok := p.number(c.value, c.pointer, false); ok {
			tier.priceCaps[c.key] = v
		}
	}
}
