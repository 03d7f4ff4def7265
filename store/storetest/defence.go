package storetest

import (
	"math"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// ruleSet is a version of a manufacturer's settings that is not stored yet, with everything set.
func (e *env) ruleSet(mfr makerguard.ManufacturerID, version int64) makerguard.RuleSet {
	by := makerguard.MemberID(id.New("mbr"))
	return makerguard.RuleSet{
		ManufacturerID: mfr, Version: version,
		Modes: []makerguard.RuleMode{
			{Rule: "sqli.*", Mode: makerguard.ModeMonitor},
			{Rule: "xss.tag", Route: "POST /api/products", Mode: makerguard.ModeOff},
		},
		Exclusions: []makerguard.Exclusion{{
			ID: "exc_1", Rule: "sqli.union", Route: "POST /api/products", Field: "body/lenses/*/name", Reason: "a brand is called “Union”",
			Event: "evt_1", CreatedBy: by, CreatedAt: e.now.Add(-tick),
		}},
		Known:     []makerguard.KnownRule{{Rule: "sqli.union"}, {Rule: "xss.tag", Since: e.now.Add(-tick)}},
		UpdatedAt: e.now, UpdatedBy: by,
	}
}

func (e *env) rules(mfr makerguard.ManufacturerID) makerguard.RuleSet {
	e.Helper()
	rs, err := e.s.RuleSet(e.ctx(), mfr)
	e.ok("RuleSet", err)
	return rs
}

func testRuleSet(e *env) {
	a := tenant()
	rs := e.rules(a)
	if rs.Version != 0 || len(rs.Modes) > 0 || len(rs.Exclusions) > 0 {
		e.Errorf("RuleSet of who never stored any = %+v, want version 0 and nothing set", rs)
	}
	want := e.ruleSet(a, 1)
	e.ok("PutRuleSet", e.s.PutRuleSet(e.ctx(), want))
	e.same("RuleSet", e.rules(a), want)
	if rs := e.rules(tenant()); rs.Version != 0 {
		e.Errorf("another manufacturer's RuleSet = %+v, want none", rs)
	}
}

func testPutRuleSet(e *env) {
	for name, mfr := range map[string]makerguard.ManufacturerID{"Manufacturer": tenant(), "Installation": ""} {
		e.run(name, func(e *env) {
			first, second := e.ruleSet(mfr, 1), e.ruleSet(mfr, 2)
			for _, version := range []int64{-1, 0, 2} {
				e.fails("a first version that is not 1", e.s.PutRuleSet(e.ctx(), e.ruleSet(mfr, version)), makerguard.Conflict)
			}
			for _, rs := range []makerguard.RuleSet{first, second} {
				e.announces(func() { e.ok("PutRuleSet", e.s.PutRuleSet(e.ctx(), rs)) }, makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: mfr})
				e.same("RuleSet", e.rules(mfr), rs)
			}
			for _, version := range []int64{0, 1, 2, 4} {
				e.fails("a version out of its turn", e.s.PutRuleSet(e.ctx(), e.ruleSet(mfr, version)), makerguard.Conflict)
			}
			e.same("RuleSet after refusals", e.rules(mfr), second)
			none := makerguard.RuleSet{ManufacturerID: mfr, Version: 3, UpdatedAt: e.now}
			e.ok("PutRuleSet of nothing", e.s.PutRuleSet(e.ctx(), none))
			e.same("RuleSet", e.rules(mfr), none)
		})
	}
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		mfr := tenant()
		for version := range int64(2) {
			sets := make([]makerguard.RuleSet, crowd)
			for i := range sets {
				sets[i] = e.ruleSet(mfr, version+1)
			}
			errs := race(crowd, func(i int) error { return e.s.PutRuleSet(e.ctx(), sets[i]) })
			e.exactly(1, errs, makerguard.Conflict)
			if won := slices.Index(errs, nil); won >= 0 {
				e.same("RuleSet", e.rules(mfr), sets[won])
			}
		}
	})
}

func testAddPoints(e *env) {
	const halfLife = time.Minute
	add := func(key string, points float64, after time.Duration) float64 {
		e.Helper()
		score, err := e.s.AddPoints(e.ctx(), key, points, halfLife, e.now.Add(after))
		e.ok("AddPoints", err)
		return score
	}
	key := id.New("key")
	for _, step := range []struct {
		name   string
		key    string
		points float64
		after  time.Duration
		want   float64
	}{
		{"the first", key, 8, 0, 8},
		{"at the same time", key, 0.5, 0, 8.5},
		{"another key", key + "x", 1, 0, 1},
		{"half are left", key, 0, halfLife, 4.25},
		{"half of those are", key, 1, 2 * halfLife, 3.125},
		{"time adds up", key, 0, 2*halfLife + halfLife/2, 3.125 / math.Sqrt2},
		{"after ten half-lives", key, 1, 12*halfLife + halfLife/2, 1 + 3.125/math.Sqrt2/1024},
	} {
		// Less than a hundredth of a point may be forgotten.
		if got := add(step.key, step.points, step.after); math.Abs(got-step.want) > 0.01 {
			e.Errorf("%s: AddPoints = %v, want %v", step.name, got, step.want)
		}
	}
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		key := id.New("key")
		e.exactly(crowd, race(crowd, func(int) error {
			_, err := e.s.AddPoints(e.ctx(), key, 1, halfLife, e.now)
			return err
		}), "")
		if got := add(key, 0, 0); math.Abs(got-crowd) > 1e-6 {
			e.Errorf("AddPoints after %d = %v", crowd, got)
		}
	})
}

