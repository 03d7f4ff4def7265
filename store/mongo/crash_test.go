package mongo_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/mongo"
)

// crash is a database in which a method died between two of its writes.
type crash struct {
	*testing.T
	uri makerguard.Secret
	s   *mongo.Store // as another node sees it before anything is repaired
	now time.Time
}

// crashing opens a store, prepares it, and has fn die at step.
func crashing(t *testing.T, step string, prepare func(*crash), fn func(*crash) error) *crash {
	t.Helper()
	c := &crash{T: t, uri: newURI(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	c.s = openStore(t, mongo.Config{URI: c.uri})
	if prepare != nil {
		prepare(c)
	}
	c.s.StopAt(dying(step))
	if err := fn(c); !errors.Is(err, errDied) {
		t.Fatalf("it returned %v, want to have died at %s", err, step)
	}
	c.s.StopAt(nil)
	return c
}

// restart opens the store anew, when so much time has passed by the node's clock.
func (c *crash) restart(after time.Duration) {
	c.Helper()
	c.s = openStore(c.T, mongo.Config{URI: c.uri, Now: func() time.Time { return time.Now().Add(after) }})
}

// whileCrashedAndAfter runs check before anything is repaired and after a start.
func (c *crash) whileCrashedAndAfter(check func(when string)) {
	c.Helper()
	check("before a repair")
	c.restart(2 * time.Minute)
	check("after a start")
}

func (c *crash) ok(what string, err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s: %v", what, err)
	}
}

func (c *crash) fails(what string, err error, code makerguard.Code) {
	c.Helper()
	if makerguard.CodeOf(err) != code {
		c.Errorf("%s = %v, want %s", what, err, code)
	}
}

// left counts the documents that still say that something is half done.
func (c *crash) left() int64 {
	c.Helper()
	var sum int64
	for collection, filter := range map[string]bson.D{
		"manufacturers": {{Key: "$or", Value: bson.A{
			bson.D{{Key: "registering", Value: bson.D{{Key: "$exists", Value: true}}}},
			bson.D{{Key: "settling.0", Value: bson.D{{Key: "$exists", Value: true}}}},
			bson.D{{Key: "ended.marking", Value: true}},
		}}},
		"manufacturer_members": {{Key: "ended.marking", Value: true}},
	} {
		n, err := c.s.Database().Collection(collection).CountDocuments(c.Context(), filter)
		c.ok("CountDocuments", err)
		sum += n
	}
	return sum
}

func (c *crash) manufacturer(name string) makerguard.Manufacturer {
	return makerguard.Manufacturer{
		ID: makerguard.ManufacturerID(name), CompanyName: name, Tier: makerguard.TierFree, Status: makerguard.StatusActive, CreatedAt: c.now, UpdatedAt: c.now,
	}
}

func (c *crash) member(name string, role makerguard.Role) makerguard.Member {
	return makerguard.Member{
		ID: makerguard.MemberID(name), ManufacturerID: "mfr", Email: name + "@example.com", EmailKey: name + "@example.com", Role: role,
		Status: makerguard.StatusActive, PasswordHash: "old", CreatedAt: c.now, UpdatedAt: c.now,
	}
}

// registered stores the manufacturer mfr with its owner.
func registered(c *crash) {
	c.Helper()
	c.ok("CreateManufacturer", c.s.CreateManufacturer(c.Context(), c.manufacturer("mfr"), c.member("owner", makerguard.RoleOwner)))
}

func TestCrash_RegistrationBeforeItsOwnerNeverHappened(t *testing.T) {
	c := crashing(t, "register.manufacturer", nil, func(c *crash) error {
		return c.s.CreateManufacturer(c.Context(), c.manufacturer("mfr"), c.member("owner", makerguard.RoleOwner))
	})
	unseen := func(when string) {
		_, err := c.s.Manufacturer(c.Context(), "mfr")
		c.fails("Manufacturer "+when, err, makerguard.NotFound)
		list, err := c.s.Manufacturers(c.Context(), "", "", 9)
		if err != nil || len(list) != 0 {
			c.Errorf("Manufacturers %s = %+v, %v, want none", when, list, err)
		}
		_, _, err = c.s.MemberByEmail(c.Context(), "owner@example.com")
		c.fails("MemberByEmail "+when, err, makerguard.NotFound)
		c.fails("SetTier "+when, c.s.SetTier(c.Context(), "mfr", makerguard.TierFree, c.now), makerguard.NotFound)
		c.fails("CreateMember "+when, c.s.CreateMember(c.Context(), c.member("other", makerguard.RoleEditor), 9), makerguard.NotFound)
	}
	unseen("before a repair")
	c.restart(0)
	if c.left() != 1 {
		c.Error("a start at once took away a registration that may be under way")
	}
	again := c.member("owner2", makerguard.RoleOwner)
	again.EmailKey = "owner@example.com"
	c.ok("CreateManufacturer with the address", c.s.CreateManufacturer(c.Context(), c.manufacturer("mfr_2"), again))
	c.ok("SetStatus", c.s.SetStatus(c.Context(), "mfr_2", makerguard.StatusActive, "", c.now))
	c.restart(2 * time.Minute)
	if n := c.left(); n != 0 {
		c.Errorf("%d half done after a start, want 0", n)
	}
	_, err := c.s.Manufacturer(c.Context(), "mfr")
	c.fails("Manufacturer after a start", err, makerguard.NotFound)
	c.ok("CreateManufacturer with the id", c.s.CreateManufacturer(c.Context(), c.manufacturer("mfr"), c.member("owner3", makerguard.RoleOwner)))
}

func TestCrash_RegistrationAfterItsOwnerHappened(t *testing.T) {
	for name, complete := range map[string]func(c *crash) error{
		"completed by a start": func(c *crash) error {
			c.restart(2 * time.Minute)
			return nil
		},
		"completed by the owner's sign-in": func(c *crash) error {
			_, f, err := c.s.MemberByEmail(c.Context(), "owner@example.com")
			if f.ID != "mfr" {
				c.Errorf("MemberByEmail gave manufacturer %q, want mfr", f.ID)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := crashing(t, "register.owner", nil, func(c *crash) error {
				return c.s.CreateManufacturer(c.Context(), c.manufacturer("mfr"), c.member("owner", makerguard.RoleOwner))
			})
			c.ok("completing it", complete(c))
			_, err := c.s.Manufacturer(c.Context(), "mfr")
			c.ok("Manufacturer", err)
			c.fails("SetRole of the only owner", c.s.SetRole(c.Context(), "mfr", "owner", makerguard.RoleEditor, c.now), makerguard.Conflict)
			if n := c.left(); n != 0 {
				c.Errorf("%d half done, want 0", n)
			}
		})
	}
}

// TestCrash_RepairOfASlowRegistrationLeavesNoHalf has a start give up a registration that is still under way.
func TestCrash_RepairOfASlowRegistrationLeavesNoHalf(t *testing.T) {
	c := &crash{T: t, uri: newURI(t), now: time.Now()}
	c.s = openStore(t, mongo.Config{URI: c.uri})
	slow := c.s
	slow.StopAt(func(step string) error {
		if step == "register.manufacturer" {
			c.restart(2 * time.Minute)
		}
		return nil
	})
	err := slow.CreateManufacturer(t.Context(), c.manufacturer("mfr"), c.member("owner", makerguard.RoleOwner))
	c.fails("CreateManufacturer that a start gave up", err, makerguard.StoreUnavailable)
	_, _, err = c.s.MemberByEmail(t.Context(), "owner@example.com")
	c.fails("MemberByEmail", err, makerguard.NotFound)
	registered(c)
}

func TestCrash_MemberTakesAPlaceOnlyIfStored(t *testing.T) {
	create := func(c *crash) error {
		return c.s.CreateMember(c.Context(), c.member("second", makerguard.RoleOwner), 2)
	}
	t.Run("before it is stored", func(t *testing.T) {
		c := crashing(t, "member.place", registered, create)
		c.whileCrashedAndAfter(func(when string) {
			_, err := c.s.Member(c.Context(), "mfr", "second")
			c.fails("Member "+when, err, makerguard.NotFound)
			c.fails("SetRole of the only owner "+when, c.s.SetRole(c.Context(), "mfr", "owner", makerguard.RoleEditor, c.now), makerguard.Conflict)
		})
		c.ok("CreateMember in the place given back", c.s.CreateMember(c.Context(), c.member("third", makerguard.RoleEditor), 2))
		if n := c.left(); n != 0 {
			c.Errorf("%d half done after a start, want 0", n)
		}
	})
	t.Run("the same call again", func(t *testing.T) {
		c := crashing(t, "member.place", registered, create)
		c.ok("CreateMember again", create(c))
		c.fails("CreateMember at the limit", c.s.CreateMember(c.Context(), c.member("third", makerguard.RoleEditor), 2), makerguard.EntitlementExceeded)
		c.ok("SetRole with another owner", c.s.SetRole(c.Context(), "mfr", "owner", makerguard.RoleEditor, c.now))
	})
	t.Run("after it is stored", func(t *testing.T) {
		c := crashing(t, "member.stored", registered, create)
		c.whileCrashedAndAfter(func(when string) {
			_, err := c.s.Member(c.Context(), "mfr", "second")
			c.ok("Member "+when, err)
			c.fails("CreateMember at the limit "+when, c.s.CreateMember(c.Context(), c.member("third", makerguard.RoleEditor), 2), makerguard.EntitlementExceeded)
		})
		c.ok("SetRole with another owner", c.s.SetRole(c.Context(), "mfr", "owner", makerguard.RoleEditor, c.now))
		if n := c.left(); n != 0 {
			c.Errorf("%d half done after a start, want 0", n)
		}
	})
}

// TestCrash_ThereIsAlwaysAnOwner dies in changes of roles. Whatever is left, somebody is owner and
// nobody can take that away.
func TestCrash_ThereIsAlwaysAnOwner(t *testing.T) {
	withTwo := func(role makerguard.Role) func(c *crash) {
		return func(c *crash) {
			registered(c)
			c.ok("CreateMember", c.s.CreateMember(c.Context(), c.member("second", role), 9))
		}
	}
	setRole := func(id makerguard.MemberID, role makerguard.Role) func(c *crash) error {
		return func(c *crash) error { return c.s.SetRole(c.Context(), "mfr", id, role, c.now) }
	}
	for _, test := range []struct {
		name    string
		step    string
		prepare func(c *crash)
		change  func(c *crash) error
		second  makerguard.Role // what the second member is afterwards
		retire  bool            // whether the first owner can retire after a start
	}{
		{"an owner retires, before", "role.noted", withTwo(makerguard.RoleOwner), setRole("second", makerguard.RoleEditor), makerguard.RoleOwner, true},
		{"an owner retires, after", "role.stored", withTwo(makerguard.RoleOwner), setRole("second", makerguard.RoleEditor), makerguard.RoleEditor, false},
		{"somebody becomes owner, before", "role.noted", withTwo(makerguard.RoleEditor), setRole("second", makerguard.RoleOwner), makerguard.RoleEditor, false},
		{"somebody becomes owner, after", "role.stored", withTwo(makerguard.RoleEditor), setRole("second", makerguard.RoleOwner), makerguard.RoleOwner, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := crashing(t, test.step, test.prepare, test.change)
			c.whileCrashedAndAfter(func(when string) {
				m, err := c.s.Member(c.Context(), "mfr", "second")
				if err != nil || m.Role != test.second {
					c.Errorf("the second member %s = %q, %v, want %q", when, m.Role, err, test.second)
				}
				if when == "before a repair" || !test.retire {
					c.fails("SetRole of the first owner "+when, setRole("owner", makerguard.RoleEditor)(c), makerguard.Conflict)
				}
			})
			if n := c.left(); n != 0 {
				c.Errorf("%d half done after a start, want 0", n)
			}
			if !test.retire {
				return
			}
			c.ok("SetRole of the first owner", setRole("owner", makerguard.RoleEditor)(c))
			c.fails("SetRole of the last owner", setRole("second", makerguard.RoleEditor)(c), makerguard.Conflict)
		})
	}
}

