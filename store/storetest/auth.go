package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

func testMemberByEmail(e *env) {
	f, m := e.registered()
	gotMember, gotManufacturer, err := e.s.MemberByEmail(e.ctx(), m.EmailKey)
	e.ok("MemberByEmail", err)
	e.same("the member", gotMember, m)
	e.same("the manufacturer", gotManufacturer, f)
	for _, key := range []string{"", "nobody@example.com", m.EmailKey + " ", m.EmailKey[1:]} {
		_, _, err := e.s.MemberByEmail(e.ctx(), key)
		e.fails("MemberByEmail("+key+")", err, makerguard.NotFound)
	}
}

func testMemberByID(e *env) {
	f, m := e.registered()
	gotMember, gotManufacturer, err := e.s.MemberByID(e.ctx(), f.ID, m.ID)
	e.ok("MemberByID", err)
	e.same("the member", gotMember, m)
	e.same("the manufacturer", gotManufacturer, f)
	_, _, err = e.s.MemberByID(e.ctx(), f.ID, "mbr_none")
	e.fails("MemberByID(none)", err, makerguard.NotFound)
}

func testSetPassword(e *env) {
	update := func(e *env, m makerguard.Member) makerguard.PasswordUpdate {
		return makerguard.PasswordUpdate{
			ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: makerguard.Secret("new " + id.New("hash")), Now: e.now,
		}
	}
	e.run("EndsOtherSessions", func(e *env) {
		_, m := e.registered()
		keep, end := e.signedIn(m), e.signedIn(m)
		_, foreign := e.registered()
		other := e.signedIn(foreign)
		p := update(e, m)
		p.EndSessions, p.Except = true, keep.ID
		e.announces(func() { e.ok("SetPassword", e.s.SetPassword(e.ctx(), p)) },
			makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})
		e.ended("the session named", keep.ID, "")
		e.ended("the other session", end.ID, "password_change")
		e.ended("another manufacturer's session", other.ID, "")
		m.PasswordHash, m.PasswordShort, m.PasswordChangedAt, m.UpdatedAt = p.New, false, e.now, e.now
		e.same("the member", e.loadMember(m), m)
	})
	e.run("RehashEndsNone", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		p := update(e, m)
		p.Short = true
		e.ok("SetPassword", e.s.SetPassword(e.ctx(), p))
		e.ended("a session", s.ID, "")
		got := e.loadMember(m)
		if got.PasswordHash != p.New || !got.PasswordShort {
			e.Errorf("the hash or its length mark is not what was set")
		}
		if !got.PasswordChangedAt.Equal(m.PasswordChangedAt) {
			e.Errorf("PasswordChangedAt = %v, want %v: the password is the same", got.PasswordChangedAt, m.PasswordChangedAt)
		}
	})
	e.run("ErrConflict", func(e *env) {
		_, m := e.registered()
		s := e.signedIn(m)
		p := update(e, m)
		p.Old, p.EndSessions = "another hash", true
		e.fails("SetPassword over another hash", e.s.SetPassword(e.ctx(), p), makerguard.Conflict)
		e.ended("a session", s.ID, "")
		e.same("the member", e.loadMember(m), m)
	})
	e.run("ErrNotFound", func(e *env) {
		_, m := e.registered()
		m.ID = "mbr_none"
		e.fails("SetPassword of nobody", e.s.SetPassword(e.ctx(), update(e, m)), makerguard.NotFound)
	})
	e.run("Race", func(e *env) {
		_, m := e.registered()
		e.exactly(1, race(rivals, func(int) error { return e.s.SetPassword(e.ctx(), update(e, m)) }), makerguard.Conflict)
	})
}

func testVerifyEmail(e *env) {
	f := e.manufacturer()
	m := e.member(f.ID)
	m.EmailVerifiedAt = time.Time{}
	e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))
	for _, at := range []time.Time{e.now, e.now.Add(time.Hour)} { // the first time counts
		e.ok("VerifyEmail", e.s.VerifyEmail(e.ctx(), f.ID, m.ID, at))
		if got := e.loadMember(m); !got.EmailVerifiedAt.Equal(e.now) {
			e.Errorf("verified at %v, want %v", got.EmailVerifiedAt, e.now)
		}
	}
	e.fails("VerifyEmail of nobody", e.s.VerifyEmail(e.ctx(), f.ID, "mbr_none", e.now), makerguard.NotFound)
	other, _ := e.registered()
	e.fails("VerifyEmail by another manufacturer", e.s.VerifyEmail(e.ctx(), other.ID, m.ID, e.now), makerguard.NotFound)
}

