package abuse_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/audit"
)

// world is a store with what a Service writes to besides, and a clock that stands still.

// service gives a Service that works on the store, with change made to its configuration.

// attack shows n threats to s and waits until they were looked at.

func TestThreats_LeadToABlockWithAReason(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for range 9 {
		w.attack(s, 1, w.threat(makerguard.SeverityCritical))
		w.pass(time.Millisecond)
	}
	if err := s.CheckAddress(address); err != nil {
		t.Fatalf("after 180 points: %v, want nil", err)
	}
	w.pass(10 * time.Second)
	w.attack(s, 2, w.threat(makerguard.SeverityCritical))
	err := s.CheckAddress(address)
	if !blocked(err) {
		t.Fatalf("after 220 points: %v, want the address blocked", err)
	}
	e, _ := errors.AsType[*makerguard.Error](err)
	if e.RetryAfter != 10*time.Minute || !strings.Contains(e.Message, "2026-03-02 08:10:10 UTC") || strings.Contains(e.Message, "SQL") || e.Fields != nil {
		t.Errorf("the refusal is %+v, want it to say until when and nothing of the rule", e)
	}
	bs := w.blocks(s)
	const reason = "11 SQL injection attempts on POST /api/products within a minute."
	if len(bs) != 1 || bs[0].Reason != reason || bs[0].Scenario != "threats" || bs[0].Subject != address || bs[0].Points < 200 {
		t.Errorf("the block is %+v, want the reason %q", bs, reason)
	}
	if n := w.audited(audit.BlockImposed); n != 1 {
		t.Errorf("%d entries in the audit record, want 1", n)
	}
	if err := s.CheckAddress("203.0.113.8"); err != nil {
		t.Errorf("a neighbour: %v, want nil", err)
	}
	w.pass(10 * time.Minute)
	if err := s.CheckAddress(address); err != nil {
		t.Errorf("when it has ended: %v, want nil", err)
	}
}

func TestThreats_PointsFade(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for range 20 { // 90 points every ten minutes never reach 200
		w.attack(s, 9, w.threat(makerguard.SeverityHigh))
		w.pass(abuse.HalfLife)
	}
	if bs := w.blocks(s); len(bs) != 0 {
		t.Errorf("blocked by points that had faded: %+v", bs)
	}
}

func TestThreats_WhatAddsNoPoints(t *testing.T) {
	for name, change := range map[string]func(*makerguard.Threat){
		"asking whether it is an attack": func(t *makerguard.Threat) { t.Route, t.Blocked = "POST /v1/security/inspect", false },
		"a rule that only watches":       func(t *makerguard.Threat) { t.Blocked = false },
		"what was written here":          func(t *makerguard.Threat) { t.Rule = abuse.RuleProposed },
		"this machine":                   func(t *makerguard.Threat) { t.IP = "127.0.0.9" },
		"this machine, IPv6":             func(t *makerguard.Threat) { t.IP = "::1" },
		"this machine, IPv4 in IPv6":     func(t *makerguard.Threat) { t.IP = "::ffff:127.0.0.1" },
		"a trusted proxy":                func(t *makerguard.Threat) { t.IP = "10.1.2.3" },
		"nobody knows whence":            func(t *makerguard.Threat) { t.IP = "" },
		"a severity that is none":        func(t *makerguard.Threat) { t.Severity = "odd" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.service(func(c *abuse.Config) {
				c.Spare = netip.MustParsePrefix("10.0.0.0/8").Contains
				c.Block = []makerguard.BlockKind{makerguard.BlockAddress, makerguard.BlockMember, makerguard.BlockManufacturer}
			})
			th := w.threat(makerguard.SeverityCritical)
			change(&th)
			w.attack(s, 100, th)
			if bs := w.blocks(s); len(bs) != 0 {
				t.Errorf("blocked: %+v", bs)
			}
		})
	}
}

// One request is one mistake, however much is found in it.

func TestThreats_OneRequestCountsOnce(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for n := range 9 {
		th := w.threat(makerguard.SeverityMedium)
		th.RequestID = "req_" + string(rune('a'+n))
		w.attack(s, 50, th)
		th.Severity = makerguard.SeverityCritical
		w.attack(s, 50, th)
	}
	if bs := w.blocks(s); len(bs) != 0 {
		t.Fatalf("9 requests with 100 findings each blocked: %+v", bs)
	}
	th := w.threat(makerguard.SeverityCritical)
	th.RequestID = "req_z"
	w.attack(s, 1, th)
	if bs := w.blocks(s); len(bs) != 1 || !strings.HasPrefix(bs[0].Reason, "10 SQL injection attempts") {
		t.Errorf("10 requests: %+v, want a block for 10 attempts", bs)
	}
}

// Behaviour has no route and refused nothing, and counts nevertheless.

func TestThreats_BehaviourCounts(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	th := w.threat(makerguard.SeverityCritical)
	th.Route, th.Blocked, th.Type, th.Rule = "", false, makerguard.TokenReuse, "auth.token_reused"
	w.attack(s, 10, th)
	if bs := w.blocks(s); len(bs) != 1 || bs[0].Reason != "10 reused tokens within a minute." {
		t.Errorf("blocks %+v, want one for 10 reused tokens", bs)
	}
}

