package totp_test

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard/auth/totp"
)

// rfcSeed is the secret of RFC 4226, appendix D, and of RFC 6238, appendix B.
var rfcSeed = []byte("12345678901234567890")

func TestCode_RFC4226(t *testing.T) {
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := totp.Code(rfcSeed, time.Unix(int64(counter)*30, 0)); got != want {
			t.Errorf("Code at counter %d = %q, want %q", counter, got, want)
		}
	}
}

// TestCode_RFC6238 replays the SHA-1 rows, which have eight digits; ours are the last six of them.
func TestCode_RFC6238(t *testing.T) {
	for _, tt := range []struct {
		at   int64
		want string
	}{
		{59, "94287082"},
		{1111111109, "07081804"},
		{1111111111, "14050471"},
		{1234567890, "89005924"},
		{2000000000, "69279037"},
		{20000000000, "65353130"},
	} {
		if got := totp.Code(rfcSeed, time.Unix(tt.at, 0)); got != tt.want[2:] {
			t.Errorf("Code at %d = %q, want %q", tt.at, got, tt.want[2:])
		}
	}
}

// goal: V6.5.5
func TestVerify_AcceptsOneStepEachSide(t *testing.T) {
	now := time.Unix(1111111111, 0)
	current := now.Unix() / 30
	for offset := int64(-4); offset <= 4; offset++ {
		code := totp.Code(rfcSeed, now.Add(time.Duration(offset)*30*time.Second))
		step, ok := totp.Verify(rfcSeed, code, now, 0)
		if want := -1 <= offset && offset <= 1; ok != want {
			t.Errorf("Verify of the code %d steps away = %v, want %v", offset, ok, want)
		}
		if ok && step != current+offset {
			t.Errorf("Verify of the code %d steps away gave step %d, want %d", offset, step, current+offset)
		}
		if !ok && step != 0 {
			t.Errorf("Verify of the code %d steps away was refused with step %d, want 0", offset, step)
		}
	}
}

func TestVerify_StepBordersAreExact(t *testing.T) {
	const step = 37037037
	code := totp.Code(rfcSeed, time.Unix(step*30, 0))
	for _, tt := range []struct {
		at   time.Time
		want bool
	}{
		{time.Unix((step-1)*30, -1), false},
		{time.Unix((step-1)*30, 0), true},
		{time.Unix(step*30, 0), true},
		{time.Unix((step+2)*30, -1), true},
		{time.Unix((step+2)*30, 0), false},
	} {
		if _, ok := totp.Verify(rfcSeed, code, tt.at, 0); ok != tt.want {
			t.Errorf("Verify at %v = %v, want %v", tt.at.UTC(), ok, tt.want)
		}
	}
}

// TestVerify_AcceptsOnlyNewerSteps is what makes a code work once.
//
// goal: V6.5.1
func TestVerify_AcceptsOnlyNewerSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "seed")
		now := time.Unix(rapid.Int64Range(100, 1<<35).Draw(t, "now"), 0)
		current := now.Unix() / 30
		offset := rapid.Int64Range(-3, 3).Draw(t, "offset")
		last := current + rapid.Int64Range(-3, 3).Draw(t, "last")
		code := totp.Code(seed, time.Unix((current+offset)*30, 0))

		// Codes of different steps can be the same, so the truth is asked of Code.
		var want int64
		for s := current - 1; s <= current+1; s++ {
			if s > last && totp.Code(seed, time.Unix(s*30, 0)) == code {
				want = s
			}
		}
		step, ok := totp.Verify(seed, code, now, last)
		if ok != (want != 0) || step != want {
			t.Fatalf("Verify = %d, %v, want step %d", step, ok, want)
		}
		if !ok {
			return
		}
		if again, ok := totp.Verify(seed, code, now, step); ok {
			t.Fatalf("Verify accepted the code again, for step %d", again)
		}
	})
}

func TestVerify_TakesOnlySixDigits(t *testing.T) {
	now := time.Unix(59, 0) // step 1: 287082
	if _, ok := totp.Verify(rfcSeed, "287082", now, 0); !ok {
		t.Fatal("Verify refused the good code")
	}
	for _, code := range []string{
		"", "2", "28708", "2870820", "94287082", " 287082", "287082 ", "287082\n", "28708\x00", "287 082", "+87082", "-87082", "2870.2", "0x7082",
		"\u0662\u0668\u0667\u0660\u0668\u0662", "\uff12\uff18", "28708\uff12", "\xff\xff\xff\xff\xff\xff", strings.Repeat("287082", 1000),
	} {
		if _, ok := totp.Verify(rfcSeed, code, now, 0); ok {
			t.Errorf("Verify(%q) was accepted", code)
		}
	}
}

// TestVerify_NeedsASeed has an absent or short seed open nothing, whatever code is computed from it.
func TestVerify_NeedsASeed(t *testing.T) {
	now := time.Unix(1111111111, 0)
	for _, seed := range [][]byte{nil, {}, rfcSeed[:10], rfcSeed[:15]} {
		if _, ok := totp.Verify(seed, totp.Code(seed, now), now, 0); ok {
			t.Errorf("Verify with a seed of %d bytes was accepted", len(seed))
		}
	}
}

func FuzzVerify(f *testing.F) {
	now := time.Unix(59, 0)
	f.Add("287082")
	f.Add("\u0662\u0668\u0667\u0660\u0668\u0662")
	f.Add("")
	f.Fuzz(func(t *testing.T, code string) {
		step, ok := totp.Verify(rfcSeed, code, now, 0)
		if ok && totp.Code(rfcSeed, time.Unix(step*30, 0)) != code {
			t.Fatalf("Verify accepted %q for step %d", code, step)
		}
	})
}

