package server

import (
	"context"
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/api"
)

func (s *Server) accountRoutes() {
	handle(s, operation{method: "POST", path: "/v1/manufacturers", tag: "account", summary: "Register a manufacturer and its owner", status: http.StatusCreated, access: anyone}, s.register)
	handle(s, operation{method: "GET", path: "/v1/me", tag: "account", summary: "Who you are and what you may do", access: signedIn}, s.me)
}

func (s *Server) register(ctx context.Context, c call, in *body[api.RegisterRequest]) (*body[api.RegisterResponse], error) {
	b := in.Body
	m, owner, err := s.guard.Register(ctx, account.Registration{
		Email: b.Email, Password: b.Password, CompanyName: b.CompanyName, Country: b.Country, Name: b.Name,
	}, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.RegisterResponse]{api.RegisterResponse{Manufacturer: manufacturer(m), Member: member(owner)}}, nil
}

func (s *Server) me(ctx context.Context, c call, _ *none) (*body[api.Me], error) {
	m, mem, err := s.guard.Me(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	return &body[api.Me]{api.Me{
		Manufacturer: manufacturer(m), Member: member(mem), SessionID: c.principal.SessionID,
		Permissions: s.guard.Access.Policy().Permissions(c.principal),
	}}, nil
}

func manufacturer(m makerguard.Manufacturer) api.Manufacturer {
	return api.Manufacturer{ID: m.ID, CompanyName: m.CompanyName, Country: m.Country, Tier: m.Tier, Status: m.Status, CreatedAt: m.CreatedAt}
}

func member(m makerguard.Member) api.Member {
	return api.Member{ID: m.ID, Email: m.Email, Name: m.Name, Role: m.Role, MFA: m.TOTP != nil, EmailVerified: !m.EmailVerifiedAt.IsZero()}
}

func (s *Server) adminRoutes() {
	tag := "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/manufacturers", tag: tag, summary: "List manufacturers", access: with(makerguard.OperateManufacturers)}, s.manufacturers)
	handle(s, operation{method: "GET", path: "/v1/admin/manufacturers/{id}", tag: tag, summary: "Get a manufacturer", access: with(makerguard.OperateManufacturers)}, s.manufacturer)
	handle(s, operation{method: "PUT", path: "/v1/admin/manufacturers/{id}/tier", tag: tag, summary: "Change a manufacturer's tier", access: with(makerguard.OperateManufacturers)}, s.setTier)
	handle(s, operation{method: "POST", path: "/v1/admin/manufacturers/{id}/suspend", tag: tag, summary: "Suspend a manufacturer and end its sessions", access: with(makerguard.OperateManufacturers)}, s.suspend)
	handle(s, operation{method: "POST", path: "/v1/admin/manufacturers/{id}/restore", tag: tag, summary: "Lift a suspension", access: with(makerguard.OperateManufacturers)}, s.restore)
}

// ManufacturerPath is the path parameter of the operators' operations. It is exported because huma
// looks into no other embedded type.
type ManufacturerPath struct {
	ID makerguard.ManufacturerID `path:"id" maxLength:"64"`
}

func (s *Server) manufacturers(ctx context.Context, _ call, in *struct {
	Q      string `query:"q" maxLength:"200" doc:"Part of the name or id"`
	Cursor string `query:"cursor" maxLength:"64"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
},
) (*body[api.ManufacturersResponse], error) {
	list, next, err := s.guard.Accounts.Manufacturers(ctx, in.Q, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := api.ManufacturersResponse{Manufacturers: make([]api.Manufacturer, 0, len(list)), NextCursor: next}
	for _, m := range list {
		out.Manufacturers = append(out.Manufacturers, manufacturer(m))
	}
	return &body[api.ManufacturersResponse]{out}, nil
}

func (s *Server) manufacturer(ctx context.Context, _ call, in *ManufacturerPath) (*body[api.Manufacturer], error) {
	return s.oneManufacturer(ctx, in.ID, nil)
}

// oneManufacturer answers with a manufacturer as it is after a change.
func (s *Server) oneManufacturer(ctx context.Context, id makerguard.ManufacturerID, err error) (*body[api.Manufacturer], error) {
	if err != nil {
		return nil, err
	}
	m, err := s.guard.Accounts.Manufacturer(ctx, id)
	if err != nil {
		return nil, err
	}
	return &body[api.Manufacturer]{manufacturer(m)}, nil
}

func (s *Server) setTier(ctx context.Context, c call, in *struct {
	ManufacturerPath
	Body api.SetTierRequest
},
) (*body[api.Manufacturer], error) {
	return s.oneManufacturer(ctx, in.ID, s.guard.Accounts.SetTier(ctx, c.principal, in.ID, in.Body.Tier, c.client))
}

func (s *Server) suspend(ctx context.Context, c call, in *struct {
	ManufacturerPath
	Body api.SuspendRequest
},
) (*body[api.Manufacturer], error) {
	return s.oneManufacturer(ctx, in.ID, s.guard.Accounts.Suspend(ctx, c.principal, in.ID, in.Body.Reason, c.client))
}

func (s *Server) restore(ctx context.Context, c call, in *ManufacturerPath) (*body[api.Manufacturer], error) {
	return s.oneManufacturer(ctx, in.ID, s.guard.Accounts.Restore(ctx, c.principal, in.ID, c.client))
}
