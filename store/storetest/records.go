package storetest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

func (e *env) entry(mfr makerguard.ManufacturerID, seq int64) makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ID: makerguard.EventID(id.New("evt")), ManufacturerID: mfr, Seq: seq, At: e.now.Add(time.Duration(seq) * tick),
		Action: "session.created", Outcome: "success", ActorKind: "member", ActorID: "mbr_1", Target: "ses_1",
		IP: "192.0.2.7", RequestID: "req_1", Detail: "with a “quoted” word", Hash: []byte{0, byte(seq), 255},
	}
}

// chained stores n entries and returns them, oldest first.
func (e *env) chained(mfr makerguard.ManufacturerID, n int64) []makerguard.AuditEntry {
	e.Helper()
	var list []makerguard.AuditEntry
	for seq := range n {
		entry := e.entry(mfr, seq+1)
		e.ok("AppendAudit", e.s.AppendAudit(e.ctx(), entry))
		list = append(list, entry)
	}
	return list
}

func testAuditHead(e *env) {
	seq, hash, err := e.s.AuditHead(e.ctx(), "mfr_a")
	if seq != 0 || len(hash) != 0 || err != nil {
		e.Errorf("AuditHead of an empty chain = %d, %x, %v, want 0, none, none", seq, hash, err)
	}
	list := e.chained("mfr_a", 3)
	e.chained("mfr_b", 1)
	seq, hash, err = e.s.AuditHead(e.ctx(), "mfr_a")
	e.ok("AuditHead", err)
	e.same("the head's number", seq, int64(3))
	e.same("the head's hash", hash, list[2].Hash)
}

func testAppendAudit(e *env) {
	e.run("OK", func(e *env) {
		want := e.chained("mfr_ok", 2)
		slices.Reverse(want)
		got, err := e.s.AuditEntries(e.ctx(), makerguard.AuditFilter{ManufacturerID: "mfr_ok", Limit: 10})
		e.ok("AuditEntries", err)
		e.same("AuditEntries", got, want)
	})
	e.run("ErrConflict", func(e *env) {
		e.fails("a first entry that is not 1", e.s.AppendAudit(e.ctx(), e.entry("mfr_c", 2)), makerguard.Conflict)
		want := e.chained("mfr_c", 2)
		for _, seq := range []int64{-1, 0, 1, 2, 4} {
			e.fails("an entry out of its turn", e.s.AppendAudit(e.ctx(), e.entry("mfr_c", seq)), makerguard.Conflict)
		}
		slices.Reverse(want)
		got, err := e.s.AuditEntries(e.ctx(), makerguard.AuditFilter{ManufacturerID: "mfr_c", Limit: 10})
		e.ok("AuditEntries", err)
		e.same("the chain after refusals", got, want)
		seq, hash, err := e.s.AuditHead(e.ctx(), "mfr_c")
		e.ok("AuditHead", err)
		e.same("the head's number", seq, int64(2))
		e.same("the head's hash", hash, want[0].Hash)
	})
	e.run("Race", func(e *env) {
		for seq := range int64(3) {
			e.exactly(1, race(rivals, func(int) error { return e.s.AppendAudit(e.ctx(), e.entry("mfr_r", seq+1)) }), makerguard.Conflict)
		}
	})
	e.run("RaceLeavesNoGap", func(e *env) {
		const each = 4
		race(rivals, func(int) error {
			for n := 0; n < each; {
				seq, _, err := e.s.AuditHead(e.ctx(), "mfr_g")
				if err == nil {
					err = e.s.AppendAudit(e.ctx(), e.entry("mfr_g", seq+1))
				}
				switch {
				case err == nil:
					n++
				case !errors.Is(err, makerguard.Conflict):
					e.Errorf("AppendAudit: %v", err)
					return err
				}
			}
			return nil
		})
		got, err := e.s.AuditEntries(e.ctx(), makerguard.AuditFilter{ManufacturerID: "mfr_g", Limit: 1000})
		e.ok("AuditEntries", err)
		if len(got) != rivals*each {
			e.Fatalf("%d entries, want %d", len(got), rivals*each)
		}
		for i, entry := range got {
			if want := int64(len(got) - i); entry.Seq != want {
				e.Fatalf("entry %d has number %d, want %d", i, entry.Seq, want)
			}
		}
	})
}