// goal: V6.5.2
func TestNewSeed_Is160RandomBits(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		seed, err := totp.NewSeed()
		if err != nil {
			t.Fatalf("NewSeed: %v", err)
		}
		if len(seed) != 20 || seen[string(seed)] {
			t.Fatalf("NewSeed gave %d bytes, seen before: %v", len(seed), seen[string(seed)])
		}
		seen[string(seed)] = true
	}
}

func TestURI_IsReadAsWritten(t *testing.T) {
	for _, tt := range []struct{ issuer, account string }{
		{"makerguard", "owner@maker.example"},
		{"Bricks & Mortar GmbH", "a+b@maker.example"},
		{"50% / half?", "größe@maker.example"},
		{"#1=x&secret=AAAA", "a b@maker.example"},
	} {
		uri := totp.URI(tt.issuer, tt.account, rfcSeed)
		key, err := otp.NewKeyFromURL(uri)
		if err != nil {
			t.Errorf("URI(%q, %q) = %s: %v", tt.issuer, tt.account, uri, err)
			continue
		}
		got := fmt.Sprint(key.Type(), key.Issuer(), key.AccountName(), key.Secret(), key.Period(), key.Digits(), key.Algorithm())
		want := fmt.Sprint("totp", tt.issuer, tt.account, totp.Encode(rfcSeed), uint64(30), otp.DigitsSix, otp.AlgorithmSHA1)
		if got != want {
			t.Errorf("URI(%q, %q) is read as %s, want %s", tt.issuer, tt.account, got, want)
		}
		if strings.ContainsAny(uri, "+ ") {
			t.Errorf("URI(%q, %q) = %s, which apps read differently", tt.issuer, tt.account, uri)
		}
	}
}

// TestURI_AColonEndsOnlyTheIssuer keeps a colon in a name from moving text into the account.
func TestURI_AColonEndsOnlyTheIssuer(t *testing.T) {
	u, err := url.Parse(totp.URI("a:b", "c:d", rfcSeed))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.EscapedPath(), "/a%3Ab:c%3Ad"; got != want {
		t.Errorf("path = %q, want %q", got, want)
	}
}

func TestEncode_IsUnpaddedBase32(t *testing.T) {
	if got, want := totp.Encode(rfcSeed), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"; got != want {
		t.Errorf("Encode = %q, want %q", got, want)
	}
	if got := totp.Encode([]byte("foob")); strings.Contains(got, "=") {
		t.Errorf("Encode = %q, want no padding", got)
	} else if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(got); err != nil || string(raw) != "foob" {
		t.Errorf("Encode = %q, which decodes to %q, %v", got, raw, err)
	}
}

// TestQR_DrawsACodeWithAQuietZone reads the three finder patterns and the border back
// from the picture.
func TestQR_DrawsACodeWithAQuietZone(t *testing.T) {
	const size = 300
	b, err := totp.QR(totp.URI("makerguard", "owner@maker.example", rfcSeed), size)
	if err != nil {
		t.Fatalf("QR: %v", err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("decoding the picture: %v", err)
	}
	if got := img.Bounds(); got != image.Rect(0, 0, size, size) {
		t.Fatalf("picture is %v, want %d pixels square", got, size)
	}
	dark := func(x, y int) bool { r, _, _, _ := img.At(x, y).RGBA(); return r == 0 }
	border := 0
	for !dark(border, border) {
		border++
	}
	module := 0
	for dark(border+module, border+module) { // the first module is a corner of a finder
		module++
	}
	if border < 4*module {
		t.Errorf("border is %d pixels, want at least 4 modules of %d", border, module)
	}
	for i := range size {
		for j := range border {
			if dark(i, j) || dark(j, i) {
				t.Fatalf("the border is dark at %d, %d", i, j)
			}
		}
	}
	// Along the middle of a finder: 1 dark, 1 light, 3 dark, 1 light, 1 dark.
	finder := func(x, y int) string {
		var s strings.Builder
		for i := range 7 {
			if dark(x+i*module+module/2, y+3*module+module/2) {
				s.WriteByte('#')
			} else {
				s.WriteByte('.')
			}
		}
		return s.String()
	}
	far := size - border - 7*module
	for far > border && !dark(far+7*module-1, border) { // what is left over of size may widen the far border
		far--
	}
	for _, at := range [][2]int{{border, border}, {far, border}, {border, far}} {
		if got := finder(at[0], at[1]); got != "#.###.#" {
			t.Errorf("finder at %v = %s", at, got)
		}
	}
}

func TestQR_RefusesWhatDoesNotFit(t *testing.T) {
	uri := totp.URI("makerguard", "owner@maker.example", rfcSeed)
	for _, size := range []int{-1, 0, 20, 4097, 1 << 30} {
		if _, err := totp.QR(uri, size); err == nil {
			t.Errorf("QR of %d pixels gave no error", size)
		}
	}
	if _, err := totp.QR(strings.Repeat("a", 10_000), 300); err == nil {
		t.Error("QR of 10,000 characters gave no error")
	}
}

func ExampleVerify() {
	seed := []byte("12345678901234567890")
	now := time.Unix(59, 0)
	var last int64 // as stored with the seed

	step, ok := totp.Verify(seed, "287082", now, last)
	fmt.Println(step, ok)
	_, ok = totp.Verify(seed, "287082", now, step)
	fmt.Println("again:", ok)
	// Output:
	// 1 true
	// again: false
}
