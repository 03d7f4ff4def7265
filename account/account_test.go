package account_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/store/sqlite"
)

var home = makerguard.Client{IP: "192.0.2.1", RequestID: "req_1"}

const goodPassword = "four words nobody guesses"

// hasher stands for *auth.Service, whose own tests prove what it does.
type hasher struct {
	hashed  atomic.Int64
	refuse  error
	limited error
}

func (h *hasher) CheckPassword(makerguard.Secret, []string, bool) error { return h.refuse }
func (h *hasher) AllowSignup(context.Context, makerguard.Client) error  { return h.limited }
func (h *hasher) HashPassword(context.Context, makerguard.Secret) (makerguard.Secret, error) {
	h.hashed.Add(1)
	return "hash", nil
}

type recorder struct {
	mu      sync.Mutex
	entries []makerguard.AuditEntry
	broken  bool
}

func (r *recorder) Record(_ context.Context, e makerguard.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return makerguard.StoreUnavailable
	}
	r.entries = append(r.entries, e)
	return nil
}

type limits struct{}

func (limits) Members(makerguard.Tier) int64 { return makerguard.Unlimited }

type world struct {
	*account.Service
	store   *sqlite.Store
	hasher  *hasher
	audit   *recorder
	changes []makerguard.Change
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{hasher: &hasher{}, audit: &recorder{}, now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Service, err = account.New(account.Config{
		Store: w.store, Passwords: w.hasher, Audit: w.audit, Limits: limits{},
		Announce: func(c makerguard.Change) { w.changes = append(w.changes, c) },
		Now:      func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func registration() account.Registration {
	return account.Registration{
		Email: " Anna@Brillen.Example ", Password: goodPassword, CompanyName: " Brillen & Söhne ", Country: "de", Name: "Anna O'Brien",
	}
}

func (w *world) register(t *testing.T) makerguard.Manufacturer {
	t.Helper()
	mfr, _, err := w.Register(t.Context(), registration(), home)
	if err != nil {
		t.Fatalf("Register: %v", err)
	}
	return mfr
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	mfr, owner, err := w.Register(t.Context(), registration(), home)
	if err != nil {
		t.Fatalf("Register: %v", err)
	}
	wantMfr := makerguard.Manufacturer{
		ID: mfr.ID, CompanyName: "Brillen & Söhne", Country: "DE", Tier: makerguard.TierFree, Status: makerguard.StatusActive,
		CreatedAt: w.now, UpdatedAt: w.now,
	}
	wantOwner := makerguard.Member{
		ID: owner.ID, ManufacturerID: mfr.ID, Email: "Anna@Brillen.Example", EmailKey: "anna@brillen.example", Name: "Anna O'Brien",
		Role: makerguard.RoleOwner, Status: makerguard.StatusActive, PasswordHash: "hash", PasswordChangedAt: w.now,
		CreatedAt: w.now, UpdatedAt: w.now,
	}
	if diff := cmp.Diff(wantMfr, mfr); diff != "" || !strings.HasPrefix(string(mfr.ID), "mfr_") {
		t.Errorf("manufacturer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantOwner, owner); diff != "" || !strings.HasPrefix(string(owner.ID), "mbr_") {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
	stored, err := w.Manufacturer(t.Context(), mfr.ID)
	if err != nil || !cmp.Equal(stored, wantMfr) {
		t.Errorf("Manufacturer = %+v, %v, want what was registered", stored, err)
	}
	wantEntry := makerguard.AuditEntry{
		ManufacturerID: mfr.ID, Action: audit.ManufacturerRegistered, Outcome: "success", ActorKind: "member", ActorID: string(owner.ID),
		Target: string(mfr.ID), IP: home.IP, RequestID: home.RequestID,
	}
	if diff := cmp.Diff([]makerguard.AuditEntry{wantEntry}, w.audit.entries); diff != "" {
		t.Errorf("audit entries (-want +got):\n%s", diff)
	}
}

func TestRegister_KnownAddressIsAConflict(t *testing.T) {
	w := newWorld(t)
	w.register(t)
	for _, email := range []string{"anna@brillen.example", "ANNA@BRILLEN.EXAMPLE", " anna@brillen.example"} {
		r := registration()
		r.Email = email
		if _, _, err := w.Register(t.Context(), r, home); !errors.Is(err, makerguard.Conflict) {
			t.Errorf("Register(%q) = %v, want CONFLICT", email, err)
		}
	}
	if ms, _, err := w.Manufacturers(t.Context(), "", "", 0); err != nil || len(ms) != 1 {
		t.Errorf("Manufacturers = %d, %v, want 1", len(ms), err)
	}
}

// Of many registrations of one address at once one succeeds, and leaves one manufacturer.
func TestRegister_ParallelRegistrationsHaveOneWinner(t *testing.T) {
	w := newWorld(t)
	var won atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			_, _, err := w.Register(t.Context(), registration(), home)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, makerguard.Conflict):
				t.Errorf("Register: %v, want CONFLICT", err)
			}
		})
	}
	done.Wait()
	ms, _, err := w.Manufacturers(t.Context(), "", "", 0)
	if won.Load() != 1 || err != nil || len(ms) != 1 {
		t.Errorf("%d succeeded, %d manufacturers (%v), want 1 and 1", won.Load(), len(ms), err)
	}
}

func TestRegister_NamesEveryMemberAtFault(t *testing.T) {
	w := newWorld(t)
	w.hasher.refuse = &makerguard.Error{Code: makerguard.ValidationFailed, Fields: []makerguard.FieldError{{Pointer: "/password", Rule: "password.length"}}}
	_, _, err := w.Register(t.Context(), account.Registration{
		Email: "no address", CompanyName: strings.Repeat("ä", 201), Country: "D3", Name: "Anna\r\nBcc: everybody",
	}, home)
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.ValidationFailed {
		t.Fatalf("Register = %v, want VALIDATION_FAILED", err)
	}
	var pointers []string
	for _, f := range e.Fields {
		pointers = append(pointers, f.Pointer)
	}
	if diff := cmp.Diff([]string{"/email", "/password", "/company_name", "/country", "/name"}, pointers); diff != "" {
		t.Errorf("pointers (-want +got):\n%s", diff)
	}
	if w.hasher.hashed.Load() != 0 || len(w.audit.entries) != 0 {
		t.Error("something was hashed or recorded for an invalid registration")
	}
}

func TestRegister_Texts(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		company string
		want    string // stored, or "" if refused
	}{
		{"O'Brien & Sons", "O'Brien & Sons"},
		{strings.Repeat("ä", 200), strings.Repeat("ä", 200)},
		{"Bru\u0308ckner", "Brückner"},
		{"شرکت عینک\u200cسازی", "شرکت عینک\u200cسازی"},
		{"", ""},
		{"   ", ""},
		{"a\x00b", ""},
		{"a\nb", ""},
		{"a\tb", ""},
		{"a\u2028b", ""},
		{"evil\u202egnp.exe", ""},
		{"a\xffb", ""},
	}
	for i, tt := range tests {
		r := registration()
		r.Email, r.CompanyName = fmt.Sprintf("m%d@brillen.example", i), tt.company
		mfr, _, err := w.Register(t.Context(), r, home)
		if mfr.CompanyName != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("Register(company %q) = %q, %v, want %q", tt.company, mfr.CompanyName, err, tt.want)
		}
	}
}

