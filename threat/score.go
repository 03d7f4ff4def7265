package threat

import "time"

// Posture is what the score of a manufacturer's account is computed from.
type Posture struct {
	Members         int // active members; 0 is taken as 1
	MembersWithMFA  int // of them, those with a second factor
	MembersVerified int // of them, those with a verified address

	// KeyAge is how long the key that protects new data has not been replaced.
	KeyAge time.Duration
	// Threats counts the entries of the history in the last 30 days.
	Threats Counts
	// FailedSignIns counts failed sign-ins in the last 30 days.
	FailedSignIns int
	// StaleSessions counts live sessions not used for 7 days.
	StaleSessions int
}

// Counts counts threats by severity.
type Counts struct {
	Low, Medium, High, Critical int
}

// SecurityScore is the result of Score.
type SecurityScore struct {
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

// Score rates a posture from 0 to 100. The formula is a sum of factors, each of which depends
// on one part of the posture and never falls when that part improves, so a
// better posture never has a lower score:
//
//	second_factor    30  in proportion to the members who have one
//	verified_email   10  in proportion to the members whose address is verified
//	key_age          15  all up to 90 days, 10 up to 180, 5 up to 365
//	threats          25  less 10 for each critical, 5 high, 2 medium and 1 low entry
//	failed_sign_ins  10  less 1 for every 20
//	stale_sessions   10  less 2 for each
//
// Proportions are rounded down; no factor goes below 0. Numbers that make no sense, such as more
// members with a second factor than members, count as the nearest that do.
func Score(p Posture) SecurityScore {
	members := max(p.Members, 1)
	threats := 10*nonNegative(p.Threats.Critical) + 5*nonNegative(p.Threats.High) + 2*nonNegative(p.Threats.Medium) + nonNegative(p.Threats.Low)
	s := SecurityScore{Factors: []Factor{
		{"second_factor", share(30, p.MembersWithMFA, members), 30, "Have every member set up a second factor."},
		{"verified_email", share(10, p.MembersVerified, members), 10, "Have every member verify their e-mail address."},
		{"key_age", keyAge(p.KeyAge), 15, "Rotate the encryption key; it is older than 90 days."},
		{"threats", max(25-threats, 0), 25, "Look into the threats of the last 30 days and stop where they come from."},
		{"failed_sign_ins", max(10-nonNegative(p.FailedSignIns)/20, 0), 10, "Find out who fails to sign in; tell members to use a passkey or a password manager."},
		{"stale_sessions", max(10-2*nonNegative(p.StaleSessions), 0), 10, "End sessions that nobody uses."},
	}}
	for i := range s.Factors {
		f := &s.Factors[i]
		s.Score += f.Points
		if f.Points == f.Max {
			f.Advice = ""
		}
	}
	s.Grade = grade(s.Score)
	return s
}

// many is where counts stop mattering; it keeps sums far from overflow.
const many = 1000

func nonNegative(n int) int { return min(max(n, 0), many) }

// share is max in proportion of n out of all.
func share(most, n, all int) int {
	n = min(max(n, 0), all)
	if n == all {
		return most
	}
	// A fraction instead of a product, which could overflow. It rounds down, so it stays below most.
	return min(int(float64(most)*(float64(n)/float64(all))), most-1)
}

func keyAge(age time.Duration) int {
	const day = 24 * time.Hour
	switch {
	case age <= 90*day:
		return 15
	case age <= 180*day:
		return 10
	case age <= 365*day:
		return 5
	}
	return 0
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
