package server_test

import (
	"bufio"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/auth/totp"
	"github.com/makerguard/makerguard/guard"
	"github.com/makerguard/makerguard/makerguardtest"
	"github.com/makerguard/makerguard/threat"
)

const testPassword = "oak table under the linden"

// signUp gives a new manufacturer and its owner's token.
func signUp(t *testing.T, g *guard.Guard, name string) (makerguard.ManufacturerID, string) {
	t.Helper()
	c := makerguard.Client{IP: "203.0.113.9"}
	m, _, err := g.Accounts.Register(t.Context(), account.Registration{Email: name + "@maker.example", Password: testPassword, CompanyName: name, Country: "FR"}, c)
	if err != nil {
		t.Fatal(err)
	}
	in, err := g.Auth.Login(t.Context(), auth.Login{Email: name + "@maker.example", Password: testPassword}, c)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID, string(in.Tokens.Access)
}

// operate gives the token of a new operator.
func operate(t *testing.T, g *guard.Guard) string {
	t.Helper()
	c := makerguard.Client{IP: "203.0.113.10"}
	m, err := g.Accounts.CreateOperator(t.Context(), "op@platform.example", testPassword)
	if err != nil {
		t.Fatal(err)
	}
	enrolment, _, err := g.Auth.ProvisionTOTP(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(enrolment.Secret))
	if err != nil {
		t.Fatal(err)
	}
	in, err := g.Auth.Login(t.Context(), auth.Login{Email: "op@platform.example", Password: testPassword}, c)
	if err != nil {
		t.Fatal(err)
	}
	if in, err = g.Auth.VerifyMFA(t.Context(), in.MFAToken, "totp", totp.Code(seed, time.Now()), c); err != nil {
		t.Fatal(err)
	}
	return string(in.Tokens.Access)
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	text   string
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.text), into); err != nil {
		t.Fatalf("%q: %v", r.text, err)
	}
}

