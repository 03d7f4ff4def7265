package envelope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
)

const (
	// cachedManufacturers bounds the keys kept ready: 2 to 8 KiB for each version in use
	// of the manufacturers used last and most.
	cachedManufacturers = 10_000
	// loadTimeout bounds reading and unwrapping one manufacturer's keys.
	loadTimeout = 10 * time.Second
)

// Config says what a Keyring works with.
type Config struct {
	Store Store // required
	KEK   KEK   // required
	// Audit records data keys made and rotated; nothing happens if it cannot. A Keyring
	// without one seals, opens and gives out system keys, so that the key of the audit
	// record itself can be had from one, but refuses to rotate.
	Audit  audit.Recorder
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discard
}

// Keyring seals and opens data under keys of each manufacturer. It is safe for
// concurrent use.
type Keyring struct {
	store  Store
	kek    KEK
	audit  audit.Recorder
	now    func() time.Time
	log    *slog.Logger
	cache  *otter.Cache[makerguard.ManufacturerID, *keySet]
	loader otter.Loader[makerguard.ManufacturerID, *keySet]
	firsts singleflight.Group // first versions being made, by manufacturer
}

// New returns a Keyring over the keys in the store.
func New(c Config) (*Keyring, error) {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("envelope: Config.Store is missing"))
	}
	if c.KEK == nil {
		errs = append(errs, errors.New("envelope: Config.KEK is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := otter.New(&otter.Options[makerguard.ManufacturerID, *keySet]{MaximumSize: cachedManufacturers})
	if err != nil {
		return nil, fmt.Errorf("making the key cache: %w", err)
	}
	k := &Keyring{store: c.Store, kek: c.KEK, audit: c.Audit, now: c.Now, log: c.Logger, cache: cache}
	k.loader = otter.LoaderFunc[makerguard.ManufacturerID, *keySet](k.load)
	return k, nil
}

// Seal encrypts plaintext for one place: a field of a record of a manufacturer. It uses the
// newest active key and makes the manufacturer's first one if there is none. The
// blob is Overhead bytes longer than plaintext; version is the key's. Seal returns
// KeyUnavailable if the root key cannot be reached or is not the one the keys were wrapped
// with, or no key is active, and StoreUnavailable if keys cannot be read or stored.
func (k *Keyring) Seal(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, plaintext []byte) (blob []byte, version uint32, err error) {
	if mfr == "" {
		// The empty manufacturer is the installation, whose keys seal no data.
		return nil, 0, errors.New("sealing: the manufacturer is missing")
	}
	key, err := k.newest(ctx, mfr)
	if err != nil {
		return nil, 0, fmt.Errorf("sealing: %w", err)
	}
	blob, err = key.seal(mfr, record, field, plaintext)
	if err != nil {
		return nil, 0, fmt.Errorf("sealing: %w", err)
	}
	return blob, key.version, nil
}

// Open reverses Seal for the same place. It returns DecryptionFailed, with one message
// whatever the reason, for every blob that was not sealed just so: altered, cut,
// lengthened, sealed for another manufacturer, record or field, or under a key that is
// unknown or destroyed. KeyUnavailable and StoreUnavailable are as in Seal.
func (k *Keyring) Open(ctx context.Context, mfr makerguard.ManufacturerID, record, field string, blob []byte) (plaintext []byte, version uint32, err error) {
	if len(blob) < Overhead || blob[0] != blobFormat {
		return nil, 0, errNotOpened()
	}
	version = binary.BigEndian.Uint32(blob[versionAt:])
	key, err := k.version(ctx, mfr, version)
	if err != nil {
		return nil, 0, fmt.Errorf("opening: %w", err)
	}
	if key == nil {
		return nil, 0, errNotOpened()
	}
	plaintext, ok := key.open(mfr, record, field, blob)
	if !ok {
		return nil, 0, errNotOpened()
	}
	return plaintext, version, nil
}

// errNotOpened is the one answer to every blob that does not open: telling causes apart helps
// whoever probes with altered blobs, and nobody else.
func errNotOpened() error {
	return &makerguard.Error{
		Code: makerguard.DecryptionFailed,
		Message: "the data cannot be decrypted: check that it is complete and unaltered, " +
			"and that record and field are those it was encrypted for",
	}
}

// Rotate adds a version to a manufacturer's key and returns its number. From then on new
// data is sealed with it, here at once and on other nodes when they see the change;
// what was sealed before still opens. Actor is who asked, nil for the system. Rotate
// returns Conflict if somebody else rotated meanwhile, and KeyUnavailable and
// StoreUnavailable as in Seal. Without an audit entry nothing changes.
func (k *Keyring) Rotate(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, client makerguard.Client) (version uint32, err error) {
	if k.audit == nil || mfr == "" {
		return 0, errors.New("rotating a key: the audit record or the manufacturer is missing")
	}
	rows, err := k.store.Keys(ctx, mfr, makerguard.KeyData)
	if err != nil {
		return 0, fmt.Errorf("rotating a key: %w", err)
	}
	if len(rows) > 0 {
		last := rows[len(rows)-1]
		version = last.Version
		// Under another root key than before, the new version would be of use to nobody else.
		if last.State != makerguard.KeyDestroyed {
			if _, err := unwrap(ctx, k.kek, last); err != nil {
				return 0, fmt.Errorf("rotating a key: %w", err)
			}
		}
	}
	version++
	entry := entryFor(mfr, audit.KeyRotated, version)
	entry.IP, entry.RequestID = client.IP, client.RequestID
	if actor != nil {
		entry.ActorKind, entry.ActorID = string(actor.Kind), string(actor.MemberID)
	}
	if err := k.addRecorded(ctx, entry, version); err != nil {
		return 0, fmt.Errorf("rotating a key: %w", err)
	}
	k.cache.Invalidate(mfr)
	return version, nil
}

// Version describes one version of a manufacturer's key.
type Version struct {
	Version   uint32
	State     makerguard.KeyState
	KEKID     string // fingerprint of the root key that wraps it
	CreatedAt time.Time
}

// Versions lists all versions of a manufacturer's key, oldest first; none if nothing was
// sealed yet. It returns StoreUnavailable if they cannot be read.
func (k *Keyring) Versions(ctx context.Context, mfr makerguard.ManufacturerID) ([]Version, error) {
	rows, err := k.store.Keys(ctx, mfr, makerguard.KeyData)
	if err != nil {
		return nil, fmt.Errorf("listing key versions: %w", err)
	}
	vs := make([]Version, len(rows))
	for i, r := range rows {
		vs[i] = Version{Version: r.Version, State: r.State, KEKID: r.KEKID, CreatedAt: r.CreatedAt}
	}
	return vs, nil
}

// SystemKey returns the usable versions of a key of the installation, newest last, and makes
// the first one if there is none. Nothing is cached. It returns KeyUnavailable if the
// root key cannot be reached or is not the one that wrapped them, so a process with a
// wrong root key that asks at start does not start, and StoreUnavailable if keys cannot
// be read or stored.
func (k *Keyring) SystemKey(ctx context.Context, purpose makerguard.KeyPurpose) ([]SystemKey, error) {
	switch purpose {
	case makerguard.KeySigning, makerguard.KeyRefresh, makerguard.KeyPepper, makerguard.KeyDevice, makerguard.KeyAudit:
	case makerguard.KeyData:
		return nil, errors.New("system key: data keys belong to manufacturers")
	default:
		return nil, fmt.Errorf("system key: unknown purpose %q", purpose)
	}
	rows, err := k.store.Keys(ctx, "", purpose)
	if err == nil && len(rows) == 0 {
		// Another node may be faster; then its key is the one.
		if err = k.add(ctx, "", purpose, 1, makerguard.KeyActive); err == nil || errors.Is(err, makerguard.Conflict) {
			rows, err = k.store.Keys(ctx, "", purpose)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("system key %s: %w", purpose, err)
	}
	keys := make([]SystemKey, 0, len(rows))
	for _, row := range rows {
		if !usable(row.State) && row.State != makerguard.KeyPublished {
			continue
		}
		base, err := unwrap(ctx, k.kek, row)
		if err != nil {
			return nil, fmt.Errorf("system key %s: %w", purpose, err)
		}
		material, err := base.derive(labelSystem + string(purpose))
		if err != nil {
			return nil, fmt.Errorf("system key %s: %w", purpose, err)
		}
		keys = append(keys, SystemKey{Version: row.Version, State: row.State, CreatedAt: row.CreatedAt, StateAt: row.StateAt, Material: material})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("system key %s: %w", purpose, errNoneActive())
	}
	return keys, nil
}

// PublishSystemKey adds a version to a key of the installation, which is not in use before
// SetSystemKeyState makes it active. Conflict if somebody else added one meanwhile;
// KeyUnavailable and StoreUnavailable as in SystemKey. Without an audit entry nothing changes.
func (k *Keyring) PublishSystemKey(ctx context.Context, purpose makerguard.KeyPurpose) error {
	rows, err := k.store.Keys(ctx, "", purpose)
	if err != nil {
		return fmt.Errorf("publishing a key: %w", err)
	}
	if len(rows) == 0 {
		return fmt.Errorf("publishing a key: %w", errNoneActive())
	}
	version := rows[len(rows)-1].Version + 1
	if err := k.recordSystemKey(ctx, purpose, version, makerguard.KeyPublished); err != nil {
		return err
	}
	if err := k.add(ctx, "", purpose, version, makerguard.KeyPublished); err != nil {
		return fmt.Errorf("publishing a key: %w", err)
	}
	return nil
}

// SetSystemKeyState moves a version of a key of the installation from one state to another;
// of a destroyed one nothing but the row stays. Conflict if it is in another state than from.
// Without an audit entry nothing changes.
func (k *Keyring) SetSystemKeyState(ctx context.Context, purpose makerguard.KeyPurpose, version uint32, from, to makerguard.KeyState) error {
	if err := k.recordSystemKey(ctx, purpose, version, to); err != nil {
		return err
	}
	row := makerguard.WrappedKey{Purpose: purpose, Version: version, State: to}
	if err := k.store.SetKeyState(ctx, row, from, k.now().UTC()); err != nil {
		return fmt.Errorf("changing a key's state: %w", err)
	}
	return nil
}

func (k *Keyring) recordSystemKey(ctx context.Context, purpose makerguard.KeyPurpose, version uint32, state makerguard.KeyState) error {
	if k.audit == nil {
		return errors.New("changing a system key: there is no audit record")
	}
	err := k.audit.Record(ctx, makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: audit.SystemKeyChanged, Outcome: audit.Success, ActorKind: audit.ActorSystem,
		Target: fmt.Sprintf("%s/%d", purpose, version), Detail: string(state),
	})
	if err != nil {
		return fmt.Errorf("recording a key's change: %w", err)
	}
	return nil
}

// Apply makes the Keyring see a change that another node, or another part of this one,
// made. It drops the cached keys of that manufacturer and of no other.
func (k *Keyring) Apply(c makerguard.Change) {
	if c.Kind == makerguard.KeysChanged {
		k.cache.Invalidate(c.ManufacturerID)
	}
}

// add makes and stores one version of a key. Conflict if there is one already.
func (k *Keyring) add(ctx context.Context, mfr makerguard.ManufacturerID, purpose makerguard.KeyPurpose, version uint32, state makerguard.KeyState) error {
	base, err := newBaseKey()
	if err != nil {
		return err
	}
	wrapped, err := wrap(ctx, k.kek, base, mfr, purpose, version)
	if err != nil {
		return err
	}
	now := k.now().UTC()
	err = k.store.AddKey(ctx, makerguard.WrappedKey{
		ManufacturerID: mfr,
		Purpose:        purpose,
		Version:        version,
		State:          state,
		KEKID:          k.kek.ID(),
		Wrapped:        wrapped,
		CreatedAt:      now,
		StateAt:        now,
	})
	if err != nil {
		return err
	}
	k.log.InfoContext(ctx, "key made", "manufacturer_id", mfr, "purpose", purpose, "version", version, "root_key", k.kek.ID())
	return nil
}

// addRecorded is add for a data key, with entry written before it.
func (k *Keyring) addRecorded(ctx context.Context, entry makerguard.AuditEntry, version uint32) error {
	if err := k.audit.Record(ctx, entry); err != nil {
		return fmt.Errorf("recording a new key: %w", err)
	}
	if err := k.add(ctx, entry.ManufacturerID, makerguard.KeyData, version, makerguard.KeyActive); err != nil {
		entry.Outcome = audit.Failure
		return errors.Join(err, k.audit.Record(ctx, entry))
	}
	return nil
}

func entryFor(mfr makerguard.ManufacturerID, action string, version uint32) makerguard.AuditEntry {
	return makerguard.AuditEntry{
		ManufacturerID: mfr,
		Action:         action,
		Outcome:        audit.Success,
		ActorKind:      audit.ActorSystem,
		Target:         fmt.Sprintf("%s/%d", makerguard.KeyData, version),
	}
}

// first makes version 1 of a manufacturer's key and drops what is cached. Of several nodes
// that do it at once one stores its key; to the others that is success too.
func (k *Keyring) first(ctx context.Context, mfr makerguard.ManufacturerID) error {
	_, err, _ := k.firsts.Do(string(mfr), func() (any, error) {
		// Others wait for this, so it does not end with the one caller that came first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		defer k.cache.Invalidate(mfr)
		rows, err := k.store.Keys(ctx, mfr, makerguard.KeyData)
		if err != nil || len(rows) > 0 { // made since the caller looked
			return nil, err
		}
		if k.audit == nil {
			return nil, k.add(ctx, mfr, makerguard.KeyData, 1, makerguard.KeyActive)
		}
		return nil, k.addRecorded(ctx, entryFor(mfr, audit.KeyCreated, 1), 1)
	})
	if errors.Is(err, makerguard.Conflict) {
		return nil
	}
	return err
}

// newest gives the key that new data of a manufacturer is sealed with.
func (k *Keyring) newest(ctx context.Context, mfr makerguard.ManufacturerID) (*dataKey, error) {
	keys, err := k.cache.Get(ctx, mfr, k.loader)
	if err != nil {
		return nil, loadError(err)
	}
	if len(keys.slots) == 0 {
		if err := k.first(ctx, mfr); err != nil {
			return nil, err
		}
		if keys, err = k.cache.Get(ctx, mfr, k.loader); err != nil {
			return nil, loadError(err)
		}
	}
	if keys.active == nil {
		return nil, errNoneActive()
	}
	return keys.active.key(ctx, k.kek)
}

func errNoneActive() error {
	return &makerguard.Error{Code: makerguard.KeyUnavailable, Message: "no version of the key is active: rotate the key to add one"}
}

// version gives one version of a manufacturer's key, nil if it is unknown or destroyed.
func (k *Keyring) version(ctx context.Context, mfr makerguard.ManufacturerID, version uint32) (*dataKey, error) {
	keys, err := k.cache.Get(ctx, mfr, k.loader)
	if err != nil {
		return nil, loadError(err)
	}
	if version > keys.last() {
		// Another node may have rotated a moment ago, and its change not have come yet.
		k.cache.Invalidate(mfr)
		if keys, err = k.cache.Get(ctx, mfr, k.loader); err != nil {
			return nil, loadError(err)
		}
	}
	for i := len(keys.slots) - 1; i >= 0; i-- {
		if s := keys.slots[i]; s.row.Version == version && usable(s.row.State) {
			return s.key(ctx, k.kek)
		}
	}
	return nil, nil
}

// loadError gives a code to the error of a caller that ran out of time while it waited.
func loadError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) && makerguard.CodeOf(err) == makerguard.Internal {
		return &makerguard.Error{Code: makerguard.StoreUnavailable, Message: "the keys could not be read in time: try again", Err: err}
	}
	return fmt.Errorf("reading keys: %w", err)
}

