package guard

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/threat"
)

const (
	oldScoreWindow  = 30 * 24 * time.Hour // what the score looks back on
	oldStaleSession = 7 * 24 * time.Hour
	oldScoreEntries = 1000 // audit entries looked at for failed sign-ins
)

// Score gathers how a manufacturer stands and rates it.
func (g *Guard) Score(ctx context.Context, mfr makerguard.ManufacturerID) (threat.SecurityScore, error) {
	now := g.cfg.Now()
	since := now.Add(-oldScoreWindow)
	var p threat.Posture
	members, err := g.store.Members(ctx, mfr)
	if err != nil {
		return threat.SecurityScore{}, err
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
		sessions, err := g.store.Sessions(ctx, mfr, m.ID, now)
		if err != nil {
			return threat.SecurityScore{}, err
		}
		for _, x := range sessions {
			if now.Sub(x.LastSeenAt) > oldStaleSession {
				p.StaleSessions++
			}
		}
	}
	versions, err := g.Keyring.Versions(ctx, mfr)
	if err != nil {
		return threat.SecurityScore{}, err
	}
	if n := len(versions); n > 0 {
		p.KeyAge = now.Sub(versions[n-1].CreatedAt) // older versions only open what is old
	}
	counts, err := g.store.CountThreats(ctx, mfr, since)
	if err != nil {
		return threat.SecurityScore{}, err
	}
	p.Threats = threat.Counts{
		Low: counts[makerguard.SeverityLow], Medium: counts[makerguard.SeverityMedium],
		High: counts[makerguard.SeverityHigh], Critical: counts[makerguard.SeverityCritical],
	}
	entries, err := g.Audit.Entries(ctx, makerguard.AuditFilter{ManufacturerID: mfr, Limit: oldScoreEntries})
	if err != nil {
		return threat.SecurityScore{}, err
	}
	for _, e := range entries {
		if e.Action == audit.SigninFailed && e.At.After(since) {
			p.FailedSignIns++
		}
	}
	return threat.Score(p), nil
}
