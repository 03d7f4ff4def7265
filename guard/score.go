package guard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/score"
)

const (
	staleSession = 7 * 24 * time.Hour
	scorePage    = 100 // manufacturers read at once
)

// Score rates how a manufacturer stands now and keeps the result as today's.
func (d *Defense) Score(ctx context.Context, mfr makerguard.ManufacturerID) (score.Rating, error) {
	p, err := d.posture(ctx, mfr)
	if err != nil {
		return score.Rating{}, err
	}
	r := score.Rate(p)
	if err := d.Scores.Keep(ctx, mfr, r.Score); err != nil {
		d.guard.cfg.Logger.Warn("today's score was not kept", "manufacturer", mfr, "error", err)
	}
	return r, nil
}

// posture gathers what a score is computed from.
func (d *Defense) posture(ctx context.Context, mfr makerguard.ManufacturerID) (score.Posture, error) {
	var p score.Posture
	return p, errors.Join(d.people(ctx, mfr, &p), d.keys(ctx, mfr, &p), d.threats(ctx, mfr, &p), d.Scores.Read(ctx, mfr, &p))
}

func (d *Defense) people(ctx context.Context, mfr makerguard.ManufacturerID, p *score.Posture) error {
	now := d.guard.cfg.Now()
	members, err := d.guard.store.Members(ctx, mfr)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Status != makerguard.StatusActive {
			continue
		}
		p.Members++
		if m.TOTP != nil {
			p.MembersWithMFA++
		}
		if !m.EmailVerifiedAt.IsZero() {
			p.MembersVerified++
		}
		sessions, err := d.guard.store.Sessions(ctx, mfr, m.ID, now)
		if err != nil {
			return err
		}
		for _, x := range sessions {
			if now.Sub(x.LastSeenAt) > staleSession {
				p.StaleSessions++
			}
		}
	}
	return nil
}

func (d *Defense) keys(ctx context.Context, mfr makerguard.ManufacturerID, p *score.Posture) error {
	versions, err := d.guard.Keyring.Versions(ctx, mfr)
	if n := len(versions); n > 0 {
		p.KeyAge = d.guard.cfg.Now().Sub(versions[n-1].CreatedAt) // older versions only open what is old
	}
	return err
}

func (d *Defense) threats(ctx context.Context, mfr makerguard.ManufacturerID, p *score.Posture) error {
	now := d.guard.cfg.Now()
	var newer map[makerguard.Severity]int
	for i := range p.Threats {
		all, err := d.guard.store.CountThreats(ctx, mfr, now.Add(-time.Duration(i+1)*score.ThreatWindow))
		if err != nil {
			return err
		}
		in := func(s makerguard.Severity) int { return all[s] - newer[s] }
		p.Threats[i] = score.Counts{
			Low: in(makerguard.SeverityLow), Medium: in(makerguard.SeverityMedium), High: in(makerguard.SeverityHigh), Critical: in(makerguard.SeverityCritical),
		}
		newer = all
	}
	return nil
}

// dailyPass remembers the day whose scores this node has kept.
type dailyPass struct {
	mu   sync.Mutex
	done time.Time
}

// RecordScores keeps the scores of all active manufacturers as today's, unless this node has done so
// today. It may be called often.
func (d *Defense) RecordScores(ctx context.Context) error {
	d.pass.mu.Lock()
	defer d.pass.mu.Unlock()
	today := d.guard.cfg.Now().UTC().Truncate(24 * time.Hour)
	if d.pass.done.Equal(today) {
		return nil
	}
	var after makerguard.ManufacturerID
	for {
		page, err := d.guard.store.Manufacturers(ctx, "", after, scorePage)
		if err != nil {
			return err
		}
		for _, m := range page {
			after = m.ID
			if m.Status != makerguard.StatusActive {
				continue
			}
			if _, err := d.Score(ctx, m.ID); err != nil {
				return err
			}
		}
		if len(page) < scorePage {
			d.pass.done = today
			return nil
		}
	}
}
