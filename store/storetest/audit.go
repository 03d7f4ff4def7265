package storetest

import (
	"errors"
	"slices"
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
	a, b := tenant(), tenant()
	seq, hash, err := e.s.AuditHead(e.ctx(), a)
	if seq != 0 || len(hash) != 0 || err != nil {
		e.Errorf("AuditHead of an empty chain = %d, %x, %v, want 0, none, none", seq, hash, err)
	}
	list := e.chained(a, 3)
	e.chained(b, 1)
	seq, hash, err = e.s.AuditHead(e.ctx(), a)
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
	a, b := tenant(), tenant()
	all := e.chained(a, 5)
	e.chained(b, 5)
	slices.Reverse(all)
	for _, test := range []struct {
		name   string
		filter makerguard.AuditFilter
		want   []makerguard.AuditEntry
	}{
		{"all", makerguard.AuditFilter{ManufacturerID: a, Limit: 1000}, all},
		{"the newest", makerguard.AuditFilter{ManufacturerID: a, Limit: 2}, all[:2]},
		{"the next", makerguard.AuditFilter{ManufacturerID: a, Before: 4, Limit: 2}, all[2:4]},
		{"the last", makerguard.AuditFilter{ManufacturerID: a, Before: 2, Limit: 2}, all[4:]},
		{"before the first", makerguard.AuditFilter{ManufacturerID: a, Before: 1, Limit: 2}, nil},
		{"beyond the newest", makerguard.AuditFilter{ManufacturerID: a, Before: 99, Limit: 1}, all[:1]},
		{"nobody's", makerguard.AuditFilter{ManufacturerID: "mfr_none", Limit: 10}, nil},
	} {
		got, err := e.s.AuditEntries(e.ctx(), test.filter)
		e.ok("AuditEntries", err)
		e.same(test.name, got, test.want)
	}
}
