package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/threat"
)

func (s *Server) threatRoutes() {
	tag := "security"
	handle(s, operation{method: "GET", path: "/v1/security/threats", tag: tag, summary: "The threat history, newest first", access: with(makerguard.ViewSecurity)}, s.threats)
	export(s, operation{method: "GET", path: "/v1/security/threats/export", tag: tag, summary: "The threat history as OCSF events, one a line", access: with(makerguard.ViewSecurity)},
		func(c call, in *ThreatQuery) makerguard.ThreatFilter {
			return in.filter(c.principal.ManufacturerID, false)
		})
	tag = "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/threats", tag: tag, summary: "The threat history of all manufacturers, newest first", access: with(makerguard.OperateManufacturers)}, s.allThreats)
	export(s, operation{method: "GET", path: "/v1/admin/threats/export", tag: tag, summary: "The threat history of all manufacturers as OCSF events, one a line", access: with(makerguard.OperateManufacturers)},
		func(_ call, in *AllThreatsQuery) makerguard.ThreatFilter { return in.filter() })
	handle(s, operation{method: "POST", path: "/v1/admin/threats/{id}/exclusion", tag: tag, summary: "Have the detector overlook what an entry told of", status: http.StatusCreated, access: with(makerguard.OperatePolicy)}, s.exclude)
}

// ThreatQuery selects entries of the history. It is exported because huma looks into no other
// embedded type.
type ThreatQuery struct {
	Type      string    `query:"type" maxLength:"64"`
	Severity  string    `query:"severity" enum:"low,medium,high,critical"`
	Rule      string    `query:"rule" maxLength:"64"`
	Member    string    `query:"member" maxLength:"64"`
	IP        string    `query:"ip" maxLength:"64"`
	RequestID string    `query:"request_id" maxLength:"64"`
	Q         string    `query:"q" maxLength:"100" doc:"Part of the input's name or of the evidence, in any case"`
	Since     time.Time `query:"since" doc:"RFC 3339"`
	Until     time.Time `query:"until" doc:"RFC 3339; entries of before this time"`
}

func (q ThreatQuery) filter(mfr makerguard.ManufacturerID, all bool) makerguard.ThreatFilter {
	return makerguard.ThreatFilter{
		ManufacturerID: mfr, AllTenants: all, Type: makerguard.ThreatType(q.Type), Severity: makerguard.Severity(q.Severity),
		Rule: q.Rule, MemberID: makerguard.MemberID(q.Member), IP: q.IP, RequestID: q.RequestID, Text: q.Q, Since: q.Since, Until: q.Until,
	}
}

// ofQuery names the fields of a filter that is not valid as the parameters they came from.
func ofQuery(err error) error {
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok {
		return err
	}
	named := *e
	named.Fields = slices.Clone(e.Fields)
	for i := range named.Fields {
		name := strings.TrimPrefix(named.Fields[i].Pointer, "/")
		switch name {
		case "before":
			name = "cursor"
		case "member_id":
			name = "member"
		case "text":
			name = "q"
		}
		named.Fields[i].Pointer = "query." + name
	}
	return &named
}

// AllThreatsQuery selects entries of everybody's history.
type AllThreatsQuery struct {
	ManufacturerID makerguard.ManufacturerID `query:"manufacturer_id" maxLength:"64" doc:"Without it all"`
	ThreatQuery
}

func (q AllThreatsQuery) filter() makerguard.ThreatFilter {
	return q.ThreatQuery.filter(q.ManufacturerID, q.ManufacturerID == "")
}

