package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/rbac"
)

// Validator checks the products and companies of a tier's manufacturers, now: against the
// business rules and the caps that the policy in force puts on the tier's prices. It is
// for one document; the next one may be under another policy.
func (g *Guard) Validator(tier makerguard.Tier) catalog.Validator {
	return catalog.Validator{Now: g.cfg.Now(), PriceCaps: g.Access.Policy().PriceCaps(tier)}
}

// checkPriceCaps looks for caps in what is no currency, which would silently cap nothing.
func checkPriceCaps(p *rbac.Policy) error {
	var fields []makerguard.FieldError
	var messages []string
	for _, tier := range makerguard.Tiers() {
		for _, code := range slices.Sorted(maps.Keys(p.PriceCaps(tier))) {
			if catalog.Currency(code) {
				continue
			}
			f := makerguard.FieldError{
				Pointer: fmt.Sprintf("/tiers/%s/price_caps/%s", tier, code), Rule: "policy",
				Message: fmt.Sprintf("tiers.%s.price_caps: %s is not the code of a currency in use (ISO 4217)", tier, code),
			}
			fields, messages = append(fields, f), append(messages, f.Message)
		}
	}
	if fields == nil {
		return nil
	}
	return &makerguard.Error{
		Code: makerguard.ValidationFailed, Message: "The policy is not valid: " + strings.Join(messages, "; ") + ".", Fields: fields,
	}
}
