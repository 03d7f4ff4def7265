package envelope_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/store/sqlite"
)

func newStore(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(t.TempDir(), "makerguard.db")})
	if err != nil {
		t.Fatalf("sqlite.Open() = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// recorder is an audit record that can be made to fail.
type recorder struct {
	mu      sync.Mutex
	entries []makerguard.AuditEntry
	err     error
}

func (r *recorder) Record(_ context.Context, e makerguard.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.entries = append(r.entries, e)
	return nil
}

func newRing(t testing.TB, store envelope.Store, kek envelope.KEK, adjust ...func(*envelope.Config)) *envelope.Keyring {
	t.Helper()
	c := envelope.Config{Store: store, KEK: kek, Audit: &recorder{}}
	for _, f := range adjust {
		f(&c)
	}
	ring, err := envelope.New(c)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return ring
}

const record, field = "record", "field"

// mustSeal and mustOpen are used from other goroutines too, where Fatalf may not be.
func mustSeal(t testing.TB, ring *envelope.Keyring, mfr makerguard.ManufacturerID, plaintext string) []byte {
	t.Helper()
	blob, _, err := ring.Seal(context.Background(), mfr, record, field, []byte(plaintext))
	if err != nil {
		t.Errorf("Seal(%q) = %v", mfr, err)
		return make([]byte, envelope.Overhead)
	}
	return blob
}

func mustOpen(t testing.TB, ring *envelope.Keyring, mfr makerguard.ManufacturerID, blob []byte) (string, uint32) {
	t.Helper()
	plaintext, version, err := ring.Open(context.Background(), mfr, record, field, blob)
	if err != nil {
		t.Errorf("Open(%q) = %v", mfr, err)
	}
	return string(plaintext), version
}

func mustRotate(t testing.TB, ring *envelope.Keyring, mfr makerguard.ManufacturerID) uint32 {
	t.Helper()
	version, err := ring.Rotate(context.Background(), nil, mfr, makerguard.Client{})
	if err != nil {
		t.Fatalf("Rotate(%q) = %v", mfr, err)
	}
	return version
}

// notOpened checks that a blob was refused, with the one answer there is.
func notOpened(t interface {
	Helper()
	Errorf(string, ...any)
}, what string, plaintext []byte, err error,
) {
	t.Helper()
	const message = "DECRYPTION_FAILED: the data cannot be decrypted: check that it is complete and unaltered, " +
		"and that record and field are those it was encrypted for"
	if plaintext != nil || err == nil || !errors.Is(err, makerguard.DecryptionFailed) || err.Error() != message {
		t.Errorf("Open() of a blob %s = %q, %v, want %q", what, plaintext, err, message)
	}
}

// goal: V11.3.1 V11.3.2
func TestSeal_RoundTrip(t *testing.T) {
	ring := newRing(t, newStore(t), newKEK(t))
	rapid.Check(t, func(t *rapid.T) {
		mfr := makerguard.ManufacturerID("mfr_" + rapid.StringN(0, 3, -1).Draw(t, "manufacturer"))
		rec, fld := rapid.String().Draw(t, "record"), rapid.String().Draw(t, "field")
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(t, "plaintext")
		blob, version, err := ring.Seal(context.Background(), mfr, rec, fld, plaintext)
		if err != nil || version != 1 || len(blob) != len(plaintext)+envelope.Overhead {
			t.Fatalf("Seal() = %d bytes, %d, %v, want %d bytes and version 1", len(blob), version, err, len(plaintext)+envelope.Overhead)
		}
		if len(plaintext) >= 8 && bytes.Contains(blob, plaintext) {
			t.Fatal("the blob contains the plaintext")
		}
		before := bytes.Clone(blob)
		got, version, err := ring.Open(context.Background(), mfr, rec, fld, blob)
		if err != nil || version != 1 || !bytes.Equal(got, plaintext) {
			t.Fatalf("Open() = %x, %d, %v, want %x and version 1", got, version, err, plaintext)
		}
		if !bytes.Equal(blob, before) {
			t.Fatal("Open() changed the blob")
		}
	})
}

// goal: V11.3.2 V11.3.3 V11.2.5
func TestOpen_RefusesEveryFlippedBitAndEveryCut(t *testing.T) {
	ctx := t.Context()
	ring := newRing(t, newStore(t), newKEK(t))
	blob := mustSeal(t, ring, "mfr_1", "the plaintext of a field")
	for i := range len(blob) * 8 {
		bad := bytes.Clone(blob)
		bad[i/8] ^= 1 << (i % 8)
		got, _, err := ring.Open(ctx, "mfr_1", record, field, bad)
		notOpened(t, fmt.Sprintf("with bit %d flipped", i), got, err)
	}
	for n := range blob {
		got, _, err := ring.Open(ctx, "mfr_1", record, field, blob[:n])
		notOpened(t, fmt.Sprintf("cut to %d bytes", n), got, err)
		got, _, err = ring.Open(ctx, "mfr_1", record, field, blob[n+1:])
		notOpened(t, fmt.Sprintf("without its first %d bytes", n+1), got, err)
	}
	got, _, err := ring.Open(ctx, "mfr_1", record, field, append(bytes.Clone(blob), 0))
	notOpened(t, "with a byte more", got, err)
	mustOpen(t, ring, "mfr_1", blob)
}

// goal: V11.3.2 V11.3.3
func TestOpen_RefusesAnyChange(t *testing.T) {
	ring := newRing(t, newStore(t), newKEK(t))
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plaintext")
		blob, _, err := ring.Seal(context.Background(), "mfr_1", record, field, plaintext)
		if err != nil {
			t.Fatalf("Seal() = %v", err)
		}
		bad := bytes.Clone(blob)
		at := rapid.IntRange(0, len(bad)-1).Draw(t, "at")
		bad[at] ^= rapid.ByteRange(1, 255).Draw(t, "change")
		got, _, err := ring.Open(context.Background(), "mfr_1", record, field, bad)
		notOpened(t, fmt.Sprintf("changed at %d", at), got, err)
	})
}

