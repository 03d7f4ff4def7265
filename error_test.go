package makerguard_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/makerguard/makerguard"
)

func TestError_MatchesByCodeHoweverDeep(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", &makerguard.Error{Code: makerguard.NotFound, Message: "none", Err: cause}))
	if !errors.Is(err, makerguard.NotFound) || errors.Is(err, makerguard.Conflict) {
		t.Error("errors.Is does not match by code")
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if e, ok := errors.AsType[*makerguard.Error](err); !ok || e.Message != "none" {
		t.Errorf("AsType = %v, %v, want the error", e, ok)
	}
}

func TestCodeOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want makerguard.Code
	}{
		{nil, ""},
		{errors.New("x"), makerguard.Internal},
		{makerguard.Conflict, makerguard.Conflict},
		{fmt.Errorf("x: %w", makerguard.Conflict), makerguard.Conflict},
		{fmt.Errorf("x: %w", &makerguard.Error{Code: makerguard.NotFound}), makerguard.NotFound},
		{&makerguard.Error{Code: makerguard.NotFound, Err: makerguard.Conflict}, makerguard.NotFound},
	} {
		if got := makerguard.CodeOf(tc.err); got != tc.want {
			t.Errorf("CodeOf(%v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}

func TestCodes_AreDistinctAndShouted(t *testing.T) {
	seen := map[makerguard.Code]bool{}
	for _, c := range makerguard.Codes() {
		if seen[c] {
			t.Errorf("%s is listed twice", c)
		}
		seen[c] = true
		for _, r := range c {
			if r != '_' && (r < 'A' || r > 'Z') {
				t.Errorf("%q is not upper snake case", string(c))
			}
		}
	}
}