// session is a live session of the owner.
func (c *crash) session(name string) makerguard.Session {
	return makerguard.Session{
		ID: makerguard.SessionID(name), ManufacturerID: "mfr", MemberID: "owner", CreatedAt: c.now, LastSeenAt: c.now, ExpiresAt: c.now.Add(time.Hour), AuthTime: c.now,
	}
}

// signedIn is registered with sessions of the owner named keep and other, and a factor.
func signedIn(c *crash) {
	c.Helper()
	registered(c)
	for _, name := range []string{"keep", "other"} {
		c.ok("CreateSession", c.s.CreateSession(c.Context(), c.session(name), makerguard.Unlimited, c.now))
	}
	c.ok("SetPendingTOTP", c.s.SetPendingTOTP(c.Context(), "mfr", "owner", []byte("seed"), c.now))
	c.ok("ConfirmTOTP", c.s.ConfirmTOTP(c.Context(), "mfr", "owner", []byte("seed"), 1, nil, c.now))
}

// ended checks the reason a session was ended for; "" is live.
func (c *crash) ended(when, name, reason string) {
	c.Helper()
	s, _, _, err := c.s.LoadSession(c.Context(), makerguard.SessionID(name))
	if err != nil || s.RevokeReason != reason || s.RevokedAt.IsZero() != (reason == "") || reason != "" && !s.RevokedAt.Equal(c.now) {
		c.Errorf("session %s %s: revoked at %v for %q, %v, want %q", name, when, s.RevokedAt, s.RevokeReason, err, reason)
	}
}

