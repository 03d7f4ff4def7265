package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/makerguard/makerguard"
)

// Algorithm names the cipher that new blobs are sealed with.
const Algorithm = "XAES-256-GCM"

// A sealed blob of format 1, numbers big-endian:
//
//	offset  bytes  content
//	     0      1  format, 1
//	     1      4  key version
//	     5     32  key commitment
//	    37     24  nonce
//	    61      n  ciphertext, as long as the plaintext
//	  61+n     16  tag
//
// docs/adr/0004-sealed-blob.md says why.
const (
	blobFormat = 1

	versionAt    = 1
	commitmentAt = versionAt + 4
	nonceAt      = commitmentAt + commitmentSize
	headerSize   = nonceAt + nonceSize

	commitmentSize = 32
	saltSize       = 12
	nonceSize      = saltSize + 12
	tagSize        = 16

	// Overhead is how many bytes a sealed blob has more than its plaintext.
	Overhead = headerSize + tagSize
)

// sealsPerSalt bounds how many blobs share a salt, and so an AES-GCM key. With 2^20 random
// 96-bit nonces the chance of a repeat is below 2^-57, far inside the 2^-32 that NIST SP
// 800-38D section 8.3 allows, which leaves room for copies of a running machine.
const sealsPerSalt = 1 << 20

// openingSlots is how many salts' AES-GCM keys, of 1.3 KiB each, a data key keeps ready.
const openingSlots = 4

// dataKey seals and opens blobs under one version of a manufacturer's key. It is
// XAES-256-GCM (https://c2sp.org/XAES-256-GCM): the first half of the nonce, the
// salt, and the key give an AES-GCM key by CMAC (NIST SP 800-108), the second half is its
// nonce. A key thus never wears out, and no count of uses has to be stored.
//
// Every blob is a plain XAES-256-GCM ciphertext. The one liberty taken is that a salt is drawn
// for up to sealsPerSalt blobs rather than for each, because setting up AES-GCM costs a
// third of sealing 4 KiB. It is drawn anew in each process.
type dataKey struct {
	version    uint32
	commitment []byte
	block      cipher.Block        // AES with the key itself, for deriving only
	k1         [aes.BlockSize]byte // CMAC's first subkey (NIST SP 800-38B section 6.1)

	sealing atomic.Pointer[derivedKey]               // what new blobs are sealed with; nil before the first
	opening [openingSlots]atomic.Pointer[derivedKey] // what blobs were last opened with, by their salt
}

// derivedKey is AES-GCM for one salt.
type derivedKey struct {
	salt [saltSize]byte
	gcm  cipher.AEAD
	left atomic.Int64 // blobs that may still be sealed with it
}

func newDataKey(base baseKey, version uint32) (*dataKey, error) {
	encryption, err := base.derive(labelEncryption)
	if err != nil {
		return nil, err
	}
	commitment, err := base.derive(labelCommitment)
	if err != nil {
		return nil, err
	}
	return expandKey(encryption, commitment, version)
}

// expandKey sets up XAES-256-GCM with a 256-bit key.
func expandKey(encryption, commitment []byte, version uint32) (*dataKey, error) {
	block, err := aes.NewCipher(encryption)
	if err != nil {
		return nil, fmt.Errorf("setting up a data key: %w", err)
	}
	k := &dataKey{version: version, commitment: commitment, block: block}

	// K1 is L doubled in GF(2^128), in constant time.
	var l [aes.BlockSize]byte
	block.Encrypt(l[:], l[:])
	var carry byte
	for i := len(l) - 1; i >= 0; i-- {
		k.k1[i] = l[i]<<1 | carry
		carry = l[i] >> 7
	}
	k.k1[len(l)-1] ^= carry * 0x87
	return k, nil
}