// goal: V11.3.3 V8.2.2
func TestOpen_RefusesForeignPlaces(t *testing.T) {
	ctx := t.Context()
	ring := newRing(t, newStore(t), newKEK(t))
	blob, _, err := ring.Seal(ctx, "mfr_1", "ab", "c", []byte("x"))
	if err != nil {
		t.Fatalf("Seal() = %v", err)
	}
	mustSeal(t, ring, "mfr_2", "so that mfr_2 has a key")
	tests := []struct {
		name          string
		mfr           makerguard.ManufacturerID
		record, field string
	}{
		{"of another manufacturer", "mfr_2", "ab", "c"},
		{"of a manufacturer without keys", "mfr_3", "ab", "c"},
		{"of no manufacturer", "", "ab", "c"},
		{"of another record", "mfr_1", "abc", "c"},
		{"of another field", "mfr_1", "ab", "d"},
		{"with record and field swapped", "mfr_1", "c", "ab"},
		{"with the border moved", "mfr_1", "a", "bc"},
		{"with all in the record", "mfr_1", "abc", ""},
		{"with no place", "mfr_1", "", ""},
	}
	for _, tt := range tests {
		got, _, err := ring.Open(ctx, tt.mfr, tt.record, tt.field, blob)
		notOpened(t, tt.name, got, err)
	}
	if got, _, err := ring.Open(ctx, "mfr_1", "ab", "c", blob); err != nil || string(got) != "x" {
		t.Errorf("Open() where it was sealed = %q, %v, want %q", got, err, "x")
	}
}

// Even a key row copied to another manufacturer by somebody who can write to the store
// opens nothing there.
//
// goal: V11.3.3
func TestKeys_RefusedAsAnotherRow(t *testing.T) {
	ctx := t.Context()
	store, kek := newStore(t), newKEK(t)
	ring := newRing(t, store, kek)
	blob := mustSeal(t, ring, "mfr_1", "x")
	if _, err := ring.SystemKey(ctx, makerguard.KeySigning); err != nil {
		t.Fatalf("SystemKey() = %v", err)
	}
	data := rows(t, store, "mfr_1", makerguard.KeyData)[0]
	signing := rows(t, store, "", makerguard.KeySigning)[0]

	copied := data
	copied.ManufacturerID = "mfr_2"
	addRow(t, store, copied)
	if _, _, err := ring.Open(ctx, "mfr_2", record, field, blob); !errors.Is(err, makerguard.KeyUnavailable) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Open() under a key copied from another manufacturer = %v, want %v that says damaged", err, makerguard.KeyUnavailable)
	}
	copied = data
	copied.Version = 2
	addRow(t, store, copied)
	if _, _, err := newRing(t, store, kek).Seal(ctx, "mfr_1", record, field, nil); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("Seal() under a version copied from another = %v, want %v", err, makerguard.KeyUnavailable)
	}
	// The damage is to version 2 alone.
	mustOpen(t, newRing(t, store, kek), "mfr_1", blob)

	signing.Purpose = makerguard.KeyPepper
	addRow(t, store, signing)
	if _, err := ring.SystemKey(ctx, makerguard.KeyPepper); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("SystemKey() under a key of another purpose = %v, want %v", err, makerguard.KeyUnavailable)
	}
}

