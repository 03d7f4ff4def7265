package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/guard"
)

// demoFile keeps the credentials of the demo, so that they can be shown at every start.
const demoFile = "demo-credentials"

// demoManufacturers are one of each tier.
var demoManufacturers = []struct {
	tier                    makerguard.Tier
	email, company, country string
}{
	{makerguard.TierFree, "free@demo.example", "Atelier Libre", "FR"},
	{makerguard.TierProfessional, "professional@demo.example", "Brillenwerk", "DE"},
	{makerguard.TierEnterprise, "enterprise@demo.example", "Occhiali Grandi", "IT"},
}

// seedDemo makes the demo's manufacturers unless they are there, and prints how to sign
// in as them. The password is a new one for each data directory.
func seedDemo(ctx context.Context, g *guard.Guard, data string, stdout io.Writer) error {
	path := filepath.Join(data, demoFile)
	password, err := demoPassword(path)
	if err != nil {
		return err
	}
	actor := &makerguard.Principal{Kind: "system", ManufacturerID: makerguard.PlatformID}
	fmt.Fprintf(stdout, "demo manufacturers, all with the password %s\n", string(password))
	for _, d := range demoManufacturers {
		fmt.Fprintf(stdout, "  %-13s %s\n", d.tier, d.email)
		// One made at an earlier start is not registered again: that would count as a sign-up.
		if there, _, err := g.Accounts.Manufacturers(ctx, d.company, "", 1); err != nil {
			return err
		} else if len(there) > 0 {
			continue
		}
		m, _, err := g.Accounts.Register(ctx, account.Registration{
			Email: d.email, Password: password, CompanyName: d.company, Country: d.country, Name: "Demo",
		}, makerguard.Client{IP: "127.0.0.1", UserAgent: "makerguard serve --demo"})
		if err != nil {
			return err
		}
		if d.tier != m.Tier {
			if err := g.Accounts.SetTier(ctx, actor, m.ID, d.tier, makerguard.Client{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// demoPassword gives the password kept in the data directory, making one the first time.
func demoPassword(path string) (makerguard.Secret, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return makerguard.Secret(strings.TrimSpace(string(b))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the demo's password: %w", err)
	}
	password := "demo-" + strings.ToLower(rand.Text())
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the demo's password: %w", err)
	}
	return makerguard.Secret(password), nil
}