// PageQuery says which part of a list to answer with.
type PageQuery struct {
	Cursor string `query:"cursor" maxLength:"64"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (s *Server) threats(ctx context.Context, c call, in *struct {
	ThreatQuery
	PageQuery
},
) (*body[api.ThreatsResponse], error) {
	return s.page(ctx, in.filter(c.principal.ManufacturerID, false), in.PageQuery)
}

func (s *Server) allThreats(ctx context.Context, _ call, in *struct {
	AllThreatsQuery
	PageQuery
},
) (*body[api.ThreatsResponse], error) {
	return s.page(ctx, in.filter(), in.PageQuery)
}

func (s *Server) page(ctx context.Context, f makerguard.ThreatFilter, p PageQuery) (*body[api.ThreatsResponse], error) {
	f.Before, f.Limit = makerguard.EventID(p.Cursor), p.Limit
	ts, err := s.guard.Threats.List(ctx, f)
	if err != nil {
		return nil, ofQuery(err)
	}
	out := api.ThreatsResponse{Threats: threats(ts)}
	if len(ts) == p.Limit {
		out.NextCursor = string(ts[len(ts)-1].ID)
	}
	return &body[api.ThreatsResponse]{out}, nil
}

func threats(ts []makerguard.Threat) []api.Threat {
	out := make([]api.Threat, 0, len(ts))
	for _, t := range ts {
		out = append(out, api.Threat{
			ID: t.ID, Type: t.Type, Severity: t.Severity, Rule: t.Rule, Score: t.Score, Description: t.Description, Input: t.Input,
			Location: string(t.Location), Evidence: t.Evidence, Offset: t.Offset, Length: t.Length, Route: t.Route, Blocked: t.Blocked,
			DetectedAt: t.DetectedAt, SourceIP: t.IP, UserAgent: t.UserAgent, RequestID: t.RequestID,
			ManufacturerID: t.ManufacturerID, MemberID: t.MemberID, SessionID: t.SessionID,
		})
	}
	return out
}

const (
	ndjson = "application/x-ndjson"
	// exportPart is how many bytes of an export are collected before they are sent.
	exportPart = 32 << 10
	// exportPause is how long a client may take for one part.
	exportPause = 30 * time.Second
)

// export adds an operation that streams what a filter selects.
func export[I any](s *Server, op operation, filter func(call, *I) makerguard.ThreatFilter) {
	handle(s, op, func(ctx context.Context, c call, in *I) (*huma.StreamResponse, error) {
		f := filter(c, in)
		first := f
		first.Limit = 1
		if _, err := s.guard.Threats.List(ctx, first); err != nil {
			return nil, ofQuery(err) // while there still can be another answer
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.stream(ctx, hc, f) }}, nil
	})
	s.findOperation(op).Responses["200"].Content = map[string]*huma.MediaType{ndjson: {}}
}

// stream writes an export. If it fails halfway the connection ends so that the client cannot
// take the part for the whole.
func (s *Server) stream(ctx context.Context, hc huma.Context, f makerguard.ThreatFilter) {
	_, w := humago.Unwrap(hc)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", ndjson)
	part := make([]byte, 0, exportPart)
	send := func() error {
		// The server's own limit is for answers whose size is known.
		if err := control.SetWriteDeadline(time.Now().Add(exportPause)); err != nil {
			return err
		}
		_, err := w.Write(part)
		part = part[:0]
		if err != nil {
			return err
		}
		return control.Flush()
	}
	err := s.guard.Threats.Export(ctx, f, func(t makerguard.Threat) (err error) {
		if part, err = threat.AppendOCSF(part, t, s.version); err != nil || len(part) < exportPart {
			return err
		}
		return send()
	})
	if err == nil {
		err = send()
	}
	if err != nil {
		if ctx.Err() == nil {
			s.logFailure(ctx, err)
		}
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) exclude(ctx context.Context, c call, in *struct {
	ID   makerguard.EventID `path:"id" maxLength:"64"`
	Body api.ExclusionRequest
},
) (*body[api.Exclusion], error) {
	e, err := s.guard.Rules.Exclude(ctx, c.principal, in.ID, in.Body.Scope == "installation", in.Body.Reason, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.Exclusion]{api.Exclusion(e)}, nil
}