// load reads a manufacturer's keys. The cache runs one load for all who wait for the
// same manufacturer, and discards what was read before an Invalidate.
func (k *Keyring) load(ctx context.Context, mfr makerguard.ManufacturerID) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	rows, err := k.store.Keys(ctx, mfr, makerguard.KeyData)
	if err != nil {
		return nil, err
	}
	set := &keySet{slots: make([]*keySlot, len(rows))}
	for i, row := range rows {
		set.slots[i] = &keySlot{row: row}
		if row.State == makerguard.KeyActive {
			set.active = set.slots[i]
		}
	}
	if set.active != nil {
		// Unwrapped here so that the root key's source is asked once, not by every waiter. If
		// it fails, whoever needs this version tries again; the others may still open.
		_, _ = set.active.key(ctx, k.kek)
	}
	return set, nil
}

func usable(s makerguard.KeyState) bool {
	return s == makerguard.KeyActive || s == makerguard.KeyRetiring
}

// keySet is the key of one manufacturer in all its versions, oldest first.
type keySet struct {
	slots  []*keySlot
	active *keySlot // the newest active one, or nil
}

func (s *keySet) last() uint32 {
	if len(s.slots) == 0 {
		return 0
	}
	return s.slots[len(s.slots)-1].row.Version
}

// keySlot is one version, unwrapped when it is first needed: old ones seldom are.
type keySlot struct {
	row  makerguard.WrappedKey
	open atomic.Pointer[dataKey]
}

func (s *keySlot) key(ctx context.Context, kek KEK) (*dataKey, error) {
	if k := s.open.Load(); k != nil {
		return k, nil
	}
	base, err := unwrap(ctx, kek, s.row)
	if err != nil {
		return nil, err
	}
	k, err := newDataKey(base, s.row.Version)
	if err != nil {
		return nil, err
	}
	// Two that unwrap at once get equal keys; either may stay.
	s.open.CompareAndSwap(nil, k)
	return s.open.Load(), nil
}
