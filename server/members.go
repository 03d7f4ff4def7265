package server

import (
	"context"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
)

func (s *Server) memberRoutes() {
	tag := "account"
	handle(s, operation{method: "GET", path: "/v1/members", tag: tag, summary: "List your manufacturer's members", access: with(makerguard.ManageMembers)}, s.members)
	handle(s, operation{method: "PATCH", path: "/v1/members/{id}", tag: tag, summary: "Give a member another role", access: with(makerguard.ManageMembers)}, s.setRole)
}

func (s *Server) members(ctx context.Context, c call, _ *none) (*body[api.MembersResponse], error) {
	ms, err := s.guard.Accounts.Members(ctx, c.principal.ManufacturerID)
	if err != nil {
		return nil, err
	}
	out := api.MembersResponse{Members: make([]api.Member, 0, len(ms))}
	for _, m := range ms {
		out.Members = append(out.Members, member(m))
	}
	return &body[api.MembersResponse]{out}, nil
}

func (s *Server) setRole(ctx context.Context, c call, in *struct {
	ID   makerguard.MemberID `path:"id" maxLength:"64"`
	Body api.SetRoleRequest
},
) (*body[api.Member], error) {
	m, err := s.guard.Accounts.SetRole(ctx, c.principal, in.ID, in.Body.Role, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.Member]{member(m)}, nil
}
