package server

import (
	"context"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
)

func (s *Server) scoreRoutes() {
	tag := "security"
	handle(s, operation{method: "GET", path: "/v1/security/score", tag: tag, summary: "The security score and what would raise it", access: with(makerguard.ViewSecurity)}, s.score)
	handle(s, operation{method: "GET", path: "/v1/security/score/history", tag: tag, summary: "The security score of each day", access: with(makerguard.ViewSecurity)}, s.scoreHistory)
}

func (s *Server) score(ctx context.Context, c call, _ *none) (*body[api.ScoreResponse], error) {
	r, err := s.guard.Defense.Score(ctx, c.principal.ManufacturerID)
	if err != nil {
		return nil, err
	}
	out := api.ScoreResponse{Score: r.Score, Grade: r.Grade, Factors: make([]api.ScoreFactor, 0, len(r.Factors))}
	for _, f := range r.Factors {
		out.Factors = append(out.Factors, api.ScoreFactor(f))
	}
	return &body[api.ScoreResponse]{out}, nil
}

func (s *Server) scoreHistory(ctx context.Context, c call, in *struct {
	Days int `query:"days" minimum:"1" maximum:"400" default:"90" doc:"How far back, today included"`
},
) (*body[api.ScoreHistoryResponse], error) {
	points, err := s.guard.Defense.Scores.History(ctx, c.principal.ManufacturerID, in.Days)
	if err != nil {
		return nil, err
	}
	out := api.ScoreHistoryResponse{Scores: make([]api.ScoreDay, 0, len(points))}
	for _, p := range points {
		out.Scores = append(out.Scores, api.ScoreDay{Day: p.Day.UTC().Format(time.DateOnly), Score: p.Score})
	}
	return &body[api.ScoreHistoryResponse]{out}, nil
}
