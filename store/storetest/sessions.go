package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
)

func testCreateSession(e *env) {
	e.run("OK", func(e *env) {
		_, m := e.registered()
		want := e.session(m)
		e.ok("CreateSession", e.s.CreateSession(e.ctx(), want, 3, e.now))
		e.same("the session", e.load(want.ID), want)
	})
	e.run("OldestOut", func(e *env) {
		_, m := e.registered()
		_, foreign := e.registered()
		other := e.signedIn(foreign)
		dead := e.session(m)
		dead.ExpiresAt = e.now
		e.ok("CreateSession", e.s.CreateSession(e.ctx(), dead, 3, e.now))
		loggedOut := e.signedIn(m)
		e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), m.ManufacturerID, m.ID, loggedOut.ID, "logout", e.now))

		var ids []makerguard.SessionID
		for i := range 5 {
			s := e.session(m)
			s.CreatedAt = e.now.Add(time.Duration(i) * tick)
			var want []makerguard.Change
			if i >= 3 { // neither the expired nor the revoked one takes a place
				want = append(want, makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: m.ManufacturerID, MemberID: m.ID, SessionID: ids[i-3]})
			}
			e.announces(func() { e.ok("CreateSession", e.s.CreateSession(e.ctx(), s, 3, e.now)) }, want...)
			ids = append(ids, s.ID)
		}
		for i, id := range ids {
			reason := ""
			if i < 2 {
				reason = "session_limit"
			}
			e.ended("a session under the limit", id, reason)
		}
		e.ended("an expired session", dead.ID, "")
		e.ended("another member's session", other.ID, "")

		s := e.session(m)
		s.CreatedAt = e.now.Add(time.Second)
		e.ok("CreateSession under a lower limit", e.s.CreateSession(e.ctx(), s, 1, e.now))
		list, err := e.s.Sessions(e.ctx(), m.ManufacturerID, m.ID, e.now)
		e.ok("Sessions", err)
		e.same("what is left under a lower limit", list, []makerguard.Session{s})
	})
	// goal: V2.3.2
	e.run("Race", func(e *env) {
		_, m := e.registered()
		e.exactly(rivals, race(rivals, func(i int) error {
			s := e.session(m)
			s.CreatedAt = e.now.Add(time.Duration(i) * tick)
			return e.s.CreateSession(e.ctx(), s, 3, e.now)
		}), "")
		list, err := e.s.Sessions(e.ctx(), m.ManufacturerID, m.ID, e.now)
		e.ok("Sessions", err)
		if len(list) > 3 {
			e.Errorf("%d live sessions, want at most 3", len(list))
		}
	})
}

func testLoadSession(e *env) {
	f, m := e.registered()
	want := e.signedIn(m)
	check := func(e *env) {
		e.Helper()
		s, gotMember, gotManufacturer, err := e.s.LoadSession(e.ctx(), want.ID)
		e.ok("LoadSession", err)
		e.same("the session", s, want)
		e.same("the member", gotMember, m)
		e.same("the manufacturer", gotManufacturer, f)
	}
	check(e)
	e.run("AsTheyAreNow", func(e *env) {
		e.ok("SetTier", e.s.SetTier(e.ctx(), f.ID, makerguard.TierFree, e.now))
		f.Tier, f.UpdatedAt = makerguard.TierFree, e.now
		e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), f.ID, m.ID, []byte("seed"), e.now))
		m.PendingTOTP, m.UpdatedAt = []byte("seed"), e.now
		check(e)
	})
	e.run("RevokedToo", func(e *env) {
		e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), f.ID, m.ID, want.ID, "logout", e.now))
		want.RevokedAt, want.RevokeReason = e.now, "logout"
		check(e)
	})
	e.run("ErrNotFound", func(e *env) {
		for _, id := range []makerguard.SessionID{"", "ses_none"} {
			_, _, _, err := e.s.LoadSession(e.ctx(), id)
			e.fails("LoadSession(none)", err, makerguard.NotFound)
		}
	})
}

