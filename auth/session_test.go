package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
)

func (w *world) refresh(t makerguard.Secret) (*auth.Tokens, error) {
	return w.Refresh(w.t.Context(), t, home)
}

func (w *world) mustRefresh(t makerguard.Secret) *auth.Tokens {
	w.t.Helper()
	tokens, err := w.refresh(t)
	if err != nil {
		w.t.Fatalf("Refresh: %v", err)
	}
	return tokens
}

// goal: O-2.2.2
func TestRefresh_ParallelRefreshesGetOneSuccessor(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	t0 := w.login(m.Email).Tokens
	nodes := []*auth.Service{w.Service, w.node()}
	var got [10]*auth.Tokens
	parallel(len(got), func(i int) {
		var err error
		if got[i], err = nodes[i%2].Refresh(t.Context(), t0.Refresh, home); err != nil {
			t.Errorf("refresh %d: %v", i, err)
		}
	})
	for i, tokens := range got {
		if tokens == nil || tokens.Refresh != got[0].Refresh || tokens.SessionID != t0.SessionID {
			t.Fatalf("refresh %d has another successor than refresh 0", i)
		}
	}
	if got[0].Refresh == t0.Refresh {
		t.Error("the successor is the token itself")
	}
	w.authenticate(got[9].Access)
	// Still the same one at the end of the grace period, and it works.
	w.clock.advance(10 * time.Second)
	if again := w.mustRefresh(t0.Refresh); again.Refresh != got[0].Refresh {
		t.Error("within the grace period: another successor")
	}
	w.mustRefresh(got[0].Refresh)
	if n := len(w.log.threats); n != 0 {
		t.Errorf("%d threats, want none", n)
	}
}

// goal: O-2.2.2 O-4.14
func TestRefresh_ReuseRevokesSession(t *testing.T) {
	tests := []struct {
		name string
		// reuse gets the first token, unused, and gives the one that is then used.
		reuse func(w *world, t0 makerguard.Secret) makerguard.Secret
	}{
		{"after the grace period", func(w *world, t0 makerguard.Secret) makerguard.Secret {
			w.mustRefresh(t0)
			w.clock.advance(10*time.Second + time.Millisecond)
			return t0
		}},
		{"within the grace period after the successor was used", func(w *world, t0 makerguard.Secret) makerguard.Secret {
			w.mustRefresh(w.mustRefresh(t0).Refresh)
			return t0
		}},
		{"an ancestor of ten generations", func(w *world, t0 makerguard.Secret) makerguard.Secret {
			next := t0
			for range 10 {
				next = w.mustRefresh(next).Refresh
			}
			return t0
		}},
		{"under an older key", func(w *world, t0 makerguard.Secret) makerguard.Secret {
			keys := w.config.Keys
			keys.Refresh = append(slices.Clone(keys.Refresh), auth.VersionedKey{Version: 2, Key: key(12)})
			if err := w.SetKeys(keys); err != nil {
				w.t.Fatal(err)
			}
			w.mustRefresh(w.mustRefresh(t0).Refresh)
			return t0
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			m := w.manufacturer("anna@optik.example", makerguard.TierFree)
			in, other := w.login(m.Email), w.login(m.Email)
			w.authenticate(in.Tokens.Access)
			used := tt.reuse(w, in.Tokens.Refresh)
			_, err := w.refresh(used)
			wantCode(t, "reuse", err, makerguard.TokenReused)
			_, err = w.Authenticate(t.Context(), string(in.Tokens.Access))
			wantCode(t, "the session's access token", err, makerguard.SessionRevoked)
			_, err = w.refresh(used)
			wantCode(t, "reuse again", err, makerguard.SessionRevoked)
			w.authenticate(other.Tokens.Access) // the member's other session goes on
			if n := w.log.count(audit.TokenReused); n != 1 {
				t.Errorf("%d audit entries, want 1", n)
			}
			if len(w.log.threats) != 1 || w.log.threats[0].Type != makerguard.TokenReuse || w.log.threats[0].SessionID != in.Tokens.SessionID {
				t.Errorf("threats = %+v, want one token_reuse of the session", w.log.threats)
			}
		})
	}
}

