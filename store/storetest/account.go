package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

func testCreateManufacturer(e *env) {
	e.run("OK", func(e *env) {
		f := e.manufacturer()
		m := e.member(f.ID)
		m.TOTP = &makerguard.TOTPFactor{SealedSeed: []byte{0, 255}, ConfirmedAt: e.now, LastStep: 58_000_000}
		m.PendingTOTP = []byte("pending")
		m.RecoveryCodes = [][]byte{{1, 2}, {3, 0, 4}}
		e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))

		got, err := e.s.Manufacturer(e.ctx(), f.ID)
		e.ok("Manufacturer", err)
		e.same("Manufacturer", got, f)
		e.same("Member", e.loadMember(m), m)
	})
	e.run("OKSparse", func(e *env) {
		f := makerguard.Manufacturer{ID: tenant()}
		m := makerguard.Member{ID: makerguard.MemberID(id.New("mbr")), ManufacturerID: f.ID, EmailKey: id.New("mail")}
		e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))
		got, err := e.s.Manufacturer(e.ctx(), f.ID)
		e.ok("Manufacturer", err)
		e.same("Manufacturer", got, f)
		e.same("Member", e.loadMember(m), m)
	})
	// goal: V2.3.3
	e.run("ErrConflictID", func(e *env) {
		f, _ := e.registered()
		other := e.member(f.ID)
		e.fails("a second CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, other), makerguard.Conflict)
		_, err := e.s.Member(e.ctx(), f.ID, other.ID)
		e.fails("the refused manufacturer's owner", err, makerguard.NotFound)
	})
	// goal: V2.3.3
	e.run("ErrConflictEmail", func(e *env) {
		_, m := e.registered()
		f := e.manufacturer()
		owner := e.member(f.ID)
		owner.EmailKey = m.EmailKey
		e.fails("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, owner), makerguard.Conflict)
		_, err := e.s.Manufacturer(e.ctx(), f.ID)
		e.fails("the refused manufacturer", err, makerguard.NotFound)
	})
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		key := id.New("mail")
		fs := make([]makerguard.Manufacturer, rivals)
		for i := range fs {
			fs[i] = e.manufacturer()
		}
		errs := race(rivals, func(i int) error {
			m := e.member(fs[i].ID)
			m.EmailKey = key
			return e.s.CreateManufacturer(e.ctx(), fs[i], m)
		})
		e.exactly(1, errs, makerguard.Conflict)
		for i, err := range errs {
			if _, got := e.s.Manufacturer(e.ctx(), fs[i].ID); (got == nil) != (err == nil) {
				e.Errorf("CreateManufacturer gave %v, then Manufacturer %v", err, got)
			}
		}
	})
}

func testEnsureManufacturer(e *env) {
	f := e.manufacturer()
	for range 2 {
		e.ok("EnsureManufacturer", e.s.EnsureManufacturer(e.ctx(), f))
	}
	other := f
	other.CompanyName, other.Tier = "Another", makerguard.TierFree
	e.ok("EnsureManufacturer", e.s.EnsureManufacturer(e.ctx(), other))
	got, err := e.s.Manufacturer(e.ctx(), f.ID)
	e.ok("Manufacturer", err)
	e.same("the manufacturer that was there first", got, f)

	e.run("Race", func(e *env) {
		f := e.manufacturer()
		e.exactly(rivals, race(rivals, func(int) error { return e.s.EnsureManufacturer(e.ctx(), f) }), "")
	})
}

