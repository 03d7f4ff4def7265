package envelope

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/makerguard/makerguard"
)

// KEK is the root key (key encryption key): it encrypts other keys and nothing else.
// Implementations are safe for concurrent use and print nothing of the key.
type KEK interface {
	// ID is a fingerprint of the key: the same in every process that has the key,
	// public, and of no use for finding the key.
	ID() string
	// Wrap encrypts a key and binds associatedData to it.
	Wrap(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	// Unwrap reverses Wrap. It returns KeyUnavailable if the source of the root key cannot
	// be reached, and any other error if wrapped was not made by Wrap of the same
	// key with the same associatedData.
	Unwrap(ctx context.Context, wrapped, associatedData []byte) ([]byte, error)
}

const (
	rootKeyFormat  = 1        // the only format there is
	maxRootKeySize = 64 << 10 // no root key comes near it; keeps a wrong path from filling the memory

	rootKeyComment = "Root key of a makerguard installation. Without it nothing that was sealed can be read " +
		"again: keep a copy in a safe place, apart from the backups of the data."
)

// rootKeyFile is the content of a root key file. Comment is for people.
type rootKeyFile struct {
	Format  int            `json:"makerguard_root_key"`
	Comment string         `json:"comment,omitzero"`
	Keyset  jsontext.Value `json:"keyset"` // Tink's JSON, keys of type AES256-GCM
}

// GenerateKEK makes a new root key and returns the content of its file, which
// ParseKEK reads: JSON around a Tink keyset with one AES-256-GCM key. The content is the
// secret itself: give it to WriteKEKFile and print it nowhere.
func GenerateKEK() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a root key: %w", err)
	}
	var ks bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&ks)); err != nil {
		return nil, fmt.Errorf("encoding a root key: %w", err)
	}
	file := rootKeyFile{Format: rootKeyFormat, Comment: rootKeyComment, Keyset: ks.Bytes()}
	content, err := json.Marshal(file, jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encoding a root key: %w", err)
	}
	return append(content, '\n'), nil
}

// ParseKEK reads what GenerateKEK made. Content from an environment variable is in base64,
// which the caller decodes first. It returns KeyUnavailable for anything else, and for
// keys other than AES-256-GCM, so that a weak key cannot be brought in. No error
// quotes the content.
func ParseKEK(content []byte) (KEK, error) {
	// The causes of these errors are left out on purpose: parsers quote what they could
	// not read, and here that may be the key.
	var file rootKeyFile
	if len(content) > maxRootKeySize || json.Unmarshal(content, &file, json.RejectUnknownMembers(true)) != nil {
		return nil, unusableKEK("it is not a root key; makerguard keys init makes one")
	}
	if file.Format != rootKeyFormat {
		return nil, unusableKEK("it has a format that this version of makerguard does not know; use a newer one")
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(file.Keyset)))
	if err != nil {
		return nil, unusableKEK("its keyset is damaged; restore the root key from its copy")
	}
	id, err := fingerprint(handle)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, unusableKEK("its keyset is damaged; restore the root key from its copy")
	}
	return &localKEK{id: id, aead: primitive}, nil
}

func unusableKEK(why string) error {
	return &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "the root key cannot be used: " + why}
}

// fingerprint checks that every key of the keyset is AES-256-GCM as GenerateKEK makes it, and
// derives the public name of the primary one with HKDF (RFC 5869): a
// pseudo-random function of 256 random bits, so it tells nothing of the key.
func fingerprint(handle *keyset.Handle) (string, error) {
	var id string
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return "", unusableKEK("its keyset is damaged; restore the root key from its copy")
		}
		key, ok := entry.Key().(*aesgcm.Key)
		if !ok || !strong(key.Parameters()) {
			return "", unusableKEK("its keyset has keys other than AES-256-GCM; makerguard keys init makes a proper one")
		}
		if !entry.IsPrimary() {
			continue
		}
		secret := key.KeyBytes().Data(insecuresecretdataaccess.Token{})
		sum, err := hkdf.Key(sha256.New, secret, nil, "makerguard root key fingerprint v1", 16)
		if err != nil {
			return "", fmt.Errorf("deriving the fingerprint of the root key: %w", err)
		}
		id = "kek_" + hex.EncodeToString(sum)
	}
	if id == "" {
		return "", unusableKEK("its keyset has no primary key; restore the root key from its copy")
	}
	return id, nil
}

