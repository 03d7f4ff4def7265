package server

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/auth"
)

// body is an input or output that is nothing but its body.
type body[T any] struct{ Body T }

// none is an input or output without anything.
type none struct{}

func (s *Server) signInRoutes() {
	handle(s, operation{method: "POST", path: "/v1/auth/login", tag: "sign-in", summary: "Sign in with e-mail and password", access: anyone}, s.login)
	handle(s, operation{method: "POST", path: "/v1/auth/mfa/verify", tag: "sign-in", summary: "Finish a sign-in with the second factor", access: anyone}, s.verifyMFA)
	handle(s, operation{method: "POST", path: "/v1/auth/refresh", tag: "sign-in", summary: "Exchange a refresh token for new tokens", access: anyone}, s.refresh)
	handle(s, operation{method: "POST", path: "/v1/auth/step-up", tag: "sign-in", summary: "Prove again who you are, for what asks for a recent sign-in", access: signedIn}, s.stepUp)
	handle(s, operation{method: "POST", path: "/v1/auth/password/change", tag: "sign-in", summary: "Change the password and end all other sessions", status: http.StatusNoContent, access: signedIn}, s.changePassword)
	handle(s, operation{method: "POST", path: "/v1/auth/email/verify", tag: "sign-in", summary: "Verify an address with the token that was mailed to it", status: http.StatusNoContent, access: anyone}, s.verifyEmail)
}

func (s *Server) verifyEmail(ctx context.Context, c call, in *body[api.VerifyEmailRequest]) (*none, error) {
	return nil, s.guard.Auth.VerifyEmail(ctx, in.Body.Token, c.client)
}

func (s *Server) login(ctx context.Context, c call, in *body[api.LoginRequest]) (*body[api.SignInResponse], error) {
	return s.signedIn(s.guard.Auth.Login(ctx, auth.Login{Email: in.Body.Email, Password: in.Body.Password, DeviceToken: in.Body.DeviceToken}, c.client))
}

func (s *Server) verifyMFA(ctx context.Context, c call, in *body[api.MFAVerifyRequest]) (*body[api.SignInResponse], error) {
	return s.signedIn(s.guard.Auth.VerifyMFA(ctx, in.Body.MFAToken, in.Body.Method, in.Body.Code, c.client))
}

// signedIn renders a step of a sign-in. Here the secrets leave: their one intended way out.
func (s *Server) signedIn(in *auth.SignIn, err error) (*body[api.SignInResponse], error) {
	if err != nil {
		return nil, err
	}
	out := api.SignInResponse{
		Status: in.Status, MFAToken: string(in.MFAToken), Methods: in.Methods, DeviceToken: string(in.DeviceToken),
		RecoveryCodes: reveal(in.RecoveryCodes),
	}
	if t := in.Tokens; t != nil {
		out.AccessToken, out.RefreshToken, out.TokenType = string(t.Access), string(t.Refresh), "Bearer"
		out.ExpiresIn, out.SessionID = int64(t.ExpiresIn.Seconds()), string(t.SessionID)
		m, mem := manufacturer(in.Manufacturer), member(in.Member)
		out.Manufacturer, out.Member = &m, &mem
	}
	return &body[api.SignInResponse]{out}, nil
}

func (s *Server) refresh(ctx context.Context, c call, in *body[api.RefreshRequest]) (*body[api.TokenResponse], error) {
	return tokens(s.guard.Auth.Refresh(ctx, in.Body.RefreshToken, c.client))
}

func (s *Server) stepUp(ctx context.Context, c call, in *body[api.StepUpRequest]) (*body[api.TokenResponse], error) {
	return tokens(s.guard.Auth.StepUp(ctx, c.principal, in.Body.Password, in.Body.Code, c.client))
}

func tokens(t *auth.Tokens, err error) (*body[api.TokenResponse], error) {
	if err != nil {
		return nil, err
	}
	return &body[api.TokenResponse]{api.TokenResponse{
		AccessToken: string(t.Access), TokenType: "Bearer", ExpiresIn: int64(t.ExpiresIn.Seconds()),
		RefreshToken: string(t.Refresh), SessionID: string(t.SessionID),
	}}, nil
}

func (s *Server) changePassword(ctx context.Context, c call, in *body[api.PasswordChangeRequest]) (*none, error) {
	return nil, s.guard.Auth.ChangePassword(ctx, c.principal, in.Body.CurrentPassword, in.Body.NewPassword, c.client)
}

