package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/internal/id"
)

// The longest texts, in code points.
const (
	maxName   = 200
	maxReason = 500
)

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// Page sizes of Manufacturers.
const (
	defaultPage = 50
	maxPage     = 200
)

// PasswordHasher checks and hashes passwords and counts registrations. *auth.Service
// is one.
type PasswordHasher interface {
	// CheckPassword returns VALIDATION_FAILED if pw is not good enough to be set; words are
	// those an attacker would try first for this account.
	CheckPassword(pw makerguard.Secret, words []string, secondFactor bool) error
	HashPassword(ctx context.Context, pw makerguard.Secret) (makerguard.Secret, error)
	// AllowSignup counts a registration and returns RATE_LIMIT_EXCEEDED past the limit.
	AllowSignup(ctx context.Context, c makerguard.Client) error
}

// Recorder appends to the audit record. *audit.Log is one.
type Recorder interface {
	Record(ctx context.Context, e makerguard.AuditEntry) error
}

// Limits says how many members a tier has room for; makerguard.Unlimited is no limit.
type Limits interface {
	Members(makerguard.Tier) int64
}

// Config configures a Service.
type Config struct {
	Store     Store          // required
	Passwords PasswordHasher // required
	Audit     Recorder       // required
	Limits    Limits         // required
	// Country reports whether a country code in capitals is in use. Default: any two
	// letters are (the form of ISO 3166-1 alpha-2).
	Country func(code string) bool
	// Announce is told of each change that has taken effect, before the operation
	// returns, so that caches on this node drop what they hold at once. Others learn
	// of it from the store's feed. Default none.
	Announce func(makerguard.Change)
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is told what an operator should know. Default none.
	Logger *slog.Logger
}

// Service keeps manufacturers. It is safe for concurrent use.
type Service struct {
	c Config
}

// New checks the configuration and reports everything wrong with it.
func New(c Config) (*Service, error) {
	var errs []error
	require := func(present bool, what string) {
		if !present {
			errs = append(errs, fmt.Errorf("account: no %s", what))
		}
	}
	require(c.Store != nil, "Store")
	require(c.Passwords != nil, "Passwords")
	require(c.Audit != nil, "Audit")
	require(c.Limits != nil, "Limits")
	if c.Country == nil {
		c.Country = twoLetters
	}
	if c.Announce == nil {
		c.Announce = func(makerguard.Change) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{c: c}, errors.Join(errs...)
}

func (s *Service) now() time.Time { return s.c.Now().UTC() }

// Registration is what a new manufacturer sends.
type Registration struct {
	Email       string
	Password    makerguard.Secret
	CompanyName string // at most 200 code points
	Country     string // ISO 3166-1 alpha-2, in either case
	Name        string // of the person; may be empty; at most 200 code points
}

// Register makes a manufacturer of the free tier with its first member, the owner. It
// returns VALIDATION_FAILED with every member at fault, RATE_LIMIT_EXCEEDED if the
// address registered too many, OVERLOADED if too many passwords are being hashed,
// and CONFLICT if the e-mail address has an account.
func (s *Service) Register(ctx context.Context, r Registration, c makerguard.Client) (makerguard.Manufacturer, makerguard.Member, error) {
	mfr, owner, err := s.register(ctx, r, c)
	if err != nil {
		return makerguard.Manufacturer{}, makerguard.Member{}, err
	}
	return mfr, owner, nil
}

func (s *Service) register(ctx context.Context, r Registration, c makerguard.Client) (mfr makerguard.Manufacturer, owner makerguard.Member, err error) {
	now := s.now()
	key, emailErr := EmailKey(r.Email)
	company, companyErr := line("/company_name", r.CompanyName, maxName, true)
	name, nameErr := line("/name", r.Name, maxName, false)
	country, countryErr := s.country(r.Country)
	passwordErr := s.c.Passwords.CheckPassword(r.Password, []string{key, company, name}, false)
	if err := join(emailErr, passwordErr, companyErr, countryErr, nameErr); err != nil {
		return mfr, owner, err
	}
	if err := s.c.Passwords.AllowSignup(ctx, c); err != nil {
		return mfr, owner, err
	}
	mfr = makerguard.Manufacturer{
		ID: makerguard.ManufacturerID(id.New("mfr")), CompanyName: company, Country: country,
		Tier: makerguard.TierFree, Status: makerguard.StatusActive, CreatedAt: now, UpdatedAt: now,
	}
	owner, err = s.newMember(ctx, mfr.ID, r.Email, key, r.Password)
	if err != nil {
		return mfr, owner, err
	}
	owner.Name = name
	// A registration that then fails leaves the entry under an id that nobody has.
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: mfr.ID, Action: audit.ManufacturerRegistered,
		ActorKind: string(makerguard.KindMember), ActorID: string(owner.ID), Target: string(mfr.ID),
	}, c); err != nil {
		return mfr, owner, err
	}
	if err := s.c.Store.CreateManufacturer(ctx, mfr, owner); err != nil {
		return mfr, owner, taken(fmt.Errorf("creating manufacturer %s: %w", mfr.ID, err))
	}
	return mfr, owner, nil
}

