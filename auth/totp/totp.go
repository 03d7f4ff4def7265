// Package totp makes and checks time-based one-time codes (RFC 6238 over RFC 4226) as
// authenticator apps show them: HMAC-SHA-1, six digits, a new code every 30 seconds.
//
// Verify promises that a code is accepted only in its own time step or one of the two
// beside it (RFC 6238, section 5.2), and never for a step at or before the last one
// used. The package is pure: the caller stores the last step, in one atomic move, and
// keeps the seed sealed. It does not limit tries: three codes of a million are good at
// any time, so the caller counts failures. Nor does it protect from a code given to a
// false site within its half minute.
//
//	step, ok := totp.Verify(seed, code, time.Now(), member.TOTP.LastStep)
package totp

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp/hotp"
)

const (
	seedSize    = 20 // 160 bits, as RFC 4226, section 4, recommends
	minSeedSize = 16 // 128 bits, the least it allows

	digits = 6
	period = 30 // seconds
	drift  = 1  // steps before and after the current one

	// quietZone is the white border that a reader needs, in modules (ISO/IEC 18004).
	quietZone = 4
	maxQRSize = 4096
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSeed makes a random seed of 160 bits.
func NewSeed() ([]byte, error) {
	seed := make([]byte, seedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, fmt.Errorf("making a one-time code seed: %w", err)
	}
	return seed, nil
}

// Encode writes a seed as people type it into an app: base32 without padding.
func Encode(seed []byte) string { return encoding.EncodeToString(seed) }

// URI gives the otpauth address that apps read from a QR code (Key URI Format). It
// holds the seed, so it is as secret as that.
func URI(issuer, account string, seed []byte) string {
	// Apps take "+" for a plus and a bare colon for the end of the issuer, so neither
	// url.Values nor url.PathEscape serves alone.
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return fmt.Sprintf("otpauth://totp/%s:%s?algorithm=SHA1&digits=%d&issuer=%s&period=%d&secret=%s",
		escape(issuer), escape(account), digits, escape(issuer), period, Encode(seed))
}

// QR draws uri as a PNG of size times size pixels, black on white with the border that
// readers need. It returns an error if uri does not fit a QR code, or the code does not
// fit size, which may be up to 4096.
func QR(uri string, size int) ([]byte, error) {
	code, err := qr.Encode(uri, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}
	modules := code.Bounds().Dx()
	scale := size / (modules + 2*quietZone)
	if scale < 1 || size > maxQRSize {
		return nil, fmt.Errorf("drawing a QR code: %d modules do not fit %d pixels, want %d to %d", modules, size, modules+2*quietZone, maxQRSize)
	}
	img := image.NewPaletted(image.Rect(0, 0, size, size), color.Palette{color.White, color.Black})
	margin := (size - modules*scale) / 2
	for y := range modules * scale {
		for x := range modules * scale {
			if r, _, _, _ := code.At(x/scale, y/scale).RGBA(); r == 0 {
				img.SetColorIndex(margin+x, margin+y, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}
	return out.Bytes(), nil
}

// Code gives the code of a seed at a time.
func Code(seed []byte, t time.Time) string { return codeAt(seed, stepAt(t)) }

// Verify reports whether code is that of the current step or one beside it, newer than
// last, and which step it belongs to; the caller then marks that step as used. It takes
// the same time for every code of six digits. Anything but six ASCII digits is refused, and
// so is any code for a seed of less than 128 bits: no seed is no proof.
func Verify(seed []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	if len(code) != digits || len(seed) < minSeedSize {
		return 0, false
	}
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return 0, false
		}
	}
	current := stepAt(now)
	// All steps are compared whatever the result. Where two have the same code, the
	// newer one is used up, and the older with it.
	for s := current - drift; s <= current+drift; s++ {
		match := subtle.ConstantTimeCompare([]byte(codeAt(seed, s)), []byte(code))
		if match == 1 && s > last {
			step, ok = s, true
		}
	}
	return step, ok
}

func stepAt(t time.Time) int64 { return int64(math.Floor(float64(t.Unix()) / period)) }

func codeAt(seed []byte, step int64) string {
	// The only error is a secret that is not base32, and this one is.
	code, err := hotp.GenerateCode(Encode(seed), uint64(step))
	if err != nil {
		panic(fmt.Sprintf("computing a one-time code: %v", err))
	}
	return code
}
