package storetest

import (
	"time"

	"github.com/makerguard/makerguard"
)

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

	// Of other things only what is of no more use to anybody may go.
	rate := makerguard.RateRequest{Key: "rate", Interval: time.Hour, Burst: 1, Amount: 1, Now: e.now}
	_, err := e.s.TakeRate(e.ctx(), rate)
	e.ok("TakeRate", err)
	_, err = e.s.AddPoints(e.ctx(), "points", 8, time.Hour, e.now)
	e.ok("AddPoints", err)
	block, running, done := e.block(), e.job(m.ManufacturerID), e.job(tenant())
	e.blocked("a new block", block, block)
	running.CreatedAt, running.UpdatedAt, done.State = e.now.AddDate(-1, 0, 0), e.now.AddDate(-1, 0, 0), makerguard.JobDone
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), running))
	e.ok("CreateJob", e.s.CreateJob(e.ctx(), done))

	e.ok("DeleteExpired", e.s.DeleteExpired(e.ctx(), e.now, keepSince))

	res, err := e.s.TakeRate(e.ctx(), rate)
	e.ok("TakeRate", err)
	e.same("the rate that was used up", res, makerguard.RateResult{RetryAfter: time.Hour})
	points, err := e.s.AddPoints(e.ctx(), "points", 0, time.Hour, e.now)
	e.ok("AddPoints", err)
	e.same("the points", points, 8.0)
	e.same("the block", e.inForce(block.Subject, e.now), []makerguard.Block{block})
	e.same("the job that is running", e.loadJob(running.ID), running)
	e.same("the job that is done", e.loadJob(done.ID), done)

	for _, id := range gone {
		_, _, _, err := e.s.LoadSession(e.ctx(), id)
		e.fails("LoadSession of an old session", err, makerguard.NotFound)
	}
	for _, id := range kept {
		e.load(id)
	}
	// Asked as of a time when both were good.
	_, err = e.s.Challenge(e.ctx(), expired.TokenHash, expired.ExpiresAt.Add(-tick))
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