func testAuditEntries(e *env) {
	all := e.chained("mfr_a", 5)
	e.chained("mfr_b", 5)
	slices.Reverse(all)
	for _, test := range []struct {
		name   string
		filter makerguard.AuditFilter
		want   []makerguard.AuditEntry
	}{
		{"all", makerguard.AuditFilter{ManufacturerID: "mfr_a", Limit: 1000}, all},
		{"the newest", makerguard.AuditFilter{ManufacturerID: "mfr_a", Limit: 2}, all[:2]},
		{"the next", makerguard.AuditFilter{ManufacturerID: "mfr_a", Before: 4, Limit: 2}, all[2:4]},
		{"the last", makerguard.AuditFilter{ManufacturerID: "mfr_a", Before: 2, Limit: 2}, all[4:]},
		{"before the first", makerguard.AuditFilter{ManufacturerID: "mfr_a", Before: 1, Limit: 2}, nil},
		{"beyond the newest", makerguard.AuditFilter{ManufacturerID: "mfr_a", Before: 99, Limit: 1}, all[:1]},
		{"nobody's", makerguard.AuditFilter{ManufacturerID: "mfr_none", Limit: 10}, nil},
	} {
		got, err := e.s.AuditEntries(e.ctx(), test.filter)
		e.ok("AuditEntries", err)
		e.same(test.name, got, test.want)
	}
}

func (e *env) key(mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32) makerguard.WrappedKey {
	return makerguard.WrappedKey{
		ManufacturerID: mfr, Purpose: purpose, Version: version, State: makerguard.KeyActive, KEKID: "kek_1",
		Wrapped: []byte{0, byte(version), 255}, CreatedAt: e.now,
	}
}

func testAddKey(e *env) {
	for _, mfr := range []makerguard.ManufacturerID{"mfr_a", ""} {
		e.announces(func() { e.ok("AddKey", e.s.AddKey(e.ctx(), e.key(mfr, makerguard.KeyData, 1))) },
			makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: mfr})
	}
	again := e.key("mfr_a", makerguard.KeyData, 1)
	again.Wrapped = []byte("another")
	e.fails("AddKey of a version that is there", e.s.AddKey(e.ctx(), again), makerguard.Conflict)
	got, err := e.s.Keys(e.ctx(), "mfr_a", makerguard.KeyData)
	e.ok("Keys", err)
	e.same("Keys", got, []makerguard.WrappedKey{e.key("mfr_a", makerguard.KeyData, 1)})

	e.run("Race", func(e *env) {
		e.exactly(1, race(rivals, func(int) error { return e.s.AddKey(e.ctx(), e.key("mfr_a", makerguard.KeyData, 2)) }), makerguard.Conflict)
	})
}

func testKeys(e *env) {
	var want []makerguard.WrappedKey
	for _, version := range []uint32{2, 10, 1} {
		e.ok("AddKey", e.s.AddKey(e.ctx(), e.key("mfr_a", makerguard.KeyData, version)))
	}
	for _, version := range []uint32{1, 2, 10} {
		want = append(want, e.key("mfr_a", makerguard.KeyData, version))
	}
	e.ok("AddKey", e.s.AddKey(e.ctx(), e.key("mfr_b", makerguard.KeyData, 1)))
	e.ok("AddKey", e.s.AddKey(e.ctx(), e.key("", makerguard.KeySigning, 1)))
	for _, test := range []struct {
		mfr     makerguard.ManufacturerID
		purpose makerguard.KeyPurpose
		want    []makerguard.WrappedKey
	}{
		{"mfr_a", makerguard.KeyData, want},
		{"", makerguard.KeySigning, []makerguard.WrappedKey{e.key("", makerguard.KeySigning, 1)}},
		{"", makerguard.KeyData, nil},
		{"mfr_a", makerguard.KeySigning, nil},
		{"mfr_none", makerguard.KeyData, nil},
	} {
		got, err := e.s.Keys(e.ctx(), test.mfr, test.purpose)
		e.ok("Keys", err)
		e.same("Keys("+string(test.mfr)+", "+string(test.purpose)+")", got, test.want)
	}
}

