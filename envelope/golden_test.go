package envelope_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
)

var update = flag.Bool("update", false, "make the golden files of the present format, if there are none")

// golden is what one format's sealed data looks like, with all that is needed to open it.
type golden struct {
	Comment    string                  `json:"comment"`
	Keys       []makerguard.WrappedKey `json:"keys"`
	SystemKeys []goldenSystemKey       `json:"system_keys"`
	Blobs      []goldenBlob            `json:"blobs"`
}

type goldenSystemKey struct {
	Purpose  makerguard.KeyPurpose `json:"purpose"`
	Material []byte                `json:"material"`
}

type goldenBlob struct {
	Manufacturer makerguard.ManufacturerID `json:"manufacturer"`
	Record       string                    `json:"record"`
	Field        string                    `json:"field"`
	Version      uint32                    `json:"key_version"`
	Plaintext    []byte                    `json:"plaintext"`
	Blob         []byte                    `json:"blob"`
}

var systemPurposes = []makerguard.KeyPurpose{
	makerguard.KeySigning, makerguard.KeyRefresh, makerguard.KeyPepper, makerguard.KeyDevice, makerguard.KeyAudit,
}

// Data sealed by any released version opens for ever. The files of a released format are never
// changed: if this test fails, the code is wrong. With -update it makes those of a
// new format, and leaves those that exist alone.
//
// goal: V11.2.2 V13.3.4
func TestGolden_OpensForEver(t *testing.T) {
	if *update {
		makeGolden(t, filepath.Join("testdata", "golden", "v1"))
	}
	dirs, err := filepath.Glob(filepath.Join("testdata", "golden", "v*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("Glob() = %q, %v, want the golden files of format 1 at least", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { openGolden(t, dir) })
	}
}

func openGolden(t *testing.T, dir string) {
	content, err := os.ReadFile(filepath.Join(dir, "test-only-root-key.json"))
	if err != nil {
		t.Fatalf("ReadFile() = %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatalf("ReadFile() = %v", err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatalf("Unmarshal() = %v", err)
	}
	kek := parseKEK(t, content)
	store := newStore(t)
	for _, k := range g.Keys {
		if k.KEKID != kek.ID() {
			t.Errorf("the root key has the fingerprint %q, the keys were wrapped by %q", kek.ID(), k.KEKID)
		}
		addRow(t, store, k)
	}
	ring := newRing(t, store, kek)
	if len(g.Blobs) == 0 || len(g.SystemKeys) != len(systemPurposes) {
		t.Fatalf("%d blobs and %d system keys, want some and %d", len(g.Blobs), len(g.SystemKeys), len(systemPurposes))
	}
	for i, b := range g.Blobs {
		got, version, err := ring.Open(t.Context(), b.Manufacturer, b.Record, b.Field, b.Blob)
		if err != nil || version != b.Version || !bytes.Equal(got, b.Plaintext) {
			t.Errorf("Open() of blob %d = %q, %d, %v, want %q, %d", i, got, version, err, b.Plaintext, b.Version)
		}
	}
	for _, k := range g.SystemKeys {
		got, err := ring.SystemKey(t.Context(), k.Purpose)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].Material, k.Material) {
			t.Errorf("SystemKey(%q) = %v, %v, want the one of the golden file", k.Purpose, got, err)
		}
	}
}

func makeGolden(t *testing.T, dir string) {
	if err := os.Mkdir(dir, 0o750); errors.Is(err, fs.ErrExist) {
		t.Logf("%s exists and is left as it is", dir)
		return
	} else if err != nil {
		t.Fatalf("Mkdir() = %v", err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(newKEKContent(t), &file); err != nil {
		t.Fatalf("Unmarshal() = %v", err)
	}
	file["comment"] = json.RawMessage(`"TEST DATA, published: a root key that protects nothing but the golden files beside it."`)
	writeJSON(t, filepath.Join(dir, "test-only-root-key.json"), file)
	marked, err := json.Marshal(file)
	if err != nil {
		t.Fatalf("Marshal() = %v", err)
	}

	store := newStore(t)
	ring := newRing(t, store, parseKEK(t, marked))
	g := golden{Comment: "TEST DATA: sealed data of one format, which opens for ever. Never change it."}
	places := []goldenBlob{
		{Manufacturer: "mfr_0190a5c0e1b27c3d8f4a5b6c7d8e9f01", Record: "vault:bank-account", Field: "data", Plaintext: []byte(`{"iban":"DE02120300000000202051"}`)},
		{Manufacturer: "mfr_0190a5c0e1b27c3d8f4a5b6c7d8e9f01", Record: "", Field: "", Plaintext: []byte{}},
		{Manufacturer: "mfr_0190a5c0e1b27c3d8f4a5b6c7d8e9f01", Record: "Prägung 眼鏡", Field: "märke", Plaintext: []byte(strings.Repeat("lens\x00\xff", 700))},
		{Manufacturer: "platform", Record: "mbr_0190a5c0e1b27c3d8f4a5b6c7d8e9f02", Field: "totp", Plaintext: []byte("12345678901234567890")},
	}
	for range 2 { // under version 1, then under version 2
		for _, b := range places {
			b.Blob, b.Version, err = ring.Seal(t.Context(), b.Manufacturer, b.Record, b.Field, b.Plaintext)
			if err != nil {
				t.Fatalf("Seal() = %v", err)
			}
			g.Blobs = append(g.Blobs, b)
		}
		if len(g.Blobs) == len(places) {
			mustRotate(t, ring, places[0].Manufacturer)
			mustRotate(t, ring, "platform")
		}
	}
	for _, mfr := range []makerguard.ManufacturerID{places[0].Manufacturer, "platform"} {
		g.Keys = append(g.Keys, rows(t, store, mfr, makerguard.KeyData)...)
	}
	for _, purpose := range systemPurposes {
		keys, err := ring.SystemKey(t.Context(), purpose)
		if err != nil {
			t.Fatalf("SystemKey() = %v", err)
		}
		g.SystemKeys = append(g.SystemKeys, goldenSystemKey{purpose, keys[0].Material})
		g.Keys = append(g.Keys, rows(t, store, "", purpose)...)
	}
	writeJSON(t, filepath.Join(dir, "golden.json"), g)
}

func writeJSON(t *testing.T, path string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatalf("Marshal() = %v", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		t.Fatalf("WriteFile() = %v", err)
	}
}

// A blob is of the golden format, byte for byte where nothing is random.
func TestSeal_WritesTheGoldenFormat(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "v1", "golden.json"))
	if err != nil {
		t.Fatalf("ReadFile() = %v", err)
	}
	content, err := os.ReadFile(filepath.Join("testdata", "golden", "v1", "test-only-root-key.json"))
	if err != nil {
		t.Fatalf("ReadFile() = %v", err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatalf("Unmarshal() = %v", err)
	}
	store := newStore(t)
	for _, k := range g.Keys {
		addRow(t, store, k)
	}
	b := g.Blobs[len(g.Blobs)-1]
	blob, version, err := newRing(t, store, parseKEK(t, content)).Seal(t.Context(), b.Manufacturer, b.Record, b.Field, b.Plaintext)
	if err != nil || version != b.Version || len(blob) != len(b.Blob) || !bytes.Equal(blob[:37], b.Blob[:37]) {
		t.Errorf("Seal() = %x, version %d, %v, want format, version and commitment of %x", blob, version, err, b.Blob)
	}
	if envelope.Overhead != len(b.Blob)-len(b.Plaintext) {
		t.Errorf("Overhead = %d, want %d", envelope.Overhead, len(b.Blob)-len(b.Plaintext))
	}
}
