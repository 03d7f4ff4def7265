package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"

	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/server"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, forward-auth and metrics",
		Example: `  makerguard serve
  makerguard serve --demo
  makerguard serve --listen 127.0.0.1:0 --data /var/lib/makerguard --policy policy.yaml
  makerguard serve --trusted-proxies 127.0.0.1 --admin-listen 127.0.0.1:9090
  makerguard serve --store "mongodb://db1,db2,db3/eyewear_ml?replicaSet=rs0&tls=true" --kek file:/etc/makerguard/root.json`,
		Args: cobra.NoArgs,
	}
	addFlags(cmd, dataSettings, serveSettings)
	demo := cmd.Flags().Bool("demo", false, "make one manufacturer of each tier and print their credentials")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := loadConfig(cmd.Flags(), dataSettings, serveSettings)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), k, *demo, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

const (
	startTimeout = 10 * time.Second // for the store to answer at start
	drainTimeout = 10 * time.Second // for requests under way at the end
)

func serve(ctx context.Context, k *koanf.Koanf, demo bool, stdout, stderr io.Writer) (err error) {
	cfg, err := guardConfig(k, stderr)
	if err != nil {
		return err
	}
	if cfg.Proxies, err = parseProxies(k); err != nil {
		return err
	}
	cfg.PolicyFile, cfg.Issuer, cfg.Audience = k.String("policy"), k.String("issuer"), k.String("audience")
	if cfg.SignupsPerHour, err = positive(k, "limits.signups_per_hour"); err != nil {
		return err
	}
	if cfg.Paranoia, err = positive(k, "detector.paranoia"); err != nil {
		return err
	}
	days, err := positive(k, "threats.retention_days")
	if err != nil {
		return err
	}
	cfg.ThreatRetention = time.Duration(days) * 24 * time.Hour
	cfg.Block = blockKinds(k.String("defense.block"))
	// Every core may hash a password; with as many processors more, Go's scheduler always has
	// one left for requests, and the kernel shares the cores between them.
	cfg.HashWorkers = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * cfg.HashWorkers)
	// The address is taken before the data is opened, so that a taken port leaves nothing behind.
	listener, err := listen(ctx, k.String("listen"))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // closed already when all went well
	store := server.NewStoreMetrics()
	if k.String("store") != "sqlite" {
		cfg.StoreObserver = store
	} else {
		store = nil // the embedded store sends no commands
	}
	openCtx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	g, err := guard.Open(openCtx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	s, err := server.New(server.Config{Guard: g, Store: store, Version: version(), Logger: cfg.Logger})
	if err != nil {
		return err
	}
	var credentials bytes.Buffer // shown below the first line, which scripts wait for
	if demo {
		if err := seedDemo(ctx, g, k.String("data"), &credentials); err != nil {
			return fmt.Errorf("seeding the demo: %w", err)
		}
	}
	servers := []*http.Server{newHTTPServer(s.Handler(), cfg.Logger)}
	listeners := []net.Listener{listener}
	if addr := k.String("admin_listen"); addr != "" {
		al, err := listen(ctx, addr)
		if err != nil {
			return err
		}
		cfg.Logger.Info("admin listener", "address", al.Addr().String())
		servers, listeners = append(servers, newHTTPServer(s.AdminHandler(), cfg.Logger)), append(listeners, al)
	}
	reloadOnHangup(ctx, g, cfg)
	greet(stdout, "http://"+listener.Addr().String(), k.String("data"), whereData(k), credentials.String())
	// What only the start needed goes back to the system now, not over the next minutes.
	go debug.FreeOSMemory()
	return serveAll(ctx, servers, listeners)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another process listens on %s already: stop it, or give another address with --listen", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

// maxHeader is how many bytes a request may have before its body: the request line and all
// headers. net/http reads 4 KiB more than it is told, and answers 431 past that.
const maxHeader = 16 << 10

// newHTTPServer bounds what one connection can hold (OWASP ASVS 5 V4.2.5): maxHeader,
// and time for each stage of a request.
func newHTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader - 4<<10, DisableGeneralOptionsHandler: true, // OPTIONS * has no answer past ours
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// serveAll serves until ctx ends or a server fails, then lets requests under way finish.
func serveAll(ctx context.Context, servers []*http.Server, listeners []net.Listener) error {
	failed := make(chan error, len(servers))
	for i, srv := range servers {
		go func() { failed <- srv.Serve(listeners[i]) }()
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		errs = append(errs, fmt.Errorf("serving: %w", err))
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for _, srv := range servers {
		if err := srv.Shutdown(drain); err != nil {
			errs = append(errs, fmt.Errorf("finishing requests: %w", err))
		}
	}
	return errors.Join(errs...)
}

// reloadOnHangup reads the policy again at SIGHUP, until ctx ends.
func reloadOnHangup(ctx context.Context, g *guard.Guard, cfg guard.Config) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				if cfg.PolicyFile == "" {
					cfg.Logger.Info("nothing to reload: the policy is built in")
					continue
				}
				_ = g.ReloadPolicy(ctx) // logged there; the old policy stays
			}
		}
	}()
}

// whereData tells where the data and the root key are.
func whereData(k *koanf.Koanf) string {
	key := "the root key is in keys/root.json: keep a copy apart"
	if k.String("kek") != "" {
		key = "the root key is elsewhere"
	}
	if k.String("store") == "sqlite" {
		return fmt.Sprintf("%s (SQLite; %s)", k.String("data"), key)
	}
	return fmt.Sprintf("MongoDB; %s (%s)", k.String("data"), key)
}

// greet tells a newcomer where it listens and what to do next. The first line is part of
// the contract: scripts wait for it.
func greet(w io.Writer, url, data, where, credentials string) {
	fmt.Fprintf(w, "listening on %s\n", url)
	fmt.Fprintf(w, `
  data      %s
  API       %s/docs
  operator  makerguard operator create --data %s --email you@example.com --password-stdin
`, where, url, data)
	if credentials != "" {
		fmt.Fprintf(w, "\n%s\nTry next: docs/tour.md\n", credentials)
	} else {
		fmt.Fprintf(w, `
Try next, in another terminal:

  curl -s %s/v1/manufacturers -H 'Content-Type: application/json' \
    -d '{"email":"owner@lunettes.example","password":"oak table under the linden","company_name":"Lunettes","country":"FR"}'

or start with --demo and follow docs/tour.md.
`, url)
	}
}

func positive(k *koanf.Koanf, key string) (int, error) {
	n := k.Int(key)
	if n <= 0 {
		return 0, fmt.Errorf("%s is %q, want a whole number above 0", key, k.String(key))
	}
	return n, nil
}