func testCreateMember(e *env) {
	e.run("OK", func(e *env) {
		f, _ := e.registered()
		m := e.member(f.ID)
		e.ok("CreateMember", e.s.CreateMember(e.ctx(), m, 2))
		e.same("Member", e.loadMember(m), m)
	})
	e.run("ErrNotFound", func(e *env) {
		m := e.member("mfr_none")
		e.fails("CreateMember for nobody", e.s.CreateMember(e.ctx(), m, 5), makerguard.NotFound)
	})
	e.run("ErrConflict", func(e *env) {
		f, owner := e.registered()
		g, _ := e.registered()
		for _, mfr := range []makerguard.ManufacturerID{f.ID, g.ID} {
			m := e.member(mfr)
			m.EmailKey = owner.EmailKey
			e.fails("CreateMember with a taken address", e.s.CreateMember(e.ctx(), m, 5), makerguard.Conflict)
		}
	})
	e.run("ErrEntitlementExceeded", func(e *env) {
		f, _ := e.registered()
		e.ok("CreateMember below the limit", e.s.CreateMember(e.ctx(), e.member(f.ID), 2))
		e.fails("CreateMember at the limit", e.s.CreateMember(e.ctx(), e.member(f.ID), 2), makerguard.EntitlementExceeded)
		e.fails("CreateMember at no limit left", e.s.CreateMember(e.ctx(), e.member(f.ID), 0), makerguard.EntitlementExceeded)
		e.ok("CreateMember without limit", e.s.CreateMember(e.ctx(), e.member(f.ID), makerguard.Unlimited))
	})
	e.run("ARefusalTakesNoPlace", func(e *env) {
		f, owner := e.registered()
		for range 3 {
			m := e.member(f.ID)
			m.EmailKey = owner.EmailKey
			e.fails("CreateMember with a taken address", e.s.CreateMember(e.ctx(), m, 2), makerguard.Conflict)
		}
		e.ok("CreateMember", e.s.CreateMember(e.ctx(), e.member(f.ID), 2))
	})
	// goal: V2.3.2 V15.4.3
	e.run("RaceForTheLastPlaces", func(e *env) {
		f, _ := e.registered()
		e.exactly(4, race(rivals, func(int) error { return e.s.CreateMember(e.ctx(), e.member(f.ID), 5) }), makerguard.EntitlementExceeded)
		list, err := e.s.Members(e.ctx(), f.ID)
		e.ok("Members", err)
		if len(list) != 5 {
			e.Errorf("%d members, want the limit of 5", len(list))
		}
	})
	e.run("RaceForAnAddress", func(e *env) {
		f, _ := e.registered()
		key := id.New("mail")
		e.exactly(1, race(rivals, func(int) error {
			m := e.member(f.ID)
			m.EmailKey = key
			return e.s.CreateMember(e.ctx(), m, makerguard.Unlimited)
		}), makerguard.Conflict)
	})
}

func testManufacturer(e *env) {
	e.registered()
	_, err := e.s.Manufacturer(e.ctx(), "mfr_none")
	e.fails("Manufacturer(none)", err, makerguard.NotFound)
	_, err = e.s.Manufacturer(e.ctx(), "")
	e.fails("Manufacturer(empty)", err, makerguard.NotFound)
}

