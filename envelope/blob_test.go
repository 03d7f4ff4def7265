package envelope

// These tests look inside: they need the keys that the package never gives out.

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
	"pgregory.net/rapid"
)

func testKey(t testing.TB, version uint32) *dataKey {
	t.Helper()
	base, err := newBaseKey()
	if err != nil {
		t.Fatalf("newBaseKey() = %v", err)
	}
	k, err := newDataKey(base, version)
	if err != nil {
		t.Fatalf("newDataKey() = %v", err)
	}
	return k
}

// keyFrom makes a dataKey whose encryption key is known.
func keyFrom(t testing.TB, encryption []byte) *dataKey {
	t.Helper()
	k, err := expandKey(encryption, bytes.Repeat([]byte{7}, commitmentSize), 1)
	if err != nil {
		t.Fatalf("expandKey() = %v", err)
	}
	return k
}

// The vectors of https://c2sp.org/XAES-256-GCM: one key with the top bit of L clear, one
// with it set, so that both branches of the doubling are seen.
func TestDerive_XAESVectors(t *testing.T) {
	tests := []struct {
		name      string
		key       byte
		plaintext string
		ad        string
		want      string
	}{
		{"msb of L clear", 1, "XAES-256-GCM", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"msb of L set", 3, "XAES-256-GCM", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
			d, err := keyFrom(t, bytes.Repeat([]byte{tt.key}, 32)).derive([saltSize]byte(nonce))
			if err != nil {
				t.Fatalf("derive() = %v", err)
			}
			got := hex.EncodeToString(d.gcm.Seal(nil, nonce[saltSize:], []byte(tt.plaintext), []byte(tt.ad)))
			if got != tt.want {
				t.Errorf("XAES-256-GCM = %s, want %s", got, tt.want)
			}
		})
	}
}

// tinkXAES is Tink's XAES-256-GCM with a given key.
func tinkXAES(t *rapid.T, key []byte) tink.AEAD {
	params, err := xaesgcm.NewParameters(xaesgcm.VariantNoPrefix, saltSize)
	if err != nil {
		t.Fatalf("NewParameters() = %v", err)
	}
	xkey, err := xaesgcm.NewKey(secretdata.NewBytesFromData(key, insecuresecretdataaccess.Token{}), 0, params)
	if err != nil {
		t.Fatalf("NewKey() = %v", err)
	}
	m := keyset.NewManager()
	id, err := m.AddKey(xkey)
	if err != nil {
		t.Fatalf("AddKey() = %v", err)
	}
	if err := m.SetPrimary(id); err != nil {
		t.Fatalf("SetPrimary() = %v", err)
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatalf("Handle() = %v", err)
	}
	a, err := aead.New(h)
	if err != nil {
		t.Fatalf("aead.New() = %v", err)
	}
	return a
}

// Anybody with Tink and the key can read a blob: what follows the commitment is plain
// XAES-256-GCM, and the construction is not ours alone.
func TestSeal_OpensWithTink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "plaintext")
		k, err := expandKey(key, make([]byte, commitmentSize), 1)
		if err != nil {
			t.Fatalf("expandKey() = %v", err)
		}
		theirs := tinkXAES(t, key)
		blob, err := k.seal("mfr_1", "r", "f", plaintext)
		if err != nil {
			t.Fatalf("seal() = %v", err)
		}
		got, err := theirs.Decrypt(blob[nonceAt:], blobContext("mfr_1", "r", "f", 1))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("Tink opens our blob: %x, %v, want %x", got, err, plaintext)
		}
		sealed, err := theirs.Encrypt(plaintext, blobContext("mfr_1", "r", "f", 1))
		if err != nil {
			t.Fatalf("Encrypt() = %v", err)
		}
		got, ok := k.open("mfr_1", "r", "f", append(blob[:nonceAt:nonceAt], sealed...))
		if !ok || !bytes.Equal(got, plaintext) {
			t.Fatalf("we open Tink's: %x, %v, want %x", got, ok, plaintext)
		}
	})
}

// goal: V11.3.4
func TestSeal_DrawsNewSaltWhenOneIsUsedUp(t *testing.T) {
	k := testKey(t, 1)
	salts := make(map[[saltSize]byte]int)
	for range 50 {
		blob, err := k.seal("mfr_1", "r", "f", nil)
		if err != nil {
			t.Fatalf("seal() = %v", err)
		}
		salts[[saltSize]byte(blob[nonceAt:])]++
		if left := k.sealing.Load().left.Load(); left < 0 || left >= sealsPerSalt {
			t.Fatalf("uses left = %d, want 0 to %d", left, sealsPerSalt-1)
		}
		// As if all but 4 of the uses were gone.
		if d := k.sealing.Load(); d.left.Load() > 4 {
			d.left.Store(4)
		}
		if _, ok := k.open("mfr_1", "r", "f", blob); !ok {
			t.Fatal("a blob does not open")
		}
	}
	for salt, n := range salts {
		if n > 5 {
			t.Errorf("salt %x sealed %d blobs, want at most 5", salt, n)
		}
	}
	if len(salts) != 10 {
		t.Errorf("%d salts for 50 blobs at 5 each, want 10", len(salts))
	}
}

