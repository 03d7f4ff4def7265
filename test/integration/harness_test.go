// Package integration drives the real binary over HTTP, as its users do: nothing of
// makerguard's own code runs in the tests but what prepares input.
package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

	client *http.Client // nil for the shared one
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
// ends it with the test. Arguments that begin with MAKERGUARD_ are environment variables.
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
	s.cmd = exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data", data)
	s.cmd.Env = environment()
	if !givesStore(args) {
		args = append(args, storeArgs(t, data)...)
	}
	for _, a := range args {
		if strings.HasPrefix(a, "MAKERGUARD_") {
			s.cmd.Env = append(s.cmd.Env, a)
		} else {
			s.cmd.Args = append(s.cmd.Args, a)
		}
	}
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

// environment is ours without what would configure the binary.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKERGUARD_") })
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
	cmd.Env = environment()
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
		a.problem(t, code)
	}
	return a
}

// statuses is the contract's table of error codes.
var statuses = map[string]int{
	"AUTHENTICATION_REQUIRED": 401, "INVALID_CREDENTIALS": 401, "ACCOUNT_SUSPENDED": 403, "MFA_REQUIRED": 401, "MFA_INVALID": 401,
	"TOKEN_EXPIRED": 401, "TOKEN_INVALID": 401, "TOKEN_REUSED": 401, "SESSION_REVOKED": 401, "SESSION_EXPIRED": 401, "STEP_UP_REQUIRED": 401,
	"INSUFFICIENT_PERMISSIONS": 403, "USAGE_LIMIT_EXCEEDED": 429, "RATE_LIMIT_EXCEEDED": 429, "SECURITY_THREAT_DETECTED": 403,
	"VALIDATION_FAILED": 422, "MALFORMED_REQUEST": 400, "METHOD_NOT_ALLOWED": 405, "PAYLOAD_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415,
	"DECRYPTION_FAILED": 422, "NOT_FOUND": 404, "CONFLICT": 409, "IDEMPOTENCY_MISMATCH": 422, "OVERLOADED": 503, "STORE_UNAVAILABLE": 503,
}

// leaks is what no answer may tell: how it is made inside (goal: V16.5.1).
var leaks = regexp.MustCompile(`(?i)goroutine \d|\.go:\d|sqlite|mongo|runtime error|jsontext|huma|makerguard\.db|` + regexp.QuoteMeta(os.TempDir()))

// problem fails the test unless the answer is a problem document as the contract has them.
func (a answer) problem(t testing.TB, what string) {
	t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json; charset=utf-8" {
		t.Errorf("%s: Content-Type %q, want a problem document; answer %v", what, ct, a)
		return
	}
	if want, ok := statuses[a.str("code")]; !ok || a.status != want || a.num("status") != float64(want) {
		t.Errorf("%s: answer %v, want a code of the contract with its status", what, a)
	}
	if id := a.str("request_id"); id == "" || id != a.header.Get("X-Request-Id") {
		t.Errorf("%s: request_id %q and X-Request-Id %q, want one id", what, id, a.header.Get("X-Request-Id"))
	}
	if a.str("title") == "" || a.str("type") == "" || a.at("retryable") == nil {
		t.Errorf("%s: answer %v lacks members of a problem document", what, a)
	}
	if found := leaks.Find(a.raw); found != nil {
		t.Errorf("%s: answer %v tells %q", what, a, found)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: headers %v, want no-store and nosniff", what, a.header) // goal: V14.2.2 V3.4.4
	}
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
	body                any // texts and readers are sent as they are, the rest as JSON
	header              map[string]string
}

// raw sends bytes as they are, over a connection of their own, and reads one answer.
func (s *server) raw(t testing.TB, text string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, text) }() // it may be refused before its end
	method, _, _ := strings.Cut(text, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("answer to %.80q: %v", text, err)
	}
	return read(t, res)
}

// read takes an answer in.
func read(t testing.TB, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	var err error
	if a.raw, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	if len(a.raw) > 0 {
		_ = json.Unmarshal(a.raw, &a.body)
	}
	return a
}

func (s *server) do(t testing.TB, r request) answer {
	t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case io.Reader:
		body = b
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
	c := s.client
	if c == nil {
		c = client
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return read(t, res)
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
	args := []string{"operator", "create", "--data", s.data, "--email", "operator@platform.example", "--password-stdin", "--log-level", "error"}
	out, code := command(t, password, append(args, storeArgs(t, s.data)...)...)
	if code != 0 {
		t.Fatalf("operator create: exit %d\n%s", code, out)
	}
	return s.signInOperator(t, out)
}

// signInOperator signs in whom operator create made, by what it printed.
func (s *server) signInOperator(t testing.TB, out string) string {
	t.Helper()
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

// endpoint is one operation of the OpenAPI document.
type endpoint struct {
	method, path string // the path with its parameters as {name}
	public       bool
	spec         map[string]any
}

func (e endpoint) String() string { return e.method + " " + e.path }

// with fills the path's parameters.
func (e endpoint) with(value string) string { return parameter.ReplaceAllString(e.path, value) }

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// endpoints reads them all out of the running server's document.
func (s *server) endpoints(t testing.TB) []endpoint {
	t.Helper()
	doc := s.get(t, "", "/openapi.json").want(t, 200, "")
	var es []endpoint
	for path, item := range doc.at("paths").(map[string]any) {
		for method, op := range item.(map[string]any) {
			spec := op.(map[string]any)
			es = append(es, endpoint{method: strings.ToUpper(method), path: path, public: spec["security"] == nil, spec: spec})
		}
	}
	slices.SortFunc(es, func(a, b endpoint) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return es
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not come about: %s", what)
		}
	}
}

// part decodes one of the first two parts of a JWT, unverified.
func part(t testing.TB, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func headerOf(t testing.TB, token string) map[string]any { t.Helper(); return part(t, token, 0) }
func claimsOf(t testing.TB, token string) map[string]any { t.Helper(); return part(t, token, 1) }

// code6 gives the one-time code of a base32 secret, some steps from now.
func code6(t testing.TB, secret string, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