func rows(t testing.TB, store envelope.Store, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) []makerguard.WrappedKey {
	t.Helper()
	ks, err := store.Keys(context.Background(), mfr, purpose)
	if err != nil {
		t.Fatalf("Keys() = %v", err)
	}
	return ks
}

func addRow(t testing.TB, store envelope.Store, k makerguard.WrappedKey) {
	t.Helper()
	if err := store.AddKey(context.Background(), k); err != nil {
		t.Fatalf("AddKey() = %v", err)
	}
}

// restored is a store with other's data keys of mfr_1 in the states given.
func restored(t testing.TB, from envelope.Store, states ...makerguard.KeyState) *sqlite.Store {
	t.Helper()
	store := newStore(t)
	for i, k := range rows(t, from, "mfr_1", makerguard.KeyData) {
		k.State = states[i]
		if k.State == makerguard.KeyDestroyed {
			k.Wrapped = nil
		}
		addRow(t, store, k)
	}
	return store
}

func TestKeyStates(t *testing.T) {
	ctx := t.Context()
	first, kek := newStore(t), newKEK(t)
	ring := newRing(t, first, kek)
	old := mustSeal(t, ring, "mfr_1", "old")
	mustRotate(t, ring, "mfr_1")
	recent := mustSeal(t, ring, "mfr_1", "new")

	t.Run("retiring opens, seals nothing", func(t *testing.T) {
		ring := newRing(t, restored(t, first, makerguard.KeyActive, makerguard.KeyRetiring), kek)
		if got, version := mustOpen(t, ring, "mfr_1", recent); got != "new" || version != 2 {
			t.Errorf("Open() = %q, %d, want %q, 2", got, version, "new")
		}
		if _, version, err := ring.Seal(ctx, "mfr_1", record, field, nil); err != nil || version != 1 {
			t.Errorf("Seal() = version %d, %v, want 1: the newest active", version, err)
		}
	})
	t.Run("destroyed opens nothing", func(t *testing.T) {
		ring := newRing(t, restored(t, first, makerguard.KeyDestroyed, makerguard.KeyActive), kek)
		got, _, err := ring.Open(ctx, "mfr_1", record, field, old)
		notOpened(t, "under a destroyed key", got, err)
		if got, _ := mustOpen(t, ring, "mfr_1", recent); got != "new" {
			t.Errorf("Open() = %q, want %q", got, "new")
		}
	})
	t.Run("all destroyed stays so", func(t *testing.T) {
		store := restored(t, first, makerguard.KeyDestroyed, makerguard.KeyDestroyed)
		ring := newRing(t, store, kek)
		if _, _, err := ring.Seal(ctx, "mfr_1", record, field, nil); !errors.Is(err, makerguard.KeyUnavailable) {
			t.Errorf("Seal() = %v, want %v and no new key", err, makerguard.KeyUnavailable)
		}
		if n := len(rows(t, store, "mfr_1", makerguard.KeyData)); n != 2 {
			t.Errorf("%d key versions, want 2", n)
		}
		if version := mustRotate(t, ring, "mfr_1"); version != 3 {
			t.Errorf("Rotate() = %d, want 3", version)
		}
		mustOpen(t, ring, "mfr_1", mustSeal(t, ring, "mfr_1", "x"))
	})
	t.Run("the zero state is unusable", func(t *testing.T) {
		ring := newRing(t, restored(t, first, "", makerguard.KeyActive), kek)
		got, _, err := ring.Open(ctx, "mfr_1", record, field, old)
		notOpened(t, "under a key of no state", got, err)
	})
	t.Run("unknown version", func(t *testing.T) {
		ring := newRing(t, first, kek)
		for _, version := range []uint32{0, 3, 1 << 31, 1<<32 - 1} {
			blob := bytes.Clone(recent)
			binary.BigEndian.PutUint32(blob[1:], version)
			got, _, err := ring.Open(ctx, "mfr_1", record, field, blob)
			notOpened(t, fmt.Sprintf("of version %d", version), got, err)
		}
	})
}