func testManufacturers(e *env) {
	platform := e.manufacturer()
	platform.ID = makerguard.PlatformID
	e.ok("EnsureManufacturer", e.s.EnsureManufacturer(e.ctx(), platform))
	list, err := e.s.Manufacturers(e.ctx(), "", "", 10)
	e.ok("Manufacturers", err)
	e.same("Manufacturers of the platform only", list, []makerguard.Manufacturer(nil))

	var all []makerguard.Manufacturer
	for _, name := range []string{"Optik Élan", "50% (off) Frames", "a.b_c", "Éclat Optique", `"Quoted" \ Lens`} {
		f := e.manufacturer()
		f.CompanyName = name
		e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, e.member(f.ID)))
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b makerguard.Manufacturer) int { return strings.Compare(string(a.ID), string(b.ID)) })

	e.run("Pages", func(e *env) {
		var got []makerguard.Manufacturer
		var after makerguard.ManufacturerID
		for range 10 {
			page, err := e.s.Manufacturers(e.ctx(), "", after, 2)
			e.ok("Manufacturers", err)
			if len(page) > 2 {
				e.Fatalf("a page of %d, want at most 2", len(page))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].ID
		}
		e.same("all pages", got, all)
	})
	for _, test := range []struct {
		q    string
		want []string
	}{
		{"optik", []string{"Optik Élan"}},
		{"OPTI", []string{"Optik Élan", "Éclat Optique"}},
		{"éC", []string{"Éclat Optique"}},
		{"ÉLAN", []string{"Optik Élan"}},
		{"50% (", []string{"50% (off) Frames"}},
		{"%", []string{"50% (off) Frames"}},
		{"a_b", nil}, // no wildcard
		{"a.b", []string{"a.b_c"}},
		{".*", nil}, // no pattern
		{`\ l`, []string{`"Quoted" \ Lens`}},
		{string(all[0].ID[8:]), []string{all[0].CompanyName}},
		{strings.ToUpper(string(all[1].ID[8:])), []string{all[1].CompanyName}},
		{"platform", nil},
		{"no such name", nil},
	} {
		list, err := e.s.Manufacturers(e.ctx(), test.q, "", 10)
		e.ok("Manufacturers", err)
		var got []string
		for _, f := range list {
			got = append(got, f.CompanyName)
		}
		slices.Sort(got)
		slices.Sort(test.want)
		e.same("Manufacturers("+test.q+")", got, test.want)
	}
}

func testMember(e *env) {
	f, m := e.registered()
	_, err := e.s.Member(e.ctx(), f.ID, "mbr_none")
	e.fails("Member(none)", err, makerguard.NotFound)
	_, err = e.s.Member(e.ctx(), "mfr_none", m.ID)
	e.fails("Member of nobody", err, makerguard.NotFound)
}

func testMembers(e *env) {
	f, owner := e.registered()
	e.registered()
	want := []makerguard.Member{owner}
	for range 3 {
		m := e.member(f.ID)
		e.ok("CreateMember", e.s.CreateMember(e.ctx(), m, 10))
		want = append(want, m)
	}
	slices.SortFunc(want, func(a, b makerguard.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	got, err := e.s.Members(e.ctx(), f.ID)
	e.ok("Members", err)
	e.same("Members", got, want)

	got, err = e.s.Members(e.ctx(), "mfr_none")
	e.ok("Members", err)
	e.same("Members of nobody", got, []makerguard.Member(nil))
}

func testSetRole(e *env) {
	// staff stores a manufacturer with members of the roles given.
	staff := func(e *env, roles ...makerguard.Role) []makerguard.Member {
		e.Helper()
		f := e.manufacturer()
		var list []makerguard.Member
		for i, role := range roles {
			m := e.member(f.ID)
			m.Role = role
			if i == 0 {
				e.ok("CreateManufacturer", e.s.CreateManufacturer(e.ctx(), f, m))
			} else {
				e.ok("CreateMember", e.s.CreateMember(e.ctx(), m, makerguard.Unlimited))
			}
			list = append(list, m)
		}
		return list
	}
	set := func(e *env, m makerguard.Member, role makerguard.Role) error {
		return e.s.SetRole(e.ctx(), m.ManufacturerID, m.ID, role, e.now.Add(time.Hour))
	}
	e.run("OK", func(e *env) {
		ms := staff(e, makerguard.RoleOwner, makerguard.RoleViewer)
		m := ms[1]
		for _, role := range []makerguard.Role{makerguard.RoleAdmin, makerguard.RoleOwner, makerguard.RoleEditor} {
			e.announces(func() { e.ok("SetRole", set(e, m, role)) },
				makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})
			m.Role, m.UpdatedAt = role, e.now.Add(time.Hour)
			e.same("Member", e.loadMember(m), m)
		}
		e.same("the owner", e.loadMember(ms[0]), ms[0])
	})
	e.run("ErrConflictLastOwner", func(e *env) {
		staff(e, makerguard.RoleOwner) // another manufacturer's does not count
		ms := staff(e, makerguard.RoleOwner, makerguard.RoleAdmin)
		e.fails("SetRole of the only owner", set(e, ms[0], makerguard.RoleAdmin), makerguard.Conflict)
		e.same("the owner", e.loadMember(ms[0]), ms[0])
		e.ok("SetRole of the only owner to owner", set(e, ms[0], makerguard.RoleOwner))
		e.ok("SetRole of a second owner", set(e, ms[1], makerguard.RoleOwner))
		e.ok("SetRole of the first, then", set(e, ms[0], makerguard.RoleViewer))
		e.fails("SetRole of the second", set(e, ms[1], makerguard.RoleViewer), makerguard.Conflict)
	})
	e.run("ErrNotFound", func(e *env) {
		m := staff(e, makerguard.RoleOwner)[0]
		m.ID = "mbr_none"
		e.fails("SetRole of nobody", set(e, m, makerguard.RoleOwner), makerguard.NotFound)
		m.ManufacturerID = "mfr_none"
		e.fails("SetRole of nobody's member", set(e, m, makerguard.RoleViewer), makerguard.NotFound)
	})
	// goal: V15.4.2
	e.run("RaceLeavesAnOwner", func(e *env) {
		ms := staff(e, slices.Repeat([]makerguard.Role{makerguard.RoleOwner}, rivals)...)
		e.exactly(rivals-1, race(rivals, func(i int) error { return set(e, ms[i], makerguard.RoleAdmin) }), makerguard.Conflict)
		owners := 0
		for _, m := range ms {
			if e.loadMember(m).Role == makerguard.RoleOwner {
				owners++
			}
		}
		e.same("how many owners are left", owners, 1)
	})
}

func testSetTier(e *env) {
	f, _ := e.registered()
	other, _ := e.registered()
	later := e.now.Add(time.Hour)
	e.announces(func() {
		e.ok("SetTier", e.s.SetTier(e.ctx(), f.ID, makerguard.TierEnterprise, later))
	}, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: f.ID})
	f.Tier, f.UpdatedAt = makerguard.TierEnterprise, later
	for _, want := range []makerguard.Manufacturer{f, other} {
		got, err := e.s.Manufacturer(e.ctx(), want.ID)
		e.ok("Manufacturer", err)
		e.same("Manufacturer", got, want)
	}
	e.fails("SetTier of nobody", e.s.SetTier(e.ctx(), "mfr_none", makerguard.TierFree, later), makerguard.NotFound)
}

