package rbac

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/makerguard/makerguard"
)

// Bounds of a policy file. They are far above any sensible policy and keep what one
// costs in memory and time small.
const (
	maxSource      = 1 << 20
	maxPermissions = 256
	maxMeters      = 64
	maxRoutes      = 10_000
	maxProblems    = 100
	maxAmount      = 1_000_000_000_000 // for limits and entitlements
)

// ruleName is the name under which Error.Fields lists problems of a policy.
const ruleName = "policy"

// customName is what a policy's own permissions and meters may be called.
var customName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// spec is what the YAML says, section by section.
type spec struct {
	permissions   []makerguard.Permission // declared beyond the built-in ones
	meters        []meterSpec
	tiers         [tierCount]tierSpec
	roles         [roleCount]roleSpec
	platformRoles [roleCount]roleSpec
	rates         []Rate
	routes        []Route
	def           Default
}

type meterSpec struct {
	name       makerguard.Meter
	permission makerguard.Permission
}

type tierSpec struct {
	permissions                []makerguard.Permission // its own, without those inherited
	limits                     map[makerguard.Meter]int64
	sessions, members, apiKeys int64
	mfa                        bool
	priceCaps                  map[string]int64 // by currency, in minor units
	rates                      []Rate
}

type roleSpec struct {
	all         bool
	except      []makerguard.Permission // when all
	permissions []makerguard.Permission // when not all
}

func (r roleSpec) has(perm makerguard.Permission) bool {
	if r.all {
		return !slices.Contains(r.except, perm)
	}
	return slices.Contains(r.permissions, perm)
}

func (s *spec) clone() *spec {
	c := *s
	c.permissions = slices.Clone(s.permissions)
	c.meters = slices.Clone(s.meters)
	c.routes = slices.Clone(s.routes)
	for t := range c.tiers {
		c.tiers[t].limits = maps.Clone(s.tiers[t].limits)
		c.tiers[t].priceCaps = maps.Clone(s.tiers[t].priceCaps)
	}
	return &c
}

// ParsePolicy reads a policy file. What the file leaves out, down to one limit, is as
// in the built-in policy; a list that it gives replaces the built-in one. It is
// strict: unknown and repeated keys, unknown permissions and meters, rules that could
// never match, aliases and anything over 1 MiB are refused. A file with problems is
// refused whole: ParsePolicy returns ValidationFailed with every problem (the first
// 100) and its line in Fields.
//
// Beyond the built-in names a policy may declare its own, so that an application can
// use them: `permissions: [name, ...]`, at most 256 in all, and
// `meters: {name: {permission: p}}`. A declared meter has limit 0 in every tier that
// gives it no other.
//
// Of the currencies in a tier's `price_caps` it checks the form only: which codes are in
// use is business data, and for whoever loads the policy to check (package guard does).
func ParsePolicy(src []byte) (*Policy, error) {
	s, err := parse(src, builtInSpec(), false)
	if err != nil {
		return nil, err
	}
	return compile(s, src), nil
}

// parser walks the YAML tree itself rather than decoding into structs, so that every
// problem is told at once, each with its line.
type parser struct {
	spec     *spec
	builtIn  bool // reading builtin.yaml, which declares the built-in meters
	problems []makerguard.FieldError
}

func parse(src []byte, base *spec, builtIn bool) (*spec, error) {
	p := &parser{spec: base.clone(), builtIn: builtIn}
	if root := p.document(src); root != nil {
		p.policy(root)
	}
	if len(p.problems) == 0 {
		return p.spec, nil
	}
	lines := make([]string, 0, len(p.problems))
	for _, f := range p.problems {
		lines = append(lines, f.Message)
	}
	return nil, &makerguard.Error{
		Code:    makerguard.ValidationFailed,
		Message: "The policy is not valid: " + strings.Join(lines, "; ") + ".",
		Fields:  p.problems,
	}
}

