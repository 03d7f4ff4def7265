package envelope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/envelope"
)

func newKEKContent(t testing.TB) []byte {
	t.Helper()
	content, err := envelope.GenerateKEK()
	if err != nil {
		t.Fatalf("GenerateKEK() = %v", err)
	}
	return content
}

func parseKEK(t testing.TB, content []byte) envelope.KEK {
	t.Helper()
	kek, err := envelope.ParseKEK(content)
	if err != nil {
		t.Fatalf("ParseKEK() = %v", err)
	}
	return kek
}

func newKEK(t testing.TB) envelope.KEK {
	t.Helper()
	return parseKEK(t, newKEKContent(t))
}

// keyValue is the base64 text of the key inside a root key's content.
func keyValue(t testing.TB, content []byte) string {
	t.Helper()
	var file struct {
		Keyset struct {
			Key []struct {
				KeyData struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(content, &file); err != nil || len(file.Keyset.Key) == 0 {
		t.Fatalf("the content of a root key is not as expected: %v", err)
	}
	return file.Keyset.Key[0].KeyData.Value
}

func TestParseKEK_WrapsAndUnwraps(t *testing.T) {
	ctx := t.Context()
	content := newKEKContent(t)
	kek := parseKEK(t, content)
	wrapped, err := kek.Wrap(ctx, []byte("a key"), []byte("context"))
	if err != nil {
		t.Fatalf("Wrap() = %v", err)
	}
	again := parseKEK(t, content)
	got, err := again.Unwrap(ctx, wrapped, []byte("context"))
	if err != nil || string(got) != "a key" {
		t.Errorf("Unwrap() = %q, %v, want %q", got, err, "a key")
	}
	if _, err := again.Unwrap(ctx, wrapped, []byte("other")); err == nil {
		t.Error("Unwrap() with another context succeeded")
	}
	if _, err := newKEK(t).Unwrap(ctx, wrapped, []byte("context")); err == nil {
		t.Error("Unwrap() with another root key succeeded")
	}
	if kek.ID() != again.ID() || kek.ID() == newKEK(t).ID() {
		t.Errorf("ID() = %q, then %q: want it equal for one key and different for two", kek.ID(), again.ID())
	}
}

func keysetContent(t testing.TB, templates ...*tinkpb.KeyTemplate) []byte {
	t.Helper()
	m := keyset.NewManager()
	for i, template := range templates {
		id, err := m.Add(template)
		if err != nil {
			t.Fatalf("Add() = %v", err)
		}
		if i == 0 {
			if err := m.SetPrimary(id); err != nil {
				t.Fatalf("SetPrimary() = %v", err)
			}
		}
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatalf("Handle() = %v", err)
	}
	var ks bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&ks)); err != nil {
		t.Fatalf("Write() = %v", err)
	}
	return fmt.Appendf(nil, `{"makerguard_root_key":1,"keyset":%s}`, ks.Bytes())
}

// goal: V11.2.3 V16.2.5
func TestParseKEK_RefusesAllButStrongKeys(t *testing.T) {
	good := newKEKContent(t)
	replaced := func(old, with string) []byte {
		out := strings.Replace(string(good), old, with, 1)
		if out == string(good) {
			t.Fatalf("%q is not in the content", old)
		}
		return []byte(out)
	}
	tests := map[string][]byte{
		"empty":                  nil,
		"no JSON":                []byte("hunter2"),
		"cut":                    good[:len(good)/2],
		"more behind it":         append(bytes.Clone(good), "{}"...),
		"newer format":           replaced(`"makerguard_root_key": 1`, `"makerguard_root_key": 2`),
		"no format":              replaced(`"makerguard_root_key": 1,`, ``),
		"unknown member":         replaced(`{`, `{"extra": 1,`),
		"member twice":           replaced(`{`, `{"makerguard_root_key": 1,`),
		"no keyset":              []byte(`{"makerguard_root_key":1}`),
		"keyset of another kind": []byte(`{"makerguard_root_key":1,"keyset":[]}`),
		"key cut":                replaced(keyValue(t, good), keyValue(t, good)[4:]),
		"key not base64":         replaced(keyValue(t, good), "%"+keyValue(t, good)),
		"key status unknown":     replaced(`ENABLED`, `UNKNOWN_STATUS`),
		"AES-128":                keysetContent(t, aead.AES128GCMKeyTemplate()),
		"AES-128 as well":        keysetContent(t, aead.AES256GCMKeyTemplate(), aead.AES128GCMKeyTemplate()),
		"another algorithm":      keysetContent(t, aead.XChaCha20Poly1305KeyTemplate()),
		"without prefix":         keysetContent(t, aead.AES256GCMNoPrefixKeyTemplate()),
		"huge":                   append(bytes.Clone(good), bytes.Repeat([]byte(" "), 1<<20)...),
	}
	secret := keyValue(t, good)
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := envelope.ParseKEK(content)
			if !errors.Is(err, makerguard.KeyUnavailable) {
				t.Fatalf("ParseKEK() = %v, want %v", err, makerguard.KeyUnavailable)
			}
			if text := fmt.Sprintf("%+v", err); strings.Contains(text, secret[8:16]) || strings.Contains(text, "hunter2") {
				t.Errorf("the error quotes the content: %s", text)
			}
		})
	}
	// Two strong keys are as root rotation will leave them.
	parseKEK(t, keysetContent(t, aead.AES256GCMKeyTemplate(), aead.AES256GCMKeyTemplate()))
}

