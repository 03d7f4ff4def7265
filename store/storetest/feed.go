package storetest

import (
	"slices"
	"sync/atomic"

	"github.com/makerguard/makerguard"
)

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
				want[i][j] = tenant()
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
