// Package integration drives the real binary over HTTP, as its users do: nothing of
// makerguard's own code runs in the tests but what prepares input.
package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// binary is the makerguard under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "makerguard-integration-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "makerguard")
		build := exec.Command("go", "build", "-o", binary, "github.com/makerguard/makerguard/cmd/makerguard")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// server is one running makerguard.
type server struct {
	url  string
	data string
	cmd  *exec.Cmd
	out  *output // standard output and error together
	done chan struct{}
}

// output is a buffer that may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs serve on a free port in a data directory of its own ("" for a new one), and
// ends it with the test.
func start(t testing.TB, data string, args ...string) *server {
	t.Helper()
	s, err := tryStart(t, data, args...)
	if err != nil {
		t.Fatalf("serve: %v\n%s", err, s.out)
	}
	return s
}

// tryStart is start for servers that may refuse to.
func tryStart(t testing.TB, data string, args ...string) (*server, error) {
	t.Helper()
	if data == "" {
		data = t.TempDir()
	}
	s := &server{data: data, out: &output{}, done: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	s.cmd.Stderr = s.out
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(s.out, lines.Text())
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				ready <- url
			}
		}
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("output of %s:\n%s", s.url, s.out)
		}
	})
	select {
	case s.url = <-ready:
		return s, nil
	case <-s.done:
		return s, fmt.Errorf("exited with %d", s.cmd.ProcessState.ExitCode())
	case <-time.After(30 * time.Second):
		s.kill()
		return s, errors.New("did not get ready")
	}
}

// stop ends the server gracefully and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}

// kill ends it as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// command runs another makerguard command line, with its exit code.
func command(t testing.TB, stdin string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("makerguard %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any // nil if the body is no JSON object
}

// str gives a text member by its path: str("manufacturer", "id").
func (a answer) str(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

func (a answer) num(path ...string) float64 {
	n, ok := a.at(path...).(float64)
	if !ok {
		return -1
	}
	return n
}

func (a answer) at(path ...string) any {
	var v any = a.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (a answer) list(path ...string) []any {
	l, _ := a.at(path...).([]any)
	return l
}

func (a answer) String() string { return fmt.Sprintf("%d %.600s", a.status, a.raw) }

// want fails the test unless the answer has the status and, for errors, the code.
func (a answer) want(t testing.TB, status int, code string) answer {
	t.Helper()
	if a.status != status || a.str("code") != code {
		t.Fatalf("answer %v, want %d %s", a, status, code)
	}
	if code != "" {
		if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
			t.Errorf("%s with Content-Type %q, want a problem document", code, ct)
		}
		if a.str("request_id") == "" || a.str("request_id") != a.header.Get("X-Request-Id") {
			t.Errorf("%s with request_id %q and X-Request-Id %q, want one id", code, a.str("request_id"), a.header.Get("X-Request-Id"))
		}
	}
	return a
}

func (a answer) ok(t testing.TB) answer {
	t.Helper()
	if a.status < 200 || a.status > 299 {
		t.Fatalf("answer %v, want success", a)
	}
	return a
}

var client = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 256},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is one request in the making.
type request struct {
	method, path, token string
	body                any // string and []byte are sent as they are, the rest as JSON
	header              map[string]string
}

func (s *server) do(t testing.TB, r request) answer {
	t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.url+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.raw, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	if len(a.raw) > 0 {
		_ = json.Unmarshal(a.raw, &a.body)
	}
	return a
}

func (s *server) get(t testing.TB, token, path string) answer {
	t.Helper()
	return s.do(t, request{method: http.MethodGet, path: path, token: token})
}

func (s *server) post(t testing.TB, token, path string, body any) answer {
	t.Helper()
	return s.do(t, request{method: http.MethodPost, path: path, token: token, body: body})
}

// m is a JSON object.
type m map[string]any

// password is long enough to stand alone.
const password = "oak table under the linden"

// account is a registered manufacturer's owner.
type account struct{ email, manufacturer, member string }

// register makes a manufacturer whose owner has the address name@maker.example.
func (s *server) register(t testing.TB, name string) account {
	t.Helper()
	a := account{email: name + "@maker.example"}
	r := s.post(t, "", "/v1/manufacturers", m{"email": a.email, "password": password, "company_name": "Maker " + name, "country": "FR"}).want(t, 201, "")
	a.manufacturer, a.member = r.str("manufacturer", "id"), r.str("member", "id")
	return a
}

// login signs in with the password alone and gives the tokens.
func (s *server) login(t testing.TB, email string) answer {
	t.Helper()
	a := s.post(t, "", "/v1/auth/login", m{"email": email, "password": password}).want(t, 200, "")
	if a.str("status") != "authenticated" {
		t.Fatalf("login %v, want authenticated", a)
	}
	return a
}

// signUp registers and signs in.
func (s *server) signUp(t testing.TB, name string) (account, string) {
	t.Helper()
	a := s.register(t, name)
	return a, s.login(t, a.email).str("access_token")
}

// operator makes one with the command line and signs it in.
func (s *server) operator(t testing.TB) string {
	t.Helper()
	out, code := command(t, password, "operator", "create", "--data", s.data, "--email", "operator@platform.example", "--password-stdin", "--log-level", "error")
	if code != 0 {
		t.Fatalf("operator create: exit %d\n%s", code, out)
	}
	_, rest, ok := strings.Cut(out, "secret=")
	if !ok {
		t.Fatalf("operator create printed no otpauth URI:\n%s", out)
	}
	secret, _, _ := strings.Cut(strings.Fields(rest)[0], "&")
	first := s.post(t, "", "/v1/auth/login", m{"email": "operator@platform.example", "password": password}).want(t, 200, "")
	if first.str("status") != "mfa_required" {
		t.Fatalf("operator's login %v, want mfa_required", first)
	}
	return s.post(t, "", "/v1/auth/mfa/verify", m{"mfa_token": first.str("mfa_token"), "method": "totp", "code": code6(t, secret, 0)}).want(t, 200, "").str("access_token")
}

// setTier moves a manufacturer to another tier, as an operator.
func (s *server) setTier(t testing.TB, operator string, a account, tier string) {
	t.Helper()
	s.do(t, request{method: http.MethodPut, path: "/v1/admin/manufacturers/" + a.manufacturer + "/tier", token: operator, body: m{"tier": tier}}).want(t, 200, "")
}

// code6 gives the one-time code of a base32 secret, some steps from now.
func code6(t testing.TB, secret string, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