func testChanges(e *env) {
	changes := func(after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor) {
		e.Helper()
		list, next, err := e.s.Changes(e.ctx(), after)
		e.ok("Changes", err)
		return list, next
	}
	list, start := changes("")
	e.same("Changes of an empty store", list, []makerguard.Change(nil))
	if start == "" {
		e.Fatal("Changes gave the empty cursor, want the feed's end")
	}
	list, next := changes(start)
	e.same("Changes when there was none", list, []makerguard.Change(nil))

	f, m := e.registered()
	s := e.signedIn(m)
	e.ok("SetTier", e.s.SetTier(e.ctx(), f.ID, makerguard.TierFree, e.now))
	tier := makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: f.ID}
	list, afterTier := changes(next)
	if !slices.Contains(list, tier) {
		e.Errorf("Changes = %+v, want %+v among it", list, tier)
	}
	e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), f.ID, m.ID, s.ID, "logout", e.now))
	ended := makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: f.ID, MemberID: m.ID, SessionID: s.ID}
	if list, _ = changes(afterTier); !slices.Contains(list, ended) {
		e.Errorf("Changes = %+v, want %+v among it", list, ended)
	}
	for range 2 { // a cursor can be used again
		if list, _ = changes(start); !slices.Contains(list, tier) || !slices.Contains(list, ended) {
			e.Errorf("Changes from the start = %+v, want both among it", list)
		}
	}
	list, _ = changes("")
	e.same("Changes from the empty cursor", list, []makerguard.Change(nil))

	e.run("ARefusalAnnouncesNothing", func(e *env) {
		_, cursor := changes("")
		e.fails("SetTier of nobody", e.s.SetTier(e.ctx(), "mfr_none", makerguard.TierFree, e.now), makerguard.NotFound)
		list, _ := changes(cursor)
		e.same("Changes", list, []makerguard.Change(nil))
	})
	// A reader that follows the feed while many write misses nothing that was acknowledged.
	e.run("Race", func(e *env) {
		const each = 8
		_, cursor := changes("")
		var (
			left atomic.Int32
			seen = make(map[makerguard.ManufacturerID]bool)
			done = make(chan error, 1)
		)
		left.Store(rivals)
		var want [rivals][each]makerguard.ManufacturerID
		for i := range want {
			for j := range want[i] {
				want[i][j] = makerguard.ManufacturerID(id.New("mfr"))
			}
		}
		go func() {
			for last := false; ; {
				list, next, err := e.s.Changes(e.ctx(), cursor)
				for _, c := range list {
					seen[c.ManufacturerID] = true
				}
				if err != nil || last {
					done <- err
					return
				}
				cursor = next
				last = left.Load() == 0 // one more look after the last writer
			}
		}()
		e.exactly(rivals, race(rivals, func(i int) error {
			defer left.Add(-1)
			for _, mfr := range want[i] {
				if err := e.s.AddKey(e.ctx(), e.key(mfr, makerguard.KeyData, 1)); err != nil {
					return err
				}
			}
			return nil
		}), "")
		e.ok("Changes", <-done)
		if len(seen) != rivals*each {
			e.Errorf("the reader saw %d changes, want %d", len(seen), rivals*each)
		}
	})
}

func (e *env) threat(mfr makerguard.ManufacturerID, severity makerguard.Severity, at time.Time) makerguard.Threat {
	return makerguard.Threat{
		ID: makerguard.EventID(id.New("evt")), ManufacturerID: mfr, MemberID: "mbr_1", SessionID: "ses_1",
		IP: "2001:db8::7", UserAgent: "curl/8", RequestID: "req_1", DetectedAt: at,
		Finding: makerguard.Finding{
			Type: makerguard.SQLInjection, Severity: severity, Rule: "sqli.tautology", Description: "a condition that is always true",
			Input: "q", Location: makerguard.InQuery, Evidence: "' or '1'='1", Score: 5,
		},
	}
}

func testAppendThreats(e *env) {
	e.ok("AppendThreats of none", e.s.AppendThreats(e.ctx(), nil))
	a, b := e.threat("mfr_a", makerguard.SeverityHigh, e.now), e.threat("mfr_a", makerguard.SeverityLow, e.now)
	e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{a, b}))
	got, err := e.s.Threats(e.ctx(), makerguard.ThreatFilter{ManufacturerID: "mfr_a", Limit: 10})
	e.ok("Threats", err)
	e.same("Threats", got, []makerguard.Threat{b, a})

	anonymous := e.threat("", makerguard.SeverityLow, e.now)
	anonymous.MemberID, anonymous.SessionID = "", ""
	e.ok("AppendThreats of nobody", e.s.AppendThreats(e.ctx(), []makerguard.Threat{anonymous}))
	got, err = e.s.Threats(e.ctx(), makerguard.ThreatFilter{AllTenants: true, Limit: 1})
	e.ok("Threats", err)
	e.same("the newest of all", got, []makerguard.Threat{anonymous})
}

