package abuse

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/internal/id"
)

const (
	// maxMinutes is how long a block by hand may last: 30 days. Who is to stay away for
	// longer is better suspended.
	maxMinutes = 30 * 24 * 60
	// maxReason bounds a reason in bytes.
	maxReason = 500
	// maxListed bounds the list of blocks.
	maxListed = 1000
	// ScenarioManual is the scenario of a block that an operator made.
	ScenarioManual = "manual"
)

// Blocks lists the blocks in force, newest first, at most 1,000.
func (s *Service) Blocks(ctx context.Context) ([]makerguard.Block, error) {
	bs, err := s.cfg.Store.Blocks(ctx, s.cfg.Now(), maxListed)
	if err != nil {
		return nil, fmt.Errorf("listing blocks: %w", err)
	}
	return bs, nil
}

// Request is a block that an operator asks for.
type Request struct {
	Kind    makerguard.BlockKind
	Subject string // an address (IPv6: any of its /64), or the id of a member or manufacturer
	Minutes int    // 1 to 43,200
	Reason  string // for those who read the list and the audit record
}

// Block blocks by hand. Where the subject is blocked already, that block is prolonged to
// the time asked for, if it would end before, and returned. A nil actor is somebody at the command line. It
// returns InsufficientPermissions for an actor who is no operator, and
// ValidationFailed for a request that is not valid or that would shut out
// everybody: loopback addresses, trusted proxies, the operators.
func (s *Service) Block(ctx context.Context, actor *makerguard.Principal, r Request, c makerguard.Client) (makerguard.Block, error) {
	if err := operators(actor); err != nil {
		return makerguard.Block{}, err
	}
	sub, err := s.check(&r)
	if err != nil {
		return makerguard.Block{}, err
	}
	now := s.cfg.Now()
	b := makerguard.Block{
		ID: id.New("blk"), Kind: sub.kind, Subject: sub.id, Scenario: ScenarioManual, Reason: r.Reason,
		CreatedAt: now, ExpiresAt: now.Add(time.Duration(r.Minutes) * time.Minute),
	}
	if sub.kind == makerguard.BlockManufacturer {
		b.ManufacturerID = makerguard.ManufacturerID(sub.id)
	}
	// No entry, no block.
	if err := s.cfg.Audit.Record(ctx, entryOf(b, audit.BlockImposed, r.Reason, actor, c)); err != nil {
		return makerguard.Block{}, fmt.Errorf("recording a block: %w", err)
	}
	if b, err = s.cfg.Store.PutBlock(ctx, b); err != nil {
		return makerguard.Block{}, fmt.Errorf("blocking: %w", err)
	}
	s.refresh(ctx)
	return b, nil
}

// Lift ends a block before its time. Its subject is not blocked again automatically for an
// hour. A nil actor is somebody at the command line. It returns
// InsufficientPermissions for an actor who is no operator, ValidationFailed without a
// reason, and NotFound if there is no such block in force.
func (s *Service) Lift(ctx context.Context, actor *makerguard.Principal, blockID, reason string, c makerguard.Client) error {
	if err := operators(actor); err != nil {
		return err
	}
	if f := checkReason(reason); f != nil {
		return invalid(*f)
	}
	b, err := s.find(ctx, blockID)
	if err != nil {
		return err
	}
	if err := s.cfg.Audit.Record(ctx, entryOf(b, audit.BlockLifted, reason, actor, c)); err != nil {
		return fmt.Errorf("recording a lifted block: %w", err)
	}
	now := s.cfg.Now()
	// First the pardon: the block must not come back between the two.
	if _, err := s.cfg.Store.AddPoints(ctx, pardonKey(subject{b.Kind, b.Subject}), 1, pardonLife, now); err != nil {
		return fmt.Errorf("pardoning: %w", err)
	}
	var by makerguard.MemberID
	if actor != nil {
		by = actor.MemberID
	}
	if err := s.cfg.Store.LiftBlock(ctx, blockID, by, reason, now); err != nil {
		return fmt.Errorf("lifting a block: %w", err)
	}
	s.refresh(ctx)
	return nil
}

