package main

import (
	"errors"
	"fmt"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/rbac"
)

func accessRows() []row {
	const against = "casbin's cached enforcer"
	return []row{
		{
			path: "permission decision", against: against,
			target:  target{relation: timesFaster, bound: 10, allocs: 0},
			measure: comparison(oneCore, 1, permissionDecision),
		},
		{
			path: "decision with quota from a lease", against: against + ", without quota",
			target:  target{relation: timesFaster, bound: 1, allocs: 0},
			measure: comparison(oneCore, 1, quotaDecision),
		},
	}
}

// question is one cell of the matrix: may this tier and role do that?
type question struct {
	principal  *makerguard.Principal
	permission makerguard.Permission
	allowed    bool // what the policy says
}

// questions are all of a policy: each tier, role and permission.
func questions(p *rbac.Policy) []question {
	var all []question
	for _, tier := range append(makerguard.Tiers(), makerguard.TierPlatform) {
		mfr := makerguard.ManufacturerID("mfr_bench")
		if tier == makerguard.TierPlatform {
			mfr = makerguard.PlatformID
		}
		for _, role := range makerguard.Roles() {
			pr := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: mfr, MemberID: "mbr_bench", Tier: tier, Role: role}
			granted := map[makerguard.Permission]bool{}
			for _, perm := range p.Permissions(pr) {
				granted[perm] = true
			}
			for _, perm := range p.Known() {
				all = append(all, question{pr, perm, granted[perm]})
			}
		}
	}
	return all
}

// enforcer is casbin with the matrix: one rule for each cell that allows.
func enforcer(qs []question) (*casbin.CachedEnforcer, error) {
	m, err := model.NewModelFromString(`
[request_definition]
r = tier, role, act
[policy_definition]
p = tier, role, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.tier == p.tier && r.role == p.role && r.act == p.act
`)
	if err != nil {
		return nil, fmt.Errorf("reading casbin's model: %w", err)
	}
	e, err := casbin.NewCachedEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("making casbin's enforcer: %w", err)
	}
	for _, q := range qs {
		if !q.allowed {
			continue
		}
		if _, err := e.AddPolicy(string(q.principal.Tier), string(q.principal.Role), string(q.permission)); err != nil {
			return nil, fmt.Errorf("adding a rule: %w", err)
		}
	}
	return e, nil
}

var errWrongDecision = errors.New("a decision is not what the policy says")

// casbinSide asks every question in turn. It has been asked each before, so that all
// answers are in its cache.
func casbinSide(qs []question) (side, error) {
	e, err := enforcer(qs)
	if err != nil {
		return side{}, err
	}
	ask := func(q *question) error {
		allowed, err := e.Enforce(string(q.principal.Tier), string(q.principal.Role), string(q.permission))
		if err == nil && allowed != q.allowed {
			err = errWrongDecision
		}
		return err
	}
	for i := range qs {
		if err := ask(&qs[i]); err != nil {
			return side{}, err
		}
	}
	return side{run: func(n int) error {
		for i, j := 0, 0; i < n; i, j = i+1, j+1 {
			if j == len(qs) {
				j = 0
			}
			if err := ask(&qs[j]); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

func permissionDecision(*lab) (ours, theirs side, err error) {
	p := rbac.BuiltIn()
	qs := questions(p)
	allowed := 0
	for _, q := range qs {
		if q.allowed {
			allowed++
		}
	}
	if len(qs) < 200 || allowed < len(qs)/4 || allowed > 3*len(qs)/4 {
		return ours, theirs, fmt.Errorf("the matrix has %d cells, %d of which allow: not one to measure with", len(qs), allowed)
	}
	ours.run = func(n int) error {
		for i, j := 0, 0; i < n; i, j = i+1, j+1 {
			if j == len(qs) {
				j = 0
			}
			if q := &qs[j]; p.Decide(q.principal, q.permission).Allowed != q.allowed {
				return errWrongDecision
			}
		}
		return nil
	}
	theirs, err = casbinSide(qs)
	return ours, theirs, err
}

// quotaDecision counts a unit for each decision, on a real store. The requests for the
// next block of units are part of what is measured.
func quotaDecision(l *lab) (ours, theirs side, err error) {
	g, err := l.guard()
	if err != nil {
		return ours, theirs, err
	}
	if err := limitHolds(l, g); err != nil {
		return ours, theirs, err
	}
	t, err := signUp(l, g, "lunettes")
	if err != nil {
		return ours, theirs, err
	}
	var counted int64
	ours.run = func(n int) error {
		for range n {
			_, r, err := g.Access.Acquire(l.ctx, t.principal, makerguard.UploadProducts, makerguard.ProductUploads, 1)
			if err != nil {
				return err
			}
			r.Commit()
		}
		counted += int64(n)
		return nil
	}
	l.finally(func() error {
		_, used, err := g.Meters.Usage(l.ctx, t.principal.MeterAccount(), []makerguard.Meter{makerguard.ProductUploads})
		if err == nil && used[makerguard.ProductUploads] != counted {
			err = fmt.Errorf("%d units were used and %d counted", counted, used[makerguard.ProductUploads])
		}
		return err
	})
	theirs, err = casbinSide(questions(g.Access.Policy()))
	return ours, theirs, err
}

// limitHolds checks that the meters refuse what is over a limit, with the built-in policy's.
func limitHolds(l *lab, g *guard.Guard) error {
	a, err := rbac.New(rbac.Config{Quota: g.Meters})
	if err != nil {
		return err
	}
	t, err := signUp(l, g, "limited")
	if err != nil {
		return err
	}
	limit := a.Policy().Limit(t.principal.Tier, makerguard.ProductUploads)
	for range limit {
		_, r, err := a.Acquire(l.ctx, t.principal, makerguard.UploadProducts, makerguard.ProductUploads, 1)
		if err != nil {
			return fmt.Errorf("within the limit: %w", err)
		}
		r.Commit()
	}
	_, _, over := a.Acquire(l.ctx, t.principal, makerguard.UploadProducts, makerguard.ProductUploads, 1)
	return want("a unit over the limit", over, makerguard.UsageLimitExceeded)
}