func writeKEK(t testing.TB) (path string, content []byte) {
	t.Helper()
	path, content = filepath.Join(t.TempDir(), "root.key"), newKEKContent(t)
	if err := envelope.WriteKEKFile(path, content); err != nil {
		t.Fatalf("WriteKEKFile() = %v", err)
	}
	return path, content
}

// goal: V13.3.1 V13.3.2
func TestReadKEKFile_RefusesAccessByOthers(t *testing.T) {
	path, content := writeKEK(t)
	for mode := fs.FileMode(0); mode <= 0o777; mode++ {
		mode |= 0o400
		if err := os.Chmod(path, mode); err != nil {
			t.Fatalf("Chmod() = %v", err)
		}
		kek, err := envelope.ReadKEKFile(path)
		if mode&0o077 == 0 {
			if err != nil || kek.ID() != parseKEK(t, content).ID() {
				t.Errorf("ReadKEKFile() with mode %04o = %v, %v, want the key", mode, kek, err)
			}
			continue
		}
		if !errors.Is(err, makerguard.KeyUnavailable) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("ReadKEKFile() with mode %04o = %v, want %v that says chmod 600 %s", mode, err, makerguard.KeyUnavailable, path)
		}
	}
}

func TestReadKEKFile_RefusesWhatIsNoKeyFile(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("hunter2"), 0o600); err != nil {
		t.Fatalf("WriteFile() = %v", err)
	}
	for _, path := range []string{filepath.Join(dir, "absent"), dir, garbage, os.DevNull} {
		_, err := envelope.ReadKEKFile(path)
		if !errors.Is(err, makerguard.KeyUnavailable) || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadKEKFile(%q) = %v, want %v that names it", path, err, makerguard.KeyUnavailable)
		}
	}
	if _, err := envelope.ReadKEKFile(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadKEKFile() of an absent file = %v, want fs.ErrNotExist in it", err)
	}
}