func TestRefresh_ReuseEndsTheSessionEvenWithoutAudit(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	in := w.login(m.Email)
	w.mustRefresh(w.mustRefresh(in.Tokens.Refresh).Refresh)
	w.log.broken.Store(true)
	_, err := w.refresh(in.Tokens.Refresh)
	wantCode(t, "reuse", err, makerguard.TokenReused)
	_, err = w.Authenticate(t.Context(), string(in.Tokens.Access))
	wantCode(t, "afterwards", err, makerguard.SessionRevoked)
}

func TestRefresh_ForgedTokensRevokeNothing(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	in := w.login(m.Email)
	genuine := string(in.Tokens.Refresh)
	forged := []string{"", "mgr_", genuine + "A", genuine[:len(genuine)-1], " " + genuine, genuine + "\n", string(in.Tokens.Access), string(in.DeviceToken)}
	// Every character changed in turn: version, session, generation and MAC are all bound.
	for i := len("mgr_"); i < len(genuine); i++ {
		c := byte('A')
		if genuine[i] == c {
			c = 'B'
		}
		forged = append(forged, genuine[:i]+string(c)+genuine[i+1:])
	}
	for _, f := range forged {
		if _, err := w.refresh(makerguard.Secret(f)); makerguard.CodeOf(err) != makerguard.TokenInvalid {
			t.Errorf("Refresh(%q) = %v, want TOKEN_INVALID", f, err)
		}
	}
	w.authenticate(in.Tokens.Access)
	w.mustRefresh(in.Tokens.Refresh)
	// Nor does a token whose key is gone.
	if err := w.SetKeys(auth.Keys{
		Pepper: w.config.Keys.Pepper, Device: w.config.Keys.Device,
		Refresh: []auth.VersionedKey{{Version: 2, Key: key(12)}},
	}); err != nil {
		t.Fatal(err)
	}
	_, err := w.refresh(in.Tokens.Refresh)
	wantCode(t, "key gone", err, makerguard.TokenInvalid)
	w.authenticate(in.Tokens.Access)
}

// The store keeps nothing that can be used as a token.
func TestRefresh_StoreAloneGivesNoToken(t *testing.T) {
	// goal: V7.2.2
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	in := w.login(m.Email)
	thief := newWorld(t, func(c *auth.Config) {
		c.Store = w.store
		c.Keys.Refresh = []auth.VersionedKey{{Version: 1, Key: key(99)}}
	})
	_, err := thief.refresh(in.Tokens.Refresh)
	wantCode(t, "another key over the same store", err, makerguard.TokenInvalid)
}

// goal: V7.1.1 V7.3.1 V7.3.2 N-2.2.3
func TestSession_IdleAndAbsoluteLimits(t *testing.T) {
	tests := []struct {
		name     string
		tier     makerguard.Tier
		adjust   func(*auth.Config)
		idle     time.Duration
		absolute time.Duration
	}{
		{"manufacturer", makerguard.TierFree, nil, time.Hour, 24 * time.Hour},
		{"operator", makerguard.TierPlatform, nil, 15 * time.Minute, 12 * time.Hour},
		{"stricter", makerguard.TierPlatform, func(c *auth.Config) { c.SessionIdle, c.SessionLifetime = 5*time.Minute, time.Hour }, 5 * time.Minute, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.adjust)
			m := w.manufacturer("anna@optik.example", tt.tier)
			start := func() *auth.Tokens {
				in := w.login(m.Email)
				if in.Tokens != nil {
					return in.Tokens
				}
				p, err := w.AuthenticateEnrollment(t.Context(), in.MFAToken)
				if err != nil {
					t.Fatal(err)
				}
				e, err := w.EnrolTOTP(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if in, err = w.ConfirmTOTP(t.Context(), p, w.code(string(e.Secret)), in.MFAToken, home); err != nil {
					t.Fatal(err)
				}
				return in.Tokens
			}
			tokens := start()
			began := w.clock.now()
			// Used just before it is idle, over and over, until the absolute limit.
			for w.clock.now().Sub(began)+tt.idle <= tt.absolute {
				w.clock.advance(tt.idle - time.Second)
				tokens = w.mustRefresh(tokens.Refresh)
				w.authenticate(tokens.Access)
			}
			w.clock.advance(tt.absolute - time.Second - w.clock.now().Sub(began))
			tokens = w.mustRefresh(tokens.Refresh)
			w.authenticate(tokens.Access)
			if tokens.ExpiresIn != time.Second {
				t.Errorf("the last access token lives %v, want no longer than its session: 1s", tokens.ExpiresIn)
			}
			w.clock.advance(time.Second)
			_, err := w.refresh(tokens.Refresh)
			wantCode(t, "at the absolute limit", err, makerguard.SessionExpired)
		})
	}
}

