package mongo_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/makerguard/makerguard/store/mongo"
)

func TestTurns_OneAtATime(t *testing.T) {
	do := mongo.Turns()
	inside := 0 // the race detector sees two at once
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := do(t.Context(), "ana@example.com", func() error {
				inside++
				return nil
			}); err != nil {
				t.Errorf("do: %v", err)
			}
		})
	}
	wg.Wait()
	if inside != 16 {
		t.Errorf("%d were let in, want 16", inside)
	}
	_ = do(t.Context(), "ana@example.com", func() error {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := do(gone, "ana@example.com", func() error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("one who leaves the queue got %v, want his context's error", err)
		}
		return nil
	})
}
