package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/gateway"
	"github.com/makerguard/makerguard/middleware"
	"github.com/makerguard/makerguard/rbac"
	"github.com/makerguard/makerguard/threat"
)

// parts stands in for everything behind a gateway. Its zero value lets the owner of an
// enterprise in with any token.
type parts struct {
	authErr, quotaErr, identityErr, logErr error
	logged                                 int
	committed, released                    map[makerguard.Meter]int
}

func (p *parts) Authenticate(context.Context, string) (*makerguard.Principal, error) {
	if p.authErr != nil {
		return nil, p.authErr
	}
	return &makerguard.Principal{
		Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1", Tier: makerguard.TierEnterprise, Role: makerguard.RoleOwner,
	}, nil
}

func (p *parts) Reserve(_ context.Context, _ makerguard.MeterAccount, m makerguard.Meter, amount, limit int64) (makerguard.Reservation, int64, error) {
	if p.quotaErr != nil && m == makerguard.APICalls {
		return makerguard.Reservation{}, 0, p.quotaErr
	}
	return makerguard.NewReservation(nil, amount, func(_ int64, used bool) {
		if used {
			p.committed[m]++
		} else {
			p.released[m]++
		}
	}), limit, nil
}

func (p *parts) Spend(context.Context, makerguard.MeterAccount, makerguard.Meter, int64, int64, string, []byte) (makerguard.SpendResult, error) {
	return makerguard.SpendResult{}, errors.New("not asked for")
}

func (p *parts) Usage(context.Context, makerguard.MeterAccount, []makerguard.Meter) (makerguard.Period, map[makerguard.Meter]int64, error) {
	return makerguard.Period{}, nil, errors.New("not asked for")
}

func (p *parts) Record(_ context.Context, s threat.Sighting) ([]makerguard.Threat, error) {
	p.logged += len(s.Blocked) + len(s.Watched)
	return nil, p.logErr
}

func (p *parts) Identity(*makerguard.Principal) (string, error) { return "signed", p.identityErr }

// newGateway gives forward-auth over p and a policy, with the authorizer to change it.
func newGateway(t *testing.T, p *parts, policy string, log *bytes.Buffer) (http.Handler, *rbac.Authorizer) {
	t.Helper()
	p.committed, p.released = map[makerguard.Meter]int{}, map[makerguard.Meter]int{}
	access, err := rbac.New(rbac.Config{Policy: parse(t, policy), Quota: p})
	if err != nil {
		t.Fatal(err)
	}
	detector, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	proxies, err := middleware.ParseProxies("192.0.2.0/24") // httptest's peer is 192.0.2.1
	if err != nil {
		t.Fatal(err)
	}
	gate := &middleware.Gate{Access: access, Now: time.Now, Logger: logger}
	return gateway.ForwardAuth(gateway.New(gateway.Config{
		Authenticator: p, Gate: gate, Inspection: &middleware.Inspection{Detector: detector, Log: p, Logger: logger},
		Identifier: p, Proxies: proxies, Logger: logger,
	}), gateway.Forwarded), access
}

