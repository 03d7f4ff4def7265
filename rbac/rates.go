package rbac

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/makerguard/makerguard"
)

// Per says whose requests a Rate counts together.
type Per string

// Whose requests are counted together.
const (
	PerAddress      Per = "address"      // one IPv4 address or IPv6 /64
	PerKey          Per = "key"          // one API key; it does not limit members
	PerMember       Per = "member"       // one caller: a member, or an API key
	PerManufacturer Per = "manufacturer" // everybody of one manufacturer
	PerRoute        Per = "route"        // everybody on the route it stands under
)

// pers is every Per from the narrowest to the widest, which is the order in which limits
// are asked: whom a narrow limit refuses uses up nothing of what they share with others.
var pers = []Per{PerAddress, PerKey, PerMember, PerManufacturer, PerRoute}

// Rate is one limit of a policy on how fast requests may come, or on how many may be under
// way at once; the latter if Concurrent is positive.
type Rate struct {
	// ID names the limit for as long as the policy has it, whatever else of the policy
	// changes: what was used of it is counted under this name. 24 hexadecimal digits.
	ID  string
	Per Per
	// Text is the limit as the policy has it: "60/m", or "20 at once".
	Text string
	// Route is the pattern of the route that it stands under; "" if it holds everywhere.
	Route string

	Interval time.Duration // one request in each, rounded up to a nanosecond
	Burst    int64         // requests at once after a pause
	Exact    bool          // counted by the store for all nodes together

	Concurrent int64
}

// Bounds of a policy's rates.
const (
	maxRates      = 16        // in one list
	maxBurst      = 1_000_000 // also of Concurrent
	minInterval   = time.Microsecond
	maxBurstsTime = 366 * 24 * time.Hour // for a whole burst to come back
)

// AddressRates gives the limits that hold for every request, whoever makes it. Nobody may
// change what it returns.
func (p *Policy) AddressRates() []Rate { return p.addressRates }

// CallerRates gives the limits that hold for callers of a tier on every route, in the order in
// which they are to be asked. Nobody may change what it returns.
func (p *Policy) CallerRates(tier makerguard.Tier) []Rate {
	if t, ok := tierIndex(tier); ok {
		return p.callerRates[t]
	}
	return p.otherRates
}

// Split parts a route's limits into those that are asked before anybody knows who calls,
// and the others.
func Split(rates []Rate) (address, caller []Rate) {
	n := 0
	for n < len(rates) && rates[n].Per == PerAddress {
		n++
	}
	return rates[:n:n], rates[n:]
}

// Compare orders limits as they are to be asked: addresses first, since they are known
// first; then requests under way, which can be given back if another limit refuses; then
// the narrow before the wide.
func (r Rate) Compare(other Rate) int {
	rank := func(r Rate) int {
		place := slices.Index(pers, r.Per)
		if r.Concurrent == 0 {
			place += len(pers)
		}
		if r.Per != PerAddress {
			place += 2 * len(pers)
		}
		return place
	}
	return cmp.Compare(rank(r), rank(other))
}

// compileRates puts the limits where requests look for them.
func (p *Policy) compileRates(s *spec) {
	p.addressRates, p.otherRates = Split(s.rates)
	for t, ts := range s.tiers {
		all := slices.Concat(p.otherRates, ts.rates)
		slices.SortStableFunc(all, Rate.Compare)
		p.callerRates[t] = all
	}
}

// ratePlace is a list of rates in a policy.
type ratePlace struct {
	scope   string // part of the rates' ids
	route   string
	allowed []Per
	advice  string // about what is not allowed
}

var (
	everywhere = ratePlace{
		allowed: []Per{PerAddress, PerKey, PerMember, PerManufacturer},
		advice:  "per: route stands in the rates of a route",
	}
	publicRoute = ratePlace{
		allowed: []Per{PerAddress, PerRoute},
		advice:  "nobody is signed in on a public route; limit it per address or route",
	}
)

func tierPlace(t makerguard.Tier) ratePlace {
	return ratePlace{
		scope: "tier:" + string(t), allowed: []Per{PerKey, PerMember, PerManufacturer},
		advice: "an address has no tier and per: route stands in the rates of a route",
	}
}

func routePlace(r Route) ratePlace {
	place := ratePlace{allowed: pers}
	if r.Public {
		place = publicRoute
	}
	place.scope, place.route = "route:"+r.Match, r.Match
	return place
}

