package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

// Opaque tokens begin with a prefix that tells their kind, to people, to secret scanners and
// to the code that takes them: one kind is never taken for another. What follows is
// unpadded base64url of binary fields, all of a fixed size.
const (
	refreshPrefix   = "mgr_"
	devicePrefix    = "mgd_"
	challengePrefix = "mgm_"

	idSize  = 16 // a UUID
	macSize = sha256.Size
)

var opaqueEncoding = base64.RawURLEncoding.Strict()

// decodeOpaque gives the bytes behind prefix if they are exactly size.
func decodeOpaque(text, prefix string, size int) ([]byte, bool) {
	body, found := strings.CutPrefix(text, prefix)
	if !found || len(body) != opaqueEncoding.EncodedLen(size) {
		return nil, false
	}
	raw, err := opaqueEncoding.DecodeString(body)
	// The decoder skips line breaks, which we never write.
	return raw, err == nil && len(raw) == size
}

// refreshToken is version | session | generation | MAC, the MAC with that version of the refresh
// key over the rest and the session's seed.
type refreshToken struct {
	version    uint32
	session    [idSize]byte
	generation uint32
	mac        [macSize]byte
}

const refreshSize = 4 + idSize + 4 + macSize

func (t refreshToken) String() string {
	b := make([]byte, 0, refreshSize)
	b = binary.BigEndian.AppendUint32(b, t.version)
	b = append(b, t.session[:]...)
	b = binary.BigEndian.AppendUint32(b, t.generation)
	b = append(b, t.mac[:]...)
	return refreshPrefix + opaqueEncoding.EncodeToString(b)
}

func parseRefreshToken(text string) (t refreshToken, ok bool) {
	b, ok := decodeOpaque(text, refreshPrefix, refreshSize)
	if !ok {
		return refreshToken{}, false
	}
	t.version = binary.BigEndian.Uint32(b)
	copy(t.session[:], b[4:])
	t.generation = binary.BigEndian.Uint32(b[4+idSize:])
	copy(t.mac[:], b[8+idSize:])
	return t, true
}

func (t refreshToken) sessionID() makerguard.SessionID {
	return makerguard.SessionID("ses_" + hex.EncodeToString(t.session[:]))
}

// sign computes the MAC.
func (t refreshToken) sign(key, seed []byte) refreshToken {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("makerguard refresh token v1\x00"))
	m.Write(t.session[:])
	m.Write(binary.BigEndian.AppendUint32(nil, t.generation))
	m.Write(seed)
	m.Sum(t.mac[:0])
	return t
}

// genuine reports whether we made t for a session with this seed.
func (t refreshToken) genuine(keys []VersionedKey, seed []byte) bool {
	key, found := keyVersion(keys, t.version)
	if !found || len(seed) != seedSize {
		return false
	}
	want := t.sign(key.Key, seed)
	return hmac.Equal(want.mac[:], t.mac[:])
}

// deviceToken says that a device signed in as a member: version | device | issued (Unix
// seconds) | MAC, the MAC with that version of the device key over the rest and the member.
type deviceToken struct {
	version uint32
	device  [idSize]byte
	issued  int64
	mac     [macSize]byte
}

const (
	deviceSize = 4 + idSize + 8 + macSize
	// deviceLifetime is how long a device stays known after its last sign-in.
	deviceLifetime = 365 * 24 * time.Hour
)

func (t deviceToken) String() string {
	b := make([]byte, 0, deviceSize)
	b = binary.BigEndian.AppendUint32(b, t.version)
	b = append(b, t.device[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.issued))
	b = append(b, t.mac[:]...)
	return devicePrefix + opaqueEncoding.EncodeToString(b)
}

func parseDeviceToken(text string) (t deviceToken, ok bool) {
	b, ok := decodeOpaque(text, devicePrefix, deviceSize)
	if !ok {
		return deviceToken{}, false
	}
	t.version = binary.BigEndian.Uint32(b)
	copy(t.device[:], b[4:])
	t.issued = int64(binary.BigEndian.Uint64(b[4+idSize:]))
	copy(t.mac[:], b[12+idSize:])
	return t, true
}

func (t deviceToken) sign(key []byte, member makerguard.MemberID) deviceToken {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("makerguard known device v1\x00"))
	m.Write(t.device[:])
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(t.issued)))
	m.Write([]byte(member))
	m.Sum(t.mac[:0])
	return t
}

// knownDevice gives the id of the device that text was issued to for member, or "".
func (s *Service) knownDevice(text makerguard.Secret, member makerguard.MemberID, now time.Time) string {
	t, ok := parseDeviceToken(string(text))
	if !ok {
		return ""
	}
	key, found := keyVersion(s.keys.Load().Device, t.version)
	if !found {
		return ""
	}
	want := t.sign(key.Key, member)
	if !hmac.Equal(want.mac[:], t.mac[:]) || now.After(time.Unix(t.issued, 0).Add(deviceLifetime)) {
		return ""
	}
	return hex.EncodeToString(t.device[:])
}

// issueDevice makes a token for a device that is known already, or a new one.
func (s *Service) issueDevice(device string, member makerguard.MemberID, now time.Time) makerguard.Secret {
	key := newest(s.keys.Load().Device)
	t := deviceToken{version: key.Version, issued: now.Unix()}
	if id, err := hex.DecodeString(device); err == nil && len(id) == idSize {
		copy(t.device[:], id)
	} else {
		copy(t.device[:], randomBytes(idSize))
	}
	return makerguard.Secret(t.sign(key.Key, member).String())
}

// newChallengeToken makes a token of 256 random bits, and the hash that is stored of it.
func newChallengeToken() (text makerguard.Secret, hash []byte) {
	text = makerguard.Secret(challengePrefix + opaqueEncoding.EncodeToString(randomBytes(32)))
	hash, _ = challengeHash(text)
	return text, hash
}

// challengeHash reports false for what cannot be such a token.
func challengeHash(text makerguard.Secret) (hash []byte, ok bool) {
	raw, ok := decodeOpaque(string(text), challengePrefix, 32)
	sum := sha256.Sum256(raw)
	return sum[:], ok
}
