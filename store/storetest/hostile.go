package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

// testHostileValues stores queries, operators and patterns wherever text goes: they are
// data, come back as they were, and match nothing but themselves.
//
// goal: V1.2.4
func testHostileValues(e *env) {
	_, bystander := e.registered()
	for i, evil := range []string{
		`{"$ne":""}`, `{"$gt":""}`, `$where`, `$ne`, `a.b`, `.`, `$`, `'; DROP TABLE members; --`, `' OR '1'='1`, `" OR ""="`, `1); DELETE FROM sessions; --`,
		`%`, `_`, `*`, `.*`, `\`, `\'`, `?`, `?1`, `:id`, `@id`, `$1`, `[1]`, `null`, `true`, `0`, "line\nbreak", `<script>`, "\u202eé👓",
	} {
		e.run(fmt.Sprintf("%d", i), func(e *env) {
			ctx := e.ctx()
			_, _, err := e.s.MemberByEmail(ctx, evil)
			e.fails("MemberByEmail of a value not stored", err, makerguard.NotFound)
			_, _, _, err = e.s.LoadSession(ctx, makerguard.SessionID(evil))
			e.fails("LoadSession of a value not stored", err, makerguard.NotFound)
			_, err = e.s.Record(ctx, bystander.ManufacturerID, evil)
			e.fails("Record of a value not stored", err, makerguard.NotFound)
			_, err = e.s.Challenge(ctx, []byte(evil), e.now)
			e.fails("Challenge of a value not stored", err, makerguard.NotFound)
			e.fails("ConsumeChallenge of a value not stored", e.s.ConsumeChallenge(ctx, []byte(evil)), makerguard.NotFound)

			f := makerguard.Manufacturer{
				ID: makerguard.ManufacturerID(evil), CompanyName: evil, Country: evil, Tier: makerguard.Tier(evil),
				Status: makerguard.Status(evil), StatusReason: evil, TimeZone: evil, CreatedAt: e.now, UpdatedAt: e.now,
			}
			m := e.member(f.ID)
			m.ID, m.Email, m.EmailKey, m.Name, m.Role = makerguard.MemberID(evil), evil, evil, evil, makerguard.Role(evil)
			m.Grants, m.PasswordHash = []makerguard.Permission{makerguard.Permission(evil)}, makerguard.Secret(evil)
			e.ok("CreateManufacturer", e.s.CreateManufacturer(ctx, f, m))
			s := e.session(m)
			s.ID, s.AMR, s.IP, s.UserAgent = makerguard.SessionID(evil), []string{evil}, evil, evil
			e.ok("CreateSession", e.s.CreateSession(ctx, s, 9, e.now))
			gotSession, gotMember, gotManufacturer, err := e.s.LoadSession(ctx, s.ID)
			e.ok("LoadSession", err)
			e.same("the session", gotSession, s)
			e.same("the member", gotMember, m)
			e.same("the manufacturer", gotManufacturer, f)
			gotMember, _, err = e.s.MemberByEmail(ctx, evil)
			e.ok("MemberByEmail", err)
			e.same("the member by e-mail", gotMember.ID, m.ID)

			list, err := e.s.Manufacturers(ctx, evil, "", 1000)
			e.ok("Manufacturers", err)
			for _, got := range list {
				if q := strings.ToLower(evil); !strings.Contains(strings.ToLower(got.CompanyName), q) && !strings.Contains(strings.ToLower(string(got.ID)), q) {
					e.Errorf("Manufacturers(%q) found %q", evil, got.CompanyName)
				}
			}

			r := e.record(f.ID, evil)
			e.put(r)
			gotRecord, err := e.s.Record(ctx, f.ID, evil)
			e.ok("Record", err)
			e.same("the record", gotRecord, r)

			entry := e.entry(f.ID, 1)
			entry.Action, entry.Target, entry.Detail = evil, evil, evil
			e.ok("AppendAudit", e.s.AppendAudit(ctx, entry))
			entries, err := e.s.AuditEntries(ctx, makerguard.AuditFilter{ManufacturerID: f.ID, Limit: 9})
			e.ok("AuditEntries", err)
			e.same("the audit entry", entries, []makerguard.AuditEntry{entry})

			th := e.threat(f.ID, makerguard.SeverityLow, e.now)
			th.Evidence, th.Input, th.UserAgent, th.Route = evil, evil, evil, evil
			th.MemberID, th.Rule, th.IP, th.RequestID = makerguard.MemberID(evil), evil, evil, evil
			e.seen(th, e.threat(bystander.ManufacturerID, makerguard.SeverityLow, e.now))
			for _, filter := range []makerguard.ThreatFilter{
				{ManufacturerID: f.ID},
				{AllTenants: true, MemberID: th.MemberID},
				{AllTenants: true, Rule: evil},
				{AllTenants: true, IP: evil},
				{AllTenants: true, RequestID: evil},
				{ManufacturerID: f.ID, Text: evil},
			} {
				filter.Limit = 9
				e.same("the threat", e.threats(filter), []makerguard.Threat{th})
			}
			e.same("threats of a type that is none",
				e.threats(makerguard.ThreatFilter{ManufacturerID: f.ID, Type: makerguard.ThreatType(evil), Before: th.ID, Limit: 9}), []makerguard.Threat(nil))

			c, err := e.s.BumpCounter(ctx, evil, time.Minute, e.now)
			e.ok("BumpCounter", err)
			e.same("the counter", c.Count, 1)
			k := makerguard.CounterKey{ManufacturerID: f.ID, Meter: makerguard.Meter(evil), Start: e.now}
			for _, replayed := range []bool{false, true} {
				res, err := e.s.Spend(ctx, makerguard.SpendRequest{
					CounterKey: k, Limit: 5, Amount: 1, Idempotency: evil, Fingerprint: []byte(evil), Now: e.now, KeepUntil: e.now.Add(time.Hour),
				})
				e.ok("Spend", err)
				e.same("Spend", res, makerguard.SpendResult{Spent: true, Used: 1, Replayed: replayed})
			}
			e.same("Lease", e.lease(makerguard.LeaseRequest{CounterKey: k, Node: evil, Limit: 5, Need: 1, Want: 9}), makerguard.LeaseResult{Granted: 4, Taken: 5, Spent: 1})

			key := e.key(f.ID, makerguard.KeyPurpose(evil), 1)
			key.KEKID = evil
			e.ok("AddKey", e.s.AddKey(ctx, key))
			keys, err := e.s.Keys(ctx, f.ID, makerguard.KeyPurpose(evil))
			e.ok("Keys", err)
			e.same("the key", keys, []makerguard.WrappedKey{key})

			rs := e.ruleSet(f.ID, 1)
			rs.Modes[0].Rule, rs.Exclusions[0].Field, rs.Exclusions[0].Reason = evil, evil, evil
			e.ok("PutRuleSet", e.s.PutRuleSet(ctx, rs))
			e.same("the rules", e.rules(f.ID), rs)
			b := e.block()
			b.ID, b.Kind, b.Subject, b.Scenario, b.Reason = evil, makerguard.BlockKind(evil), evil, evil, evil
			e.blocked("the block", b, b)
			e.ok("LiftBlock", e.s.LiftBlock(ctx, evil, makerguard.MemberID(evil), evil, e.now))
			for want := range 2 {
				score, err := e.s.AddPoints(ctx, evil, 1, time.Hour, e.now)
				e.ok("AddPoints", err)
				e.same("the points", score, float64(want+1))
				rate, err := e.s.TakeRate(ctx, makerguard.RateRequest{Key: evil, Interval: time.Hour, Burst: 2, Amount: 1, Now: e.now})
				e.ok("TakeRate", err)
				e.same("the rate", rate, makerguard.RateResult{Allowed: true, Remaining: int64(1 - want)})
			}
			job := e.job(f.ID)
			job.ID, job.Kind, job.Node, job.Error = makerguard.JobID(evil), makerguard.JobKind(evil), evil, evil
			e.ok("CreateJob", e.s.CreateJob(ctx, job))
			e.same("the job", e.loadJob(job.ID), job)
			p := e.policyDocument(e.policy().Version + 1)
			p.Source, p.UpdatedBy = []byte(evil), makerguard.MemberID(evil)
			e.ok("PutPolicy", e.s.PutPolicy(ctx, p))
			e.same("the policy", e.policy(), p)
			e.same("a bystander", e.loadMember(bystander), bystander)
		})
	}
}
