package integration

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refused checks that serve does not start, exits with 1 and says what it must.
func refused(t *testing.T, data string, says []string, args ...string) {
	t.Helper()
	s, err := tryStart(t, data, args...)
	if err == nil {
		t.Fatalf("serve %v started, want a refusal", args)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("serve %v: exit status %d, want 1; it said:\n%s", args, code, s.out)
	}
	out := s.out.String()
	for _, w := range says {
		if !strings.Contains(out, w) {
			t.Errorf("serve %v said:\n%s\nwant it to say %q", args, out, w)
		}
	}
	if strings.Contains(out, "goroutine ") || strings.Contains(out, "listening on") {
		t.Errorf("serve %v said:\n%s\nwant one message", args, out)
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// A start that cannot go well ends with exit status 1 and a message that says what to do,
// and leaves nothing behind.
func TestStart_RefusesBadSettings(t *testing.T) {
	sqliteOnly(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "file"), "not a directory", 0o600)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config := func(name, content string) string { return write(t, filepath.Join(dir, name), content, 0o600) }
	open := write(t, filepath.Join(dir, "open-key.json"), "{}", 0o644)
	for _, tc := range []struct {
		name string
		says []string
		args []string
	}{
		{"data under a file", []string{file, "--data"}, []string{"--data", filepath.Join(file, "data")}},
		{"data is a file", []string{file, "--data"}, []string{"--data", file}},
		{"taken port", []string{taken.Addr().String(), "--listen"}, []string{"--listen", taken.Addr().String()}},
		{"no address", []string{"nonsense"}, []string{"--listen", "nonsense"}},
		{"unknown store", []string{"sqlite"}, []string{"--store", "postgres"}},
		{"unknown flag", []string{"--frobnicate"}, []string{"--frobnicate"}},
		{"unknown argument", []string{"extra"}, []string{"extra"}},
		{"unknown key in the file", []string{"lisen", "config-1"}, []string{"--config", config("config-1.yaml", "lisen: 127.0.0.1:0\n")}},
		{"file is no YAML", []string{"config-2"}, []string{"--config", config("config-2.yaml", "a: [\n")}},
		{"file is not there", []string{"absent.yaml"}, []string{"--config", filepath.Join(dir, "absent.yaml")}},
		{"bad proxies", []string{"--trusted-proxies", "localhost"}, []string{"--trusted-proxies", "127.0.0.1,localhost"}},
		{"bad network", []string{"--trusted-proxies", "10.0.0.0/33"}, []string{"--trusted-proxies", "10.0.0.0/33"}},
		{"bad log level", []string{"debug"}, []string{"--log-level", "loud"}},
		{"bad log format", []string{"json"}, []string{"--log-format", "xml"}},
		{"no number", []string{"signups_per_hour"}, []string{"MAKERGUARD_LIMITS_SIGNUPS_PER_HOUR=many"}},
		{"negative number", []string{"signups_per_hour"}, []string{"--signups-per-hour", "-1"}},
		{"paranoia past 3", []string{"paranoia"}, []string{"--paranoia", "4"}},
		{"policy is not there", []string{"absent.yaml"}, []string{"--policy", filepath.Join(dir, "absent.yaml")}},
		{"broken policy", []string{"line 3", "upload_product"}, []string{"--policy", config("policy-1.yaml", "version: 1\nroutes:\n  - {match: \"POST /a\", permission: upload_product}\n")}},
		{"unknown key in the policy", []string{"line 2", "router"}, []string{"--policy", config("policy-2.yaml", "version: 1\nrouter: []\n")}},
		{"routes that conflict", []string{"conflict"}, []string{"--policy", config("policy-3.yaml", "version: 1\nroutes:\n  - {match: \"/a/{x}\", public: true}\n  - {match: \"/{x}/b\", public: true}\n")}},
		{"root key is not there", []string{"absent.json"}, []string{"--kek", "file:" + filepath.Join(dir, "absent.json")}},
		{"root key for everybody's eyes", []string{open, "chmod 600"}, []string{"--kek", "file:" + open}},
		{"root key is none", []string{"root key"}, []string{"--kek", "env:MAKERGUARD_ROOT", "MAKERGUARD_ROOT=" + base64.StdEncoding.EncodeToString([]byte("x"))}},
		{"root key is no base64", []string{"MAKERGUARD_ROOT", "base64"}, []string{"--kek", "env:MAKERGUARD_ROOT", "MAKERGUARD_ROOT=%%"}},
		{"root key's variable is not set", []string{"MAKERGUARD_ROOT"}, []string{"--kek", "env:MAKERGUARD_ROOT"}},
		{"root key of an unknown kind", []string{"file:PATH", "env:NAME"}, []string{"--kek", "vault:x"}},
		{"secret's file is not there", []string{"MAKERGUARD_KEK_FILE"}, []string{"MAKERGUARD_KEK_FILE=" + filepath.Join(dir, "absent")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			refused(t, data, tc.says, tc.args...)
			if s, err := tryStart(t, data); err != nil {
				t.Errorf("the next start in the same directory: %v\n%s", err, s.out)
			} else {
				s.stop()
			}
		})
	}
	out, code := command(t, "", "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--store", "mongodb://user:hunter2canary@127.0.0.1:1/x")
	if code != 1 || !strings.Contains(out, "127.0.0.1:1") || strings.Contains(out, "hunter2canary") {
		t.Errorf("a database that is not there: exit %d\n%s\nwant 1 and its address, without the password", code, out) // goal: V13.3.1
	}
}

// A directory that cannot be written is refused, however it came to be so.
func TestStart_RefusesReadOnlyDirectory(t *testing.T) {
	sqliteOnly(t)
	dir, err := os.MkdirTemp("", "makerguard-readonly-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	for _, d := range []string{dir, data} {
		_ = os.Mkdir(d, 0o755)
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data", data)
	cmd.Dir, cmd.Env = "/", environment()
	if os.Geteuid() == 0 { // nothing is read-only to root, so the child is somebody else
		if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(data, 0o555); err != nil {
		t.Fatal(err)
	}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), data) || !strings.Contains(string(out), "--data") {
		t.Errorf("serve in a read-only directory: exit %d\n%s\nwant 1 and what to do", code, out)
	}
}

// What keeps a start from going well loses nothing: the next good start has everything.
func TestStart_RefusalLosesNothing(t *testing.T) {
	sqliteOnly(t)
	s := start(t, "")
	_, token := s.signUp(t, "kept")
	sealed := s.post(t, token, "/v1/encryption/encrypt", m{"data": "kept"}).want(t, 200, "").str("ciphertext")

	// goal: V13.2.2 — one directory has one server, and commands work beside it.
	second, err := tryStart(t, s.data)
	if err == nil {
		t.Fatal("a second serve on one directory started")
	}
	if code := second.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.out.String(), s.data) {
		t.Errorf("second serve: exit %d\n%s\nwant 1 and the directory named", code, second.out)
	}
	s.operator(t)
	s.get(t, token, "/v1/me").want(t, 200, "")
	s.stop()

	key := filepath.Join(s.data, "keys", "root.json")
	original, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(s.data, "makerguard.db")

	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.data, []string{key, "--kek"})
	if _, err := os.Stat(key); err == nil {
		t.Error("a new root key was made for data that exists")
	}
	if out, code := command(t, password, "operator", "create", "--data", s.data, "--email", "second@platform.example", "--password-stdin"); code != 1 || !strings.Contains(out, key) {
		t.Errorf("operator create without the root key: exit %d\n%s\nwant 1 and the file named", code, out)
	}

	other := filepath.Join(t.TempDir(), "other.json")
	if out, code := command(t, "", "keys", "init", other); code != 0 {
		t.Fatalf("keys init: exit %d\n%s", code, out)
	}
	refused(t, s.data, []string{"root key"}, "--kek", "file:"+other)
	content, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, s.data, []string{"root key"}, "--kek", "env:MAKERGUARD_ROOT", "MAKERGUARD_ROOT="+base64.StdEncoding.EncodeToString(content))

	write(t, key, string(original), 0o640)
	refused(t, s.data, []string{key, "chmod 600"}) // goal: V13.3.1 — a key that others can read is refused
	write(t, key, string(original[:len(original)/2]), 0o600)
	refused(t, s.data, []string{"root key"})
	write(t, key, string(original), 0o600)

	if err := os.Rename(database, database+".away"); err != nil {
		t.Fatal(err)
	}
	write(t, database, "this is not a database, whatever its name says", 0o600)
	refused(t, s.data, []string{s.data})
	if err := os.Rename(database+".away", database); err != nil {
		t.Fatal(err)
	}

	// The same key by another way opens it all.
	s = start(t, s.data, "--kek", "env:MAKERGUARD_ROOT", "MAKERGUARD_ROOT="+base64.StdEncoding.EncodeToString(original))
	s.get(t, token, "/v1/me").want(t, 200, "")
	if o := s.post(t, token, "/v1/encryption/decrypt", m{"ciphertext": sealed}).want(t, 200, ""); o.str("data") != "kept" {
		t.Errorf("decrypt %v, want the value kept", o)
	}
}

