package guard

import (
	"context"
	"errors"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
)

// MeterState is how one meter stands for a manufacturer.
type MeterState struct {
	Meter  makerguard.Meter
	Limit  int64 // units a period, or makerguard.Unlimited
	Used   int64 // units committed and reserved
	Period makerguard.Period
}

// Remaining is how many units are left, makerguard.Unlimited if there is no limit.
func (s MeterState) Remaining() int64 {
	if s.Limit < 0 {
		return makerguard.Unlimited
	}
	return max(s.Limit-s.Used, 0)
}

// Allowance is the state as the rate limit fields tell it.
func (s MeterState) Allowance() middleware.Allowance {
	return middleware.Allowance{Meter: s.Meter, Limit: s.Limit, Remaining: s.Remaining(), Period: s.Period}
}

// Usage tells how all of the policy's meters stand for p's manufacturer this month.
func (g *Guard) Usage(ctx context.Context, p *makerguard.Principal) (makerguard.Period, []MeterState, error) {
	policy := g.Access.Policy()
	meters := policy.Meters()
	period, used, err := g.Meters.Usage(ctx, p.MeterAccount(), meters)
	if err != nil {
		return makerguard.Period{}, nil, err
	}
	states := make([]MeterState, 0, len(meters))
	for _, m := range meters {
		states = append(states, MeterState{Meter: m, Limit: policy.Limit(p.Tier, m), Used: used[m], Period: period})
	}
	return period, states, nil
}

// Use spends units of a meter by hand, once for each idempotency key ("" for none);
// fingerprint tells two requests with one key apart. It returns NotFound for a meter
// that the policy does not know or that only the gateway counts, else as
// rbac.Authorizer.Spend does.
func (g *Guard) Use(ctx context.Context, p *makerguard.Principal, meter makerguard.Meter, amount int64, idempotencyKey string, fingerprint []byte) (MeterState, error) {
	perm := g.Access.Policy().MeterPermission(meter)
	if perm == "" || perm == rbac.Authenticated {
		return MeterState{}, &makerguard.Error{Code: makerguard.NotFound, Message: "there is no such meter to use by hand; GET /v1/usage lists the meters"}
	}
	d, res, err := g.Access.Spend(ctx, p, meter, amount, idempotencyKey, fingerprint)
	if err != nil {
		if errors.Is(err, makerguard.InsufficientPermissions) {
			g.AccessDenied(ctx, p, string(perm))
		}
		return MeterState{}, err
	}
	period, err := g.Meters.PeriodAt(g.cfg.Now(), p.TimeZone, p.AnchorDay)
	if err != nil {
		return MeterState{}, err
	}
	return MeterState{Meter: meter, Limit: d.Limit, Used: res.Used, Period: period}, nil
}

// AccessDenied writes a refusal for want of a permission to the audit record. The refusal
// stands whether or not that succeeds.
func (g *Guard) AccessDenied(ctx context.Context, p *makerguard.Principal, target string) {
	c := makerguard.ClientFrom(ctx)
	err := g.Audit.Record(ctx, makerguard.AuditEntry{
		ManufacturerID: p.ManufacturerID, Action: audit.AccessDenied, Outcome: audit.Denied, ActorKind: string(p.Kind), ActorID: string(p.MemberID),
		Target: target, IP: c.IP, RequestID: c.RequestID,
	})
	if err != nil {
		g.cfg.Logger.Error("denial not audited", "request_id", c.RequestID, "error", err)
	}
}

// Question is what AuthZEN's evaluation asks. Empty members mean the caller, its own
// manufacturer, and the meter that belongs to the permission.
type Question struct {
	SubjectType, SubjectID   string // member or manufacturer
	ResourceType, ResourceID string // manufacturer
	Permission               makerguard.Permission
	Meter                    makerguard.Meter
	Amount                   int64 // 0 is 1
}

// Evaluate answers a question as the middleware would decide it, without using anything
// up. Whom the caller may not ask about is denied as rbac.UnknownSubject, whether or not
// there is such a one.
func (g *Guard) Evaluate(ctx context.Context, caller *makerguard.Principal, q Question) (rbac.Decision, error) {
	subject, err := g.subject(ctx, caller, q)
	if errors.Is(err, makerguard.NotFound) {
		return rbac.Decision{Reason: rbac.UnknownSubject, Permission: q.Permission, Rule: "default"}, nil
	}
	if err != nil {
		return rbac.Decision{}, err
	}
	if q.ResourceID != "" && makerguard.ManufacturerID(q.ResourceID) != subject.ManufacturerID {
		// Nobody has rights on another manufacturer's things.
		return rbac.Decision{Reason: rbac.UnknownSubject, Permission: q.Permission, Rule: "default"}, nil
	}
	meter, amount := q.Meter, max(q.Amount, 1)
	if meter == "" {
		meter = meterOf(g.Access.Policy(), q.Permission)
	}
	return g.Access.Check(ctx, subject, q.Permission, meter, amount)
}

// meterOf gives the meter that a permission's use counts on, "" if there is none.
func meterOf(p *rbac.Policy, perm makerguard.Permission) makerguard.Meter {
	for _, m := range p.Meters() {
		if perm != "" && p.MeterPermission(m) == perm {
			return m
		}
	}
	return ""
}

// subject finds who a question is about, NotFound if the caller may not ask.
func (g *Guard) subject(ctx context.Context, caller *makerguard.Principal, q Question) (*makerguard.Principal, error) {
	unknown := &makerguard.Error{Code: makerguard.NotFound, Message: "no such subject"}
	mfr := caller.ManufacturerID
	if caller.Operator() && q.ResourceID != "" {
		mfr = makerguard.ManufacturerID(q.ResourceID)
	}
	switch q.SubjectType {
	case "":
		return caller, nil
	case "member":
		if makerguard.MemberID(q.SubjectID) == caller.MemberID {
			return caller, nil
		}
		mem, m, err := g.store.MemberByID(ctx, mfr, makerguard.MemberID(q.SubjectID))
		if err != nil {
			return nil, err
		}
		if mem.Status != makerguard.StatusActive || m.Status != makerguard.StatusActive {
			return nil, unknown
		}
		return &makerguard.Principal{
			Kind: makerguard.KindMember, ManufacturerID: m.ID, MemberID: mem.ID, Tier: m.Tier, Role: mem.Role, Grants: mem.Grants,
			TimeZone: m.TimeZone, AnchorDay: m.AnchorDay,
		}, nil
	case "manufacturer":
		id := makerguard.ManufacturerID(q.SubjectID)
		if id != caller.ManufacturerID && !caller.Operator() {
			return nil, unknown
		}
		m, err := g.store.Manufacturer(ctx, id)
		if err != nil {
			return nil, err
		}
		if m.Status != makerguard.StatusActive {
			return nil, unknown
		}
		// What the tier allows at all: what its owner may.
		return &makerguard.Principal{
			Kind: makerguard.KindMember, ManufacturerID: m.ID, Tier: m.Tier, Role: makerguard.RoleOwner, TimeZone: m.TimeZone, AnchorDay: m.AnchorDay,
		}, nil
	}
	return nil, unknown // an API key is known only to the session it came with
}

// Me gives a member's own manufacturer and record.
func (g *Guard) Me(ctx context.Context, p *makerguard.Principal) (makerguard.Manufacturer, makerguard.Member, error) {
	mem, m, err := g.store.MemberByID(ctx, p.ManufacturerID, p.MemberID)
	return m, mem, err
}
