package storetest

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

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
	a := tenant()
	r := e.record(a, "prices")
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
	got, err := e.s.Record(e.ctx(), a, "prices")
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
			_, created, err := e.s.PutRecord(e.ctx(), e.record(a, "race"))
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
	a, b := tenant(), tenant()
	e.put(e.record(a, "prices"))
	for _, test := range []struct {
		mfr  makerguard.ManufacturerID
		name string
	}{{a, "price"}, {a, ""}, {a, "Prices"}, {b, "prices"}} {
		_, err := e.s.Record(e.ctx(), test.mfr, test.name)
		e.fails("Record("+string(test.mfr)+", "+test.name+")", err, makerguard.NotFound)
	}
}

func testDeleteRecord(e *env) {
	a, b := tenant(), tenant()
	e.put(e.record(a, "prices"))
	e.put(e.record(b, "prices"))
	e.ok("DeleteRecord", e.s.DeleteRecord(e.ctx(), a, "prices"))
	e.fails("DeleteRecord again", e.s.DeleteRecord(e.ctx(), a, "prices"), makerguard.NotFound)
	_, err := e.s.Record(e.ctx(), a, "prices")
	e.fails("Record after it", err, makerguard.NotFound)
	_, err = e.s.Record(e.ctx(), b, "prices")
	e.ok("another manufacturer's Record", err)
}

func testRecords(e *env) {
	a, b := tenant(), tenant()
	names := []string{"a", "a-1", "a.b", "bank", "prices"}
	var all []makerguard.VaultRecord
	for _, name := range names {
		r := e.record(a, name)
		e.put(r)
		r.Sealed = nil
		all = append(all, r)
	}
	e.put(e.record(b, "b"))
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
		got, err := e.s.Records(e.ctx(), a, test.after, test.limit)
		e.ok("Records", err)
		e.same(test.name, got, test.want)
	}
}
