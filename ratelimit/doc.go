// Package ratelimit says how fast and how many at once: rates by the generic cell rate
// algorithm (GCRA, ITU-T I.371 annex A) and requests in flight.
//
// A rate has an interval, one unit in each, and a burst, units that may be used at once
// after a pause. Over any time t at most burst + t/interval units are given; a refusal says
// after what wait there is one, costs nothing, and there is no window at whose edge twice
// the rate gets through.
//
// Limiter.Take counts on this node alone: n nodes behind one address give at most n times
// the rate and n bursts, and a restart gives a new burst. Limiter.TakeExact asks the store,
// so all nodes together give the rate; where the store cannot be asked, nothing is given.
// Nodes whose clocks differ by d give at most d/interval units more. InFlight is this
// node's alone.
//
// Memory is bounded. Whoever uses more keys than there is room for is limited together with
// others like it, never let through: see Limiter.
package ratelimit