func TestRotate_OldOpensNewSeals(t *testing.T) {
	store, kek := newStore(t), newKEK(t)
	ring, elsewhere := newRing(t, store, kek), newRing(t, store, kek)
	blobs := make(map[uint32][]byte)
	blobs[1] = mustSeal(t, ring, "mfr_1", "1")
	mustSeal(t, elsewhere, "mfr_1", "so that it has the keys")
	for want := uint32(2); want <= 4; want++ {
		if got := mustRotate(t, ring, "mfr_1"); got != want {
			t.Fatalf("Rotate() = %d, want %d", got, want)
		}
		blobs[want] = mustSeal(t, ring, "mfr_1", fmt.Sprint(want))
	}
	// The other node opens what it has not been told the key of.
	for _, r := range []*envelope.Keyring{elsewhere, ring, newRing(t, store, kek)} {
		for version, blob := range blobs {
			if got, v := mustOpen(t, r, "mfr_1", blob); got != fmt.Sprint(version) || v != version {
				t.Errorf("Open() = %q, %d, want %q, %d", got, v, fmt.Sprint(version), version)
			}
		}
	}
	vs, err := ring.Versions(t.Context(), "mfr_1")
	if err != nil || len(vs) != 4 {
		t.Fatalf("Versions() = %v, %v, want 4", vs, err)
	}
	for i, v := range vs {
		if v.Version != uint32(i)+1 || v.State != makerguard.KeyActive || v.KEKID != kek.ID() || v.CreatedAt.IsZero() {
			t.Errorf("Versions()[%d] = %+v", i, v)
		}
	}
}

func TestApply_NewSealsElsewhereAndOnlyThere(t *testing.T) {
	kek := newKEK(t)
	store := &countingStore{Store: newStore(t)}
	ring, elsewhere := newRing(t, store.Store, kek), newRing(t, store, kek)
	mustSeal(t, elsewhere, "mfr_1", "x")
	mustSeal(t, elsewhere, "mfr_2", "x")
	mustRotate(t, ring, "mfr_1")

	before := store.reads.Load()
	mustSeal(t, elsewhere, "mfr_1", "x")
	elsewhere.Apply(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: "mfr_1"})
	elsewhere.Apply(makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: "mfr_1"})
	mustSeal(t, elsewhere, "mfr_2", "x")
	if n := store.reads.Load() - before; n != 0 {
		t.Errorf("%d reads of keys, want none: mfr_2 was not changed", n)
	}
	blob := mustSeal(t, elsewhere, "mfr_1", "x")
	if _, version := mustOpen(t, elsewhere, "mfr_1", blob); version != 2 {
		t.Errorf("sealed with version %d after the change, want 2", version)
	}
	if n := store.reads.Load() - before; n != 1 {
		t.Errorf("%d reads of keys, want 1", n)
	}
}

// countingStore counts reads, and can hold them up after they were made.
type countingStore struct {
	envelope.Store
	reads atomic.Int64
	held  chan struct{} // nil: nothing is held; else each read waits for it
	read  chan struct{} // gets a value for each read held
}

func (s *countingStore) Keys(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose) ([]makerguard.WrappedKey, error) {
	s.reads.Add(1)
	ks, err := s.Store.Keys(ctx, mfr, purpose)
	if s.held != nil {
		s.read <- struct{}{}
		<-s.held
	}
	return ks, err
}

func TestSeal_ConcurrentMissesLoadOnce(t *testing.T) {
	plain, kek := newStore(t), newKEK(t)
	mustSeal(t, newRing(t, plain, kek), "mfr_1", "x")
	store := &countingStore{Store: plain, held: make(chan struct{}), read: make(chan struct{}, 100)}
	ring := newRing(t, store, kek)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { mustOpen(t, ring, "mfr_1", mustSeal(t, ring, "mfr_1", "x")) })
	}
	<-store.read
	close(store.held)
	wg.Wait()
	if n := store.reads.Load(); n != 1 {
		t.Errorf("%d reads of keys for 50 callers at once, want 1", n)
	}
}

