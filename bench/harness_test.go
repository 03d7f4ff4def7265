package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	samples := func(ns float64, allocs int64) sample { return sample{ns: []float64{ns, ns, ns}, allocs: allocs} }
	for _, tc := range []struct {
		name         string
		target       target
		ours, theirs sample
		met          bool
		ratio        string
	}{
		{"fast enough", target{timesFaster, 10, 0, ""}, samples(20, 0), samples(200, 7), true, "10 x as fast"},
		{"too slow", target{timesFaster, 10, 0, ""}, samples(21, 0), samples(200, 7), false, "9.524 x as fast"},
		{"allocates too much", target{timesFaster, 10, 0, ""}, samples(20, 1), samples(200, 7), false, "10 x as fast"},
		{"not too long", target{timesAsLong, 1.25, anyAllocs, ""}, samples(125, 9), samples(100, 0), true, "1.25 x as long"},
		{"too long", target{timesAsLong, 1.25, anyAllocs, ""}, samples(126, 9), samples(100, 0), false, "1.26 x as long"},
		{"little more", target{microsMore, 5, anyAllocs, ""}, samples(5100, 9), samples(100, 0), true, "5.00 us more"},
		{"too much more", target{microsMore, 5, anyAllocs, ""}, samples(5200, 9), samples(100, 0), false, "5.10 us more"},
		{"many enough", target{timesPerSecond, 0.6, anyAllocs, ""}, samples(1e6, 9), samples(6e5, 0), true, "0.6 x as many"},
		{"too few", target{timesPerSecond, 0.6, anyAllocs, ""}, samples(1e6, 9), samples(5e5, 0), false, "0.5 x as many"},
	} {
		got := tc.target.judge(row{}, tc.ours, tc.theirs)
		if got.met != tc.met || got.ratio != tc.ratio {
			t.Errorf("%s: judge = %v %q, want %v %q", tc.name, got.met, got.ratio, tc.met, tc.ratio)
		}
	}
}

// TestJudge_ComparesNeighbours has a machine that slows down in the middle: no round's
// ratio changes by that, so the result must not either.
func TestJudge_ComparesNeighbours(t *testing.T) {
	ours, theirs := sample{ns: []float64{10, 10, 30, 30, 30}}, sample{ns: []float64{40, 40, 120, 120, 120}}
	if got := (target{relation: timesFaster, bound: 4}).judge(row{}, ours, theirs); !got.met || got.ratio != "4 x as fast" {
		t.Errorf("judge = %v %q, want true %q", got.met, got.ratio, "4 x as fast")
	}
}

func TestByTurns(t *testing.T) {
	var order strings.Builder
	prepared := 0
	turn := func(name string) side {
		return side{
			prepare: func(n int) error { prepared = n; return nil },
			run: func(n int) error {
				if prepared != n {
					t.Errorf("run(%d) after prepare(%d)", n, prepared)
				}
				order.WriteString(name)
				return nil
			},
		}
	}
	a, b, err := byTurns(&lab{ctx: t.Context(), benchtime: time.Microsecond}, 1, turn("a"), turn("b"))
	if err != nil || len(a.ns) != rounds || len(b.ns) != rounds {
		t.Fatalf("byTurns = %d and %d rounds, %v, want %d and %d", len(a.ns), len(b.ns), err, rounds, rounds)
	}
	if !strings.HasSuffix(order.String(), strings.Repeat("ab", rounds)) {
		t.Errorf("turns were %q, want both sides by turns", order.String())
	}
}

func TestByTurns_WrongAnswerEndsIt(t *testing.T) {
	wrong := errors.New("wrong")
	calls := 0
	bad := side{run: func(int) error {
		if calls++; calls == 3 {
			return wrong
		}
		return nil
	}}
	good := side{run: func(int) error { return nil }}
	if _, _, err := byTurns(&lab{ctx: t.Context(), benchtime: time.Microsecond}, 1, good, bad); !errors.Is(err, wrong) {
		t.Errorf("byTurns = %v, want %v", err, wrong)
	}
}

func TestMarkdown(t *testing.T) {
	got := markdown([]result{{path: "p", ours: "o", against: "a", ratio: "r", target: "t"}})
	if want := "| path | ours | against | ratio | target | met |\n|---|---|---|---|---|---|\n| p | o | a | r | t | **no** |\n"; got != want {
		t.Errorf("markdown = %q, want %q", got, want)
	}
}
