package storetest

import (
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// policyDocument is a version of the policy that is not stored yet, with everything set.
func (e *env) policyDocument(version int64) makerguard.PolicyDocument {
	return makerguard.PolicyDocument{
		Version: version, Source: []byte("roles: # “all” of them\n" + strings.Repeat("\t\x00\xff", 10_000)),
		UpdatedAt: e.now, UpdatedBy: makerguard.MemberID(id.New("mbr")),
	}
}

func (e *env) policy() makerguard.PolicyDocument {
	e.Helper()
	p, err := e.s.Policy(e.ctx())
	e.ok("Policy", err)
	return p
}

func testPolicy(e *env) {
	if p := e.policy(); p.Version != 0 || len(p.Source) > 0 {
		e.Errorf("Policy when none was stored = %+v, want version 0", p)
	}
	for _, version := range []int64{-1, 0, 2} {
		e.fails("a first version that is not 1", e.s.PutPolicy(e.ctx(), e.policyDocument(version)), makerguard.Conflict)
	}
	want := e.policyDocument(1)
	e.ok("PutPolicy", e.s.PutPolicy(e.ctx(), want))
	e.same("Policy", e.policy(), want)
}

func testPutPolicy(e *env) {
	start := e.policy().Version
	first, second := e.policyDocument(start+1), e.policyDocument(start+2)
	for _, p := range []makerguard.PolicyDocument{first, second} {
		e.announces(func() { e.ok("PutPolicy", e.s.PutPolicy(e.ctx(), p)) }, makerguard.Change{Kind: makerguard.PolicyChanged})
		e.same("Policy", e.policy(), p)
	}
	for _, version := range []int64{0, start + 1, start + 2, start + 4} {
		e.fails("a version out of its turn", e.s.PutPolicy(e.ctx(), e.policyDocument(version)), makerguard.Conflict)
	}
	e.same("Policy after refusals", e.policy(), second)

	// goal: V15.4.2
	e.run("Race", func(e *env) {
		rivals := make([]makerguard.PolicyDocument, crowd)
		for i := range rivals {
			rivals[i] = e.policyDocument(start + 3)
		}
		errs := race(crowd, func(i int) error { return e.s.PutPolicy(e.ctx(), rivals[i]) })
		e.exactly(1, errs, makerguard.Conflict)
		if won := slices.Index(errs, nil); won >= 0 {
			e.same("Policy", e.policy(), rivals[won])
		}
	})
}