// What was read before a change must not be kept after it.
func TestApply_DuringLoadDiscardsTheLoad(t *testing.T) {
	plain, kek := newStore(t), newKEK(t)
	other := newRing(t, plain, kek)
	mustSeal(t, other, "mfr_1", "x")
	store := &countingStore{Store: plain, held: make(chan struct{}), read: make(chan struct{}, 100)}
	ring := newRing(t, store, kek)

	sealed := make(chan uint32)
	go func() {
		_, version, err := ring.Seal(context.Background(), "mfr_1", record, field, nil)
		if err != nil {
			t.Errorf("Seal() = %v", err)
		}
		sealed <- version
	}()
	<-store.read // it has seen version 1 alone
	mustRotate(t, other, "mfr_1")
	ring.Apply(makerguard.Change{Kind: makerguard.KeysChanged, ManufacturerID: "mfr_1"})
	close(store.held)
	<-sealed
	if _, version, err := ring.Seal(t.Context(), "mfr_1", record, field, nil); err != nil || version != 2 {
		t.Errorf("Seal() after the change = version %d, %v, want 2", version, err)
	}
}

func TestSeal_FirstUseOnTwoNodesMakesOneKey(t *testing.T) {
	for range 5 {
		store, kek := newStore(t), newKEK(t)
		log := &recorder{}
		audited := func(c *envelope.Config) { c.Audit = log }
		nodes := []*envelope.Keyring{newRing(t, store, kek, audited), newRing(t, store, kek, audited)}
		blobs := make([][]byte, 32)
		var wg sync.WaitGroup
		for i := range blobs {
			wg.Go(func() { blobs[i] = mustSeal(t, nodes[i%2], "mfr_1", fmt.Sprint(i)) })
		}
		wg.Wait()
		if n := len(rows(t, store, "mfr_1", makerguard.KeyData)); n != 1 {
			t.Fatalf("%d key versions, want 1", n)
		}
		for i, blob := range blobs {
			if got, version := mustOpen(t, nodes[(i+1)%2], "mfr_1", blob); got != fmt.Sprint(i) || version != 1 {
				t.Errorf("Open() on the other node = %q, %d, want %q, 1", got, version, fmt.Sprint(i))
			}
		}
		made := 0
		for _, e := range log.entries {
			if e.Action != audit.KeyCreated || e.ManufacturerID != "mfr_1" {
				t.Errorf("audit entry %+v, want %s of mfr_1", e, audit.KeyCreated)
			}
			switch e.Outcome {
			case audit.Success:
				made++
			case audit.Failure:
				made--
			}
		}
		if made != 1 {
			t.Errorf("the audit record tells of %d keys made, want 1", made)
		}
	}
}

// No sealing or opening fails, and no version is lost, while two nodes rotate.
//
// goal: V13.3.4
func TestRotate_OnlineOnTwoNodes(t *testing.T) {
	store, kek := newStore(t), newKEK(t)
	nodes := []*envelope.Keyring{newRing(t, store, kek), newRing(t, store, kek)}
	mustSeal(t, nodes[0], "mfr_1", "x")
	var work, rotations sync.WaitGroup
	done := make(chan struct{})
	var sealed atomic.Int64
	for i := range 4 {
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				want := fmt.Sprintf("%d/%d", i, n)
				if got, _ := mustOpen(t, nodes[(i+1)%2], "mfr_1", mustSeal(t, nodes[i%2], "mfr_1", want)); got != want {
					t.Errorf("Open() = %q, want %q", got, want)
				}
				sealed.Add(1)
			}
		})
	}
	var rotated, refused atomic.Int64
	for _, node := range nodes {
		rotations.Go(func() {
			for range 10 {
				_, err := node.Rotate(context.Background(), nil, "mfr_1", makerguard.Client{})
				switch {
				case err == nil:
					rotated.Add(1)
				case errors.Is(err, makerguard.Conflict):
					refused.Add(1)
				default:
					t.Errorf("Rotate() = %v, want nil or %v", err, makerguard.Conflict)
				}
			}
		})
	}
	rotations.Wait()
	close(done)
	work.Wait()
	ks := rows(t, store, "mfr_1", makerguard.KeyData)
	if got, want := int64(len(ks)), 1+rotated.Load(); got != want {
		t.Errorf("%d versions, want %d: 1 and one for each rotation", got, want)
	}
	for i, k := range ks {
		if k.Version != uint32(i)+1 {
			t.Errorf("version %d stands at place %d", k.Version, i)
		}
	}
	if rotated.Load() < 10 {
		t.Errorf("%d rotations, want at least 10", rotated.Load())
	}
	t.Logf("%d rotations, %d refused as conflicts, %d round trips meanwhile", rotated.Load(), refused.Load(), sealed.Load())
}