// ask calls an operation and fails unless it answers with a status.
func ask(t *testing.T, s *makerguardtest.Server, token, method, path, body string, status int, header ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s %s = %d %s, want %d", method, path, res.StatusCode, text, status)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// attack sends a request to an application behind the guard and gives the status.
func attack(t *testing.T, g *guard.Guard, token, method, target, body string) int {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	g.Handler(mux).ServeHTTP(w, r)
	return w.Code
}

const script = `{"items":[{"text":"<script>alert(1)</script>"}]}`

func TestThreats_SearchAndPaging(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	one, alice := signUp(t, s.Guard, "alice")
	_, bob := signUp(t, s.Guard, "bob")
	op := operate(t, s.Guard)
	for i := range 3 {
		if status := attack(t, s.Guard, alice, "POST", fmt.Sprintf("/notes/%d", i), script); status != 403 {
			t.Fatalf("attack: %d, want 403", status)
		}
	}
	attack(t, s.Guard, bob, "GET", "/?q="+url.QueryEscape("1' OR '1'='1' -- "), "")
	list := func(token, path string) api.ThreatsResponse {
		var h api.ThreatsResponse
		ask(t, s, token, "GET", path, "", 200).decode(t, &h)
		return h
	}
	all := list(alice, "/v1/security/threats")
	if len(all.Threats) != 3 {
		t.Fatalf("%d entries, want alice's 3: %+v", len(all.Threats), all)
	}
	e := all.Threats[0]
	if e.ManufacturerID != one || e.Route != "POST /notes/2" || e.Input != "body/items/0/text" || !e.Blocked ||
		!strings.HasPrefix(e.Rule, "xss.") || e.MemberID == "" || e.SessionID == "" || e.RequestID == "" || e.SourceIP == "" {
		t.Errorf("newest entry %+v", e)
	}
	first := list(alice, "/v1/security/threats?limit=2")
	rest := list(alice, "/v1/security/threats?limit=2&cursor="+first.NextCursor)
	if len(first.Threats) != 2 || len(rest.Threats) != 1 || rest.Threats[0].ID != all.Threats[2].ID || rest.NextCursor != "" {
		t.Errorf("pages of 2: %d and %d entries, want all 3 in order", len(first.Threats), len(rest.Threats))
	}
	for query, want := range map[string]int{
		"type=xss": 3, "type=ssrf": 0, "severity=" + "low": 0, "rule=" + e.Rule: 3, "rule=xss.none": 0, "member=" + string(e.MemberID): 3, "member=mbr_x": 0,
		"ip=" + e.SourceIP: 3, "ip=192.0.2.250": 0, "request_id=" + e.RequestID: 1, "q=ALERT": 3, "q=items": 3, "q=nothing": 0,
		"since=2000-01-01T00:00:00Z": 3, "until=2000-01-01T00:00:00Z": 0, "since=2000-01-01T00:00:00Z&until=2100-01-01T00:00:00Z": 3,
	} {
		if got := len(list(alice, "/v1/security/threats?"+query).Threats); got != want {
			t.Errorf("?%s: %d entries, want %d", query, got, want)
		}
	}
	for _, query := range []string{"type=sqli", "severity=none", "limit=0", "limit=201", "cursor=ses_1", "until=2000-01-01T00:00:00Z&since=2001-01-01T00:00:00Z", "q=" + strings.Repeat("a", 101)} {
		name, _, _ := strings.Cut(query, "=")
		for _, path := range []string{"/v1/security/threats?", "/v1/security/threats/export?"} {
			if strings.Contains(path, "export") && (name == "limit" || name == "cursor") {
				continue // it has no pages
			}
			if body := ask(t, s, alice, "GET", path+query, "", 422).text; !strings.Contains(body, `"query.`+name+`"`) {
				t.Errorf("%s%s: %s, want the parameter named", path, query, body)
			}
		}
	}
	if got := len(list(op, "/v1/admin/threats").Threats); got != 4 {
		t.Errorf("an operator sees %d entries, want all 4", got)
	}
	if got := len(list(op, "/v1/admin/threats?manufacturer_id="+string(one)).Threats); got != 3 {
		t.Errorf("an operator sees %d entries of alice, want 3", got)
	}
}

// goal: V8.2.1 V8.2.2
func TestThreats_OperatorsAlone(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	_, alice := signUp(t, s.Guard, "alice")
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/admin/threats", ""},
		{"GET", "/v1/admin/threats/export", ""},
		{"POST", "/v1/admin/threats/evt_1/exclusion", `{"reason":"x"}`},
		{"GET", "/v1/admin/rules", ""},
		{"PUT", "/v1/admin/rules", `{"modes":[]}`},
		{"DELETE", "/v1/admin/rules/exclusions/exc_1", ""},
	} {
		ask(t, s, alice, c.method, c.path, c.body, 403)
	}
}

func TestRules_ModesHoldForTheNextRequest(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	one, alice := signUp(t, s.Guard, "alice")
	_, bob := signUp(t, s.Guard, "bob")
	op := operate(t, s.Guard)
	var rules api.RulesResponse
	path := "/v1/admin/rules?manufacturer_id=" + string(one)
	r := ask(t, s, op, "GET", path, "", 200)
	r.decode(t, &rules)
	if rules.Version != 0 || len(rules.Modes) != 0 || len(rules.Rules) != len(threat.Rules()) {
		t.Errorf("version %d, %d modes, %d rules, want 0, 0, %d", rules.Version, len(rules.Modes), len(rules.Rules), len(threat.Rules()))
	}
	for _, x := range rules.Rules {
		if x.Mode != "block" || x.ModeFrom != "default" {
			t.Errorf("in a new installation %s has mode %s (%s), want block (default)", x.ID, x.Mode, x.ModeFrom)
		}
	}
	const watch = `{"modes":[{"rule":"xss.*","route":"POST /notes/{id}","mode":"monitor"}]}`
	next := ask(t, s, op, "PUT", path, watch, 200, "If-Match", r.header.Get("ETag"))
	next.decode(t, &rules)
	if want := []api.RuleMode{{Rule: "xss.*", Route: "POST /notes/{id}", Mode: makerguard.ModeMonitor}}; !cmp.Equal(want, rules.Modes) || rules.Version != 1 {
		t.Errorf("version %d with modes %v, want 1 and %v", rules.Version, rules.Modes, want)
	}
	ask(t, s, op, "PUT", path, watch, 409, "If-Match", r.header.Get("ETag"))
	ask(t, s, op, "PUT", path, watch, 200, "If-Match", next.header.Get("ETag"))
	ask(t, s, op, "PUT", path, `{"modes":[{"rule":"xss.nothing","mode":"off"}]}`, 422)
	ask(t, s, op, "PUT", "/v1/admin/rules?manufacturer_id=mfr_x", watch, 404)
	for _, c := range []struct {
		token, target string
		status        int
	}{{alice, "/notes/1", 200}, {alice, "/notes/1/x", 403}, {bob, "/notes/1", 403}, {"", "/notes/1", 403}} {
		if status := attack(t, s.Guard, c.token, "POST", c.target, script); status != c.status {
			t.Errorf("POST %s: %d, want %d", c.target, status, c.status)
		}
	}
	var h api.ThreatsResponse
	ask(t, s, alice, "GET", "/v1/security/threats", "", 200).decode(t, &h)
	if len(h.Threats) != 2 || h.Threats[1].Blocked || !h.Threats[0].Blocked {
		t.Errorf("history %+v, want one watched and one blocked", h.Threats)
	}
}

