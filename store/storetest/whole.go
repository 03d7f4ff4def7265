package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

func testPing(e *env) { e.ok("Ping", e.s.Ping(e.ctx())) }

func testClose(e *env) {
	_, m := e.registered()
	e.ok("Close", e.s.Close())
	e.ok("Close again", e.s.Close())
	e.fails("Ping of a closed store", e.s.Ping(e.ctx()), makerguard.StoreUnavailable)
	_, err := e.s.Member(e.ctx(), m.ManufacturerID, m.ID)
	e.fails("Member of a closed store", err, makerguard.StoreUnavailable)
	e.fails("CreateMember in a closed store", e.s.CreateMember(e.ctx(), e.member(m.ManufacturerID), 9), makerguard.StoreUnavailable)
}

// testTenantIsolation calls every method on something a manufacturer owns with another
// manufacturer's id: it finds nothing and changes nothing.
func testTenantIsolation(e *env) {
	codes := [][]byte{[]byte("code")}
	m := e.withFactor(codes...)
	s := e.signedIn(m)
	_, pending := e.registered()
	e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), pending.ManufacturerID, pending.ID, []byte("seed"), e.now))
	e.put(e.record(m.ManufacturerID, "prices"))
	e.chained(m.ManufacturerID, 1)
	e.ok("AddKey", e.s.AddKey(e.ctx(), e.key(m.ManufacturerID, makerguard.KeyData, 1)))
	e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{e.threat(m.ManufacturerID, makerguard.SeverityHigh, e.now)}))
	before, beforePending, beforeSession := e.loadMember(m), e.loadMember(pending), e.load(s.ID)

	thief, _ := e.registered()
	ctx := e.ctx()
	for name, call := range map[string]func() error{
		"Member":     func() error { _, err := e.s.Member(ctx, thief.ID, m.ID); return err },
		"MemberByID": func() error { _, _, err := e.s.MemberByID(ctx, thief.ID, m.ID); return err },
		"SetPassword": func() error {
			return e.s.SetPassword(ctx, makerguard.PasswordUpdate{
				ManufacturerID: thief.ID, MemberID: m.ID, Old: m.PasswordHash, New: "stolen", EndSessions: true, Now: e.now,
			})
		},
		"SetPassword without ending sessions": func() error {
			return e.s.SetPassword(ctx, makerguard.PasswordUpdate{ManufacturerID: thief.ID, MemberID: m.ID, Old: m.PasswordHash, New: "stolen", Now: e.now})
		},
		"SetPendingTOTP": func() error { return e.s.SetPendingTOTP(ctx, thief.ID, pending.ID, []byte("stolen"), e.now) },
		"ConfirmTOTP":    func() error { return e.s.ConfirmTOTP(ctx, thief.ID, pending.ID, []byte("seed"), 1, nil, e.now) },
		"RemoveTOTP":     func() error { return e.s.RemoveTOTP(ctx, thief.ID, m.ID, "", e.now) },
		"ConsumeTOTPStep": func() error {
			return e.s.ConsumeTOTPStep(ctx, thief.ID, m.ID, 1000)
		},
		"ConsumeRecoveryCode": func() error { return e.s.ConsumeRecoveryCode(ctx, thief.ID, m.ID, codes[0], e.now) },
		"AdvanceRefresh": func() error {
			got, err := e.s.AdvanceRefresh(ctx, thief.ID, s.ID, s.RefreshGeneration, e.now)
			if got.ID != "" {
				e.Errorf("AdvanceRefresh returned another manufacturer's session")
			}
			return err
		},
		"RevokeSession": func() error { return e.s.RevokeSession(ctx, thief.ID, m.ID, s.ID, "stolen", e.now) },
		"Record":        func() error { _, err := e.s.Record(ctx, thief.ID, "prices"); return err },
		"DeleteRecord":  func() error { return e.s.DeleteRecord(ctx, thief.ID, "prices") },
	} {
		e.fails(name+" with another manufacturer's id", call(), makerguard.NotFound)
	}
	n, err := e.s.RevokeSessions(ctx, thief.ID, m.ID, "", "stolen", e.now)
	e.ok("RevokeSessions", err)
	e.same("sessions revoked", n, 0)
	sessions, err := e.s.Sessions(ctx, thief.ID, m.ID, e.now)
	e.ok("Sessions", err)
	e.same("Sessions", sessions, []makerguard.Session(nil))
	members, err := e.s.Members(ctx, thief.ID)
	e.ok("Members", err)
	e.same("how many Members", len(members), 1)
	records, err := e.s.Records(ctx, thief.ID, "", 10)
	e.ok("Records", err)
	e.same("Records", records, []makerguard.VaultRecord(nil))
	keys, err := e.s.Keys(ctx, thief.ID, makerguard.KeyData)
	e.ok("Keys", err)
	e.same("Keys", keys, []makerguard.WrappedKey(nil))
	entries, err := e.s.AuditEntries(ctx, makerguard.AuditFilter{ManufacturerID: thief.ID, Limit: 10})
	e.ok("AuditEntries", err)
	e.same("AuditEntries", entries, []makerguard.AuditEntry(nil))
	threats, err := e.s.Threats(ctx, makerguard.ThreatFilter{ManufacturerID: thief.ID, Limit: 10})
	e.ok("Threats", err)
	e.same("Threats", threats, []makerguard.Threat(nil))
	e.put(e.record(thief.ID, "prices")) // beside the other's, not over it

	e.same("the member afterwards", e.loadMember(m), before)
	e.same("the other member afterwards", e.loadMember(pending), beforePending)
	e.same("the session afterwards", e.load(s.ID), beforeSession)
	r, err := e.s.Record(ctx, m.ManufacturerID, "prices")
	e.ok("Record", err)
	e.same("the record afterwards", r, e.record(m.ManufacturerID, "prices"))
}

