package mongo

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/makerguard/makerguard"
)

const (
	// awayGrace is how long a server may be out of sight before operations stop waiting for
	// it: a connection that broke is replaced sooner.
	awayGrace = time.Second
	// awayFailures is how many operations in a row must go unanswered, with nothing else
	// answered while they waited, before a server that still seems to be there counts as away.
	awayFailures = 5
	// probeInterval is how often one operation is let through to see if the server is back.
	probeInterval = time.Second
)

// circuit keeps operations from piling up before a server that is away: while it is, all
// fail at once but for one each probeInterval. The driver's own watch over the servers
// opens and closes it, as do operations that all go unanswered.
type circuit struct {
	now func() time.Time

	mu       sync.Mutex
	unseen   time.Time // since when no server is in sight; zero: one is
	answered time.Time // when an operation was last answered
	failures int       // unanswered operations since then
	probed   time.Time // when an operation was last let through though the server is away
}

func newCircuit(now func() time.Time) *circuit { return &circuit{now: now} }

// away tells whether operations are to fail at once.
func (c *circuit) away(now time.Time) bool {
	return c.failures >= awayFailures || !c.unseen.IsZero() && now.Sub(c.unseen) > awayGrace
}

// enter returns when an operation begins, or StoreUnavailable if the server is away and it
// is not time to look again.
func (c *circuit) enter() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.away(now) {
		return now, nil
	}
	if now.Sub(c.probed) >= probeInterval {
		c.probed = now
		return now, nil
	}
	return now, &makerguard.Error{Code: makerguard.StoreUnavailable, Message: adviceAway, RetryAfter: probeInterval}
}

// leave notes how an operation that began at a time ended. That its caller went away says
// nothing of the server.
func (c *circuit) leave(ctx context.Context, began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !unanswered(err):
		c.failures = 0
		c.unseen = time.Time{}
		c.answered = c.now()
	case c.answered.Before(began) && !errors.Is(ctx.Err(), context.Canceled):
		c.failures++
	}
}

// seen notes whether the driver has a server in sight that takes writes.
func (c *circuit) seen(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case yes:
		c.unseen = time.Time{}
		c.failures = 0
	case c.unseen.IsZero():
		c.unseen = c.now()
	}
}

// watch follows the driver's view of the servers.
func (c *circuit) watch(e *event.TopologyDescriptionChangedEvent) {
	for _, server := range e.NewDescription.Servers {
		switch server.Kind {
		case "Standalone", "RSPrimary", "Mongos", "LoadBalancer":
			c.seen(true)
			return
		}
	}
	c.seen(false)
}

// unanswered tells whether err means that the server did not answer.
func unanswered(err error) bool {
	return err != nil && (mongo.IsNetworkError(err) || mongo.IsTimeout(err) || noServer(err) || noAnswer(err))
}
