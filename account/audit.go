package account

import (
	"context"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// recordBy writes that an operator does something to a manufacturer, to the
// manufacturer's record.
func (s *Service) recordBy(ctx context.Context, actor *makerguard.Principal, action string, mfr makerguard.ManufacturerID, detail string, c makerguard.Client) error {
	return s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: mfr, Action: action, ActorKind: string(actor.Kind), ActorID: string(actor.MemberID),
		Target: string(mfr), Detail: detail,
	}, c)
}

func (s *Service) record(ctx context.Context, e makerguard.AuditEntry, c makerguard.Client) error {
	e.Outcome, e.IP, e.RequestID = audit.Success, c.IP, c.RequestID
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return fmt.Errorf("recording %s: %w", e.Action, err)
	}
	return nil
}
