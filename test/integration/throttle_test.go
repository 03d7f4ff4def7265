package integration

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// from makes a request come from an address, as a trusted proxy would tell it.
func from(ip string) map[string]string { return map[string]string{"X-Forwarded-For": ip} }

// try signs in with any password, from any address.
func (s *server) try(t testing.TB, ip string, body m) answer {
	t.Helper()
	return s.do(t, request{method: http.MethodPost, path: "/v1/auth/login", body: body, header: from(ip)})
}

// After five failures in a row the next has to wait, longer each time, and even the right
// password does; all of it alike for addresses that have no account.
//
// goal: V6.3.1 V6.3.8 V2.4.1 N-3.2.2 — also: same status, body and headers for known and unknown.
func TestThrottle_GuessingSlowsDownAlikeForUnknownAccounts(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	s.register(t, "known")
	type seen struct{ status, headers, body string }
	wait := 0 // what the last refusal says
	guess := func(name, ip, password string) answer {
		a := s.try(t, ip, m{"email": name + "@maker.example", "password": password})
		wait, _ = strconv.Atoi(a.header.Get("Retry-After"))
		return a
	}
	for i := range 8 { // both at each step, so that none falls behind
		var both []seen
		for _, name := range []string{"known", "unknown"} {
			a := guess(name, fmt.Sprintf("198.51.100.%d", i+1), "not the right password")
			both = append(both, seen{strconv.Itoa(a.status), strings.Join(slices.Sorted(maps.Keys(a.header)), " "), withoutID(a)})
			if i < 5 {
				a.want(t, 401, "INVALID_CREDENTIALS")
			} else if a.want(t, 429, "RATE_LIMIT_EXCEEDED"); wait != 1 {
				t.Errorf("guess %d at %s: Retry-After %d, want 1", i+1, name, wait)
			}
		}
		if both[0] != both[1] {
			t.Errorf("guess %d tells whether there is an account:\n%v\n%v", i+1, both[0], both[1])
		}
	}
	guess("known", "198.51.100.99", password).want(t, 429, "RATE_LIMIT_EXCEEDED") // even the right one
	// After the delay one guess is let through; if it fails the delay doubles.
	eventually(t, "a guess is let through after the delay", func() bool {
		return guess("known", "198.51.100.98", "not the right password").status == 401
	})
	if guess("known", "198.51.100.98", "not the right password").want(t, 429, "RATE_LIMIT_EXCEEDED"); wait != 2 {
		t.Errorf("Retry-After %d after another failure, want 2", wait)
	}
	eventually(t, "the right password after the delay", func() bool {
		return s.try(t, "198.51.100.97", m{"email": "known@maker.example", "password": password}).status == 200
	})
}

