package middleware

import (
	"net/http"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/rbac"
)

// retryConcurrent is when to try again where too many requests are under way: nobody knows when
// one ends.
const retryConcurrent = time.Second

// The names of limits in the rate limit fields.
var (
	burstNames = map[rbac.Per]string{
		rbac.PerAddress: "burst_address", rbac.PerKey: "burst_key", rbac.PerMember: "burst_member",
		rbac.PerManufacturer: "burst_manufacturer", rbac.PerRoute: "burst_route",
	}
	atOnceNames = map[rbac.Per]string{
		rbac.PerAddress: "concurrent_address", rbac.PerKey: "concurrent_key", rbac.PerMember: "concurrent_member",
		rbac.PerManufacturer: "concurrent_manufacturer", rbac.PerRoute: "concurrent_route",
	}
)

// whose is how a refusal speaks of those whose requests are counted.
var whose = map[rbac.Per]string{
	rbac.PerAddress: "from your network", rbac.PerKey: "with this API key", rbac.PerMember: "of yours",
	rbac.PerManufacturer: "of your company", rbac.PerRoute: "for this address",
}

// refusal is the error of a limit, with what the rate limit fields say of it.
type refusal struct {
	err   *makerguard.Error
	burst Burst
}

func (r *refusal) Error() string { return r.err.Error() }

// Unwrap gives the RateLimitExceeded that answers the caller.
func (r *refusal) Unwrap() error { return r.err }

func refuse(r *rbac.Rate, b Burst, wait time.Duration) error {
	e := &makerguard.Error{
		Code: makerguard.RateLimitExceeded, RetryAfter: wait,
		Message: "There are too many requests " + whose[r.Per] + "; the limit is " + r.Text + ". Wait as long as Retry-After says.",
		Details: map[string]any{"per": string(r.Per), "limit": r.Text},
	}
	if r.Route != "" {
		e.Details["route"] = r.Route
	}
	return &refusal{e, b}
}

// nameOf names a limit for people: "member 10/s", "route 60/m on POST /products".
func nameOf(r *rbac.Rate) string {
	name := string(r.Per) + " " + r.Text
	if r.Route != "" {
		name += " on " + r.Route
	}
	return name
}

// SetRefusal adds to the rate limit fields the limit that refused a request with err; nothing
// if it was something else.
func SetRefusal(h http.Header, err error) {
	if r, ok := err.(*refusal); ok { //nolint:errorlint // made here, and never wrapped on its way
		SetBurst(h, r.burst)
	}
}