func TestSession_IdleEndsIt(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.clock.advance(59 * time.Minute)
	tokens = w.mustRefresh(tokens.Refresh)
	w.clock.advance(5 * time.Minute)
	w.authenticate(tokens.Access) // this use counts
	w.clock.advance(time.Hour)
	if _, err := w.Introspect(t.Context(), &makerguard.Principal{ManufacturerID: makerguard.PlatformID}, string(tokens.Refresh)); err != nil {
		t.Fatal(err)
	}
	next := w.mustRefresh(tokens.Refresh)
	w.clock.advance(time.Hour + time.Second)
	_, err := w.refresh(next.Refresh)
	wantCode(t, "idle for an hour and a second", err, makerguard.SessionExpired)
	list, err := w.Sessions(t.Context(), &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: m.ManufacturerID, MemberID: m.ID, SessionID: "ses_x"})
	if err != nil || len(list) != 0 {
		t.Errorf("Sessions = %v, %v, want none", list, err)
	}
}

func TestAuthenticate_IdleSessionIsExpiredWarmAndCold(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.SessionIdle = time.Minute })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.authenticate(tokens.Access)
	w.clock.advance(time.Minute)
	w.authenticate(tokens.Access)
	other := w.node()
	w.clock.advance(time.Minute + time.Second)
	for name, s := range map[string]*auth.Service{"warm": w.Service, "cold": other} {
		_, err := s.Authenticate(t.Context(), string(tokens.Access))
		wantCode(t, name, err, makerguard.SessionExpired)
	}
}

func TestSession_LastSeenIsSharedByClose(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	first := w.node()
	w.clock.advance(8 * time.Minute)
	if _, err := first.Authenticate(t.Context(), string(tokens.Access)); err != nil {
		t.Fatal(err)
	}
	// Forgetting the session must not lose it either.
	first.Apply(makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: m.ManufacturerID, MemberID: m.ID})
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sess, _, _, err := w.db.LoadSession(t.Context(), tokens.SessionID)
	if err != nil || !sess.LastSeenAt.Equal(w.clock.now()) {
		t.Errorf("LastSeenAt = %v, %v, want %v", sess.LastSeenAt, err, w.clock.now())
	}
}

