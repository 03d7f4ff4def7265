package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/threat"
)

func (s *Server) ruleRoutes() {
	tag := "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/rules", tag: tag, summary: "The detector's rules and how they are set", access: with(makerguard.OperateManufacturers)}, s.rules)
	handle(s, operation{method: "PUT", path: "/v1/admin/rules", tag: tag, summary: "Set the modes of rules on every node", access: with(makerguard.OperatePolicy)}, s.setModes)
	handle(s, operation{method: "DELETE", path: "/v1/admin/rules/exclusions/{id}", tag: tag, summary: "Have the detector look again at what it overlooked", status: http.StatusNoContent, access: with(makerguard.OperatePolicy)}, s.removeExclusion)
}

// RulesOwner says whose settings an operation is about. It is exported because huma looks into
// no other embedded type.
type RulesOwner struct {
	ManufacturerID makerguard.ManufacturerID `query:"manufacturer_id" maxLength:"64" doc:"Whose settings; without it the installation's"`
}

// owner gives whose settings an operation is about, NotFound if there is no such manufacturer.
func (s *Server) owner(ctx context.Context, o RulesOwner) (makerguard.ManufacturerID, error) {
	if o.ManufacturerID == "" {
		return "", nil
	}
	m, err := s.guard.Accounts.Manufacturer(ctx, o.ManufacturerID)
	return m.ID, err
}

// rulesAnswer is the settings with their version as a tag.
type rulesAnswer struct {
	ETag string `header:"ETag" doc:"Names the version; send it as If-Match to replace just this one"`
	Body api.RulesResponse
}

func rulesTag(version int64) string { return `"rules-` + strconv.FormatInt(version, 10) + `"` }

func (s *Server) rules(ctx context.Context, _ call, in *RulesOwner) (*rulesAnswer, error) {
	mfr, err := s.owner(ctx, *in)
	if err != nil {
		return nil, err
	}
	rs, err := s.guard.Rules.Settings(ctx, mfr)
	if err != nil {
		return nil, err
	}
	return s.rulesAnswer(ctx, rs)
}

func (s *Server) rulesAnswer(ctx context.Context, rs makerguard.RuleSet) (*rulesAnswer, error) {
	book, err := s.guard.Rules.Rulebook(ctx, rs.ManufacturerID)
	if err != nil {
		return nil, err
	}
	rules := threat.Rules()
	out := api.RulesResponse{
		ManufacturerID: rs.ManufacturerID, Version: rs.Version,
		Modes: make([]api.RuleMode, 0, len(rs.Modes)), Exclusions: make([]api.Exclusion, 0, len(rs.Exclusions)), Rules: make([]api.Rule, 0, len(rules)),
	}
	for _, m := range rs.Modes {
		out.Modes = append(out.Modes, api.RuleMode(m))
	}
	for _, e := range rs.Exclusions {
		out.Exclusions = append(out.Exclusions, api.Exclusion(e))
	}
	now := s.now()
	for _, r := range rules {
		mode, from := book.Mode(r.ID, now)
		out.Rules = append(out.Rules, api.Rule{
			ID: r.ID, Type: r.Type, Severity: r.Severity, Paranoia: r.Paranoia, Score: r.Score, Description: r.Description,
			Mode: mode, ModeFrom: string(from),
		})
	}
	return &rulesAnswer{ETag: rulesTag(rs.Version), Body: out}, nil
}

func (s *Server) setModes(ctx context.Context, c call, in *struct {
	RulesOwner
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag of the settings to replace; without it whichever there are"`
	Body    api.SetModesRequest
},
) (*rulesAnswer, error) {
	mfr, err := s.owner(ctx, in.RulesOwner)
	if err != nil {
		return nil, err
	}
	old, err := s.guard.Rules.Settings(ctx, mfr)
	if err != nil {
		return nil, err
	}
	if tag := strings.TrimSpace(in.IfMatch); tag != "" && tag != "*" && tag != rulesTag(old.Version) {
		return nil, &makerguard.Error{Code: makerguard.Conflict, Message: "Somebody else changed the rules' settings. Read them again."}
	}
	modes := make([]makerguard.RuleMode, 0, len(in.Body.Modes))
	for _, m := range in.Body.Modes {
		modes = append(modes, makerguard.RuleMode(m))
	}
	rs, err := s.guard.Rules.SetModes(ctx, c.principal, mfr, old.Version, modes, c.client)
	if err != nil {
		return nil, err
	}
	return s.rulesAnswer(ctx, rs)
}

func (s *Server) removeExclusion(ctx context.Context, c call, in *struct {
	RulesOwner
	ID string `path:"id" maxLength:"64"`
},
) (*none, error) {
	mfr, err := s.owner(ctx, in.RulesOwner)
	if err != nil {
		return nil, err
	}
	return nil, s.guard.Rules.RemoveExclusion(ctx, c.principal, mfr, in.ID, c.client)
}