// CreateOperator makes a member of the platform tenant, and the tenant if this is the
// first. The operator has no second factor yet and must enrol one at the first sign-in. It
// returns VALIDATION_FAILED and CONFLICT as Register does. It is for the one who runs
// the installation, so it asks for no principal.
func (s *Service) CreateOperator(ctx context.Context, email string, password makerguard.Secret) (makerguard.Member, error) {
	now := s.now()
	key, err := EmailKey(email)
	if err != nil {
		return makerguard.Member{}, err
	}
	if err := s.c.Passwords.CheckPassword(password, []string{key}, false); err != nil {
		return makerguard.Member{}, err
	}
	operator, err := s.newMember(ctx, makerguard.PlatformID, email, key, password)
	if err != nil {
		return makerguard.Member{}, err
	}
	operator.EmailVerifiedAt = now // whoever runs the installation vouches for it
	if err := s.c.Store.EnsureManufacturer(ctx, makerguard.Manufacturer{
		ID: makerguard.PlatformID, CompanyName: "Platform", Tier: makerguard.TierPlatform,
		Status: makerguard.StatusActive, CreatedAt: now, UpdatedAt: now,
	}); err != nil {
		return makerguard.Member{}, fmt.Errorf("creating the platform tenant: %w", err)
	}
	if err := s.record(ctx, makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: audit.OperatorCreated,
		ActorKind: audit.ActorSystem, Target: string(operator.ID),
	}, makerguard.Client{}); err != nil {
		return makerguard.Member{}, err
	}
	if err := s.c.Store.CreateMember(ctx, operator, makerguard.Unlimited); err != nil {
		return makerguard.Member{}, taken(fmt.Errorf("creating operator %s: %w", operator.ID, err))
	}
	s.c.Logger.InfoContext(ctx, "operator created", "member", operator.ID)
	return operator, nil
}

// newMember makes an active owner of mfr with a hashed password.
func (s *Service) newMember(ctx context.Context, mfr makerguard.ManufacturerID, email, key string, password makerguard.Secret) (makerguard.Member, error) {
	hash, err := s.c.Passwords.HashPassword(ctx, password)
	if err != nil {
		return makerguard.Member{}, fmt.Errorf("hashing a password: %w", err)
	}
	now := s.now()
	return makerguard.Member{
		ID: makerguard.MemberID(id.New("mbr")), ManufacturerID: mfr,
		Email: norm.NFC.String(strings.TrimSpace(email)), EmailKey: key,
		Role: makerguard.RoleOwner, Status: makerguard.StatusActive,
		PasswordHash: hash, PasswordChangedAt: now, CreatedAt: now, UpdatedAt: now,
	}, nil
}

// Manufacturer returns NOT_FOUND if there is none.
func (s *Service) Manufacturer(ctx context.Context, mfr makerguard.ManufacturerID) (makerguard.Manufacturer, error) {
	m, err := s.c.Store.Manufacturer(ctx, mfr)
	if err != nil {
		return makerguard.Manufacturer{}, fmt.Errorf("reading manufacturer: %w", unknown(err))
	}
	return m, nil
}

// Manufacturers lists manufacturers whose company name or id contains q, in order of id, the
// platform left out. limit is how many at most, 0 for 50; more than 200 gives 200. To go on,
// pass next as the cursor; it is "" at the end.
func (s *Service) Manufacturers(ctx context.Context, q, cursor string, limit int) (ms []makerguard.Manufacturer, next string, err error) {
	switch {
	case limit <= 0:
		limit = defaultPage
	case limit > maxPage:
		limit = maxPage
	}
	// One more than asked for tells whether there is a next page.
	ms, err = s.c.Store.Manufacturers(ctx, q, makerguard.ManufacturerID(cursor), limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("listing manufacturers: %w", err)
	}
	if len(ms) > limit {
		ms = ms[:limit]
		next = string(ms[limit-1].ID)
	}
	return ms, next, nil
}

// SetTier gives a manufacturer another tier. Its sessions go on, with the new tier from
// their next request. It returns INSUFFICIENT_PERMISSIONS unless actor is an operator,
// VALIDATION_FAILED for what is not in makerguard.Tiers, CONFLICT for the platform tenant
// and NOT_FOUND if there is no such manufacturer.
func (s *Service) SetTier(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, tier makerguard.Tier, c makerguard.Client) error {
	if !isOffered(tier) {
		return invalid(makerguard.FieldError{
			Pointer: "/tier", Rule: "tier", Message: "Choose one of free, professional and enterprise.",
		})
	}
	m, err := s.authorize(ctx, actor, mfr)
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("%s -> %s", m.Tier, tier)
	if err := s.recordBy(ctx, actor, audit.TierChanged, mfr, detail, c); err != nil {
		return err
	}
	if err := s.c.Store.SetTier(ctx, mfr, tier, s.now()); err != nil {
		return fmt.Errorf("setting the tier of %s: %w", mfr, unknown(err))
	}
	s.c.Announce(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: mfr})
	return nil
}

