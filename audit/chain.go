package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/makerguard/makerguard"
)

// Fault is what is wrong with a chain.
type Fault string

// The faults.
const (
	// Altered: the entry is not what was written at this place. It was edited, swapped
	// with another, or put there by somebody without the key.
	Altered Fault = "altered"
	// Missing: the entry is gone, and newer ones are there.
	Missing Fault = "missing"
	// Truncated: the entry and all after it are gone.
	Truncated Fault = "truncated"
	// Unexpected: the entry lies outside the ends of the chain, or is there twice.
	Unexpected Fault = "unexpected"
)

// ChainError says that a tenant's record is not what was written. It is no
// makerguard.Error, so callers over the network learn no more than Internal.
type ChainError struct {
	ManufacturerID makerguard.ManufacturerID
	Seq            int64 // the oldest entry found at fault
	Fault          Fault
}

// Error names the tenant, the entry and the fault.
func (e *ChainError) Error() string {
	return fmt.Sprintf("audit chain of %s: entry %d is %s", e.ManufacturerID, e.Seq, e.Fault)
}

// Verify reads a tenant's whole record and checks it. It returns a *ChainError that names
// the oldest fault if the record was tampered with, and StoreUnavailable if the store cannot
// be reached. Entries added while it runs are not checked.
func (l *Log) Verify(ctx context.Context, mfr makerguard.ManufacturerID) error {
	if err := l.verify(ctx, mfr); err != nil {
		return fmt.Errorf("verifying the audit record: %w", err)
	}
	return nil
}

func (l *Log) verify(ctx context.Context, mfr makerguard.ManufacturerID) error {
	// In an honest store each of these was true before the next was read, so entries
	// added meanwhile raise no false alarm.
	seen, err := l.seen(ctx, mfr)
	if err != nil {
		return err
	}
	newest, err := l.store.AuditEntries(ctx, makerguard.AuditFilter{ManufacturerID: mfr, Limit: 1})
	if err != nil {
		return fmt.Errorf("reading the newest entry: %w", err)
	}
	headSeq, headHash, err := l.store.AuditHead(ctx, mfr)
	if err != nil {
		return fmt.Errorf("reading the end of the chain: %w", err)
	}

	// Pages come newest first. fault keeps the one found last, which is the oldest.
	var fault *ChainError
	at := func(seq int64, f Fault) { fault = &ChainError{ManufacturerID: mfr, Seq: seq, Fault: f} }
	switch {
	case headSeq < seen.seq:
		at(headSeq+1, Truncated)
	case len(newest) > 0 && newest[0].Seq > headSeq:
		at(headSeq+1, Unexpected)
	}
	want := headSeq                  // the sequence number that comes next
	var above *makerguard.AuditEntry // the entry after it, whose hash awaits this one's
	for before := headSeq + 1; before > 1; {
		page, err := l.store.AuditEntries(ctx, makerguard.AuditFilter{ManufacturerID: mfr, Before: before, Limit: maxPage})
		if err != nil {
			return fmt.Errorf("reading entries before %d: %w", before, err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			e := &page[i]
			switch {
			case e.Seq > want || e.Seq < 1 || e.ManufacturerID != mfr:
				// Never asked for or seen already. Going on from it might never end.
				at(e.Seq, Unexpected)
				return fault
			case e.Seq < want && want == headSeq:
				at(e.Seq+1, Truncated)
			case e.Seq < want:
				at(e.Seq+1, Missing)
			case above == nil && !bytes.Equal(e.Hash, headHash):
				at(e.Seq, Altered)
			case above != nil && !hmac.Equal(l.link(e.Hash, above), above.Hash):
				at(above.Seq, Altered)
			}
			if e.Seq == seen.seq && !bytes.Equal(e.Hash, seen.hash) {
				at(e.Seq, Altered)
			}
			above, want = e, e.Seq-1
		}
		before = want + 1
	}
	switch {
	case above == nil && want > 0:
		at(1, Truncated)
	case above != nil && want > 0:
		at(1, Missing)
	case above != nil && !hmac.Equal(l.link(nil, above), above.Hash):
		at(1, Altered)
	}
	if fault == nil {
		return nil
	}
	return fault
}

// seenHead is the newest head that this process read or wrote; zero if none.
type seenHead struct {
	seq  int64
	hash []byte
}

func (l *Log) seen(ctx context.Context, mfr makerguard.ManufacturerID) (seenHead, error) {
	h := l.head(mfr)
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
		return seenHead{seq: h.seq, hash: h.hash}, nil
	case <-ctx.Done():
		return seenHead{}, ctx.Err()
	}
}

// link gives the hash of an entry after one with hash prev (nil before the first).
//
// Every part is preceded by its length and the order is fixed, so that no two
// sequences of entries have the same encoding. The ends of the chain need no mark of
// their own, as Seq is within.
func (l *Log) link(prev []byte, e *makerguard.AuditEntry) []byte {
	mac := hmac.New(sha256.New, l.key)
	buf := make([]byte, 0, 512)
	text := func(s string) {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(s)))
		buf = append(buf, s...)
	}
	text("makerguard audit entry, version 1")
	text(string(prev))
	text(string(e.ManufacturerID))
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.Seq))
	text(string(e.ID))
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.At.UnixMilli()))
	for _, s := range []string{e.Action, e.Outcome, e.ActorKind, e.ActorID, e.Target, e.IP, e.RequestID, e.Detail} {
		text(s)
	}
	mac.Write(buf)
	return mac.Sum(make([]byte, 0, hashSize))
}
