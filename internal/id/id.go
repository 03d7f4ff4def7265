// Package id makes the identifiers of everything makerguard stores.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// New returns prefix, "_" and the 32 hexadecimal digits of a UUIDv7 (RFC 9562, 5.7), so that
// ids sort by time of creation: those of one process by the order in which they were made,
// those of several to the millisecond. It is safe for concurrent use. The program ends if the
// system has no randomness left, when nothing safe could be done.
//
// Every request has an id. That is why it is made here, with one allocation.
func New(prefix string) string {
	var u [16]byte
	t := tick()
	binary.BigEndian.PutUint64(u[:], t>>fractionBits<<16|7<<12|t&(1<<fractionBits-1))
	_, _ = rand.Read(u[8:]) // never returns an error
	u[8] = u[8]&0x3f | 0x80 // the variant
	b := make([]byte, 0, 48)
	b = append(append(b, prefix...), '_')
	return string(hex.AppendEncode(b, u[:]))
}

// fractionBits is how finely a tick divides a millisecond (RFC 9562, 6.2, method 3).
const fractionBits = 12

// last is the tick of the newest id.
var last atomic.Uint64

// tick gives the time, in milliseconds since 1970 and a fraction of fractionBits. No two are the
// same and none is earlier than one before it: when the clock stands still or is set back,
// ticks go on from the last.
func tick() uint64 {
	now := time.Now()
	ms := now.UnixMilli()
	nanos := now.UnixNano() - ms*int64(time.Millisecond)
	t := uint64(ms)<<fractionBits | uint64(nanos)<<fractionBits/uint64(time.Millisecond)
	for {
		before := last.Load()
		next := max(t, before+1)
		if last.CompareAndSwap(before, next) {
			return next
		}
	}
}