func testCaseSensitiveIDs(e *env) {
	upper := func(s string) string { return strings.ToUpper(s) }
	f, m := e.registered()
	s := e.signedIn(m)
	e.put(e.record(f.ID, "prices"))
	e.chained(f.ID, 1)
	ctx := e.ctx()

	_, err := e.s.Manufacturer(ctx, makerguard.ManufacturerID(upper(string(f.ID))))
	e.fails("Manufacturer", err, makerguard.NotFound)
	_, err = e.s.Member(ctx, f.ID, makerguard.MemberID(upper(string(m.ID))))
	e.fails("Member", err, makerguard.NotFound)
	_, _, err = e.s.MemberByEmail(ctx, upper(m.EmailKey))
	e.fails("MemberByEmail", err, makerguard.NotFound)
	_, _, _, err = e.s.LoadSession(ctx, makerguard.SessionID(upper(string(s.ID))))
	e.fails("LoadSession", err, makerguard.NotFound)
	_, err = e.s.Record(ctx, f.ID, upper("prices"))
	e.fails("Record", err, makerguard.NotFound)
	seq, _, err := e.s.AuditHead(ctx, makerguard.ManufacturerID(upper(string(f.ID))))
	e.ok("AuditHead", err)
	e.same("AuditHead", seq, int64(0))

	// What differs in case only lives side by side.
	other := f
	other.ID = makerguard.ManufacturerID(upper(string(f.ID)))
	owner := e.member(other.ID)
	owner.ID, owner.EmailKey = makerguard.MemberID(upper(string(m.ID))), upper(m.EmailKey)
	e.ok("CreateManufacturer", e.s.CreateManufacturer(ctx, other, owner))
	e.same("the other member", e.loadMember(owner), owner)
	e.same("the member", e.loadMember(m), m)
}