func (s *Server) factorRoutes() {
	handle(s, operation{method: "POST", path: "/v1/auth/mfa/totp", tag: "second factor", summary: "Start to enrol an authenticator app", access: enroller}, s.enrolTOTP)
	handle(s, operation{method: "POST", path: "/v1/auth/mfa/totp/confirm", tag: "second factor", summary: "Confirm it with its first code; answers the recovery codes once", access: enroller}, s.confirmTOTP)
	handle(s, operation{method: "DELETE", path: "/v1/auth/mfa/totp", tag: "second factor", summary: "Remove the authenticator app", status: http.StatusNoContent, access: signedIn}, s.removeTOTP)
}

func (s *Server) enrolTOTP(ctx context.Context, c call, _ *none) (*body[api.TOTPEnrolment], error) {
	e, err := s.guard.Auth.EnrolTOTP(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	return &body[api.TOTPEnrolment]{api.TOTPEnrolment{
		Secret: string(e.Secret), OTPAuthURI: string(e.URI), QRPNG: base64.StdEncoding.EncodeToString(e.QRPNG),
	}}, nil
}

func (s *Server) confirmTOTP(ctx context.Context, c call, in *body[api.TOTPConfirmRequest]) (*body[api.SignInResponse], error) {
	return s.signedIn(s.guard.Auth.ConfirmTOTP(ctx, c.principal, in.Body.Code, c.enrollment, c.client))
}

func (s *Server) removeTOTP(ctx context.Context, c call, _ *none) (*none, error) {
	return nil, s.guard.Auth.RemoveTOTP(ctx, c.principal, c.client)
}

func (s *Server) sessionRoutes() {
	handle(s, operation{method: "POST", path: "/v1/auth/logout", tag: "sessions", summary: "End this session", status: http.StatusNoContent, access: signedIn}, s.logout)
	handle(s, operation{method: "GET", path: "/v1/auth/sessions", tag: "sessions", summary: "List your sessions", access: signedIn}, s.sessions)
	handle(s, operation{method: "DELETE", path: "/v1/auth/sessions", tag: "sessions", summary: "End all sessions but this one", access: signedIn}, s.revokeOthers)
	handle(s, operation{method: "DELETE", path: "/v1/auth/sessions/{id}", tag: "sessions", summary: "End one of your sessions", status: http.StatusNoContent, access: signedIn}, s.revokeSession)
}

func (s *Server) logout(ctx context.Context, c call, _ *none) (*struct {
	ClearSiteData string `header:"Clear-Site-Data"`
}, error,
) {
	out := &struct {
		ClearSiteData string `header:"Clear-Site-Data"`
	}{`"cache", "cookies", "storage"`}
	return out, s.guard.Auth.Logout(ctx, c.principal, c.client)
}

func (s *Server) sessions(ctx context.Context, c call, _ *none) (*body[api.SessionsResponse], error) {
	list, err := s.guard.Auth.Sessions(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	out := api.SessionsResponse{Sessions: make([]api.Session, 0, len(list))}
	for _, x := range list {
		out.Sessions = append(out.Sessions, api.Session{
			ID: x.ID, CreatedAt: x.CreatedAt, LastSeenAt: x.LastSeenAt, ExpiresAt: x.ExpiresAt,
			IP: x.IP, UserAgent: x.UserAgent, Current: x.ID == c.principal.SessionID,
		})
	}
	return &body[api.SessionsResponse]{out}, nil
}

func (s *Server) revokeOthers(ctx context.Context, c call, _ *none) (*body[api.RevokedResponse], error) {
	n, err := s.guard.Auth.RevokeOtherSessions(ctx, c.principal, c.client)
	return &body[api.RevokedResponse]{api.RevokedResponse{Revoked: n}}, err
}

func (s *Server) revokeSession(ctx context.Context, c call, in *struct {
	ID makerguard.SessionID `path:"id" maxLength:"64"`
},
) (*none, error) {
	return nil, s.guard.Auth.RevokeSession(ctx, c.principal, in.ID, c.client)
}

func reveal(secrets []makerguard.Secret) []string {
	out := make([]string, len(secrets))
	for i, x := range secrets {
		out[i] = string(x)
	}
	return out
}