func testSessions(e *env) {
	_, m := e.registered()
	_, foreign := e.registered()
	e.signedIn(foreign)
	var want []makerguard.Session
	for i := range 3 {
		s := e.session(m)
		s.CreatedAt = e.now.Add(time.Duration(i) * tick)
		s.ExpiresAt = e.now.Add(time.Hour)
		e.ok("CreateSession", e.s.CreateSession(e.ctx(), s, 10, e.now))
		want = append(want, s)
	}
	slices.Reverse(want)
	revoked := e.signedIn(m)
	e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), m.ManufacturerID, m.ID, revoked.ID, "logout", e.now))

	for _, test := range []struct {
		name string
		now  time.Time
		want []makerguard.Session
	}{
		{"newest first", e.now, want},
		{"before they expire", e.now.Add(time.Hour - tick), want},
		{"when they expire", e.now.Add(time.Hour), nil},
		{"after they expired", e.now.Add(time.Hour + tick), nil},
	} {
		got, err := e.s.Sessions(e.ctx(), m.ManufacturerID, m.ID, test.now)
		e.ok("Sessions", err)
		e.same(test.name, got, test.want)
	}
}

func testAdvanceRefresh(e *env) {
	advance := func(s makerguard.Session, from uint32, now time.Time) (makerguard.Session, error) {
		return e.s.AdvanceRefresh(e.ctx(), s.ManufacturerID, s.ID, from, now)
	}
	e.run("OK", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		now := s.ExpiresAt.Add(-tick)
		got, err := advance(s, s.RefreshGeneration, now)
		e.ok("AdvanceRefresh", err)
		s.RefreshGeneration++
		s.RotatedAt, s.LastSeenAt = now, now
		e.same("the session returned", got, s)
		e.same("the session stored", e.load(s.ID), s)
	})
	e.run("ErrConflict", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		for _, from := range []uint32{0, s.RefreshGeneration - 1, s.RefreshGeneration + 1} {
			got, err := advance(s, from, e.now)
			e.fails("AdvanceRefresh from another generation", err, makerguard.Conflict)
			e.same("the session as it stands", got, s)
		}
		for _, now := range []time.Time{s.ExpiresAt, s.ExpiresAt.Add(tick)} {
			got, err := advance(s, s.RefreshGeneration, now)
			e.fails("AdvanceRefresh of an expired session", err, makerguard.Conflict)
			e.same("the session as it stands", got, s)
		}
		e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), m.ManufacturerID, m.ID, s.ID, "logout", e.now))
		s.RevokedAt, s.RevokeReason = e.now, "logout"
		got, err := advance(s, s.RefreshGeneration, e.now)
		e.fails("AdvanceRefresh of a revoked session", err, makerguard.Conflict)
		e.same("the session as it stands", got, s)
	})
	e.run("ErrNotFound", func(e *env) {
		_, m := e.registered()
		s := e.session(m)
		_, err := advance(s, 0, e.now)
		e.fails("AdvanceRefresh of none", err, makerguard.NotFound)
	})
	// goal: V2.3.2
	e.run("Race", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		e.exactly(1, race(rivals, func(int) error {
			got, err := advance(s, s.RefreshGeneration, e.now)
			if got.RefreshGeneration != s.RefreshGeneration+1 {
				e.Errorf("AdvanceRefresh gave generation %d, want %d to winner and losers", got.RefreshGeneration, s.RefreshGeneration+1)
			}
			return err
		}), makerguard.Conflict)
	})
}

