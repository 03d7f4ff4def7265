package threat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/internal/id"
)

// RulebooksConfig configures Rulebooks.
type RulebooksConfig struct {
	Store Store          // required
	Audit audit.Recorder // required
	// Paranoia is the Detector's. Default 1.
	Paranoia int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told when settings cannot be read. Default none.
	Logger *slog.Logger
}

// cachedRuleSets bounds the settings kept ready.
const cachedRuleSets = 10_000

// Rulebooks are the Rulebooks of all manufacturers, cached, and how operators change them. They
// are safe for concurrent use. Only operators may change settings: they weaken what protects
// the marketplace, the manufacturer's own settings too.
type Rulebooks struct {
	c        RulebooksConfig
	cache    *otter.Cache[makerguard.ManufacturerID, *settings]
	loader   otter.Loader[makerguard.ManufacturerID, *settings]
	excluded atomic.Int64
}

// NewRulebooks checks the configuration and reports everything wrong with it.
func NewRulebooks(c RulebooksConfig) (*Rulebooks, error) {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("rulebooks: no store"))
	}
	if c.Audit == nil {
		errs = append(errs, errors.New("rulebooks: no audit record"))
	}
	if c.Paranoia < 0 || c.Paranoia > 3 {
		errs = append(errs, fmt.Errorf("rulebooks: paranoia level %d: must be 1, 2 or 3", c.Paranoia))
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
	cache, err := otter.New(&otter.Options[makerguard.ManufacturerID, *settings]{MaximumSize: cachedRuleSets})
	if err != nil {
		return nil, fmt.Errorf("making the cache of rule sets: %w", err)
	}
	b := &Rulebooks{c: c, cache: cache}
	b.loader = otter.LoaderFunc[makerguard.ManufacturerID, *settings](b.load)
	return b, nil
}

func (b *Rulebooks) load(ctx context.Context, mfr makerguard.ManufacturerID) (*settings, error) {
	rs, err := b.c.Store.RuleSet(ctx, mfr)
	if err != nil {
		return nil, err
	}
	return compileRules(rs), nil
}

// Apply drops what a change made elsewhere has made stale.
func (b *Rulebooks) Apply(c makerguard.Change) {
	if c.Kind == makerguard.RulesChanged {
		b.cache.Invalidate(c.ManufacturerID)
	}
}

// Excluded is how many findings exclusions have made this process overlook.
func (b *Rulebooks) Excluded() int64 { return b.excluded.Load() }

// Rulebook returns the Rulebook of a manufacturer, or for "" what holds where nobody is
// authenticated. It returns StoreUnavailable if it is not cached and cannot be read.
func (b *Rulebooks) Rulebook(ctx context.Context, mfr makerguard.ManufacturerID) (*Rulebook, error) {
	r := &Rulebook{threshold: threshold(b.c.Paranoia)}
	var err error
	if r.installation, err = b.cache.Get(ctx, "", b.loader); err != nil {
		return nil, fmt.Errorf("reading the rules' settings: %w", err)
	}
	if mfr != "" {
		if r.own, err = b.cache.Get(ctx, mfr, b.loader); err != nil {
			return nil, fmt.Errorf("reading the rules' settings of %s: %w", mfr, err)
		}
	}
	return r, nil
}

// Judge decides as the manufacturer's Rulebook does. If the settings cannot be read every
// finding blocks. It does not allocate if there are no findings.
func (b *Rulebooks) Judge(ctx context.Context, mfr makerguard.ManufacturerID, route string, fs []makerguard.Finding) (blocking, watched []makerguard.Finding) {
	if len(fs) == 0 {
		return nil, nil
	}
	r, err := b.Rulebook(ctx, mfr)
	if err != nil {
		b.c.Logger.LogAttrs(ctx, slog.LevelWarn, "the rules' settings cannot be read; every finding blocks", slog.Any("error", err))
		return fs, nil
	}
	j := r.Judge(b.c.Now(), route, fs)
	b.excluded.Add(int64(j.Excluded))
	return j.Blocking, j.Watched
}

// Settings returns the stored settings of a manufacturer, or for "" the installation's, of
// Version 0 if none were ever stored. They are read afresh.
func (b *Rulebooks) Settings(ctx context.Context, mfr makerguard.ManufacturerID) (makerguard.RuleSet, error) {
	rs, err := b.c.Store.RuleSet(ctx, mfr)
	if err != nil {
		return rs, fmt.Errorf("reading the rules' settings: %w", err)
	}
	return rs, nil
}

// maxTries is how often a change is tried anew when somebody else changed the settings meanwhile.
const maxTries = 5

