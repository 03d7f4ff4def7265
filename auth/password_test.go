package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/argon2"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fields(err error) []makerguard.FieldError {
	if e, ok := errors.AsType[*makerguard.Error](err); ok {
		return e.Fields
	}
	return nil
}

// goal: V6.2.1 V6.2.9 V6.2.5 V6.2.10 N-3.1.1.2a
func TestCheckPassword_Length(t *testing.T) {
	w := newWorld(t, nil)
	letters := func(n int) makerguard.Secret {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		b := make([]byte, n)
		for i := range b {
			b[i] = "bcdfghjkmnpqrtvwxz"[r.IntN(18)]
		}
		return makerguard.Secret(b)
	}
	tests := []struct {
		name         string
		password     makerguard.Secret
		secondFactor bool
		wantRule     string
	}{
		{"14", letters(14), false, "password.length"},
		{"15, lower case only", letters(15), false, ""},
		{"64", letters(64), false, ""},
		{"1,024", letters(1024), false, ""},
		{"1,025", letters(1025), false, "password.length"},
		{"7 with a second factor", letters(7), true, "password.length"},
		{"8 with a second factor", letters(8), true, ""},
		{"14 emoji", "🦊🌵🧵🪟🥐🛶🧭🪁🎺🧲🪶🧊🛖🥁", false, "password.length"},
		{"15 emoji", "🦊🌵🧵🪟🥐🛶🧭🪁🎺🧲🪶🧊🛖🥁🪐", false, ""},
		{"Greek, with spaces", "τέσσερις άσχετες λέξεις", false, ""},
		{"14 once composed", "e\u0301e\u0301e\u0301e\u0301" + letters(10), false, "password.length"},
		{"not UTF-8", letters(15) + "\xff", false, "password.encoding"},
		{"empty", "", true, "password.length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := w.CheckPassword(tt.password, nil, tt.secondFactor)
			got := ""
			if f := fields(err); len(f) == 1 && f[0].Pointer == "/password" && f[0].Message != "" {
				got = f[0].Rule
			}
			if got != tt.wantRule || (err == nil) != (tt.wantRule == "") {
				t.Errorf("CheckPassword = %v, want rule %q for /password", err, tt.wantRule)
			}
		})
	}
}

// goal: V6.2.4 V6.2.11 V6.2.12 N-3.1.1.2b
func TestCheckPassword_CommonPasswords(t *testing.T) {
	w := newWorld(t, nil)
	words := []string{"anna.schmidt@brillen-haus.example", "Brillen Haus & Söhne GmbH", "Anna Schmidt"}
	refused := []makerguard.Secret{
		"passwordpassword", "PASSWORDpassword", "123456789012345", "qwertyuiopasdfgh", "1qaz2wsx3edc4rfv", "zaq12wsxcde34rfv",
		"password1234567", "Password2024!!!", "iloveyouiloveyou", "administrator123", "Administrator!2026", "p@ssw0rdp@ssw0rd",
		"monkeydragon1234567", "aaaaaaaaaaaaaaaa", "abcabcabcabcabc", "abcdefghijklmnop", "zyxwvutsrqponml", "letmeinletmein!",
		"correcthorsebatterystaple", "thequickbrownfox", "Summer2025Summer2025", "111222333444555", "987654321098765",
		"makerguardmakerguard", "MakerGuard-2026!", "manufacturer2026", "eyeweareyewear1",
		"anna.schmidt@brillen-haus.example", "annaschmidt2024!", "BrillenHaus2024!", "Brillen-Haus 123", "schmidtschmidtschmidt",
		"ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ", // full-width forms, the same in NFKC
	}
	for _, pw := range refused {
		if f := fields(w.CheckPassword(pw, words, false)); len(f) != 1 || f[0].Rule != "password.common" {
			t.Errorf("CheckPassword(%q) = %+v, want it refused as common", string(pw), f)
		}
	}
	// The whole password is compared: words in it are no reason.
	accepted := []makerguard.Secret{
		"correct horse battery staple", "my password is long enough now", "anna likes herring on mondays", "kx7!vQz9pLm2wTr",
		"purple monkey dishwasher", "Brillen Haus sells many frames", goodPassword, otherPassword, "qwerty keyboards are boring",
		"a much longer password 1", "Ünïcödé-Pässwörter",
	}
	for _, pw := range accepted {
		if err := w.CheckPassword(pw, words, false); err != nil {
			t.Errorf("CheckPassword(%q) = %v, want nil", string(pw), err)
		}
	}
}

