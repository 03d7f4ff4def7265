package rbac

import (
	_ "embed"
	"maps"
	"slices"
	"sync"

	"github.com/makerguard/makerguard"
)

// Authenticated stands, in a route or a call, for no permission in particular: every
// known caller has it. It is not a permission that a tier, role or grant can hold. An
// empty Permission, in contrast, is unknown and always denied, so that a forgotten
// one opens nothing.
const Authenticated makerguard.Permission = "authenticated"

// Positions of tiers and roles in a row of the matrix. A policy knows these and no
// others.
const (
	tierFree = iota
	tierProfessional
	tierEnterprise
	tierPlatform
	tierCount
)

const (
	roleOwner = iota
	roleAdmin
	roleEditor
	roleViewer
	roleCount
)

// columnKey is the column of API keys, which have no role: only what they were
// given counts.
const columnKey = roleCount

var (
	tierNames = [tierCount]makerguard.Tier{
		makerguard.TierFree, makerguard.TierProfessional, makerguard.TierEnterprise, makerguard.TierPlatform,
	}
	roleNames = [roleCount]makerguard.Role{
		makerguard.RoleOwner, makerguard.RoleAdmin, makerguard.RoleEditor, makerguard.RoleViewer,
	}
	tierRules = [tierCount]string{"tier:free", "tier:professional", "tier:enterprise", "tier:platform"}
	roleRules = [roleCount]string{"role:owner", "role:admin", "role:editor", "role:viewer"}
)

func tierIndex(t makerguard.Tier) (int, bool) {
	switch t {
	case makerguard.TierFree:
		return tierFree, true
	case makerguard.TierProfessional:
		return tierProfessional, true
	case makerguard.TierEnterprise:
		return tierEnterprise, true
	case makerguard.TierPlatform:
		return tierPlatform, true
	}
	return 0, false
}

func roleIndex(r makerguard.Role) (int, bool) {
	switch r {
	case makerguard.RoleOwner:
		return roleOwner, true
	case makerguard.RoleAdmin:
		return roleAdmin, true
	case makerguard.RoleEditor:
		return roleEditor, true
	case makerguard.RoleViewer:
		return roleViewer, true
	}
	return 0, false
}

// operatorPermissions can stand in the platform's tier only.
var operatorPermissions = []makerguard.Permission{
	makerguard.OperateManufacturers, makerguard.OperateKeys, makerguard.OperatePolicy, makerguard.ViewMetrics,
}

// builtInPermissions is every permission that needs no declaration in a policy.
var builtInPermissions = append([]makerguard.Permission{
	makerguard.UploadProducts, makerguard.ManageProducts, makerguard.ViewBasicAnalytics, makerguard.ManageProfile,
	makerguard.ManageMembers, makerguard.UseEncryption, makerguard.ViewSecurity,
	makerguard.BulkUploadProducts, makerguard.ViewAdvancedAnalytics, makerguard.AccessMLTools, makerguard.ExportData,
	makerguard.ManageAPIKeys, makerguard.UseVault, makerguard.ViewAudit,
	makerguard.UsePredictiveAnalytics, makerguard.UseVirtualTryOn, makerguard.ManageWebhooks,
	makerguard.ManageEncryptionKeys, makerguard.IntrospectTokens,
}, operatorPermissions...)

//go:embed builtin.yaml
var builtInSource []byte

// builtInSpec panics only if the package was built with a broken builtin.yaml, which
// every test of this package would show.
var builtInSpec = sync.OnceValue(func() *spec {
	s, err := parse(builtInSource, &spec{}, true)
	if err != nil {
		panic(err)
	}
	return s
})

var builtInPolicy = sync.OnceValue(func() *Policy { return compile(builtInSpec(), builtInSource) })

// BuiltIn returns the policy that holds where no policy file is given.
func BuiltIn() *Policy { return builtInPolicy() }

