package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/token"
	"github.com/makerguard/makerguard/guard"
)

// policy is the built-in one with limits that no measurement reaches.
//
//go:embed testdata/policy.yaml
var policy []byte

// client is where requests come from.
var client = makerguard.Client{IP: "127.0.0.1", UserAgent: "makerguard-bench", RequestID: "req_bench"}

// writePolicy puts the policy into a directory.
func writePolicy(dir string) (string, error) {
	path := filepath.Join(dir, "policy.yaml")
	return path, os.WriteFile(path, policy, 0o600)
}

// guard opens a whole makerguard on a new store, until the end of the row.
func (l *lab) guard() (*guard.Guard, error) {
	dir, err := l.tempDir()
	if err != nil {
		return nil, err
	}
	file, err := writePolicy(dir)
	if err != nil {
		return nil, err
	}
	g, err := guard.Open(l.ctx, guard.Config{Data: filepath.Join(dir, "data"), PolicyFile: file, SignupsPerHour: 1 << 16, HashWorkers: runtime.NumCPU()})
	if err != nil {
		return nil, err
	}
	l.finally(g.Close)
	return g, nil
}

// tenant is a manufacturer whose owner is signed in.
type tenant struct {
	login     auth.Login
	access    string
	principal *makerguard.Principal
}

const password = "oak table under the linden"

// signUp registers a manufacturer and signs its owner in.
func signUp(l *lab, g *guard.Guard, name string) (*tenant, error) {
	t := &tenant{login: auth.Login{Email: "owner@" + name + ".example", Password: password}}
	_, _, err := g.Accounts.Register(l.ctx, account.Registration{
		Email: t.login.Email, Password: password, CompanyName: name, Country: "FR", Name: "Owner",
	}, client)
	if err != nil {
		return nil, fmt.Errorf("registering: %w", err)
	}
	if t.access, err = t.signIn(l, g); err != nil {
		return nil, err
	}
	if t.principal, err = g.Auth.Authenticate(l.ctx, t.access); err != nil {
		return nil, fmt.Errorf("authenticating: %w", err)
	}
	return t, nil
}

// signIn gives an access token of a new session.
func (t *tenant) signIn(l *lab, g *guard.Guard) (string, error) {
	in, err := g.Auth.Login(l.ctx, t.login, client)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	if in.Status != auth.StatusAuthenticated {
		return "", fmt.Errorf("signing in: %s", in.Status)
	}
	return string(in.Tokens.Access), nil
}

// claims are those of the tenant's access token.
func (t *tenant) claims() token.Claims {
	p := t.principal
	return token.Claims{
		Subject: p.MemberID, Session: p.SessionID, Manufacturer: p.ManufacturerID, Tier: p.Tier, Role: p.Role, AMR: p.AMR, AuthTime: p.AuthTime,
	}
}

// want says which code an error must have; "" is none.
func want(what string, err error, code makerguard.Code) error {
	if got := makerguard.CodeOf(err); got != code {
		return fmt.Errorf("%s: got %q (%v), want %q", what, got, err, code)
	}
	return nil
}
