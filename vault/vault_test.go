package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/store/sqlite"
	"github.com/makerguard/makerguard/vault"
)

// recorder is an audit record that can be made to fail, and shows what the store held when
// an entry was written.
type recorder struct {
	mu      sync.Mutex
	entries []makerguard.AuditEntry
	err     error
	before  func(makerguard.AuditEntry)
}

func (r *recorder) Record(_ context.Context, e makerguard.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.before(e)
	}
	if r.err != nil {
		return r.err
	}
	r.entries = append(r.entries, e)
	return nil
}

type fixture struct {
	*vault.Vault
	store *sqlite.Store
	path  string // of the database
	audit *recorder
	now   time.Time
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{
		audit: &recorder{},
		now:   time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		path:  filepath.Join(t.TempDir(), "makerguard.db"),
	}
	var err error
	f.store, err = sqlite.Open(context.Background(), sqlite.Config{Path: f.path})
	if err != nil {
		t.Fatalf("sqlite.Open() = %v", err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	content, err := envelope.GenerateKEK()
	if err != nil {
		t.Fatalf("GenerateKEK() = %v", err)
	}
	kek, err := envelope.ParseKEK(content)
	if err != nil {
		t.Fatalf("ParseKEK() = %v", err)
	}
	ring, err := envelope.New(envelope.Config{Store: f.store, KEK: kek})
	if err != nil {
		t.Fatalf("envelope.New() = %v", err)
	}
	f.Vault, err = vault.New(vault.Config{
		Store: f.store, Sealer: ring, Audit: f.audit, Now: func() time.Time { return f.now },
	})
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return f
}

var (
	anna   = &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_anna"}
	bert   = &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_1", MemberID: "mbr_bert"}
	mallet = &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: "mfr_2", MemberID: "mbr_mallet"}
	client = makerguard.Client{IP: "192.0.2.1", UserAgent: "test", RequestID: "req_1"}
)

func (f *fixture) put(t testing.TB, p *makerguard.Principal, name, data string) (makerguard.VaultRecord, bool) {
	t.Helper()
	rec, created, err := f.Put(context.Background(), p, name, []byte(data), client)
	if err != nil {
		t.Fatalf("Put(%q) = %v", name, err)
	}
	return rec, created
}

func TestPutGetDelete(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	first := f.now
	rec, created := f.put(t, anna, "bank-account", `{"iban":"DE02120300000000202051"}`)
	want := makerguard.VaultRecord{
		ManufacturerID: "mfr_1", Name: "bank-account", KeyVersion: 1, CreatedAt: first, UpdatedAt: first, UpdatedBy: "mbr_anna",
	}
	if diff := cmp.Diff(want, unsealed(rec)); diff != "" || !created {
		t.Errorf("Put() of a new name: created %v, record (-want +got):\n%s", created, diff)
	}

	f.now = f.now.Add(time.Hour)
	rec, created = f.put(t, bert, "bank-account", ` [1, "two", null] `)
	want.UpdatedAt, want.UpdatedBy = f.now, "mbr_bert"
	if diff := cmp.Diff(want, unsealed(rec)); diff != "" || created {
		t.Errorf("Put() of a known name: created %v, record (-want +got):\n%s", created, diff)
	}
	data, rec, err := f.Get(ctx, anna, "bank-account", client)
	if err != nil || string(data) != ` [1, "two", null] ` {
		t.Errorf("Get() = %q, %v, want what was put last", data, err)
	}
	if diff := cmp.Diff(want, unsealed(rec)); diff != "" {
		t.Errorf("Get(): record (-want +got):\n%s", diff)
	}

	if err := f.Delete(ctx, anna, "bank-account", client); err != nil {
		t.Fatalf("Delete() = %v", err)
	}
	if _, _, err := f.Get(ctx, anna, "bank-account", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Get() of a deleted record = %v, want %v", err, makerguard.NotFound)
	}
	if err := f.Delete(ctx, anna, "bank-account", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Delete() of a deleted record = %v, want %v", err, makerguard.NotFound)
	}
	if _, created := f.put(t, anna, "bank-account", `0`); !created {
		t.Error("Put() of a deleted name: not created")
	}
}

func unsealed(r makerguard.VaultRecord) makerguard.VaultRecord {
	r.Sealed = nil
	return r
}

func TestPut_AnyJSONComesBack(t *testing.T) {
	f := newFixture(t)
	scalar := rapid.SampledFrom([]string{`null`, `true`, `-1.5e300`, `""`, `"Brücke 眼鏡 \u0000"`, `12345678901234567890`})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,127}`).Draw(t, "name")
		data := scalar.Draw(t, "scalar")
		for range rapid.IntRange(0, 20).Draw(t, "depth") {
			data = rapid.SampledFrom([]string{"[" + data + "]", `{"k": ` + data + `}`, "[1," + data + "]"}).Draw(t, "around")
		}
		if _, _, err := f.Put(context.Background(), anna, name, []byte(data), client); err != nil {
			t.Fatalf("Put(%q, %q) = %v", name, data, err)
		}
		got, _, err := f.Get(context.Background(), bert, name, client)
		if err != nil || string(got) != data {
			t.Fatalf("Get(%q) = %q, %v, want %q", name, got, err, data)
		}
	})
}

func TestPut_Refuses(t *testing.T) {
	f := newFixture(t)
	tests := []struct {
		what, name, data string
		pointer          string
	}{
		{"empty name", "", `1`, "/name"},
		{"long name", strings.Repeat("a", 129), `1`, "/name"},
		{"upper case", "Bank", `1`, "/name"},
		{"leading dot", ".bank", `1`, "/name"},
		{"leading hyphen", "-bank", `1`, "/name"},
		{"path", "../bank", `1`, "/name"},
		{"slash", "a/b", `1`, "/name"},
		{"space", "a b", `1`, "/name"},
		{"newline at the end", "bank\n", `1`, "/name"},
		{"NUL", "bank\x00", `1`, "/name"},
		{"not ASCII", "bänk", `1`, "/name"},
		{"nothing", "bank", ``, "/data"},
		{"no JSON", "bank", `iban`, "/data"},
		{"cut", "bank", `{"iban":`, "/data"},
		{"two values", "bank", `1 2`, "/data"},
		{"member twice", "bank", `{"a":1,"a":2}`, "/data"},
		{"bad UTF-8", "bank", "\"\xff\"", "/data"},
		{"comment", "bank", `1 // one`, "/data"},
		{"NaN", "bank", `NaN`, "/data"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			_, _, err := f.Put(t.Context(), anna, tt.name, []byte(tt.data), client)
			checkInvalid(t, "Put", err, tt.pointer)
			if tt.pointer == "/name" {
				_, _, err := f.Get(t.Context(), anna, tt.name, client)
				checkInvalid(t, "Get", err, tt.pointer)
				checkInvalid(t, "Delete", f.Delete(t.Context(), anna, tt.name, client), tt.pointer)
			}
		})
	}
	for _, limit := range []int{-1, 0, 201, 1 << 40} {
		_, err := f.List(t.Context(), anna, "", limit)
		checkInvalid(t, "List", err, "/limit")
	}
	if len(f.audit.entries) != 0 {
		t.Errorf("audit entries of what was refused: %+v", f.audit.entries)
	}
	for _, name := range []string{"a", "0", strings.Repeat("z", 128), "a.b_c-9"} {
		f.put(t, anna, name, `1`)
	}
}