// Policy says what each tier and role may do and how much of it. It never changes
// once parsed and is safe for concurrent use.
type Policy struct {
	source      []byte
	permissions []makerguard.Permission
	rows        rowTable
	meters      []makerguard.Meter
	meterNeeds  map[makerguard.Meter]makerguard.Permission
	tiers       [tierCount]tierTerms
	routes      []Route
	def         Default

	addressRates []Rate            // asked of every request
	otherRates   []Rate            // asked of every caller
	callerRates  [tierCount][]Rate // otherRates and the tier's
}

// tierTerms is what a tier gives besides permissions.
type tierTerms struct {
	limits                     map[makerguard.Meter]int64
	sessions, members, apiKeys int64
	mfa                        bool
	priceCaps                  map[string]int64
}

// row is what the matrix says of one permission: the verdict for each tier and role,
// and for API keys.
type row struct {
	cells  [tierCount][roleCount + 1]verdict
	lowest makerguard.Tier // the lowest of the manufacturers' tiers that holds it, or ""
}

// verdict is what tier and role say, before grants. Its zero value denies.
type verdict uint8

const (
	tierLacks        verdict = iota // and the role would not allow it either
	tierLacksRoleHas                // a tier that held it would allow it
	roleLacks                       // a grant would allow it
	roleAllows
	anyoneMay
)

// compile turns a spec, which is what the YAML says, into the tables Decide reads.
func compile(s *spec, source []byte) *Policy {
	p := &Policy{
		source:      slices.Clone(source),
		permissions: slices.Concat(builtInPermissions, s.permissions),
		meterNeeds:  make(map[makerguard.Meter]makerguard.Permission),
		routes:      slices.Clone(s.routes),
		def:         s.def,
	}
	for _, m := range s.meters {
		p.meters = append(p.meters, m.name)
		p.meterNeeds[m.name] = m.permission
	}
	for t, ts := range s.tiers {
		p.tiers[t] = tierTerms{
			limits: ts.limits, sessions: ts.sessions, members: ts.members, apiKeys: ts.apiKeys, mfa: ts.mfa, priceCaps: ts.priceCaps,
		}
	}
	p.compileRates(s)
	p.rows = newRowTable(len(p.permissions) + 1)
	for _, perm := range p.permissions {
		p.rows.add(perm, compileRow(s, perm))
	}
	everyone := &row{}
	for t := range everyone.cells {
		for c := range everyone.cells[t] {
			everyone.cells[t][c] = anyoneMay
		}
	}
	p.rows.add(Authenticated, everyone)
	return p
}

func compileRow(s *spec, perm makerguard.Permission) *row {
	r := &row{}
	inherited := false
	for t, ts := range s.tiers {
		holds := slices.Contains(ts.permissions, perm)
		roles := s.roles
		if t == tierPlatform {
			roles = s.platformRoles
		} else {
			inherited = inherited || holds
			holds = inherited
			if holds && r.lowest == "" {
				r.lowest = tierNames[t]
			}
		}
		for c, role := range roles {
			switch has := role.has(perm); {
			case holds && has:
				r.cells[t][c] = roleAllows
			case holds:
				r.cells[t][c] = roleLacks
			case has:
				r.cells[t][c] = tierLacksRoleHas
			}
		}
		if holds {
			r.cells[t][columnKey] = roleLacks
		}
	}
	return r
}

// Source is the text the policy was parsed from.
func (p *Policy) Source() []byte { return slices.Clone(p.source) }

// Known lists every permission the policy knows: the built-in ones, then those it
// declares.
func (p *Policy) Known() []makerguard.Permission { return slices.Clone(p.permissions) }

// Permissions lists what pr may do, in the order of Known. It is empty for a
// caller the policy does not know.
func (p *Policy) Permissions(pr *makerguard.Principal) []makerguard.Permission {
	var all []makerguard.Permission
	for _, perm := range p.permissions {
		if p.Decide(pr, perm).Allowed {
			all = append(all, perm)
		}
	}
	return all
}