func testThreats(e *env) {
	a1 := e.threat("mfr_a", makerguard.SeverityHigh, e.now)
	a2 := e.threat("mfr_a", makerguard.SeverityLow, e.now.Add(tick))
	b1 := e.threat("mfr_b", makerguard.SeverityHigh, e.now.Add(2*tick))
	a3 := e.threat("mfr_a", makerguard.SeverityHigh, e.now.Add(3*tick))
	a3.Type = makerguard.XSS
	for _, th := range []makerguard.Threat{a1, a2, b1, a3} {
		e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{th}))
	}
	for _, test := range []struct {
		name   string
		filter makerguard.ThreatFilter
		want   []makerguard.Threat
	}{
		{"a tenant's", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Limit: 200}, []makerguard.Threat{a3, a2, a1}},
		{"a page", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Limit: 2}, []makerguard.Threat{a3, a2}},
		{"the next page", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Before: a2.ID, Limit: 2}, []makerguard.Threat{a1}},
		{"by type", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Type: makerguard.XSS, Limit: 9}, []makerguard.Threat{a3}},
		{"by severity", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Severity: makerguard.SeverityHigh, Limit: 9}, []makerguard.Threat{a3, a1}},
		{"since just then", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Since: a2.DetectedAt, Limit: 9}, []makerguard.Threat{a3, a2}},
		{"since just after", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Since: a2.DetectedAt.Add(tick), Limit: 9}, []makerguard.Threat{a3}},
		{"all of it at once", makerguard.ThreatFilter{ManufacturerID: "mfr_a", Type: makerguard.SQLInjection, Severity: makerguard.SeverityHigh, Since: e.now, Before: a3.ID, Limit: 9}, []makerguard.Threat{a1}},
		{"all tenants", makerguard.ThreatFilter{AllTenants: true, Limit: 9}, []makerguard.Threat{a3, b1, a2, a1}},
		{"all tenants by severity", makerguard.ThreatFilter{AllTenants: true, Severity: makerguard.SeverityHigh, Limit: 2}, []makerguard.Threat{a3, b1}},
		{"all tenants, next page", makerguard.ThreatFilter{AllTenants: true, Before: b1.ID, Limit: 9}, []makerguard.Threat{a2, a1}},
		{"nobody's", makerguard.ThreatFilter{ManufacturerID: "mfr_none", Limit: 9}, nil},
	} {
		got, err := e.s.Threats(e.ctx(), test.filter)
		e.ok("Threats", err)
		e.same(test.name, got, test.want)
	}
	got, err := e.s.Threats(e.ctx(), makerguard.ThreatFilter{Limit: 9})
	if err == nil && len(got) > 0 {
		e.Errorf("a filter that names no tenant gave %d entries, want an error or none", len(got))
	}
}

func testCountThreats(e *env) {
	for _, th := range []makerguard.Threat{
		e.threat("mfr_a", makerguard.SeverityHigh, e.now.Add(-tick)),
		e.threat("mfr_a", makerguard.SeverityHigh, e.now),
		e.threat("mfr_a", makerguard.SeverityHigh, e.now.Add(tick)),
		e.threat("mfr_a", makerguard.SeverityLow, e.now.Add(tick)),
		e.threat("mfr_b", makerguard.SeverityCritical, e.now),
	} {
		e.ok("AppendThreats", e.s.AppendThreats(e.ctx(), []makerguard.Threat{th}))
	}
	for mfr, want := range map[makerguard.ManufacturerID]map[makerguard.Severity]int{
		"mfr_a":    {makerguard.SeverityHigh: 2, makerguard.SeverityLow: 1},
		"mfr_b":    {makerguard.SeverityCritical: 1},
		"mfr_none": {},
	} {
		got, err := e.s.CountThreats(e.ctx(), mfr, e.now)
		e.ok("CountThreats", err)
		e.same("CountThreats("+string(mfr)+")", got, want)
	}
}