// block is a new block of an hour that is not stored yet, with everything set.
func (e *env) block() makerguard.Block {
	return makerguard.Block{
		ID: id.New("blk"), Kind: makerguard.BlockAddress, Subject: id.New("address"), ManufacturerID: "mfr_1", Scenario: "scan",
		Reason: "asked for 40 ids that do not exist", Points: 12.5, CreatedAt: e.now, ExpiresAt: e.now.Add(time.Hour),
	}
}

// blocked checks what PutBlock makes of b.
func (e *env) blocked(what string, b, want makerguard.Block) {
	e.Helper()
	got, err := e.s.PutBlock(e.ctx(), b)
	e.ok("PutBlock", err)
	e.same(what, got, want)
}

// inForce lists the blocks in force at now whose subject is given.
func (e *env) inForce(subject string, now time.Time) []makerguard.Block {
	e.Helper()
	list, err := e.s.Blocks(e.ctx(), now, 10_000)
	e.ok("Blocks", err)
	return slices.DeleteFunc(list, func(b makerguard.Block) bool { return b.Subject != subject })
}

func testPutBlock(e *env) {
	e.run("OK", func(e *env) {
		b := e.block()
		e.announcesKind(func() { e.blocked("a new block", b, b) }, makerguard.BlocksChanged)
		other := b
		other.ID, other.Kind = id.New("blk"), makerguard.BlockMember
		e.blocked("one of another kind", other, other)
		other = b
		other.ID, other.Subject = id.New("blk"), b.Subject+"0"
		e.blocked("one of another subject", other, other)
		e.same("Blocks", e.inForce(other.Subject, e.now), []makerguard.Block{other})
	})
	e.run("Prolongs", func(e *env) {
		b := e.block()
		e.blocked("a new block", b, b)
		again := e.block()
		again.Subject, again.Reason, again.Points, again.CreatedAt = b.Subject, "more of it", 20, e.now.Add(time.Minute)
		e.blocked("one that ends as early", again, b)
		again.ExpiresAt = b.ExpiresAt.Add(-tick)
		e.blocked("one that ends before", again, b)
		again.ExpiresAt = b.ExpiresAt.Add(tick)
		e.announcesKind(func() {
			b.ExpiresAt = again.ExpiresAt
			e.blocked("one that ends later", again, b)
		}, makerguard.BlocksChanged)
		e.same("Blocks", e.inForce(b.Subject, e.now), []makerguard.Block{b})
	})
	e.run("AfterTheOtherEnded", func(e *env) {
		b := e.block()
		e.blocked("a new block", b, b)
		next := b
		next.ID, next.CreatedAt, next.ExpiresAt = id.New("blk"), b.ExpiresAt, b.ExpiresAt.Add(time.Hour)
		e.blocked("the one that follows", next, next)
		e.ok("LiftBlock", e.s.LiftBlock(e.ctx(), next.ID, "mbr_1", "a mistake", next.CreatedAt))
		last := next
		last.ID, last.CreatedAt = id.New("blk"), next.CreatedAt.Add(tick)
		e.blocked("one after a lifted one", last, last)
		e.same("Blocks", e.inForce(b.Subject, last.CreatedAt), []makerguard.Block{last})
	})
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		subject := id.New("address")
		ids := make([]string, crowd)
		var latest time.Time
		e.exactly(crowd, race(crowd, func(i int) error {
			b := e.block()
			b.Subject, b.ExpiresAt = subject, e.now.Add(time.Hour+time.Duration(i)*tick)
			got, err := e.s.PutBlock(e.ctx(), b)
			ids[i] = got.ID
			return err
		}), "")
		latest = e.now.Add(time.Hour + (crowd-1)*tick)
		slices.Sort(ids)
		list := e.inForce(subject, e.now)
		if len(list) != 1 || len(slices.Compact(ids)) != 1 || !list[0].ExpiresAt.Equal(latest) {
			e.Errorf("%d blocks of one subject: %+v, want 1 until %v that all were told of", len(list), list, latest)
		}
	})
}

