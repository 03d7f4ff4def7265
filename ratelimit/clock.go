package ratelimit

import (
	"sync/atomic"
	"time"
)

// clock tells the time in nanoseconds. When its source is set back it goes on from where it
// was: buckets that are full until an hour from now would otherwise refuse for that hour.
// When the source is set forward buckets fill up, to a burst and no further.
type clock struct {
	source func() time.Time
	shift  atomic.Int64 // added to the source
	latest atomic.Int64 // within a resolution
}

const (
	// resolution is how often the latest time is noted, so that callers seldom write to the
	// same memory.
	resolution = int64(100 * time.Millisecond)
	// setBack is how far back is a clock that was set and no caller that was slow.
	setBack = int64(time.Second)
)

func (c *clock) now() int64 {
	shift := c.shift.Load()
	t := c.source().UnixNano() + shift
	latest := c.latest.Load()
	switch {
	case t > latest+resolution:
		c.latest.CompareAndSwap(latest, t)
	case t < latest-setBack:
		// Ask again: this caller may have slept since it asked, and the others not.
		if t = c.source().UnixNano() + shift; t < latest-setBack {
			c.shift.CompareAndSwap(shift, shift+latest-t)
			t = latest
		}
	}
	return t
}