func (e *env) record(mfr makerguard.ManufacturerID, name string) makerguard.VaultRecord {
	return makerguard.VaultRecord{
		ManufacturerID: mfr, Name: name, Sealed: []byte{0, 1, 255}, KeyVersion: 7,
		CreatedAt: e.now, UpdatedAt: e.now.Add(tick), UpdatedBy: "mbr_1",
	}
}

func (e *env) put(r makerguard.VaultRecord) {
	e.Helper()
	_, _, err := e.s.PutRecord(e.ctx(), r)
	e.ok("PutRecord", err)
}

func testPutRecord(e *env) {
	r := e.record("mfr_a", "prices")
	stored, created, err := e.s.PutRecord(e.ctx(), r)
	e.ok("PutRecord", err)
	e.same("what a new record is stored as", stored, r)
	if !created {
		e.Error("PutRecord of a new record says it is not new")
	}

	second := r
	second.Sealed, second.KeyVersion, second.UpdatedBy = []byte(strings.Repeat("long ", 300_000)), 8, "mbr_2"
	second.CreatedAt, second.UpdatedAt = e.now.Add(time.Hour), e.now.Add(time.Hour)
	stored, created, err = e.s.PutRecord(e.ctx(), second)
	e.ok("PutRecord", err)
	if created {
		e.Error("PutRecord of a record that was there says it is new")
	}
	got, err := e.s.Record(e.ctx(), "mfr_a", "prices")
	e.ok("Record", err)
	second.CreatedAt = r.CreatedAt
	for _, long := range []makerguard.VaultRecord{stored, got} {
		if !bytes.Equal(long.Sealed, second.Sealed) {
			e.Errorf("%d sealed bytes came back as %d or as others", len(second.Sealed), len(long.Sealed))
		}
		long.Sealed = second.Sealed[:0]
		want := second
		want.Sealed = nil
		e.same("what a replaced record is stored as", long, want)
	}

	e.run("Race", func(e *env) {
		var n atomic.Int32
		e.exactly(rivals, race(rivals, func(int) error {
			_, created, err := e.s.PutRecord(e.ctx(), e.record("mfr_a", "race"))
			if created {
				n.Add(1)
			}
			return err
		}), "")
		if n.Load() != 1 {
			e.Errorf("%d of them were new, want 1", n.Load())
		}
	})
}

func testRecord(e *env) {
	e.put(e.record("mfr_a", "prices"))
	for _, test := range []struct {
		mfr  makerguard.ManufacturerID
		name string
	}{{"mfr_a", "price"}, {"mfr_a", ""}, {"mfr_a", "Prices"}, {"mfr_b", "prices"}} {
		_, err := e.s.Record(e.ctx(), test.mfr, test.name)
		e.fails("Record("+string(test.mfr)+", "+test.name+")", err, makerguard.NotFound)
	}
}

func testDeleteRecord(e *env) {
	e.put(e.record("mfr_a", "prices"))
	e.put(e.record("mfr_b", "prices"))
	e.ok("DeleteRecord", e.s.DeleteRecord(e.ctx(), "mfr_a", "prices"))
	e.fails("DeleteRecord again", e.s.DeleteRecord(e.ctx(), "mfr_a", "prices"), makerguard.NotFound)
	_, err := e.s.Record(e.ctx(), "mfr_a", "prices")
	e.fails("Record after it", err, makerguard.NotFound)
	_, err = e.s.Record(e.ctx(), "mfr_b", "prices")
	e.ok("another manufacturer's Record", err)
}

func testRecords(e *env) {
	names := []string{"a", "a-1", "a.b", "bank", "prices"}
	var all []makerguard.VaultRecord
	for _, name := range names {
		r := e.record("mfr_a", name)
		e.put(r)
		r.Sealed = nil
		all = append(all, r)
	}
	e.put(e.record("mfr_b", "b"))
	for _, test := range []struct {
		name  string
		after string
		limit int
		want  []makerguard.VaultRecord
	}{
		{"all", "", 100, all},
		{"a page", "", 2, all[:2]},
		{"the next page", "a-1", 2, all[2:4]},
		{"the last page", "bank", 2, all[4:]},
		{"after the last", "prices", 2, nil},
		{"after a name that is not there", "b", 1, all[3:4]},
	} {
		got, err := e.s.Records(e.ctx(), "mfr_a", test.after, test.limit)
		e.ok("Records", err)
		e.same(test.name, got, test.want)
	}
}
