package storetest

import (
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