func TestRegister_RefusalsLeaveNothing(t *testing.T) {
	other := errors.New("something else")
	tests := []struct {
		name   string
		adjust func(*world)
		want   error
	}{
		{"throttled", func(w *world) { w.hasher.limited = makerguard.RateLimitExceeded }, makerguard.RateLimitExceeded},
		{"no audit", func(w *world) { w.audit.broken = true }, makerguard.StoreUnavailable},
		{"the check itself fails", func(w *world) { w.hasher.refuse = other }, other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.adjust(w)
			mfr, owner, err := w.Register(t.Context(), registration(), home)
			if !errors.Is(err, tt.want) || mfr.ID != "" || owner.ID != "" {
				t.Errorf("Register = %+v, %+v, %v, want %v alone", mfr, owner, err, tt.want)
			}
			if ms, _, err := w.Manufacturers(t.Context(), "", "", 0); err != nil || len(ms) != 0 {
				t.Errorf("Manufacturers = %d, %v, want none", len(ms), err)
			}
		})
	}
}

func TestCreateOperator(t *testing.T) {
	w := newWorld(t)
	for i := range 2 { // the second finds the platform there
		m, err := w.CreateOperator(t.Context(), fmt.Sprintf("op%d@example.com", i), goodPassword)
		if err != nil {
			t.Fatalf("CreateOperator: %v", err)
		}
		if m.ManufacturerID != makerguard.PlatformID || m.Role != makerguard.RoleOwner || m.EmailVerifiedAt.IsZero() {
			t.Errorf("operator = %+v, want a verified owner of the platform", m)
		}
	}
	if _, err := w.CreateOperator(t.Context(), "OP0@example.com", goodPassword); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("CreateOperator again = %v, want CONFLICT", err)
	}
	if _, err := w.CreateOperator(t.Context(), "nonsense", goodPassword); !errors.Is(err, makerguard.ValidationFailed) {
		t.Errorf("CreateOperator(nonsense) = %v, want VALIDATION_FAILED", err)
	}
	platform, err := w.Manufacturer(t.Context(), makerguard.PlatformID)
	if err != nil || platform.Tier != makerguard.TierPlatform {
		t.Errorf("platform = %+v, %v, want tier platform", platform, err)
	}
	w.audit.broken = true
	if _, err := w.CreateOperator(t.Context(), "op3@example.com", goodPassword); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("CreateOperator without audit = %v, want STORE_UNAVAILABLE", err)
	}
}