// goal: V7.4.1 V7.4.2 (the node that ends it; the others have feed tests)
func TestAuthenticate_RevocationIsSeenByTheNextCall(t *testing.T) {
	tests := []struct {
		name string
		end  func(w *world, p *makerguard.Principal, tokens *auth.Tokens) error
	}{
		{"logout", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			return w.Logout(context.Background(), p, home)
		}},
		{"revoked by itself", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			return w.RevokeSession(context.Background(), p, p.SessionID, home)
		}},
		{"revoked from another session", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			other := w.authenticate(w.login(p.Email).Tokens.Access)
			return w.RevokeSession(context.Background(), other, p.SessionID, home)
		}},
		{"all others revoked", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			other := w.authenticate(w.login(p.Email).Tokens.Access)
			n, err := w.RevokeOtherSessions(context.Background(), other, home)
			if n != 1 {
				return fmt.Errorf("RevokeOtherSessions = %d, want 1", n)
			}
			return err
		}},
		{"password changed elsewhere", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			other := w.authenticate(w.login(p.Email).Tokens.Access)
			return w.ChangePassword(context.Background(), other, goodPassword, otherPassword, home)
		}},
		{"access token given back", func(w *world, _ *makerguard.Principal, tokens *auth.Tokens) error {
			return w.RevokeToken(context.Background(), string(tokens.Access), home)
		}},
		{"refresh token given back", func(w *world, _ *makerguard.Principal, tokens *auth.Tokens) error {
			return w.RevokeToken(context.Background(), string(tokens.Refresh), home)
		}},
		{"step-up", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			_, err := w.StepUp(context.Background(), p, goodPassword, "", home)
			return err
		}},
		{"suspension, as the feed tells it", func(w *world, p *makerguard.Principal, _ *auth.Tokens) error {
			err := w.db.SetStatus(context.Background(), p.ManufacturerID, makerguard.StatusSuspended, "", w.clock.now())
			w.Apply(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: p.ManufacturerID})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			m := w.manufacturer("anna@optik.example", makerguard.TierFree)
			tokens := w.login(m.Email).Tokens
			p := w.authenticate(tokens.Access)
			if err := tt.end(w, p, tokens); err != nil {
				t.Fatalf("ending the session: %v", err)
			}
			_, err := w.Authenticate(t.Context(), string(tokens.Access))
			wantCode(t, "Authenticate", err, makerguard.SessionRevoked)
			_, err = w.refresh(tokens.Refresh)
			wantCode(t, "Refresh", err, makerguard.SessionRevoked)
		})
	}
}

// goal: V7.4.1 (also under parallel refresh)
func TestLogout_WinsOverParallelRefreshes(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	for range 10 {
		tokens := w.login(m.Email).Tokens
		p := w.authenticate(tokens.Access)
		var refreshed [8]*auth.Tokens
		parallel(9, func(i int) {
			if i == 8 {
				if err := w.Logout(t.Context(), p, home); err != nil {
					t.Errorf("Logout: %v", err)
				}
				return
			}
			refreshed[i], _ = w.refresh(tokens.Refresh)
		})
		for _, r := range refreshed {
			if r == nil {
				continue
			}
			if _, err := w.Authenticate(t.Context(), string(r.Access)); makerguard.CodeOf(err) != makerguard.SessionRevoked {
				t.Fatalf("access token made during logout: %v, want SESSION_REVOKED", err)
			}
			if _, err := w.refresh(r.Refresh); makerguard.CodeOf(err) != makerguard.SessionRevoked {
				t.Fatalf("refresh token made during logout: %v, want SESSION_REVOKED", err)
			}
		}
	}
}

func TestAuthenticate_SeesTheLiveTierAndRole(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	if p := w.authenticate(tokens.Access); p.Tier != makerguard.TierFree {
		t.Fatalf("tier = %q, want free", p.Tier)
	}
	if err := w.db.SetTier(t.Context(), m.ManufacturerID, makerguard.TierEnterprise, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.Apply(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: m.ManufacturerID})
	if p := w.authenticate(tokens.Access); p.Tier != makerguard.TierEnterprise {
		t.Errorf("tier after the change = %q, want enterprise, with the same token", p.Tier)
	}
}

// One tenant's change evicts nothing of another's.
func TestApply_DropsExactlyWhatAChangeConcerns(t *testing.T) {
	w := newWorld(t, nil)
	a := w.manufacturer("a@optik.example", makerguard.TierFree)
	b := w.manufacturer("b@optik.example", makerguard.TierFree)
	tokens := map[string]*auth.Tokens{"a1": w.login(a.Email).Tokens, "a2": w.login(a.Email).Tokens, "b1": w.login(b.Email).Tokens}
	use := func() uint64 {
		before := w.Stats().SessionsLoaded
		for _, tk := range tokens {
			w.authenticate(tk.Access)
		}
		return w.Stats().SessionsLoaded - before
	}
	if n := use(); n != 3 {
		t.Fatalf("first use loaded %d sessions, want 3", n)
	}
	tests := []struct {
		change makerguard.Change
		want   uint64
	}{
		{makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: a.ManufacturerID, MemberID: a.ID, SessionID: tokens["a1"].SessionID}, 1},
		{makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: a.ManufacturerID, MemberID: a.ID}, 2},
		{makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: a.ManufacturerID, MemberID: "mbr_other"}, 0},
		{makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: a.ManufacturerID, MemberID: b.ID}, 0},
		{makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: b.ManufacturerID}, 1},
		{makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_other"}, 0},
		{makerguard.Change{Kind: makerguard.SessionEnded, SessionID: "ses_other"}, 0},
		{makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: a.ManufacturerID}, 0},
		{makerguard.Change{Kind: makerguard.KeysChanged}, 0}, // tokens are verified again, sessions stay
		{makerguard.Change{Kind: makerguard.PolicyChanged}, 0},
		{makerguard.Change{Kind: makerguard.RulesChanged, ManufacturerID: a.ManufacturerID}, 0},
		{makerguard.Change{Kind: makerguard.BlocksChanged}, 0},
		{makerguard.Change{Kind: "something_new"}, 3},
	}
	for _, tt := range tests {
		w.Apply(tt.change)
		if got := use(); got != tt.want {
			t.Errorf("after %+v %d sessions were loaded, want %d", tt.change, got, tt.want)
		}
	}
}