func testSetPendingTOTP(e *env) {
	_, m := e.registered()
	for _, seed := range []string{"first", "second"} {
		e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte(seed), e.now))
		if got := e.loadMember(m); string(got.PendingTOTP) != seed || got.TOTP != nil {
			e.Errorf("pending = %q with factor %v, want %q and none", got.PendingTOTP, got.TOTP, seed)
		}
	}
	e.fails("SetPendingTOTP of nobody", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, "mbr_none", []byte("x"), e.now), makerguard.NotFound)
	m = e.withFactor()
	e.fails("SetPendingTOTP over a factor", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("x"), e.now), makerguard.Conflict)
}

func testConfirmTOTP(e *env) {
	e.run("OK", func(e *env) {
		_, m := e.registered()
		e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte{7, 0}, e.now))
		codes := [][]byte{{1}, {2, 0}}
		e.announces(func() {
			e.ok("ConfirmTOTP", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte{7, 0}, 42, codes, e.now))
		}, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})
		m.TOTP = &makerguard.TOTPFactor{SealedSeed: []byte{7, 0}, ConfirmedAt: e.now, LastStep: 42}
		m.RecoveryCodes, m.UpdatedAt = codes, e.now
		e.same("the member", e.loadMember(m), m)
		e.fails("ConfirmTOTP again", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte{7, 0}, 43, nil, e.now), makerguard.Conflict)
	})
	e.run("ErrConflict", func(e *env) {
		_, m := e.registered()
		e.fails("ConfirmTOTP of none", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), 1, nil, e.now), makerguard.Conflict)
		e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), e.now))
		e.fails("ConfirmTOTP of another", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("other"), 1, nil, e.now), makerguard.Conflict)
		if got := e.loadMember(m); got.TOTP != nil || string(got.PendingTOTP) != "seed" {
			e.Errorf("a refused confirmation left factor %v and pending %q", got.TOTP, got.PendingTOTP)
		}
	})
	e.run("ErrNotFound", func(e *env) {
		_, m := e.registered()
		e.fails("ConfirmTOTP of nobody", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, "mbr_none", []byte("seed"), 1, nil, e.now), makerguard.NotFound)
	})
	e.run("Race", func(e *env) {
		_, m := e.registered()
		e.ok("SetPendingTOTP", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), e.now))
		e.exactly(1, race(rivals, func(int) error {
			return e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("seed"), 1, [][]byte{[]byte(id.New("code"))}, e.now)
		}), makerguard.Conflict)
	})
}

func testRemoveTOTP(e *env) {
	m := e.withFactor([]byte("code"))
	keep, end := e.signedIn(m), e.signedIn(m)
	e.announces(func() {
		e.ok("RemoveTOTP", e.s.RemoveTOTP(e.ctx(), m.ManufacturerID, m.ID, keep.ID, e.now))
	}, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})
	if got := e.loadMember(m); got.TOTP != nil || len(got.RecoveryCodes) != 0 {
		e.Errorf("left factor %v and %d recovery codes, want none", got.TOTP, len(got.RecoveryCodes))
	}
	e.ended("the session named", keep.ID, "")
	e.ended("the other session", end.ID, "factor_reset")
	e.fails("RemoveTOTP again", e.s.RemoveTOTP(e.ctx(), m.ManufacturerID, m.ID, "", e.now), makerguard.NotFound)
	e.ended("the session named, after a refusal", keep.ID, "")
	e.fails("RemoveTOTP of nobody", e.s.RemoveTOTP(e.ctx(), m.ManufacturerID, "mbr_none", "", e.now), makerguard.NotFound)

	e.ok("SetPendingTOTP after it", e.s.SetPendingTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("new"), e.now))
	e.ok("ConfirmTOTP after it", e.s.ConfirmTOTP(e.ctx(), m.ManufacturerID, m.ID, []byte("new"), 1, nil, e.now))
}