// Learn notes which rules the installation knows. The rules of its first call count as
// known; one that is missing in later calls came with an upgrade and is new from then on.
// Call it once at start.
func (b *Rulebooks) Learn(ctx context.Context) error {
	_, err := b.change(ctx, "", func(rs *makerguard.RuleSet) (bool, error) {
		first := len(rs.Known) == 0
		known := map[string]bool{}
		for _, k := range rs.Known {
			known[k.Rule] = true
		}
		changed := false
		for _, r := range Rules() {
			if known[r.ID] {
				continue
			}
			changed = true
			k := makerguard.KnownRule{Rule: r.ID}
			if !first {
				k.Since = rs.UpdatedAt
				b.c.Logger.LogAttrs(ctx, slog.LevelInfo, "a new rule of the detector only watches for seven days", slog.String("rule", r.ID))
			}
			rs.Known = append(rs.Known, k)
		}
		return changed, nil
	})
	return err
}

// SetModes replaces the modes of a manufacturer, or for "" of the installation. version is
// that of the settings which they were made from. It returns CONFLICT if the settings
// have changed since, VALIDATION_FAILED as CheckRuleSet does, and INSUFFICIENT_PERMISSIONS
// unless actor is an operator.
func (b *Rulebooks) SetModes(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, version int64, modes []makerguard.RuleMode, c makerguard.Client) (makerguard.RuleSet, error) {
	if err := operatorsOnly(actor); err != nil {
		return makerguard.RuleSet{}, err
	}
	if err := CheckRuleSet(makerguard.RuleSet{Modes: modes}); err != nil {
		return makerguard.RuleSet{}, err
	}
	return b.change(ctx, mfr, func(rs *makerguard.RuleSet) (bool, error) {
		if rs.Version != version+1 {
			return false, &makerguard.Error{
				Code: makerguard.Conflict, Message: "The rules' settings have changed meanwhile: read them again and make the change in what is there now.",
				Details: map[string]any{"version": rs.Version - 1},
			}
		}
		rs.Modes, rs.UpdatedBy = modes, actor.MemberID
		return true, b.record(ctx, actor, audit.RulesChanged, mfr, "", fmt.Sprintf("version %d, %d modes", rs.Version, len(modes)), c)
	})
}

// Exclude makes the narrowest exclusion that has the rules overlook what an event of the
// history told of: the rule, on the route, in the field, for the event's manufacturer or for
// the whole installation. If there is one already it is returned. It returns NOT_FOUND for
// an unknown event, CONFLICT when there are 500 exclusions, VALIDATION_FAILED for an event
// that no exclusion can be made from or a reason of no or more than 500 characters, and
// INSUFFICIENT_PERMISSIONS unless actor is an operator.
func (b *Rulebooks) Exclude(ctx context.Context, actor *makerguard.Principal, event makerguard.EventID, everywhere bool, reason string, c makerguard.Client) (makerguard.Exclusion, error) {
	var none makerguard.Exclusion
	if err := operatorsOnly(actor); err != nil {
		return none, err
	}
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n == 0 || n > maxReason || !printable(reason) {
		return none, invalidRules([]makerguard.FieldError{{Pointer: "/reason", Message: fmt.Sprintf("Say why, in one line of at most %d characters.", maxReason)}})
	}
	t, err := b.c.Store.Threat(ctx, makerguard.PlatformID, event)
	if err != nil {
		return none, fmt.Errorf("reading the event: %w", err)
	}
	mfr := t.ManufacturerID
	if everywhere {
		mfr = ""
	} else if mfr == "" {
		return none, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "Nobody was signed in: an exclusion from this event can only be for the installation."}
	}
	e, err := exclusionOf(t)
	if err != nil {
		return none, err
	}
	e.ID, e.Reason, e.CreatedBy = id.New("exc"), reason, actor.MemberID
	_, err = b.change(ctx, mfr, func(rs *makerguard.RuleSet) (bool, error) {
		for _, x := range rs.Exclusions {
			if x.Rule == e.Rule && x.Route == e.Route && x.Field == e.Field {
				e = x
				return false, nil
			}
		}
		if len(rs.Exclusions) >= maxExclusions {
			return false, &makerguard.Error{Code: makerguard.Conflict, Message: fmt.Sprintf("There are %d exclusions already: delete those that nobody needs, or set a mode for the rule.", maxExclusions)}
		}
		e.CreatedAt = rs.UpdatedAt
		rs.Exclusions, rs.UpdatedBy = append(rs.Exclusions, e), actor.MemberID
		return true, b.record(ctx, actor, audit.ExclusionCreated, mfr, e.ID, fmt.Sprintf("%s in %s of %s: %s", e.Rule, e.Field, e.Route, reason), c)
	})
	if err != nil {
		return none, err
	}
	return e, nil
}

