package guard_test

import (
	"encoding/base32"
	"path/filepath"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/totp"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/test/mongotest"
)

// nodesApart opens guards on one database whose machines' clocks are off by so much.
func nodesApart(t *testing.T, skews ...time.Duration) []*guard.Guard {
	t.Helper()
	content, err := envelope.GenerateKEK()
	if err != nil {
		t.Fatal(err)
	}
	kek, err := envelope.ParseKEK(content)
	if err != nil {
		t.Fatal(err)
	}
	uri := makerguard.Secret(mongotest.URI(t))
	dir := t.TempDir()
	var nodes []*guard.Guard
	for _, skew := range skews {
		g, err := guard.Open(t.Context(), guard.Config{
			Data: filepath.Join(dir, skew.String()), Store: uri, KEK: kek,
			Argon2: auth.Argon2{Memory: 64, Time: 1, Threads: 1}, InsecureParams: true,
			Now: func() time.Time { return time.Now().Add(skew) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := g.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		nodes = append(nodes, g)
	}
	return nodes
}

// TestSkew_ClocksOfNodesDoNotMatter has three machines whose clocks are a minute apart share a
// database, whose clock is the one that counts.
func TestSkew_ClocksOfNodesDoNotMatter(t *testing.T) {
	nodes := nodesApart(t, -30*time.Second, 0, 30*time.Second)
	ctx, home := t.Context(), makerguard.Client{IP: "203.0.113.9"}
	_, owner, err := nodes[0].Register(ctx, account.Registration{Email: "skew@maker.example", Password: password, CompanyName: "Skew", Country: "FR"}, home)
	if err != nil {
		t.Fatal(err)
	}
	for i, signer := range nodes {
		in, err := signer.Auth.Login(ctx, auth.Login{Email: owner.Email, Password: password}, home)
		if err != nil {
			t.Fatalf("sign-in on node %d: %v", i, err)
		}
		for j, g := range nodes {
			if _, err := g.Auth.Authenticate(ctx, string(in.Tokens.Access)); err != nil {
				t.Errorf("a token of node %d on node %d: %v", i, j, err)
			}
		}
		// Every use of one refresh token within the grace gives the same successor, on every node.
		var next makerguard.Secret
		for j, g := range nodes {
			tokens, err := g.Auth.Refresh(ctx, in.Tokens.Refresh, home)
			if err != nil {
				t.Fatalf("refresh of node %d's token on node %d: %v", i, j, err)
			}
			if next == "" {
				next = tokens.Refresh
			}
			if tokens.Refresh != next {
				t.Errorf("refresh of node %d's token on node %d has another successor", i, j)
			}
		}
	}

	// A block of units that a node holds is not taken for a dead node's.
	in, err := nodes[0].Auth.Login(ctx, auth.Login{Email: owner.Email, Password: password}, home)
	if err != nil {
		t.Fatal(err)
	}
	p, err := nodes[0].Auth.Authenticate(ctx, string(in.Tokens.Access))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		for i, g := range nodes {
			_, res, err := g.Access.Acquire(ctx, p, makerguard.UploadProducts, makerguard.ProductUploads, 1)
			if err != nil {
				t.Fatalf("a unit on node %d: %v", i, err)
			}
			res.Commit()
		}
	}
	for i, g := range nodes {
		_, states, err := g.Usage(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Meter == makerguard.ProductUploads && s.Used < 15 {
				t.Errorf("node %d tells of %d units used, want at least the 15 that were", i, s.Used)
			}
		}
	}

	// A one-time code of the real time is good on every machine, once.
	enrolment, err := nodes[2].Auth.EnrolTOTP(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(enrolment.Secret))
	if err != nil {
		t.Fatal(err)
	}
	code := totp.Code(seed, time.Now().Add(-30*time.Second))
	if _, err := nodes[0].Auth.ConfirmTOTP(ctx, p, code, "", home); err != nil {
		t.Errorf("confirming on a machine that is slow: %v", err)
	}
	code = totp.Code(seed, time.Now())
	good := 0
	for _, g := range []*guard.Guard{nodes[2], nodes[0]} {
		step, err := g.Auth.Login(ctx, auth.Login{Email: owner.Email, Password: password}, home)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Auth.VerifyMFA(ctx, step.MFAToken, "totp", code, home); err == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("one code was good %d times on machines whose clocks differ, want 1", good)
	}
}
