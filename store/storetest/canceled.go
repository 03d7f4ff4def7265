package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/makerguard/makerguard"
)

// testCanceledContext calls every method with a context that has ended: it fails with
// the context's error and has done nothing.
func testCanceledContext(e *env) {
	f, m := e.registered()
	s := e.signedIn(m)
	before := e.loadMember(m)
	newcomer, unborn := e.member(f.ID), e.manufacturer()
	k, b, j, policy := e.counter(), e.block(), e.job(f.ID), e.policy()
	rate := makerguard.RateRequest{Key: string(f.ID), Interval: time.Hour, Burst: 1, Amount: 1, Now: e.now}
	ctx, cancel := context.WithCancel(e.ctx())
	cancel()
	calls := map[string]func() error{
		"CreateManufacturer": func() error { return e.s.CreateManufacturer(ctx, unborn, e.member(unborn.ID)) },
		"EnsureManufacturer": func() error { return e.s.EnsureManufacturer(ctx, unborn) },
		"CreateMember":       func() error { return e.s.CreateMember(ctx, newcomer, 9) },
		"Manufacturer":       func() error { _, err := e.s.Manufacturer(ctx, f.ID); return err },
		"Manufacturers":      func() error { _, err := e.s.Manufacturers(ctx, "", "", 9); return err },
		"Member":             func() error { _, err := e.s.Member(ctx, f.ID, m.ID); return err },
		"Members":            func() error { _, err := e.s.Members(ctx, f.ID); return err },
		"SetRole":            func() error { return e.s.SetRole(ctx, f.ID, m.ID, makerguard.RoleOwner, e.now) },
		"SetTier":            func() error { return e.s.SetTier(ctx, f.ID, makerguard.TierFree, e.now) },
		"SetStatus":          func() error { return e.s.SetStatus(ctx, f.ID, makerguard.StatusSuspended, "", e.now) },
		"MemberByEmail":      func() error { _, _, err := e.s.MemberByEmail(ctx, m.EmailKey); return err },
		"MemberByID":         func() error { _, _, err := e.s.MemberByID(ctx, f.ID, m.ID); return err },
		"SetPassword": func() error {
			return e.s.SetPassword(ctx, makerguard.PasswordUpdate{ManufacturerID: f.ID, MemberID: m.ID, Old: m.PasswordHash, New: "new", Now: e.now})
		},
		"VerifyEmail":         func() error { return e.s.VerifyEmail(ctx, f.ID, m.ID, e.now) },
		"SetPendingTOTP":      func() error { return e.s.SetPendingTOTP(ctx, f.ID, m.ID, []byte("x"), e.now) },
		"ConfirmTOTP":         func() error { return e.s.ConfirmTOTP(ctx, f.ID, m.ID, []byte("x"), 1, nil, e.now) },
		"RemoveTOTP":          func() error { return e.s.RemoveTOTP(ctx, f.ID, m.ID, "", e.now) },
		"ConsumeTOTPStep":     func() error { return e.s.ConsumeTOTPStep(ctx, f.ID, m.ID, 1) },
		"ConsumeRecoveryCode": func() error { return e.s.ConsumeRecoveryCode(ctx, f.ID, m.ID, []byte("x"), e.now) },
		"CreateChallenge":     func() error { return e.s.CreateChallenge(ctx, e.challenge(m, 1)) },
		"Challenge":           func() error { _, err := e.s.Challenge(ctx, []byte("x"), e.now); return err },
		"TryChallenge":        func() error { _, err := e.s.TryChallenge(ctx, []byte("x"), e.now); return err },
		"ConsumeChallenge":    func() error { return e.s.ConsumeChallenge(ctx, []byte("x")) },
		"CreateSession":       func() error { return e.s.CreateSession(ctx, e.session(m), 1, e.now) },
		"LoadSession":         func() error { _, _, _, err := e.s.LoadSession(ctx, s.ID); return err },
		"Sessions":            func() error { _, err := e.s.Sessions(ctx, f.ID, m.ID, e.now); return err },
		"AdvanceRefresh":      func() error { _, err := e.s.AdvanceRefresh(ctx, f.ID, s.ID, s.RefreshGeneration, e.now); return err },
		"TouchSessions": func() error {
			return e.s.TouchSessions(ctx, map[makerguard.SessionID]time.Time{s.ID: e.now.Add(time.Hour)})
		},
		"RevokeSession":  func() error { return e.s.RevokeSession(ctx, f.ID, m.ID, s.ID, "logout", e.now) },
		"RevokeSessions": func() error { _, err := e.s.RevokeSessions(ctx, f.ID, m.ID, "", "logout", e.now); return err },
		"BumpCounter":    func() error { _, err := e.s.BumpCounter(ctx, "k", time.Minute, e.now); return err },
		"Counter":        func() error { _, err := e.s.Counter(ctx, "k", time.Minute, e.now); return err },
		"ResetCounter":   func() error { return e.s.ResetCounter(ctx, "k") },
		"DeleteExpired":  func() error { return e.s.DeleteExpired(ctx, e.now.Add(48*time.Hour), e.now.Add(48*time.Hour)) },
		"AuditHead":      func() error { _, _, err := e.s.AuditHead(ctx, f.ID); return err },
		"AppendAudit":    func() error { return e.s.AppendAudit(ctx, e.entry(f.ID, 1)) },
		"AuditEntries": func() error {
			_, err := e.s.AuditEntries(ctx, makerguard.AuditFilter{ManufacturerID: f.ID, Limit: 9})
			return err
		},
		"AddKey": func() error { return e.s.AddKey(ctx, e.key(f.ID, makerguard.KeyData, 1)) },
		"SetKeyState": func() error {
			return e.s.SetKeyState(ctx, e.key(f.ID, makerguard.KeyData, 1), makerguard.KeyActive, e.now)
		},
		"Keys":    func() error { _, err := e.s.Keys(ctx, f.ID, makerguard.KeyData); return err },
		"Changes": func() error { _, _, err := e.s.Changes(ctx, ""); return err },
		"Lease": func() error {
			_, err := e.s.Lease(ctx, makerguard.LeaseRequest{CounterKey: k, Node: "a", Limit: 9, Need: 1, Want: 1, Now: e.now, TTL: time.Minute})
			return err
		},
		"Spend": func() error {
			_, err := e.s.Spend(ctx, makerguard.SpendRequest{CounterKey: k, Limit: 9, Amount: 1, Now: e.now})
			return err
		},
		"Counts": func() error { _, err := e.s.Counts(ctx, []makerguard.CounterKey{k}, e.now); return err },
		"AppendThreats": func() error {
			return e.s.AppendThreats(ctx, []makerguard.Threat{e.threat(f.ID, makerguard.SeverityLow, e.now)})
		},
		"Threats": func() error {
			_, err := e.s.Threats(ctx, makerguard.ThreatFilter{ManufacturerID: f.ID, Limit: 9})
			return err
		},
		"Threat":        func() error { _, err := e.s.Threat(ctx, f.ID, "evt_1"); return err },
		"CountThreats":  func() error { _, err := e.s.CountThreats(ctx, f.ID, e.now); return err },
		"DeleteThreats": func() error { _, err := e.s.DeleteThreats(ctx, e.now, 9); return err },
		"RuleSet":       func() error { _, err := e.s.RuleSet(ctx, f.ID); return err },
		"PutRuleSet":    func() error { return e.s.PutRuleSet(ctx, e.ruleSet(f.ID, 1)) },
		"AddPoints":     func() error { _, err := e.s.AddPoints(ctx, string(f.ID), 9, time.Minute, e.now); return err },
		"PutBlock":      func() error { _, err := e.s.PutBlock(ctx, b); return err },
		"Blocks":        func() error { _, err := e.s.Blocks(ctx, e.now, 9); return err },
		"LiftBlock":     func() error { return e.s.LiftBlock(ctx, b.ID, "mbr_1", "", e.now) },
		"PutScore":      func() error { return e.s.PutScore(ctx, makerguard.ScorePoint{ManufacturerID: f.ID, Day: e.now}) },
		"Scores":        func() error { _, err := e.s.Scores(ctx, f.ID, e.now); return err },
		"CreateJob":     func() error { return e.s.CreateJob(ctx, j) },
		"Job":           func() error { _, err := e.s.Job(ctx, j.ID); return err },
		"ClaimJob":      func() error { _, err := e.s.ClaimJob(ctx, "node_1", e.now, e.now.Add(time.Hour)); return err },
		"SaveJob":       func() error { return e.s.SaveJob(ctx, j) },
		"TakeRate":      func() error { _, err := e.s.TakeRate(ctx, rate); return err },
		"Policy":        func() error { _, err := e.s.Policy(ctx); return err },
		"PutPolicy":     func() error { return e.s.PutPolicy(ctx, e.policyDocument(policy.Version+1)) },
		"PutRecord":     func() error { _, _, err := e.s.PutRecord(ctx, e.record(f.ID, "r")); return err },
		"Record":        func() error { _, err := e.s.Record(ctx, f.ID, "r"); return err },
		"DeleteRecord":  func() error { return e.s.DeleteRecord(ctx, f.ID, "r") },
		"Records":       func() error { _, err := e.s.Records(ctx, f.ID, "", 9); return err },
		"Doctor":        func() error { _, err := e.s.Doctor(ctx); return err },
		"Ping":          func() error { return e.s.Ping(ctx) },
	}
	for _, method := range methods() {
		if _, ok := calls[method]; !ok && method != "Close" { // which takes no context
			e.Errorf("%s was not called", method)
		}
	}
	for name, call := range calls {
		err := call()
		e.fails(name+" with a context that has ended", err, makerguard.StoreUnavailable)
		if !errors.Is(err, context.Canceled) {
			e.Errorf("%s = %v, want the context's error in it", name, err)
		}
	}

	_, err := e.s.Manufacturer(e.ctx(), unborn.ID)
	e.fails("the manufacturer not created", err, makerguard.NotFound)
	got, err := e.s.Manufacturer(e.ctx(), f.ID)
	e.ok("Manufacturer", err)
	e.same("the manufacturer", got, f)
	e.same("the member", e.loadMember(m), before)
	e.same("the session", e.load(s.ID), s)
	members, err := e.s.Members(e.ctx(), f.ID)
	e.ok("Members", err)
	e.same("how many members", len(members), 1)
	seq, _, err := e.s.AuditHead(e.ctx(), f.ID)
	e.ok("AuditHead", err)
	e.same("the audit head", seq, int64(0))
	e.same("the counter", e.counts(e.now, k), []makerguard.Count{{}})
	e.same("the rules", e.rules(f.ID).Version, int64(0))
	e.same("the blocks", e.inForce(b.Subject, e.now), []makerguard.Block(nil))
	e.same("the scores", e.scores(f.ID, time.Time{}), []makerguard.ScorePoint(nil))
	e.same("the policy", e.policy(), policy)
	_, err = e.s.Job(e.ctx(), j.ID)
	e.fails("the job not created", err, makerguard.NotFound)
	points, err := e.s.AddPoints(e.ctx(), string(f.ID), 1, time.Minute, e.now)
	e.ok("AddPoints", err)
	e.same("the points", points, 1.0)
	res, err := e.s.TakeRate(e.ctx(), rate)
	e.ok("TakeRate", err)
	e.same("the rate", res, makerguard.RateResult{Allowed: true})
}