func TestManufacturers_Pages(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		r := registration()
		r.Email, r.CompanyName = fmt.Sprintf("m%d@brillen.example", i), fmt.Sprintf("Optik %d", i)
		if _, _, err := w.Register(t.Context(), r, home); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	cursor, pages := "", 0
	for {
		ms, next, err := w.Manufacturers(t.Context(), "optik", cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			names = append(names, m.CompanyName)
		}
		pages++
		if next == "" {
			break
		}
		cursor = next
	}
	if len(names) != 7 || pages != 3 {
		t.Errorf("%d names on %d pages, want 7 on 3: %v", len(names), pages, names)
	}
	if _, err := w.Manufacturer(t.Context(), "mfr_unknown"); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Manufacturer(unknown) = %v, want NOT_FOUND", err)
	}
}

func operator() *makerguard.Principal {
	return &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_op", Role: makerguard.RoleOwner}
}

func TestOperations_ChangeAuditAndAnnounce(t *testing.T) {
	w := newWorld(t)
	mfr := w.register(t)
	ctx := t.Context()
	tests := []struct {
		name   string
		do     func() error
		action string
		detail string
		want   func(*makerguard.Manufacturer)
	}{
		{
			"SetTier", func() error { return w.SetTier(ctx, operator(), mfr.ID, makerguard.TierEnterprise, home) },
			audit.TierChanged, "free -> enterprise", func(m *makerguard.Manufacturer) { m.Tier = makerguard.TierEnterprise },
		},
		{
			"Suspend", func() error { return w.Suspend(ctx, operator(), mfr.ID, " unpaid ", home) },
			audit.ManufacturerSuspended, "unpaid", func(m *makerguard.Manufacturer) {
				m.Status, m.StatusReason = makerguard.StatusSuspended, "unpaid"
			},
		},
		{
			"Restore", func() error { return w.Restore(ctx, operator(), mfr.ID, home) },
			audit.ManufacturerRestored, "", func(m *makerguard.Manufacturer) { m.Status, m.StatusReason = makerguard.StatusActive, "" },
		},
	}
	for _, tt := range tests {
		w.now = w.now.Add(time.Minute)
		w.changes = nil
		// Without the audit record nothing happens.
		w.audit.broken = true
		if err := tt.do(); !errors.Is(err, makerguard.StoreUnavailable) {
			t.Errorf("%s without audit = %v, want STORE_UNAVAILABLE", tt.name, err)
		}
		w.audit.broken = false
		if got, err := w.Manufacturer(ctx, mfr.ID); err != nil || !cmp.Equal(got, mfr) || len(w.changes) != 0 {
			t.Errorf("%s without audit left %+v, %v, %v, want no change", tt.name, got, err, w.changes)
		}
		if err := tt.do(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		tt.want(&mfr)
		mfr.UpdatedAt = w.now
		got, err := w.Manufacturer(ctx, mfr.ID)
		if diff := cmp.Diff(mfr, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		e := w.audit.entries[len(w.audit.entries)-1]
		if e.Action != tt.action || e.Detail != tt.detail || e.ActorID != "mbr_op" || e.ManufacturerID != mfr.ID || e.IP != home.IP {
			t.Errorf("%s: audit entry %+v, want %s with %q by the operator", tt.name, e, tt.action, tt.detail)
		}
		if diff := cmp.Diff([]makerguard.Change{{Kind: makerguard.ManufacturerChanged, ManufacturerID: mfr.ID}}, w.changes); diff != "" {
			t.Errorf("%s announced (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestOperations_AreRefused(t *testing.T) {
	w := newWorld(t)
	mfr := w.register(t)
	if _, err := w.CreateOperator(t.Context(), "op@example.com", goodPassword); err != nil {
		t.Fatal(err)
	}
	entries := len(w.audit.entries)
	owner := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: mfr.ID, MemberID: "mbr_1", Role: makerguard.RoleOwner}
	ctx := t.Context()
	for what, tt := range map[string]struct {
		err  error
		want makerguard.Code
	}{
		"SetTier by an owner":         {w.SetTier(ctx, owner, mfr.ID, makerguard.TierEnterprise, home), makerguard.InsufficientPermissions},
		"SetTier by nobody":           {w.SetTier(ctx, nil, mfr.ID, makerguard.TierEnterprise, home), makerguard.InsufficientPermissions},
		"Suspend by an owner":         {w.Suspend(ctx, owner, mfr.ID, "", home), makerguard.InsufficientPermissions},
		"Restore by an owner":         {w.Restore(ctx, owner, mfr.ID, home), makerguard.InsufficientPermissions},
		"SetTier to platform":         {w.SetTier(ctx, operator(), mfr.ID, makerguard.TierPlatform, home), makerguard.ValidationFailed},
		"SetTier to nonsense":         {w.SetTier(ctx, operator(), mfr.ID, "gold", home), makerguard.ValidationFailed},
		"SetTier of the platform":     {w.SetTier(ctx, operator(), makerguard.PlatformID, makerguard.TierFree, home), makerguard.Conflict},
		"Suspend of the platform":     {w.Suspend(ctx, operator(), makerguard.PlatformID, "", home), makerguard.Conflict},
		"Suspend of nobody":           {w.Suspend(ctx, operator(), "mfr_x", "", home), makerguard.NotFound},
		"Suspend for a long reason":   {w.Suspend(ctx, operator(), mfr.ID, strings.Repeat("a", 501), home), makerguard.ValidationFailed},
		"Suspend for a broken reason": {w.Suspend(ctx, operator(), mfr.ID, "a\nb", home), makerguard.ValidationFailed},
	} {
		if got := makerguard.CodeOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %s", what, tt.err, tt.want)
		}
	}
	if got, err := w.Manufacturer(ctx, mfr.ID); err != nil || !cmp.Equal(got, mfr) || len(w.audit.entries) != entries {
		t.Errorf("manufacturer = %+v, %v, with %d new entries, want it unchanged", got, err, len(w.audit.entries)-entries)
	}
}

func TestNew_ReportsEverythingMissing(t *testing.T) {
	_, err := account.New(account.Config{})
	for _, want := range []string{"Store", "Passwords", "Audit", "Limits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(Config{}) = %v, want it to name %s", err, want)
		}
	}
}