func checkInvalid(t *testing.T, what string, err error, pointer string) {
	t.Helper()
	e, ok := errors.AsType[*makerguard.Error](err)
	if !ok || e.Code != makerguard.ValidationFailed || len(e.Fields) != 1 || e.Fields[0].Pointer != pointer || e.Fields[0].Message == "" {
		t.Errorf("%s() = %v, want %v at %s", what, err, makerguard.ValidationFailed, pointer)
	}
}

// goal: V8.2.2 V8.4.1
func TestTenantsAreApart(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	f.put(t, anna, "prices", `"of 1"`)
	if _, _, err := f.Get(ctx, mallet, "prices", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Get() of another manufacturer's record = %v, want %v, the same as absent", err, makerguard.NotFound)
	}
	if err := f.Delete(ctx, mallet, "prices", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Delete() of another manufacturer's record = %v, want %v", err, makerguard.NotFound)
	}
	if recs, err := f.List(ctx, mallet, "", 200); err != nil || len(recs) != 0 {
		t.Errorf("List() = %v, %v, want nothing of another manufacturer's", recs, err)
	}
	if _, created := f.put(t, mallet, "prices", `"of 2"`); !created {
		t.Error("Put() of a name that another manufacturer has: not created")
	}
	if got, _, err := f.Get(ctx, anna, "prices", client); err != nil || string(got) != `"of 1"` {
		t.Errorf("Get() = %q, %v, want the manufacturer's own", got, err)
	}
}

