package storetest

import (
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// threat is a new entry that is not stored yet, with everything set.
func (e *env) threat(mfr makerguard.ManufacturerID, severity makerguard.Severity, at time.Time) makerguard.Threat {
	return makerguard.Threat{
		ID: makerguard.EventID(id.New("evt")), ManufacturerID: mfr, MemberID: "mbr_1", SessionID: "ses_1",
		IP: "2001:db8::7", UserAgent: "curl/8", RequestID: "req_1", Route: "GET /v1/products", Blocked: true, DetectedAt: at,
		Finding: makerguard.Finding{
			Type: makerguard.SQLInjection, Severity: severity, Rule: "sqli.tautology", Description: "a condition that is always true",
			Input: "q", Location: makerguard.InQuery, Evidence: "' or '1'='1", Score: 5, Offset: 2, Length: 17,
		},
	}
}

// seen stores entries, each by itself so that they keep their order.
func (e *env) seen(ts ...makerguard.Threat) {
	e.Helper()
	for _, th := range ts {
		e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{th}))
	}
}

func (e *env) threats(f makerguard.ThreatFilter) []makerguard.Threat {
	e.Helper()
	list, err := e.s.Threats(e.ctx(), f)
	e.ok("Threats", err)
	return list
}

func testAppendThreats(e *env) {
	mfr := tenant()
	e.ok("AppendThreats of none", e.s.AppendThreats(e.ctx(), nil))
	a, b := e.threat(mfr, makerguard.SeverityHigh, e.now), e.threat(mfr, makerguard.SeverityLow, e.now)
	e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{a, b}))
	e.same("Threats", e.threats(makerguard.ThreatFilter{ManufacturerID: mfr, Limit: 10}), []makerguard.Threat{b, a})

	// Behaviour of somebody who was not signed in: most is unknown.
	anonymous := makerguard.Threat{ID: makerguard.EventID(id.New("evt")), DetectedAt: e.now, Finding: makerguard.Finding{Type: makerguard.BruteForce}}
	e.seen(anonymous)
	e.same("the newest of all", e.threats(makerguard.ThreatFilter{AllTenants: true, Limit: 1}), []makerguard.Threat{anonymous})
}

func testThreats(e *env) {
	a, b := tenant(), tenant()
	a1 := e.threat(a, makerguard.SeverityHigh, e.now)
	a2 := e.threat(a, makerguard.SeverityLow, e.now.Add(tick))
	a2.MemberID, a2.IP, a2.RequestID, a2.Rule = "mbr_2", "192.0.2.9", "req_2", "sqli.union"
	a2.Input, a2.Evidence, a2.Blocked = "body/ÜBER 100%", "Union_Select", false
	b1 := e.threat(b, makerguard.SeverityHigh, e.now.Add(2*tick))
	b1.IP, b1.RequestID = a2.IP, a2.RequestID
	a3 := e.threat(a, makerguard.SeverityHigh, e.now.Add(3*tick))
	a3.Type, a3.Evidence = makerguard.XSS, "<SCRIPT>é"
	e.seen(a1, a2, b1, a3)
	type filter = makerguard.ThreatFilter
	for _, test := range []struct {
		name   string
		filter filter
		want   []makerguard.Threat
	}{
		{"a tenant's", filter{ManufacturerID: a, Limit: 200}, []makerguard.Threat{a3, a2, a1}},
		{"a page", filter{ManufacturerID: a, Limit: 2}, []makerguard.Threat{a3, a2}},
		{"the next page", filter{ManufacturerID: a, Before: a2.ID, Limit: 2}, []makerguard.Threat{a1}},
		{"by type", filter{ManufacturerID: a, Type: makerguard.XSS, Limit: 9}, []makerguard.Threat{a3}},
		{"by severity", filter{ManufacturerID: a, Severity: makerguard.SeverityHigh, Limit: 9}, []makerguard.Threat{a3, a1}},
		{"by member", filter{ManufacturerID: a, MemberID: "mbr_2", Limit: 9}, []makerguard.Threat{a2}},
		{"by a member who did nothing", filter{ManufacturerID: a, MemberID: "mbr", Limit: 9}, nil},
		{"by rule", filter{ManufacturerID: a, Rule: "sqli.tautology", Limit: 9}, []makerguard.Threat{a3, a1}},
		{"by a part of a rule", filter{ManufacturerID: a, Rule: "sqli", Limit: 9}, nil},
		{"by address", filter{ManufacturerID: a, IP: "192.0.2.9", Limit: 9}, []makerguard.Threat{a2}},
		{"by address, a page", filter{ManufacturerID: a, IP: a1.IP, Before: a3.ID, Limit: 1}, []makerguard.Threat{a1}},
		{"by address, of all tenants", filter{AllTenants: true, IP: "192.0.2.9", Limit: 9}, []makerguard.Threat{b1, a2}},
		{"by request", filter{ManufacturerID: a, RequestID: "req_2", Limit: 9}, []makerguard.Threat{a2}},
		{"by request, of all tenants", filter{AllTenants: true, RequestID: "req_2", Limit: 1}, []makerguard.Threat{b1}},
		{"by request and another address", filter{ManufacturerID: a, RequestID: "req_2", IP: a1.IP, Limit: 9}, nil},
		{"by text of the input", filter{ManufacturerID: a, Text: "über", Limit: 9}, []makerguard.Threat{a2}},
		{"by text of the evidence", filter{ManufacturerID: a, Text: "' OR '1'", Limit: 9}, []makerguard.Threat{a1}},
		{"by text in other letters", filter{ManufacturerID: a, Text: "script>É", Limit: 9}, []makerguard.Threat{a3}},
		{"by text with a wildcard", filter{ManufacturerID: a, Text: "%", Limit: 9}, []makerguard.Threat{a2}},
		{"by text with another", filter{ManufacturerID: a, Text: "n_s", Limit: 9}, []makerguard.Threat{a2}},
		{"by text with a pattern", filter{ManufacturerID: a, Text: ".*", Limit: 9}, nil},
		{"by text over both", filter{ManufacturerID: a, Text: "100%union", Limit: 9}, nil},
		{"since just then", filter{ManufacturerID: a, Since: a2.DetectedAt, Limit: 9}, []makerguard.Threat{a3, a2}},
		{"since just after", filter{ManufacturerID: a, Since: a2.DetectedAt.Add(tick), Limit: 9}, []makerguard.Threat{a3}},
		{"until just then", filter{ManufacturerID: a, Until: a2.DetectedAt, Limit: 9}, []makerguard.Threat{a1}},
		{"until just after", filter{ManufacturerID: a, Until: a2.DetectedAt.Add(tick), Limit: 9}, []makerguard.Threat{a2, a1}},
		{"all of it at once", filter{
			ManufacturerID: a, Type: makerguard.SQLInjection, Severity: makerguard.SeverityHigh, MemberID: "mbr_1", Rule: "sqli.tautology", IP: a1.IP,
			RequestID: "req_1", Text: "'1'='1", Since: e.now, Until: e.now.Add(tick), Before: a3.ID, Limit: 9,
		}, []makerguard.Threat{a1}},
		{"all tenants", filter{AllTenants: true, Limit: 9}, []makerguard.Threat{a3, b1, a2, a1}},
		{"all tenants by severity", filter{AllTenants: true, Severity: makerguard.SeverityHigh, Limit: 2}, []makerguard.Threat{a3, b1}},
		{"all tenants, next page", filter{AllTenants: true, Before: b1.ID, Limit: 9}, []makerguard.Threat{a2, a1}},
		{"nobody's", filter{ManufacturerID: "mfr_none", Limit: 9}, nil},
	} {
		e.same(test.name, e.threats(test.filter), test.want)
	}
	got, err := e.s.Threats(e.ctx(), makerguard.ThreatFilter{Limit: 9})
	if err == nil && len(got) > 0 {
		e.Errorf("a filter that names no tenant gave %d entries, want an error or none", len(got))
	}
}

