package rbac

import (
	"context"

	"github.com/makerguard/makerguard"
)

// Store keeps the policy that all nodes share.
type Store interface {
	// Policy returns the policy in force, of Version 0 if none was ever stored.
	Policy(ctx context.Context) (makerguard.PolicyDocument, error)
	// PutPolicy replaces the policy and announces PolicyChanged. Conflict if the stored
	// version is not p.Version-1.
	PutPolicy(ctx context.Context, p makerguard.PolicyDocument) error
}