// Somebody who can write to the store, but has no keys, cannot pass one record off as another.
//
// goal: V11.3.3
func TestGet_RefusesSwappedAndAlteredRecords(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	mine, _ := f.put(t, anna, "prices", `"prices"`)
	other, _ := f.put(t, anna, "bank-account", `"account"`)
	foreign, _ := f.put(t, mallet, "prices", `"of mallet"`)
	altered := bytes.Clone(mine.Sealed)
	altered[len(altered)-1] ^= 1
	for name, sealed := range map[string][]byte{
		"another record's": other.Sealed, "another manufacturer's": foreign.Sealed,
		"altered": altered, "cut": mine.Sealed[:10], "empty": {},
	} {
		bad := mine
		bad.Sealed = sealed
		if _, _, err := f.store.PutRecord(ctx, bad); err != nil {
			t.Fatalf("PutRecord() = %v", err)
		}
		f.audit.entries = nil
		data, _, err := f.Get(ctx, anna, "prices", client)
		if data != nil || !errors.Is(err, makerguard.DecryptionFailed) {
			t.Errorf("Get() with %s content = %q, %v, want %v", name, data, err, makerguard.DecryptionFailed)
		}
		if n := len(f.audit.entries); n != 2 || f.audit.entries[1].Outcome != "failure" || f.audit.entries[1].Detail != "DECRYPTION_FAILED" {
			t.Errorf("audit entries of %s content: %+v, want a failure last", name, f.audit.entries)
		}
	}
}

// goal: V14.2.4
func TestPut_StoreHoldsNoPlaintext(t *testing.T) {
	f := newFixture(t)
	const canary = "DE02120300000000202051"
	f.put(t, anna, "bank-account", `{"iban":"`+canary+`"}`)
	names, err := filepath.Glob(filepath.Join(filepath.Dir(f.path), "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("Glob() = %v, %v", names, err)
	}
	var size int
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("ReadFile() = %v", err)
		}
		size += len(content)
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("%s holds the plaintext", filepath.Base(name))
		}
	}
	if size == 0 {
		t.Error("the database is empty, so the test proves nothing")
	}
}

func TestEveryOperationIsRecordedBeforeItHappens(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	exists := func() bool {
		_, err := f.store.Record(ctx, "mfr_1", "prices")
		return err == nil
	}
	var there []bool
	f.audit.before = func(makerguard.AuditEntry) { there = append(there, exists()) }
	f.put(t, anna, "prices", `1`)
	if _, _, err := f.Get(ctx, anna, "prices", client); err != nil {
		t.Fatalf("Get() = %v", err)
	}
	if err := f.Delete(ctx, anna, "prices", client); err != nil {
		t.Fatalf("Delete() = %v", err)
	}
	if diff := cmp.Diff([]bool{false, true, true}, there); diff != "" {
		t.Errorf("whether the record was there when the entry was written (-want +got):\n%s", diff)
	}
	entry := makerguard.AuditEntry{
		ManufacturerID: "mfr_1", Outcome: "success", ActorKind: "member", ActorID: "mbr_anna",
		Target: "vault:prices", IP: "192.0.2.1", RequestID: "req_1",
	}
	var want []makerguard.AuditEntry
	for _, action := range []string{"vault.written", "vault.read", "vault.deleted"} {
		entry.Action = action
		want = append(want, entry)
	}
	if diff := cmp.Diff(want, f.audit.entries); diff != "" {
		t.Errorf("audit entries (-want +got):\n%s", diff)
	}

	f.audit.entries = nil
	if _, _, err := f.Get(ctx, anna, "prices", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Get() = %v, want %v", err, makerguard.NotFound)
	}
	if err := f.Delete(ctx, anna, "prices", client); !errors.Is(err, makerguard.NotFound) {
		t.Errorf("Delete() = %v, want %v", err, makerguard.NotFound)
	}
	if len(f.audit.entries) != 0 {
		t.Errorf("audit entries about a record that is not there: %+v", f.audit.entries)
	}
}

// goal: V16.5.2 V16.5.3
func TestNoAuditEntryNoOperation(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	f.put(t, anna, "prices", `"old"`)
	f.audit.err = &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "away"}
	if _, _, err := f.Put(ctx, anna, "prices", []byte(`"new"`), client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Put() = %v, want %v", err, makerguard.StoreUnavailable)
	}
	if data, _, err := f.Get(ctx, anna, "prices", client); data != nil || !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Get() = %q, %v, want %v and no data", data, err, makerguard.StoreUnavailable)
	}
	if err := f.Delete(ctx, anna, "prices", client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Delete() = %v, want %v", err, makerguard.StoreUnavailable)
	}
	f.audit.err = nil
	if data, _, err := f.Get(ctx, anna, "prices", client); err != nil || string(data) != `"old"` {
		t.Errorf("Get() afterwards = %q, %v, want %q", data, err, `"old"`)
	}
}