const maxReason = 500

// exclusionOf makes an exclusion of an event, without what only its maker knows.
func exclusionOf(t makerguard.Threat) (makerguard.Exclusion, error) {
	e := makerguard.Exclusion{Rule: t.Rule, Route: widen(t.Route), Field: anyIndex(t.Input), Event: t.ID}
	hidden := strings.Contains(t.Input, masked) || strings.ContainsRune(t.Input, utf8.RuneError) ||
		len(t.Input) > maxInputName-utf8.UTFMax || len(t.Route) > maxRoute-utf8.UTFMax
	message := ""
	switch err := CheckRuleSet(makerguard.RuleSet{Exclusions: []makerguard.Exclusion{e}}); {
	case t.Route == "" || asked(t.Route):
		message = "Only what was found in a request that can be refused may be overlooked. This event is none: it is of another kind, or somebody asked about a value and was told."
	case hidden:
		message = "The event's input or route is hidden or cut off; set a mode for the rule on the route."
	case err != nil:
		return e, err
	case splitRoute(t.Route) == nil:
		message = "Two parsers could read the event's path differently; no exclusion holds for such a path."
	}
	if message != "" {
		return e, &makerguard.Error{Code: makerguard.ValidationFailed, Message: message}
	}
	return e, nil
}

// RemoveExclusion removes an exclusion of a manufacturer, or for "" of the installation. It
// returns NOT_FOUND if there is none with that id, and INSUFFICIENT_PERMISSIONS unless
// actor is an operator.
func (b *Rulebooks) RemoveExclusion(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, exclusion string, c makerguard.Client) error {
	if err := operatorsOnly(actor); err != nil {
		return err
	}
	_, err := b.change(ctx, mfr, func(rs *makerguard.RuleSet) (bool, error) {
		i := slices.IndexFunc(rs.Exclusions, func(e makerguard.Exclusion) bool { return e.ID == exclusion })
		if i < 0 {
			return false, &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such exclusion."}
		}
		e := rs.Exclusions[i]
		rs.Exclusions, rs.UpdatedBy = slices.Delete(slices.Clone(rs.Exclusions), i, i+1), actor.MemberID
		return true, b.record(ctx, actor, audit.ExclusionRemoved, mfr, e.ID, fmt.Sprintf("%s in %s of %s", e.Rule, e.Field, e.Route), c)
	})
	return err
}

// change reads settings, has edit make the next version of them, and stores it. edit reports
// whether there is anything to store; it may be called again when somebody was faster.
func (b *Rulebooks) change(ctx context.Context, mfr makerguard.ManufacturerID, edit func(*makerguard.RuleSet) (bool, error)) (makerguard.RuleSet, error) {
	for try := 1; ; try++ {
		rs, err := b.c.Store.RuleSet(ctx, mfr)
		if err != nil {
			return rs, fmt.Errorf("reading the rules' settings: %w", err)
		}
		rs.ManufacturerID, rs.Version, rs.UpdatedAt, rs.UpdatedBy = mfr, rs.Version+1, b.c.Now().UTC(), ""
		changed, err := edit(&rs)
		if err != nil || !changed {
			return rs, err
		}
		err = b.c.Store.PutRuleSet(ctx, rs)
		if errors.Is(err, makerguard.Conflict) && try < maxTries {
			continue
		}
		if err != nil {
			return rs, fmt.Errorf("storing the rules' settings: %w", err)
		}
		b.cache.Invalidate(mfr) // other nodes learn of it from the feed
		return rs, nil
	}
}

func operatorsOnly(actor *makerguard.Principal) error {
	if actor == nil || !actor.Operator() {
		return &makerguard.Error{Code: makerguard.InsufficientPermissions, Message: "Only operators can change the rules' settings."}
	}
	return nil
}

// record writes a change to the audit record of the manufacturer it is about, or to the
// operators' own.
func (b *Rulebooks) record(ctx context.Context, actor *makerguard.Principal, action string, mfr makerguard.ManufacturerID, target, detail string, c makerguard.Client) error {
	e := makerguard.AuditEntry{
		ManufacturerID: mfr, Action: action, Outcome: audit.Success, ActorKind: string(actor.Kind), ActorID: string(actor.MemberID),
		Target: target, Detail: detail, IP: c.IP, RequestID: c.RequestID,
	}
	if e.ManufacturerID == "" {
		e.ManufacturerID = makerguard.PlatformID
	}
	if e.Target == "" {
		e.Target = string(e.ManufacturerID)
	}
	if err := b.c.Audit.Record(ctx, e); err != nil {
		return fmt.Errorf("recording %s: %w", action, err)
	}
	return nil
}