func TestRotate_IsRecordedOrRefused(t *testing.T) {
	ctx := t.Context()
	store, kek := newStore(t), newKEK(t)
	log := &recorder{}
	ring := newRing(t, store, kek, func(c *envelope.Config) { c.Audit = log })
	mustSeal(t, ring, "mfr_1", "x")
	log.entries = nil
	actor := &makerguard.Principal{Kind: makerguard.KindMember, ManufacturerID: makerguard.PlatformID, MemberID: "mbr_1"}
	client := makerguard.Client{IP: "192.0.2.1", RequestID: "req_1"}
	if _, err := ring.Rotate(ctx, actor, "mfr_1", client); err != nil {
		t.Fatalf("Rotate() = %v", err)
	}
	want := []makerguard.AuditEntry{{
		ManufacturerID: "mfr_1", Action: "key.rotated", Outcome: "success", ActorKind: "member", ActorID: "mbr_1",
		Target: "data/2", IP: "192.0.2.1", RequestID: "req_1",
	}}
	if diff := cmp.Diff(want, log.entries); diff != "" {
		t.Errorf("audit entries (-want +got):\n%s", diff)
	}

	log.err = &makerguard.Error{Code: makerguard.StoreUnavailable}
	if _, err := ring.Rotate(ctx, actor, "mfr_1", client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Rotate() without an audit entry = %v, want %v", err, makerguard.StoreUnavailable)
	}
	if _, _, err := ring.Seal(ctx, "mfr_2", record, field, nil); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("first Seal() without an audit entry = %v, want %v", err, makerguard.StoreUnavailable)
	}
	unaudited := newRing(t, store, kek, func(c *envelope.Config) { c.Audit = nil })
	if _, err := unaudited.Rotate(ctx, actor, "mfr_1", client); err == nil {
		t.Error("Rotate() of a Keyring without an audit record succeeded")
	}
	if n := len(rows(t, store, "mfr_1", makerguard.KeyData)); n != 2 {
		t.Errorf("%d key versions, want 2", n)
	}
	if n := len(rows(t, store, "mfr_2", makerguard.KeyData)); n != 0 {
		t.Errorf("%d key versions of mfr_2, want none", n)
	}

	log.err = nil
	failing := newRing(t, failingAdd{store}, kek, func(c *envelope.Config) { c.Audit = log })
	log.entries = nil
	if _, err := failing.Rotate(ctx, actor, "mfr_1", client); !errors.Is(err, makerguard.StoreUnavailable) {
		t.Errorf("Rotate() with a failing store = %v, want %v", err, makerguard.StoreUnavailable)
	}
	if len(log.entries) != 2 || log.entries[0].Outcome != audit.Success || log.entries[1].Outcome != audit.Failure {
		t.Errorf("audit entries of a rotation that failed = %+v, want a success taken back", log.entries)
	}
}

type failingAdd struct{ envelope.Store }

func (failingAdd) AddKey(context.Context, makerguard.WrappedKey) error {
	return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "away"}
}

func TestWrongKEK_IsKeyUnavailable(t *testing.T) {
	ctx := t.Context()
	store := newStore(t)
	right := newRing(t, store, newKEK(t))
	blob := mustSeal(t, right, "mfr_1", "x")
	if _, err := right.SystemKey(ctx, makerguard.KeyPepper); err != nil {
		t.Fatalf("SystemKey() = %v", err)
	}
	wrong := newRing(t, store, newKEK(t))
	for name, do := range map[string]func() error{
		"Seal":      func() error { _, _, err := wrong.Seal(ctx, "mfr_1", record, field, nil); return err },
		"Open":      func() error { _, _, err := wrong.Open(ctx, "mfr_1", record, field, blob); return err },
		"SystemKey": func() error { _, err := wrong.SystemKey(ctx, makerguard.KeyPepper); return err },
		"Rotate":    func() error { _, err := wrong.Rotate(ctx, nil, "mfr_1", makerguard.Client{}); return err },
	} {
		err := do()
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != makerguard.KeyUnavailable || !strings.Contains(e.Message, "the root key differs from the one the data was made with") {
			t.Errorf("%s() with another root key = %v, want %v that says so", name, err, makerguard.KeyUnavailable)
		}
	}
	mustOpen(t, right, "mfr_1", blob)
}

// awayKEK is a root key whose source can be out of reach.
type awayKEK struct {
	envelope.KEK
	away atomic.Bool
}

func (k *awayKEK) Unwrap(ctx context.Context, wrapped, associatedData []byte) ([]byte, error) {
	if k.away.Load() {
		return nil, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "no route to the key service"}
	}
	return k.KEK.Unwrap(ctx, wrapped, associatedData)
}

