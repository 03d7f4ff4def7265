// Package vault keeps a manufacturer's sensitive business records, such as price lists
// and bank details: small JSON values by name, sealed at rest.
//
// A record is sealed for its manufacturer and its name, so the store sees neither its
// content nor can it pass one record off as another. Every write, read and deletion is in
// the audit record before it takes effect; if it cannot be recorded it does not happen.
//
// It does not decide who may call: that is for package rbac, before. It cannot tell a
// record from an older one of the same name that somebody put back into the store.
// Names and sizes are not hidden.
//
//	v, err := vault.New(vault.Config{Store: store, Sealer: keyring, Audit: log})
//	rec, created, err := v.Put(ctx, principal, "bank-account", []byte(`{"iban":"..."}`), client)
//	data, rec, err := v.Get(ctx, principal, "bank-account", client)
package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

const (
	maxNameLength = 128
	maxPage       = 200
)

// Sealer encrypts for one place only. *envelope.Keyring is one, and says which codes
// its methods return.
type Sealer interface {
	Seal(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, plaintext []byte) (blob []byte, version uint32, err error)
	Open(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, blob []byte) (plaintext []byte, version uint32, err error)
}

// Config says what a Vault works with.
type Config struct {
	Store  Store            // required
	Sealer Sealer           // required
	Audit  audit.Recorder   // required
	Now    func() time.Time // nil: time.Now
}

// Vault keeps sealed records. It is safe for concurrent use. Every method acts for
// a principal on the records of the principal's manufacturer and no other, and
// returns StoreUnavailable if the store cannot be reached.
type Vault struct {
	store  Store
	sealer Sealer
	audit  audit.Recorder
	now    func() time.Time
}

