package threat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// LogConfig configures a Log.
type LogConfig struct {
	Store Store            // required
	Now   func() time.Time // nil means time.Now
}

// Log is the threat history. It is safe for concurrent use.
type Log struct {
	store Store
	now   func() time.Time
}

// NewLog returns a Log over c.Store.
func NewLog(c LogConfig) (*Log, error) {
	if c.Store == nil {
		return nil, errors.New("threat log: no store")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Log{store: c.Store, now: c.Now}, nil
}

// Record stores findings with who sent them and returns the entries as stored; p is
// nil when nobody was authenticated. It stores all of them or none, and does nothing for
// no findings.
func (l *Log) Record(ctx context.Context, p *makerguard.Principal, c makerguard.Client, fs []makerguard.Finding) ([]makerguard.Threat, error) {
	if len(fs) == 0 {
		return nil, nil
	}
	ts := make([]makerguard.Threat, len(fs))
	for i, f := range fs {
		ts[i] = makerguard.Threat{IP: c.IP, UserAgent: c.UserAgent, RequestID: c.RequestID, Finding: f}
		if p != nil {
			ts[i].ManufacturerID, ts[i].MemberID, ts[i].SessionID = p.ManufacturerID, p.MemberID, p.SessionID
		}
		l.complete(&ts[i])
	}
	if err := l.store.AppendThreats(ctx, ts); err != nil {
		return nil, fmt.Errorf("appending to the threat history: %w", err)
	}
	return ts, nil
}

// RecordThreat stores one entry, such as behaviour that package auth noticed. It fills
// ID and DetectedAt when they are zero.
func (l *Log) RecordThreat(ctx context.Context, t makerguard.Threat) error {
	l.complete(&t)
	if err := l.store.AppendThreats(ctx, []makerguard.Threat{t}); err != nil {
		return fmt.Errorf("appending to the threat history: %w", err)
	}
	return nil
}

// The longest texts an entry keeps, in bytes. They come from the client, so a log
// without bounds would be a way to fill the store.
const (
	maxInputName = 256
	maxUserAgent = 256
	maxShortText = 128
)

// complete fills what the log decides and bounds what came from the client.
func (l *Log) complete(t *makerguard.Threat) {
	if t.ID == "" {
		t.ID = makerguard.EventID(id.New("evt"))
	}
	if t.DetectedAt.IsZero() {
		t.DetectedAt = l.now()
	}
	t.DetectedAt = t.DetectedAt.UTC()
	t.Evidence = clean(t.Evidence, maxEvidence)
	t.Input = clean(t.Input, maxInputName)
	t.UserAgent = clean(t.UserAgent, maxUserAgent)
	t.IP = clean(t.IP, maxShortText)
	t.RequestID = clean(t.RequestID, maxShortText)
}

// List returns entries of the history, newest first. A Limit of 0 means 50. It returns
// VALIDATION_FAILED for a filter that names no tenant (unless AllTenants is set),
// an unknown type or severity, or a limit over 200.
func (l *Log) List(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error) {
	if f.Limit == 0 {
		f.Limit = 50
	}
	if err := checkFilter(f); err != nil {
		return nil, err
	}
	ts, err := l.store.Threats(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("reading the threat history: %w", err)
	}
	return ts, nil
}

func checkFilter(f makerguard.ThreatFilter) error {
	var fields []makerguard.FieldError
	add := func(pointer, message string) {
		fields = append(fields, makerguard.FieldError{Pointer: pointer, Message: message})
	}
	if f.ManufacturerID == "" && !f.AllTenants {
		add("/manufacturer_id", "Say whose history to read.")
	}
	if f.Type != "" && !knownType(f.Type) {
		add("/type", "Use a threat type of the documentation, such as sql_injection.")
	}
	switch f.Severity {
	case "", makerguard.SeverityLow, makerguard.SeverityMedium, makerguard.SeverityHigh, makerguard.SeverityCritical:
	default:
		add("/severity", "Use low, medium, high or critical.")
	}
	if f.Before != "" && (!strings.HasPrefix(string(f.Before), "evt_") || len(f.Before) > maxShortText) {
		add("/before", "Use the id of an entry, as a former answer gave it.")
	}
	if f.Limit < 1 || f.Limit > 200 {
		add("/limit", "Use a number from 1 to 200.")
	}
	if fields == nil {
		return nil
	}
	return &makerguard.Error{
		Code:    makerguard.ValidationFailed,
		Message: "The filter of the threat history is not valid; see the fields.",
		Fields:  fields,
	}
}

func knownType(t makerguard.ThreatType) bool {
	switch t {
	case makerguard.SQLInjection, makerguard.XSS, makerguard.NoSQLInjection, makerguard.CommandInjection,
		makerguard.CodeInjection, makerguard.PathTraversal, makerguard.FileInclusion, makerguard.SSRF,
		makerguard.TemplateInjection, makerguard.SSIInjection, makerguard.LDAPInjection, makerguard.XXE,
		makerguard.CRLFInjection, makerguard.JNDILookup, makerguard.PrototypePollute, makerguard.Deserialization,
		makerguard.MalformedInput, makerguard.TokenReuse, makerguard.BruteForce, makerguard.CredentialStuffing,
		makerguard.PasswordSpraying, makerguard.RateAbuse, makerguard.AccountEnumeration:
		return true
	}
	return false
}
