package storetest

import (
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

func testPing(e *env) { e.ok("Ping", e.s.Ping(e.ctx())) }

// testDoctor looks at a store that is well; each backend breaks its own.
func testDoctor(e *env) {
	ailments, err := e.s.Doctor(e.ctx())
	e.ok("Doctor", err)
	e.same("what is wrong with a store that is well", ailments, []makerguard.Ailment(nil))
}

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
	seen := e.threat(m.ManufacturerID, makerguard.SeverityHigh, e.now)
	e.seen(seen)
	e.ok("PutRuleSet", e.s.PutRuleSet(e.ctx(), e.ruleSet(m.ManufacturerID, 1)))
	e.days(m.ManufacturerID, 80)
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
		"SetRole": func() error { return e.s.SetRole(ctx, thief.ID, m.ID, makerguard.RoleOwner, e.now) },
		"SetKeyState": func() error {
			return e.s.SetKeyState(ctx, e.key(thief.ID, makerguard.KeyData, 1), makerguard.KeyActive, e.now)
		},
		"Threat":        func() error { _, err := e.s.Threat(ctx, thief.ID, seen.ID); return err },
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
	for _, f := range []makerguard.ThreatFilter{{}, {RequestID: seen.RequestID}, {IP: seen.IP}} {
		f.ManufacturerID, f.Limit = thief.ID, 10
		e.same("Threats", e.threats(f), []makerguard.Threat(nil))
	}
	e.same("RuleSet", e.rules(thief.ID).Version, int64(0))
	e.same("Scores", e.scores(thief.ID, time.Time{}), []makerguard.ScorePoint(nil))
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