func testThreat(e *env) {
	a, b := tenant(), tenant()
	own, anonymous := e.threat(a, makerguard.SeverityHigh, e.now), e.threat("", makerguard.SeverityLow, e.now)
	e.seen(own, anonymous, e.threat(b, makerguard.SeverityHigh, e.now))
	for _, test := range []struct {
		mfr  makerguard.ManufacturerID
		want makerguard.Threat
	}{{a, own}, {makerguard.PlatformID, own}, {makerguard.PlatformID, anonymous}} {
		got, err := e.s.Threat(e.ctx(), test.mfr, test.want.ID)
		e.ok("Threat", err)
		e.same("Threat", got, test.want)
	}
	for _, test := range []struct {
		what string
		mfr  makerguard.ManufacturerID
		id   makerguard.EventID
	}{
		{"another manufacturer's", b, own.ID},
		{"nobody's", a, anonymous.ID},
		{"none", a, "evt_none"},
		{"none, to the platform", makerguard.PlatformID, "evt_none"},
		{"the empty id", a, ""},
	} {
		_, err := e.s.Threat(e.ctx(), test.mfr, test.id)
		e.fails("Threat: "+test.what, err, makerguard.NotFound)
	}
}

func testCountThreats(e *env) {
	a, b := tenant(), tenant()
	e.seen(
		e.threat(a, makerguard.SeverityHigh, e.now.Add(-tick)),
		e.threat(a, makerguard.SeverityHigh, e.now),
		e.threat(a, makerguard.SeverityHigh, e.now.Add(tick)),
		e.threat(a, makerguard.SeverityLow, e.now.Add(tick)),
		e.threat(b, makerguard.SeverityCritical, e.now),
	)
	for mfr, want := range map[makerguard.ManufacturerID]map[makerguard.Severity]int{
		a:          {makerguard.SeverityHigh: 2, makerguard.SeverityLow: 1},
		b:          {makerguard.SeverityCritical: 1},
		"mfr_none": {},
	} {
		got, err := e.s.CountThreats(e.ctx(), mfr, e.now)
		e.ok("CountThreats", err)
		e.same("CountThreats("+string(mfr)+")", got, want)
	}
}

func testDeleteThreats(e *env) {
	// Of several manufacturers, and detected in another order than they were stored.
	var all []makerguard.Threat
	for i, at := range []int{3, 0, 2, 4, 1} {
		all = append(all, e.threat(makerguard.ManufacturerID([]string{"mfr_a", "mfr_b", ""}[i%3]), makerguard.SeverityLow, e.now.Add(time.Duration(at)*tick)))
	}
	e.seen(all...)
	before := e.now.Add(3 * tick)
	for _, step := range []struct {
		limit, deleted int
		left           []makerguard.Threat
	}{
		{2, 2, []makerguard.Threat{all[3], all[2], all[0]}},
		{2, 1, []makerguard.Threat{all[3], all[0]}},
		{2, 0, []makerguard.Threat{all[3], all[0]}},
	} {
		n, err := e.s.DeleteThreats(e.ctx(), before, step.limit)
		e.ok("DeleteThreats", err)
		e.same("how many were deleted", n, step.deleted)
		e.same("what is left", e.threats(makerguard.ThreatFilter{AllTenants: true, Limit: 9}), step.left)
	}
}
