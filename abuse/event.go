package abuse

import (
	"time"

	"github.com/makerguard/makerguard"
)

// EventKind says what happened.
type EventKind string

// The kinds of events. None of them is wrong by itself.
const (
	SignInFailed EventKind = "sign_in_failed" // Object: the account that was tried, "" if there is none
	Missed       EventKind = "missed"         // Object: the path of a thing that was asked for and is not there, or is another manufacturer's
	Created      EventKind = "created"        // something was uploaded
	Deleted      EventKind = "deleted"        // something was deleted
	Registered   EventKind = "registered"     // Object: the e-mail address
	Used         EventKind = "used"           // a credential came from somewhere else than last time
)

// Event is something that happened, as far as scenarios look at it. It carries its own time, so
// that a recorded sequence can be replayed.
type Event struct {
	Kind           EventKind                 `json:"kind"`
	At             time.Time                 `json:"at"`
	Address        string                    `json:"address,omitempty"` // of the client, without port
	ManufacturerID makerguard.ManufacturerID `json:"manufacturer,omitempty"`
	MemberID       makerguard.MemberID       `json:"member,omitempty"`
	Credential     string                    `json:"credential,omitempty"` // the session, or what else stands for the credential
	Object         string                    `json:"object,omitempty"`
}
