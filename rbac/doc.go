// Package rbac decides what a caller may do: the one path to a yes that middleware,
// gateway, API and command line all ask.
//
// A member may do what its manufacturer's tier holds and its role holds or a grant
// gives; an API key what the tier holds and the key was given. Everything else is
// denied, and so is every caller, tier, role or permission the policy does not know. A
// grant never reaches beyond the tier. Operators (members of the platform tenant)
// have a tier of their own, so that no grant, role or policy file can give a
// manufacturer an operator's permission.
//
// Policy.Decide is pure: no I/O, no clock, no allocation. Its Decision says why, which
// rule decided, and which tier would allow it. Authorizer adds the limit of a meter
// (package quota counts it) and lets the policy be swapped whole while requests run.
//
// The policy is YAML; what a file leaves out is as in the built-in one, BuiltIn. This
// package does not check who the caller is (package auth) nor whose object is asked
// for: every query of a store is by manufacturer, which is what keeps tenants apart.
//
//	d := rbac.BuiltIn().Decide(p, makerguard.UploadProducts)
//	if !d.Allowed {
//		return d.Err()
//	}
package rbac