// TestCrash_EndsOfSessionsAreWhole dies in each method that ends many sessions. From its first
// write on, all are ended, whether their documents say so yet or not.
func TestCrash_EndsOfSessionsAreWhole(t *testing.T) {
	password := makerguard.PasswordUpdate{ManufacturerID: "mfr", MemberID: "owner", Old: "old", New: "new", EndSessions: true, Except: "keep"}
	for _, test := range []struct {
		name   string
		end    func(c *crash) error
		steps  []string
		reason string
		spares bool
		change makerguard.Change
	}{
		{"SetPassword", func(c *crash) error {
			p := password
			p.Now = c.now
			return c.s.SetPassword(c.Context(), p)
		}, []string{"end.epoch", "end.marked"}, "password_change", true, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: "mfr", MemberID: "owner"}},
		{"RemoveTOTP", func(c *crash) error {
			return c.s.RemoveTOTP(c.Context(), "mfr", "owner", "keep", c.now)
		}, []string{"end.epoch", "end.marked"}, "factor_reset", true, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: "mfr", MemberID: "owner"}},
		{"RevokeSessions", func(c *crash) error {
			_, err := c.s.RevokeSessions(c.Context(), "mfr", "owner", "keep", "logout", c.now)
			return err
		}, []string{"end.epoch", "end.marked"}, "logout", true, makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: "mfr", MemberID: "owner"}},
		{"SetStatus", func(c *crash) error {
			return c.s.SetStatus(c.Context(), "mfr", makerguard.StatusSuspended, "unpaid", c.now)
		}, []string{"status.epoch", "end.marked"}, "suspension", false, makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr"}},
	} {
		for _, step := range test.steps {
			t.Run(test.name+" at "+step, func(t *testing.T) {
				var cursor makerguard.Cursor
				c := crashing(t, step, func(c *crash) {
					signedIn(c)
					_, cursor = changes(t, c.s, "")
				}, test.end)
				if list, _ := changes(t, c.s, cursor); !slices.Contains(list, test.change) {
					c.Errorf("the feed told %+v, want %+v among it", list, test.change)
				}
				kept := test.reason
				var live []makerguard.SessionID
				if test.spares {
					kept, live = "", []makerguard.SessionID{"keep"}
				}
				c.whileCrashedAndAfter(func(when string) {
					c.ended(when, "other", test.reason)
					c.ended(when, "keep", kept)
					list, err := c.s.Sessions(c.Context(), "mfr", "owner", c.now)
					c.ok("Sessions", err)
					var ids []makerguard.SessionID
					for _, s := range list {
						ids = append(ids, s.ID)
					}
					if !slices.Equal(ids, live) {
						c.Errorf("Sessions %s = %q, want %q", when, ids, live)
					}
					_, err = c.s.AdvanceRefresh(c.Context(), "mfr", "other", 0, c.now)
					c.fails("AdvanceRefresh of an ended session "+when, err, makerguard.Conflict)
				})
				n, err := c.s.Database().Collection("manufacturer_sessions").CountDocuments(c.Context(), bson.D{{Key: "live", Value: true}})
				c.ok("CountDocuments", err)
				if int(n) != len(live) || c.left() != 0 {
					c.Errorf("%d sessions marked as live and %d documents half done after a start, want %d and 0", n, c.left(), len(live))
				}
			})
		}
	}
}

