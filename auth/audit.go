package auth

import (
	"context"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// record writes an audit entry. What it is about must not happen if this fails.
func (s *Service) record(ctx context.Context, e makerguard.AuditEntry, c makerguard.Client) error {
	e.IP, e.RequestID = c.IP, c.RequestID
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return fmt.Errorf("recording %s: %w", e.Action, err)
	}
	return nil
}

// recordOf writes that a member does something successfully.
func (s *Service) recordOf(ctx context.Context, m makerguard.Member, action, target, detail string, c makerguard.Client) error {
	return s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: m.ManufacturerID, Action: action, Outcome: audit.Success,
		ActorKind: audit.ActorMember, ActorID: string(m.ID), Target: target, Detail: detail,
	}, c)
}

// recordFailure writes that somebody failed to prove to be m, who is zero for an
// address without an account. It is written to a record in both cases, so that both take the same
// time. The refusal stands if it cannot be written.
func (s *Service) recordFailure(ctx context.Context, m makerguard.Member, action, detail string, c makerguard.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	mfr := m.ManufacturerID
	if mfr == "" {
		mfr = makerguard.PlatformID
	}
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: mfr, Action: action, Outcome: audit.Failure,
		ActorKind: audit.ActorAnonymous, Target: string(m.ID), Detail: detail,
	}, c); err != nil {
		s.logger.ErrorContext(ctx, "a failed attempt was not recorded", "error", err)
	}
}
