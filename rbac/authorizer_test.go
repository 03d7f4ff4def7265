package rbac_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/quota"
	"github.com/makerguard/makerguard/rbac"
	"github.com/makerguard/makerguard/store/sqlite"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// newAuthorizer counts on a real store; policy nil is the built-in one.
func newAuthorizer(t testing.TB, policy *rbac.Policy) *rbac.Authorizer {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "makerguard.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	meters, err := quota.New(quota.Config{Store: store, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	a, err := rbac.New(rbac.Config{Policy: policy, Quota: meters})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNew_NeedsAQuota(t *testing.T) {
	if _, err := rbac.New(rbac.Config{}); err == nil {
		t.Error("New without a quota succeeded")
	}
}

func TestAcquire_DecidesThenReserves(t *testing.T) {
	a := newAuthorizer(t, nil)
	editor := member(makerguard.TierFree, makerguard.RoleEditor)
	d, r, err := a.Acquire(t.Context(), editor, makerguard.UploadProducts, makerguard.ProductUploads, 48)
	want := rbac.Decision{
		Allowed: true, Reason: rbac.Allowed, Permission: makerguard.UploadProducts, Rule: "role:editor",
		Meter: makerguard.ProductUploads, Limit: 50, Remaining: 2,
	}
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Errorf("Acquire: %v; -want +got\n%s", err, diff)
	}

	d, _, err = a.Acquire(t.Context(), editor, makerguard.UploadProducts, makerguard.ProductUploads, 3)
	want = rbac.Decision{
		Reason: rbac.UsageLimitExceeded, Permission: makerguard.UploadProducts, Rule: "limit", LowestTier: makerguard.TierProfessional,
		Meter: makerguard.ProductUploads, Limit: 50, Remaining: 2,
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("Acquire past the limit: -want +got\n%s", diff)
	}
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.UsageLimitExceeded || e.RetryAfter != time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(noon) {
		t.Fatalf("error = %v, want USAGE_LIMIT_EXCEEDED until the month ends", err)
	}
	wantDetails := map[string]any{
		"reason": rbac.UsageLimitExceeded, "rule": "limit", "permission": makerguard.UploadProducts, "lowest_tier": makerguard.TierProfessional,
		"meter": makerguard.ProductUploads, "limit": int64(50), "used": int64(48), "remaining": int64(2),
	}
	if diff := cmp.Diff(wantDetails, e.Details); diff != "" {
		t.Errorf("Details: -want +got\n%s", diff)
	}

	check, err := a.Check(t.Context(), editor, makerguard.UploadProducts, makerguard.ProductUploads, 3)
	if diff := cmp.Diff(want, check); err != nil || diff != "" {
		t.Errorf("Check differs from Acquire: %v; -want +got\n%s", err, diff)
	}
	r.Release()
	for range 3 { // looking spends nothing
		check, err = a.Check(t.Context(), editor, makerguard.UploadProducts, makerguard.ProductUploads, 50)
		if err != nil || !check.Allowed || check.Remaining != 50 {
			t.Errorf("Check after the release = %+v, %v, want allowed", check, err)
		}
	}
}

