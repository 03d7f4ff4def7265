// Package score rates how a manufacturer's accounts are protected: 0 to 100, a sum of
// factors each of which depends on one part of the posture and never falls when that part
// improves. Every point lost comes with advice that wins it back.
//
// A score tells where to begin, not that nothing can happen: it sees settings and
// events, and nothing of how an application uses what makerguard tells it.
package score

import (
	"math"
	"time"
)

// Posture is what the score of a manufacturer's accounts is computed from. Numbers that make
// no sense, such as more members with a second factor than members, count as the nearest that do.
type Posture struct {
	Members             int // active members; 0 is taken as 1
	MembersWithMFA      int // of them, those with a second factor
	MembersWithPasskeys int // of them, those with a passkey
	MembersVerified     int // of them, those with a verified address
	// Passkeys says whether members can have passkeys at all. Nobody loses points for what
	// is not offered.
	Passkeys bool

	// KeyAge is how long the key that protects new data has not been replaced.
	KeyAge time.Duration
	// StaleSessions counts live sessions not used for 7 days.
	StaleSessions int
	// StaleKeys counts API keys not used for 90 days.
	StaleKeys int
	// Threats counts the entries of the history by half week, the present one first.
	Threats [ThreatWindows]Counts
	// FailedSignIns counts failed sign-ins, each half of what it was a week ago.
	FailedSignIns float64
	// ValidDocuments and BadDocuments count products and companies that were checked against
	// the business rules, without and with errors; each counts half after a month.
	ValidDocuments, BadDocuments float64
}

// Counts counts threats by severity.
type Counts struct {
	Low, Medium, High, Critical int
}

const (
	// ThreatWindow is how long each window of Posture.Threats is.
	ThreatWindow = 7 * day / 2
	// ThreatWindows is how many there are: what is older counts less than a tenth.
	ThreatWindows = 8

	day = 24 * time.Hour
)

// Rating is the result of Rate.
type Rating struct {
	Score   int    // 0 to 100
	Grade   string // "A" from 90, "B" from 80, "C" from 70, "D" from 60, else "F"
	Factors []Factor
}

// Factor is one part of the score. The points of all factors add up to the score.
type Factor struct {
	Name   string
	Points int
	Max    int
	Advice string // how to get the missing points; "" when none are missing
}

// Rate rates a posture from 0 to 100:
//
//	second_factor    25  in proportion to the members who have one
//	passkeys          5  in proportion to the members who have one, all where none are offered
//	verified_email   10  in proportion to the members whose address is verified
//	key_age          10  all up to 90 days, then 1 less for each 30 days begun
//	stale_sessions    5  less 1 for each
//	stale_api_keys    5  less 1 for each
//	threats          20  less 10 for each critical, 5 high, 2 medium and 1 low entry; half of that after a week
//	failed_sign_ins  10  less 1 for every 8; each counts half after a week
//	data_quality     10  in proportion to the documents without errors, of at least 10
//
// Proportions are rounded down, and so is what is lost; no factor goes below 0. docs/score.md
// says why.
func Rate(p Posture) Rating {
	members := max(p.Members, 1)
	passkeys := 5
	if p.Passkeys {
		passkeys = share(5, p.MembersWithPasskeys, members)
	}
	r := Rating{Factors: []Factor{
		{"second_factor", share(25, p.MembersWithMFA, members), 25, "Have every member set up a second factor."},
		{"passkeys", passkeys, 5, "Have every member add a passkey: it cannot be phished."},
		{"verified_email", share(10, p.MembersVerified, members), 10, "Have every member verify their e-mail address."},
		{"key_age", less(10, keyAge(p.KeyAge)), 10, "Rotate the encryption key; it is older than 90 days."},
		{"stale_sessions", less(5, nonNegative(p.StaleSessions)), 5, "End the sessions that were not used for 7 days."},
		{"stale_api_keys", less(5, nonNegative(p.StaleKeys)), 5, "Revoke the API keys that were not used for 90 days."},
		{"threats", less(20, severityOf(p.Threats)), 20, "Look into the threats of the last weeks and stop them where they come from; they fade within weeks."},
		{"failed_sign_ins", less(10, positive(p.FailedSignIns)/8), 10, "Find out who fails to sign in; tell members to use a passkey or a password manager."},
		{"data_quality", quality(p.ValidDocuments, p.BadDocuments), 10, "Correct what the catalog checks report: too many documents have errors."},
	}}
	for i := range r.Factors {
		f := &r.Factors[i]
		r.Score += f.Points
		if f.Points == f.Max {
			f.Advice = ""
		}
	}
	r.Grade = grade(r.Score)
	return r
}

// many is where counts stop mattering; it keeps sums far from overflow.
const many = 1000

func nonNegative(n int) float64 { return float64(min(max(n, 0), many)) }

func positive(x float64) float64 {
	if !(x > 0) { // NaN too
		return 0
	}
	return min(x, many)
}

// less is most without what is lost, which is rounded down.
func less(most int, lost float64) int {
	// The last digit of a sum of fractions must not cost a point, nor spare one.
	return max(most-int(math.Floor(lost+1e-9)), 0)
}

// share is most in proportion of n out of all.
func share(most, n, all int) int {
	n = min(max(n, 0), all)
	if n == all {
		return most
	}
	// A fraction instead of a product, which could overflow. It rounds down, so it stays below most.
	return min(int(float64(most)*(float64(n)/float64(all))), most-1)
}

// keyAge is how many months a key is older than a quarter, begun ones too.
func keyAge(age time.Duration) float64 {
	return positive(math.Ceil(float64(age-90*day) / float64(30*day)))
}

// severityOf adds up threats; what is a week older counts half.
func severityOf(windows [ThreatWindows]Counts) float64 {
	sum, weight := 0.0, 1.0
	for _, c := range windows {
		sum += weight * (10*nonNegative(c.Critical) + 5*nonNegative(c.High) + 2*nonNegative(c.Medium) + nonNegative(c.Low))
		weight *= math.Sqrt2 / 2 // a window is half a week
	}
	return sum
}

// minDocuments is how many documents a share of bad ones is taken of: the first one a
// manufacturer tries says little.
const minDocuments = 10

func quality(valid, bad float64) int {
	valid, bad = positive(valid), positive(bad)
	return less(10, 10*bad/max(valid+bad, minDocuments))
}

func grade(score int) string {
	switch {
	case score >= 90:
		return "A"
	case score >= 80:
		return "B"
	case score >= 70:
		return "C"
	case score >= 60:
		return "D"
	}
	return "F"
}