// TestCrash_ALaterEndKeepsTheFirstReason ends sessions again before anything was repaired.
func TestCrash_ALaterEndKeepsTheFirstReason(t *testing.T) {
	c := crashing(t, "end.epoch", signedIn, func(c *crash) error {
		return c.s.SetPassword(c.Context(), makerguard.PasswordUpdate{
			ManufacturerID: "mfr", MemberID: "owner", Old: "old", New: "new", EndSessions: true, Except: "keep", Now: c.now,
		})
	})
	n, err := c.s.RevokeSessions(c.Context(), "mfr", "owner", "", "logout", c.now)
	if err != nil || n != 1 {
		c.Errorf("RevokeSessions = %d, %v, want the 1 that was live", n, err)
	}
	c.ended("after both", "other", "password_change")
	c.ended("after both", "keep", "logout")
}

// TestEnd_NeverRevives has two sessions end all others at once, each sparing itself. The one that was
// ended first stays so though the second end names it.
func TestEnd_NeverRevives(t *testing.T) {
	c := &crash{T: t, s: newStore(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	signedIn(c)
	end := func(except makerguard.SessionID, want int) {
		t.Helper()
		n, err := c.s.RevokeSessions(t.Context(), "mfr", "owner", except, "logout", c.now)
		if err != nil || n != want {
			t.Errorf("RevokeSessions but %s = %d, %v, want %d", except, n, err, want)
		}
	}
	end("keep", 1)
	c.ended("after the first", "other", "logout")
	end("keep", 0) // spared twice
	c.ended("spared twice", "keep", "")
	end("other", 1)
	c.ended("named when it was ended already", "other", "logout")
	c.ended("after another was named", "keep", "logout")

	c.ok("CreateSession", c.s.CreateSession(t.Context(), c.session("new"), makerguard.Unlimited, c.now))
	c.ended("signed in afterwards", "new", "")
}

// TestEnd_ReachesASessionOnItsWay ends all sessions while one is about to be stored. It is born dead,
// and stays so though a later end names it.
func TestEnd_ReachesASessionOnItsWay(t *testing.T) {
	c := &crash{T: t, s: newStore(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	signedIn(c)
	revoke := func(except makerguard.SessionID) {
		_, err := c.s.RevokeSessions(t.Context(), "mfr", "owner", except, "logout", c.now)
		c.ok("RevokeSessions", err)
	}
	c.s.StopAt(func(step string) error {
		if step == "session.numbered" {
			revoke("")
		}
		return nil
	})
	c.ok("CreateSession", c.s.CreateSession(t.Context(), c.session("late"), makerguard.Unlimited, c.now))
	c.ended("stored after the end", "late", "logout")
	c.s.StopAt(dying("end.epoch"))
	if _, err := c.s.RevokeSessions(t.Context(), "mfr", "owner", "late", "logout", c.now); !errors.Is(err, errDied) {
		t.Fatalf("RevokeSessions = %v, want to have died", err)
	}
	c.ended("named by a later end", "late", "logout")
	c.s.StopAt(nil)
	revoke("late")
	c.ended("named by later ends", "late", "logout")
	list, err := c.s.Sessions(t.Context(), "mfr", "owner", c.now)
	if err != nil || len(list) != 0 {
		t.Errorf("Sessions = %+v, %v, want none", list, err)
	}
}

func TestCrash_ASessionTooManyIsEndedByTheNext(t *testing.T) {
	third := func(c *crash) error { return c.s.CreateSession(c.Context(), c.session("third"), 2, c.now) }
	count := func(c *crash) int {
		list, err := c.s.Sessions(c.Context(), "mfr", "owner", c.now)
		c.ok("Sessions", err)
		return len(list)
	}
	c := crashing(t, "session.numbered", signedIn, third)
	if n := count(c); n != 2 {
		c.Errorf("%d sessions after one that was not stored, want 2", n)
	}
	c = crashing(t, "session.stored", signedIn, third)
	if n := count(c); n != 3 {
		c.Errorf("%d sessions after a crash before the oldest was ended, want 3", n)
	}
	c.ok("CreateSession", c.s.CreateSession(c.Context(), c.session("fourth"), 2, c.now))
	if n := count(c); n != 2 {
		c.Errorf("%d sessions after the next sign-in, want the limit of 2", n)
	}
	c.ended("after the next sign-in", "third", "")
}

// TestCreateSession_TheNewestStays has many sign in at once under a limit of one: not all of
// them end one another.
//
// goal: V2.3.2
func TestCreateSession_TheNewestStays(t *testing.T) {
	c := &crash{T: t, s: newStore(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	registered(c)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			errs <- c.s.CreateSession(t.Context(), c.session(id.New("ses")), 1, c.now)
		}()
	}
	for range cap(errs) {
		c.ok("CreateSession", <-errs)
	}
	list, err := c.s.Sessions(t.Context(), "mfr", "owner", c.now)
	if err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v, want exactly 1", len(list), err)
	}
}

// TestCrash_EveryStepHasATest finds each place between two writes in a test.
func TestCrash_EveryStepHasATest(t *testing.T) {
	step := regexp.MustCompile(`\.at\("([^"]+)"\)`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	steps := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			tests.Write(b)
			continue
		}
		for _, m := range step.FindAllStringSubmatch(string(b), -1) {
			steps[m[1]] = file
		}
	}
	if len(steps) == 0 {
		t.Error("no steps found")
	}
	for name, file := range steps {
		if !strings.Contains(tests.String(), `"`+name+`"`) {
			t.Errorf("no test dies at %q (%s)", name, file)
		}
	}
}
