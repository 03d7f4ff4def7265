package abuse

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/makerguard/makerguard"
)

// Scenario is a pattern of abuse: a leaky bucket for each Key, into which the events of
// one kind are poured. One event more than Capacity makes it overflow; the scenario fires
// and the bucket is empty again.
type Scenario struct {
	ID          string // stable: "id_scanning"
	Type        makerguard.ThreatType
	Severity    makerguard.Severity
	Description string // what it looks for, for a person
	// Reason is what is said of the subject when it fires, with %d for how many events
	// counted and %s for within what time.
	Reason string

	Kind EventKind // which events count
	// Key names the bucket of an event; one with an empty key is left out.
	Key func(Event) string
	// Distinct, if set, makes an event count only if its value is new to the bucket; an empty
	// value always is.
	Distinct func(Event) string
	// Credit, if set, is the kind of events each of which lets one later event count, until no
	// more of them came for as long as a full bucket takes to leak.
	Credit EventKind

	Capacity int           // how many events a bucket holds
	Leak     time.Duration // how long it takes for one of them to leak

	Subject makerguard.BlockKind // who is behind it; a manufacturer where no member is known
	// Points are added to the subject's score when it fires. With 0 a block is only proposed.
	Points float64
}

// Scenarios lists what is looked for. How the numbers were chosen is told in docs/abuse.md.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

var scenarios = []Scenario{
	{
		ID: "spraying", Type: makerguard.PasswordSpraying, Severity: makerguard.SeverityHigh,
		Description: "One address fails to sign in to many accounts, slowly enough to stay below the limits of signing in.",
		Reason:      "Failed sign-ins to %d different accounts within %s.",
		Kind:        SignInFailed, Key: byAddress, Distinct: object,
		Capacity: 40, Leak: time.Minute, Subject: makerguard.BlockAddress, Points: Threshold,
	},
	{
		ID: "id_scanning", Type: makerguard.RateAbuse, Severity: makerguard.SeverityHigh,
		Description: "A member asks for one thing after another that is not there, or is another manufacturer's.",
		Reason:      "Asked for %d different things that do not exist or belong to others, within %s.",
		Kind:        Missed, Key: byCaller, Distinct: object,
		Capacity: 30, Leak: 20 * time.Second, Subject: makerguard.BlockMember, Points: Threshold,
	},
	{
		ID: "upload_churn", Type: makerguard.RateAbuse, Severity: makerguard.SeverityMedium,
		Description: "A manufacturer uploads and deletes over and over, which gets work done without using up storage.",
		Reason:      "Deleted %d of the things uploaded shortly before, within %s.",
		Kind:        Deleted, Credit: Created, Key: byManufacturer,
		Capacity: 60, Leak: time.Minute, Subject: makerguard.BlockManufacturer, Points: Threshold,
	},
	{
		ID: "account_farming", Type: makerguard.RateAbuse, Severity: makerguard.SeverityMedium,
		Description: "One address registers many manufacturers, each with a free tier of its own.",
		Reason:      "Registered %d manufacturers within %s.",
		Kind:        Registered, Key: byAddress, Distinct: object,
		Capacity: 10, Leak: 30 * time.Minute, Subject: makerguard.BlockAddress,
	},
	{
		ID: "alias_farming", Type: makerguard.RateAbuse, Severity: makerguard.SeverityMedium,
		Description: "Manufacturers are registered with variants of one e-mail address, from wherever.",
		Reason:      "Registered %d manufacturers with variants of one e-mail address within %s.",
		Kind:        Registered, Key: byMailbox, Distinct: object,
		Capacity: 3, Leak: 6 * time.Hour, Subject: makerguard.BlockAddress,
	},
	{
		ID: "key_sharing", Type: makerguard.RateAbuse, Severity: makerguard.SeverityMedium,
		Description: "One session or API key is used from many networks at a time.",
		Reason:      "One session or key was used from %d different networks within %s.",
		Kind:        Used, Key: byCredential, Distinct: network,
		Capacity: 8, Leak: 10 * time.Minute, Subject: makerguard.BlockMember, Points: Threshold,
	},
}

func byAddress(e Event) string      { return AddressKey(e.Address) }
func byManufacturer(e Event) string { return string(e.ManufacturerID) }
func byCaller(e Event) string       { return cmp.Or(string(e.MemberID), e.Credential) }
func byCredential(e Event) string   { return e.Credential }
func object(e Event) string         { return e.Object }
func network(e Event) string        { return networkOf(e.Address) }

// byMailbox gives the mailbox that an address likely ends up in, or the series it is of:
// without a tag behind "+", dots and digits in its local part, in lower case. Where
// nothing is left, no two addresses are alike.
func byMailbox(e Event) string {
	local, domain, ok := strings.Cut(e.Object, "@")
	if !ok {
		return ""
	}
	local, _, _ = strings.Cut(local, "+")
	local = strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, local)
	if local == "" {
		return ""
	}
	return strings.ToLower(local + "@" + domain)
}

// subject is who a firing of s adds points to.
func (s *Scenario) subject(e Event) subject {
	switch {
	case s.Subject == makerguard.BlockAddress:
		return subject{makerguard.BlockAddress, AddressKey(e.Address)}
	case s.Subject == makerguard.BlockMember && e.MemberID != "":
		return subject{makerguard.BlockMember, string(e.MemberID)}
	}
	return subject{makerguard.BlockManufacturer, string(e.ManufacturerID)}
}