// New returns a Vault over the records in the store.
func New(c Config) (*Vault, error) {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("vault: Config.Store is missing"))
	}
	if c.Sealer == nil {
		errs = append(errs, errors.New("vault: Config.Sealer is missing"))
	}
	if c.Audit == nil {
		errs = append(errs, errors.New("vault: Config.Audit is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Vault{store: c.Store, sealer: c.Sealer, audit: c.Audit, now: c.Now}, nil
}

// Put seals data, which is any one JSON value, and stores it as name, in place of what had
// this name. It returns the record as stored, and whether the name is new. The caller
// bounds the size. Put returns ValidationFailed for a bad name (1 to 128 of a-z, 0-9,
// '.', '_', '-', beginning with a letter or digit) or for data that is not JSON
// (RFC 8259, UTF-8, no member twice), and what Seal returns.
func (v *Vault) Put(ctx context.Context, p *makerguard.Principal, name string, data []byte, client makerguard.Client) (rec makerguard.VaultRecord, created bool, err error) {
	if err := checkName(name); err != nil {
		return makerguard.VaultRecord{}, false, err
	}
	if !jsontext.Value(data).IsValid() {
		return makerguard.VaultRecord{}, false, invalid("/data", "json", "give one JSON value, in UTF-8 and with no member twice")
	}
	sealed, version, err := v.sealer.Seal(ctx, p.ManufacturerID, recordOf(name), field, data)
	if err != nil {
		return makerguard.VaultRecord{}, false, fmt.Errorf("putting a vault record: %w", err)
	}
	now := v.now().UTC()
	err = v.recorded(ctx, entry(p, client, audit.VaultWritten, name), func() error {
		rec, created, err = v.store.PutRecord(ctx, makerguard.VaultRecord{
			ManufacturerID: p.ManufacturerID,
			Name:           name,
			Sealed:         sealed,
			KeyVersion:     version,
			CreatedAt:      now,
			UpdatedAt:      now,
			UpdatedBy:      p.MemberID,
		})
		return err
	})
	if err != nil {
		return makerguard.VaultRecord{}, false, fmt.Errorf("putting a vault record: %w", err)
	}
	return rec, created, nil
}

// Get returns the JSON stored as name. It returns ValidationFailed for a bad name, NotFound
// if the manufacturer has no such record, and what Open returns; a record that does
// not open is in the audit record as a failure.
func (v *Vault) Get(ctx context.Context, p *makerguard.Principal, name string, client makerguard.Client) (data []byte, rec makerguard.VaultRecord, err error) {
	if err := checkName(name); err != nil {
		return nil, makerguard.VaultRecord{}, err
	}
	rec, err = v.store.Record(ctx, p.ManufacturerID, name)
	if err != nil {
		return nil, makerguard.VaultRecord{}, fmt.Errorf("getting a vault record: %w", err)
	}
	err = v.recorded(ctx, entry(p, client, audit.VaultRead, name), func() error {
		data, _, err = v.sealer.Open(ctx, p.ManufacturerID, recordOf(name), field, rec.Sealed)
		return err
	})
	if err != nil {
		return nil, makerguard.VaultRecord{}, fmt.Errorf("getting a vault record: %w", err)
	}
	return data, rec, nil
}

// Delete removes the record stored as name. It returns ValidationFailed for a bad name and
// NotFound if the manufacturer has no such record.
func (v *Vault) Delete(ctx context.Context, p *makerguard.Principal, name string, client makerguard.Client) error {
	if err := checkName(name); err != nil {
		return err
	}
	// Looked up first so that the audit record tells of deletions, not of guesses.
	if _, err := v.store.Record(ctx, p.ManufacturerID, name); err != nil {
		return fmt.Errorf("deleting a vault record: %w", err)
	}
	err := v.recorded(ctx, entry(p, client, audit.VaultDeleted, name), func() error {
		return v.store.DeleteRecord(ctx, p.ManufacturerID, name)
	})
	if err != nil {
		return fmt.Errorf("deleting a vault record: %w", err)
	}
	return nil
}

// List returns at most limit records, 1 to 200, with names after the given one ("" from
// the start), in order of name and without their content. It returns
// ValidationFailed for another limit.
func (v *Vault) List(ctx context.Context, p *makerguard.Principal, after string, limit int) ([]makerguard.VaultRecord, error) {
	if limit < 1 || limit > maxPage {
		return nil, invalid("/limit", "range", fmt.Sprintf("give a number from 1 to %d", maxPage))
	}
	recs, err := v.store.Records(ctx, p.ManufacturerID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing vault records: %w", err)
	}
	return recs, nil
}

// recorded writes e, then does what e says. What fails after its entry was written gets
// a second one that says so.
func (v *Vault) recorded(ctx context.Context, e makerguard.AuditEntry, do func() error) error {
	if err := v.audit.Record(ctx, e); err != nil {
		return fmt.Errorf("recording it: %w", err)
	}
	err := do()
	if err == nil {
		return nil
	}
	e.Outcome = audit.Failure
	e.Detail = string(makerguard.CodeOf(err))
	return errors.Join(err, v.audit.Record(ctx, e))
}

func entry(p *makerguard.Principal, client makerguard.Client, action, name string) makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ManufacturerID: p.ManufacturerID,
		Action:         action,
		Outcome:        audit.Success,
		ActorKind:      string(p.Kind),
		ActorID:        string(p.MemberID),
		Target:         recordOf(name),
		IP:             client.IP,
		RequestID:      client.RequestID,
	}
}

// field and recordOf say where a record is sealed. They are part of what makes
// stored records open, and never change.
const field = "data"

func recordOf(name string) string { return "vault:" + name }

func checkName(name string) error {
	ok := name != "" && len(name) <= maxNameLength
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return invalid("/name", "name", "give 1 to 128 of the characters a-z, 0-9, '.', '_' and '-', the first a letter or digit")
	}
	return nil
}

func invalid(pointer, rule, message string) error {
	return &makerguard.Error{
		Code:    makerguard.ValidationFailed,
		Message: "the request is not valid: see the fields named",
		Fields:  []makerguard.FieldError{{Pointer: pointer, Rule: rule, Message: message}},
	}
}