// A session read before a change must not be remembered after it, nor be what callers get that
// came after the change.
func TestAuthenticate_NoStaleSessionIsRemembered(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	read, goOn := make(chan struct{}), make(chan struct{})
	var second atomic.Bool
	pause := func() {
		if !second.Swap(true) {
			close(read)
			<-goOn
		}
	}
	w.store.onLoad.Store(&pause)
	got := make(chan error, 1)
	go func() {
		_, err := w.Authenticate(t.Context(), string(tokens.Access))
		got <- err
	}()
	<-read // the session was read while live ...
	if err := w.db.RevokeSession(t.Context(), m.ManufacturerID, m.ID, tokens.SessionID, "test", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.Apply(makerguard.Change{Kind: makerguard.SessionEnded, ManufacturerID: m.ManufacturerID, MemberID: m.ID, SessionID: tokens.SessionID})
	_, err := w.Authenticate(t.Context(), string(tokens.Access)) // does not wait for the old reading
	wantCode(t, "after the change", err, makerguard.SessionRevoked)
	close(goOn)
	wantCode(t, "the call that read before the change", <-got, makerguard.SessionRevoked)
	_, err = w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "later", err, makerguard.SessionRevoked)
}

func TestAuthenticate_RacingRevocationsNeverLeaveALiveSession(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	for range 20 {
		tokens := w.login(m.Email).Tokens
		p := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: m.ManufacturerID, MemberID: m.ID, SessionID: tokens.SessionID}
		var revoked atomic.Bool
		parallel(5, func(i int) {
			if i == 0 {
				if err := w.Logout(t.Context(), p, home); err != nil {
					t.Errorf("Logout: %v", err)
				}
				revoked.Store(true)
				return
			}
			for range 50 {
				before := revoked.Load()
				if _, err := w.Authenticate(t.Context(), string(tokens.Access)); before && err == nil {
					t.Error("a revoked session was honoured")
				}
			}
		})
	}
}

// goal: V7.4.2 (a node that hears nothing stops trusting its memory)
func TestAuthenticate_StaleFeedAsksTheStore(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.authenticate(tokens.Access)

	w.store.away.Store(true)
	w.authenticate(tokens.Access) // fresh: remembered
	w.feed.stale.Store(true)
	_, err := w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "stale feed, no store", err, makerguard.StoreUnavailable)
	w.store.away.Store(false)
	before := w.Stats().SessionsLoaded
	for range 3 {
		w.authenticate(tokens.Access)
	}
	if n := w.Stats().SessionsLoaded - before; n != 3 {
		t.Errorf("stale feed: %d readings for 3 calls, want 3", n)
	}
	// Another node revokes; its word does not come through, but the store has it.
	if err := w.db.RevokeSession(t.Context(), m.ManufacturerID, m.ID, tokens.SessionID, "test", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	_, err = w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "revoked elsewhere", err, makerguard.SessionRevoked)
}