// A copy of a running machine has the same salt and the same count of uses left. Only
// fresh randomness for each blob keeps the copies apart.
//
// goal: V11.3.4
func TestSeal_NoNonceRepeatsInClones(t *testing.T) {
	k := testKey(t, 1)
	seal(t, k) // draws the salt
	first := k.sealing.Load()
	clone := &dataKey{version: k.version, commitment: k.commitment, block: k.block, k1: k.k1}
	cloned := &derivedKey{salt: first.salt, gcm: first.gcm}
	cloned.left.Store(first.left.Load())
	clone.sealing.Store(cloned)

	seen := make(map[[nonceSize]byte]bool)
	for i := range 20_000 {
		which := k
		if i%2 == 1 {
			which = clone
		}
		nonce := [nonceSize]byte(seal(t, which)[nonceAt:])
		if seen[nonce] {
			t.Fatalf("nonce %x came twice", nonce)
		}
		seen[nonce] = true
	}
}

func seal(t testing.TB, k *dataKey) []byte {
	t.Helper()
	blob, err := k.seal("mfr_1", "r", "f", []byte("x"))
	if err != nil {
		t.Fatalf("seal() = %v", err)
	}
	return blob
}

// AES-GCM alone does not commit to its key. The test builds a ciphertext that AES-GCM accepts
// under the keys of two manufacturers (as in Dodis et al., "Fast message
// franking", CRYPTO 2018), shows that it does, and that no blob made of it opens for both.
func TestOpen_RefusesBlobMadeForTwoKeys(t *testing.T) {
	k1, k2 := testKey(t, 1), testKey(t, 1)
	const mfr1, mfr2 = "mfr_1", "mfr_2"
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	salt, iv := [saltSize]byte(nonce[:]), nonce[saltSize:]

	// Three ciphertext blocks, of which the last is solved for so that the tags agree:
	// GHASH is linear in it, with the factor H^2.
	ct := make([]byte, 48)
	rand.Read(ct[:32])
	h1, rest1 := ghash(t, k1, salt, iv, blobContext(mfr1, "r", "f", 1), ct)
	h2, rest2 := ghash(t, k2, salt, iv, blobContext(mfr2, "r", "f", 1), ct)
	c := rest1.xor(rest2).mul(h1.mul(h1).xor(h2.mul(h2)).inverse())
	binary.BigEndian.PutUint64(ct[32:], c.hi)
	binary.BigEndian.PutUint64(ct[40:], c.lo)
	_, tag := ghash(t, k1, salt, iv, blobContext(mfr1, "r", "f", 1), ct)
	ct = binary.BigEndian.AppendUint64(ct, tag.hi)
	ct = binary.BigEndian.AppendUint64(ct, tag.lo)

	blob := func(commitment []byte) []byte {
		b := make([]byte, headerSize, headerSize+len(ct))
		b[0], b[versionAt+3] = blobFormat, 1
		copy(b[commitmentAt:], commitment)
		copy(b[nonceAt:], nonce[:])
		return append(b, ct...)
	}
	for _, side := range []struct {
		k   *dataKey
		ctx []byte
	}{{k1, blobContext(mfr1, "r", "f", 1)}, {k2, blobContext(mfr2, "r", "f", 1)}} {
		d, err := side.k.derive(salt)
		if err != nil {
			t.Fatalf("derive() = %v", err)
		}
		if _, err := d.gcm.Open(nil, iv, ct, side.ctx); err != nil {
			t.Fatalf("the ciphertext does not open with bare AES-GCM (%v): the test proves nothing", err)
		}
	}
	for name, b := range map[string][]byte{"first": blob(k1.commitment), "second": blob(k2.commitment), "none": blob(nil)} {
		_, ok1 := k1.open(mfr1, "r", "f", b)
		_, ok2 := k2.open(mfr2, "r", "f", b)
		if ok1 != (name == "first") || ok2 != (name == "second") {
			t.Errorf("with the commitment of %s: opens under the first key %v, the second %v", name, ok1, ok2)
		}
	}
}

// ghash returns H and the tag of AES-GCM for a ciphertext, computed by the definition in
// NIST SP 800-38D.
func ghash(t *testing.T, k *dataKey, salt [saltSize]byte, iv, ad, ct []byte) (h, tag element) {
	t.Helper()
	key := k.saltKey(salt)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatalf("NewCipher() = %v", err)
	}
	h = encrypted(block, make([]byte, 16))
	for _, part := range [][]byte{ad, ct, lengths(ad, ct)} {
		for len(part) > 0 {
			var b [16]byte
			part = part[copy(b[:], part):]
			tag = tag.xor(load(b[:])).mul(h)
		}
	}
	return h, tag.xor(encrypted(block, append(bytes.Clone(iv), 0, 0, 0, 1)))
}

func lengths(ad, ct []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(len(ad))*8)
	return binary.BigEndian.AppendUint64(b, uint64(len(ct))*8)
}

func encrypted(block cipher.Block, in []byte) element {
	var out [16]byte
	block.Encrypt(out[:], in)
	return load(out[:])
}

// element is one of GF(2^128) as GCM writes it, the first bit being the lowest power.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element) xor(y element) element { return element{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x element) mul(y element) (z element) {
	for i := range 128 {
		bit := x.hi >> (63 - i%64) & 1
		if i >= 64 {
			bit = x.lo >> (63 - i%64) & 1
		}
		if bit == 1 {
			z = z.xor(y)
		}
		carry := y.lo & 1
		y.lo = y.lo>>1 | y.hi<<63
		y.hi >>= 1
		if carry == 1 {
			y.hi ^= 0xe1 << 56
		}
	}
	return z
}

// inverse is x to the power of 2^128-2.
func (x element) inverse() element {
	z := element{1 << 63, 0}
	for range 127 {
		x = x.mul(x)
		z = z.mul(x)
	}
	return z
}