func (p *parser) policy(root *yaml.Node) {
	keys := []string{"version", "permissions", "meters", "tiers", "roles", "rates", "routes", "default"}
	sections := make(map[string]entry)
	for _, e := range p.mapping(root, "", keys...) {
		sections[e.key] = e
	}
	// In this order, since later sections use the names that earlier ones declare.
	if e, ok := sections["version"]; !ok {
		p.failf(root, "/version", "version: 1 is missing")
	} else if e.value.ShortTag() != "!!int" || e.value.Value != "1" {
		p.failf(e.value, e.pointer, "version must be 1")
	}
	if e, ok := sections["permissions"]; ok {
		p.permissions(e)
	}
	if e, ok := sections["meters"]; ok {
		p.meters(e)
	}
	if e, ok := sections["tiers"]; ok {
		p.tiers(e)
	}
	if e, ok := sections["roles"]; ok {
		p.roles(e, &p.spec.roles, false)
	}
	if e, ok := sections["rates"]; ok {
		p.spec.rates = p.rates(e, everywhere)
	}
	p.spec.def = DefaultAllow
	if e, ok := sections["routes"]; ok {
		p.spec.def = DefaultDeny
		p.routes(e)
	}
	if e, ok := sections["default"]; ok {
		if s, ok := p.choice(e.value, e.pointer, string(DefaultDeny), string(DefaultAllow)); ok {
			p.spec.def = Default(s)
		}
	}
}

func (p *parser) permissions(e entry) {
	for i, n := range p.list(e.value, e.pointer, maxPermissions-len(builtInPermissions)) {
		ptr := item(e.pointer, i)
		name, ok := p.text(n, ptr)
		perm := makerguard.Permission(name)
		switch {
		case !ok:
		case !customName.MatchString(name):
			p.failf(n, ptr, "%q is not a name for a permission: a to z, 0 to 9 and _, at most 64, a letter first", clip(name))
		case perm == Authenticated || p.knows(perm):
			p.failf(n, ptr, "permission %q exists already", name)
		default:
			p.spec.permissions = append(p.spec.permissions, perm)
		}
	}
}

func (p *parser) knows(perm makerguard.Permission) bool {
	return slices.Contains(builtInPermissions, perm) || slices.Contains(p.spec.permissions, perm)
}

// permission reads the name of a known permission.
func (p *parser) permission(n *yaml.Node, pointer string) (makerguard.Permission, bool) {
	name, ok := p.text(n, pointer)
	if !ok {
		return "", false
	}
	perm := makerguard.Permission(name)
	if !p.knows(perm) {
		p.failf(n, pointer, "unknown permission %q; declare it under permissions", clip(name))
		return "", false
	}
	return perm, true
}

func (p *parser) permissionList(e entry, operators bool) []makerguard.Permission {
	var perms []makerguard.Permission
	for i, n := range p.list(e.value, e.pointer, maxPermissions) {
		ptr := item(e.pointer, i)
		perm, ok := p.permission(n, ptr)
		switch {
		case !ok:
		case slices.Contains(perms, perm):
			p.failf(n, ptr, "permission %q is listed twice", perm)
		case !operators && slices.Contains(operatorPermissions, perm):
			p.failf(n, ptr, "permission %q is for operators; only the platform tier and its roles can hold it", perm)
		default:
			perms = append(perms, perm)
		}
	}
	return perms
}

func (p *parser) meters(e entry) {
	for _, m := range p.mapping(e.value, e.pointer) {
		name := makerguard.Meter(m.key)
		spec := meterSpec{name: name}
		for _, f := range p.mapping(m.value, m.pointer, "permission") {
			spec.permission, _ = p.permission(f.value, f.pointer)
		}
		switch {
		case !customName.MatchString(m.key):
			p.failf(m.value, m.pointer, "%q is not a name for a meter: a to z, 0 to 9 and _, at most 64, a letter first", clip(m.key))
		case p.knowsMeter(name):
			p.failf(m.value, m.pointer, "meter %q exists already", name)
		case spec.permission == "" && !p.builtIn:
			p.failf(m.value, m.pointer, "meter %q needs a permission", name)
		case len(p.spec.meters) >= maxMeters:
			p.failf(m.value, m.pointer, "more than %d meters", maxMeters)
			return
		default:
			p.spec.meters = append(p.spec.meters, spec)
		}
	}
}