// Settings come from flags, before the environment, before files, before defaults.
func TestStart_SettingsInOrder(t *testing.T) {
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "config.yaml"), "issuer: from-file\naudience: from-file\nlog:\n  level: warn\nlimits:\n  signups_per_hour: 1\n", 0o600)
	issuer := write(t, filepath.Join(dir, "issuer"), "from-environment\n", 0o600)
	begin := time.Now()
	s := start(t, "", "--config", config, "MAKERGUARD_ISSUER_FILE="+issuer, "MAKERGUARD_AUDIENCE=from-environment", "--audience", "from-flag")
	t.Logf("ready after %v", time.Since(begin).Round(time.Millisecond))
	_, token := s.signUp(t, "settings")
	if claims := claimsOf(t, token); claims["iss"] != "from-environment" || claims["aud"] != "from-flag" {
		t.Errorf("claims %v, want iss of the environment and aud of the flag", claims)
	}
	s.post(t, "", "/v1/manufacturers", m{"email": "b@maker.example", "password": password, "company_name": "B", "country": "FR"}).want(t, 429, "RATE_LIMIT_EXCEEDED")
	if strings.Contains(s.out.String(), `"level":"INFO"`) {
		t.Error("the level of the file was not used")
	}
}

// SIGTERM and SIGINT let requests under way finish and end with 0.
func TestStart_EndsGracefully(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := start(t, "")
		owner := s.register(t, "ending")
		body := `{"email":"` + owner.email + `","password":"` + password + `"}`
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("answer to the head of a request: %q, %v, want 100 Continue", line, err)
		}
		_, _ = in.ReadString('\n')
		// The handler waits for the body: the request is under way.
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the listener closes", func() bool {
			c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		})
		_, _ = io.WriteString(conn, body)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%v: the request under way was cut: %v", sig, err)
		}
		if a := read(t, res); a.str("status") != "authenticated" {
			t.Errorf("%v: the request under way was answered %v, want a sign-in", sig, a)
		}
		<-s.done
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%v: exit status %d, want 0\n%s", sig, code, s.out)
		}
	}
}