// Suspend stops a manufacturer: its sessions end, and its members are told so when they
// sign in with the right password. reason is at most 500 code points and may be
// empty. It returns codes as SetTier does.
func (s *Service) Suspend(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, reason string, c makerguard.Client) error {
	reason, err := line("/reason", reason, maxReason, false)
	if err != nil {
		return err
	}
	return s.setStatus(ctx, actor, mfr, makerguard.StatusSuspended, reason, audit.ManufacturerSuspended, c)
}

// Restore lets a suspended manufacturer act again. Sessions that ended stay ended. It
// returns codes as SetTier does.
func (s *Service) Restore(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, c makerguard.Client) error {
	return s.setStatus(ctx, actor, mfr, makerguard.StatusActive, "", audit.ManufacturerRestored, c)
}

func (s *Service) setStatus(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID, status makerguard.Status, reason, action string, c makerguard.Client) error {
	if _, err := s.authorize(ctx, actor, mfr); err != nil {
		return err
	}
	if err := s.recordBy(ctx, actor, action, mfr, reason, c); err != nil {
		return err
	}
	if err := s.c.Store.SetStatus(ctx, mfr, status, reason, s.now()); err != nil {
		return fmt.Errorf("setting the status of %s: %w", mfr, unknown(err))
	}
	s.c.Announce(makerguard.Change{Kind: makerguard.ManufacturerChanged, ManufacturerID: mfr})
	return nil
}

// authorize returns the manufacturer an operator is about to change.
func (s *Service) authorize(ctx context.Context, actor *makerguard.Principal, mfr makerguard.ManufacturerID) (makerguard.Manufacturer, error) {
	if actor == nil || !actor.Operator() {
		return makerguard.Manufacturer{}, &makerguard.Error{
			Code: makerguard.InsufficientPermissions, Message: "Only operators can do this.",
		}
	}
	if mfr == makerguard.PlatformID {
		return makerguard.Manufacturer{}, &makerguard.Error{
			Code: makerguard.Conflict, Message: "The platform tenant cannot be changed.",
		}
	}
	return s.Manufacturer(ctx, mfr)
}

func isOffered(t makerguard.Tier) bool {
	for _, offered := range makerguard.Tiers() {
		if t == offered {
			return true
		}
	}
	return false
}

func (s *Service) country(code string) (string, error) {
	code = strings.ToUpper(code)
	if !twoLetters(code) || !s.c.Country(code) {
		return "", invalid(makerguard.FieldError{
			Pointer: "/country", Rule: "country",
			Message: "Enter the two letters of a country (ISO 3166-1), such as DE.",
		})
	}
	return code, nil
}

func twoLetters(code string) bool {
	return len(code) == 2 && 'A' <= code[0] && code[0] <= 'Z' && 'A' <= code[1] && code[1] <= 'Z'
}

// line checks one line of text and gives it without the spaces around it, in NFC.
func line(pointer, s string, most int, required bool) (string, error) {
	fail := func(rule, message string) (string, error) {
		return "", invalid(makerguard.FieldError{Pointer: pointer, Rule: rule, Message: message})
	}
	// The joiners belong to the spelling of words in several scripts.
	bad := func(r rune) bool { return !isText(r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return fail("text", "Use one line of text, without control characters.")
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	if required && s == "" {
		return fail("required", "This must not be empty.")
	}
	if utf8.RuneCountInString(s) > most {
		return fail("length", fmt.Sprintf("Use at most %d characters.", most))
	}
	return s, nil
}

func invalid(fields ...makerguard.FieldError) error {
	return &makerguard.Error{
		Code: makerguard.ValidationFailed, Message: "Some of what was sent is not valid; see errors.", Fields: fields,
	}
}

// join makes one VALIDATION_FAILED of several; any other error is returned as it is.
func join(errs ...error) error {
	var fields []makerguard.FieldError
	for _, err := range errs {
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != makerguard.ValidationFailed {
			return err
		}
		fields = append(fields, e.Fields...)
	}
	if fields == nil {
		return nil
	}
	return invalid(fields...)
}

// taken and unknown give the store's codes the words for a caller.
func taken(err error) error {
	if !errors.Is(err, makerguard.Conflict) {
		return err
	}
	return &makerguard.Error{
		Code: makerguard.Conflict, Message: "There is an account with this e-mail address. Sign in instead.", Err: err,
	}
}

func unknown(err error) error {
	if !errors.Is(err, makerguard.NotFound) {
		return err
	}
	return &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such manufacturer.", Err: err}
}
