package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/gateway"
	"github.com/makerguard/makerguard/rbac"
)

// MaxPolicy is the most bytes a stored policy may have.
const MaxPolicy = 256 << 10

// parsePolicy reads a policy and checks all of it.
func parsePolicy(src []byte) (*rbac.Policy, error) {
	if len(src) > MaxPolicy {
		return nil, &makerguard.Error{Code: makerguard.ValidationFailed, Message: fmt.Sprintf("the policy has %d bytes, more than %d", len(src), MaxPolicy)}
	}
	p, err := rbac.ParsePolicy(src)
	if err == nil {
		err = gateway.CheckRoutes(p)
	}
	if err == nil {
		err = checkPriceCaps(p)
	}
	return p, err
}

// readStoredPolicy puts the policy that operators stored in force, if there is one and no file
// has precedence. One that this version cannot read is refused, and the old one stays.
func (g *Guard) readStoredPolicy(ctx context.Context) error {
	if g.cfg.PolicyFile != "" {
		return nil
	}
	g.setting.Lock()
	defer g.setting.Unlock()
	doc, err := g.store.Policy(ctx)
	if err != nil {
		return fmt.Errorf("reading the stored policy: %w", err)
	}
	if doc.Version == g.stored {
		return nil
	}
	p, err := parsePolicy(doc.Source)
	if err != nil {
		return fmt.Errorf("stored policy, version %d: %w", doc.Version, err)
	}
	g.Access.SetPolicy(p)
	g.stored = doc.Version
	g.cfg.Logger.Info("stored policy in force", "version", doc.Version)
	return nil
}

// Policy returns the policy in force as it is written. Version 0 is one that is not stored:
// a file, or the built-in policy.
func (g *Guard) Policy(ctx context.Context) (makerguard.PolicyDocument, error) {
	if g.cfg.PolicyFile == "" {
		doc, err := g.store.Policy(ctx)
		if err != nil || doc.Version > 0 {
			return doc, err
		}
	}
	return makerguard.PolicyDocument{Source: g.Access.Policy().Source()}, nil
}

// PutPolicy checks a policy, stores it if the stored version is replaces (0 for none), and
// puts it in force here at once and on every other node within a second. It returns
// ValidationFailed for a policy that is not valid, and Conflict if another version is
// stored meanwhile or the nodes were given a policy file, which has precedence.
func (g *Guard) PutPolicy(ctx context.Context, actor *makerguard.Principal, src []byte, replaces int64, c makerguard.Client) (makerguard.PolicyDocument, error) {
	if g.cfg.PolicyFile != "" {
		return makerguard.PolicyDocument{}, &makerguard.Error{
			Code: makerguard.Conflict, Message: "This node was given its policy as a file. Change the file, or start the nodes without --policy.",
		}
	}
	if _, err := parsePolicy(src); err != nil {
		return makerguard.PolicyDocument{}, err
	}
	doc := makerguard.PolicyDocument{Version: replaces + 1, Source: src, UpdatedAt: g.cfg.Now().UTC(), UpdatedBy: actor.MemberID}
	entry := makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: audit.PolicyChanged, Outcome: audit.Success, ActorKind: string(actor.Kind), ActorID: string(actor.MemberID),
		Target: fmt.Sprintf("policy/%d", doc.Version), IP: c.IP, RequestID: c.RequestID,
	}
	if err := g.Audit.Record(ctx, entry); err != nil {
		return makerguard.PolicyDocument{}, fmt.Errorf("recording a change of policy: %w", err)
	}
	if err := g.store.PutPolicy(ctx, doc); err != nil {
		entry.Outcome = audit.Failure
		if errors.Is(err, makerguard.Conflict) {
			err = &makerguard.Error{Code: makerguard.Conflict, Message: "Somebody else changed the policy. Read it again.", Err: err}
		}
		return makerguard.PolicyDocument{}, errors.Join(err, g.Audit.Record(ctx, entry))
	}
	return doc, g.readStoredPolicy(ctx)
}

// PolicyDifference is one permission that a member gains or loses by a change of policy.
type PolicyDifference struct {
	ManufacturerID makerguard.ManufacturerID
	MemberID       makerguard.MemberID
	Permission     makerguard.Permission
	Before, After  bool
}

// MaxDifferences bounds what DiffPolicy lists.
const MaxDifferences = 1000

// PolicyDiff is what would be different under another policy.
type PolicyDiff struct {
	Members []PolicyDifference // at most MaxDifferences
	More    bool               // there are more than those
	Terms   []rbac.TermChange  // of tiers
}

// DiffPolicy lists what each member would gain or lose, and which terms of tiers would be
// others, if src were put in force. If permissions differ it reads every manufacturer.
func (g *Guard) DiffPolicy(ctx context.Context, src []byte) (PolicyDiff, error) {
	after, err := parsePolicy(src)
	if err != nil {
		return PolicyDiff{}, err
	}
	before := g.Access.Policy()
	d := PolicyDiff{Terms: rbac.DiffTerms(before, after)}
	if len(rbac.Diff(before, after)) > 0 {
		d.Members, d.More, err = g.diffMembers(ctx, before, after)
	}
	return d, err
}

func (g *Guard) diffMembers(ctx context.Context, before, after *rbac.Policy) (out []PolicyDifference, more bool, err error) {
	const page = 200
	list := func(cursor makerguard.ManufacturerID) ([]makerguard.Manufacturer, error) {
		return g.store.Manufacturers(ctx, "", cursor, page)
	}
	for cursor := makerguard.ManufacturerID(""); ; {
		ms, err := list(cursor)
		if err != nil {
			return nil, false, fmt.Errorf("comparing policies: %w", err)
		}
		for _, m := range ms {
			if out, err = g.diffManufacturer(ctx, out, m, before, after); err != nil {
				return nil, false, err
			}
			if len(out) > MaxDifferences {
				return out[:MaxDifferences], true, nil
			}
		}
		if len(ms) < page {
			return out, false, nil
		}
		cursor = ms[len(ms)-1].ID
	}
}

func (g *Guard) diffManufacturer(ctx context.Context, out []PolicyDifference, m makerguard.Manufacturer, before, after *rbac.Policy) ([]PolicyDifference, error) {
	members, err := g.store.Members(ctx, m.ID)
	if err != nil {
		return nil, fmt.Errorf("comparing policies: %w", err)
	}
	for _, x := range members {
		p := &makerguard.Principal{
			Kind: makerguard.KindMember, ManufacturerID: m.ID, MemberID: x.ID, Tier: m.Tier, Role: x.Role, Grants: x.Grants,
		}
		for _, d := range rbac.DiffPrincipal(before, after, p) {
			out = append(out, PolicyDifference{m.ID, x.ID, d.Permission, d.Before, d.After})
		}
	}
	return out, nil
}
