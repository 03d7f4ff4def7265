package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

// Members lists the members of a manufacturer in order of id.
func (s *Service) Members(ctx context.Context, mfr makerguard.ManufacturerID) ([]makerguard.Member, error) {
	ms, err := s.c.Store.Members(ctx, mfr)
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	return ms, nil
}

// SetRole gives a member of the actor's own manufacturer another role; its sessions go on with
// it. Nobody gives a role above their own, nor changes the role of somebody above them
// (InsufficientPermissions). It returns ValidationFailed for an unknown role, NotFound
// if there is no such member, and Conflict if nobody would be owner after it.
func (s *Service) SetRole(ctx context.Context, actor *makerguard.Principal, id makerguard.MemberID, role makerguard.Role, c makerguard.Client) (makerguard.Member, error) {
	if !slices.Contains(makerguard.Roles(), role) {
		return makerguard.Member{}, invalid(makerguard.FieldError{
			Pointer: "/role", Rule: "role", Message: "Choose one of owner, admin, editor and viewer.",
		})
	}
	m, err := s.c.Store.Member(ctx, actor.ManufacturerID, id)
	if err != nil {
		if errors.Is(err, makerguard.NotFound) {
			err = &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such member.", Err: err}
		}
		return makerguard.Member{}, err
	}
	if above(m.Role, actor.Role) || above(role, actor.Role) {
		return makerguard.Member{}, &makerguard.Error{
			Code: makerguard.InsufficientPermissions, Message: "You cannot give or take a role above your own.",
		}
	}
	if m.Role == role {
		return m, nil
	}
	err = s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: actor.ManufacturerID, Action: audit.RoleChanged, ActorKind: string(actor.Kind), ActorID: string(actor.MemberID),
		Target: string(id), Detail: fmt.Sprintf("%s -> %s", m.Role, role),
	}, c)
	if err != nil {
		return makerguard.Member{}, err
	}
	if err := s.c.Store.SetRole(ctx, actor.ManufacturerID, id, role, s.now()); err != nil {
		if errors.Is(err, makerguard.Conflict) {
			err = &makerguard.Error{Code: makerguard.Conflict, Message: "A manufacturer needs an owner. Make somebody else owner first.", Err: err}
		}
		return makerguard.Member{}, fmt.Errorf("setting the role of %s: %w", id, err)
	}
	s.c.Announce(makerguard.Change{Kind: makerguard.MemberChanged, ManufacturerID: actor.ManufacturerID, MemberID: id})
	m.Role = role
	return m, nil
}

// above tells whether a is the more powerful role. A role that is not known is above all.
func above(a, b makerguard.Role) bool {
	return slices.Index(makerguard.Roles(), a) < slices.Index(makerguard.Roles(), b)
}
