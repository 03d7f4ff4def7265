package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
)

func (s *Server) keyRoutes() {
	tag := "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/keys", tag: tag, summary: "The installation's keys and their states", access: with(makerguard.OperateKeys)}, s.systemKeys)
	handle(s, operation{method: "POST", path: "/v1/admin/keys/rotate", tag: tag, summary: "Replace a key, in the background", status: http.StatusAccepted, access: with(makerguard.OperateKeys)}, s.rotateKeys)
	handle(s, operation{method: "GET", path: "/v1/admin/jobs/{id}", tag: tag, summary: "How far a job in the background is", access: with(makerguard.OperateKeys)}, s.job)
}

func (s *Server) systemKeys(ctx context.Context, _ call, _ *none) (*body[api.KeysResponse], error) {
	keys, err := s.guard.SystemKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := api.KeysResponse{Keys: make([]api.SystemKey, 0, len(keys))}
	for _, k := range keys {
		out.Keys = append(out.Keys, api.SystemKey{Purpose: k.Purpose, Version: k.Version, State: k.State, RootKey: k.KEKID, Created: k.CreatedAt})
	}
	return &body[api.KeysResponse]{out}, nil
}

func (s *Server) rotateKeys(ctx context.Context, c call, _ *body[api.RotateKeysRequest]) (*body[api.JobStarted], error) {
	j, err := s.guard.RotateSigningKey(ctx, c.principal, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.JobStarted]{api.JobStarted{JobID: j.ID}}, nil
}

func (s *Server) job(ctx context.Context, _ call, in *struct {
	ID makerguard.JobID `path:"id" maxLength:"64"`
},
) (*body[api.Job], error) {
	j, err := s.guard.Jobs.Job(ctx, in.ID)
	if errors.Is(err, makerguard.NotFound) {
		return nil, &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such job.", Err: err}
	}
	if err != nil {
		return nil, err
	}
	return &body[api.Job]{api.Job{
		ID: j.ID, Kind: j.Kind, State: j.State, Done: j.Done, Total: j.Total, Error: j.Error, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
	}}, nil
}
