package score_test

import (
	"math"
	"testing"
	"time"

	"github.com/makerguard/makerguard/score"
	"pgregory.net/rapid"
)

const day = 24 * time.Hour

func threats(window int, c score.Counts) (ts [score.ThreatWindows]score.Counts) {
	ts[window] = c
	return ts
}

func TestRate(t *testing.T) {
	best := score.Posture{Members: 4, MembersWithMFA: 4, MembersWithPasskeys: 4, MembersVerified: 4, Passkeys: true, KeyAge: 90 * day, ValidDocuments: 100}
	oneOfEach := score.Counts{Low: 1, Medium: 1, High: 1, Critical: 1} // 18
	for _, c := range []struct {
		name   string
		change func(*score.Posture)
		score  int
		grade  string
	}{
		{"everything right", func(*score.Posture) {}, 100, "A"},
		{"half without second factor", func(p *score.Posture) { p.MembersWithMFA = 2 }, 87, "B"},
		{"nobody with second factor", func(p *score.Posture) { p.MembersWithMFA = 0 }, 75, "C"},
		{"no passkeys", func(p *score.Posture) { p.MembersWithPasskeys = 0 }, 95, "A"},
		{"passkeys are not offered", func(p *score.Posture) { p.MembersWithPasskeys, p.Passkeys = 0, false }, 100, "A"},
		{"addresses not verified", func(p *score.Posture) { p.MembersVerified = 0 }, 90, "A"},
		{"a key of 91 days", func(p *score.Posture) { p.KeyAge = 91 * day }, 99, "A"},
		{"a key of half a year", func(p *score.Posture) { p.KeyAge = 181 * day }, 96, "A"},
		{"a key of years", func(p *score.Posture) { p.KeyAge = 999 * day }, 90, "A"},
		{"one threat of each", func(p *score.Posture) { p.Threats = threats(0, oneOfEach) }, 82, "B"},
		{"the same a week ago", func(p *score.Posture) { p.Threats = threats(2, oneOfEach) }, 91, "A"},
		{"the same two weeks ago", func(p *score.Posture) { p.Threats = threats(4, oneOfEach) }, 96, "A"},
		{"the same almost four weeks ago", func(p *score.Posture) { p.Threats = threats(7, oneOfEach) }, 99, "A"},
		{"many threats", func(p *score.Posture) { p.Threats = threats(0, score.Counts{Critical: 1 << 62}) }, 80, "B"},
		{"failed sign-ins", func(p *score.Posture) { p.FailedSignIns = 23.9 }, 98, "A"},
		{"stale sessions", func(p *score.Posture) { p.StaleSessions = 4 }, 96, "A"},
		{"stale API keys", func(p *score.Posture) { p.StaleKeys = 9 }, 95, "A"},
		{"one document of four is bad", func(p *score.Posture) { p.ValidDocuments, p.BadDocuments = 75, 25 }, 98, "A"},
		{"the only document is bad", func(p *score.Posture) { p.ValidDocuments, p.BadDocuments = 0, 1 }, 99, "A"},
		{"all documents are bad", func(p *score.Posture) { p.ValidDocuments, p.BadDocuments = 0, 50 }, 90, "A"},
		{"nonsense counts as best", func(p *score.Posture) {
			p.MembersWithMFA, p.FailedSignIns, p.StaleSessions, p.BadDocuments = 99, math.NaN(), -3, math.Inf(-1)
		}, 100, "A"},
		{"zero value", func(p *score.Posture) { *p = score.Posture{} }, 65, "D"},
		{"everything wrong", func(p *score.Posture) {
			*p = score.Posture{
				Members: 1, Passkeys: true, KeyAge: 999 * day, Threats: threats(0, score.Counts{High: 9}), FailedSignIns: 999, StaleSessions: 9, StaleKeys: 9, BadDocuments: 99,
			}
		}, 0, "F"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := best
			c.change(&p)
			r := score.Rate(p)
			if r.Score != c.score || r.Grade != c.grade {
				t.Errorf("Rate(%+v) = %d %s, want %d %s", p, r.Score, r.Grade, c.score, c.grade)
			}
			check(t, r)
		})
	}
}

type failer interface{ Errorf(string, ...any) }

