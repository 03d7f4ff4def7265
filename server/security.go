package server

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/internal/strictjson"
	"github.com/makerguard/makerguard/threat"
)

func (s *Server) securityRoutes() {
	tag := "security"
	handle(s, operation{method: "POST", path: "/v1/security/inspect", tag: tag, summary: "Look for attacks in inputs", maxBody: largeBody, access: signedIn}, s.inspect)
	handle(s, operation{method: "POST", path: "/v1/catalog/validate", tag: tag, summary: "Check a product or a company against the business rules", maxBody: largeBody, access: signedIn}, s.validate)
	handle(s, operation{method: "GET", path: "/v1/audit", tag: tag, summary: "The audit record, newest first", access: with(makerguard.ViewAudit)}, s.audit)
}

func (s *Server) inspect(ctx context.Context, c call, in *body[api.InspectRequest]) (*body[api.ValidationResponse], error) {
	var found []makerguard.Finding
	for _, x := range in.Body.Inputs {
		loc, kind := makerguard.Location(x.Location), makerguard.Kind(x.Kind)
		var text string
		if len(x.Value) > 0 && x.Value[0] == '"' {
			if err := strictjson.Decode(x.Value, &text); err != nil {
				return nil, err
			}
			found = s.guard.Detector.Inspect(found, threat.Input{Name: x.Name, Value: text, Location: loc, Kind: kind})
			continue
		}
		found = s.guard.Detector.InspectJSON(found, threat.Input{Name: x.Name, Value: string(x.Value), Location: loc})
	}
	return s.validation(ctx, c, threat.InspectRoute, "", catalog.Report{}, found)
}

// validateRequest is the body of POST /v1/catalog/validate: exactly one of its members.
type validateRequest struct {
	Product *catalog.Product `json:"product,omitempty"`
	Company *catalog.Company `json:"company,omitempty"`
}

func (s *Server) validate(ctx context.Context, c call, in *body[validateRequest]) (*body[api.ValidationResponse], error) {
	b, rules := in.Body, s.guard.Validator(c.principal.Tier)
	var report catalog.Report
	switch {
	case b.Product != nil && b.Company == nil:
		rules.Product(&report, b.Product)
		return s.validation(ctx, c, threat.ValidateRoute, "/product", report, inspectProduct(s.guard.Detector, *b.Product))
	case b.Company != nil && b.Product == nil:
		rules.Company(&report, b.Company)
		return s.validation(ctx, c, threat.ValidateRoute, "/company", report, inspectCompany(s.guard.Detector, *b.Company))
	}
	return nil, &makerguard.Error{
		Code: makerguard.ValidationFailed, Message: "send either a product or a company",
		Fields: []makerguard.FieldError{{Pointer: "", Rule: "oneOf", Message: "expected exactly one of product and company"}},
	}
}

// validation renders what the rules and the detector found, and writes what the
// detector found to the history, whatever mode its rules are in: this is a question, and
// nothing is refused. root is where the document stands in the request: the
// report's pointers begin there.
func (s *Server) validation(ctx context.Context, c call, route, root string, report catalog.Report, found []makerguard.Finding) (*body[api.ValidationResponse], error) {
	ts, err := s.guard.Threats.Record(ctx, threat.Sighting{Principal: c.principal, Client: c.client, Route: route, Watched: found})
	if err != nil {
		return nil, err
	}
	if root != "" {
		s.guard.Defense.Scores.Validated(c.principal.ManufacturerID, len(report.Errors) == 0)
	}
	out := api.ValidationResponse{
		IsValid: len(report.Errors) == 0 && len(ts) == 0,
		Errors:  issues(root, report.Errors), Warnings: issues(root, report.Warnings), Threats: threats(ts),
	}
	return &body[api.ValidationResponse]{out}, nil
}

func issues(root string, ps []catalog.Problem) []api.Issue {
	out := make([]api.Issue, 0, len(ps))
	for _, p := range ps {
		out = append(out, api.Issue{Pointer: root + p.Pointer, Rule: p.Rule, Severity: string(p.Severity), Message: p.Message, Expected: p.Expected, Source: p.Source})
	}
	return out
}

func (s *Server) audit(ctx context.Context, c call, in *struct {
	Cursor int64 `query:"cursor" minimum:"1"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"50"`
},
) (*body[api.AuditResponse], error) {
	es, err := s.guard.Audit.Entries(ctx, makerguard.AuditFilter{ManufacturerID: c.principal.ManufacturerID, Before: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := api.AuditResponse{Entries: make([]api.AuditEntry, 0, len(es))}
	for _, e := range es {
		out.Entries = append(out.Entries, api.AuditEntry{
			ID: e.ID, Seq: e.Seq, At: e.At, Action: e.Action, Outcome: e.Outcome, ActorKind: e.ActorKind, ActorID: e.ActorID,
			Target: e.Target, IP: e.IP, RequestID: e.RequestID, Detail: e.Detail, Hash: hex.EncodeToString(e.Hash),
		})
	}
	if len(es) == in.Limit {
		out.NextCursor = strconv.FormatInt(es[len(es)-1].Seq, 10)
	}
	return &body[api.AuditResponse]{out}, nil
}