// The list has far more than 10,000 entries, and chance does not hit one.
func TestCheckPassword_ListIsLargeAndExact(t *testing.T) {
	w := newWorld(t, nil)
	bases := strings.Fields(`password welcome monkey dragon sunshine princess football baseball superman batman
		master shadow michael jennifer jordan hunter killer pepper ginger summer winter cookie cheese computer internet
		samsung ferrari mercedes yamaha london chelsea liverpool arsenal diamond silver golden purple orange banana
		charlie maggie hannah samantha jessica ashley thomas robert daniel andrew joshua matthew admin administrator
		manager operator letmein iloveyou trustno1 starwars pokemon naruto metallica nirvana slipknot eagle falcon`)
	n := 0
	for _, base := range bases {
		for year := 1900; year < 2030; year++ {
			for _, form := range []string{"%s%d", "%s%d!", "%[2]d%[1]s"} {
				pw := fmt.Sprintf(form, base, year)
				n++
				if f := fields(w.CheckPassword(makerguard.Secret(pw), nil, true)); len(f) != 1 || f[0].Rule != "password.common" {
					t.Fatalf("%q is not refused as common: %+v", pw, f)
				}
			}
		}
	}
	if n < 10_000 {
		t.Errorf("%d entries were tried, want at least 10,000", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ka to mi lu re so pa ne vi do fu ge ba xi zo wy")
	for range 10_000 {
		var pw strings.Builder
		for pw.Len() < 18 {
			pw.WriteString(syllables[r.IntN(len(syllables))])
		}
		if err := w.CheckPassword(makerguard.Secret(pw.String()), nil, false); err != nil {
			t.Errorf("CheckPassword(%q) = %v, want nil", pw.String(), err)
		}
	}
}

// goal: N-3.1.1.2c
func TestHashPassword_Format(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Argon2, c.InsecureParams = auth.Argon2{}, false })
	a, err := w.HashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.HashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(a), "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" || parts[3] != "m=47104,t=1,p=1,keyid=1" || len(parts[4]) != 22 || len(parts[5]) != 43 {
		t.Errorf("hash = %q, want $argon2id$v=19$m=47104,t=1,p=1,keyid=1$ and 128 and 256 bits", string(a))
	}
	if a == b {
		t.Error("the same password has the same hash twice")
	}
	_, err = w.HashPassword(t.Context(), makerguard.Secret(strings.Repeat("a", 1025)))
	wantCode(t, "1,025 bytes", err, makerguard.ValidationFailed)
}