// goal: V6.5.1
func testConsumeTOTPStep(e *env) {
	m := e.withFactor() // step 100 is used up
	consume := func(step int64) error { return e.s.ConsumeTOTPStep(e.ctx(), m.ManufacturerID, m.ID, step) }
	for _, test := range []struct {
		step int64
		ok   bool
	}{{99, false}, {100, false}, {101, true}, {101, false}, {100, false}, {103, true}, {102, false}, {104, true}} {
		err := consume(test.step)
		if test.ok {
			e.ok("ConsumeTOTPStep", err)
			continue
		}
		e.fails("ConsumeTOTPStep of a used step", err, makerguard.MFAInvalid)
	}
	if got := e.loadMember(m).TOTP.LastStep; got != 104 {
		e.Errorf("LastStep = %d, want 104", got)
	}
	_, without := e.registered()
	e.fails("ConsumeTOTPStep without a factor", e.s.ConsumeTOTPStep(e.ctx(), without.ManufacturerID, without.ID, 1), makerguard.MFAInvalid)

	// goal: V2.3.2
	e.run("Race", func(e *env) {
		e.exactly(1, race(rivals, func(int) error { return consume(200) }), makerguard.MFAInvalid)
	})
}

func testConsumeRecoveryCode(e *env) {
	codes := [][]byte{{1, 1}, {2, 0}, {3, 255}}
	m := e.withFactor(codes...)
	consume := func(code []byte) error {
		return e.s.ConsumeRecoveryCode(e.ctx(), m.ManufacturerID, m.ID, code, e.now)
	}
	for _, wrong := range [][]byte{nil, {}, {9}, {1}} {
		e.fails("ConsumeRecoveryCode of a wrong code", consume(wrong), makerguard.MFAInvalid)
	}
	e.ok("ConsumeRecoveryCode", consume(codes[1]))
	e.fails("ConsumeRecoveryCode again", consume(codes[1]), makerguard.MFAInvalid)
	e.same("the codes left", e.loadMember(m).RecoveryCodes, [][]byte{codes[0], codes[2]})

	// goal: V2.3.2
	e.run("Race", func(e *env) {
		e.exactly(2, race(rivals, func(i int) error { return consume(codes[i%2*2]) }), makerguard.MFAInvalid)
		e.same("the codes left", e.loadMember(m).RecoveryCodes, [][]byte(nil))
	})
}

func (e *env) challenge(m makerguard.Member, tries int) makerguard.Challenge {
	return makerguard.Challenge{
		TokenHash: []byte(id.New("hash")), Purpose: makerguard.ChallengeMFA, ManufacturerID: m.ManufacturerID, MemberID: m.ID,
		IP: "192.0.2.1", UserAgent: "curl/8", Device: "dev_1", TriesLeft: tries, CreatedAt: e.now, ExpiresAt: e.now.Add(5 * time.Minute),
	}
}

func (e *env) challenged(tries int) makerguard.Challenge {
	e.Helper()
	_, m := e.registered()
	c := e.challenge(m, tries)
	e.ok("CreateChallenge", e.s.CreateChallenge(e.ctx(), c))
	return c
}

func testCreateChallenge(e *env) {
	_, m := e.registered()
	want := e.challenge(m, 5)
	want.TokenHash = []byte{0, 255, 1}
	want.Purpose, want.Device = makerguard.ChallengeEnrollment, ""
	e.ok("CreateChallenge", e.s.CreateChallenge(e.ctx(), want))
	got, err := e.s.Challenge(e.ctx(), want.TokenHash, e.now)
	e.ok("Challenge", err)
	e.same("the challenge", got, want)
}

