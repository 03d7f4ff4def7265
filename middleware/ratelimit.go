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
	var room [fieldRoom]byte
	text := strconv.AppendInt(append(appendName(room[:0], 0, b.Name), ";q="...), b.Quota, 10)
	if b.Concurrent {
		text = append(text, `;qu="concurrent-requests"`...)
	} else {
		text = strconv.AppendInt(append(text, ";w="...), max(seconds(b.Window), 1), 10) // the draft has no 0
	}
	policy := len(text)
	text = strconv.AppendInt(append(appendName(text, policy, b.Name), ";r="...), b.Remaining, 10)
	if !b.Concurrent {
		text = strconv.AppendInt(append(text, ";t="...), seconds(b.Reset), 10)
	}
	policyField, stateField := cut(text, policy)
	addFields(h, policyField, stateField)
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
	values := []string{policy, state}
	h["Ratelimit-Policy"], h["Ratelimit"] = values[0:1:1], values[1:2:2]
}

// RateLimit tells the caller how its meters stand, as the values of RateLimit-Policy and
// RateLimit in draft-ietf-httpapi-ratelimit-headers-10: a policy's name is its meter's,
// its window and reset are in seconds. An unlimited meter has no policy to tell of;
// without any other both values are empty.
func RateLimit(now time.Time, as ...Allowance) (policyField, stateField string) {
	var room [fieldRoom]byte
	text := room[:0]
	for i := range as {
		if a := &as[i]; a.Limit >= 0 {
			text = appendName(text, 0, string(a.Meter))
			text = strconv.AppendInt(append(text, ";q="...), a.Limit, 10)
			text = strconv.AppendInt(append(text, ";w="...), int64(a.Period.End.Sub(a.Period.Start)/time.Second), 10)
		}
	}
	policy := len(text)
	for i := range as {
		if a := &as[i]; a.Limit >= 0 {
			text = appendName(text, policy, string(a.Meter))
			text = strconv.AppendInt(append(text, ";r="...), max(a.Remaining, 0), 10)
			text = strconv.AppendInt(append(text, ";t="...), int64(max(a.Period.End.Sub(now), 0)/time.Second), 10)
		}
	}
	return cut(text, policy)
}

// fieldRoom is enough for both fields of a request's meters, in bytes.
const fieldRoom = 2 * 48 * maxMeters

// appendName begins another item of the list that begins at start.
func appendName(text []byte, start int, name string) []byte {
	if len(text) > start {
		text = append(text, ", "...)
	}
	return append(append(append(text, '"'), name...), '"')
}

// cut makes strings of what stands before and behind a place, in one piece.
func cut(text []byte, at int) (before, behind string) {
	s := string(text)
	return s[:at], s[at:]
}