func (k *awayKEK) Wrap(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if k.away.Load() {
		return nil, &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "no route to the key service"}
	}
	return k.KEK.Wrap(ctx, plaintext, associatedData)
}

// goal: V16.5.2
func TestKEKAway_FailsThenRecovers(t *testing.T) {
	ctx := t.Context()
	store, kek := newStore(t), &awayKEK{KEK: newKEK(t)}
	warm, cold := newRing(t, store, kek), newRing(t, store, kek)
	blob := mustSeal(t, warm, "mfr_1", "x")
	kek.away.Store(true)
	mustOpen(t, warm, "mfr_1", mustSeal(t, warm, "mfr_1", "cached keys go on"))
	for _, mfr := range []makerguard.ManufacturerID{"mfr_1", "mfr_2"} {
		if _, _, err := cold.Seal(ctx, mfr, record, field, nil); !errors.Is(err, makerguard.KeyUnavailable) {
			t.Errorf("Seal(%q) with the root key away = %v, want %v", mfr, err, makerguard.KeyUnavailable)
		}
	}
	if _, _, err := cold.Open(ctx, "mfr_1", record, field, blob); !errors.Is(err, makerguard.KeyUnavailable) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("Open() with the root key away = %v, want %v that says so", err, makerguard.KeyUnavailable)
	}
	if _, err := cold.Rotate(ctx, nil, "mfr_1", makerguard.Client{}); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("Rotate() with the root key away = %v, want %v", err, makerguard.KeyUnavailable)
	}
	kek.away.Store(false)
	mustOpen(t, cold, "mfr_1", blob)
	mustSeal(t, cold, "mfr_2", "x")
}

// A caller that gives up does not take those who wait with it down.
func TestSeal_CallerThatGivesUpFailsAlone(t *testing.T) {
	plain, kek := newStore(t), newKEK(t)
	mustSeal(t, newRing(t, plain, kek), "mfr_1", "x")
	store := &countingStore{Store: plain, held: make(chan struct{}), read: make(chan struct{}, 100)}
	ring := newRing(t, store, kek)
	impatient, cancel := context.WithCancel(context.Background())
	gaveUp, patient := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := ring.Seal(impatient, "mfr_1", record, field, nil)
		gaveUp <- err
	}()
	<-store.read
	go func() {
		_, _, err := ring.Seal(context.Background(), "mfr_1", record, field, nil)
		patient <- err
	}()
	cancel()
	close(store.held)
	if err := <-gaveUp; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Seal() of the caller that gave up = %v, want nil or %v", err, context.Canceled)
	}
	if err := <-patient; err != nil {
		t.Errorf("Seal() of the caller that waits = %v", err)
	}

	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if _, _, err := ring.Seal(late, "mfr_2", record, field, nil); !errors.Is(err, makerguard.StoreUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Seal() past the deadline = %v, want %v", err, makerguard.StoreUnavailable)
	}
}

func TestSystemKey(t *testing.T) {
	ctx := t.Context()
	store, kek := newStore(t), newKEK(t)
	purposes := []makerguard.KeyPurpose{
		makerguard.KeySigning, makerguard.KeyRefresh, makerguard.KeyPepper, makerguard.KeyDevice, makerguard.KeyAudit,
	}
	seen := make(map[string]makerguard.KeyPurpose)
	for _, purpose := range purposes {
		var first []envelope.SystemKey
		for range 3 { // three starts of the process
			keys, err := newRing(t, store, kek).SystemKey(ctx, purpose)
			if err != nil || len(keys) != 1 {
				t.Fatalf("SystemKey(%q) = %v, %v, want one key", purpose, keys, err)
			}
			if k := keys[0]; k.Version != 1 || k.State != makerguard.KeyActive || len(k.Material) != 32 {
				t.Errorf("SystemKey(%q) = version %d, %q, %d bytes", purpose, k.Version, k.State, len(k.Material))
			}
			if first == nil {
				first = keys
			} else if !bytes.Equal(first[0].Material, keys[0].Material) {
				t.Errorf("SystemKey(%q) changed at a restart", purpose)
			}
		}
		if other, ok := seen[string(first[0].Material)]; ok {
			t.Errorf("SystemKey(%q) is that of %q", purpose, other)
		}
		seen[string(first[0].Material)] = purpose
	}
	for _, purpose := range []makerguard.KeyPurpose{makerguard.KeyData, "", "other"} {
		if _, err := newRing(t, store, kek).SystemKey(ctx, purpose); err == nil {
			t.Errorf("SystemKey(%q) succeeded", purpose)
		}
	}
}

