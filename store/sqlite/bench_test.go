package sqlite_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
)

// BenchmarkWrite shows what sharing a commit is worth: the time a write takes of the
// whole, with so many callers at once.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openAt(b, tempPath(b))
			var n atomic.Int64
			b.SetParallelism(callers) // times GOMAXPROCS
			work := func() {
				if _, err := s.BumpCounter(b.Context(), fmt.Sprint(n.Add(1)%1000), time.Minute, now); err != nil {
					b.Error(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					work()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					work()
				}
			})
		})
	}
}

func BenchmarkLoadSession(b *testing.B) {
	s := openAt(b, tempPath(b))
	f := makerguard.Manufacturer{ID: "mfr_a", CreatedAt: now, UpdatedAt: now}
	m := makerguard.Member{ID: "mbr_a", EmailKey: "a", Grants: []makerguard.Permission{makerguard.ViewAudit}, CreatedAt: now, UpdatedAt: now}
	if err := s.CreateManufacturer(b.Context(), f, m); err != nil {
		b.Fatal(err)
	}
	ses := makerguard.Session{
		ID: "ses_a", ManufacturerID: f.ID, MemberID: m.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour), AMR: []string{"pwd", "otp"}, RefreshSeed: make([]byte, 32),
	}
	if err := s.CreateSession(b.Context(), ses, 5, now); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, _, err := s.LoadSession(b.Context(), ses.ID); err != nil {
			b.Fatal(err)
		}
	}
}
