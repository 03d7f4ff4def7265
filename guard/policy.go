package guard

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/rbac"
)

// ReadPolicy reads a policy file and checks all of it, or gives the built-in policy for "". It
// returns ValidationFailed, saying what is wrong, for a file that cannot be read or is not
// valid.
func ReadPolicy(path string) (*rbac.Policy, error) {
	if path == "" {
		return rbac.BuiltIn(), nil
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, &makerguard.Error{Code: makerguard.ValidationFailed, Message: fmt.Sprintf("the policy file %s cannot be read", path), Err: err}
	}
	p, err := parsePolicy(src)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	return p, nil
}

// ReloadPolicy reads the policy file again and puts it in force, whole; on any error
// the old policy stays.
func (g *Guard) ReloadPolicy(ctx context.Context) error {
	p, err := ReadPolicy(g.cfg.PolicyFile)
	entry := makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: audit.PolicyReloaded, Outcome: audit.Success,
		ActorKind: audit.ActorSystem, Target: g.cfg.PolicyFile,
	}
	if err != nil {
		entry.Outcome, entry.Detail = audit.Failure, "the file is not a valid policy; the old one stays"
	}
	if aerr := g.Audit.Record(ctx, entry); aerr != nil && err == nil {
		return aerr // no audit entry, no change
	}
	if err != nil {
		g.cfg.Logger.Error("policy not reloaded, the old one stays", "error", err)
		return err
	}
	g.Access.SetPolicy(p)
	g.cfg.Logger.Info("policy reloaded", "file", g.cfg.PolicyFile)
	return nil
}

// watchPolicy reloads the policy within a second of a change to its file.
func (g *Guard) watchPolicy(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seen := stamp(g.cfg.PolicyFile)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if now := stamp(g.cfg.PolicyFile); now != seen {
				seen = now
				_ = g.ReloadPolicy(ctx) // logged there; the old policy stays
			}
		}
	}
}

// fileStamp tells two states of a file apart.
type fileStamp struct {
	modified time.Time
	size     int64
}

func stamp(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}
