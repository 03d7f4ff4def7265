package threat

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
)

const (
	defaultPage = 50
	maxPage     = 200
)

// List returns entries of the history, newest first. A Limit of 0 means 50. It returns
// VALIDATION_FAILED for a filter that names no tenant (unless AllTenants is set),
// an unknown type or severity, a text that is too long, times in the wrong order, or a
// limit over 200.
func (l *Log) List(ctx context.Context, f makerguard.ThreatFilter) ([]makerguard.Threat, error) {
	if f.Limit == 0 {
		f.Limit = defaultPage
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

// Export calls visit with every entry that the filter selects, newest first, until visit
// returns an error, which Export returns, or ctx ends. It holds one page in memory, ignores
// the filter's Limit, and leaves out what is stored after it began. Codes are List's.
func (l *Log) Export(ctx context.Context, f makerguard.ThreatFilter, visit func(makerguard.Threat) error) error {
	f.Limit = maxPage
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := l.List(ctx, f)
		if err != nil {
			return err
		}
		for _, t := range page {
			if err := visit(t); err != nil {
				return err
			}
		}
		if len(page) < f.Limit {
			return nil
		}
		f.Before = page[len(page)-1].ID
	}
}

const (
	// pruneStep is how many entries are removed at once, so that no other write waits long.
	pruneStep = 1000
	// pruneSteps bounds one call of Prune; what is left is the next one's.
	pruneSteps = 200
)

// Prune removes entries older than the retention, oldest first, in steps of 1,000 and at most
// 200,000 in one call, and returns how many there were.
func (l *Log) Prune(ctx context.Context) (int, error) {
	before, removed := l.now().Add(-l.retention), 0
	for range pruneSteps {
		n, err := l.store.DeleteThreats(ctx, before, pruneStep)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("removing old entries of the threat history: %w", err)
		}
		if n < pruneStep {
			break
		}
	}
	return removed, nil
}

func checkFilter(f makerguard.ThreatFilter) error {
	var fields []makerguard.FieldError
	add := func(pointer, message string) {
		fields = append(fields, makerguard.FieldError{Pointer: pointer, Rule: "filter", Message: message})
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
	for _, t := range []struct {
		pointer, text string
	}{
		{"/manufacturer_id", string(f.ManufacturerID)},
		{"/member_id", string(f.MemberID)},
		{"/rule", f.Rule},
		{"/ip", f.IP},
		{"/request_id", f.RequestID},
		{"/text", f.Text},
	} {
		if len(t.text) > maxShortText || !utf8.ValidString(t.text) {
			add(t.pointer, fmt.Sprintf("Use at most %d bytes of text.", maxShortText))
		}
	}
	if !f.Until.IsZero() && f.Until.Before(f.Since) {
		add("/until", "Use a time that is not before since.")
	}
	if f.Limit < 1 || f.Limit > maxPage {
		add("/limit", fmt.Sprintf("Use a number from 1 to %d.", maxPage))
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
