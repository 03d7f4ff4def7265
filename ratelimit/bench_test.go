package ratelimit_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/makerguard/makerguard/ratelimit"
)

func TestTake_AllocatesNothing(t *testing.T) {
	l := newLimiter(t, ratelimit.Config{Keys: 7 << 4})
	rate := ratelimit.Rate{Interval: time.Millisecond, Burst: 10}
	k, group := make([]byte, 0, 64), []byte("group")
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		l.Take(append(k[:0], "key"...), group, rate)
	}); n > 0 {
		t.Errorf("Take of one key allocates %v times, want 0", n)
	}
	var buf [8]byte
	if n := testing.AllocsPerRun(1000, func() {
		i++
		binary.BigEndian.PutUint64(buf[:], uint64(i))
		l.Take(buf[:], group, rate)
	}); n > 0 {
		t.Errorf("Take of new keys allocates %v times, want 0", n)
	}
}

func BenchmarkTake(b *testing.B) {
	rate := ratelimit.Rate{Interval: time.Microsecond, Burst: 1 << 30}
	b.Run("one key", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Config{})
		k := []byte("0123456789abcdef:mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f")
		b.ReportAllocs()
		for b.Loop() {
			l.Take(k, nil, rate)
		}
	})
	b.Run("one key in parallel", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Config{})
		k := []byte("0123456789abcdef:mfr_0192f0c1a5d07b3c9e4f5a6b7c8d9e0f")
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Take(k, nil, rate)
			}
		})
	})
	b.Run("new keys", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Config{})
		var buf [24]byte
		i := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			i++
			binary.BigEndian.PutUint64(buf[:], i)
			l.Take(buf[:], nil, rate)
		}
	})
	b.Run("full room", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Config{Keys: 7 << 6})
		slow := ratelimit.Rate{Interval: time.Hour, Burst: 1}
		var buf [24]byte
		i := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			i++
			binary.BigEndian.PutUint64(buf[:], i)
			l.Take(buf[:], buf[4:6], slow)
		}
	})
}
