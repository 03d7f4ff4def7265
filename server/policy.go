package server

import (
	"context"
	"strconv"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/guard"
)

// yamlTypes are the media types a policy may be sent as (RFC 9512, and what came before it).
var yamlTypes = []string{"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"}

func (s *Server) policyRoutes() {
	tag := "operators"
	handle(s, operation{method: "GET", path: "/v1/admin/policy", tag: tag, summary: "The policy in force", access: with(makerguard.OperatePolicy)}, s.policy)
	handle(s, operation{method: "PUT", path: "/v1/admin/policy", tag: tag, summary: "Put a policy in force on every node", takes: yamlTypes, maxBody: guard.MaxPolicy, access: with(makerguard.OperatePolicy)}, s.putPolicy)
	handle(s, operation{method: "POST", path: "/v1/admin/policy/diff", tag: tag, summary: "Who would gain or lose what by a policy", takes: yamlTypes, maxBody: guard.MaxPolicy, access: with(makerguard.OperatePolicy)}, s.diffPolicy)
}

// policyText is a policy as it is written.
type policyText struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"Names the version; send it as If-Match to replace just this one"`
	Body        []byte
}

func policyAnswer(doc makerguard.PolicyDocument) *policyText {
	return &policyText{ContentType: "application/yaml", ETag: policyTag(doc.Version), Body: doc.Source}
}

func policyTag(version int64) string { return `"policy-` + strconv.FormatInt(version, 10) + `"` }

func (s *Server) policy(ctx context.Context, _ call, _ *none) (*policyText, error) {
	doc, err := s.guard.Policy(ctx)
	if err != nil {
		return nil, err
	}
	return policyAnswer(doc), nil
}

func (s *Server) putPolicy(ctx context.Context, c call, in *struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag of the policy to replace; without it whichever there is"`
	RawBody []byte
},
) (*policyText, error) {
	old, err := s.guard.Policy(ctx)
	if err != nil {
		return nil, err
	}
	if tag := strings.TrimSpace(in.IfMatch); tag != "" && tag != "*" && tag != policyTag(old.Version) {
		return nil, &makerguard.Error{Code: makerguard.Conflict, Message: "Somebody else changed the policy. Read it again."}
	}
	doc, err := s.guard.PutPolicy(ctx, c.principal, in.RawBody, old.Version, c.client)
	if err != nil {
		return nil, err
	}
	return policyAnswer(doc), nil
}

func (s *Server) diffPolicy(ctx context.Context, _ call, in *struct{ RawBody []byte }) (*body[api.PolicyDiff], error) {
	d, err := s.guard.DiffPolicy(ctx, in.RawBody)
	if err != nil {
		return nil, err
	}
	out := api.PolicyDiff{Changes: make([]api.PolicyChange, 0, len(d.Members)), More: d.More, Terms: make([]api.TermChange, 0, len(d.Terms))}
	for _, x := range d.Members {
		out.Changes = append(out.Changes, api.PolicyChange(x))
	}
	for _, x := range d.Terms {
		out.Terms = append(out.Terms, api.TermChange(x))
	}
	return &body[api.PolicyDiff]{out}, nil
}
