package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/middleware"
)

// setting is one configuration value: a key in the file, MAKERGUARD_KEY in the environment
// (dots as underscores; MAKERGUARD_KEY_FILE names a file that holds the value),
// and a flag, each of which wins over those before it.
type setting struct {
	key, flag, def, help string
}

// dataSettings are those of every command that opens the data.
var dataSettings = []setting{
	{"data", "data", "./data", "directory that everything is kept in"},
	{"store", "store", "sqlite", "where data is kept: sqlite, in the data directory, or mongodb://HOST/DATABASE for several nodes"},
	{"kek", "kek", "", "root key: file:PATH or env:NAME (default DATA/keys/root.json)"},
	{"log.level", "log-level", "info", "least level logged: debug, info, warn, error"},
	{"log.format", "log-format", "json", "format of the log on standard error: json or text"},
}

// serveSettings are those of serve alone.
var serveSettings = []setting{
	{"listen", "listen", "127.0.0.1:8080", "address to listen on; port 0 takes a free one"},
	{"admin_listen", "admin-listen", "", "address that serves /metrics and health openly (default off)"},
	{"policy", "policy", "", "policy file in YAML (default built in); reloaded when it changes"},
	{"issuer", "issuer", "makerguard", "iss of access tokens"},
	{"audience", "audience", "makerguard-api", "aud of access tokens"},
	{"trusted_proxies", "trusted-proxies", "", "networks of the proxies in front, such as 10.0.0.0/8,127.0.0.1 (default none)"},
	{"limits.signups_per_hour", "signups-per-hour", "60", "registrations an hour from one address"},
	{"threats.retention_days", "threat-retention-days", "90", "days that the threat history is kept"},
	{"defense.block", "block", "address", "who is blocked automatically after too many attacks: address,member,manufacturer or none; for the others it is only proposed"},
	{"detector.paranoia", "paranoia", "1", "how suspicious the detector is: 1 to 3"},
}

// addFlags gives a command its settings and --config.
func addFlags(cmd *cobra.Command, settings ...[]setting) {
	for _, s := range slices.Concat(settings...) {
		cmd.Flags().String(s.flag, s.def, s.help+" ["+envName(s.key)+"]")
	}
	cmd.Flags().String("config", "", "configuration file in YAML [MAKERGUARD_CONFIG]")
}

func envName(key string) string {
	return "MAKERGUARD_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// loadConfig merges defaults, file, environment and flags, in that order.
func loadConfig(flags *pflag.FlagSet, settings ...[]setting) (*koanf.Koanf, error) {
	all := slices.Concat(settings...)
	k := koanf.New(".")
	values := map[string]any{}
	for _, s := range all {
		values[s.key] = s.def
	}
	if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
		return nil, fmt.Errorf("loading defaults: %w", err)
	}
	path, err := flags.GetString("config")
	if err != nil {
		return nil, fmt.Errorf("reading --config: %w", err)
	}
	if path == "" {
		path = os.Getenv("MAKERGUARD_CONFIG")
	}
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("the configuration file %s cannot be used: %w", path, err)
		}
		if err := knownOnly(k, path); err != nil {
			return nil, err
		}
	}
	over := map[string]any{}
	for _, s := range all {
		v, ok, err := fromEnvironment(s.key)
		if err != nil {
			return nil, err
		}
		if ok {
			over[s.key] = v
		}
		if f := flags.Lookup(s.flag); f != nil && f.Changed {
			over[s.key] = f.Value.String()
		}
	}
	if err := k.Load(confmap.Provider(over, "."), nil); err != nil {
		return nil, fmt.Errorf("loading flags: %w", err)
	}
	return k, nil
}

// knownOnly refuses a file with a key that is no setting: a misspelt one would
// silently leave its default in force.
func knownOnly(k *koanf.Koanf, path string) error {
	var errs []error
	known := slices.Concat(dataSettings, serveSettings)
	for _, key := range k.Keys() {
		if !slices.ContainsFunc(known, func(s setting) bool { return s.key == key }) {
			errs = append(errs, fmt.Errorf("the configuration file %s has the unknown key %s", path, key))
		}
	}
	return errors.Join(errs...)
}

func fromEnvironment(key string) (string, bool, error) {
	name := envName(key)
	if v, ok := os.LookupEnv(name); ok {
		return v, true, nil
	}
	path, ok := os.LookupEnv(name + "_FILE")
	if !ok {
		return "", false, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("reading the file that %s_FILE names: %w", name, err)
	}
	return strings.TrimRight(string(b), "\r\n"), true, nil
}

// guardConfig gives what the data settings say.
func guardConfig(k *koanf.Koanf, stderr io.Writer) (guard.Config, error) {
	cfg := guard.Config{Data: k.String("data"), Store: makerguard.Secret(k.String("store"))}
	kek, err := openKEK(k.String("kek"))
	if err != nil {
		return cfg, err
	}
	cfg.KEK = kek
	cfg.Logger, err = newLogger(stderr, k.String("log.level"), k.String("log.format"))
	return cfg, err
}

// openKEK reads the root key that --kek names; nil for "".
func openKEK(source string) (envelope.KEK, error) {
	kind, name, _ := strings.Cut(source, ":")
	switch {
	case source == "":
		return nil, nil
	case kind == "file" && name != "":
		return envelope.ReadKEKFile(name)
	case kind == "env" && name != "":
		text, ok := os.LookupEnv(name)
		if !ok {
			return nil, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: fmt.Sprintf("the environment has no %s, which --kek names: set it to the root key file's content in base64", name)}
		}
		content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: fmt.Sprintf("the value of %s is not base64: make it with base64 -w0 FILE", name)}
		}
		return envelope.ParseKEK(content)
	}
	return nil, fmt.Errorf("--kek %q is neither file:PATH nor env:NAME", kind)
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("the log level %q is none of debug, info, warn and error", level)
	}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			a.Value = slog.TimeValue(a.Value.Time().UTC())
		}
		return a
	}}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("the log format %q is neither json nor text", format)
}

func parseProxies(k *koanf.Koanf) (middleware.Proxies, error) {
	ps, err := middleware.ParseProxies(k.String("trusted_proxies"))
	if err != nil {
		return nil, fmt.Errorf("reading --trusted-proxies: %w", err)
	}
	return ps, nil
}