// failingStore cannot write.
type failingStore struct{ *sqlite.Store }

var errAway = &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "away"}

func (failingStore) PutRecord(context.Context, makerguard.VaultRecord) (makerguard.VaultRecord, bool, error) {
	return makerguard.VaultRecord{}, false, errAway
}

func (failingStore) DeleteRecord(context.Context, makerguard.ManufacturerID, string) error {
	return errAway
}

func (failingStore) Records(context.Context, makerguard.ManufacturerID, string, int) ([]makerguard.VaultRecord, error) {
	return nil, errAway
}

// failingSealer stands for a sealer whose keys cannot be had.
type failingSealer struct{}

func (failingSealer) Seal(context.Context, makerguard.ManufacturerID, string, string, []byte) ([]byte, uint32, error) {
	return nil, 0, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "away"}
}

func (failingSealer) Open(context.Context, makerguard.ManufacturerID, string, string, []byte) ([]byte, uint32, error) {
	return nil, 0, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "away"}
}

// goal: V16.5.2
func TestFailuresAreRecordedAndKeepTheirCode(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	f.put(t, anna, "prices", `1`)
	v, err := vault.New(vault.Config{Store: failingStore{f.store}, Sealer: failingSealer{}, Audit: f.audit})
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	f.audit.entries = nil
	if _, _, err := v.Put(ctx, anna, "prices", []byte(`2`), client); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("Put() = %v, want %v", err, makerguard.KeyUnavailable)
	}
	if len(f.audit.entries) != 0 {
		t.Errorf("audit entries of a record that could not be sealed: %+v, want none", f.audit.entries)
	}
	if _, _, err := v.Get(ctx, anna, "prices", client); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("Get() = %v, want %v", err, makerguard.KeyUnavailable)
	}
	if err := v.Delete(ctx, anna, "prices", client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Delete() = %v, want %v", err, makerguard.StoreUnavailable)
	}
	if _, err := v.List(ctx, anna, "", 10); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("List() = %v, want %v", err, makerguard.StoreUnavailable)
	}
	var got []string
	for _, e := range f.audit.entries {
		got = append(got, e.Action+" "+e.Outcome+" "+e.Detail)
	}
	want := []string{
		"vault.read success ", "vault.read failure KEY_UNAVAILABLE",
		"vault.deleted success ", "vault.deleted failure STORE_UNAVAILABLE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit entries (-want +got):\n%s", diff)
	}
}

func TestList_PagesByName(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"c", "a", "b", "a.1", "9"} {
		f.put(t, anna, name, `1`)
	}
	f.put(t, mallet, "a.0", `1`)
	var got []string
	after := ""
	for {
		recs, err := f.List(t.Context(), anna, after, 2)
		if err != nil {
			t.Fatalf("List(%q) = %v", after, err)
		}
		if len(recs) == 0 {
			break
		}
		for _, r := range recs {
			if r.Sealed != nil {
				t.Errorf("List() gives the content of %q", r.Name)
			}
			got = append(got, r.Name)
		}
		after = recs[len(recs)-1].Name
	}
	if diff := cmp.Diff([]string{"9", "a", "a.1", "b", "c"}, got); diff != "" {
		t.Errorf("List() (-want +got):\n%s", diff)
	}
}

func TestPut_ConcurrentlyLeavesOneWhole(t *testing.T) {
	f := newFixture(t)
	const n = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	news := 0
	for i := range n {
		wg.Go(func() {
			_, created, err := f.Put(context.Background(), anna, "prices", []byte(strings.Repeat(" ", i)+"1"), client)
			if err != nil {
				t.Errorf("Put() = %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if created {
				news++
			}
		})
	}
	wg.Wait()
	data, _, err := f.Get(t.Context(), anna, "prices", client)
	if err != nil || strings.TrimSpace(string(data)) != "1" || news != 1 {
		t.Errorf("Get() after %d puts at once = %q, %v, with %d of them new, want one whole value and 1", n, data, err, news)
	}
}

func TestNew_ReportsAllThatIsMissing(t *testing.T) {
	_, err := vault.New(vault.Config{})
	for _, what := range []string{"Store", "Sealer", "Audit"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("New() of nothing = %v, want an error that names %s", err, what)
		}
	}
}