func TestAuthenticate_WhatWasReadWithAStaleFeedIsNotRemembered(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.feed.stale.Store(true) // as before the feed's first reading
	w.authenticate(tokens.Access)
	if err := w.db.RevokeSession(t.Context(), m.ManufacturerID, m.ID, tokens.SessionID, "test", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.feed.stale.Store(false) // and begins after that change
	_, err := w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "Authenticate", err, makerguard.SessionRevoked)
}

func TestAuthenticate_RefusesBadTokensWarmAndCold(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	in := w.login(m.Email)
	good := string(in.Tokens.Access)
	w.authenticate(in.Tokens.Access)
	for _, bad := range []string{
		"", "x", good + "x", forge(good), good + "\n", "." + good, string(in.Tokens.Refresh), string(in.DeviceToken),
		"mgk_0000", string(make([]byte, 9000)),
	} {
		_, err := w.Authenticate(t.Context(), bad)
		wantCode(t, fmt.Sprintf("Authenticate(%.20q)", bad), err, makerguard.TokenInvalid)
	}
	w.clock.advance(10*time.Minute - time.Second)
	w.authenticate(in.Tokens.Access)
	w.clock.advance(time.Second)
	for range 2 {
		_, err := w.Authenticate(t.Context(), good)
		wantCode(t, "10 minutes later", err, makerguard.TokenExpired)
	}
}

func TestAuthenticate_ForgetsTokensOfReplacedKeys(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.authenticate(tokens.Access)
	if err := w.config.Tokens.SetKeys(newSigningKey(2)); err != nil {
		t.Fatal(err)
	}
	w.Apply(makerguard.Change{Kind: makerguard.KeysChanged})
	_, err := w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "signed with a key that is gone", err, makerguard.TokenInvalid)
}

func TestAuthenticate_CachesAreBounded(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.CacheSize = 4 })
	w.policy.sessions = 100
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	var tokens []*auth.Tokens
	for range 20 {
		tokens = append(tokens, w.login(m.Email).Tokens)
	}
	for range 2 {
		for _, tk := range tokens {
			w.authenticate(tk.Access)
		}
	}
	if n := w.Stats().Sessions; n > 4 {
		t.Errorf("%d sessions remembered, want at most 4", n)
	}
	// A session that was evicted is not out of reach of changes.
	if err := w.db.SetStatus(t.Context(), m.ManufacturerID, makerguard.StatusSuspended, "", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.Apply(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: m.ManufacturerID})
	for _, tk := range tokens {
		_, err := w.Authenticate(t.Context(), string(tk.Access))
		wantCode(t, "after suspension", err, makerguard.SessionRevoked)
	}
}