// goal: V6.2.8 V6.2.9 N-3.1.1.2c
func TestPassword_IsVerifiedAsReceived(t *testing.T) {
	w := newWorld(t, nil)
	long := strings.Repeat("0123456789abcdef", 5)
	tests := []struct {
		name     string
		set, try makerguard.Secret
		want     bool
	}{
		{"same", goodPassword, goodPassword, true},
		{"space before", goodPassword, " " + goodPassword, false},
		{"space behind", goodPassword, goodPassword + " ", false},
		{"another case", goodPassword, "Four words nobody guesses", false},
		{"the 80th character", makerguard.Secret(long), makerguard.Secret(long[:79] + "x"), false},
		{"after the 72nd", makerguard.Secret(long), makerguard.Secret(long[:72]), false},
		{"NUL and more", "four words\x00nobody guesses", "four words\x00nobody", false},
		{"decomposed", "größe zählt für immer", "gro\u0308ße za\u0308hlt fu\u0308r immer", true},
		{"compatibility forms", "ﬁve ﬂying ﬁsh ①②③", "five flying fish 123", true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := w.manufacturer(fmt.Sprintf("m%d@optik.example", i), makerguard.TierFree)
			hash, err := w.HashPassword(t.Context(), tt.set)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.db.SetPassword(t.Context(), makerguard.PasswordUpdate{
				ManufacturerID: m.ManufacturerID, MemberID: m.ID, Old: m.PasswordHash, New: hash, Now: w.clock.now(),
			}); err != nil {
				t.Fatal(err)
			}
			_, err = w.Login(t.Context(), auth.Login{Email: m.Email, Password: tt.try}, home)
			if got := err == nil; got != tt.want {
				t.Errorf("signed in = %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// A stolen store is no use without the pepper.
func TestPassword_NeedsThePepper(t *testing.T) {
	w := newWorld(t, nil)
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	thief := newWorld(t, func(c *auth.Config) {
		c.Store = w.store
		c.Keys.Pepper = []auth.VersionedKey{{Version: 1, Key: key(99)}}
	})
	_, err := thief.Login(t.Context(), auth.Login{Email: m.Email, Password: goodPassword}, home)
	wantCode(t, "the right password with another pepper", err, makerguard.InvalidCredentials)
}

// goal: A1 (surplus sign-ins are refused, those that wait can leave, nothing piles up)
func TestHashing_StormIsBounded(t *testing.T) {
	const workers, queue, callers = 2, 6, 200
	w := newWorld(t, func(c *auth.Config) {
		c.HashWorkers, c.HashQueue = workers, queue
		c.Argon2 = auth.Argon2{Memory: 4 << 10, Time: 1, Threads: 1}
	})
	tokens := w.login(w.manufacturer("anna@optik.example", makerguard.TierFree).Email).Tokens
	before := w.Stats().Hashes
	var ok, refused, most atomic.Int64
	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				most.Store(max(most.Load(), w.Stats().Hashing))
				w.authenticate(tokens.Access) // goes on meanwhile
			}
		}
	})
	parallel(callers, func(int) {
		_, err := w.HashPassword(t.Context(), goodPassword)
		switch {
		case err == nil:
			ok.Add(1)
		case errors.Is(err, makerguard.Overloaded) && retryAfter(err) > 0:
			refused.Add(1)
		default:
			t.Errorf("HashPassword: %v, want OVERLOADED with RetryAfter", err)
		}
	})
	close(stop)
	done.Wait()
	if ok.Load() < workers+queue || ok.Load()+refused.Load() != callers {
		t.Errorf("%d hashed, %d refused of %d, want at least %d hashed and all told", ok.Load(), refused.Load(), callers, workers+queue)
	}
	if n := w.Stats().Hashes - before; n != uint64(ok.Load()) {
		t.Errorf("%d hashes for %d answers", n, ok.Load())
	}
	if most.Load() > workers+queue {
		t.Errorf("%d callers inside, want at most %d", most.Load(), workers+queue)
	}
	if n := w.Stats().Hashing; n != 0 {
		t.Errorf("%d callers inside afterwards, want 0", n)
	}
	t.Logf("%d callers: %d hashed, %d refused", callers, ok.Load(), refused.Load())
}

func TestHashing_WaitingCallersCanLeave(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.HashWorkers, c.HashQueue = 1, 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 { // more than there are places
		_, err := w.HashPassword(ctx, goodPassword)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("HashPassword = %v, want that of its context", err)
		}
	}
	if _, err := w.HashPassword(t.Context(), goodPassword); err != nil {
		t.Errorf("afterwards: %v, want a free place", err)
	}
}

// goal: A35
func TestSecrets_AreNeverPrinted(t *testing.T) {
	var logged bytes.Buffer
	w := newWorld(t, func(c *auth.Config) { c.Logger = textLogger(&logged) })
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	p := w.authenticate(w.login(m.Email).Tokens.Access)
	e, err := w.EnrolTOTP(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	confirmed, err := w.ConfirmTOTP(t.Context(), p, w.code(string(e.Secret)), "", home)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(30 * time.Second)
	in := w.login(m.Email)
	done, err := w.VerifyMFA(t.Context(), in.MFAToken, auth.MethodTOTP, w.code(string(e.Secret)), home)
	if err != nil {
		t.Fatal(err)
	}
	_, failure := w.Login(t.Context(), auth.Login{Email: m.Email, Password: wrongPassword, DeviceToken: done.DeviceToken}, home)
	_, reuse := w.refresh(done.Tokens.Refresh + "x")

	secrets := []string{
		goodPassword, wrongPassword, string(e.Secret), string(in.MFAToken), string(done.Tokens.Access), string(done.Tokens.Refresh),
		string(done.DeviceToken), string(confirmed.RecoveryCodes[0]), string(m.PasswordHash), string(e.URI),
	}
	var printed bytes.Buffer
	for _, v := range []any{e, confirmed, in, done, *done.Tokens, auth.Login{Email: m.Email, Password: goodPassword}, failure, reuse, w.log.entries, w.log.threats} {
		fmt.Fprintf(&printed, "%v %+v %#v %s\n", v, v, v, v)
		if b, err := json.Marshal(v); err == nil {
			printed.Write(b)
		}
		textLogger(&printed).Info("test", "value", v)
	}
	// A QR code is a picture of the secret and not text.
	text := logged.String() + printed.String()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("a secret of %d bytes beginning with %.4q was printed", len(s), s)
		}
	}
}