func TestSystemKey_FirstUseOnManyNodesGivesOneKey(t *testing.T) {
	store, kek := newStore(t), newKEK(t)
	got := make([][]envelope.SystemKey, 16)
	var wg sync.WaitGroup
	for i := range got {
		ring := newRing(t, store, kek)
		wg.Go(func() {
			var err error
			if got[i], err = ring.SystemKey(context.Background(), makerguard.KeySigning); err != nil {
				t.Errorf("SystemKey() = %v", err)
			}
		})
	}
	wg.Wait()
	for i := range got {
		if len(got[i]) != 1 || !bytes.Equal(got[i][0].Material, got[0][0].Material) {
			t.Errorf("node %d has another key than node 0", i)
		}
	}
}

func TestSystemKey_GivesUsableVersionsNewestLast(t *testing.T) {
	ctx := t.Context()
	kek := newKEK(t)
	// One row of each version, made by stores that had the versions before it already.
	store := newStore(t)
	states := []makerguard.KeyState{makerguard.KeyDestroyed, makerguard.KeyRetiring, makerguard.KeyActive}
	ids := make([]uint32, 0, len(states))
	for i, state := range states {
		row := makerguard.WrappedKey{Purpose: makerguard.KeyAudit, Version: uint32(i) + 1, State: state, KEKID: kek.ID()}
		if state != makerguard.KeyDestroyed {
			row.Wrapped = envelope.WrapNewKey(t, kek, "", makerguard.KeyAudit, row.Version)
		}
		addRow(t, store, row)
	}
	keys, err := newRing(t, store, kek).SystemKey(ctx, makerguard.KeyAudit)
	if err != nil {
		t.Fatalf("SystemKey() = %v", err)
	}
	for _, k := range keys {
		ids = append(ids, k.Version)
	}
	if diff := cmp.Diff([]uint32{2, 3}, ids); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// goal: V11.3.4
func TestSeal_NoNonceRepeatsAcrossRestartsAndNodes(t *testing.T) {
	store, kek := newStore(t), newKEK(t)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for range 20 { // each one a restart or another node
		ring := newRing(t, store, kek)
		wg.Go(func() {
			for range 500 {
				nonce := string(mustSeal(t, ring, "mfr_1", "x")[37:61])
				mu.Lock()
				if seen[nonce] {
					t.Errorf("nonce %x came twice", nonce)
				}
				seen[nonce] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	salts := make(map[string]bool)
	for nonce := range seen {
		salts[nonce[:12]] = true
	}
	if len(salts) != 20 {
		t.Errorf("%d salts in 20 processes, want 20", len(salts))
	}
}

// Blobs of many processes, each with a salt of its own, opened in turn.
func TestOpen_ManySalts(t *testing.T) {
	store, kek := newStore(t), newKEK(t)
	blobs := make([][]byte, 50)
	for i := range blobs {
		blobs[i] = mustSeal(t, newRing(t, store, kek), "mfr_1", fmt.Sprint(i))
	}
	ring := newRing(t, store, kek)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 4 * len(blobs) {
				i := n * 7 % len(blobs)
				if got, _ := mustOpen(t, ring, "mfr_1", blobs[i]); got != fmt.Sprint(i) {
					t.Errorf("Open() = %q, want %q", got, fmt.Sprint(i))
				}
			}
		})
	}
	wg.Wait()
}

func TestNew_ReportsAllThatIsMissing(t *testing.T) {
	_, err := envelope.New(envelope.Config{})
	if err == nil || !strings.Contains(err.Error(), "Store") || !strings.Contains(err.Error(), "KEK") {
		t.Errorf("New() of nothing = %v, want an error that names Store and KEK", err)
	}
	if _, _, err := newRing(t, newStore(t), newKEK(t)).Seal(t.Context(), "", record, field, nil); err == nil {
		t.Error("Seal() for no manufacturer succeeded")
	}
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f, newStore(f), newKEK(f))
	blob := mustSeal(f, ring, "mfr_1", "the one blob that opens")
	f.Add(blob)
	f.Add(blob[:len(blob)-1])
	f.Add(blob[:61])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, _, err := ring.Open(context.Background(), "mfr_1", record, field, in)
		if bytes.Equal(in, blob) {
			if err != nil || string(got) != "the one blob that opens" {
				t.Fatalf("Open() = %q, %v", got, err)
			}
			return
		}
		notOpened(t, "that was never sealed", got, err)
	})
}
