package guard

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/score"
)

// Defense is what follows from threats: points, blocks and the security score. It is safe for
// concurrent use.
type Defense struct {
	Abuse  *abuse.Service
	Scores *score.Ledger

	guard *Guard
	pass  dailyPass
}

// newDefense needs g's store, audit record, history and proxies. block lists the kinds of
// subjects that are blocked automatically; nil is addresses alone.
func newDefense(g *Guard, block []makerguard.BlockKind) (*Defense, error) {
	d := &Defense{guard: g}
	var err error
	if d.Abuse, err = abuse.New(abuse.Config{
		Store: g.store, Audit: g.Audit, Threats: g.Threats, Block: block,
		Spare: func(a netip.Addr) bool { return g.Proxies.Trust(a) }, Now: g.cfg.Now, Logger: g.cfg.Logger,
	}); err != nil {
		return nil, err
	}
	if d.Scores, err = score.New(score.Config{Store: g.store, Now: g.cfg.Now, Logger: g.cfg.Logger}); err != nil {
		return nil, err
	}
	return d, nil
}

// Blocks is the middleware that refuses blocked addresses. It must stand inside
// middleware.Edge. free, if not nil, tells requests that are answered in any case.
func (d *Defense) Blocks(free func(*http.Request) bool) middleware.Blocks {
	return middleware.Blocks{List: d.Abuse, Logger: d.guard.cfg.Logger, Free: free}
}

// Screen is an authenticator that refuses blocked members and manufacturers besides.
func (d *Defense) Screen(a middleware.Authenticator) middleware.Authenticator {
	return middleware.Screened{Authenticator: a, List: d.Abuse}
}

// Happened shows an event to the abuse scenarios. Its time is set.
func (d *Defense) Happened(e abuse.Event) {
	e.At = d.guard.cfg.Now()
	d.Abuse.Observe(e)
}

// registered shows a registration to the scenarios.
func (d *Defense) registered(m makerguard.Manufacturer, owner makerguard.Member, c makerguard.Client) {
	d.Happened(abuse.Event{Kind: abuse.Registered, Address: c.IP, ManufacturerID: m.ID, MemberID: owner.ID, Object: owner.EmailKey})
}

// watchedRecord is an audit record whose failed sign-ins are counted.
type watchedRecord struct {
	audit.Recorder
	defense *Defense
}

// Record adds e to the record. A failed sign-in counts whether or not that succeeds.
func (w watchedRecord) Record(ctx context.Context, e makerguard.AuditEntry) error {
	if e.Action == audit.SigninFailed {
		// Of an address that nobody has, the entry names no account: each counts as another.
		w.defense.Happened(abuse.Event{Kind: abuse.SignInFailed, Address: e.IP, Object: e.Target})
		if e.ManufacturerID != makerguard.PlatformID {
			w.defense.Scores.SignInFailed(e.ManufacturerID)
		}
	}
	return w.Recorder.Record(ctx, e)
}

// watch gives the record that package auth is to write to.
func (d *Defense) watch(r audit.Recorder) audit.Recorder { return watchedRecord{r, d} }

// proposalWindow is how far back proposed blocks are listed.
const proposalWindow = 24 * time.Hour

// Proposals lists the blocks that were only proposed within a day, as entries of the threat
// history, newest first.
func (d *Defense) Proposals(ctx context.Context, limit int) ([]makerguard.Threat, error) {
	return d.guard.Threats.List(ctx, makerguard.ThreatFilter{
		AllTenants: true, Rule: abuse.RuleProposed, Since: d.guard.cfg.Now().Add(-proposalWindow), Limit: limit,
	})
}