func (p *parser) knowsMeter(name makerguard.Meter) bool {
	return slices.ContainsFunc(p.spec.meters, func(m meterSpec) bool { return m.name == name })
}

func (p *parser) roles(e entry, roles *[roleCount]roleSpec, operators bool) {
	for _, re := range p.mapping(e.value, e.pointer, names(roleNames[:])...) {
		r, _ := roleIndex(makerguard.Role(re.key))
		fields := p.mapping(re.value, re.pointer, "all", "except", "permissions")
		if len(fields) == 0 {
			continue
		}
		var role roleSpec
		var except, listed bool
		for _, f := range fields {
			switch f.key {
			case "all":
				role.all = p.boolean(f.value, f.pointer)
			case "except":
				except, role.except = true, p.permissionList(f, operators)
			case "permissions":
				listed, role.permissions = true, p.permissionList(f, operators)
			}
		}
		switch {
		case role.all && listed:
			p.failf(re.value, re.pointer, "role %s: all and permissions exclude each other", re.key)
		case !role.all && except:
			p.failf(re.value, re.pointer, "role %s: except needs all: true", re.key)
		case !role.all && !listed:
			p.failf(re.value, re.pointer, "role %s: give all: true or permissions", re.key)
		}
		roles[r] = role
	}
}

func (p *parser) routes(e entry) {
	seen := make(map[string]int)
	for i, n := range p.list(e.value, e.pointer, maxRoutes) {
		ptr := item(e.pointer, i)
		fields := p.mapping(n, ptr, "match", "permission", "meter", "inspect", "step_up", "public", "rates")
		if n.Kind != yaml.MappingNode {
			continue
		}
		r := Route{Inspect: InspectBlock}
		for _, f := range fields {
			p.routeField(&r, f)
		}
		switch {
		case !slices.ContainsFunc(fields, func(f entry) bool { return f.key == "match" }):
			p.failf(n, ptr, "match is missing")
		case r.Match != "" && seen[r.Match] != 0:
			p.failf(n, ptr, "match %q is given again; first on line %d", clip(r.Match), seen[r.Match])
		case r.Match != "":
			seen[r.Match] = n.Line
		}
		if r.Public && (r.Permission != "" || r.Meter != "" || r.StepUp != 0) {
			p.failf(n, ptr, "a public route cannot have permission, meter or step_up")
		}
		if !r.Public && r.Permission == "" {
			r.Permission = Authenticated
		}
		if f := slices.IndexFunc(fields, func(f entry) bool { return f.key == "rates" }); f >= 0 {
			r.Rates = p.rates(fields[f], routePlace(r)) // after match and public, which it depends on
		}
		p.spec.routes = append(p.spec.routes, r)
	}
}

func (p *parser) routeField(r *Route, f entry) {
	switch f.key {
	case "match":
		s, ok := p.text(f.value, f.pointer)
		if !ok {
			return
		}
		if err := checkPattern(s); err != nil {
			p.failf(f.value, f.pointer, "match %q: %v", clip(s), err)
			return
		}
		r.Match = s
	case "permission":
		if f.value.Value == string(Authenticated) {
			r.Permission = Authenticated
			return
		}
		r.Permission, _ = p.permission(f.value, f.pointer)
	case "meter":
		s, ok := p.text(f.value, f.pointer)
		if ok && !p.knowsMeter(makerguard.Meter(s)) {
			p.failf(f.value, f.pointer, "unknown meter %q; declare it under meters", clip(s))
			return
		}
		r.Meter = makerguard.Meter(s)
	case "inspect":
		if s, ok := p.choice(f.value, f.pointer, string(InspectBlock), string(InspectMonitor), string(InspectOff)); ok {
			r.Inspect = Inspect(s)
		}
	case "step_up":
		s, ok := p.text(f.value, f.pointer)
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < time.Second || d > maxStepUp {
			p.failf(f.value, f.pointer, "step_up is %q; it must be a time from 1s to 24h, as 5m", clip(s))
			return
		}
		r.StepUp = d
	case "public":
		r.Public = p.boolean(f.value, f.pointer)
	}
}
