package guard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/makerguardtest"
)

// TestRotateSigningKey_RefusesNoToken replaces the key right after it was made: one more version, the
// old one retiring, and what it signed still good.
func TestRotateSigningKey_RefusesNoToken(t *testing.T) {
	g := makerguardtest.Open(t, nil)
	_, before := signUp(t, g, "before")
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_operator"}
	j, err := g.RotateSigningKey(t.Context(), operator, makerguard.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.RotateSigningKey(t.Context(), operator, makerguard.Client{}); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("a second rotation at once = %v, want CONFLICT", err)
	}
	for deadline := time.Now().Add(30 * time.Second); j.State == makerguard.JobRunning; time.Sleep(20 * time.Millisecond) {
		if j, err = g.Jobs.Job(t.Context(), j.ID); err != nil || time.Now().After(deadline) {
			t.Fatalf("job %+v, %v, want it to end", j, err)
		}
		if _, err := g.Auth.Authenticate(t.Context(), before); err != nil {
			t.Fatalf("a token of the old key during the rotation: %v", err)
		}
	}
	if j.State != makerguard.JobDone {
		t.Fatalf("job %+v, want done", j)
	}
	keys, err := g.SystemKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[uint32]makerguard.KeyState{}
	for _, k := range keys {
		if k.Purpose == makerguard.KeySigning {
			states[k.Version] = k.State
		}
	}
	if len(states) != 2 || states[1] != makerguard.KeyRetiring || states[2] != makerguard.KeyActive {
		t.Errorf("signing keys %v, want version 1 retiring and 2 active", states)
	}
	_, after := signUp(t, g, "after")
	for what, tok := range map[string]string{"old": before, "new": after} {
		if _, err := g.Auth.Authenticate(t.Context(), tok); err != nil {
			t.Errorf("a token of the %s key: %v", what, err)
		}
	}
}
