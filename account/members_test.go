package account_test

import (
	"errors"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/internal/id"
)

// colleague adds a member to a manufacturer.
func (w *world) colleague(t *testing.T, mfr makerguard.ManufacturerID, role makerguard.Role) makerguard.MemberID {
	t.Helper()
	m := makerguard.Member{
		ID: makerguard.MemberID(id.New("mbr")), ManufacturerID: mfr, Role: role, Status: makerguard.StatusActive, CreatedAt: w.now, UpdatedAt: w.now,
	}
	m.Email = string(m.ID) + "@maker.example"
	m.EmailKey = m.Email
	if err := w.store.CreateMember(t.Context(), m, makerguard.Unlimited); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func (w *world) role(t *testing.T, mfr makerguard.ManufacturerID, m makerguard.MemberID) makerguard.Role {
	t.Helper()
	got, err := w.store.Member(t.Context(), mfr, m)
	if err != nil {
		t.Fatal(err)
	}
	return got.Role
}

// TestSetRole_NobodyGrantsWhatTheyLack goes through every actor, target and role.
//
// goal: V8.2.2 V8.3.1
func TestSetRole_NobodyGrantsWhatTheyLack(t *testing.T) {
	w := newWorld(t)
	mfr := w.register(t)
	rank := map[makerguard.Role]int{}
	for i, r := range makerguard.Roles() {
		rank[r] = i
	}
	for _, actor := range makerguard.Roles() {
		for _, before := range makerguard.Roles() {
			for _, after := range makerguard.Roles() {
				m := w.colleague(t, mfr.ID, before)
				by := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: "mbr_actor", Role: actor}
				_, err := w.SetRole(t.Context(), by, m, after, home)
				allowed := rank[before] >= rank[actor] && rank[after] >= rank[actor]
				want := before
				if allowed {
					want = after
				}
				if got := w.role(t, mfr.ID, m); got != want || allowed != (err == nil) || !allowed && !errors.Is(err, makerguard.InsufficientPermissions) {
					t.Errorf("%s gives %s the role %s: %v, now %s, want %s", actor, before, after, err, got, want)
				}
			}
		}
	}
}

func TestSetRole_IsRecordedAndAnnounced(t *testing.T) {
	w := newWorld(t)
	mfr := w.register(t)
	owner := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: "mbr_owner", Role: makerguard.RoleOwner}
	m := w.colleague(t, mfr.ID, makerguard.RoleEditor)
	w.changes = nil
	if _, err := w.SetRole(t.Context(), owner, m, makerguard.RoleViewer, home); err != nil {
		t.Fatalf("SetRole: %v", err)
	}
	want := makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: mfr.ID, MemberID: m}
	if len(w.changes) != 1 || w.changes[0] != want {
		t.Errorf("announced %+v, want %+v", w.changes, want)
	}
	e := w.audit.entries[len(w.audit.entries)-1]
	if e.Action != audit.RoleChanged || e.Target != string(m) || e.Detail != "editor -> viewer" {
		t.Errorf("audit entry %+v, want the change of role", e)
	}
	w.audit.broken = true
	if _, err := w.SetRole(t.Context(), owner, m, makerguard.RoleAdmin, home); err == nil || w.role(t, mfr.ID, m) != makerguard.RoleViewer {
		t.Errorf("without an audit record the role is %s, %v, want it unchanged and an error", w.role(t, mfr.ID, m), err)
	}
}

func TestSetRole_Refusals(t *testing.T) {
	w := newWorld(t)
	mfr := w.register(t)
	members, err := w.Members(t.Context(), mfr.ID)
	if err != nil || len(members) != 1 {
		t.Fatalf("Members = %v, %v, want the owner", members, err)
	}
	owner := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: members[0].ID, Role: makerguard.RoleOwner}
	for _, tc := range []struct {
		name string
		m    makerguard.MemberID
		role makerguard.Role
		want makerguard.Code
	}{
		{"unknown role", members[0].ID, "king", makerguard.ValidationFailed},
		{"unknown member", "mbr_none", makerguard.RoleViewer, makerguard.NotFound},
		{"last owner", members[0].ID, makerguard.RoleAdmin, makerguard.Conflict},
	} {
		if _, err := w.SetRole(t.Context(), owner, tc.m, tc.role, home); !errors.Is(err, tc.want) {
			t.Errorf("%s: SetRole = %v, want %s", tc.name, err, tc.want)
		}
	}
	stranger := *owner
	stranger.ManufacturerID = "mfr_other"
	if _, err := w.SetRole(t.Context(), &stranger, members[0].ID, makerguard.RoleViewer, home); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("SetRole of another tenant's member = %v, want NOT_FOUND", err)
	}
}
