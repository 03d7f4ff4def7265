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

// SetRateLimit sets the fields that RateLimit makes.
func SetRateLimit(h http.Header, now time.Time, as ...Allowance) {
	if policy, state := RateLimit(now, as...); policy != "" {
		h["Ratelimit-Policy"] = []string{policy}
		h["Ratelimit"] = []string{state}
	}
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