func strong(parameters any) bool {
	p, ok := parameters.(*aesgcm.Parameters)
	return ok && p.KeySizeInBytes() == 32 && p.IVSizeInBytes() == 12 && p.TagSizeInBytes() == 16 &&
		p.Variant() == aesgcm.VariantTink
}

// ReadKEKFile reads a root key file. It returns KeyUnavailable, with a message that says
// what to do, if the file is absent (errors.Is with fs.ErrNotExist holds too), is no
// regular file, can be read or written by anybody but its owner (any bit of group or
// others), or does not hold what ParseKEK reads.
func ReadKEKFile(path string) (KEK, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, kekFileError(fmt.Sprintf("the root key file %s cannot be opened: give the path of one, or make one with makerguard keys init", path), err)
	}
	defer func() { _ = f.Close() }() // only read from
	// The open file is looked at, not the path, so it cannot be exchanged in between.
	info, err := f.Stat()
	if err != nil {
		return nil, kekFileError(fmt.Sprintf("the root key file %s cannot be examined", path), err)
	}
	if !info.Mode().IsRegular() {
		return nil, kekFileError(fmt.Sprintf("the root key file %s is not a regular file", path), nil)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, kekFileError(fmt.Sprintf("the root key file %s has mode %04o, so others than its owner have access: run chmod 600 %s", path, mode, path), nil)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxRootKeySize+1))
	if err != nil {
		return nil, kekFileError(fmt.Sprintf("the root key file %s cannot be read", path), err)
	}
	kek, err := ParseKEK(content)
	if err != nil {
		return nil, fmt.Errorf("root key file %s: %w", path, err)
	}
	return kek, nil
}

func kekFileError(message string, cause error) error {
	return &makerguard.Error{Code: makerguard.KeyUnavailable, Message: message, Err: cause}
}

// WriteKEKFile stores what GenerateKEK made, readable by the owner only (mode 0600), in a
// directory that exists. The file appears complete and synced, or not at all.
// It returns Conflict, and changes nothing, if path exists already: a root key that is
// overwritten takes everything sealed under it along. Of several processes that
// write one path at once, one succeeds.
func WriteKEKFile(path string, content []byte) (err error) {
	if _, err := ParseKEK(content); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".root-key-*") // has mode 0600
	if err != nil {
		return fmt.Errorf("making a root key file in %s: %w", dir, err)
	}
	defer func() {
		err = errors.Join(err, os.Remove(tmp.Name()))
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("writing the root key file: %w", err)
	}
	// A link, unlike a rename, never replaces what is there.
	if err := os.Link(tmp.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &makerguard.Error{
				Code:    makerguard.Conflict,
				Message: fmt.Sprintf("%s exists already and is never overwritten: use it, or choose another name", path),
			}
		}
		return fmt.Errorf("placing the root key file: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes a new name in dir survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the directory of the root key file: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing the directory of the root key file: %w", err)
	}
	return nil
}

// localKEK is a root key held in memory.
type localKEK struct {
	id   string
	aead tink.AEAD
}

func (k *localKEK) ID() string { return k.id }

func (k *localKEK) Wrap(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.aead.Encrypt(plaintext, associatedData)
}

func (k *localKEK) Unwrap(_ context.Context, wrapped, associatedData []byte) ([]byte, error) {
	return k.aead.Decrypt(wrapped, associatedData)
}

// Format prints the fingerprint only, whatever the verb.
func (k *localKEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.id) }

// LogValue implements slog.LogValuer.
func (k *localKEK) LogValue() slog.Value { return slog.StringValue(k.id) }
