package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/makerguard/makerguard"
)

// Argon2 is what a password hash costs (RFC 9106).
type Argon2 struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8
}

// DefaultArgon2 is the first choice of OWASP's Password Storage Cheat Sheet.
func DefaultArgon2() Argon2 { return Argon2{Memory: 46 << 10, Time: 1, Threads: 1} }

// maxArgon2 and maxBcryptCost bound what a hash read from the store may cost: whoever can
// write one there must not be able to stop the service with it.
var maxArgon2 = Argon2{Memory: 256 << 10, Time: 16, Threads: 16}

const maxBcryptCost = 14

// strong reports whether a is one of OWASP's choices or more.
func (a Argon2) strong() bool {
	for _, floor := range []Argon2{{46 << 10, 1, 1}, {19 << 10, 2, 1}, {12 << 10, 3, 1}, {9 << 10, 4, 1}, {7 << 10, 5, 1}} {
		if a.Memory >= floor.Memory && a.Time >= floor.Time {
			return true
		}
	}
	return false
}

func (a Argon2) valid() bool {
	return 0 < a.Time && a.Time <= maxArgon2.Time && 0 < a.Threads && a.Threads <= maxArgon2.Threads &&
		8*uint32(a.Threads) <= a.Memory && a.Memory <= maxArgon2.Memory
}

const (
	saltSize   = 16
	digestSize = sha256.Size
)

// argon2Hash is a password hash as stored:
//
//	$argon2id$v=19$m=47104,t=1,p=1,keyid=3$SALT$DIGEST
//
// the PHC string format, with unpadded base64. DIGEST is HMAC-SHA-256 of the argon2id
// output under version keyid of the pepper, so that who has the store but not the keys
// cannot test a guess (SP 800-63B-4 section 3.1.1.2).
type argon2Hash struct {
	params Argon2
	pepper uint32
	salt   []byte
	digest []byte
}

var errBadHash = errors.New("malformed password hash")

func (h argon2Hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d,keyid=%d$%s$%s", argon2.Version,
		h.params.Memory, h.params.Time, h.params.Threads, h.pepper,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.digest))
}

// parseArgon2Hash accepts what String gives and nothing else.
func parseArgon2Hash(s string) (argon2Hash, error) {
	var h argon2Hash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, errBadHash
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 4 {
		return h, errBadHash
	}
	var n [4]uint64
	for i, name := range []string{"m=", "t=", "p=", "keyid="} {
		text, found := strings.CutPrefix(params[i], name)
		v, err := strconv.ParseUint(text, 10, 32)
		if !found || err != nil || strconv.FormatUint(v, 10) != text {
			return h, errBadHash
		}
		n[i] = v
	}
	if n[2] > uint64(maxArgon2.Threads) {
		return h, errBadHash
	}
	h.params = Argon2{Memory: uint32(n[0]), Time: uint32(n[1]), Threads: uint8(n[2])}
	h.pepper = uint32(n[3])
	var errSalt, errDigest error
	h.salt, errSalt = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.digest, errDigest = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if !h.params.valid() || errSalt != nil || errDigest != nil || len(h.salt) != saltSize || len(h.digest) != digestSize ||
		strings.ContainsAny(s, "\r\n") {
		return h, errBadHash
	}
	return h, nil
}

// derive is the slow step and the keyed one.
func (h argon2Hash) derive(password, pepper []byte) []byte {
	mac := hmac.New(sha256.New, pepper)
	mac.Write(argon2.IDKey(password, h.salt, h.params.Time, h.params.Memory, h.params.Threads, digestSize))
	return mac.Sum(nil)
}

// normalise gives the bytes of a password that are hashed: its text in NFKC, so that it
// is the same from every keyboard (SP 800-63B-4 section 3.1.1.2). Nothing else is
// done to it: no trimming, no case, no end at a NUL.
func normalise(pw makerguard.Secret) []byte { return norm.NFKC.Bytes([]byte(pw)) }

// HashPassword returns what is stored for a password. It returns VALIDATION_FAILED above
// 1,024 bytes, before any work, and OVERLOADED when too many are being hashed.
func (s *Service) HashPassword(ctx context.Context, pw makerguard.Secret) (makerguard.Secret, error) {
	if len(pw) > maxPassword {
		return "", tooLong(passwordPointer)
	}
	place, err := s.hashing.enter()
	if err != nil {
		return "", err
	}
	defer place.leave()
	return s.hash(ctx, place, pw)
}

func (s *Service) hash(ctx context.Context, place place, pw makerguard.Secret) (makerguard.Secret, error) {
	pepper := newest(s.keys.Load().Pepper)
	h := argon2Hash{params: s.argon2, pepper: pepper.Version, salt: randomBytes(saltSize)}
	err := place.work(ctx, func() { h.digest = h.derive(normalise(pw), pepper.Key) })
	if err != nil {
		return "", err
	}
	return makerguard.Secret(h.String()), nil
}

// verify reports whether pw is the password of a stored hash, and whether the hash should be
// replaced since it is not what hash would make now. For "" and for a hash that cannot be
// read it does the work of the real one and reports false.
func (s *Service) verify(ctx context.Context, place place, stored, pw makerguard.Secret) (match, outdated bool, err error) {
	keys := s.keys.Load()
	if isBcrypt(string(stored)) {
		// Imported hashes are of the bytes as they came: who made them did not normalise.
		err = place.work(ctx, func() { match = bcryptMatches(string(stored), string(pw)) })
		return match, true, err
	}
	h, parseErr := parseArgon2Hash(string(stored))
	pepper, found := keyVersion(keys.Pepper, h.pepper)
	real := parseErr == nil && found
	if !real {
		if stored != "" {
			s.logger.ErrorContext(ctx, "a stored password hash cannot be used",
				"malformed", parseErr != nil, "pepper_version", h.pepper)
		}
		h = argon2Hash{params: s.argon2, salt: s.dummySalt, digest: make([]byte, digestSize)}
		pepper = newest(keys.Pepper)
	}
	err = place.work(ctx, func() {
		match = subtle.ConstantTimeCompare(h.derive(normalise(pw), pepper.Key), h.digest) == 1
	})
	current := h.params == s.argon2 && h.pepper == newest(keys.Pepper).Version
	return match && real, !current, err
}

func isBcrypt(stored string) bool {
	return strings.HasPrefix(stored, "$2a$") || strings.HasPrefix(stored, "$2b$") || strings.HasPrefix(stored, "$2y$")
}

func bcryptMatches(stored, pw string) bool {
	cost, err := bcrypt.Cost([]byte(stored))
	return err == nil && cost <= maxBcryptCost && bcrypt.CompareHashAndPassword([]byte(stored), []byte(pw)) == nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the process if the system has no randomness
	return b
}

func newest(keys []VersionedKey) VersionedKey { return keys[len(keys)-1] }

func keyVersion(keys []VersionedKey, version uint32) (VersionedKey, bool) {
	for _, k := range keys {
		if k.Version == version {
			return k, true
		}
	}
	return VersionedKey{}, false
}