func TestNew_ReportsEverythingWrong(t *testing.T) {
	_, err := auth.New(auth.Config{})
	for _, want := range []string{"Store", "Sealer", "Tokens", "Audit", "Threats", "Policy", "Feed", "EmailKey", "Pepper", "Refresh", "Device"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(Config{}) = %v, want it to name %s", err, want)
		}
	}
	w := newWorld(t, nil)
	for name, adjust := range map[string]func(*auth.Config){
		"weak argon2":      func(c *auth.Config) { c.InsecureParams = false },
		"dear argon2":      func(c *auth.Config) { c.Argon2.Memory = 1 << 30 },
		"long idle":        func(c *auth.Config) { c.SessionIdle = 2 * time.Hour },
		"long session":     func(c *auth.Config) { c.SessionLifetime = 25 * time.Hour },
		"long token":       func(c *auth.Config) { c.AccessLifetime = time.Hour },
		"negative workers": func(c *auth.Config) { c.HashWorkers = -1 },
		"short key":        func(c *auth.Config) { c.Keys.Device = []auth.VersionedKey{{Version: 1, Key: key(1)[:31]}} },
		"versions in no order": func(c *auth.Config) {
			c.Keys.Device = []auth.VersionedKey{{Version: 2, Key: key(1)}, {Version: 1, Key: key(2)}}
		},
	} {
		c := w.config
		adjust(&c)
		if _, err := auth.New(c); err == nil {
			t.Errorf("New with %s: no error", name)
		}
	}
	for _, ok := range []auth.Argon2{{Memory: 46 << 10, Time: 1, Threads: 1}, {Memory: 19 << 10, Time: 2, Threads: 1}, {Memory: 64 << 10, Time: 3, Threads: 4}} {
		c := w.config
		c.Argon2, c.InsecureParams = ok, false
		s, err := auth.New(c)
		if err != nil {
			t.Errorf("New with %+v: %v", ok, err)
			continue
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wantCode(t, "SetKeys without keys", w.SetKeys(auth.Keys{}), makerguard.Internal)
}

func TestAllowSignup(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.SignupsPerHour = 10 })
	allow := func(ip string) error { return w.AllowSignup(t.Context(), makerguard.Client{IP: ip}) }
	var allowed atomic.Int64
	parallel(30, func(int) {
		if allow("203.0.113.1") == nil {
			allowed.Add(1)
		}
	})
	if n := allowed.Load(); n > 10 {
		t.Errorf("%d of 30 parallel registrations allowed, want at most 10", n)
	}
	err := allow("203.0.113.1")
	wantCode(t, "past the limit", err, makerguard.RateLimitExceeded)
	if d := retryAfter(err); d <= 0 || d > time.Hour {
		t.Errorf("RetryAfter = %v, want up to an hour", d)
	}
	if err := allow("203.0.113.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.clock.advance(2 * time.Hour)
	if err := allow("203.0.113.1"); err != nil {
		t.Errorf("two hours later: %v", err)
	}
}

// goal: N-3.1.1.2c (what a bare argon2id costs is what a sign-in costs)
func BenchmarkLogin(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Argon2, c.InsecureParams = auth.Argon2{}, false })
	w.policy.sessions = 1
	m := w.manufacturer("anna@optik.example", makerguard.TierFree)
	b.Run("login", func(b *testing.B) {
		for b.Loop() {
			w.login(m.Email)
		}
	})
	b.Run("bare_argon2id", func(b *testing.B) {
		p := auth.DefaultArgon2()
		for b.Loop() {
			argon2.IDKey([]byte(goodPassword), key(1)[:16], p.Time, p.Memory, p.Threads, 32)
		}
	})
}

func BenchmarkAuthenticate_Warm(b *testing.B) {
	w := newWorld(b, func(c *auth.Config) { c.Now = time.Now; c.Tokens = newRing(b, time.Now) })
	in := w.login(w.manufacturer("anna@optik.example", makerguard.TierFree).Email)
	access, ctx := string(in.Tokens.Access), b.Context()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Authenticate(ctx, access); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := w.Authenticate(ctx, access); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkAuthenticate_Cold(b *testing.B) {
	w := newWorld(b, nil)
	in := w.login(w.manufacturer("anna@optik.example", makerguard.TierFree).Email)
	access, ctx := string(in.Tokens.Access), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		w.Apply(makerguard.Change{Kind: makerguard.KeysChanged}) // verify the signature again
		if _, err := w.Authenticate(ctx, access); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAuthenticate_WarmAllocatesNothing(t *testing.T) {
	w := newWorld(t, nil)
	in := w.login(w.manufacturer("anna@optik.example", makerguard.TierFree).Email)
	access, ctx := string(in.Tokens.Access), t.Context()
	w.authenticate(in.Tokens.Access)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := w.Authenticate(ctx, access); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