func TestRules_ExclusionFromAnEvent(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	one, alice := signUp(t, s.Guard, "alice")
	op := operate(t, s.Guard)
	if status := attack(t, s.Guard, alice, "PUT", "/notes/17", script); status != 403 {
		t.Fatalf("before: %d, want 403", status)
	}
	var h api.ThreatsResponse
	ask(t, s, op, "GET", "/v1/admin/threats", "", 200).decode(t, &h)
	event := h.Threats[0].ID
	ask(t, s, op, "POST", "/v1/admin/threats/"+string(event)+"/exclusion", `{"reason":"  "}`, 422)
	ask(t, s, op, "POST", "/v1/admin/threats/evt_none/exclusion", `{"reason":"x"}`, 404)
	var e api.Exclusion
	ask(t, s, op, "POST", "/v1/admin/threats/"+string(event)+"/exclusion", `{"reason":"notes may have markup"}`, 201).decode(t, &e)
	if e.Rule != h.Threats[0].Rule || e.Route != "PUT /notes/{id}" || e.Field != "body/items/*/text" || e.Event != event || e.Reason != "notes may have markup" {
		t.Errorf("exclusion %+v", e)
	}
	if status := attack(t, s.Guard, alice, "PUT", "/notes/4711", `{"items":[{},{"text":"<script>alert(2)</script>"}]}`); status != 200 {
		t.Errorf("after: %d, want 200", status)
	}
	if status := attack(t, s.Guard, alice, "PUT", "/notes/4711", `{"title":"<script>alert(2)</script>"}`); status != 403 {
		t.Errorf("another field: %d, want 403", status)
	}
	ask(t, s, op, "DELETE", "/v1/admin/rules/exclusions/"+e.ID, "", 404) // not the installation's
	ask(t, s, op, "DELETE", "/v1/admin/rules/exclusions/"+e.ID+"?manufacturer_id="+string(one), "", 204)
	if status := attack(t, s.Guard, alice, "PUT", "/notes/4711", script); status != 403 {
		t.Errorf("once the exclusion is gone: %d, want 403", status)
	}
	if entries, err := s.Guard.Audit.Entries(t.Context(), makerguard.AuditFilter{ManufacturerID: one, Limit: 10}); err != nil || entries[0].Action != "rules.exclusion_removed" || entries[1].Action != "rules.exclusion_created" {
		t.Errorf("audit record %v, %v, want both changes", entries, err)
	}
}

// What somebody asks about is told whatever the modes are, and is held against nobody.
func TestInspect_TellsWhateverTheModes(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	_, alice := signUp(t, s.Guard, "alice")
	op := operate(t, s.Guard)
	ask(t, s, op, "PUT", "/v1/admin/rules", `{"modes":[{"rule":"*","mode":"off"}]}`, 200)
	for path, body := range map[string]string{
		"/v1/security/inspect": `{"inputs":[{"name":"q","value":"<script>alert(1)</script>"}]}`,
		"/v1/catalog/validate": `{"product":{"name":"<script>alert(1)</script>"}}`,
	} {
		var got api.ValidationResponse
		ask(t, s, alice, "POST", path, body, 200).decode(t, &got)
		if got.IsValid || len(got.Threats) == 0 || got.Threats[0].ID == "" || got.Threats[0].Route != "POST "+path {
			t.Errorf("%s: %+v, want the finding with its id and route", path, got)
		}
	}
}