// testTimes stores times of another zone: they come back as the same instants, in UTC.
func testTimes(e *env) {
	zone := time.FixedZone("UTC+5:45", (5*60+45)*60)
	f := e.manufacturer()
	m := e.member(f.ID)
	times := []*time.Time{&f.CreatedAt, &f.UpdatedAt, &m.PasswordChangedAt, &m.EmailVerifiedAt, &m.CreatedAt, &m.UpdatedAt}
	s := e.session(m)
	times = append(times, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt, &s.AuthTime, &s.RotatedAt)
	for i, p := range times {
		*p = e.now.Add(24*time.Hour + time.Duration(i)*tick).In(zone)
	}
	e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))
	e.ok("CreateSession", e.s.CreateSession(e.ctx(), s, 9, e.now))
	gotSession, gotMember, gotManufacturer, err := e.s.LoadSession(e.ctx(), s.ID)
	e.ok("LoadSession", err)
	for i, got := range []time.Time{
		gotManufacturer.CreatedAt, gotManufacturer.UpdatedAt,
		gotMember.PasswordChangedAt, gotMember.EmailVerifiedAt, gotMember.CreatedAt, gotMember.UpdatedAt,
		gotSession.CreatedAt, gotSession.LastSeenAt, gotSession.ExpiresAt, gotSession.AuthTime, gotSession.RotatedAt,
	} {
		if !got.Equal(*times[i]) || got.Location() != time.UTC {
			e.Errorf("time %d = %v, want %v in UTC", i, got, *times[i])
		}
	}
	if !gotSession.RevokedAt.IsZero() {
		e.Errorf("RevokedAt = %v, want the zero time", gotSession.RevokedAt)
	}
}

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
			th.Evidence, th.Input, th.UserAgent = evil, evil, evil
			e.ok("AppendThreats", e.s.AppendThreats(ctx, []makerguard.Threat{th}))
			threats, err := e.s.Threats(ctx, makerguard.ThreatFilter{ManufacturerID: f.ID, Limit: 9})
			e.ok("Threats", err)
			e.same("the threat", threats, []makerguard.Threat{th})
			threats, err = e.s.Threats(ctx, makerguard.ThreatFilter{ManufacturerID: f.ID, Type: makerguard.ThreatType(evil), Before: th.ID, Limit: 9})
			e.ok("Threats", err)
			e.same("threats of a type that is none", threats, []makerguard.Threat(nil))

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
			e.same("a bystander", e.loadMember(bystander), bystander)
		})
	}
}

// testCanceledContext calls every method with a context that has ended: it fails with
// the context's error and has done nothing.
func testCanceledContext(e *env) {
	f, m := e.registered()
	s := e.signedIn(m)
	before := e.loadMember(m)
	newcomer, unborn := e.member(f.ID), e.manufacturer()
	k := e.counter()
	ctx, cancel := context.WithCancel(e.ctx())
	cancel()
	for name, call := range map[string]func() error{
		"CreateManufacturer": func() error { return e.s.CreateManufacturer(ctx, unborn, e.member(unborn.ID)) },
		"EnsureManufacturer": func() error { return e.s.EnsureManufacturer(ctx, unborn) },
		"CreateMember":       func() error { return e.s.CreateMember(ctx, newcomer, 9) },
		"Manufacturer":       func() error { _, err := e.s.Manufacturer(ctx, f.ID); return err },
		"Manufacturers":      func() error { _, err := e.s.Manufacturers(ctx, "", "", 9); return err },
		"Member":             func() error { _, err := e.s.Member(ctx, f.ID, m.ID); return err },
		"Members":            func() error { _, err := e.s.Members(ctx, f.ID); return err },
		"SetTier":            func() error { return e.s.SetTier(ctx, f.ID, makerguard.TierFree, e.now) },
		"SetStatus":          func() error { return e.s.SetStatus(ctx, f.ID, makerguard.StatusSuspended, "", e.now) },
		"MemberByEmail":      func() error { _, _, err := e.s.MemberByEmail(ctx, m.EmailKey); return err },
		"MemberByID":         func() error { _, _, err := e.s.MemberByID(ctx, f.ID, m.ID); return err },
		"SetPassword": func() error {
			return e.s.SetPassword(ctx, makerguard.PasswordUpdate{ManufacturerID: f.ID, MemberID: m.ID, Old: m.PasswordHash, New: "new", Now: e.now})
		},
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
		"AddKey":  func() error { return e.s.AddKey(ctx, e.key(f.ID, makerguard.KeyData, 1)) },
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
		"CountThreats": func() error { _, err := e.s.CountThreats(ctx, f.ID, e.now); return err },
		"PutRecord":    func() error { _, _, err := e.s.PutRecord(ctx, e.record(f.ID, "r")); return err },
		"Record":       func() error { _, err := e.s.Record(ctx, f.ID, "r"); return err },
		"DeleteRecord": func() error { return e.s.DeleteRecord(ctx, f.ID, "r") },
		"Records":      func() error { _, err := e.s.Records(ctx, f.ID, "", 9); return err },
		"Ping":         func() error { return e.s.Ping(ctx) },
	} {
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
}