func TestAddresses_AreOneByTheir64(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for _, ip := range []string{"2001:db8:0:7::1", "2001:db8:0:7:ffff::2"} {
		th := w.threat(makerguard.SeverityCritical)
		th.IP = ip
		w.attack(s, 5, th)
	}
	if !blocked(s.CheckAddress("2001:db8:0:7:1:2:3:4")) || s.CheckAddress("2001:db8:0:8::1") != nil {
		t.Errorf("blocks %+v, want exactly the /64", w.blocks(s))
	}
	for ip, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8:0:7::1": "2001:db8:0:7::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "nonsense": "", "203.0.113.7:80": "",
	} {
		if got := abuse.AddressKey(ip); got != want {
			t.Errorf("AddressKey(%q) = %q, want %q", ip, got, want)
		}
	}
}

// Whoever is signed in can be talked to: a block is proposed, and made only where the

// installation says so.

func TestMembers_AreOnlyProposedByDefault(t *testing.T) {
	w := newWorld(t)
	th := w.threat(makerguard.SeverityCritical)
	th.IP, th.ManufacturerID, th.MemberID = "", "mfr_1", "mbr_1"
	p := &makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_1"}

	s := w.service(nil)
	w.attack(s, 30, th)
	w.attack(s, 30, th)
	if err := s.CheckPrincipal(p); err != nil || len(w.blocks(s)) != 0 {
		t.Errorf("blocked by default: %v", err)
	}
	kinds := map[string]makerguard.Threat{}
	for _, entry := range w.history {
		if entry.Rule == abuse.RuleProposed {
			kinds[entry.Input] = entry
		}
	}
	if len(w.history) != 2 || kinds["member"].MemberID != "mbr_1" || kinds["manufacturer"].ManufacturerID != "mfr_1" ||
		!strings.Contains(kinds["member"].Description, "SQL injection attempts") {
		t.Errorf("the history has %+v, want one proposal for the member and one for the manufacturer", w.history)
	}

	s = w.service(func(c *abuse.Config) { c.Block = []makerguard.BlockKind{makerguard.BlockMember} })
	w.attack(s, 1, th)
	if !blocked(s.CheckPrincipal(p)) {
		t.Error("not blocked although the installation says so")
	}
	if err := s.CheckPrincipal(&makerguard.Principal{ManufacturerID: "mfr_1", MemberID: "mbr_2"}); err != nil {
		t.Errorf("another member: %v, want nil", err)
	}
}

// goal: V8.4.1 — operators cannot be made to shut themselves out.

func TestScenarios_LeadToBlocks(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for _, e := range readEvents(t, "testdata/spraying/fires-below-the-limits-of-signing-in.ndjson") {
		s.Observe(e)
	}
	s.Settle(t.Context())
	bs := w.blocks(s)
	if len(bs) != 1 || bs[0].Scenario != "spraying" || bs[0].Subject != address || !strings.HasPrefix(bs[0].Reason, "Failed sign-ins to ") {
		t.Errorf("blocks %+v, want the sprayer's", bs)
	}
	if len(w.history) != 1 || w.history[0].Rule != "abuse.spraying" || w.history[0].Type != makerguard.PasswordSpraying {
		t.Errorf("the history has %+v, want the spraying", w.history)
	}
}

// Where an honest crowd may be behind an address, an operator is to look first.

func TestBlocks_AreOnlyProposedWhereManyMayBeBehind(t *testing.T) {
	for name, observe := range map[string]func(*world, *abuse.Service){
		"registrations": func(_ *world, s *abuse.Service) {
			for range 3 {
				for _, e := range readEvents(t, "testdata/account_farming/fires-burst.ndjson") {
					s.Observe(e)
				}
			}
		},
		"a private network": func(w *world, s *abuse.Service) {
			th := w.threat(makerguard.SeverityCritical)
			th.IP = "172.17.0.1"
			w.attack(s, 50, th)
		},
		"a private network, IPv6": func(w *world, s *abuse.Service) {
			th := w.threat(makerguard.SeverityCritical)
			th.IP = "fd00::1"
			w.attack(s, 50, th)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.service(nil)
			observe(w, s)
			s.Settle(t.Context())
			proposed := 0
			for _, entry := range w.history {
				if entry.Rule == abuse.RuleProposed && entry.Input == string(makerguard.BlockAddress) && entry.IP != "" {
					proposed++
				}
			}
			if bs := w.blocks(s); len(bs) != 0 || proposed != 1 {
				t.Errorf("%d blocks and %d proposals, want one proposal", len(bs), proposed)
			}
		})
	}
}

// Two nodes add to the same points, and the block of one holds on the other as soon as it

// hears of it.

// away is a store that cannot be reached.

func (away) AddPoints(context.Context, string, float64, time.Duration, time.Time) (float64, error) {
	return 0, makerguard.StoreUnavailable
}

func (away) Blocks(context.Context, time.Time, int) ([]makerguard.Block, error) {
	return nil, makerguard.StoreUnavailable
}

// goal: V16.5.2 — while the store is away, known blocks go on and nothing waits.

// switchable is a store that can be exchanged.

// Watching never waits: what does not fit is dropped and counted.

// A flood costs few writes: what waits is added up first.

// A session that moves between two addresses is told of each time; one that stays costs nothing.
