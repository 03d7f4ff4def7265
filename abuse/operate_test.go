package abuse_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/audit"
)

func TestOperators_AreNeverBlocked(t *testing.T) {
	w := newWorld(t)
	s := w.service(func(c *abuse.Config) {
		c.Block = []makerguard.BlockKind{makerguard.BlockMember, makerguard.BlockManufacturer}
	})
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: makerguard.MemberID("mbr_" + strings.Repeat("0", 32))}
	th := w.threat(makerguard.SeverityCritical)
	th.ManufacturerID, th.MemberID = operator.ManufacturerID, operator.MemberID
	w.attack(s, 50, th)
	if _, err := s.Block(t.Context(), operator, abuse.Request{Kind: makerguard.BlockMember, Subject: string(operator.MemberID), Minutes: 5, Reason: "test"}, makerguard.Client{}); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckPrincipal(operator); err != nil {
		t.Errorf("the operator: %v, want nil", err)
	}
}

func TestBlocks_DoubleForRepeatOffenders(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440} {
		w.attack(s, 20, w.threat(makerguard.SeverityCritical))
		bs := w.blocks(s)
		if len(bs) != 1 {
			t.Fatalf("block %d: %+v, want one", i+1, bs)
		}
		got := bs[0].ExpiresAt.Sub(bs[0].CreatedAt)
		if got > want*time.Minute || got < want*time.Minute/2 { // former blocks fade
			t.Errorf("block %d takes %v, want about %v", i+1, got, want*time.Minute)
		}
		if i < 3 && got != want*time.Minute {
			t.Errorf("block %d takes %v, want %v", i+1, got, want*time.Minute)
		}
		w.pass(got)
	}
	w.pass(60 * 24 * time.Hour)
	w.attack(s, 20, w.threat(makerguard.SeverityCritical))
	if bs := w.blocks(s); len(bs) != 1 || bs[0].ExpiresAt.Sub(bs[0].CreatedAt) != 10*time.Minute {
		t.Errorf("after two quiet months: %+v, want 10 minutes again", bs)
	}
}

func TestLift_HoldsForAnHour(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	w.attack(s, 20, w.threat(makerguard.SeverityCritical))
	b := w.blocks(s)[0]
	manufacturer := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_1"}
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_2"}
	for _, tc := range []struct {
		actor      *makerguard.Principal
		id, reason string
		want       makerguard.Code
	}{
		{manufacturer, b.ID, "it is me", makerguard.InsufficientPermissions},
		{operator, b.ID, " ", makerguard.ValidationFailed},
		{operator, b.ID, "two\nlines", makerguard.ValidationFailed},
		{operator, "blk_none", "a mistake", makerguard.NotFound},
		{operator, b.ID, "a test of ours", ""},
		{operator, b.ID, "again", makerguard.NotFound},
	} {
		if err := s.Lift(t.Context(), tc.actor, tc.id, tc.reason, makerguard.Client{}); makerguard.CodeOf(err) != tc.want {
			t.Errorf("Lift(%q, %q) = %v, want %q", tc.id, tc.reason, err, tc.want)
		}
	}
	if n := w.audited(audit.BlockLifted); n != 1 {
		t.Errorf("%d lifted blocks in the audit record, want 1", n)
	}
	if err := s.CheckAddress(address); err != nil {
		t.Errorf("after the lift: %v, want nil", err)
	}
	w.attack(s, 50, w.threat(makerguard.SeverityCritical))
	w.pass(59 * time.Minute)
	w.attack(s, 50, w.threat(makerguard.SeverityCritical))
	if bs := w.blocks(s); len(bs) != 0 {
		t.Errorf("blocked again within the hour: %+v", bs)
	}
	w.pass(2 * time.Minute)
	w.attack(s, 1, w.threat(makerguard.SeverityCritical))
	if bs := w.blocks(s); len(bs) != 1 {
		t.Error("not blocked again after the hour")
	}
}

func TestBlock_ByHand(t *testing.T) {
	w := newWorld(t)
	s := w.service(func(c *abuse.Config) { c.Spare = netip.MustParsePrefix("10.0.0.0/8").Contains })
	member, company := "mbr_"+strings.Repeat("a", 32), "mfr_"+strings.Repeat("b", 32)
	for _, tc := range []struct {
		kind    makerguard.BlockKind
		subject string
		minutes int
		pointer string // of the fault, "" if there is none
		want    string // the subject as stored
	}{
		{makerguard.BlockAddress, "198.51.100.4", 5, "", "198.51.100.4"},
		{makerguard.BlockAddress, "2001:db8::7", 5, "", "2001:db8::/64"},
		{makerguard.BlockAddress, "2001:db8:1::/64", 43200, "", "2001:db8:1::/64"},
		{makerguard.BlockMember, member, 1, "", member},
		{makerguard.BlockManufacturer, company, 1, "", company},
		{makerguard.BlockAddress, "198.51.100.0/24", 5, "/subject", ""},
		{makerguard.BlockAddress, "2001:db8::/48", 5, "/subject", ""},
		{makerguard.BlockAddress, "example.com", 5, "/subject", ""},
		{makerguard.BlockAddress, "127.0.0.1", 5, "/subject", ""},
		{makerguard.BlockAddress, "::1", 5, "/subject", ""},
		{makerguard.BlockAddress, "10.9.9.9", 5, "/subject", ""},
		{makerguard.BlockMember, "mbr_x", 5, "/subject", ""},
		{makerguard.BlockManufacturer, "platform", 5, "/subject", ""},
		{"country", "DE", 5, "/kind", ""},
		{makerguard.BlockAddress, "198.51.100.4", 0, "/minutes", ""},
		{makerguard.BlockAddress, "198.51.100.4", 43201, "/minutes", ""},
	} {
		b, err := s.Block(t.Context(), nil, abuse.Request{Kind: tc.kind, Subject: tc.subject, Minutes: tc.minutes, Reason: "by hand"}, makerguard.Client{})
		if tc.pointer != "" {
			e, ok := errors.AsType[*makerguard.Error](err)
			if !ok || e.Code != makerguard.ValidationFailed || len(e.Fields) != 1 || e.Fields[0].Pointer != tc.pointer {
				t.Errorf("Block(%s %q, %d) = %v, want a fault at %s", tc.kind, tc.subject, tc.minutes, err, tc.pointer)
			}
			continue
		}
		if err != nil || b.Subject != tc.want || b.Scenario != abuse.ScenarioManual || b.ExpiresAt.Sub(b.CreatedAt) != time.Duration(tc.minutes)*time.Minute {
			t.Errorf("Block(%s %q, %d) = %+v, %v, want subject %q", tc.kind, tc.subject, tc.minutes, b, err, tc.want)
		}
	}
	if !blocked(s.CheckAddress("198.51.100.4")) || !blocked(s.CheckPrincipal(&makerguard.Principal{MemberID: makerguard.MemberID(member)})) ||
		!blocked(s.CheckPrincipal(&makerguard.Principal{ManufacturerID: makerguard.ManufacturerID(company)})) {
		t.Error("a block by hand is not in force at once")
	}
	if n := w.audited(audit.BlockImposed); n != 5 {
		t.Errorf("%d blocks in the audit record, want 5", n)
	}
}