// check holds what is true of every rating.
func check(t failer, r score.Rating) {
	sum, most := 0, 0
	for _, f := range r.Factors {
		sum, most = sum+f.Points, most+f.Max
		if (f.Points < f.Max) != (f.Advice != "") {
			t.Errorf("factor %s has %d of %d points and advice %q", f.Name, f.Points, f.Max, f.Advice)
		}
		if f.Points < 0 || f.Points > f.Max {
			t.Errorf("factor %s has %d of %d points", f.Name, f.Points, f.Max)
		}
	}
	if sum != r.Score || most != 100 {
		t.Errorf("factors add up to %d of %d, want %d of 100", sum, most, r.Score)
	}
}

// improvements are the ways in which a posture gets better, each by one input.
var improvements = map[string]func(p *score.Posture, by int){
	"second factors":     func(p *score.Posture, by int) { p.MembersWithMFA += by },
	"passkeys":           func(p *score.Posture, by int) { p.MembersWithPasskeys += by },
	"verified addresses": func(p *score.Posture, by int) { p.MembersVerified += by },
	"key age":            func(p *score.Posture, by int) { p.KeyAge -= time.Duration(by) * day },
	"stale sessions":     func(p *score.Posture, by int) { p.StaleSessions -= by },
	"stale keys":         func(p *score.Posture, by int) { p.StaleKeys -= by },
	"low threats":        func(p *score.Posture, by int) { p.Threats[by%score.ThreatWindows].Low -= by },
	"medium threats":     func(p *score.Posture, by int) { p.Threats[by%score.ThreatWindows].Medium -= by },
	"high threats":       func(p *score.Posture, by int) { p.Threats[by%score.ThreatWindows].High -= by },
	"critical threats":   func(p *score.Posture, by int) { p.Threats[by%score.ThreatWindows].Critical -= by },
	"time passes since the threats": func(p *score.Posture, by int) {
		for range by % 3 {
			copy(p.Threats[1:], p.Threats[:])
			p.Threats[0] = score.Counts{}
		}
	},
	"failed sign-ins": func(p *score.Posture, by int) { p.FailedSignIns -= float64(by) / 3 },
	"valid documents": func(p *score.Posture, by int) { p.ValidDocuments += float64(by) / 3 },
	"bad documents":   func(p *score.Posture, by int) { p.BadDocuments -= float64(by) / 3 },
	"a bad document is corrected": func(p *score.Posture, by int) {
		n := min(float64(by)/3, p.BadDocuments)
		p.BadDocuments, p.ValidDocuments = p.BadDocuments-n, p.ValidDocuments+n
	},
}

func TestRate_BetterPostureNeverScoresLower(t *testing.T) {
	for name, improve := range improvements {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				count := rapid.IntRange(0, 40)
				p := score.Posture{
					Members: count.Draw(t, "members"), MembersWithMFA: count.Draw(t, "mfa"), MembersWithPasskeys: count.Draw(t, "with passkeys"),
					MembersVerified: count.Draw(t, "verified"), Passkeys: rapid.Bool().Draw(t, "passkeys"),
					KeyAge: time.Duration(rapid.IntRange(0, 500*24).Draw(t, "hours")) * time.Hour, StaleSessions: count.Draw(t, "sessions"), StaleKeys: count.Draw(t, "keys"),
					FailedSignIns: rapid.Float64Range(0, 200).Draw(t, "failed"), ValidDocuments: rapid.Float64Range(0, 300).Draw(t, "valid"),
					BadDocuments: rapid.Float64Range(0, 100).Draw(t, "bad"),
				}
				few := rapid.IntRange(0, 3)
				for i := range p.Threats {
					p.Threats[i] = score.Counts{Low: few.Draw(t, "low"), Medium: few.Draw(t, "medium"), High: few.Draw(t, "high"), Critical: few.Draw(t, "critical")}
				}
				better := p
				improve(&better, rapid.IntRange(0, 60).Draw(t, "by"))
				was, is := score.Rate(p), score.Rate(better)
				check(t, was)
				check(t, is)
				if is.Score < was.Score {
					t.Fatalf("Rate(%+v) = %d, but Rate(%+v) = %d", p, was.Score, better, is.Score)
				}
				for i, f := range is.Factors {
					if f.Points < was.Factors[i].Points {
						t.Fatalf("factor %s falls from %d to %d", f.Name, was.Factors[i].Points, f.Points)
					}
				}
			})
		})
	}
}
