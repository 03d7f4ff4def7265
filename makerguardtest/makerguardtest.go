// Package makerguardtest gives tests a ready makerguard: the real server on a temporary
// SQLite store, with password hashing made cheap and a clock that the test may set. It is
// for makerguard's own tests and those of services that embed it, and for nothing else.
//
//	s := makerguardtest.NewServer(t, nil)
//	res, err := http.Get(s.URL + "/healthz")
package makerguardtest

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/server"
)

// Options change what NewServer and Open make. The zero value, and nil, change nothing.
type Options struct {
	Now        func() time.Time // default time.Now
	PolicyFile string           // default the built-in policy
	Proxies    string           // trusted proxies, as --trusted-proxies takes them; default none
}

// Server is a running server with the guard behind it.
type Server struct {
	*httptest.Server
	Guard *guard.Guard
}

// cheap makes a password hash cost microseconds. Sign-in's work, not its rules, changes.
var cheap = auth.Argon2{Memory: 8, Time: 1, Threads: 1}

// Open gives a guard on a temporary directory, closed with the test.
func Open(t testing.TB, o *Options) *guard.Guard {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	cfg := guard.Config{Data: t.TempDir(), Now: o.Now, PolicyFile: o.PolicyFile, Argon2: cheap, InsecureParams: true}
	ps, err := middleware.ParseProxies(o.Proxies)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Proxies = ps
	g, err := guard.Open(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatalf("opening a guard: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("closing the guard: %v", err)
		}
	})
	return g
}

// NewServer gives a server on a loopback address, closed with the test.
func NewServer(t testing.TB, o *Options) *Server {
	t.Helper()
	g := Open(t, o)
	s, err := server.New(server.Config{Guard: g, Version: "test"})
	if err != nil {
		t.Fatalf("making a server: %v", err)
	}
	hs := httptest.NewServer(s.Handler())
	t.Cleanup(hs.Close)
	return &Server{Server: hs, Guard: g}
}