// More findings than the history takes are answered all the same.
func TestInspect_AnswersWithAllFindings(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	_, alice := signUp(t, s.Guard, "alice")
	inputs := make([]string, 300)
	for i := range inputs {
		inputs[i] = fmt.Sprintf(`{"name":"q%d","value":"<script>alert(1)</script>"}`, i)
	}
	var got api.ValidationResponse
	ask(t, s, alice, "POST", "/v1/security/inspect", `{"inputs":[`+strings.Join(inputs, ",")+`]}`, 200).decode(t, &got)
	stored := 0
	for _, x := range got.Threats {
		if x.ID != "" {
			stored++
		}
	}
	if len(got.Threats) < 300 || stored < 100 || stored > 200 {
		t.Errorf("%d findings, %d of them stored, want at least 300 and about 100", len(got.Threats), stored)
	}
}

func TestExport_IsAStreamOfEvents(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	one, alice := signUp(t, s.Guard, "alice")
	_, bob := signUp(t, s.Guard, "bob")
	op := operate(t, s.Guard)
	record := func(mfr makerguard.ManufacturerID, n int) {
		for range n {
			fs := make([]makerguard.Finding, 90)
			for i := range fs {
				fs[i] = makerguard.Finding{Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.tag", Description: "why", Input: fmt.Sprint("q", i), Evidence: "<b>", Score: 5}
			}
			if _, err := s.Guard.Threats.Record(t.Context(), threat.Sighting{Principal: &makerguard.Principal{ManufacturerID: mfr}, Route: "GET /", Watched: fs}); err != nil {
				t.Fatal(err)
			}
		}
	}
	record(one, 5)
	record("mfr_other", 1)
	for _, c := range []struct {
		token, path string
		lines       int
	}{
		{alice, "/v1/security/threats/export", 450},
		{bob, "/v1/security/threats/export", 0},
		{alice, "/v1/security/threats/export?until=2000-01-01T00:00:00Z", 0},
		{op, "/v1/admin/threats/export", 540},
		{op, "/v1/admin/threats/export?manufacturer_id=mfr_other", 90},
	} {
		r := ask(t, s, c.token, "GET", c.path, "", 200)
		if got := r.header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("%s: Content-Type %q", c.path, got)
		}
		seen, lines := map[string]bool{}, 0
		for scan := bufio.NewScanner(strings.NewReader(r.text)); scan.Scan(); lines++ {
			var e struct {
				Class int `json:"class_uid"`
				Info  struct {
					UID string `json:"uid"`
				} `json:"finding_info"`
			}
			if err := json.Unmarshal(scan.Bytes(), &e); err != nil || e.Class != 2004 {
				t.Fatalf("%s: line %q: %v", c.path, scan.Text(), err)
			}
			seen[e.Info.UID] = true
		}
		if lines != c.lines || len(seen) != c.lines {
			t.Errorf("%s: %d lines of %d events, want %d", c.path, lines, len(seen), c.lines)
		}
	}
	ask(t, s, alice, "GET", "/v1/security/threats/export?type=nothing", "", 422)
	ask(t, s, alice, "GET", "/v1/security/threats/export?manufacturer_id=mfr_other", "", 422)
}

// An export ends when the client goes away, and is then no whole answer.
func TestExport_EndsWithTheClient(t *testing.T) {
	s := makerguardtest.NewServer(t, nil)
	one, alice := signUp(t, s.Guard, "alice")
	fs := make([]makerguard.Finding, 95)
	for i := range fs {
		fs[i] = makerguard.Finding{Type: makerguard.XSS, Rule: "xss.tag", Input: strings.Repeat("q", 200), Evidence: strings.Repeat("<", 80)}
	}
	for range 30 {
		if _, err := s.Guard.Threats.Record(t.Context(), threat.Sighting{Principal: &makerguard.Principal{ManufacturerID: one}, Route: "GET /", Blocked: fs}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/security/threats/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+alice)
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on: %v, want %v", err, context.Canceled)
	}
	s.Close() // waits for handlers, so it would hang if one went on
}
