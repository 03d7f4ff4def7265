package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/makerguard/makerguard"
)

// Allowance is how a meter stands for the caller after a request.
type Allowance struct {
	Meter     makerguard.Meter
	Limit     int64 // units a period, or makerguard.Unlimited
	Remaining int64
	Period    makerguard.Period
}

// Burst is how a limit on rates or on requests under way stands for the caller after a
// request. Its zero value tells of none.
type Burst struct {
	Name      string // "burst_member"
	Quota     int64  // requests that may come at once, or be under way at once
	Remaining int64  // requests that may come now
	// Window is how long it takes until a whole burst may come again after one, Reset how
	// long it takes now. Both are 0 for requests under way.
	Window, Reset time.Duration
	Concurrent    bool // Quota counts requests under way
}

// tighter reports whether b is more worth telling of than other.
func (b Burst) tighter(other Burst) bool {
	if b.Remaining != other.Remaining {
		return b.Remaining < other.Remaining
	}
	return b.Reset > other.Reset
}

// SetRateLimit adds the fields that RateLimit makes to those that are there.
func SetRateLimit(h http.Header, now time.Time, as ...Allowance) {
	policy, state := RateLimit(now, as...)
	addFields(h, policy, state)
}

// SetBurst adds a limit to the rate limit fields that are there. Nothing is told of the zero
// Burst.
func SetBurst(h http.Header, b Burst) {
	if b.Name == "" {
		return
	}
	const most = 96 // bytes, about
	policy, state := make([]byte, 0, most), make([]byte, 0, most)
	policy = strconv.AppendInt(append(append(append(policy, '"'), b.Name...), `";q=`...), b.Quota, 10)
	state = strconv.AppendInt(append(append(append(state, '"'), b.Name...), `";r=`...), b.Remaining, 10)
	if b.Concurrent {
		policy = append(policy, `;qu="concurrent-requests"`...)
	} else {
		policy = strconv.AppendInt(append(policy, ";w="...), max(seconds(b.Window), 1), 10) // the draft has no 0
		state = strconv.AppendInt(append(state, ";t="...), seconds(b.Reset), 10)
	}
	addFields(h, string(policy), string(state))
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// addFields adds to lists (RFC 9651, section 3.1). They stay on one line each, since many
// clients read no further than the first.
func addFields(h http.Header, policy, state string) {
	if policy == "" {
		return
	}
	if p, s := h["Ratelimit-Policy"], h["Ratelimit"]; len(p) == 1 && len(s) == 1 {
		policy, state = p[0]+", "+policy, s[0]+", "+state
	}
	h["Ratelimit-Policy"] = []string{policy}
	h["Ratelimit"] = []string{state}
}

// RateLimit tells the caller how its meters stand, as the values of RateLimit-Policy and
// RateLimit in draft-ietf-httpapi-ratelimit-headers-10: a policy's name is its meter's,
// its window and reset are in seconds. An unlimited meter has no policy to tell of;
// without any other both values are empty.
func RateLimit(now time.Time, as ...Allowance) (policyField, stateField string) {
	const each = 64 // bytes, about
	policy, state := make([]byte, 0, each*len(as)), make([]byte, 0, each*len(as))
	for _, a := range as {
		if a.Limit < 0 {
			continue
		}
		if len(policy) > 0 {
			policy, state = append(policy, ", "...), append(state, ", "...)
		}
		policy = append(append(append(policy, '"'), a.Meter...), `";q=`...)
		policy = strconv.AppendInt(policy, a.Limit, 10)
		policy = strconv.AppendInt(append(policy, ";w="...), int64(a.Period.End.Sub(a.Period.Start)/time.Second), 10)
		state = append(append(append(state, '"'), a.Meter...), `";r=`...)
		state = strconv.AppendInt(state, max(a.Remaining, 0), 10)
		state = strconv.AppendInt(append(state, ";t="...), int64(max(a.Period.End.Sub(now), 0)/time.Second), 10)
	}
	return string(policy), string(state)
}
