package auth

import (
	"context"
	"fmt"
	"sync"

	"github.com/makerguard/makerguard"
)

// gates let only so many guesses at one thing be under way at once. Counting a failure
// after the guess leaves a gap in which any number of parallel guesses could slip
// through, and counting it before would refuse the parallel sign-ins of somebody who knows
// the password; so guesses that might exceed the limit wait for those before them.
type gates struct {
	mu     sync.Mutex
	byName map[string]*gate
}

type gate struct {
	inside  int
	waiting []chan struct{} // first come first served; a send wakes one
}

// maxWaiting bounds the callers that wait at one gate.
const maxWaiting = 256

func newGates() *gates { return &gates{byName: map[string]*gate{}} }

// enter asks room how many guesses may be under way and waits until there are fewer. It
// returns room's error, OVERLOADED, or that of ctx. leave must be called once.
func (g *gates) enter(ctx context.Context, name string, room func() (int, error)) (leave func(), err error) {
	for {
		free, err := room()
		if err != nil {
			g.wake(name)
			return nil, err
		}
		g.mu.Lock()
		at := g.byName[name]
		if at == nil {
			at = &gate{}
			g.byName[name] = at
		}
		if at.inside < free {
			at.inside++
			if at.inside < free {
				at.wakeOne()
			}
			g.mu.Unlock()
			return func() { g.leave(name) }, nil
		}
		if len(at.waiting) >= maxWaiting {
			g.mu.Unlock()
			return nil, overloaded(nil)
		}
		turn := make(chan struct{}, 1)
		at.waiting = append(at.waiting, turn)
		g.mu.Unlock()

		select {
		case <-turn:
		case <-ctx.Done():
			g.giveUp(name, turn)
			return nil, overloaded(fmt.Errorf("waiting for other attempts: %w", ctx.Err()))
		}
	}
}

func (g *gates) leave(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byName[name].inside--
	g.tidy(name)
}

// wake hands the turn of a caller that was refused to the next.
func (g *gates) wake(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy(name)
}

// giveUp takes a caller out of the queue, or hands on the turn it had just been given.
func (g *gates) giveUp(name string, turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.byName[name]
	if at == nil { // it was this caller's turn and nobody else is there
		return
	}
	for i, w := range at.waiting {
		if w == turn {
			at.waiting = append(at.waiting[:i], at.waiting[i+1:]...)
			break
		}
	}
	select {
	case <-turn:
		at.wakeOne()
	default:
	}
	g.drop(name)
}

// tidy wakes the next caller and forgets a gate that nobody uses. g.mu is held.
func (g *gates) tidy(name string) {
	if at := g.byName[name]; at != nil {
		at.wakeOne()
	}
	g.drop(name)
}

func (g *gates) drop(name string) {
	if at := g.byName[name]; at != nil && at.inside == 0 && len(at.waiting) == 0 {
		delete(g.byName, name)
	}
}

func (at *gate) wakeOne() {
	if len(at.waiting) > 0 {
		at.waiting[0] <- struct{}{}
		at.waiting = at.waiting[1:]
	}
}

func overloaded(cause error) error {
	return &makerguard.Error{
		Code: makerguard.Overloaded, Message: "Too many sign-ins at once. Try again in a moment.",
		RetryAfter: overloadedRetry, Err: cause,
	}
}
