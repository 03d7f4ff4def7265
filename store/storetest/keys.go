package storetest

import (
	"time"

	"github.com/makerguard/makerguard"
)

func (e *env) key(mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32) makerguard.WrappedKey {
	return makerguard.WrappedKey{
		ManufacturerID: mfr, Purpose: purpose, Version: version, State: makerguard.KeyActive, KEKID: "kek_1",
		Wrapped: []byte{0, byte(version), 255}, CreatedAt: e.now, StateAt: e.now.Add(tick),
	}
}

func testAddKey(e *env) {
	a := tenant()
	for _, mfr := range []makerguard.ManufacturerID{a, ""} {
		e.announces(func() { e.ok("AddKey", e.s.AddKey(e.ctx(), e.key(mfr, makerguard.KeyData, 1))) },
			makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: mfr})
	}
	again := e.key(a, makerguard.KeyData, 1)
	again.Wrapped = []byte("another")
	e.fails("AddKey of a version that is there", e.s.AddKey(e.ctx(), again), makerguard.Conflict)
	got, err := e.s.Keys(e.ctx(), a, makerguard.KeyData)
	e.ok("Keys", err)
	e.same("Keys", got, []makerguard.WrappedKey{e.key(a, makerguard.KeyData, 1)})

	e.run("Race", func(e *env) {
		e.exactly(1, race(rivals, func(int) error { return e.s.AddKey(e.ctx(), e.key(a, makerguard.KeyData, 2)) }), makerguard.Conflict)
	})
}

func testSetKeyState(e *env) {
	a := tenant()
	k, other := e.key(a, makerguard.KeySigning, 1), e.key(a, makerguard.KeySigning, 2)
	k.State = makerguard.KeyPublished
	for _, add := range []makerguard.WrappedKey{k, other, e.key(a, makerguard.KeyData, 1), e.key(tenant(), makerguard.KeySigning, 1)} {
		e.ok("AddKey", e.s.AddKey(e.ctx(), add))
	}
	keys := func() []makerguard.WrappedKey {
		e.Helper()
		list, err := e.s.Keys(e.ctx(), a, makerguard.KeySigning)
		e.ok("Keys", err)
		return list
	}
	for i, state := range []makerguard.KeyState{makerguard.KeyActive, makerguard.KeyRetiring, makerguard.KeyDestroyed} {
		from, now := k.State, e.now.Add(time.Duration(i+1)*time.Hour)
		k.State, k.StateAt = state, now
		e.announces(func() { e.ok("SetKeyState", e.s.SetKeyState(e.ctx(), k, from, now)) },
			makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: a})
		if state == makerguard.KeyDestroyed {
			k.Wrapped = nil // the row says that it was
		}
		e.same("Keys", keys(), []makerguard.WrappedKey{k, other})
		e.fails("SetKeyState from a state left behind", e.s.SetKeyState(e.ctx(), k, from, now), makerguard.Conflict)
	}
	e.same("Keys after refusals", keys(), []makerguard.WrappedKey{k, other})

	for what, none := range map[string]makerguard.WrappedKey{
		"a version": e.key(a, makerguard.KeySigning, 3), "a purpose": e.key(a, "none", 1), "a manufacturer": e.key(tenant(), makerguard.KeySigning, 2),
	} {
		e.fails("SetKeyState of "+what+" that is not there", e.s.SetKeyState(e.ctx(), none, makerguard.KeyActive, e.now), makerguard.NotFound)
	}
	// goal: V15.4.2
	e.run("Race", func(e *env) {
		next := other
		next.State = makerguard.KeyRetiring
		e.exactly(1, race(rivals, func(int) error { return e.s.SetKeyState(e.ctx(), next, makerguard.KeyActive, e.now) }), makerguard.Conflict)
	})
}

func testKeys(e *env) {
	a, b := tenant(), tenant()
	var want []makerguard.WrappedKey
	for _, version := range []uint32{2, 10, 1} {
		e.ok("AddKey", e.s.AddKey(e.ctx(), e.key(a, makerguard.KeyData, version)))
	}
	for _, version := range []uint32{1, 2, 10} {
		want = append(want, e.key(a, makerguard.KeyData, version))
	}
	e.ok("AddKey", e.s.AddKey(e.ctx(), e.key(b, makerguard.KeyData, 1)))
	e.ok("AddKey", e.s.AddKey(e.ctx(), e.key("", makerguard.KeySigning, 1)))
	for _, test := range []struct {
		mfr     makerguard.ManufacturerID
		purpose makerguard.KeyPurpose
		want    []makerguard.WrappedKey
	}{
		{a, makerguard.KeyData, want},
		{"", makerguard.KeySigning, []makerguard.WrappedKey{e.key("", makerguard.KeySigning, 1)}},
		{"", makerguard.KeyPepper, nil},
		{a, makerguard.KeySigning, nil},
		{"mfr_none", makerguard.KeyData, nil},
	} {
		got, err := e.s.Keys(e.ctx(), test.mfr, test.purpose)
		e.ok("Keys", err)
		e.same("Keys("+string(test.mfr)+", "+string(test.purpose)+")", got, test.want)
	}
}