func TestAcquire_DenialsReserveNothing(t *testing.T) {
	a := newAuthorizer(t, nil)
	for _, tt := range []struct {
		name  string
		who   *makerguard.Principal
		perm  makerguard.Permission
		meter makerguard.Meter
		want  rbac.Reason
		code  makerguard.Code
	}{
		{"nobody", nil, makerguard.UploadProducts, makerguard.ProductUploads, rbac.NoPrincipal, makerguard.AuthenticationRequired},
		{"no permission", member(makerguard.TierFree, makerguard.RoleViewer), makerguard.UploadProducts, makerguard.ProductUploads, rbac.RoleLacksPermission, makerguard.InsufficientPermissions},
		{"tier too low", member(makerguard.TierFree, makerguard.RoleOwner), makerguard.ExportData, makerguard.DataExports, rbac.TierLacksPermission, makerguard.InsufficientPermissions},
		{"unknown permission", member(makerguard.TierFree, makerguard.RoleOwner), "", makerguard.APICalls, rbac.UnknownPermission, makerguard.InsufficientPermissions},
		{"unknown meter", member(makerguard.TierFree, makerguard.RoleOwner), makerguard.UploadProducts, "flights", rbac.UnknownMeter, makerguard.InsufficientPermissions},
		{"limit 0", member(makerguard.TierFree, makerguard.RoleOwner), rbac.Authenticated, makerguard.MLRequests, rbac.UsageLimitExceeded, makerguard.UsageLimitExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, r, err := a.Acquire(t.Context(), tt.who, tt.perm, tt.meter, 1)
			if d.Allowed || d.Reason != tt.want || makerguard.CodeOf(err) != tt.code {
				t.Errorf("Acquire = %+v, %v, want %s and %s", d, err, tt.want, tt.code)
			}
			r.Commit() // the zero reservation: nothing happens
			check, err := a.Check(t.Context(), tt.who, tt.perm, tt.meter, 1)
			if err != nil || check.Allowed || check.Reason != tt.want {
				t.Errorf("Check = %+v, %v, want %s", check, err, tt.want)
			}
		})
	}
	owner := member(makerguard.TierFree, makerguard.RoleOwner)
	if d, _, err := a.Acquire(t.Context(), owner, makerguard.UploadProducts, "", 0); err != nil || !d.Allowed {
		t.Errorf("Acquire without a meter = %+v, %v, want allowed", d, err)
	}
	for _, amount := range []int64{0, -1} {
		if d, _, err := a.Acquire(t.Context(), owner, makerguard.UploadProducts, makerguard.ProductUploads, amount); d.Allowed || !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Acquire of %d = %+v, %v, want VALIDATION_FAILED", amount, d, err)
		}
		if d, err := a.Check(t.Context(), owner, makerguard.UploadProducts, makerguard.ProductUploads, amount); d.Allowed || !errors.Is(err, makerguard.ValidationFailed) {
			t.Errorf("Check of %d = %+v, %v, want VALIDATION_FAILED", amount, d, err)
		}
	}
}

func TestAcquire_WithoutLimitCounts(t *testing.T) {
	a := newAuthorizer(t, nil)
	owner := member(makerguard.TierEnterprise, makerguard.RoleOwner)
	d, r, err := a.Acquire(t.Context(), owner, makerguard.UploadProducts, makerguard.ProductUploads, 5)
	if err != nil || !d.Allowed || d.Limit != makerguard.Unlimited || d.Remaining != makerguard.Unlimited {
		t.Errorf("Acquire = %+v, %v, want unlimited", d, err)
	}
	r.Commit()
	if d, err := a.Check(t.Context(), owner, makerguard.UploadProducts, makerguard.ProductUploads, 1_000_000); err != nil || !d.Allowed {
		t.Errorf("Check = %+v, %v, want allowed", d, err)
	}
	// The same manufacturer, moved to a lower tier, has used what it used.
	moved := member(makerguard.TierFree, makerguard.RoleOwner)
	if d, _, err := a.Acquire(t.Context(), moved, makerguard.UploadProducts, makerguard.ProductUploads, 1); err != nil || d.Remaining != 44 {
		t.Errorf("Acquire after a downgrade = %+v, %v, want 44 remaining", d, err)
	}
}

