package server

import (
	"context"
	"crypto/sha256"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/middleware"
)

func (s *Server) accessRoutes() {
	tag := "access"
	handle(s, operation{method: "GET", path: "/v1/usage", tag: tag, summary: "How the month's meters stand", access: signedIn}, s.usage)
	handle(s, operation{method: "POST", path: "/v1/usage/{meter}", tag: tag, summary: "Use up units of a meter", access: signedIn}, s.use)
	handle(s, operation{method: "POST", path: "/access/v1/evaluation", tag: tag, summary: "Ask for a decision, and why (AuthZEN 1.0)", access: signedIn}, s.evaluate)
}

func (s *Server) usage(ctx context.Context, c call, _ *none) (*body[api.UsageResponse], error) {
	period, states, err := s.guard.Usage(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	out := api.UsageResponse{PeriodStart: period.Start, PeriodEnd: period.End, Meters: map[string]api.MeterUsage{}}
	for _, st := range states {
		out.Meters[string(st.Meter)] = meterUsage(st)
	}
	return &body[api.UsageResponse]{out}, nil
}

// meterUsage renders a meter; an unlimited one has neither limit nor remaining.
func meterUsage(st guard.MeterState) api.MeterUsage {
	if st.Limit < 0 {
		return api.MeterUsage{Used: st.Used}
	}
	left := st.Remaining()
	return api.MeterUsage{Used: st.Used, Limit: &st.Limit, Remaining: &left}
}

// usedUp is the answer to a use, with the draft's rate limit fields.
type usedUp struct {
	Policy string `header:"RateLimit-Policy"`
	State  string `header:"RateLimit"`
	Body   api.MeterUsage
}

func (s *Server) use(ctx context.Context, c call, in *struct {
	Meter          makerguard.Meter `path:"meter" maxLength:"64"`
	IdempotencyKey string           `header:"Idempotency-Key" maxLength:"255" doc:"The same key with the same body counts once"`
	Body           api.UseRequest
},
) (*usedUp, error) {
	sum := sha256.Sum256([]byte(string(in.Meter) + " " + strconv.FormatInt(in.Body.Amount, 10)))
	st, err := s.guard.Use(ctx, c.principal, in.Meter, in.Body.Amount, in.IdempotencyKey, sum[:])
	if err != nil {
		return nil, err
	}
	policy, state := middleware.RateLimit(s.now(), st.Allowance())
	return &usedUp{Policy: policy, State: state, Body: meterUsage(st)}, nil
}

func (s *Server) evaluate(ctx context.Context, c call, in *body[api.EvaluationRequest]) (*body[api.EvaluationResponse], error) {
	q := guard.Question{Permission: makerguard.Permission(in.Body.Action.Name)}
	if x := in.Body.Subject; x != nil {
		q.SubjectType, q.SubjectID = x.Type, x.ID
	}
	if x := in.Body.Resource; x != nil {
		q.ResourceType, q.ResourceID = x.Type, x.ID
	}
	if len(in.Body.Context) > 0 {
		var mc api.MeterContext
		// Not encoding/json: to that, Meter would be meter.
		if err := jsonv2.Unmarshal(in.Body.Context, &mc); err != nil || mc.Amount < 0 {
			return nil, &makerguard.Error{
				Code: makerguard.ValidationFailed, Message: "context is not an object, or its meter or amount is not valid",
				Fields: []makerguard.FieldError{{Pointer: "/context", Rule: "schema", Message: "expected an object with a text meter and a whole amount, not below 0"}},
			}
		}
		q.Meter, q.Amount = mc.Meter, mc.Amount
	}
	d, err := s.guard.Evaluate(ctx, c.principal, q)
	if err != nil {
		return nil, err
	}
	out := api.EvaluationResponse{Decision: d.Allowed, Context: api.DecisionContext{Reason: string(d.Reason), Rule: d.Rule, LowestTier: d.LowestTier}}
	if d.Meter != "" && d.Limit >= 0 {
		out.Context.Remaining = &d.Remaining
	}
	return &body[api.EvaluationResponse]{out}, nil
}
