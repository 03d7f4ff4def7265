package storetest

import (
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

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