// seal returns the blob of plaintext.
func (k *dataKey) seal(mfr makerguard.ManufacturerID, record, field string, plaintext []byte) ([]byte, error) {
	derived, err := k.forSealing()
	if err != nil {
		return nil, err
	}
	blob := make([]byte, headerSize, headerSize+len(plaintext)+tagSize)
	blob[0] = blobFormat
	binary.BigEndian.PutUint32(blob[versionAt:], k.version)
	copy(blob[commitmentAt:], k.commitment)
	nonce := blob[nonceAt:headerSize]
	copy(nonce, derived.salt[:])
	rand.Read(nonce[saltSize:]) // never fails: it ends the program instead
	return derived.gcm.Seal(blob, nonce[saltSize:], plaintext, blobContext(mfr, record, field, k.version)), nil
}

// open returns the plaintext of a blob whose format and version were looked at; false if
// it was not sealed with this key for this place.
func (k *dataKey) open(mfr makerguard.ManufacturerID, record, field string, blob []byte) ([]byte, bool) {
	// AES-GCM does not commit to its key: for two keys it knows, an attacker can build one
	// ciphertext that both accept. The commitment is a hash of the key, so a blob names one.
	if subtle.ConstantTimeCompare(blob[commitmentAt:nonceAt], k.commitment) != 1 {
		return nil, false
	}
	derived, err := k.forOpening([saltSize]byte(blob[nonceAt:]))
	if err != nil {
		return nil, false
	}
	plaintext, err := derived.gcm.Open(nil, blob[nonceAt+saltSize:headerSize], blob[headerSize:], blobContext(mfr, record, field, k.version))
	return plaintext, err == nil
}

// blobContext is the associated data: a blob opens only where it was sealed. The blob's
// other parts need no place in it: format and version are here, the commitment is
// compared, and AES-GCM authenticates the nonce.
func blobContext(mfr makerguard.ManufacturerID, record, field string, version uint32) []byte {
	ad := make([]byte, 0, 1+4+3*8+len(mfr)+len(record)+len(field))
	ad = append(ad, blobFormat)
	ad = binary.BigEndian.AppendUint32(ad, version)
	ad = appendString(ad, string(mfr))
	ad = appendString(ad, record)
	return appendString(ad, field)
}

// forSealing gives an AES-GCM key that has uses left, and takes one of them.
func (k *dataKey) forSealing() (*derivedKey, error) {
	for {
		old := k.sealing.Load()
		if old != nil && old.left.Add(-1) >= 0 {
			return old, nil
		}
		var salt [saltSize]byte
		rand.Read(salt[:]) // never fails: it ends the program instead
		fresh, err := k.derive(salt)
		if err != nil {
			return nil, err
		}
		fresh.left.Store(sealsPerSalt)
		// Whoever loses the race takes the winner's.
		k.sealing.CompareAndSwap(old, fresh)
	}
}

// forOpening gives the AES-GCM key of a blob's salt. What was sealed together is often
// opened together, so a few are kept.
func (k *dataKey) forOpening(salt [saltSize]byte) (*derivedKey, error) {
	if d := k.sealing.Load(); d != nil && d.salt == salt {
		return d, nil
	}
	slot := &k.opening[salt[0]%openingSlots]
	if d := slot.Load(); d != nil && d.salt == salt {
		return d, nil
	}
	d, err := k.derive(salt)
	if err != nil {
		return nil, err
	}
	slot.Store(d)
	return d, nil
}

// derive sets up AES-GCM for a salt.
func (k *dataKey) derive(salt [saltSize]byte) (*derivedKey, error) {
	key := k.saltKey(salt)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("setting up AES: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("setting up AES-GCM: %w", err)
	}
	return &derivedKey{salt: salt, gcm: gcm}, nil
}

// saltKey is the key derivation of XAES-256-GCM: two CMACs of one block each.
func (k *dataKey) saltKey(salt [saltSize]byte) (key [2 * aes.BlockSize]byte) {
	for i := range 2 {
		m := key[i*aes.BlockSize:][:aes.BlockSize]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], salt[:])
		subtle.XORBytes(m, m, k.k1[:])
		k.block.Encrypt(m, m)
	}
	return key
}
