package mongo_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

func changes(t *testing.T, s *mongo.Store, after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor) {
	t.Helper()
	list, next, err := s.Changes(t.Context(), after)
	if err != nil {
		t.Fatalf("Changes: %v", err)
	}
	return list, next
}

// TestChanges_TellsEachOnce holds a reader that follows the feed to each change once, as long as no
// more than a cursor can hold happen at a time.
func TestChanges_TellsEachOnce(t *testing.T) {
	s := newStore(t)
	now := time.Now()
	if err := s.EnsureManufacturer(t.Context(), makerguard.Manufacturer{ID: "mfr_1", CreatedAt: now, UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	_, cursor := changes(t, s, "")
	want := []makerguard.Change{{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_1"}}
	for range 3 {
		if err := s.SetTier(t.Context(), "mfr_1", makerguard.TierFree, now); err != nil {
			t.Fatal(err)
		}
		list, next := changes(t, s, cursor)
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("after a change (-want +got):\n%s", diff)
		}
		if list, next = changes(t, s, next); len(list) != 0 {
			t.Errorf("told again: %+v", list)
		}
		cursor = next
		time.Sleep(2 * time.Millisecond) // the server's clock gives changes of one document another name by the millisecond
	}
}

// TestChanges_TellsOfWhatShowsUpLate has a change bear a time before the reader's last look, as one
// has that another server stamped or that took long to be acknowledged.
func TestChanges_TellsOfWhatShowsUpLate(t *testing.T) {
	s := newStore(t)
	_, cursor := changes(t, s, "")
	server, err := s.ServerTime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(id string, at time.Time) {
		t.Helper()
		if err := s.EnsureManufacturer(t.Context(), makerguard.Manufacturer{ID: makerguard.ManufacturerID(id)}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Database().Collection("manufacturers").UpdateOne(t.Context(),
			bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "changed_at", Value: at}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	stamp("mfr_late", server.Add(-s.Overlap()+time.Second))
	stamp("mfr_ahead", server.Add(time.Hour)) // by a server whose clock was wrong; those after it must not be lost
	list, cursor := changes(t, s, cursor)
	want := []makerguard.Change{
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_late"},
		{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_ahead"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	stamp("mfr_now", server)
	list, _ = changes(t, s, cursor)
	if diff := cmp.Diff([]makerguard.Change{{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_now"}}, list); diff != "" {
		t.Errorf("changes after one from the future (-want +got):\n%s", diff)
	}
}

func TestChanges_RefusesAForeignCursor(t *testing.T) {
	s := newStore(t)
	for _, c := range []makerguard.Cursor{"17", "not a cursor", "AAAAAAAAAAAB", makerguard.Cursor(base64.RawURLEncoding.EncodeToString(make([]byte, 7)))} {
		if _, _, err := s.Changes(t.Context(), c); makerguard.CodeOf(err) != makerguard.ValidationFailed {
			t.Errorf("Changes(%q) = %v, want VALIDATION_FAILED", c, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AAABnDnXgAA")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 8+12+12)))
	f.Fuzz(func(t *testing.T, s string) {
		again, ok := mongo.CursorRoundTrip(makerguard.Cursor(s))
		if !ok {
			return
		}
		if third, ok := mongo.CursorRoundTrip(again); !ok || third != again {
			t.Errorf("%q was written as %q, and that is read as %q, %v", s, again, third, ok)
		}
	})
}
