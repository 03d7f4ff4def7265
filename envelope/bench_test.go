package envelope_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"
	"time"
)

const benchSize = 4 << 10

// bareGCM is what sealing is measured against: AES-256-GCM, its key set up beforehand, with
// a random nonce in front of the ciphertext.
type bareGCM struct{ cipher.AEAD }

func newBareGCM(b *testing.B) bareGCM {
	b.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		b.Fatalf("NewCipher() = %v", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatalf("NewGCM() = %v", err)
	}
	return bareGCM{gcm}
}

func (g bareGCM) seal(plaintext []byte) []byte {
	out := make([]byte, g.NonceSize(), g.NonceSize()+len(plaintext)+g.Overhead())
	rand.Read(out)
	return g.Seal(out, out, plaintext, nil)
}

func (g bareGCM) open(sealed []byte) ([]byte, error) {
	return g.Open(nil, sealed[:g.NonceSize()], sealed[g.NonceSize():], nil)
}

// compare runs both sides in turn, so that whatever else the machine does hits both alike, and
// reports the time of each and how many times as long ours takes.
func compare(b *testing.B, bare, ours func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	var bareTime, ourTime time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		err := bare(i)
		middle := time.Now()
		if err == nil {
			err = ours(i)
		}
		end := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		bareTime += middle.Sub(start)
		ourTime += end.Sub(middle)
	}
	b.ReportMetric(float64(bareTime.Nanoseconds())/float64(b.N), "bare-ns")
	b.ReportMetric(float64(ourTime.Nanoseconds())/float64(b.N), "ours-ns")
	b.ReportMetric(float64(ourTime)/float64(bareTime), "x-bare")
}

func BenchmarkSeal4K(b *testing.B) {
	ctx, plaintext := context.Background(), make([]byte, benchSize)
	bare, ring := newBareGCM(b), newRing(b, newStore(b), newKEK(b))
	mustSeal(b, ring, "mfr_1", "x")
	compare(b,
		func(int) error { bare.seal(plaintext); return nil },
		func(int) error { _, _, err := ring.Seal(ctx, "mfr_1", record, field, plaintext); return err },
	)
}

// Blobs sealed by one process, which is the common case.
func BenchmarkOpen4K(b *testing.B) { benchOpen(b, 1) }

// The worst case: so many processes sealed them that hardly a salt is seen again in time.
func BenchmarkOpen4KManySalts(b *testing.B) { benchOpen(b, 100) }

func benchOpen(b *testing.B, processes int) {
	ctx, plaintext := context.Background(), make([]byte, benchSize)
	bare, store, kek := newBareGCM(b), newStore(b), newKEK(b)
	sealed := bare.seal(plaintext)
	blobs := make([][]byte, processes)
	for i := range blobs {
		blobs[i] = mustSeal(b, newRing(b, store, kek), "mfr_1", string(plaintext))
	}
	ring := newRing(b, store, kek)
	compare(b,
		func(int) error { _, err := bare.open(sealed); return err },
		func(i int) error {
			_, _, err := ring.Open(ctx, "mfr_1", record, field, blobs[i%len(blobs)])
			return err
		},
	)
}

// Nothing cached: the key is read from the store and unwrapped.
func BenchmarkSealCold(b *testing.B) {
	store, kek := newStore(b), newKEK(b)
	mustSeal(b, newRing(b, store, kek), "mfr_1", "x")
	for b.Loop() {
		mustSeal(b, newRing(b, store, kek), "mfr_1", "x")
	}
}