func testChallenge(e *env) {
	c := e.challenged(1)
	_, err := e.s.Challenge(e.ctx(), []byte("another"), e.now)
	e.fails("Challenge(none)", err, makerguard.NotFound)
	_, err = e.s.Challenge(e.ctx(), nil, e.now)
	e.fails("Challenge(nil)", err, makerguard.NotFound)
	_, err = e.s.Challenge(e.ctx(), c.TokenHash, c.ExpiresAt.Add(-tick))
	e.ok("Challenge before it expires", err)
	for _, now := range []time.Time{c.ExpiresAt, c.ExpiresAt.Add(tick)} {
		_, err = e.s.Challenge(e.ctx(), c.TokenHash, now)
		e.fails("Challenge when it has expired", err, makerguard.NotFound)
	}
}

func testTryChallenge(e *env) {
	e.run("OK", func(e *env) {
		c := e.challenged(2)
		for left := 1; left >= 0; left-- {
			got, err := e.s.TryChallenge(e.ctx(), c.TokenHash, c.ExpiresAt.Add(-tick))
			e.ok("TryChallenge", err)
			c.TriesLeft = left
			e.same("the challenge", got, c)
		}
		_, err := e.s.TryChallenge(e.ctx(), c.TokenHash, e.now)
		e.fails("TryChallenge without tries", err, makerguard.NotFound)
	})
	e.run("ErrNotFound", func(e *env) {
		c := e.challenged(2)
		_, err := e.s.TryChallenge(e.ctx(), []byte("another"), e.now)
		e.fails("TryChallenge(none)", err, makerguard.NotFound)
		for _, now := range []time.Time{c.ExpiresAt, c.ExpiresAt.Add(tick)} {
			_, err := e.s.TryChallenge(e.ctx(), c.TokenHash, now)
			e.fails("TryChallenge when it has expired", err, makerguard.NotFound)
		}
	})
	e.run("Race", func(e *env) {
		c := e.challenged(5)
		e.exactly(5, race(rivals, func(int) error {
			_, err := e.s.TryChallenge(e.ctx(), c.TokenHash, e.now)
			return err
		}), makerguard.NotFound)
	})
}

func testConsumeChallenge(e *env) {
	c, other := e.challenged(1), e.challenged(1)
	e.fails("ConsumeChallenge(none)", e.s.ConsumeChallenge(e.ctx(), []byte("another")), makerguard.NotFound)
	e.ok("ConsumeChallenge", e.s.ConsumeChallenge(e.ctx(), c.TokenHash))
	e.fails("ConsumeChallenge again", e.s.ConsumeChallenge(e.ctx(), c.TokenHash), makerguard.NotFound)
	_, err := e.s.Challenge(e.ctx(), c.TokenHash, e.now)
	e.fails("Challenge after it", err, makerguard.NotFound)
	_, err = e.s.Challenge(e.ctx(), other.TokenHash, e.now)
	e.ok("another Challenge", err)

	// goal: V2.3.2
	e.run("Race", func(e *env) {
		c := e.challenged(1)
		e.exactly(1, race(rivals, func(int) error { return e.s.ConsumeChallenge(e.ctx(), c.TokenHash) }), makerguard.NotFound)
	})
}

func testBumpCounter(e *env) {
	const window = time.Minute
	bump := func(key string, now time.Time) makerguard.Counter {
		e.Helper()
		c, err := e.s.BumpCounter(e.ctx(), key, window, now)
		e.ok("BumpCounter", err)
		return c
	}
	at := e.now
	e.same("the first", bump("k", at), makerguard.Counter{Count: 1, LastAt: at})
	e.same("another key", bump("K", at), makerguard.Counter{Count: 1, LastAt: at})
	at = at.Add(window - tick)
	e.same("within the window", bump("k", at), makerguard.Counter{Count: 2, LastAt: at})
	at = at.Add(window)
	e.same("after just the window", bump("k", at), makerguard.Counter{Count: 3, LastAt: at})
	at = at.Add(window + tick)
	e.same("after more than the window", bump("k", at), makerguard.Counter{Count: 1, LastAt: at})

	e.run("Race", func(e *env) {
		e.exactly(rivals, race(rivals, func(int) error {
			_, err := e.s.BumpCounter(e.ctx(), "race", window, e.now)
			return err
		}), "")
		c, err := e.s.Counter(e.ctx(), "race", window, e.now)
		e.ok("Counter", err)
		e.same("Counter", c, makerguard.Counter{Count: rivals, LastAt: e.now})
	})
}