// A stranger who guesses cannot lock the owner out of a device that signed in before; the
// device's token helps nobody else, and not without the password.
//
// goal: V6.3.1 V6.1.1
func TestThrottle_KnownDeviceIsNotLockedOut(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	owner, other := s.register(t, "owner"), s.register(t, "other")
	device := s.login(t, owner.email).str("device_token")
	foreign := s.login(t, other.email).str("device_token")
	if device == "" || device == foreign {
		t.Fatal("a sign-in gave no device token of its own")
	}
	for i := range 10 {
		s.try(t, fmt.Sprintf("203.0.113.%d", i+1), m{"email": owner.email, "password": "not the right password"})
	}
	s.try(t, "203.0.113.50", m{"email": owner.email, "password": password}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	s.try(t, "203.0.113.51", m{"email": owner.email, "password": password, "device_token": foreign}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	s.try(t, "203.0.113.52", m{"email": owner.email, "password": password, "device_token": device + "x"}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	s.try(t, "203.0.113.53", m{"email": owner.email, "password": "not the right password", "device_token": device}).want(t, 401, "INVALID_CREDENTIALS")
	s.try(t, "203.0.113.54", m{"email": owner.email, "password": password, "device_token": device}).want(t, 200, "")
	for i := range 5 { // its own counter is bounded too
		s.try(t, "203.0.113.55", m{"email": owner.email, "password": fmt.Sprint("not the right password ", i), "device_token": device}).want(t, 401, "INVALID_CREDENTIALS")
	}
	s.try(t, "203.0.113.56", m{"email": owner.email, "password": password, "device_token": device}).want(t, 429, "RATE_LIMIT_EXCEEDED")
}

// One address that fails too often is refused for all accounts, others are not; what it
// writes into forwarding headers does not help it.
//
// goal: V6.3.1 V15.3.4 API4
func TestThrottle_AddressesAndSpraying(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	owner := s.register(t, "sprayed")
	failures := 0
	for i := range 40 {
		forged := fmt.Sprintf("192.0.2.%d, 198.51.100.7", i) // the left part is the client's invention
		if s.try(t, forged, m{"email": fmt.Sprintf("guess%d@maker.example", i), "password": "not the right password"}).status == 401 {
			failures++
		}
	}
	if failures != 20 {
		t.Errorf("one address could fail on %d accounts, want 20", failures)
	}
	s.try(t, "198.51.100.7", m{"email": owner.email, "password": password}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	s.try(t, "198.51.100.8", m{"email": owner.email, "password": password}).want(t, 200, "")
	for i := range 40 { // one /64 is one address
		s.try(t, fmt.Sprintf("2001:db8:1:1::%x", i+1), m{"email": fmt.Sprintf("six%d@maker.example", i), "password": "not the right password"})
	}
	s.try(t, "2001:db8:1:1:ffff::1", m{"email": owner.email, "password": password}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	s.try(t, "2001:db8:1:2::1", m{"email": owner.email, "password": password}).want(t, 200, "")
}

// Parallel guesses are counted before any password is checked.
//
// goal: V15.4.2
func TestThrottle_ParallelGuessesAreCountedExactly(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1")
	owner := s.register(t, "parallel")
	var wg sync.WaitGroup
	results := make(chan int, 40)
	for i := range 40 {
		wg.Go(func() {
			results <- s.try(t, fmt.Sprintf("198.51.100.%d", i+1), m{"email": owner.email, "password": "not the right password"}).status
		})
	}
	wg.Wait()
	close(results)
	count := map[int]int{}
	for status := range results {
		count[status]++
	}
	if count[401] > 5 || count[401]+count[429]+count[503] != 40 {
		t.Errorf("answers by status %v, want at most five guesses checked", count)
	}
}

// Registrations from one address are limited; the limit is a setting.
//
// goal: V2.4.1 API6
func TestThrottle_Signups(t *testing.T) {
	s := start(t, "", "--trusted-proxies", "127.0.0.1", "MAKERGUARD_LIMITS_SIGNUPS_PER_HOUR=3")
	register := func(ip string, i int) answer {
		return s.do(t, request{method: http.MethodPost, path: "/v1/manufacturers", header: from(ip), body: m{
			"email": fmt.Sprintf("signup%d@maker.example", i), "password": password, "company_name": "S", "country": "FR",
		}})
	}
	for i := range 3 {
		register("198.51.100.1", i).want(t, 201, "")
	}
	if a := register("198.51.100.1", 3).want(t, 429, "RATE_LIMIT_EXCEEDED"); a.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	register("198.51.100.2", 4).want(t, 201, "")
	register("198.51.100.2", 4).want(t, 409, "CONFLICT")
}

// The codes of a second factor can be tried five times for each started sign-in, and the
// account's counter survives a new one; so does the throttling of step-up and password change.
//
// goal: V6.6.3 N-3.2.2 API2 V6.2.3
func TestThrottle_OtherCredentials(t *testing.T) {
	s := start(t, "")
	owner, token := s.signUp(t, "factor")
	secret := s.post(t, token, "/v1/auth/mfa/totp", nil).want(t, 200, "").str("secret")
	s.post(t, token, "/v1/auth/mfa/totp/confirm", m{"code": code6(t, secret, -1)}).want(t, 200, "")
	started := func() string {
		return s.post(t, "", "/v1/auth/login", m{"email": owner.email, "password": password}).want(t, 200, "").str("mfa_token")
	}
	ticket := started()
	for range 5 {
		s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": ticket, "method": "totp", "code": "000000"}).want(t, 401, "MFA_INVALID")
	}
	if a := s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": ticket, "method": "totp", "code": code6(t, secret, 0)}); a.status == 200 {
		t.Error("a sixth try with one ticket was let through")
	}
	if a := s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": started(), "method": "totp", "code": code6(t, secret, 0)}); a.status != 429 && a.status != 401 {
		t.Errorf("a new ticket right after: %v, want the account's counter to hold", a)
	}

	_, token = s.signUp(t, "stepping")
	for path, body := range map[string]m{
		"/v1/auth/step-up":         {"password": "not the right password"},
		"/v1/auth/password/change": {"current_password": "not the right password", "new_password": "another oak table entirely"},
	} {
		limited := false
		for range 8 {
			a := s.post(t, token, path, body)
			limited = limited || a.status == 429
			if a.status != 401 && a.status != 429 {
				t.Errorf("%s with a wrong password: %v, want 401 or 429", path, a)
			}
		}
		if !limited {
			t.Errorf("%s: eight wrong passwords in a row, and no 429", path)
		}
	}
}
