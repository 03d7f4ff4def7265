package rbac

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/makerguard/makerguard"
)

// Quota counts uses; *quota.Meters does.
type Quota interface {
	// Reserve sets amount units aside under limit and says what then remains. It
	// returns UsageLimitExceeded if the limit leaves too little.
	Reserve(ctx context.Context, a makerguard.MeterAccount, meter makerguard.Meter, amount, limit int64) (makerguard.Reservation, int64, error)
	// Spend spends amount units under limit, once for each idempotency key. It
	// returns UsageLimitExceeded if the limit leaves too little.
	Spend(ctx context.Context, a makerguard.MeterAccount, meter makerguard.Meter, amount, limit int64, idempotencyKey string, fingerprint []byte) (makerguard.SpendResult, error)
	// Usage says how many units are used and reserved in the month under way.
	Usage(ctx context.Context, a makerguard.MeterAccount, meters []makerguard.Meter) (makerguard.Period, map[makerguard.Meter]int64, error)
}

// Config is what an Authorizer needs.
type Config struct {
	// Policy decides until SetPolicy replaces it. Default: BuiltIn.
	Policy *Policy
	// Quota counts. Required.
	Quota Quota
}

// Authorizer combines the policy with the count of uses. It is safe for concurrent
// use.
type Authorizer struct {
	policy atomic.Pointer[Policy]
	quota  Quota
}

// New returns an Authorizer.
func New(cfg Config) (*Authorizer, error) {
	if cfg.Quota == nil {
		return nil, errors.New("rbac: Config.Quota is required")
	}
	a := &Authorizer{quota: cfg.Quota}
	if cfg.Policy == nil {
		cfg.Policy = BuiltIn()
	}
	a.policy.Store(cfg.Policy)
	return a, nil
}

// Policy gives the policy in force. Who asks it several questions about one request
// should keep it, so that they are answered alike.
func (a *Authorizer) Policy() *Policy { return a.policy.Load() }

// SetPolicy puts p in force, whole, for every decision that begins after it returns.
func (a *Authorizer) SetPolicy(p *Policy) { a.policy.Store(p) }

// Check says whether pr may use perm and, when meter is not "", whether the month
// leaves amount units of it. It spends and reserves nothing, so a later Acquire may
// answer otherwise. A denial is an answer, not an error: the error, StoreUnavailable
// or another, says that there is no answer.
func (a *Authorizer) Check(ctx context.Context, pr *makerguard.Principal, perm makerguard.Permission, meter makerguard.Meter, amount int64) (Decision, error) {
	policy := a.Policy()
	d := policy.decideMetered(pr, perm, meter)
	if !d.Allowed || meter == "" {
		return d, nil
	}
	if amount < 1 {
		return Decision{}, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The amount must be at least 1."}
	}
	_, used, err := a.quota.Usage(ctx, pr.MeterAccount(), []makerguard.Meter{meter})
	if err != nil {
		return Decision{}, err
	}
	if d.Limit == makerguard.Unlimited {
		return d, nil
	}
	left := max(d.Limit-used[meter], 0)
	if amount > left {
		return policy.overLimit(pr, d, amount, left), nil
	}
	d.Remaining = left
	return d, nil
}

// Acquire decides as Check does and, when meter is not "", sets amount units of it
// aside for the caller to commit or release. It allows only with a nil error;
// otherwise the error answers the caller (see Decision.Err) and the decision explains.
func (a *Authorizer) Acquire(ctx context.Context, pr *makerguard.Principal, perm makerguard.Permission, meter makerguard.Meter, amount int64) (Decision, makerguard.Reservation, error) {
	policy := a.Policy()
	d := policy.decideMetered(pr, perm, meter)
	if !d.Allowed {
		return d, makerguard.Reservation{}, d.Err()
	}
	if meter == "" {
		return d, makerguard.Reservation{}, nil
	}
	r, remaining, err := a.quota.Reserve(ctx, pr.MeterAccount(), meter, amount, d.Limit)
	if err != nil {
		d, err = policy.refused(pr, d, amount, remaining, err)
		return d, makerguard.Reservation{}, err
	}
	d.Remaining = remaining
	return d, r, nil
}

// Spend decides whether pr may spend on meter by hand (Policy.MeterPermission) and
// spends amount units, once for each idempotency key. Like Acquire it allows only
// with a nil error.
func (a *Authorizer) Spend(ctx context.Context, pr *makerguard.Principal, meter makerguard.Meter, amount int64, idempotencyKey string, fingerprint []byte) (Decision, makerguard.SpendResult, error) {
	policy := a.Policy()
	d := policy.decideMetered(pr, policy.MeterPermission(meter), meter)
	if !d.Allowed {
		return d, makerguard.SpendResult{}, d.Err()
	}
	res, err := a.quota.Spend(ctx, pr.MeterAccount(), meter, amount, d.Limit, idempotencyKey, fingerprint)
	if err != nil {
		d, err = policy.refused(pr, d, amount, max(d.Limit-res.Used, 0), err)
		return d, res, err
	}
	if d.Limit != makerguard.Unlimited {
		d.Remaining = max(d.Limit-res.Used, 0)
	}
	return d, res, nil
}

// decideMetered is Decide with the meter's terms filled in; Remaining is not yet
// known, so it is Unlimited or 0.
func (p *Policy) decideMetered(pr *makerguard.Principal, perm makerguard.Permission, meter makerguard.Meter) Decision {
	d := p.Decide(pr, perm)
	if !d.Allowed || meter == "" {
		return d
	}
	if _, ok := p.meterNeeds[meter]; !ok {
		return Decision{Reason: UnknownMeter, Permission: perm, Rule: ruleDefault, Meter: meter}
	}
	d.Meter, d.Limit = meter, p.Limit(pr.Tier, meter)
	if d.Limit == makerguard.Unlimited {
		d.Remaining = makerguard.Unlimited
	}
	return d
}

// refused makes d, which the policy allowed, the denial that the quota's error
// calls for, and adds the tier that would help to the error.
func (p *Policy) refused(pr *makerguard.Principal, d Decision, amount, remaining int64, err error) (Decision, error) {
	if !errors.Is(err, makerguard.UsageLimitExceeded) {
		return Decision{Permission: d.Permission, Meter: d.Meter}, err
	}
	d = p.overLimit(pr, d, amount, remaining)
	answer, ok := errors.AsType[*makerguard.Error](d.Err())
	cause, hasCause := errors.AsType[*makerguard.Error](err)
	if !ok || !hasCause {
		return d, err
	}
	answer.Message, answer.RetryAfter, answer.Err = cause.Message, cause.RetryAfter, cause.Err
	for k, v := range cause.Details {
		answer.Details[k] = v
	}
	return d, answer
}

// overLimit is the denial when the month leaves only remaining of the amount units
// that d would take.
func (p *Policy) overLimit(pr *makerguard.Principal, d Decision, amount, remaining int64) Decision {
	out := Decision{
		Reason: UsageLimitExceeded, Permission: d.Permission, Rule: ruleLimit,
		Meter: d.Meter, Limit: d.Limit, Remaining: remaining,
	}
	if pr.Tier == makerguard.TierPlatform {
		return out
	}
	used := d.Limit - remaining
	for _, tier := range makerguard.Tiers() {
		limit := p.Limit(tier, d.Meter)
		if limit != makerguard.Unlimited && limit-used < amount {
			continue
		}
		moved := *pr
		moved.Tier = tier
		if p.Decide(&moved, d.Permission).Allowed {
			out.LowestTier = tier
			return out
		}
	}
	return out
}