// Meters lists every meter the policy knows: the built-in ones, then those it declares.
func (p *Policy) Meters() []makerguard.Meter { return slices.Clone(p.meters) }

// MeterPermission gives the permission it takes to spend on meter by hand; "", which
// nobody has, for api_calls and for a meter the policy does not know.
func (p *Policy) MeterPermission(meter makerguard.Meter) makerguard.Permission {
	return p.meterNeeds[meter]
}

// Limit gives how many units of meter a tier may use a month, or
// makerguard.Unlimited. It is 0 for a tier or meter the policy does not know.
func (p *Policy) Limit(tier makerguard.Tier, meter makerguard.Meter) int64 {
	return p.terms(tier).limits[meter]
}

// Sessions gives how many sessions a member of a tier may have at once; 0 for an
// unknown tier.
func (p *Policy) Sessions(tier makerguard.Tier) int64 { return p.terms(tier).sessions }

// Members gives how many members a manufacturer of a tier may have, pending
// invitations included; 0 for an unknown tier.
func (p *Policy) Members(tier makerguard.Tier) int64 { return p.terms(tier).members }

// APIKeys gives how many API keys a manufacturer of a tier may have; 0 for an
// unknown tier.
func (p *Policy) APIKeys(tier makerguard.Tier) int64 { return p.terms(tier).apiKeys }

// PriceCaps gives the highest price that a manufacturer of a tier may ask for, in minor units
// by the code of the currency. A currency that is not in it has no cap; nor has any for
// operators and tiers the policy does not know. The caller owns the map.
func (p *Policy) PriceCaps(tier makerguard.Tier) map[string]int64 {
	return maps.Clone(p.terms(tier).priceCaps)
}

// RequiresMFA reports whether members of a tier must have a second factor. Operators
// always must, and so must members of a tier the policy does not know.
func (p *Policy) RequiresMFA(tier makerguard.Tier) bool {
	t, ok := tierIndex(tier)
	return !ok || t == tierPlatform || p.tiers[t].mfa
}

func (p *Policy) terms(tier makerguard.Tier) tierTerms {
	if t, ok := tierIndex(tier); ok {
		return p.tiers[t]
	}
	return tierTerms{}
}

// Routes gives the gateway's rules in the order of the file; see Route.
func (p *Policy) Routes() []Route { return slices.Clone(p.routes) }

// Default gives what happens to a request that no route matches.
func (p *Policy) Default() Default { return p.def }

// rowTable finds a permission's row. It is a hash table with open addressing, at most a
// quarter full, whose hash looks at four bytes only: names of permissions are few and known
// beforehand, and a Go map's lookup would be more than half of Decide's time.
type rowTable struct{ slots []rowSlot }

type rowSlot struct {
	perm makerguard.Permission
	row  *row // nil: the slot is free
}

func newRowTable(n int) rowTable {
	size := 16
	for size < 4*n {
		size *= 2
	}
	return rowTable{slots: make([]rowSlot, size)}
}

func (t rowTable) add(perm makerguard.Permission, r *row) {
	for i := rowHash(perm); ; i++ {
		if s := &t.slots[i&uint(len(t.slots)-1)]; s.row == nil {
			s.perm, s.row = perm, r
			return
		}
	}
}

// find returns nil for a permission that is not in the table.
func (t rowTable) find(perm makerguard.Permission) *row {
	if len(t.slots) == 0 { // the zero Policy knows nothing
		return nil
	}
	for i := rowHash(perm); ; i++ {
		s := &t.slots[i&uint(len(t.slots)-1)]
		if s.row == nil || s.perm == perm {
			return s.row
		}
	}
}

func rowHash(perm makerguard.Permission) uint {
	n := len(perm)
	if n == 0 {
		return 0
	}
	return uint(n) + uint(perm[0])*7 + uint(perm[n/2])*31 + uint(perm[n-1])*131
}
