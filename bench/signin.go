package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/errgroup"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
)

// perRound is how many sign-ins each core has in a round: so many that its end, when some callers
// have nothing left to do, does not count.
const perRound = 24

func signInRows() []row {
	return []row{{
		path: "sign-ins/s", against: "argon2id alone",
		target:  target{relation: timesPerSecond, bound: 0.9, allocs: anyAllocs},
		measure: comparison(allCores, perRound*runtime.NumCPU(), signIns),
	}}
}

// signIns checks passwords and opens sessions on a real store; each caller signs in to its own
// account. There are twice as many callers as cores, so that the cores hash while sessions
// are written to disk: what counts is how many sign-ins a machine can do, not how long one takes.
// Hashes alone wait for nothing, and are quickest with one caller on each core.
func signIns(l *lab) (ours, theirs side, err error) {
	// As serve sets it, so that hashing leaves the scheduler room for the rest.
	before := runtime.GOMAXPROCS(2 * runtime.NumCPU())
	l.finally(func() error { runtime.GOMAXPROCS(before); return nil })
	g, err := l.guard()
	if err != nil {
		return ours, theirs, err
	}
	cores := runtime.NumCPU()
	tenants := make([]*tenant, 2*cores)
	for i := range tenants {
		if tenants[i], err = signUp(l, g, fmt.Sprintf("lunettes%d", i)); err != nil {
			return ours, theirs, err
		}
	}
	_, wrong := g.Auth.Login(l.ctx, auth.Login{Email: tenants[0].login.Email, Password: "birch chair over the linden"}, client)
	if err := want("a wrong password", wrong, makerguard.InvalidCredentials); err != nil {
		return ours, theirs, err
	}
	var signedIn atomic.Uint64
	hashes := g.Auth.Stats().Hashes
	ours.run = atOnce(len(tenants), func(worker int) error {
		tok, err := tenants[worker].signIn(l, g)
		if err != nil {
			return err
		}
		signedIn.Add(1)
		_, err = g.Auth.Authenticate(l.ctx, tok)
		return err
	})
	l.finally(func() error {
		if checked := g.Auth.Stats().Hashes - hashes; checked != signedIn.Load() {
			return fmt.Errorf("%d sign-ins checked %d passwords", signedIn.Load(), checked)
		}
		return nil
	})
	params, salt := auth.DefaultArgon2(), make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return ours, theirs, err
	}
	theirs.run = atOnce(cores, func(int) error {
		if key := argon2.IDKey([]byte(password), salt, params.Time, params.Memory, params.Threads, 32); len(key) != 32 {
			return errors.New("no hash")
		}
		return nil
	})
	return ours, theirs, nil
}

// atOnce makes a side that does its operations in several goroutines.
func atOnce(workers int, op func(worker int) error) func(n int) error {
	return func(n int) error {
		var g errgroup.Group
		var begun atomic.Int64
		for worker := range workers {
			g.Go(func() error {
				for begun.Add(1) <= int64(n) {
					if err := op(worker); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return g.Wait()
	}
}
