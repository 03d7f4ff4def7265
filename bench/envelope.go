package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
)

func envelopeRows() []row {
	limit := target{relation: timesAsLong, bound: 1.3, allocs: anyAllocs}
	return []row{
		{path: "seal 4 KiB, keys cached", against: "AES-256-GCM, random nonce", target: limit, measure: comparison(oneCore, 1, sealing)},
		{path: "open 4 KiB, keys cached", against: "AES-256-GCM", target: limit, measure: comparison(oneCore, 1, opening)},
	}
}

// Where the sealed data belongs. It is bound into what is sealed.
const (
	sealRecord = "price-list"
	sealField  = "data"
)

// sealers are both sides' ways to seal and open.
type sealers struct {
	guard *guard.Guard
	mfr   makerguard.ManufacturerID
	gcm   cipher.AEAD
	plain []byte
}

func newSealers(l *lab) (*sealers, error) {
	g, err := l.guard()
	if err != nil {
		return nil, err
	}
	t, err := signUp(l, g, "lunettes")
	if err != nil {
		return nil, err
	}
	random := make([]byte, 32+4<<10)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(random[:32])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	s := &sealers{guard: g, mfr: t.principal.ManufacturerID, gcm: gcm, plain: random[32:]}
	return s, s.check(l)
}

// check seals and opens on both sides, and has altered and misplaced blobs refused.
func (s *sealers) check(l *lab) error {
	blob, _, err := s.guard.Keyring.Seal(l.ctx, s.mfr, sealRecord, sealField, s.plain)
	if err != nil {
		return err
	}
	opened, _, err := s.guard.Keyring.Open(l.ctx, s.mfr, sealRecord, sealField, blob)
	if err != nil || !bytes.Equal(opened, s.plain) || bytes.Contains(blob, s.plain[:16]) {
		return fmt.Errorf("what we sealed does not open to what it was: %v", err)
	}
	_, _, misplaced := s.guard.Keyring.Open(l.ctx, s.mfr, "bank-details", sealField, blob)
	blob[len(blob)/2] ^= 1
	_, _, altered := s.guard.Keyring.Open(l.ctx, s.mfr, sealRecord, sealField, blob)

	bare := s.bareSeal()
	opened, err = s.bareOpen(bare)
	if err != nil || !bytes.Equal(opened, s.plain) {
		return fmt.Errorf("what AES-GCM sealed does not open to what it was: %v", err)
	}
	bare[len(bare)/2] ^= 1
	if _, err := s.bareOpen(bare); err == nil {
		return errors.New("AES-GCM opens an altered blob")
	}
	return errors.Join(want("a misplaced blob", misplaced, makerguard.DecryptionFailed), want("an altered blob", altered, makerguard.DecryptionFailed))
}

// bareSeal is nonce and ciphertext in one new slice.
func (s *sealers) bareSeal() []byte {
	out := make([]byte, s.gcm.NonceSize(), s.gcm.NonceSize()+len(s.plain)+s.gcm.Overhead())
	rand.Read(out) //nolint:errcheck // it never fails
	return s.gcm.Seal(out, out, s.plain, nil)
}

func (s *sealers) bareOpen(blob []byte) ([]byte, error) {
	return s.gcm.Open(nil, blob[:s.gcm.NonceSize()], blob[s.gcm.NonceSize():], nil)
}

func sealing(l *lab) (ours, theirs side, err error) {
	s, err := newSealers(l)
	if err != nil {
		return ours, theirs, err
	}
	ours = each(func() error {
		blob, _, err := s.guard.Keyring.Seal(l.ctx, s.mfr, sealRecord, sealField, s.plain)
		if err == nil && len(blob) <= len(s.plain) {
			err = errors.New("the blob is too short")
		}
		return err
	})
	theirs = each(func() error {
		if len(s.bareSeal()) <= len(s.plain) {
			return errors.New("the blob is too short")
		}
		return nil
	})
	return ours, theirs, nil
}

func opening(l *lab) (ours, theirs side, err error) {
	s, err := newSealers(l)
	if err != nil {
		return ours, theirs, err
	}
	blob, _, err := s.guard.Keyring.Seal(l.ctx, s.mfr, sealRecord, sealField, s.plain)
	if err != nil {
		return ours, theirs, err
	}
	bare := s.bareSeal()
	length := func(plain []byte, err error) error {
		if err == nil && len(plain) != len(s.plain) {
			err = errors.New("the text has another length")
		}
		return err
	}
	ours = each(func() error {
		plain, _, err := s.guard.Keyring.Open(l.ctx, s.mfr, sealRecord, sealField, blob)
		return length(plain, err)
	})
	theirs = each(func() error { return length(s.bareOpen(bare)) })
	return ours, theirs, nil
}