func testBlocks(e *env) {
	ends := e.now.Add(time.Hour)
	var want []makerguard.Block // newest first
	for i := range 4 {
		b := e.block()
		b.CreatedAt, b.ExpiresAt = e.now.Add(-time.Duration(i)*tick), ends.Add(time.Duration(i)*tick)
		want = append(want, b)
	}
	for _, i := range []int{2, 0, 3, 1} {
		e.blocked("a new block", want[i], want[i])
	}
	for _, test := range []struct {
		name  string
		now   time.Time
		limit int
		want  []makerguard.Block
	}{
		{"all", e.now, 100, want},
		{"the newest", e.now, 2, want[:2]},
		{"just before the first ends", ends.Add(-tick), 100, want},
		{"when it does", ends, 100, want[1:]},
		{"the newest that have not", ends.Add(tick), 1, want[2:3]},
		{"when none is left", ends.Add(3 * tick), 100, nil},
	} {
		got, err := e.s.Blocks(e.ctx(), test.now, test.limit)
		e.ok("Blocks", err)
		e.same(test.name, got, test.want)
	}
	e.ok("LiftBlock", e.s.LiftBlock(e.ctx(), want[1].ID, "mbr_1", "a mistake", e.now))
	got, err := e.s.Blocks(e.ctx(), e.now, 100)
	e.ok("Blocks", err)
	e.same("without the one lifted", got, slices.Delete(want, 1, 2))
}

func testLiftBlock(e *env) {
	b, other := e.block(), e.block()
	e.blocked("a new block", b, b)
	e.blocked("another", other, other)
	e.announcesKind(func() {
		e.ok("LiftBlock", e.s.LiftBlock(e.ctx(), b.ID, "mbr_1", "a mistake", e.now))
	}, makerguard.BlocksChanged)
	e.same("Blocks", e.inForce(b.Subject, e.now), []makerguard.Block(nil))
	e.same("the other", e.inForce(other.Subject, e.now), []makerguard.Block{other})
	e.fails("LiftBlock again", e.s.LiftBlock(e.ctx(), b.ID, "mbr_1", "a mistake", e.now), makerguard.NotFound)
	e.fails("LiftBlock of none", e.s.LiftBlock(e.ctx(), "blk_none", "mbr_1", "a mistake", e.now), makerguard.NotFound)
	e.fails("LiftBlock of one that ended", e.s.LiftBlock(e.ctx(), other.ID, "mbr_1", "too late", other.ExpiresAt), makerguard.NotFound)
	e.ok("LiftBlock just before that", e.s.LiftBlock(e.ctx(), other.ID, "mbr_1", "in time", other.ExpiresAt.Add(-tick)))

	e.run("Race", func(e *env) {
		b := e.block()
		e.blocked("a new block", b, b)
		e.exactly(1, race(rivals, func(int) error { return e.s.LiftBlock(e.ctx(), b.ID, "mbr_1", "a mistake", e.now) }), makerguard.NotFound)
	})
}

// days stores scores of mfr for so many days and returns them, oldest first.
func (e *env) days(mfr makerguard.ManufacturerID, scores ...int) []makerguard.ScorePoint {
	e.Helper()
	day := e.now.Truncate(24 * time.Hour)
	var list []makerguard.ScorePoint
	for i, score := range scores {
		p := makerguard.ScorePoint{ManufacturerID: mfr, Day: day.AddDate(0, 0, i-len(scores)), Score: score}
		e.ok("PutScore", e.s.PutScore(e.ctx(), p))
		list = append(list, p)
	}
	return list
}

func (e *env) scores(mfr makerguard.ManufacturerID, since time.Time) []makerguard.ScorePoint {
	e.Helper()
	list, err := e.s.Scores(e.ctx(), mfr, since)
	e.ok("Scores", err)
	return list
}

func testPutScore(e *env) {
	a, b := tenant(), tenant()
	want := e.days(a, 70, 80)
	other := e.days(b, 10, 20)
	want[1].Score = 90
	for range 2 {
		e.ok("PutScore of a day that has one", e.s.PutScore(e.ctx(), want[1]))
	}
	e.same("Scores", e.scores(a, time.Time{}), want)
	e.same("another manufacturer's", e.scores(b, time.Time{}), other)
}

func testScores(e *env) {
	a := tenant()
	all := e.days(a, 0, 100, 50)
	e.days(tenant(), 1)
	for name, test := range map[string]struct {
		since time.Time
		want  []makerguard.ScorePoint
	}{
		"all":              {time.Time{}, all},
		"from a day on":    {all[1].Day, all[1:]},
		"from after it on": {all[1].Day.Add(tick), all[2:]},
		"none":             {e.now, nil},
	} {
		e.same(name, e.scores(a, test.since), test.want)
	}
	e.same("nobody's", e.scores(tenant(), time.Time{}), []makerguard.ScorePoint(nil))
}