// refresh makes what was changed here hold for the next request.
func (s *Service) refresh(ctx context.Context) {
	if s.Load(ctx) != nil {
		s.wakeUp()
	}
}

func (s *Service) find(ctx context.Context, blockID string) (makerguard.Block, error) {
	bs, err := s.cfg.Store.Blocks(ctx, s.cfg.Now(), maxActive)
	if err != nil {
		return makerguard.Block{}, fmt.Errorf("looking for a block: %w", err)
	}
	for _, b := range bs {
		if b.ID == blockID {
			return b, nil
		}
	}
	return makerguard.Block{}, &makerguard.Error{Code: makerguard.NotFound, Message: "There is no such block in force."}
}

func operators(actor *makerguard.Principal) error {
	if actor == nil || actor.Operator() {
		return nil
	}
	return &makerguard.Error{Code: makerguard.InsufficientPermissions, Message: "Only operators can do this."}
}

// check validates a request and gives its subject.
func (s *Service) check(r *Request) (subject, error) {
	var fields []makerguard.FieldError
	add := func(pointer, message string) {
		fields = append(fields, makerguard.FieldError{Pointer: pointer, Message: message})
	}
	sub := subject{r.Kind, r.Subject}
	switch r.Kind {
	case makerguard.BlockAddress:
		p, ok := subjectPrefix(r.Subject)
		switch {
		case !ok:
			add("/subject", "Use an IP address such as 203.0.113.7 or 2001:db8::1.")
		case s.spared(p):
			add("/subject", "This is a loopback address or a trusted proxy; blocking it would shut out everybody behind it.")
		default:
			sub.id = AddressKey(p.Addr().String())
		}
	case makerguard.BlockMember:
		if !named(r.Subject, "mbr_") {
			add("/subject", "Use the id of a member: mbr_ and 32 hexadecimal digits.")
		}
	case makerguard.BlockManufacturer:
		if !named(r.Subject, "mfr_") {
			add("/subject", "Use the id of a manufacturer: mfr_ and 32 hexadecimal digits.")
		}
	default:
		add("/kind", "Use address, member or manufacturer.")
	}
	if r.Minutes < 1 || r.Minutes > maxMinutes {
		add("/minutes", fmt.Sprintf("Use a number from 1 to %d.", maxMinutes))
	}
	if f := checkReason(r.Reason); f != nil {
		fields = append(fields, *f)
	}
	if fields != nil {
		return subject{}, invalid(fields...)
	}
	return sub, nil
}

// named reports whether s looks like an id of a kind.
func named(s, prefix string) bool {
	digits, ok := strings.CutPrefix(s, prefix)
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

func checkReason(s string) *makerguard.FieldError {
	if strings.TrimSpace(s) != "" && len(s) <= maxReason && strings.IndexFunc(s, unicode.IsControl) < 0 {
		return nil
	}
	return &makerguard.FieldError{Pointer: "/reason", Message: fmt.Sprintf("Say why, in one line of at most %d bytes.", maxReason)}
}

func invalid(fields ...makerguard.FieldError) error {
	return &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The request is not valid; see the fields.", Fields: fields}
}

// entryOf says in the audit record what became of a block: in its manufacturer's if it is
// about one, else in the platform's. Without actor and client makerguard itself did it.
func entryOf(b makerguard.Block, action, reason string, actor *makerguard.Principal, c makerguard.Client) makerguard.AuditEntry {
	e := makerguard.AuditEntry{
		ManufacturerID: makerguard.PlatformID, Action: action, Outcome: audit.Success, ActorKind: audit.ActorSystem,
		Target: string(b.Kind) + " " + b.Subject, IP: c.IP, RequestID: c.RequestID, Detail: reason,
	}
	if b.Kind != makerguard.BlockAddress && b.ManufacturerID != "" {
		e.ManufacturerID = b.ManufacturerID
	}
	if actor != nil {
		e.ActorKind, e.ActorID = string(actor.Kind), string(actor.MemberID)
	}
	return e
}