func testCounter(e *env) {
	const window = time.Minute
	read := func(now time.Time) makerguard.Counter {
		e.Helper()
		c, err := e.s.Counter(e.ctx(), "k", window, now)
		e.ok("Counter", err)
		return c
	}
	e.same("an absent counter", read(e.now), makerguard.Counter{})
	_, err := e.s.BumpCounter(e.ctx(), "k", window, e.now)
	e.ok("BumpCounter", err)
	want := makerguard.Counter{Count: 1, LastAt: e.now}
	for range 2 {
		e.same("Counter", read(e.now.Add(window-tick)), want)
	}
	e.same("after just the window", read(e.now.Add(window)), want)
	e.same("after more than the window", read(e.now.Add(window+tick)), makerguard.Counter{})
}

func testResetCounter(e *env) {
	for _, key := range []string{"k", "other"} {
		_, err := e.s.BumpCounter(e.ctx(), key, time.Minute, e.now)
		e.ok("BumpCounter", err)
	}
	for range 2 {
		e.ok("ResetCounter", e.s.ResetCounter(e.ctx(), "k"))
	}
	for key, want := range map[string]int{"k": 0, "other": 1} {
		c, err := e.s.Counter(e.ctx(), key, time.Minute, e.now)
		e.ok("Counter", err)
		if c.Count != want {
			e.Errorf("Counter(%q) = %d, want %d", key, c.Count, want)
		}
	}
}

func testDeleteExpired(e *env) {
	m := func() makerguard.Member { _, m := e.registered(); return m }()
	keepSince := e.now.Add(-24 * time.Hour)

	session := func(change func(*makerguard.Session)) makerguard.SessionID {
		s := e.session(m)
		change(&s)
		e.ok("CreateSession", e.s.CreateSession(e.ctx(), s, makerguard.Unlimited, e.now))
		return s.ID
	}
	revoke := func(at time.Time) makerguard.SessionID {
		id := session(func(*makerguard.Session) {})
		e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), m.ManufacturerID, m.ID, id, "logout", at))
		return id
	}
	gone := []makerguard.SessionID{
		session(func(s *makerguard.Session) { s.ExpiresAt = keepSince.Add(-tick) }),
		revoke(keepSince.Add(-tick)),
	}
	kept := []makerguard.SessionID{
		session(func(*makerguard.Session) {}),
		session(func(s *makerguard.Session) { s.ExpiresAt = keepSince.Add(tick) }),
		revoke(keepSince.Add(tick)),
	}
	expired, live := e.challenge(m, 1), e.challenge(m, 1)
	expired.ExpiresAt, live.ExpiresAt = e.now.Add(-tick), e.now.Add(time.Minute)
	for _, c := range []makerguard.Challenge{expired, live} {
		e.ok("CreateChallenge", e.s.CreateChallenge(e.ctx(), c))
	}
	for key, at := range map[string]time.Time{"stale": e.now.Add(-time.Minute - tick), "fresh": e.now.Add(-time.Minute + tick)} {
		_, err := e.s.BumpCounter(e.ctx(), key, time.Minute, at)
		e.ok("BumpCounter", err)
	}

	e.ok("DeleteExpired", e.s.DeleteExpired(e.ctx(), e.now, keepSince))

	for _, id := range gone {
		_, _, _, err := e.s.LoadSession(e.ctx(), id)
		e.fails("LoadSession of an old session", err, makerguard.NotFound)
	}
	for _, id := range kept {
		e.load(id)
	}
	// Asked as of a time when both were good.
	_, err := e.s.Challenge(e.ctx(), expired.TokenHash, expired.ExpiresAt.Add(-tick))
	e.fails("Challenge that had expired", err, makerguard.NotFound)
	_, err = e.s.Challenge(e.ctx(), live.TokenHash, e.now)
	e.ok("Challenge that is live", err)
	for key, want := range map[string]int{"stale": 0, "fresh": 1} {
		c, err := e.s.Counter(e.ctx(), key, time.Hour, e.now)
		e.ok("Counter", err)
		if c.Count != want {
			e.Errorf("Counter(%q) = %d after DeleteExpired, want %d", key, c.Count, want)
		}
	}
}

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
