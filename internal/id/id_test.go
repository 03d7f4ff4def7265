package id_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/makerguard/makerguard/internal/id"
)

func TestNew_IsAUUIDv7(t *testing.T) {
	for range 1000 {
		before := time.Now()
		got := id.New("mfr")
		after := time.Now()
		digits, ok := strings.CutPrefix(got, "mfr_")
		u, err := uuid.Parse(digits)
		if !ok || err != nil || len(digits) != 32 || strings.ToLower(digits) != digits {
			t.Fatalf("New = %q (%v), want mfr_ and 32 lower-case digits", got, err)
		}
		if u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s has version %d and variant %v, want 7 of RFC 9562", got, u.Version(), u.Variant())
		}
		if sec, nsec := u.Time().UnixTime(); time.Unix(sec, nsec).Before(before.Add(-time.Millisecond)) || time.Unix(sec, nsec).After(after) {
			t.Fatalf("%s tells the time %v, want from %v to %v", got, time.Unix(sec, nsec), before, after)
		}
	}
}

func TestNew_SortsByTimeAndIsUnique(t *testing.T) {
	const workers, each = 8, 5000
	made := make([][]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				made[w] = append(made[w], id.New("evt"))
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	times := map[string]bool{}
	randoms := map[string]bool{}
	for w, ids := range made {
		if !slices.IsSorted(ids) {
			t.Errorf("worker %d made ids that do not sort as they were made", w)
		}
		for _, s := range ids {
			seen[s], times[s[:20]], randoms[s[20:]] = true, true, true
		}
	}
	if len(seen) != workers*each || len(times) != workers*each || len(randoms) != workers*each {
		t.Errorf("of %d ids %d differ, %d in their time and %d in their random part, want all", workers*each, len(seen), len(times), len(randoms))
	}
}
