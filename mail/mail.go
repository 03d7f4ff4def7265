// Package mail sends messages to members. Without a mail server it keeps them in a
// directory, one .eml file (RFC 5322) each, where an operator or a test finds them.
//
// A message may hold a token that proves control of the address it goes to, so the
// directory and its files are readable by their owner only.
package mail

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// Message is a text to one address.
type Message struct {
	To      string
	Subject string // one line
	Text    string
}

// Outbox keeps messages as files. Its zero value is not usable. It is safe for concurrent
// use.
type Outbox struct {
	Dir  string           // made with the first message
	From string           // the sender's address
	Now  func() time.Time // nil: time.Now
}

// Send writes the message to a file whose name sorts by time. It returns ValidationFailed
// for an address or subject that could add headers, and StoreUnavailable if the file
// cannot be written.
func (o *Outbox) Send(_ context.Context, m Message) error {
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	if strings.ContainsAny(m.Subject+m.To, "\r\n\x00") {
		return invalid("The address or subject of a mail has a line break.", nil)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(o.From); err != nil {
		return invalid("The sender's address is not one.", err)
	}
	if err := msg.To(m.To); err != nil {
		return invalid("The address cannot be written to.", err)
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(now().UTC())
	msg.SetMessageID()
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return unavailable(err)
	}
	f, err := os.OpenFile(filepath.Join(o.Dir, id.New("mail")+".eml"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return unavailable(err)
	}
	_, err = msg.WriteTo(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func invalid(message string, cause error) error {
	return &makerguard.Error{Code: makerguard.ValidationFailed, Message: message, Err: cause}
}

func unavailable(cause error) error {
	return &makerguard.Error{
		Code: makerguard.StoreUnavailable, Message: "The mail could not be kept. Try again later.", Err: fmt.Errorf("writing to the outbox: %w", cause),
	}
}