func parse(t *testing.T, policy string) *rbac.Policy {
	t.Helper()
	p, err := rbac.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/v1/forward-auth", nil)
	r.Header.Set("X-Forwarded-Method", method)
	r.Header.Set("X-Forwarded-Uri", target)
	r.Header.Set("Authorization", "Bearer token")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const routes = `version: 1
routes:
  - {match: "POST /products", permission: upload_products, meter: product_uploads}
  - {match: "/watched/", inspect: monitor}
`

// Whatever fails behind the gateway, nobody is let through by it, nothing of an identity
// leaves, and the reason is in the log and not in the answer.
//
// goal: V16.5.3 V16.5.2
func TestForwardAuth_FailsClosed(t *testing.T) {
	canary := errors.New("canary: the reason")
	away := &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "the store cannot be reached", Err: canary}
	for _, tc := range []struct {
		name, target string
		parts        parts
		status       int
		code         string
	}{
		{"sessions cannot be read", "/products", parts{authErr: away}, 503, "STORE_UNAVAILABLE"},
		{"authentication breaks", "/products", parts{authErr: canary}, 500, "INTERNAL"},
		{"units cannot be counted", "/products", parts{quotaErr: away}, 503, "STORE_UNAVAILABLE"},
		{"counting breaks", "/products", parts{quotaErr: canary}, 500, "INTERNAL"},
		{"the identity cannot be signed", "/products", parts{identityErr: canary}, 500, "INTERNAL"},
		{"the history cannot be written", "/products?q=%3Cscript%3Ealert(1)%3C/script%3E", parts{logErr: away}, 403, "SECURITY_THREAT_DETECTED"},
	} {
		var log bytes.Buffer
		h, _ := newGateway(t, &tc.parts, routes, &log)
		w := ask(h, "POST", tc.target)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), `"`+tc.code+`"`) || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d %s, want %d %s without the reason", tc.name, w.Code, w.Body, tc.status, tc.code)
		}
		if tc.status >= 500 && !strings.Contains(log.String(), "canary") {
			t.Errorf("%s: the log has no reason:\n%s", tc.name, &log)
		}
		for name, v := range w.Header() {
			if strings.HasPrefix(name, "X-Makerguard-") {
				t.Errorf("%s: the refusal has %s: %q", tc.name, name, v)
			}
		}
		if tc.parts.quotaErr != nil && (tc.parts.committed[makerguard.ProductUploads] != 0 || tc.parts.released[makerguard.ProductUploads] != 1) {
			t.Errorf("%s: units committed %v, released %v, want the one set aside given back", tc.name, tc.parts.committed, tc.parts.released)
		}
	}
}

// A request let through counts one unit of its meter and one API call, and carries the
// whole identity.
func TestForwardAuth_CountsAndIdentifies(t *testing.T) {
	var p parts
	var log bytes.Buffer
	h, _ := newGateway(t, &p, routes, &log)
	w := ask(h, "POST", "/products")
	if w.Code != 200 || p.committed[makerguard.ProductUploads] != 1 || p.committed[makerguard.APICalls] != 1 {
		t.Errorf("answer %d %s with %v committed, want 200 and one of each", w.Code, w.Body, p.committed)
	}
	for name, want := range map[string]string{
		"X-Makerguard-Manufacturer": "mfr_1", "X-Makerguard-Member": "mbr_1", "X-Makerguard-Session": "ses_1",
		"X-Makerguard-Tier": "enterprise", "X-Makerguard-Role": "owner", "X-Makerguard-Identity": "signed",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if w := ask(h, "GET", "/watched/?q=%3Cscript%3Ealert(1)%3C/script%3E"); w.Code != 200 || p.logged == 0 {
		t.Errorf("a watched attack: %d with %d findings logged, want 200 and the finding", w.Code, p.logged)
	}
}

// A policy put in force decides the very next request.
func TestForwardAuth_FollowsPolicyChanges(t *testing.T) {
	var p parts
	var log bytes.Buffer
	h, access := newGateway(t, &p, routes, &log)
	for _, tc := range []struct {
		policy string
		status int
	}{
		{routes, 403},
		{"version: 1\nroutes: [{match: /new, public: true}]\n", 200},
		{"version: 1\nroutes: []\n", 403},
		{"version: 1\nroutes: []\ndefault: allow\n", 200},
		{"version: 1\n", 200},
	} {
		access.SetPolicy(parse(t, tc.policy))
		if w := ask(h, "GET", "/new"); w.Code != tc.status {
			t.Errorf("under\n%sGET /new: %d %s, want %d", tc.policy, w.Code, w.Body, tc.status)
		}
	}
}

// Two routes of which neither is more specific are refused before they are in force.
func TestCheckRoutes(t *testing.T) {
	if err := gateway.CheckRoutes(parse(t, routes)); err != nil {
		t.Errorf("CheckRoutes = %v, want nil", err)
	}
	conflict := parse(t, "version: 1\nroutes: [{match: \"/a/{x}\", public: true}, {match: \"/{x}/b\", public: true}]\n")
	if err := gateway.CheckRoutes(conflict); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("CheckRoutes of a conflict = %v, want VALIDATION_FAILED", err)
	}
}