// rates reads a list of limits, sorted as they are to be asked.
func (p *parser) rates(e entry, place ratePlace) []Rate {
	var all []Rate
	seen := make(map[string]int)
	for i, n := range p.list(e.value, e.pointer, maxRates) {
		for _, r := range p.rate(n, item(e.pointer, i), place) {
			what := string(r.Per) + ": " + r.Text
			if r.Concurrent > 0 {
				what = string(r.Per) + ": concurrent" // its number may change while requests are under way
			}
			if line, ok := seen[what]; ok {
				p.failf(n, item(e.pointer, i), "a limit of this kind per %s is given again; first on line %d", r.Per, line)
				continue
			}
			seen[what] = n.Line
			sum := sha256.Sum256([]byte(place.scope + "\n" + what + "\n" + strconv.FormatInt(r.Burst, 10) + strconv.FormatBool(r.Exact)))
			r.ID = hex.EncodeToString(sum[:12])
			r.Route = place.route
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, Rate.Compare)
	return all
}

// rate reads one item: a rate, a number of requests at once, or both.
func (p *parser) rate(n *yaml.Node, pointer string, place ratePlace) []Rate {
	fields := p.mapping(n, pointer, "per", "rate", "burst", "concurrent", "exact")
	if n.Kind != yaml.MappingNode {
		return nil
	}
	before := len(p.problems)
	given := make(map[string]entry)
	for _, f := range fields {
		given[f.key] = f
	}
	has := func(key string) bool { _, ok := given[key]; return ok }

	var r Rate
	if f, ok := given["per"]; !ok {
		p.failf(n, pointer, "per is missing; it must be one of %v", place.allowed)
	} else if s, ok := p.choice(f.value, f.pointer, names(pers)...); ok {
		if r.Per = Per(s); !slices.Contains(place.allowed, r.Per) {
			p.failf(f.value, f.pointer, "per: %s cannot stand here: %s", s, place.advice)
		}
	}
	var found []Rate
	switch {
	case has("rate"):
		found = append(found, p.speed(r, given))
	case has("burst"):
		p.failf(given["burst"].value, given["burst"].pointer, "burst needs a rate, as rate: 60/m")
	case has("exact"):
		p.failf(given["exact"].value, given["exact"].pointer, "exact needs a rate, as rate: 60/m")
	case !has("concurrent"):
		p.failf(n, pointer, "give a rate, as 60/m, or concurrent, as 20, or both")
	}
	if f, ok := given["concurrent"]; ok {
		if v, ok := p.count(f); ok {
			r.Concurrent, r.Text = v, strconv.FormatInt(v, 10)+" at once"
			found = append(found, r)
		}
	}
	if len(p.problems) > before {
		return nil
	}
	return found
}

// rateForm is what a rate looks like.
var rateForm = regexp.MustCompile(`^([1-9][0-9]{0,8})/([smhd])$`)

var rateWindows = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// speed completes r by the members rate, burst and exact. Without burst it is as many as
// the rate gives in its own unit of time: 60/m are up to 60 at once.
func (p *parser) speed(r Rate, given map[string]entry) Rate {
	f := given["rate"]
	s, ok := p.text(f.value, f.pointer)
	m := rateForm.FindStringSubmatch(s)
	if !ok || m == nil {
		if ok {
			p.failf(f.value, f.pointer, "rate is %q; it must be a number of requests in a second, minute, hour or day, as 10/s, 600/m, 1000/h or 5000/d", clip(s))
		}
		return r
	}
	number, _ := strconv.ParseInt(m[1], 10, 64) // at most nine digits
	window := rateWindows[m[2]]
	r.Text, r.Burst = s, number
	r.Interval = (window + time.Duration(number) - 1) / time.Duration(number) // up: never more than was said
	if r.Interval < minInterval {
		p.failf(f.value, f.pointer, "rate is %q; at most 1000000/s can be told apart", s)
		return r
	}
	if b, ok := given["burst"]; ok {
		if r.Burst, ok = p.count(b); !ok {
			return r
		}
	}
	switch {
	case r.Burst > maxBurst:
		p.failf(f.value, f.pointer, "rate %s means up to %d requests at once; give a burst of at most %d", s, r.Burst, maxBurst)
	case r.Interval > maxBurstsTime/time.Duration(r.Burst):
		p.failf(f.value, f.pointer, "at %s a burst of %d takes more than a year to come back; give a smaller burst", s, r.Burst)
	}
	if x, ok := given["exact"]; ok {
		if r.Exact = p.boolean(x.value, x.pointer); r.Exact && r.Per == PerAddress {
			p.failf(x.value, x.pointer, "a limit per address cannot be exact: anybody could make the store work; exact is for signed-in callers")
		}
	}
	return r
}

// count reads a burst or a number of requests at once.
func (p *parser) count(f entry) (int64, bool) {
	v, ok := p.number(f.value, f.pointer, false)
	if ok && (v < 1 || v > maxBurst) {
		p.failf(f.value, f.pointer, "%s must be a whole number from 1 to %d", f.key, maxBurst)
		return 0, false
	}
	return v, ok
}