// goal: V8.2.1
func TestSpend_NeedsTheMetersPermission(t *testing.T) {
	a := newAuthorizer(t, nil)
	owner := member(makerguard.TierFree, makerguard.RoleOwner)
	d, res, err := a.Spend(t.Context(), owner, makerguard.ProductUploads, 40, "key", []byte("a"))
	if err != nil || !d.Allowed || d.Remaining != 10 || res.Used != 40 {
		t.Errorf("Spend = %+v, %+v, %v, want 10 of 50 remaining", d, res, err)
	}
	if d, res, err := a.Spend(t.Context(), owner, makerguard.ProductUploads, 40, "key", []byte("a")); err != nil || !res.Replayed || d.Remaining != 10 {
		t.Errorf("Spend again = %+v, %+v, %v, want the first answer", d, res, err)
	}
	if _, _, err := a.Spend(t.Context(), owner, makerguard.ProductUploads, 40, "key", []byte("b")); !errors.Is(err, makerguard.IdempotencyMismatch) {
		t.Errorf("Spend of another request = %v, want IDEMPOTENCY_MISMATCH", err)
	}
	d, res, err = a.Spend(t.Context(), owner, makerguard.ProductUploads, 11, "", nil)
	if !errors.Is(err, makerguard.UsageLimitExceeded) || d.Allowed || d.Remaining != 10 || d.LowestTier != makerguard.TierProfessional || res.Used != 40 {
		t.Errorf("Spend past the limit = %+v, %+v, %v", d, res, err)
	}
	for _, tt := range []struct {
		who   *makerguard.Principal
		meter makerguard.Meter
	}{
		{member(makerguard.TierFree, makerguard.RoleViewer), makerguard.ProductUploads},
		{owner, makerguard.MLRequests},
		{owner, makerguard.APICalls}, // counted by makerguard alone
		{owner, "flights"},
	} {
		if d, _, err := a.Spend(t.Context(), tt.who, tt.meter, 1, "", nil); d.Allowed || !errors.Is(err, makerguard.InsufficientPermissions) {
			t.Errorf("Spend on %s by %s = %+v, %v, want INSUFFICIENT_PERMISSIONS", tt.meter, tt.who.Role, d, err)
		}
	}
}

func TestAuthorizer_WithoutAStoreNeverAllows(t *testing.T) {
	a := newAuthorizer(t, nil)
	owner := member(makerguard.TierFree, makerguard.RoleOwner)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := a.Check(ctx, owner, makerguard.UploadProducts, makerguard.ProductUploads, 1); err == nil || d.Allowed {
		t.Errorf("Check without an answer = %+v, %v, want an error", d, err)
	}
	if d, _, err := a.Spend(ctx, owner, makerguard.ProductUploads, 1, "", nil); err == nil || d.Allowed {
		t.Errorf("Spend without an answer = %+v, %v, want an error", d, err)
	}
}

// goal: V8.3.2
func TestSetPolicy_SwapsTheWholePolicyAtOnce(t *testing.T) {
	open := mustParse(t, "version: 1\ntiers: {free: {permissions: [upload_products, use_vault]}}")
	shut := mustParse(t, "version: 1\ntiers: {free: {permissions: [view_security]}}")
	a := newAuthorizer(t, open)
	owner := member(makerguard.TierFree, makerguard.RoleOwner)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p := a.Policy()
				if p.Decide(owner, makerguard.UploadProducts).Allowed != p.Decide(owner, makerguard.UseVault).Allowed {
					t.Error("half of one policy and half of another")
					return
				}
			}
		})
	}
	for range 200 {
		for policy, want := range map[*rbac.Policy]bool{open: true, shut: false} {
			a.SetPolicy(policy)
			if d, _, _ := a.Acquire(t.Context(), owner, makerguard.UseVault, "", 0); d.Allowed != want {
				t.Errorf("after SetPolicy: allowed = %v, want %v", d.Allowed, want)
			}
		}
	}
	close(stop)
	wg.Wait()
}

func TestAcquire_AllocatesNothing(t *testing.T) {
	a := newAuthorizer(t, nil)
	owner := member(makerguard.TierEnterprise, makerguard.RoleOwner)
	ctx := t.Context()
	use := func() {
		_, r, err := a.Acquire(ctx, owner, makerguard.UploadProducts, makerguard.ProductUploads, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.Commit()
	}
	use()
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("Acquire and Commit allocate %v times", n)
	}
}

func BenchmarkAcquire(b *testing.B) {
	a := newAuthorizer(b, nil)
	owner := member(makerguard.TierEnterprise, makerguard.RoleOwner)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, r, err := a.Acquire(ctx, owner, makerguard.UploadProducts, makerguard.ProductUploads, 1)
		if err != nil {
			b.Fatal(err)
		}
		r.Commit()
	}
}
