package guard

import (
	"context"
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/mail"
)

// Register makes a manufacturer with its owner and mails the owner a token that verifies
// the address. The account stands whether or not the mail can be sent. It returns what
// account.Service.Register does.
func (g *Guard) Register(ctx context.Context, r account.Registration, c makerguard.Client) (makerguard.Manufacturer, makerguard.Member, error) {
	m, owner, err := g.Accounts.Register(ctx, r, c)
	if err != nil {
		return m, owner, err
	}
	g.Defense.registered(m, owner, c)
	if err := g.mailVerification(ctx, owner); err != nil {
		g.cfg.Logger.Error("address verification not mailed", "member", owner.ID, "request_id", c.RequestID, "error", err)
	}
	return m, owner, nil
}

func (g *Guard) mailVerification(ctx context.Context, m makerguard.Member) error {
	token, err := g.Auth.StartEmailVerification(ctx, m)
	if err != nil {
		return err
	}
	return g.mail.Send(ctx, mail.Message{
		To: m.Email, Subject: "Verify your address",
		Text: fmt.Sprintf(`Somebody registered a manufacturer with this address. If it was you, prove that the address is yours by
sending this token to POST /v1/auth/email/verify within 24 hours:

%s

If it was not you, do nothing.
`, string(token)),
	})
}
