package middleware

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// CleanValues remembers values in which nothing was found. Clients send the same few headers
// with every request and ask for the same few routes, and what was clean once is clean again.
//
// Of a value only a keyed hash of 64 bits is kept, since many are credentials or come once. That
// one value passes for another has a chance of 1 in 10^19, and nobody can aim at it. The memory is
// fixed: a value that needs another's place takes it. It is safe for concurrent use; the zero value
// is empty. Values of one Detector alone may be kept in it.
type CleanValues struct {
	once   sync.Once
	seed   maphash.Seed
	places [kindsOfValues][4096]atomic.Uint64
}

// valueKind keeps apart values that are inspected in different ways.
type valueKind int

const (
	headerValue valueKind = iota
	cookieHeader
	pathValue
	queryValue
	kindsOfValues
)

// remembered is the place of a value, whether or not it is there.
type remembered struct {
	place *atomic.Uint64
	sum   uint64
}

// find reports whether v was clean. If not, it gives the place to keep it.
func (c *CleanValues) find(kind valueKind, v string) (r remembered, clean bool) {
	if c == nil {
		return remembered{}, false
	}
	c.once.Do(func() { c.seed = maphash.MakeSeed() })
	sum := max(maphash.String(c.seed, v), 1) // 0 is an empty place
	places := &c.places[kind]
	r = remembered{&places[sum%uint64(len(places))], sum}
	return r, r.place.Load() == sum
}

// keep says that the value is clean.
func (r remembered) keep() {
	if r.place != nil {
		r.place.Store(r.sum)
	}
}