// A changed policy is in force after SIGHUP at once and without it within moments; a broken
// one changes nothing and is told of.
func TestStart_PolicyIsReloaded(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	limit := func(n string) string { return "version: 1\ntiers: {free: {limits: {product_uploads: " + n + "}}}\n" }
	write(t, policy, limit("10"), 0o600)
	s := start(t, "", "--policy", policy)
	_, token := s.signUp(t, "policy")
	is := func(want float64) bool {
		return s.get(t, token, "/v1/usage").want(t, 200, "").num("meters", "product_uploads", "limit") == want
	}
	if !is(10) {
		t.Fatal("the policy's limit is not in force")
	}
	write(t, policy, limit("11"), 0o600)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SIGHUP puts the policy in force", func() bool { return is(11) })
	write(t, policy, limit("-1"), 0o600)
	eventually(t, "a broken policy is told of", func() bool { return strings.Contains(s.out.String(), "policy not reloaded") })
	if !is(11) {
		t.Error("a broken policy changed something")
	}
	write(t, policy, limit("12"), 0o600)
	eventually(t, "a changed file is picked up", func() bool { return is(12) })
	s.post(t, token, "/v1/usage/product_uploads", m{"amount": 12}).want(t, 200, "")
	s.do(t, request{method: http.MethodPost, path: "/v1/usage/product_uploads", token: token, body: m{"amount": 1}}).want(t, 429, "USAGE_LIMIT_EXCEEDED")
}
