package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

// What is parsed is written back as it was: no two texts stand for one token.

func FuzzParseRefreshToken(f *testing.F) {
	seed := make([]byte, seedSize)
	t := refreshToken{version: 3, session: [idSize]byte{1, 2, 3}, generation: 7}
	f.Add(t.sign([]byte("key"), seed).String())
	f.Add("mgr_")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseRefreshToken(text)
		if ok && got.String() != text {
			t.Errorf("parseRefreshToken(%q).String() = %q", text, got.String())
		}
		if ok && got.genuine([]VersionedKey{{Version: got.version, Key: []byte("another key")}}, seed) {
			t.Errorf("%q passes under a key it was not made with", text)
		}
	})
}

func FuzzParseDeviceToken(f *testing.F) {
	t := deviceToken{version: 1, device: [idSize]byte{9}, issued: time.Now().Unix()}
	f.Add(t.sign([]byte("key"), "mbr_1").String())
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseDeviceToken(text); ok && got.String() != text {
			t.Errorf("parseDeviceToken(%q).String() = %q", text, got.String())
		}
	})
}

func FuzzParseArgon2Hash(f *testing.F) {
	h := argon2Hash{params: DefaultArgon2(), pepper: 2, salt: make([]byte, saltSize), digest: make([]byte, digestSize)}
	f.Add(h.String())
	f.Add(strings.Replace(h.String(), "m=47104", "m=99999999", 1))
	f.Add("$argon2id$v=19$m=,t=,p=,keyid=$$")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseArgon2Hash(text)
		if err != nil {
			return
		}
		if got.String() != text {
			t.Errorf("parseArgon2Hash(%q).String() = %q", text, got.String())
		}
		if p := got.params; p.Memory > maxArgon2.Memory || p.Time > maxArgon2.Time || p.Threads > maxArgon2.Threads {
			t.Errorf("parseArgon2Hash(%q) lets pass %+v", text, p)
		}
	})
}

func FuzzRecoveryHash(f *testing.F) {
	f.Add("01234-56789-ABCDE-FGHJK-MNPQR")
	f.Add("oil")
	f.Fuzz(func(t *testing.T, code string) {
		hash, ok := recoveryHash("mbr_1", code)
		if other, _ := recoveryHash("mbr_2", code); ok && string(other) == string(hash) {
			t.Errorf("recoveryHash(%q) is the same for two members", code)
		}
	})
}

func FuzzChallengeHash(f *testing.F) {
	text, _ := newChallengeToken()
	f.Add(string(text))
	f.Add("mgm_")
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := challengeHash(makerguard.Secret(text)); ok && len(text) != len(challengePrefix)+43 {
			t.Errorf("challengeHash(%q) takes %d bytes", text, len(text))
		}
	})
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("passwordpassword", "anna@optik.example")
	f.Add("ａａａａａａａａ\u0301\x00", "")
	f.Fuzz(func(t *testing.T, pw, word string) {
		err := checkPassword(passwordPointer, makerguard.Secret(pw), []string{word}, false)
		if err == nil && (len(pw) > maxPassword || !utf8.ValidString(pw)) {
			t.Errorf("checkPassword(%q) = nil", pw)
		}
	})
}

func FuzzAddressPrefix(f *testing.F) {
	f.Add("192.0.2.1")
	f.Add("fe80::1%eth0")
	f.Fuzz(func(t *testing.T, ip string) {
		if got := addressPrefix(ip); got == "" || strings.Contains(got, "%") {
			t.Errorf("addressPrefix(%q) = %q", ip, got)
		}
	})
}

func TestWindow_Slides(t *testing.T) {
	const size = 15 * time.Minute
	tests := []struct {
		name     string
		w        window
		want     float64
		wantWait time.Duration // until below 30
	}{
		{"empty", window{size: size}, 0, 0},
		{"only now", window{size: size, elapsed: 5 * time.Minute, current: 29}, 29, 0},
		{"full now", window{size: size, elapsed: 5 * time.Minute, current: 30}, 30, 10 * time.Minute},
		{"full before, at the border", window{size: size, previous: 30}, 30, time.Second},
		{"twice full before", window{size: size, previous: 60}, 60, 450 * time.Second},
		{"full before, a third on", window{size: size, elapsed: 5 * time.Minute, previous: 30}, 20, 0},
		{"both", window{size: size, elapsed: 5 * time.Minute, current: 20, previous: 30}, 40, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.w.estimate(); got != tt.want {
				t.Errorf("estimate() = %v, want %v", got, tt.want)
			}
			if got := tt.w.untilBelow(30); got.Round(time.Second) != tt.wantWait {
				t.Errorf("untilBelow(30) = %v, want %v", got, tt.wantWait)
			}
		})
	}
}

func TestGates_WakeInOrderAndForget(t *testing.T) {
	g := newGates()
	one := func() (int, error) { return 1, nil }
	leave, err := g.enter(t.Context(), "a", one)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 20
	done := make(chan struct{})
	for range callers {
		go func() {
			leave, err := g.enter(t.Context(), "a", one)
			if err != nil {
				t.Error(err)
			} else {
				leave()
			}
			done <- struct{}{}
		}()
	}
	if other, err := g.enter(t.Context(), "b", one); err != nil {
		t.Errorf("another gate: %v", err)
	} else {
		other()
	}
	leave()
	for range callers {
		<-done
	}
	if n := len(g.byName); n != 0 {
		t.Errorf("%d gates are left, want 0", n)
	}
}

func TestGates_WaitingCallersCanLeave(t *testing.T) {
	g := newGates()
	one := func() (int, error) { return 1, nil }
	leave, err := g.enter(t.Context(), "a", one)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	for range 3 {
		go func() {
			_, err := g.enter(ctx, "a", one)
			left <- err
		}()
	}
	cancel()
	for range 3 {
		if err := <-left; !errors.Is(err, makerguard.Overloaded) || !errors.Is(err, context.Canceled) {
			t.Errorf("enter = %v, want OVERLOADED for the end of its context", err)
		}
	}
	leave()
	if n := len(g.byName); n != 0 {
		t.Errorf("%d gates are left, want 0", n)
	}
}