func TestAuthenticate_OneReadingForManyCallers(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	const callers = 20
	var waiting atomic.Int64
	all := make(chan struct{})
	hold := func() { <-all }
	w.store.onLoad.Store(&hold)
	before := w.Stats().SessionsLoaded
	gone, leave := context.WithCancel(t.Context())
	defer leave()
	var done sync.WaitGroup
	for i := range callers {
		done.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = gone
			}
			if waiting.Add(1) == callers {
				leave() // the one who may have begun the reading
				close(all)
			}
			if _, err := w.Authenticate(ctx, string(tokens.Access)); err != nil && i != 0 {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	done.Wait()
	if n := w.Stats().SessionsLoaded - before; n > 2 {
		t.Errorf("%d readings for %d callers at once, want 1 (2 if one came late)", n, callers)
	}
}

func TestSessions_ListsOwnLiveOnes(t *testing.T) {
	// goal: V7.5.2
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	stranger := w.authenticate(w.login(w.manufacturer("eve@optik.example", makerguard.TierFree).Email).Tokens.Access)
	first := w.login(m.Email).Tokens
	w.clock.advance(time.Minute)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	ended := w.authenticate(w.login(m.Email).Tokens.Access)
	if err := w.Logout(t.Context(), ended, home); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Minute)
	w.authenticate(first.Access)
	list, err := w.Sessions(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var ids []makerguard.SessionID
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	if diff := cmp.Diff([]makerguard.SessionID{p.SessionID, first.SessionID}, ids); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if got := list[1]; !got.LastSeenAt.Equal(w.clock.now()) || got.IP != home.IP || got.UserAgent != home.UserAgent {
		t.Errorf("session = %+v, want it seen just now, with address and user agent", got)
	}
	wantCode(t, "a stranger's revocation", w.RevokeSession(t.Context(), stranger, first.SessionID, home), makerguard.NotFound)
	wantCode(t, "an unknown session", w.RevokeSession(t.Context(), p, "ses_unknown", home), makerguard.NotFound)
	w.authenticate(first.Access)
}

func TestSessionOperations_AreForSignedInMembers(t *testing.T) {
	w := newWorld(t, nil)
	for name, p := range map[string]*makerguard.Principal{
		"nobody": nil, "API key": {Kind: makerguard.KindAPIKey, ManufacturerID: "mfr_1"}, "enrolling": {Kind: makerguard.KindMember, MemberID: "mbr_1"},
	} {
		ctx := t.Context()
		for what, err := range map[string]error{
			"Logout": w.Logout(ctx, p, home), "Sessions": second(w.Sessions(ctx, p)), "RevokeSession": w.RevokeSession(ctx, p, "ses_1", home),
			"RevokeOtherSessions": second(w.RevokeOtherSessions(ctx, p, home)), "RemoveTOTP": w.RemoveTOTP(ctx, p, home),
			"ConfirmTOTP": second(w.ConfirmTOTP(ctx, p, "000000", "", home)), "ChangePassword": w.ChangePassword(ctx, p, "a", "b", home),
			"StepUp": second(w.StepUp(ctx, p, "a", "", home)),
		} {
			wantCode(t, what+" by "+name, err, makerguard.InsufficientPermissions)
		}
	}
}

func TestSensitiveOperations_NeedTheAuditRecord(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	other := w.login(m.Email).Tokens
	p := w.authenticate(tokens.Access)
	e, err := w.EnrolTOTP(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	w.log.broken.Store(true)
	ctx := t.Context()
	for what, err := range map[string]error{
		"Logout": w.Logout(ctx, p, home), "RevokeSession": w.RevokeSession(ctx, p, other.SessionID, home),
		"RevokeOtherSessions": second(w.RevokeOtherSessions(ctx, p, home)),
		"ChangePassword":      w.ChangePassword(ctx, p, goodPassword, otherPassword, home),
		"ConfirmTOTP":         second(w.ConfirmTOTP(ctx, p, w.code(string(e.Secret)), "", home)),
		"StepUp":              second(w.StepUp(ctx, p, goodPassword, "", home)),
		"RevokeToken":         w.RevokeToken(ctx, string(other.Access), home),
		"Unlock":              w.Unlock(ctx, p, m.ManufacturerID, m.ID, home),
	} {
		wantCode(t, what, err, makerguard.StoreUnavailable)
	}
	w.log.broken.Store(false)
	w.authenticate(tokens.Access)
	w.authenticate(other.Access)
	w.login(m.Email)
	if now, _, err := w.db.MemberByID(ctx, m.ManufacturerID, m.ID); err != nil || now.TOTP != nil || now.PasswordHash != m.PasswordHash {
		t.Errorf("member = %+v, %v, want it unchanged", now, err)
	}
}

// goal: V6.3.3 (also when refreshing)
func TestRefresh_AsksForTheFactorATierRequiresByNow(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.policy.mfa[makerguard.TierFree] = true
	_, err := w.refresh(tokens.Refresh)
	wantCode(t, "Refresh", err, makerguard.MFARequired)
	if in := w.login(m.Email); in.Status != auth.StatusMFAEnrollmentRequired || in.Tokens != nil {
		t.Errorf("Login = %+v, want mfa_enrollment_required without tokens", in)
	}
}

func TestIntrospect(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierEnterprise)
	tokens := w.login(m.Email).Tokens
	own := &makerguard.Principal{Kind: makerguard.KindAPIKey, ManufacturerID: m.ManufacturerID}
	operator := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID}
	foreign := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_other"}
	introspect := func(p *makerguard.Principal, tok makerguard.Secret) *auth.Introspection {
		t.Helper()
		got, err := w.Introspect(t.Context(), p, string(tok))
		if err != nil {
			t.Fatalf("Introspect: %v", err)
		}
		return got
	}
	got := introspect(own, tokens.Access)
	now := w.clock.now().UTC()
	want := &auth.Introspection{
		Active: true, TokenType: "access_token", Issuer: "makerguard", Audience: "makerguard-api", TokenID: got.TokenID, ClientID: "makerguard",
		Subject: m.ID, SessionID: tokens.SessionID, ManufacturerID: m.ManufacturerID, Tier: makerguard.TierEnterprise, Role: makerguard.RoleOwner,
		AMR: []string{"pwd"}, AuthTime: now, IssuedAt: now, NotBefore: now, Expires: now.Add(10 * time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" || got.TokenID == "" {
		t.Errorf("access token (-want +got):\n%s", diff)
	}
	want = &auth.Introspection{
		Active: true, TokenType: "refresh_token", ClientID: "makerguard", Subject: m.ID, SessionID: tokens.SessionID,
		ManufacturerID: m.ManufacturerID, Tier: makerguard.TierEnterprise, Role: makerguard.RoleOwner, AMR: []string{"pwd"},
		AuthTime: now, IssuedAt: now, Expires: now.Add(24 * time.Hour),
	}
	if diff := cmp.Diff(want, introspect(operator, tokens.Refresh)); diff != "" {
		t.Errorf("refresh token (-want +got):\n%s", diff)
	}
	inactive := func(what string, p *makerguard.Principal, tok makerguard.Secret) {
		t.Helper()
		if diff := cmp.Diff(&auth.Introspection{}, introspect(p, tok)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	inactive("another tenant's access token", foreign, tokens.Access)
	inactive("another tenant's refresh token", foreign, tokens.Refresh)
	inactive("asked by nobody", nil, tokens.Access)
	inactive("nonsense", operator, "nonsense")
	inactive("forged refresh token", operator, forge(tokens.Refresh))
	next := w.mustRefresh(w.mustRefresh(tokens.Refresh).Refresh)
	inactive("used refresh token", operator, tokens.Refresh)
	if got := introspect(operator, next.Refresh); !got.Active {
		t.Error("the newest refresh token is inactive")
	}
	w.store.away.Store(true)
	w.Apply(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: m.ManufacturerID})
	if _, err := w.Introspect(t.Context(), operator, string(next.Access)); makerguard.CodeOf(err) != makerguard.StoreUnavailable {
		t.Errorf("without the store: %v, want STORE_UNAVAILABLE rather than inactive", err)
	}
	w.store.away.Store(false)
	if err := w.RevokeToken(t.Context(), string(next.Refresh), home); err != nil {
		t.Fatal(err)
	}
	inactive("access token of an ended session", operator, next.Access)
	inactive("refresh token of an ended session", operator, next.Refresh)
}

func TestRevokeToken_UnknownTokensAreFine(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	for _, tok := range []string{"", "nonsense", string(forge(tokens.Refresh)), string(tokens.Access) + "x"} {
		if err := w.RevokeToken(t.Context(), tok, home); err != nil {
			t.Errorf("RevokeToken(%.20q) = %v, want nil", tok, err)
		}
	}
	w.authenticate(tokens.Access)
	// One of an earlier generation is good enough to end the session.
	w.mustRefresh(tokens.Refresh)
	if err := w.RevokeToken(t.Context(), string(tokens.Refresh), home); err != nil {
		t.Fatal(err)
	}
	_, err := w.Authenticate(t.Context(), string(tokens.Access))
	wantCode(t, "afterwards", err, makerguard.SessionRevoked)
	if err := w.RevokeToken(t.Context(), string(tokens.Refresh), home); err != nil {
		t.Errorf("again: %v, want nil", err)
	}
}

func TestPrune_RemovesWhatIsOver(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	tokens := w.login(m.Email).Tokens
	w.clock.advance(32 * 24 * time.Hour)
	if err := w.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.db.LoadSession(t.Context(), tokens.SessionID); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("LoadSession = %v, want NOT_FOUND", err)
	}
	_, err := w.refresh(tokens.Refresh)
	wantCode(t, "Refresh", err, makerguard.TokenInvalid)
}
