package ratelimit

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// table keeps a bucket for each of a fixed number of keys, as the time at which its burst is
// whole again. A key has its place in one small set. A bucket whose burst is whole is the
// same as none, so its slot may go to another key; nothing else ever makes room.
//
// Charging a bucket is one compare-and-swap. It cannot charge somebody else's: a slot
// changes hands only while its burst is whole, by way of the time taken, and always ends with
// a later time than before, so whoever read the old time fails to swap it.
//
// Sets are made page by page when a key first falls there, so a table that few keys use is
// small; what it can grow to is fixed when it is made.
type table struct {
	pages []atomic.Pointer[page]
	last  uint64 // the number of the last set
}

// setsPerPage makes a page 4 KiB.
const setsPerPage = 32

type page [setsPerPage]set

// slotsPerSet makes a set two cache lines.
const slotsPerSet = 7

type set struct {
	mu     sync.Mutex   // held to give a slot to another key
	common atomic.Int64 // the bucket of all keys there is no slot for
	slots  [slotsPerSet]slot
}

type slot struct {
	key  atomic.Uint64 // 0: never used
	full atomic.Int64  // when the burst is whole
}

// taken stands for the time of a slot that is changing hands.
const taken = math.MaxInt64

// newTable makes room for about so many keys.
func newTable(keys int) table {
	sets := 1 << bits.Len(uint(max(keys-1, 0)/slotsPerSet))
	return table{make([]atomic.Pointer[page], max(sets/setsPerPage, 1)), uint64(sets - 1)}
}

func (t *table) set(key uint64) *set {
	n := key & t.last
	at := &t.pages[n/setsPerPage]
	p := at.Load()
	for p == nil {
		at.CompareAndSwap(nil, new(page))
		p = at.Load()
	}
	return &p[n%setsPerPage]
}

// demand is a unit asked for at a time.
type demand struct {
	now, interval, span int64 // span is how long a whole burst takes to come back
}

// charge puts off, by one unit, the time at which a burst is whole, and reports whether the
// burst allows that.
func (d demand) charge(full int64) (next int64, ok bool) {
	next = max(full, d.now) + d.interval
	return next, next <= d.now+d.span
}

// take charges key's bucket. It reports where the bucket then stands, or stood if it was
// refused; found is false if there is no room for one.
func (t *table) take(key uint64, d demand) (full int64, ok, found bool) {
	s := t.set(key)
	if full, ok, found = s.charge(key, d); found {
		return full, ok, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if full, ok, found = s.charge(key, d); found { // somebody was quicker
		return full, ok, true
	}
	for i := range s.slots {
		sl := &s.slots[i]
		if was := sl.full.Load(); was <= d.now && sl.full.CompareAndSwap(was, taken) {
			full = d.now + d.interval
			sl.key.Store(key)
			sl.full.Store(full)
			return full, true, true
		}
	}
	return 0, false, false
}

// charge charges key's bucket if it has one, and if that is not just changing hands.
func (s *set) charge(key uint64, d demand) (full int64, ok, found bool) {
	for i := range s.slots {
		sl := &s.slots[i]
		for sl.key.Load() == key {
			full = sl.full.Load()
			// The key is read again, after the time: only then does the time belong to it.
			if full == taken || sl.key.Load() != key {
				break
			}
			next, ok := d.charge(full)
			if !ok {
				return full, false, true
			}
			if sl.full.CompareAndSwap(full, next) {
				return next, true, true
			}
		}
	}
	return 0, false, false
}

// takeCommon charges the bucket that key shares with all others of its set.
func (t *table) takeCommon(key uint64, d demand) (full int64, ok bool) {
	common := &t.set(key).common
	for {
		full = common.Load()
		next, ok := d.charge(full)
		if !ok {
			return full, false
		}
		if common.CompareAndSwap(full, next) {
			return next, true
		}
	}
}

// until gives the time at which key's burst is whole, 0 if it has no bucket.
func (t *table) until(key uint64) int64 {
	s := t.set(key)
	for i := range s.slots {
		sl := &s.slots[i]
		if sl.key.Load() != key {
			continue
		}
		if full := sl.full.Load(); full != taken && sl.key.Load() == key {
			return full
		}
	}
	return 0
}