// goal: V13.3.1
func TestWriteKEKFile_NeverOverwrites(t *testing.T) {
	path, content := writeKEK(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("Stat() = %v, %v, want mode 0600", info, err)
	}
	if err := envelope.WriteKEKFile(path, newKEKContent(t)); !errors.Is(err, makerguard.Conflict) {
		t.Errorf("WriteKEKFile() a second time = %v, want %v", err, makerguard.Conflict)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file changed (%v)", err)
	}
	other := filepath.Join(filepath.Dir(path), "other.key")
	if err := envelope.WriteKEKFile(other, []byte("hunter2")); !errors.Is(err, makerguard.KeyUnavailable) {
		t.Errorf("WriteKEKFile() of garbage = %v, want %v", err, makerguard.KeyUnavailable)
	}
	if err := envelope.WriteKEKFile(filepath.Join(path, "below", "a-file"), content); err == nil {
		t.Error("WriteKEKFile() in a directory that is none succeeded")
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(names) != 1 {
		t.Errorf("left in the directory: %q, %v, want the key file alone", names, err)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(names) != 0 {
		t.Errorf("left in the directory: %q, %v, want no hidden file", names, err)
	}
}

func TestWriteKEKFile_OneOfManyWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	ids := make([]string, len(errs))
	for i := range errs {
		content := newKEKContent(t)
		ids[i] = parseKEK(t, content).ID()
		wg.Go(func() { errs[i] = envelope.WriteKEKFile(path, content) })
	}
	wg.Wait()
	var winners []string
	for i, err := range errs {
		if err == nil {
			winners = append(winners, ids[i])
		} else if !errors.Is(err, makerguard.Conflict) {
			t.Errorf("WriteKEKFile() = %v, want nil or %v", err, makerguard.Conflict)
		}
	}
	kek, err := envelope.ReadKEKFile(path)
	if err != nil || len(winners) != 1 || kek.ID() != winners[0] {
		t.Errorf("%d writers won, then ReadKEKFile() = %v, %v, want the key of the only winner", len(winners), kek, err)
	}
}

// goal: V16.2.5
func TestKeys_PrintNothingSecret(t *testing.T) {
	ctx := t.Context()
	content := newKEKContent(t)
	kek := parseKEK(t, content)
	var log bytes.Buffer
	ring := newRing(t, newStore(t), kek, func(c *envelope.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	keys, err := ring.SystemKey(ctx, makerguard.KeySigning)
	if err != nil {
		t.Fatalf("SystemKey() = %v", err)
	}
	mustSeal(t, ring, "mfr_1", "plain text")
	secret := keys[0].Material

	var out strings.Builder
	for _, v := range []any{kek, &kek, ring, keys, keys[0], &keys[0], envelope.Config{KEK: kek}, map[string]any{"k": keys}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("keys", "kek", kek, "key", keys[0], "keys", keys)
	if err := json.NewEncoder(&out).Encode(keys); err != nil {
		t.Fatalf("Encode() = %v", err)
	}
	out.Write(log.Bytes())
	if log.Len() == 0 {
		t.Error("nothing was logged about the keys made")
	}
	raw := string(secret)
	for _, form := range []string{
		raw, fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), strings.Trim(fmt.Sprintf("%d", secret), "[]"),
		fmt.Sprintf("%#v", secret)[8:40], mustJSON(t, secret), keyValue(t, content)[10:30], "plain text",
	} {
		if strings.Contains(out.String(), form) {
			t.Errorf("a key was printed, as %q", form)
		}
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("Marshal() = %v", err)
	}
	return strings.Trim(string(b), `"`)
}

// What ParseKEK accepts works as a root key; everything else has one code.
func FuzzParseKEK(f *testing.F) {
	f.Add(newKEKContent(f))
	f.Add(keysetContent(f, aead.AES256GCMKeyTemplate(), aead.AES256GCMKeyTemplate()))
	f.Add(keysetContent(f, aead.AES128GCMKeyTemplate()))
	f.Add([]byte(`{"makerguard_root_key":1,"keyset":{"primaryKeyId":1,"key":[]}}`))
	f.Add([]byte(`{"makerguard_root_key":1,"keyset":{"primaryKeyId":1,"key":[null]}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		kek, err := envelope.ParseKEK(content)
		if err != nil {
			if !errors.Is(err, makerguard.KeyUnavailable) {
				t.Fatalf("ParseKEK() = %v, want %v", err, makerguard.KeyUnavailable)
			}
			return
		}
		if again := parseKEK(t, content); again.ID() != kek.ID() || kek.ID() == "" {
			t.Fatalf("ID() = %q, then %q", kek.ID(), again.ID())
		}
		ctx := context.Background()
		wrapped, err := kek.Wrap(ctx, []byte("key"), nil)
		if err != nil {
			t.Fatalf("Wrap() = %v", err)
		}
		if got, err := kek.Unwrap(ctx, wrapped, nil); err != nil || string(got) != "key" {
			t.Fatalf("Unwrap() = %q, %v", got, err)
		}
	})
}
