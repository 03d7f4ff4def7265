package threat_test

import (
	"testing"
	"time"

	"github.com/makerguard/makerguard/threat"
	"pgregory.net/rapid"
)

const day = 24 * time.Hour

func TestScore(t *testing.T) {
	best := threat.Posture{Members: 4, MembersWithMFA: 4, MembersVerified: 4, KeyAge: 90 * day}
	for _, c := range []struct {
		name   string
		change func(*threat.Posture)
		score  int
		grade  string
	}{
		{"everything right", func(*threat.Posture) {}, 100, "A"},
		{"half without second factor", func(p *threat.Posture) { p.MembersWithMFA = 2 }, 85, "B"},
		{"nobody with second factor", func(p *threat.Posture) { p.MembersWithMFA = 0 }, 70, "C"},
		{"addresses not verified", func(p *threat.Posture) { p.MembersVerified = 0 }, 90, "A"},
		{"keys of half a year", func(p *threat.Posture) { p.KeyAge = 181 * day }, 90, "A"},
		{"keys of over a year", func(p *threat.Posture) { p.KeyAge = 366 * day }, 85, "B"},
		{"one threat of each", func(p *threat.Posture) { p.Threats = threat.Counts{Low: 1, Medium: 1, High: 1, Critical: 1} }, 82, "B"},
		{"many threats", func(p *threat.Posture) { p.Threats.Critical = 1 << 62 }, 75, "C"},
		{"failed sign-ins", func(p *threat.Posture) { p.FailedSignIns = 45 }, 98, "A"},
		{"stale sessions", func(p *threat.Posture) { p.StaleSessions = 4 }, 92, "A"},
		{"nonsense counts as best", func(p *threat.Posture) { p.MembersWithMFA, p.FailedSignIns = 99, -5 }, 100, "A"},
		{"zero value", func(p *threat.Posture) { *p = threat.Posture{} }, 60, "D"},
		{"everything wrong", func(p *threat.Posture) {
			*p = threat.Posture{Members: 1, KeyAge: 999 * day, Threats: threat.Counts{High: 9}, FailedSignIns: 999, StaleSessions: 9}
		}, 0, "F"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := best
			c.change(&p)
			s := threat.Score(p)
			if s.Score != c.score || s.Grade != c.grade {
				t.Errorf("Score(%+v) = %d %s, want %d %s", p, s.Score, s.Grade, c.score, c.grade)
			}
			sum, most := 0, 0
			for _, f := range s.Factors {
				sum, most = sum+f.Points, most+f.Max
				if (f.Points < f.Max) != (f.Advice != "") {
					t.Errorf("factor %s has %d of %d points and advice %q", f.Name, f.Points, f.Max, f.Advice)
				}
			}
			if sum != s.Score || most != 100 {
				t.Errorf("factors add up to %d of %d, want %d of 100", sum, most, s.Score)
			}
		})
	}
}

func TestScore_BetterPostureNeverScoresLower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 100)
		p := threat.Posture{
			Members: count.Draw(t, "members"), MembersWithMFA: count.Draw(t, "mfa"), MembersVerified: count.Draw(t, "verified"),
			KeyAge: time.Duration(rapid.IntRange(0, 500).Draw(t, "days")) * day,
			Threats: threat.Counts{
				Low: count.Draw(t, "low"), Medium: count.Draw(t, "medium"), High: count.Draw(t, "high"), Critical: count.Draw(t, "critical"),
			},
			FailedSignIns: rapid.IntRange(0, 1000).Draw(t, "failed"), StaleSessions: count.Draw(t, "stale"),
		}
		better := p
		by := rapid.IntRange(0, 100).Draw(t, "by")
		switch rapid.IntRange(0, 8).Draw(t, "what improves") {
		case 0:
			better.MembersWithMFA += by
		case 1:
			better.MembersVerified += by
		case 2:
			better.KeyAge -= time.Duration(by) * day
		case 3:
			better.Threats.Low -= by
		case 4:
			better.Threats.Medium -= by
		case 5:
			better.Threats.High -= by
		case 6:
			better.Threats.Critical -= by
		case 7:
			better.FailedSignIns -= by
		case 8:
			better.StaleSessions -= by
		}
		was, is := threat.Score(p), threat.Score(better)
		if is.Score < was.Score {
			t.Fatalf("Score(%+v) = %d, but Score(%+v) = %d", p, was.Score, better, is.Score)
		}
		for i, f := range is.Factors {
			if f.Points < was.Factors[i].Points {
				t.Fatalf("factor %s falls from %d to %d", f.Name, was.Factors[i].Points, f.Points)
			}
		}
		if is.Score < 0 || is.Score > 100 {
			t.Fatalf("Score(%+v) = %d, out of 0 to 100", better, is.Score)
		}
	})
}