func testTouchSessions(e *env) {
	_, m := e.registered()
	a, b, c := e.signedIn(m), e.signedIn(m), e.signedIn(m)
	e.ok("TouchSessions of none", e.s.TouchSessions(e.ctx(), nil))
	e.ok("TouchSessions", e.s.TouchSessions(e.ctx(), map[makerguard.SessionID]time.Time{
		a.ID: e.now.Add(time.Minute), b.ID: e.now.Add(-time.Minute), "ses_none": e.now,
	}))
	a.LastSeenAt = e.now.Add(time.Minute)
	for _, want := range []makerguard.Session{a, b, c} {
		e.same("the session", e.load(want.ID), want)
	}
}

func testRevokeSession(e *env) {
	f, m := e.registered()
	colleague := e.member(f.ID)
	e.ok("CreateMember", e.s.CreateMember(e.ctx(), colleague, 10))
	s, other := e.signedIn(m), e.signedIn(m)
	e.announces(func() {
		e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), f.ID, m.ID, s.ID, "logout", e.now))
	}, makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: f.ID, MemberID: m.ID, SessionID: s.ID})
	e.ok("RevokeSession again", e.s.RevokeSession(e.ctx(), f.ID, m.ID, s.ID, "reuse", e.now.Add(tick)))
	e.ended("the session", s.ID, "logout")
	e.ended("another session", other.ID, "")
	e.fails("RevokeSession of none", e.s.RevokeSession(e.ctx(), f.ID, m.ID, "ses_none", "logout", e.now), makerguard.NotFound)
	e.fails("RevokeSession of a colleague's", e.s.RevokeSession(e.ctx(), f.ID, colleague.ID, other.ID, "logout", e.now), makerguard.NotFound)
	e.ended("another session", other.ID, "")
}

func testRevokeSessions(e *env) {
	f, m := e.registered()
	colleague := e.member(f.ID)
	e.ok("CreateMember", e.s.CreateMember(e.ctx(), colleague, 10))
	keep, a, b, foreign := e.signedIn(m), e.signedIn(m), e.signedIn(m), e.signedIn(colleague)
	expired := e.session(m)
	expired.ExpiresAt = e.now
	e.ok("CreateSession", e.s.CreateSession(e.ctx(), expired, makerguard.Unlimited, e.now))

	revoke := func(except makerguard.SessionID) int {
		e.Helper()
		n, err := e.s.RevokeSessions(e.ctx(), f.ID, m.ID, except, "logout", e.now)
		e.ok("RevokeSessions", err)
		return n
	}
	change := func(s makerguard.Session) makerguard.Change {
		return makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: f.ID, MemberID: m.ID, SessionID: s.ID}
	}
	e.announces(func() {
		if n := revoke(keep.ID); n != 2 {
			e.Errorf("RevokeSessions = %d, want the 2 that were live", n)
		}
	}, change(a), change(b))
	e.ended("one", a.ID, "logout")
	e.ended("another", b.ID, "logout")
	e.ended("the one named", keep.ID, "")
	e.ended("a colleague's", foreign.ID, "")
	if n := revoke(keep.ID); n != 0 {
		e.Errorf("RevokeSessions again = %d, want 0", n)
	}
	if n := revoke(""); n != 1 {
		e.Errorf("RevokeSessions sparing none = %d, want 1", n)
	}
	e.ended("the one spared before", keep.ID, "logout")

	// A refresh that races with the revocation wins or loses, but never revives the session.
	e.run("RaceWithRefresh", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		errs := race(2, func(i int) error {
			if i == 0 {
				_, err := e.s.RevokeSessions(e.ctx(), m.ManufacturerID, m.ID, "", "logout", e.now)
				return err
			}
			_, err := e.s.AdvanceRefresh(e.ctx(), m.ManufacturerID, s.ID, s.RefreshGeneration, e.now)
			return err
		})
		e.ok("RevokeSessions", errs[0])
		if errs[1] != nil && !errors.Is(errs[1], makerguard.Conflict) {
			e.Errorf("AdvanceRefresh = %v, want none or Conflict", errs[1])
		}
		e.ended("the session", s.ID, "logout")
	})
}
