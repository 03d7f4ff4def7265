package server

import (
	"context"
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/middleware"
)

func (s *Server) blockRoutes() {
	tag := "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/blocks", tag: tag, summary: "List who is blocked, or would be", access: with(makerguard.OperateManufacturers)}, s.blocks)
	handle(s, operation{method: "POST", path: "/v1/admin/blocks", tag: tag, summary: "Block an address, a member or a manufacturer for a time", status: http.StatusCreated, access: with(makerguard.OperateManufacturers)}, s.block)
	handle(s, operation{method: "DELETE", path: "/v1/admin/blocks/{id}", tag: tag, summary: "Lift a block; it does not come back by itself for an hour", status: http.StatusNoContent, access: with(makerguard.OperateManufacturers)}, s.lift)
}

// probe tells requests that are answered whoever asks: a balancer must not take a node for
// dead because its own address was blocked.
func probe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// watch shows the abuse scenarios what came of a request.
func (s *Server) watch(ctx context.Context, r *http.Request, status int) {
	p, _ := makerguard.PrincipalFrom(ctx)
	if e, ok := middleware.Outcome(ctx, p, r.Method, r.Pattern, r.URL.Path, status); ok {
		s.guard.Defense.Happened(e)
	}
}

// maxProposals bounds the list of proposed blocks.
const maxProposals = 200

func (s *Server) blocks(ctx context.Context, _ call, in *struct {
	Proposed bool `query:"proposed" doc:"List the blocks that were only proposed within a day instead"`
},
) (*body[api.BlocksResponse], error) {
	out := api.BlocksResponse{Blocks: []api.Block{}}
	if in.Proposed {
		ts, err := s.guard.Defense.Proposals(ctx, maxProposals)
		if err != nil {
			return nil, err
		}
		for _, t := range ts {
			out.Blocks = append(out.Blocks, proposal(t))
		}
		return &body[api.BlocksResponse]{out}, nil
	}
	bs, err := s.guard.Defense.Abuse.Blocks(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range bs {
		out.Blocks = append(out.Blocks, blockBody(b))
	}
	return &body[api.BlocksResponse]{out}, nil
}

func blockBody(b makerguard.Block) api.Block {
	return api.Block{
		ID: b.ID, Kind: b.Kind, Subject: b.Subject, ManufacturerID: b.ManufacturerID, Scenario: b.Scenario, Reason: b.Reason,
		Points: b.Points, CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt,
	}
}

// proposal renders an entry of the history that proposes a block.
func proposal(t makerguard.Threat) api.Block {
	b := api.Block{
		Kind: makerguard.BlockKind(t.Input), Subject: t.IP, ManufacturerID: t.ManufacturerID, Reason: t.Description, Points: float64(t.Score),
		CreatedAt: t.DetectedAt, Proposed: true,
	}
	switch b.Kind {
	case makerguard.BlockMember:
		b.Subject = string(t.MemberID)
	case makerguard.BlockManufacturer:
		b.Subject = string(t.ManufacturerID)
	case makerguard.BlockAddress:
	}
	return b
}

func (s *Server) block(ctx context.Context, c call, in *body[api.BlockRequest]) (*body[api.Block], error) {
	b, err := s.guard.Defense.Abuse.Block(ctx, c.principal, abuse.Request(in.Body), c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.Block]{blockBody(b)}, nil
}

func (s *Server) lift(ctx context.Context, c call, in *struct {
	ID   string `path:"id" maxLength:"64"`
	Body api.LiftRequest
},
) (*none, error) {
	return nil, s.guard.Defense.Abuse.Lift(ctx, c.principal, in.ID, in.Body.Reason, c.client)
}
