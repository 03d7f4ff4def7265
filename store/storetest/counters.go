package storetest

import (
	"time"

	"github.com/makerguard/makerguard"
)

func testBumpCounter(e *env) {
	const window = time.Minute
	bump := func(key string, now time.Time) makerguard.Counter {
		e.Helper()
		c, err := e.s.BumpCounter(e.ctx(), key, window, now)
		e.ok("BumpCounter", err)
		return c
	}
	at := e.now
	e.same("the first", bump("bump", at), makerguard.Counter{Count: 1, LastAt: at})
	e.same("another key", bump("BUMP", at), makerguard.Counter{Count: 1, LastAt: at})
	at = at.Add(window - tick)
	e.same("within the window", bump("bump", at), makerguard.Counter{Count: 2, LastAt: at})
	at = at.Add(window)
	e.same("after just the window", bump("bump", at), makerguard.Counter{Count: 3, LastAt: at})
	at = at.Add(window + tick)
	e.same("after more than the window", bump("bump", at), makerguard.Counter{Count: 1, LastAt: at})

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
		c, err := e.s.Counter(e.ctx(), "counted", window, now)
		e.ok("Counter", err)
		return c
	}
	e.same("an absent counter", read(e.now), makerguard.Counter{})
	_, err := e.s.BumpCounter(e.ctx(), "counted", window, e.now)
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