func testSetStatus(e *env) {
	f, owner := e.registered()
	second := e.member(f.ID)
	e.ok("CreateMember", e.s.CreateMember(e.ctx(), second, 10))
	_, foreign := e.registered()
	a, b, c := e.signedIn(owner), e.signedIn(second), e.signedIn(foreign)
	loggedOut := e.signedIn(owner)
	e.ok("RevokeSession", e.s.RevokeSession(e.ctx(), f.ID, owner.ID, loggedOut.ID, "logout", e.now))

	e.announces(func() {
		e.ok("SetStatus", e.s.SetStatus(e.ctx(), f.ID, makerguard.StatusSuspended, "unpaid", e.now))
	}, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: f.ID})
	e.ended("a suspended owner", a.ID, "suspension")
	e.ended("a suspended member", b.ID, "suspension")
	e.ended("another manufacturer", c.ID, "")
	e.ended("a session ended before", loggedOut.ID, "logout")
	got, err := e.s.Manufacturer(e.ctx(), f.ID)
	e.ok("Manufacturer", err)
	f.Status, f.StatusReason, f.UpdatedAt = makerguard.StatusSuspended, "unpaid", e.now
	e.same("the suspended manufacturer", got, f)

	d := e.signedIn(owner)
	e.announces(func() {
		e.ok("SetStatus", e.s.SetStatus(e.ctx(), f.ID, makerguard.StatusActive, "", e.now))
	}, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: f.ID})
	e.ended("a restored owner", d.ID, "")
	e.fails("SetStatus of nobody", e.s.SetStatus(e.ctx(), "mfr_none", makerguard.StatusActive, "", e.now), makerguard.NotFound)
}
